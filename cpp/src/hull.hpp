// The point of a growing convex hull nearest to the origin. Private: it uses Eigen.
#pragma once

#include "face.hpp"

namespace pyconvex {

/// The corral of Wolfe's algorithm (1976): affinely independent points, in whose convex hull the
/// one nearest to the origin is known and needs all of them. No allocation after construction.
class Hull {
 public:
  explicit Hull(Index d);

  /// One point only.
  void start(const ConstVector& point);
  /// One point more; those no longer needed leave. False where rounding lets us come no nearer.
  bool admit(const ConstVector& point);

  const Eigen::VectorXd& nearest() const { return nearest_; }
  double norm() const { return norm_; }

 private:
  bool add(const ConstVector& point);
  void minimise();
  void remove(Index j);
  void extend_basis(Index j);

  Eigen::VectorXd nearest_;
  double norm_ = 0.0;
  Eigen::MatrixXd points_;  // as columns
  Eigen::MatrixXd basis_;   // orthonormal, of their differences from the first
  Eigen::MatrixXd factor_;  // those differences in the basis: upper triangular
  Eigen::VectorXd shares_;  // of the points in the nearest one
  Eigen::VectorXd trial_, change_, before_;
  Index size_ = 0;
};

}  // namespace pyconvex
