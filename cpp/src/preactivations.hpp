// Loops over the samples of one neuron, for whatever instruction set the machine has.
#pragma once

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// a = X u; `features` holds X feature by feature (p x n), in doubles or floats.
template <class T>
void preactivate(const T* features, Index n, Index p, const double* u, double* a);

/// u = X^T a, for floats; `dense` does it for doubles.
void pull_back(const float* features, Index n, Index p, const double* a, double* u);

/// Add scale times a neuron's output: a where `mask` says so, or (a)_+ where there is no mask.
void add_output(const double* a, const bool* mask, double scale, Index n, double* sum);

/// How far along u + t d each row's preactivation a + t b reaches zero; infinite where it moves
/// away from zero or |b_i| <= still * norms[i]. `on` says on which side of zero a row counts.
void kink_times(const double* a, const double* b, const bool* on, const double* norms, double still,
                Index n, double* times);

}  // namespace pyconvex
