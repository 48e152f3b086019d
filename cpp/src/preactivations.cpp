#include "preactivations.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dispatch.hpp"
#include "parallel.hpp"

namespace pyconvex {
namespace {

constexpr Index kBlock = 1024;  // samples whose preactivations stay in the cache

}  // namespace

template <class T>
PYCONVEX_CLONES void preactivate(const T* features, Index n, Index p, const double* u, double* a) {
  for (Index first = 0; first < n; first += kBlock) {
    const Index size = std::min(kBlock, n - first);
    double* out = a + first;
    std::fill_n(out, size, 0.0);
    Index k = 0;
    for (; k + 4 <= p; k += 4) {  // four at a time: fewer passes over the sums
      const T* x = features + k * n + first;
      const double u0 = u[k], u1 = u[k + 1], u2 = u[k + 2], u3 = u[k + 3];
      for (Index i = 0; i < size; ++i) {
        out[i] += u0 * x[i] + u1 * x[n + i] + u2 * x[2 * n + i] + u3 * x[3 * n + i];
      }
    }
    for (; k < p; ++k) {
      const T* x = features + k * n + first;
      for (Index i = 0; i < size; ++i) {
        out[i] += u[k] * x[i];
      }
    }
  }
}

template void preactivate(const double*, Index, Index, const double*, double*);
template void preactivate(const float*, Index, Index, const double*, double*);

PYCONVEX_CLONES void pull_back(const float* features, Index n, Index p, const double* a,
                               double* u) {
  for (Index k = 0; k < p; ++k) {
    const float* x = features + k * n;
    double sum = 0.0;
    PYCONVEX_SIMD_SUM(sum)
    for (Index i = 0; i < n; ++i) {
      sum += a[i] * static_cast<double>(x[i]);
    }
    u[k] = sum;
  }
}

PYCONVEX_CLONES void add_output(const double* a, const bool* mask, double scale, Index n,
                                double* sum) {
  if (mask == nullptr) {
    for (Index i = 0; i < n; ++i) {
      sum[i] += scale * (a[i] > 0.0 ? a[i] : 0.0);
    }
    return;
  }
  const auto* bits = reinterpret_cast<const unsigned char*>(mask);  // GCC has no vectors of bools
  for (Index i = 0; i < n; ++i) {
    sum[i] += scale * bits[i] * a[i];
  }
}

PYCONVEX_CLONES void kink_times(const double* a, const double* b, const bool* on,
                                const double* norms, double still, Index n, double* times) {
  const auto* bits = reinterpret_cast<const unsigned char*>(on);  // GCC has no vectors of bools
  for (Index i = 0; i < n; ++i) {
    times[i] = 2.0 * bits[i] - 1.0;
  }
  for (Index i = 0; i < n; ++i) {
    const double side = times[i], approach = -side * b[i], away = side * a[i];
    const double t = (away > 0.0 ? away : 0.0) / approach;  // in any case: a branch bars SIMD
    times[i] = approach > still * norms[i] ? t : std::numeric_limits<double>::infinity();
  }
}

}  // namespace pyconvex
