// One neuron: exact descent over the cells and faces of the arrangement. Private: it uses Eigen.
#pragma once

#include <utility>
#include <vector>

#include "face.hpp"
#include "pyconvex/stop_flag.hpp"

namespace pyconvex {

enum class Mode {
  gated = 0,     // masks without cones
  fixed = 1,     // cones that hold
  crossing = 2,  // cones that may be left
};

constexpr double kMoving = 1e-11;  // a row whose preactivation changes less, relative, stands still
constexpr double kFloat = 1e-14;   // a preactivation may be off by this, relative to the weights
constexpr double kRounding = 1e-13;  // of a sum, relative to the sum of absolute values
constexpr double kRelease = 1e-9;    // multipliers may violate their box by this much, relative

using Bits = Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Kinks = std::vector<std::pair<double, Index>>;  // how far along a line, and whose

/// Buffers that the functions below share: allocated once per call.
struct Workspace {
  Workspace(Index n, Index p, StopFlag stop_);
  StopFlag stop;
  Eigen::VectorXd a, b;   // preactivations of u and of the direction
  Eigen::VectorXd times;  // when each row meets its kink
  Eigen::Array<bool, Eigen::Dynamic, 1> on;
  Eigen::Array<bool, Eigen::Dynamic, 1> held;  // released since the last move, in vain
  Kinks kinks;
  std::vector<Index> flipped;  // rows whose bits a line search changed
  Eigen::MatrixXd masked;      // p x n: what masked_gram needs
};

/// Change of a unit row's preactivation that is rounding, for a step from weights of given norm.
inline double resting(double length, double size) {
  return kMoving * length + kFloat * size;
}

/// beta d/dt ||u + t p|| from the three inner products.
double norm_slope(double beta, double uu, double up, double pp, double t);

/// Minimise one neuron's objective from u, along faces, to a point no release improves:
///
///     phi(u) = ridge/2 ||u||^2 + sum_on (curvature_i a_i^2 / 2 - slopes_i a_i) + beta ||u||
///
/// with a = X u. Changes `u`, `on`, `tight` and `H`, the masked Gram of the rows that are on and
/// not tight. Returns the number of steps; ends early once work.stop is set.
/// With a ridge H, the curvatures and beta must be zero.
Index descend(const Samples& samples, Eigen::MatrixXd& H, const ConstVector& curvature,
              const ConstVector& slopes, double ridge, double beta, bool free_bias, Mode mode,
              VectorRef u, bool* on, std::int64_t* tight, Index max_steps, Workspace& work);

}  // namespace pyconvex
