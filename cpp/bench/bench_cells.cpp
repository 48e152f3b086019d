// The search for cells, nearly all of whose time is in its leaves.
#include "cells.hpp"
#include "lines.hpp"
#include "work.hpp"

namespace pyconvex {
namespace {

// Per pair of cells and line: a product, a difference and two comparisons, and a bit of
// each of the two patterns. Operands are loaded once per eight or so candidates.
void cells(benchmark::State& state) {
  const Index m = state.range(0), r = state.range(1), part = state.range(2);
  const Matrix X = gaussian(m, r);
  const Lines lines = find_lines(X, 0);
  const Index n_words = words_per_pattern(m);
  std::vector<Word> packed(static_cast<std::size_t>(2 * part * n_words));
  CellOutput output;
  output.packed = packed.data();
  for (auto _ : state) {
    const auto found = search_cells(lines.view(), 0, part, output, 1);
    if (found != part) {
      state.SkipWithError("a wrong number of cells");
      break;
    }
    benchmark::DoNotOptimize(packed.data());
  }
  const auto pairs = static_cast<double>(part);
  const double written = pairs * 2 * 8 * static_cast<double>(n_words);
  note(state, {4 * pairs * static_cast<double>(m), written, written});
  state.counters["cells"] = 2 * pairs;
}
BENCHMARK(cells)
    ->Args({1000, 3, 400'000})
    ->Args({60, 6, 1'000'000})
    ->Args({25, 8, 500'000})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pyconvex
