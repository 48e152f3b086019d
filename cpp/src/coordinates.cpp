#include "coordinates.hpp"

#include <Eigen/SVD>
#include <algorithm>
#include <limits>

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

Coordinates::Coordinates(const Rows& X, Bias bias, bool centred)
    : mean(VectorXd::Zero(X.cols())), ones(bias != Bias::none) {
  if (centred) {
    mean = X.colwise().mean();
  }
  if (X.rows() > X.cols()) {
    return;
  }
  const MatrixXd shifted = X.rowwise() - mean.transpose();
  const Eigen::BDCSVD<MatrixXd> svd(shifted, Eigen::ComputeThinV);
  const VectorXd& sizes = svd.singularValues();
  const double small = 1e-12 * std::max(sizes[0], std::numeric_limits<double>::min());
  rotation = svd.matrixV().leftCols((sizes.array() > small).count());
  rotated = true;
}

RowMatrix Coordinates::rows(const Rows& X) const {
  RowMatrix features = X.rowwise() - mean.transpose();
  if (rotated) {
    features = features * rotation;
  }
  if (ones || features.cols() == 0) {
    features.conservativeResize(Eigen::NoChange, features.cols() + 1);
    features.col(features.cols() - 1).setConstant(ones ? 1.0 : 0.0);
  }
  return features;
}

void Coordinates::to_user(const RowMatrix& U, RowMatrix& weights, VectorXd& biases) const {
  const Index counted = rotated ? rotation.cols() : mean.size();
  weights = U.leftCols(counted);
  biases = VectorXd::Zero(U.rows());
  if (ones) {
    biases = U.col(U.cols() - 1);
  }
  if (rotated) {
    weights = weights * rotation.transpose();
  }
  biases -= weights * mean;
}

}  // namespace pyconvex
