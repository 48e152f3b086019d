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
  Linear linear;
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
};

/// Where a Newton step goes: the weights' part (m x p), those of the decayed and of the free
/// columns of the output, -gradient . step.
struct Direction {
  RowMatrix U;
  Eigen::VectorXd decayed, free;
  double decrement = 0.0;
};

/// Newton direction from a system in the K coordinates of the faces.
Direction face_direction(Refinement& state);

/// The same direction for gated neurons from a system with one unknown per sample.
Direction sample_direction(const Refinement& state);

/// One joint Newton step; changes the residual, weights, bits and tight rows. Returns what it
/// promised, -gradient . step.
double newton(Refinement& state);

/// Flops of a joint Newton step and the side of its system.
struct NewtonCost {
  double work;
  Index size;
};
NewtonCost newton_cost(const Refinement& state);

}  // namespace pyconvex
