// The one header that knows OpenMP. Without OpenMP everything runs on one thread.
#pragma once

#include <algorithm>
#include <vector>

#include "pyconvex/matrix.hpp"

#ifdef _OPENMP
#include <omp.h>
// In front of a loop that sums into `sum`: permits the reordering that SIMD needs.
#define PYCONVEX_PRAGMA(text) _Pragma(#text)
#define PYCONVEX_SIMD_SUM(sum) PYCONVEX_PRAGMA(omp simd reduction(+ : sum))
#else
#define PYCONVEX_SIMD_SUM(sum)
#endif

namespace pyconvex {

/// Number of threads that `n_threads` stands for; 0 asks for OpenMP's own choice.
inline int resolve_threads(int n_threads) {
#ifdef _OPENMP
  return n_threads > 0 ? n_threads : omp_get_max_threads();
#else
  (void)n_threads;
  return 1;
#endif
}

/// Call body(i) for i = 0 .. n-1, in any order, on up to `n_threads` threads.
/// The body must not throw: an exception cannot leave a parallel region.
template <class Body>
void parallel_for(Index n, int n_threads, const Body& body) {
#ifdef _OPENMP
  const int threads = resolve_threads(n_threads);
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (n > 1 && threads > 1)
#else
  (void)n_threads;
#endif
  for (Index i = 0; i < n; ++i) {
    body(i);
  }
}

/// The same with scratch memory: body(i, state), where each thread has one of `states` to itself.
template <class State, class Body>
void parallel_for(Index n, std::vector<State>& states, const Body& body) {
#ifdef _OPENMP
  const int threads = static_cast<int>(states.size());
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (Index i = 0; i < n; ++i) {
    body(i, states[static_cast<std::size_t>(omp_get_thread_num())]);
  }
#else
  for (Index i = 0; i < n; ++i) {
    body(i, states.front());
  }
#endif
}

/// States for that: copies of one, as many as there will be threads.
template <class State>
std::vector<State> one_per_thread(Index n, int n_threads, const State& state) {
  const Index threads = std::clamp<Index>(n, 1, resolve_threads(n_threads));
  return std::vector<State>(static_cast<std::size_t>(threads), state);
}

}  // namespace pyconvex
