// What a kernel needs per iteration, for roofline comparisons, and random numbers.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "pyconvex/matrix.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {

/// Floating-point operations (comparisons count), bytes between registers and the first cache,
/// and bytes that must come from beyond or go there.
struct Work {
  double flops = 0.0;
  double cache_bytes = 0.0;
  double memory_bytes = 0.0;
};

inline void note(benchmark::State& state, const Work& work) {
  state.counters["flops"] = work.flops;
  state.counters["cache_bytes"] = work.cache_bytes;
  state.counters["memory_bytes"] = work.memory_bytes;
}

inline Matrix gaussian(Index rows, Index cols, unsigned seed = 0) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  Matrix X(rows, cols);
  for (Index k = 0; k < rows * cols; ++k) {
    X.data()[k] = normal(engine);
  }
  return X;
}

inline std::vector<std::uint64_t> random_patterns(const Matrix& X, Index n_patterns) {
  const Matrix G = gaussian(X.cols(), n_patterns, 1);
  std::vector<std::uint64_t> packed(
      static_cast<std::size_t>(n_patterns * words_per_pattern(X.rows())));
  pack_gates(X, G, packed.data(), 1);
  return packed;
}

}  // namespace pyconvex
