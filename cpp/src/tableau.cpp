#include "tableau.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dispatch.hpp"
#include "minors.hpp"
#include "parallel.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// out = a - factor b
PYCONVEX_CLONES void subtract(const double* a, const double* b, double factor, Index n,
                              double* out) {
  for (Index j = 0; j < n; ++j) {
    out[j] = a[j] - factor * b[j];
  }
}

// out = a factor
PYCONVEX_CLONES void multiply(const double* a, double factor, Index n, double* out) {
  for (Index j = 0; j < n; ++j) {
    out[j] = a[j] * factor;
  }
}

PYCONVEX_CLONES Index count_small(const double* values, Index n, double threshold) {
  Index count = 0;
  PYCONVEX_SIMD_SUM(count)
  for (Index j = 0; j < n; ++j) {
    count += is_small(values[j], threshold) ? 1 : 0;
  }
  return count;
}

PYCONVEX_CLONES void pack_signs(const double* values, Index n, Word* words) {
  for (Index start = 0; start < n; start += 64) {
    const Index width = std::min<Index>(64, n - start);
    Word word = 0;
    for (Index k = 0; k < width; ++k) {
      word |= Word{values[start + k] >= 0.0} << k;
    }
    words[start / 64] = word;
  }
}

}  // namespace

Tableau::Tableau(const LinesView& lines, bool whole)
    : lines_(lines),
      m_(lines.Y.rows),
      r_(lines.Y.cols),
      n_words_(words_per_pattern(lines.Y.rows)),
      n_rows_(lines.Y.rows + (whole ? lines.Y.cols : 0)),
      stride_((n_rows_ + 2 * kLanes - 1) / 8 * 8),
      whole_(whole),
      levels_(static_cast<std::size_t>(r_)) {
  const auto words = static_cast<std::size_t>(n_words_);
  for (Level& level : levels_) {
    level.columns.assign(static_cast<std::size_t>(r_ * stride_), 0.0);
    level.bits.assign(words, 0);
    level.closed.assign(words, 0);
    level.above.assign(words, 0);
    level.below.assign(words, 0);
  }
  for (Index c = 0; c < r_; ++c) {
    for (Index j = 0; j < m_; ++j) {
      entries(0, c)[j] = lines.Y(j, c);
    }
    if (whole) {
      entries(0, c)[m_ + c] = 1.0;
    }
  }
  at(0).error = std::max(lines.Z == nullptr ? lines.tol : 0.0, kDoubt);
  for (Index j = 0; j < m_; ++j) {
    if (std::abs(column(0, 0)[j]) <= at(0).error) {
      failed_ = true;
    }
  }
  pack_signs(column(0, 0), m_, at(0).bits.data());
}

bool Tableau::choose(Index t, Index i) {
  const Level& from = at(t);
  Level& to = at(t + 1);
  const double pivot = column(t, t)[i];
  to.line = i;
  to.minor = from.minor * pivot;
  to.error = from.error + kAmplify * kEpsilon / std::abs(from.minor * to.minor);
  for (Index c = t + 1; c < r_; ++c) {
    subtract(column(t, c), column(t, t), column(t, c)[i] / pivot, n_rows_, entries(t + 1, c));
  }
  to.closed = from.closed;
  to.n_closed = from.n_closed;
  std::fill(to.above.begin(), to.above.end(), 0);
  std::fill(to.below.begin(), to.below.end(), 0);
  to.has_residues = false;
  join(t, i);
  const double threshold = to.error / std::abs(to.minor);
  if (count_small(column(t + 1, t + 1), m_, threshold) > to.n_closed && !close(t, i, threshold)) {
    return false;
  }
  pack_signs(column(t + 1, t + 1), m_, to.bits.data());
  const Index first = whole_ ? 0 : i + 1;  // earlier lines will not be chosen any more
  const Index n = n_rows_ - first;
  double* shares = entries(t + 1, t);
  multiply(column(t, t) + first, 1.0 / pivot, n, shares + first);
  for (Index s = 0; s < t; ++s) {
    subtract(column(t, s) + first, shares + first, column(t, s)[i], n, entries(t + 1, s) + first);
  }
  return true;
}

// Decide about the lines whose values at level t + 1 are within rounding errors of zero.
bool Tableau::close(Index t, Index i, double threshold) {
  Level& to = at(t + 1);
  for (Index j = m_ - 1; j >= 0; --j) {
    double& value = entries(t + 1, t + 1)[j];
    if (!is_small(value, threshold) || get_bit(to.closed, j)) {
      continue;
    }
    bool small = true;
    for (Index c = t + 2; c < r_ && small; ++c) {
      small = is_small(column(t + 1, c)[j], threshold);
    }
    if (small && dependent(t, i, j)) {
      if (j > i) {
        return false;
      }
      join(t, j);
      continue;
    }
    std::vector<Index> rows = chosen(t, i);
    rows.push_back(j);
    value = determinant(rows) / to.minor;
    if (failed_) {
      return false;
    }
  }
  return true;
}

