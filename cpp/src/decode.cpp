// From sets of chosen lines to patterns and vectors inside their cells.
#include <algorithm>
#include <cmath>

#include "cells.hpp"
#include "parallel.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

// A vector inside the cell: w + eps (v_t + eps (v_{t-1} + ...)), where v_s is dual to the chosen
// lines and each eps keeps the lines that the longer vector already put on their side.
void interior_point(Tableau& tableau, Index t, double* point) {
  const Index m = tableau.n_lines();
  const Index r = tableau.rank();
  std::vector<double> u(static_cast<std::size_t>(m + r), 0.0);
  for (Index s = 0; s <= t; ++s) {
    const double sign = s == t || tableau.above(t, s) ? 1.0 : -1.0;
    const double* direction = tableau.column(t, s);
    const Level& node = tableau.level(t);
    double room = 2.0;
    for (Index j = 0; j < m; ++j) {
      const bool decided =
          s == t ? !get_bit(node.closed, j)
                 : get_bit(tableau.level(s + 1).above, j) || get_bit(tableau.level(s + 1).below, j);
      const double step = u[static_cast<std::size_t>(j)];
      if (decided && step * sign * direction[j] < 0.0) {
        room = std::min(room, std::abs(direction[j] / step));
      }
    }
    for (Index j = 0; j < m + r; ++j) {
      double& value = u[static_cast<std::size_t>(j)];
      value = sign * direction[j] + 0.5 * room * value;
    }
  }
  std::copy_n(u.data() + m, r, point);
}

void decode(Tableau& tableau, const std::int32_t* chosen, Word* packed, double* point,
            unsigned char* valid) {
  const Index r = tableau.rank();
  Index t = 0;
  while (t < r - 1 && chosen[t] >= 0) {
    const bool later = t == 0 || chosen[t] > chosen[t - 1];
    if (!later || chosen[t] >= tableau.n_lines() - 1 || !tableau.choose(t, chosen[t])) {
      *valid = 0;
      return;
    }
    ++t;
  }
  tableau.pattern(t, packed);
  interior_point(tableau, t, point);
  *valid = 1;
}

}  // namespace

bool decode_cells(const LinesView& lines, const std::int32_t* chosen, Index n, Word* packed,
                  double* points, unsigned char* valid, int n_threads) {
  const Index r = lines.Y.cols;
  const Index n_words = words_per_pattern(lines.Y.rows);
  constexpr Index kPart = 64;
  const Index n_parts = (n + kPart - 1) / kPart;
  auto tableaus = one_per_thread(n_parts, n_threads, Tableau(lines, true));
  parallel_for(n_parts, tableaus, [&](Index part, Tableau& tableau) {
    for (Index k = kPart * part; k < std::min(n, kPart * (part + 1)); ++k) {
      decode(tableau, chosen + k * (r - 1), packed + k * n_words, points + k * r, valid + k);
    }
  });
  return std::none_of(tableaus.begin(), tableaus.end(),
                      [](const Tableau& tableau) { return tableau.failed(); });
}

}  // namespace pyconvex
