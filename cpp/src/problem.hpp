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
  bool intercept = false;              // a free constant: then the dual needs sum(z) = 0
  bool free_bias = false;              // the last coordinate does not count in the norm
  double offset = 0.0;                 // loss that no network avoids: what `merged` takes out
  double ridge = 0.0;                  // half of it times ||u_g||^2 is added; given patterns only
  Eigen::VectorXd group_weights = {};  // of beta ||u_g||, per pattern; empty: 1

  MatrixView rows() const { return {X.data(), X.rows(), X.cols()}; }
  /// R, the largest norm of a row without its bias coordinate.
  double radius() const { return X.leftCols(X.cols() - 1).rowwise().norm().maxCoeff(); }
  Eigen::VectorXd norms(const RowMatrix& U) const;
  Eigen::VectorXd multiplier(const Eigen::VectorXd& residual) const;
  double loss(const Eigen::VectorXd& residual) const;
  /// The weight of beta ||u|| for a neuron of some pattern.
  double weight_of(Index pattern) const {
    return group_weights.size() == 0 ? 1.0 : group_weights[pattern];
  }
  /// Loss plus penalty; neurons of a program with weights need their patterns.
  double objective(const Eigen::VectorXd& residual, const RowMatrix& U,
                   const std::vector<Index>& pattern = {}) const;
  /// Best dual objective among multiples of z, given its dual norm or an upper bound of that. With
  /// a ridge every z is feasible at the cost of `excess`, see `violation_cost`.
  double dual_objective(const Eigen::VectorXd& z, double norm, double excess = 0.0) const;
  /// sum_g (||X^T D_g z|| - beta omega_g)_+^2 / (2 ridge), given all ||X^T D_g z|| / omega_g above
  /// beta and their patterns, or those of all patterns in order.
  double violation_cost(const Eigen::VectorXd& values,
                        const std::vector<Index>& pattern = {}) const;
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
