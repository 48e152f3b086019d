// Groups of fixed masks without cones: exact block updates with Gram matrices that are kept.
// Private.
#pragma once

#include <cstdint>

#include "linear.hpp"
#include "pyconvex/matrix.hpp"
#include "pyconvex/stop_flag.hpp"

namespace pyconvex {

/// X^T D_g diag(sample_weight) X of each pattern into grams (n_patterns x p x p).
void masked_grams(MatrixView X, const std::uint64_t* packed, Index n_patterns,
                  const double* sample_weight, double* grams, int n_threads = 0);
void masked_grams(FloatView X, const std::uint64_t* packed, Index n_patterns,
                  const double* sample_weight, double* grams, int n_threads = 0);

/// Up to `n_sweeps` passes of exact block updates over m groups of loss + beta_j ||u_j|| +
/// ridge / 2 ||u_j||^2; U (m x p) and the residual change, the change of the intercept is
/// returned, and that of the coefficients of other free columns written to `free_shift`.
double descend_groups(MatrixView X, const double* sample_weight, const std::uint64_t* packed,
                      const double* grams, Index m, const double* betas, double ridge,
                      const LinearColumns& free, Index n_sweeps, double* U, double* residual,
                      StopFlag stop = {}, double* free_shift = nullptr);
double descend_groups(FloatView X, const double* sample_weight, const std::uint64_t* packed,
                      const double* grams, Index m, const double* betas, double ridge,
                      const LinearColumns& free, Index n_sweeps, double* U, double* residual,
                      StopFlag stop = {}, double* free_shift = nullptr);

}  // namespace pyconvex
