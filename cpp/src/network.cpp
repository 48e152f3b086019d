#include "pyconvex/network.hpp"

#include <cmath>
#include <stdexcept>

#include "minimal.hpp"
#include "problem.hpp"

namespace pyconvex {

using Eigen::VectorXd;

namespace {

RowMatrix affine(MatrixView X, const Matrix& weights, const std::vector<double>& bias) {
  const Eigen::Map<const VectorXd> shift(bias.data(), static_cast<Index>(bias.size()));
  RowMatrix hidden = as_rows(X) * as_rows(weights).transpose();
  hidden.rowwise() += shift.transpose();
  return hidden;
}

// What the hidden layer passes on.
RowMatrix hidden_outputs(const Network& network, MatrixView X) {
  if (X.cols != network.n_features()) {
    throw std::invalid_argument("X must have the columns that the network was trained on");
  }
  if (network.n_neurons() == 0) {
    return {X.rows, 0};
  }
  const RowMatrix hidden = affine(X, network.hidden_weights, network.hidden_bias);
  if (!network.gated) {
    return hidden.cwiseMax(0.0);
  }
  const RowMatrix on = affine(X, network.gates, network.gate_bias);
  return (on.array() >= 0.0).select(hidden, 0.0);
}

// The chosen rows, each times its factor.
Matrix scaled(const Matrix& rows, const std::vector<Index>& kept, const VectorXd& factors) {
  Matrix chosen(static_cast<Index>(kept.size()), rows.cols());
  for (Index j = 0; j < chosen.rows(); ++j) {
    const Index from = kept[static_cast<std::size_t>(j)];
    for (Index k = 0; k < rows.cols(); ++k) {
      chosen(j, k) = factors[from] * rows(from, k);
    }
  }
  return chosen;
}

std::vector<double> scaled(const std::vector<double>& values, const std::vector<Index>& kept,
                           const VectorXd& factors) {
  std::vector<double> chosen;
  for (const Index j : kept) {
    chosen.push_back(factors[j] * values[static_cast<std::size_t>(j)]);
  }
  return chosen;
}

}  // namespace

std::vector<double> Network::predict(MatrixView X) const {
  const RowMatrix hidden = hidden_outputs(*this, X);
  std::vector<double> prediction(static_cast<std::size_t>(X.rows), output_bias);
  const Eigen::Map<const VectorXd> output(output_weights.data(), n_neurons());
  Eigen::Map<VectorXd>(prediction.data(), X.rows) += hidden * output;
  return prediction;
}

Network Network::prune(MatrixView X, std::optional<bool> free_bias) const {
  check_finite(X, "X");
  const bool free = free_bias.value_or(output_bias != 0.0);
  const Index m = n_neurons();
  const Eigen::Map<const VectorXd> output(output_weights.data(), m), bias(hidden_bias.data(), m);
  const Eigen::MatrixXd outputs = hidden_outputs(*this, X) * output.asDiagonal();
  VectorXd squares = VectorXd::Zero(m);
  if (m > 0) {
    squares = as_rows(hidden_weights).rowwise().squaredNorm();
  }
  if (!free || gated) {
    squares += bias.cwiseAbs2();
  }
  const VectorXd norms = squares.cwiseSqrt(), heights = output.cwiseAbs();
  const Sizes sizes = minimal_sizes(outputs, norms.cwiseProduct(heights), free);
  std::vector<Index> kept;
  VectorXd inner(m), outer(m);  // factors of hidden and output weights, which become balanced
  for (Index j = 0; j < m; ++j) {
    if (sizes.factors[j] > 0.0) {
      kept.push_back(j);
      inner[j] = std::sqrt(sizes.factors[j] * heights[j] / norms[j]);
      outer[j] = std::sqrt(sizes.factors[j] * norms[j] / heights[j]);
    }
  }
  if (static_cast<Index>(kept.size()) == m) {
    return *this;
  }
  const VectorXd same = VectorXd::Ones(m);
  const Network fewer{scaled(hidden_weights, kept, inner),
                      scaled(hidden_bias, kept, inner),
                      scaled(output_weights, kept, outer),
                      output_bias + sizes.shift,
                      gated,
                      gated ? scaled(gates, kept, same) : Matrix(),
                      gated ? scaled(gate_bias, kept, same) : std::vector<double>()};
  return fewer.prune(X, free);  // dependencies that rounding hid may show now
}

}  // namespace pyconvex
