// Minimal networks: sizes of neurons whose outputs are linearly independent. Private.
#pragma once

#include "face.hpp"

namespace pyconvex {

struct Sizes {
  Eigen::VectorXd factors;  // >= 0; 0 for neurons to drop
  double shift = 0.0;       // what to add to the constant
};

/// Factors of neurons that keep the sum of their outputs (columns) and use few of them, at no
/// higher cost: the sizes of one prediction form a polytope on which the penalty is linear; walk
/// along its faces to a vertex (Mishkin & Pilanci 2023). `constant`: a free constant may take over
/// what is constant.
Sizes minimal_sizes(const Eigen::MatrixXd& outputs, const Eigen::VectorXd& costs, bool constant);

}  // namespace pyconvex
