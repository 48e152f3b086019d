// Quadratic models of the loss: what kernels, which know least squares alone, work on. Private.
#pragma once

#include "problem.hpp"

namespace pyconvex {

/// The loss near a prediction f on the rows of X, as least squares: up to a constant
/// c sum_i w_i (r_i - t_i)^2 / 2 for a prediction f + t, with c w_i = sum s l'' and c w_i r_i =
/// z_i, sums over the samples of a row. Exact for the squared loss.
struct QuadraticModel {
  Eigen::VectorXd weights;   // w > 0, sum 1
  Eigen::VectorXd residual;  // r, the step that each row asks for
  double scale;              // c; penalties are to be divided by it

  /// The second-order model, its curvature raised by `damping`. At 1 no smooth loss exceeds it.
  static QuadraticModel at(const Problem& problem, const Eigen::VectorXd& prediction,
                           double damping);
  /// The model above the loss whose weights are always the samples'.
  static QuadraticModel bounding(const Problem& problem, const Eigen::VectorXd& prediction);
};

}  // namespace pyconvex
