// The output's linear part: unpenalised columns, and decayed ones. Private: it uses Eigen.
#pragma once

#include "face.hpp"

namespace pyconvex {

/// Columns that a caller adds to the output.
struct LinearColumns {
  bool constant = false;         // a free column of ones, before the others
  MatrixView free = {};          // without penalty (n x k)
  MatrixView decayed = {};       // at the penalty beta ||coef|| (n x q)
  const double* coef = nullptr;  // of the decayed ones, to start from
  double beta = 0.0;

  LinearColumns() = default;
  // Implicit on purpose: an intercept is the usual linear part.
  LinearColumns(bool constant_) : constant(constant_) {}  // NOLINT(*-explicit-*)
};

/// The same in work.
class Linear {
 public:
  Linear(const LinearColumns& given, const ConstVector& sample_weight);

  Index n_decayed() const { return columns.cols(); }
  Index n_free() const { return basis.cols(); }
  /// Columns of a Newton step: the decayed ones, then the basis of the free ones.
  Index size() const { return n_decayed() + n_free(); }
  /// The c-th of those.
  Eigen::MatrixXd::ConstColXpr column(Index c) const {
    return c < n_decayed() ? columns.col(c) : basis.col(c - n_decayed());
  }
  bool used() const { return !coef.isZero(0.0); }
  double penalty() const { return beta * coef.norm(); }
  /// Refit the free columns exactly: project the residual.
  void centre(VectorRef residual);
  /// Minimise over the decayed columns' coefficients.
  void descend(VectorRef residual, const ConstVector& sample_weight);
  /// Change of the coefficients of the free columns as they were given.
  Eigen::VectorXd free_shift() const { return transform_ * shift; }

  Eigen::MatrixXd basis;     // of the free columns, orthonormal under the weights (n x k)
  Eigen::MatrixXd weighted;  // the same times the weights
  Eigen::MatrixXd columns;   // the decayed ones (n x q)
  Eigen::VectorXd coef;      // of the decayed ones
  Eigen::VectorXd shift;     // change of the coefficients of the basis
  double beta;

 private:
  Eigen::MatrixXd transform_;  // turns coefficients of the basis into the columns'
  Eigen::MatrixXd gram_;       // of the decayed ones
};

}  // namespace pyconvex
