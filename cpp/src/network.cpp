#include "pyconvex/network.hpp"

#include <stdexcept>

#include "face.hpp"

namespace pyconvex {

using Eigen::VectorXd;

namespace {

RowMatrix affine(MatrixView X, const Matrix& weights, const std::vector<double>& bias) {
  const Eigen::Map<const VectorXd> shift(bias.data(), static_cast<Index>(bias.size()));
  RowMatrix hidden = as_rows(X) * as_rows(weights).transpose();
  hidden.rowwise() += shift.transpose();
  return hidden;
}

}  // namespace

std::vector<double> Network::predict(MatrixView X) const {
  if (X.cols != n_features()) {
    throw std::invalid_argument("X must have the columns that the network was trained on");
  }
  std::vector<double> prediction(static_cast<std::size_t>(X.rows), output_bias);
  if (n_neurons() == 0) {
    return prediction;
  }
  RowMatrix hidden = affine(X, hidden_weights, hidden_bias);
  if (gated) {
    const RowMatrix on = affine(X, gates, gate_bias);
    hidden = (on.array() >= 0.0).select(hidden, 0.0);
  } else {
    hidden = hidden.cwiseMax(0.0);
  }
  const Eigen::Map<const VectorXd> output(output_weights.data(), n_neurons());
  Eigen::Map<VectorXd>(prediction.data(), X.rows) += hidden * output;
  return prediction;
}

}  // namespace pyconvex
