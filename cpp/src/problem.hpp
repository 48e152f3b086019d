// The convex program: data, objective, dual objective. Private: it uses Eigen.
#pragma once

#include <memory>
#include <vector>

#include "face.hpp"
#include "pyconvex/losses.hpp"
#include "pyconvex/program.hpp"

namespace pyconvex {

// A smoothed loss is solved until its gap is this share of the true one.
constexpr double kStage = 0.2;

inline VectorView view(const Eigen::VectorXd& values) {
  return {values.data(), values.size()};
}

inline Eigen::VectorXd to_eigen(const Values& values) {
  return Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<Index>(values.size()));
}

/// min sum_i s_i l(f(x_i), y_i) + beta sum_g ||u_g||; see the Python class of that name. Arrays
/// called rows have an entry per row of X, the others (y, weights, z) one per sample.
struct Problem {
  RowMatrix X;  // rows, with the ones column last where neurons have a bias
  Eigen::VectorXd y;
  Eigen::VectorXd sample_weight;  // positive, sum 1
  double beta = 1.0;
  bool intercept = false;              // a free constant: then the dual needs sum(z) = 0
  bool free_bias = false;              // the last coordinate does not count in the norm
  double ridge = 0.0;                  // half of it times ||u_g||^2 is added; given patterns only
  Eigen::VectorXd group_weights = {};  // of beta ||u_g||, per pattern; empty: 1
  std::shared_ptr<const Loss> loss = std::make_shared<Squared>();
  std::vector<Index> copies = {};  // the row of each sample where `merged` took out repeated ones

  MatrixView rows() const { return {X.data(), X.rows(), X.cols()}; }
  /// R, the largest norm of a row without its bias coordinate.
  double radius() const { return X.leftCols(X.cols() - 1).rowwise().norm().maxCoeff(); }
  Eigen::VectorXd norms(const RowMatrix& U) const;
  /// The weight of beta ||u|| for a neuron of some pattern.
  double weight_of(Index pattern) const {
    return group_weights.size() == 0 ? 1.0 : group_weights[pattern];
  }
  /// The entry of each sample's row.
  Eigen::VectorXd at_samples(const Eigen::VectorXd& rows) const;
  /// The sum over the samples of each row.
  Eigen::VectorXd at_rows(const Eigen::VectorXd& samples) const;
  /// z at a prediction on the rows.
  Eigen::VectorXd multiplier(const Eigen::VectorXd& prediction) const;
  /// The weighted loss of a prediction on the rows.
  double loss_value(const Eigen::VectorXd& prediction) const;
  /// The free constant that improves a prediction on the rows most, 0 without an intercept.
  double best_shift(const Eigen::VectorXd& prediction) const;
  /// Loss plus penalty; neurons of a program with weights need their patterns.
  double objective(const Eigen::VectorXd& prediction, const RowMatrix& U,
                   const std::vector<Index>& pattern = {}) const;
  double penalty(const RowMatrix& U, const std::vector<Index>& pattern = {}) const;
  /// Best dual objective among multiples of z, given its dual norm or an upper bound of that. With
  /// a ridge every z is feasible at the cost of `excess`, see `violation_cost`.
  double dual_objective(const Eigen::VectorXd& z, double norm, double excess = 0.0) const;
  /// sum_g (||X^T D_g z|| - beta omega_g)_+^2 / (2 ridge), given all ||X^T D_g z|| / omega_g above
  /// beta and their patterns, or those of all patterns in order.
  double violation_cost(const Eigen::VectorXd& values,
                        const std::vector<Index>& pattern = {}) const;
  /// z at the best constant prediction, where no neuron is in use. At a kink of the loss one of
  /// many: its norm bounds the smallest beta without neurons.
  Eigen::VectorXd constant_multiplier() const;
  /// The same problem with equal rows merged; `first` gets where each row first stood. Copies of a
  /// row share a kink; the tests on faces look at one row at a time. Their targets and weights stay
  /// apart.
  Problem merged(std::vector<Index>& first) const;
  /// Rigorous upper bound of the dual norm of z on the rows, by the Cauchy-Schwarz inequality.
  double norm_bound(const Eigen::VectorXd& z) const;
};

/// (objective - dual objective) / objective; 0 where the objective is 0.
double relative_gap(double objective, double dual_objective);

/// Check targets, weights, penalty and loss and put a problem together from rows (n x p). Rows of
/// weight zero are left out; `kept` gets the indices of the others. No loss: squared.
Problem make_problem(const RowMatrix& X, const std::vector<double>& y,
                     const std::vector<double>& sample_weight, double beta,
                     const std::shared_ptr<const Loss>& loss, bool intercept, bool free_bias,
                     std::vector<Index>& kept);

/// Throw std::invalid_argument, naming the argument, unless all entries are finite.
void check_finite(MatrixView X, const char* name);
void check_limits(const Limits& limits);

}  // namespace pyconvex
