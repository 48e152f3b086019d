// Pricing: neurons that would lower the objective, found for a dual vector z.
#pragma once

#include <cstdint>

#include "pyconvex/matrix.hpp"
#include "pyconvex/stop_flag.hpp"

namespace pyconvex {

// Kernels on raw arrays. `tight` holds rows of X whose preactivation is zero, padded with -1.
// Once `stop` is set they return early, with results that are incomplete but well formed.

/// Local maxima over the unit ball of z . (X u)_+, one from each row of `starts` (k x p).
/// Fills points (k x p; unscaled, zero where nothing positive was found) and tight (k x p).
/// With `free_bias` the last coordinate of u does not count in its norm.
void walk(MatrixView X, const double* z, MatrixView starts, bool free_bias, double* points,
          std::int64_t* tight, int n_threads = 0, StopFlag stop = {});

/// Project each row of C (n_patterns x p) onto its closed cell {u : x_i . u >= 0 where the bit is
/// on, <= 0 elsewhere}, with `free_bias` in the semi-norm of the other coordinates. Fills points
/// (n_patterns x p) and tight (n_patterns x p). Where the norm of a projection is at most its entry
/// of `enough` (n_patterns) the point may stop short of the cell.
void project_cells(MatrixView X, const std::uint64_t* packed, MatrixView C, const double* enough,
                   bool free_bias, double* points, std::int64_t* tight, int n_threads = 0,
                   StopFlag stop = {});

/// X^T D_g z for every pattern into gradients (n_patterns x p).
void gate_gradients(MatrixView X, const std::uint64_t* packed, Index n_patterns, const double* z,
                    double* gradients, int n_threads = 0);
void gate_gradients(FloatView X, const std::uint64_t* packed, Index n_patterns, const double* z,
                    double* gradients, int n_threads = 0);

}  // namespace pyconvex
