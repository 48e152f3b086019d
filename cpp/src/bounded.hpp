// Branch and bound over simplicial cones: a proof of the dual norm. Private: it uses Eigen.
#pragma once

#include <chrono>
#include <cstdint>

#include "face.hpp"
#include "pyconvex/stop_flag.hpp"

namespace pyconvex {

/// The time so many seconds from now; never, where they are infinite.
std::chrono::steady_clock::time_point deadline_in(double seconds);

/// When to stop.
struct BoundLimits {
  double target = 0.0;         // a bound of (1 + tol) target is good enough
  double tol = 1e-6;           // and so is one of (1 + tol) value
  bool first = false;          // end once a value above (1 + tol) target is found
  std::int64_t max_nodes = 0;  // 0: no limit
  int n_threads = 0;           // results do not depend on it
  StopFlag stop;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

/// N(z) = max |z . (X u)_+| over the unit ball (free bias: the unit ball of the other coordinates,
/// and z must sum to zero) lies in between: the first point attains `value`, none exceeds `bound`.
struct NormBound {
  double value = 0.0;
  double bound = 0.0;
  std::int64_t n_nodes = 0;
  RowMatrix points;       // unit norm, best first
  Eigen::VectorXd signs;  // of z in each point's value
  Eigen::VectorXd values;
};

NormBound bound_norm(MatrixView X, const double* z, bool free_bias, const BoundLimits& limits);

}  // namespace pyconvex
