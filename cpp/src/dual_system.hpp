// The Newton systems of `DualNewton`: by conjugate gradients where they converge, else directly.
// Private.
#pragma once

#include <optional>

#include "face.hpp"

namespace pyconvex {

/// The matrix diag(d) + sigma [(X X^T) o (M^T M) + R^T R], n_samples on a side; see the Python
/// class of that name. Matrices are column by column: M^T is n x k, R^T is n x r.
class DualSystem {
 public:
  DualSystem(const Samples& samples, Eigen::MatrixXd masks, Eigen::MatrixXd borders,
             Eigen::VectorXd diagonal, double sigma);

  /// Preconditioned conjugate gradients until the residual is `tol` times the right-hand side;
  /// nothing where that takes more than `max_work` flops.
  std::optional<Eigen::VectorXd> iterate(const Eigen::VectorXd& right, double tol, double max_work);

  /// Cholesky's method, with one array of n_samples^2.
  Eigen::VectorXd factorise(const Eigen::VectorXd& right) const;

  /// Flops of the direct solution.
  double factor_work() const;

 private:
  Eigen::VectorXd times(const Eigen::VectorXd& v);
  void prepare();
  Eigen::VectorXd precondition(const Eigen::VectorXd& v) const;

  const Samples& samples_;
  Eigen::MatrixXd masks_, borders_;  // n x k, n x r
  Eigen::VectorXd diagonal_;
  double sigma_;
  Eigen::VectorXd inverse_;                   // of the preconditioner's diagonal
  Eigen::MatrixXd Y_;                         // diag(a) X: its low rank
  Eigen::LLT<Eigen::MatrixXd> small_;         // of 1 / sigma + Y^T diag(inverse) Y
  Eigen::MatrixXd masked_, pulled_, spread_;  // of `times`
};

}  // namespace pyconvex
