// Between the user's features and the solver's: centring, rotation, the ones column. Private.
#pragma once

#include "face.hpp"
#include "pyconvex/fit.hpp"

namespace pyconvex {

/// Rows of the solver are ((x - mean) Q, 1), with the parts that a fit needs; see the Python class.
struct Coordinates {
  Coordinates(const Rows& X, Bias bias, bool centred);

  RowMatrix rows(const Rows& X) const;
  /// The user's weights (m x n_features) and biases of the solver's neurons (m x p).
  void to_user(const RowMatrix& U, RowMatrix& weights, Eigen::VectorXd& biases) const;

  Eigen::VectorXd mean;
  RowMatrix rotation;  // n_features x rank; unused unless `rotated`
  bool rotated = false;
  bool ones;
};

}  // namespace pyconvex
