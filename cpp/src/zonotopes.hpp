// Exact pricing: the dual norm as the distance of two zonotopes. Private: it uses Eigen.
//
// g(w) = z . (X w)_+ is h_A - h_B, the difference of the support functions of the zonotopes
// A = sum over z_i > 0 of z_i [0, x_i] and B = sum over z_i < 0 of |z_i| [0, x_i]. So the largest
// g on the unit ball is the largest distance of a vertex of A from B, and that of -g is the same
// with A and B exchanged. Vertices of A are the cells of the rows with z_i > 0.
#pragma once

#include <limits>

#include "face.hpp"
#include "pyconvex/stop_flag.hpp"

namespace pyconvex {

struct Farthest {
  Index index = -1;           // of the vertex; -1: none is farther than the value given
  double value = 0.0;         // attained by the direction, a lower bound of the distance
  double bound = 0.0;         // of all distances, from above
  Eigen::VectorXd direction;  // from B to the vertex; a free bias is that of the neuron
};

/// The row of V (k x p) farthest from sum_j w_j [0, x_j] (X m x p, w > 0), if farther than `value`.
/// With `free_bias` the last column of X is ones, and distances are those in the other coordinates
/// to the points with the vertex's last one. Bounds agree to a relative 1e-10. Once `stop` is set
/// the bound is infinite.
Farthest farthest(MatrixView V, MatrixView X, const double* weights, bool free_bias, double value,
                  int n_threads = 0, StopFlag stop = {});

struct ExactNorm {
  double value = 0.0;  // attained by the neuron
  double bound = 0.0;  // of N(z), from above
  Eigen::VectorXd point;
  double sign = 1.0;
};

/// N(z), the largest |z . (X w)_+| over the unit ball, exactly. With `free_bias` the last column of
/// X is ones and does not count in the norm, and z must sum to zero. Throws std::invalid_argument
/// where there may be more than `max_cells` vertices.
ExactNorm exact_norm(MatrixView X, const double* z, bool free_bias, int n_threads = 0,
                     StopFlag stop = {},
                     double max_cells = std::numeric_limits<double>::infinity());

}  // namespace pyconvex
