// What one core of this machine can do: multiply-adds, loads from the first cache, and from memory.
#include <cstring>

#include "dispatch.hpp"
#include "work.hpp"

namespace pyconvex {
namespace {

using Lanes = double __attribute__((vector_size(64)));

// N independent chains, enough of them to hide the latency of one. Few registers: a smaller N.
template <int N>
PYCONVEX_CLONES void multiply_add(double* values, Index times) {
  Lanes a[N];
  std::memcpy(a, values, sizeof a);
  const double factor = 0.999, term = 1e-3;
  for (Index t = 0; t < times; ++t) {
    for (int k = 0; k < N; ++k) {
      a[k] = a[k] * factor + term;
    }
  }
  std::memcpy(values, a, sizeof a);
}

PYCONVEX_CLONES double sum(const double* values, Index n) {
  Lanes a[8], x;
  std::memset(a, 0, sizeof a);
  for (Index i = 0; i + 64 <= n; i += 64) {
    for (int k = 0; k < 8; ++k) {
      std::memcpy(&x, values + i + 8 * k, sizeof x);
      a[k] += x;
    }
  }
  double total = 0.0;
  for (const auto& part : a) {
    total += part[0] + part[7];
  }
  return total;
}

template <int N>
void limit_flops(benchmark::State& state) {
  constexpr Index kTimes = 1000;
  std::vector<double> values(8 * N, 1.0);
  for (auto _ : state) {
    multiply_add<N>(values.data(), kTimes);
    benchmark::DoNotOptimize(values.data());
    benchmark::ClobberMemory();
  }
  note(state, {2.0 * 8 * N * kTimes, 0.0, 0.0});
}
BENCHMARK_TEMPLATE(limit_flops, 6);
BENCHMARK_TEMPLATE(limit_flops, 10);

void limit_bytes(benchmark::State& state) {
  const std::vector<double> values(static_cast<std::size_t>(state.range(0) / 8), 1.0);
  for (auto _ : state) {
    benchmark::DoNotOptimize(sum(values.data(), static_cast<Index>(values.size())));
  }
  const auto bytes = static_cast<double>(state.range(0));
  note(state, {bytes / 8, bytes, state.range(0) > (1 << 16) ? bytes : 0.0});
}
BENCHMARK(limit_bytes)->Arg(1 << 14)->Arg(1 << 28);

}  // namespace
}  // namespace pyconvex
