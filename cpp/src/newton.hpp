// Joint Newton steps of many neurons on their faces. Private.
#pragma once

#include "face_gram.hpp"
#include "refine.hpp"

namespace pyconvex {

/// The large matrices of a Newton step.
struct NewtonBuffers {
  Buffer hessian, factor, a, b;
};

/// Everything that the steps of a refinement read and change.
struct Refinement : Samples {
  Eigen::VectorXd sample_weight;
  double ridge;
  bool intercept;
  bool free_bias;
  Mode mode;
  Neurons neurons;
  Eigen::VectorXd residual;
  Workspace work;
  NewtonBuffers buffers = {};
  FaceGram faces = {};

  /// Take neuron j out of the residual (sign = 1) or put it in (-1).
  void add_output(Index j, double sign);
  /// The same given its preactivations a.
  void add_output(Index j, const double* a, double sign);
  /// Refit the intercept exactly: take the weighted mean off the residual and return it.
  double centre();
};

/// Where a Newton step goes: the weights' part (m x p), the intercept's, -gradient . step.
struct Direction {
  RowMatrix U;
  double intercept = 0.0;
  double decrement = 0.0;
};

/// Newton direction from a system in the K coordinates of the faces.
Direction face_direction(Refinement& state);

/// The same direction for gated neurons from a system with one unknown per sample.
Direction sample_direction(const Refinement& state);

/// What a Newton step promised (-gradient . step) and the change of the intercept.
struct NewtonStep {
  double decrement;
  double shift;
};
/// One joint Newton step; changes the residual, weights, bits and tight rows.
NewtonStep newton(Refinement& state);

/// Flops of a joint Newton step and the side of its system.
struct NewtonCost {
  double work;
  Index size;
};
NewtonCost newton_cost(const Refinement& state);

}  // namespace pyconvex
