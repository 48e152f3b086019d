// The convex program: data, objective, dual objective. Private: it uses Eigen.
#pragma once

#include <vector>

#include "face.hpp"
#include "pyconvex/program.hpp"

namespace pyconvex {

/// min sum_i s_i (f(x_i) - y_i)^2 / 2 + beta sum_g ||u_g||; see the Python class of that name.
struct Problem {
  RowMatrix X;  // rows, with the ones column last where neurons have a bias
  Eigen::VectorXd y;
  Eigen::VectorXd sample_weight;  // positive, sum 1
  double beta = 1.0;
  bool intercept = false;  // a free constant: then the dual needs sum(z) = 0
  bool free_bias = false;  // the last coordinate does not count in the norm
  double offset = 0.0;     // loss that no network avoids: what `merged` takes out

  MatrixView rows() const { return {X.data(), X.rows(), X.cols()}; }
  /// R, the largest norm of a row without its bias coordinate.
  double radius() const { return X.leftCols(X.cols() - 1).rowwise().norm().maxCoeff(); }
  Eigen::VectorXd norms(const RowMatrix& U) const;
  Eigen::VectorXd multiplier(const Eigen::VectorXd& residual) const;
  double loss(const Eigen::VectorXd& residual) const;
  double objective(const Eigen::VectorXd& residual, const RowMatrix& U) const;
  /// Best dual objective among multiples of z, given its dual norm or an upper bound of that.
  double dual_objective(const Eigen::VectorXd& z, double norm) const;
  /// The same problem with equal rows merged into one of their joint weight, at the cost of a
  /// constant loss; `first` gets where each row first stood. Copies of a row share a kink; the
  /// tests on faces look at one row at a time.
  Problem merged(std::vector<Index>& first) const;
  /// Rigorous upper bound of the dual norm, by the Cauchy-Schwarz inequality.
  double norm_bound(const Eigen::VectorXd& z) const;
};

/// (objective - dual objective) / objective; 0 where the objective is 0.
double relative_gap(double objective, double dual_objective);

/// Check targets, weights and penalty and put a problem together from rows (n x p). Rows of weight
/// zero are left out; `kept` gets the indices of the others.
Problem make_problem(const RowMatrix& X, const std::vector<double>& y,
                     const std::vector<double>& sample_weight, double beta, bool intercept,
                     bool free_bias, std::vector<Index>& kept);

/// Throw std::invalid_argument, naming the argument, unless all entries are finite.
void check_finite(MatrixView X, const char* name);
void check_limits(const Limits& limits);

}  // namespace pyconvex