// Put line j, a multiple of the newly chosen one modulo the span before, into the span.
void Tableau::join(Index t, Index j) {
  const Level& from = at(t);
  Level& to = at(t + 1);
  const bool same = get_bit(from.bits, j) == get_bit(from.bits, to.line);
  set_bit(same ? to.above : to.below, j);
  set_bit(to.closed, j);
  ++to.n_closed;
  for (Index c = t + 1; c < r_; ++c) {
    entries(t + 1, c)[j] = 0.0;
  }
}

// Whether line j is in the span of those chosen at level t and line i.
bool Tableau::dependent(Index t, Index i, Index j) {
  if (lines_.Z != nullptr) {
    const std::uint64_t* rest = residues(t).data();
    const std::uint64_t* a = rest + i * r_;
    const std::uint64_t* b = rest + j * r_;
    const Index c = std::find_if(a, a + r_, [](std::uint64_t x) { return x != 0; }) - a;
    for (Index k = 0; k < r_; ++k) {
      if (a[c] * b[k] % kPrime != a[k] * b[c] % kPrime) {
        return false;
      }
    }
    return true;
  }
  std::vector<Index> rows = chosen(t, i);
  rows.push_back(j);
  scratch_.clear();
  for (const Index row : rows) {
    scratch_.insert(scratch_.end(), lines_.Y.row(row), lines_.Y.row(row) + r_);
  }
  return std::abs(volume(scratch_.data(), static_cast<Index>(rows.size()), r_)) <= lines_.tol;
}

// All lines modulo the span of the chosen ones, modulo a prime.
const std::vector<std::uint64_t>& Tableau::residues(Index t) {
  Level& level = at(t);
  if (level.has_residues) {
    return level.residues;
  }
  level.residues.resize(static_cast<std::size_t>(m_ * r_));
  if (t == 0) {
    std::transform(lines_.Z, lines_.Z + m_ * r_, level.residues.begin(),
                   [](std::int64_t x) { return residue(x, kPrime); });
  } else {
    const std::uint64_t* from = residues(t - 1).data();
    const std::uint64_t* pivot = from + level.line * r_;
    const Index c = std::find_if(pivot, pivot + r_ - 1, [](auto x) { return x != 0; }) - pivot;
    const std::uint64_t inverse = inverse_modulo(pivot[c], kPrime);
    for (Index j = 0; j < m_; ++j) {
      const std::uint64_t factor = (kPrime - from[j * r_ + c] * inverse % kPrime) % kPrime;
      for (Index k = 0; k < r_; ++k) {
        level.residues[static_cast<std::size_t>(j * r_ + k)] =
            (from[j * r_ + k] + factor * pivot[k]) % kPrime;
      }
    }
  }
  level.has_residues = true;
  return level.residues;
}

std::vector<Index> Tableau::chosen(Index t, Index extra) const {
  std::vector<Index> rows;
  for (Index s = 1; s <= t; ++s) {
    rows.push_back(level(s).line);
  }
  rows.push_back(extra);
  return rows;
}

// Determinant of k lines' first k coordinates; at least its sign is right, or `failed`.
double Tableau::determinant(const std::vector<Index>& rows) {
  const auto k = static_cast<Index>(rows.size());
  scratch_.clear();
  for (const Index row : rows) {
    scratch_.insert(scratch_.end(), lines_.Y.row(row), lines_.Y.row(row) + k);
  }
  const double value = volume(scratch_.data(), k, k);
  if (std::abs(value) > kDoubt) {
    return value;
  }
  int sign = 0;
  if (lines_.Z != nullptr) {
    std::vector<std::int64_t> integers;
    for (const Index row : rows) {
      integers.insert(integers.end(), lines_.Z + row * r_, lines_.Z + row * r_ + k);
    }
    sign = exact_sign(integers, k);
  }
  failed_ = failed_ || sign == 0;
  return sign * std::max(std::abs(value), kEpsilon * kEpsilon);
}

bool Tableau::above(Index t, Index s) {
  const Level& here = at(t);
  double coefficient = column(t, s)[m_ - 1];
  if (is_small(coefficient * here.minor, here.error)) {
    std::vector<Index> rows = chosen(t - 1, here.line);
    rows[static_cast<std::size_t>(s)] = m_ - 1;
    coefficient = determinant(rows) / here.minor;
  }
  return (coefficient > 0.0) != get_bit(here.bits, m_ - 1);
}

void Tableau::pattern(Index t, Word* words) {
  const Level& node = at(t);
  for (Index w = 0; w < n_words_; ++w) {
    const auto k = static_cast<std::size_t>(w);
    words[w] = node.bits[k] & ~node.closed[k];
  }
  for (Index s = 0; s < t; ++s) {
    const Level& step = level(s + 1);
    const std::vector<Word>& side = above(t, s) ? step.above : step.below;
    for (Index w = 0; w < n_words_; ++w) {
      words[w] |= side[static_cast<std::size_t>(w)];
    }
  }
}

}  // namespace pyconvex
