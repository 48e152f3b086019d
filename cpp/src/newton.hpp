// Joint Newton steps of many neurons on their faces. Private.
#pragma once

#include "refine.hpp"

namespace pyconvex {

/// Everything that the steps of a refinement read and change.
struct Refinement {
  Rows X;
  Eigen::VectorXd norms;
  Eigen::VectorXd sample_weight;
  double beta;
  bool intercept;
  bool free_bias;
  Mode mode;
  Neurons neurons;
  Eigen::VectorXd residual;
  Workspace work;

  bool active(Index j, Index i, double a) const;
  /// Take neuron j out of the residual (sign = 1) or put it in (-1).
  void add_output(Index j, double sign);
  /// Refit the intercept exactly: take the weighted mean off the residual and return it.
  double centre();
};

/// What a Newton step promised (-gradient . step) and the change of the intercept.
struct NewtonStep {
  double decrement;
  double shift;
};
NewtonStep newton(Refinement& state);

}  // namespace pyconvex
