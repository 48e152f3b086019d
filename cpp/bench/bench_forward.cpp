// The output of one neuron added to a sum: preactivations X u, then those that are on.
#include <memory>

#include "preactivations.hpp"
#include "work.hpp"

namespace pyconvex {
namespace {

void forward(benchmark::State& state) {
  const Index n = state.range(0), d = state.range(1);
  const Matrix features = gaussian(d, n);  // feature by feature
  const Matrix u = gaussian(1, d, 1);
  const auto size = static_cast<std::size_t>(n);
  std::vector<double> a(size), sum(size);
  const std::unique_ptr<bool[]> mask(new bool[size]);
  for (std::size_t i = 0; i < size; ++i) {
    mask[i] = i % 3 != 0;
  }
  for (auto _ : state) {
    preactivate(features.data(), n, d, u.data(), a.data());
    add_output(a.data(), mask.get(), 1e-9, n, sum.data());
    benchmark::DoNotOptimize(sum.data());
    benchmark::ClobberMemory();
  }
  // The features are read once; four at a time pass over the sums, which stay in the cache.
  const auto numbers = static_cast<double>(n * d), rows = static_cast<double>(n);
  const double read = 8 * numbers + 25 * rows;
  note(state, {2 * numbers + 2 * rows, read + 4 * numbers, read});
}
BENCHMARK(forward)->Args({1000, 20})->Args({5000, 50})->Args({400'000, 50});

}  // namespace
}  // namespace pyconvex
