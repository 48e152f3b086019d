// X^T D_g z of all patterns: the hot loop of group lassos.
#include "pyconvex/pricing.hpp"
#include "work.hpp"

namespace pyconvex {
namespace {

// The sums of four rows are in tables, so that a pattern adds a quarter of its rows; each addition
// loads one operand. Memory: rows and multiplier, bits, gradients, once.
void gradients(benchmark::State& state) {
  const Index n = state.range(0), d = state.range(1), P = state.range(2);
  const Matrix X = gaussian(n, d);
  const std::vector<double> z(static_cast<std::size_t>(n), 0.5);
  const auto packed = random_patterns(X, P);
  Matrix out(P, d);
  for (auto _ : state) {
    gate_gradients(X, packed.data(), P, z.data(), out.data(), 1);
    benchmark::DoNotOptimize(out.data());
  }
  const auto additions = static_cast<double>(n * d * P) / 4;
  note(state,
       {additions, 8 * additions, static_cast<double>(8 * n * (d + 1) + n * P / 8 + 8 * d * P)});
}
BENCHMARK(gradients)
    ->Args({1000, 20, 2000})
    ->Args({5000, 50, 10'000})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pyconvex
