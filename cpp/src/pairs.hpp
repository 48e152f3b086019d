// The pairs of opposite cells of an arrangement, by number. Private.
#pragma once

#include <stdexcept>
#include <vector>

#include "cells.hpp"
#include "lines.hpp"

namespace pyconvex {

/// Some determinant vanishes in these coordinates though its rows are independent.
struct RotationFailed : std::runtime_error {
  RotationFailed()
      : std::runtime_error(
            "X has rows that are nearly dependent, beyond what double precision can tell apart: "
            "round X, drop nearly dependent columns, or scale it so that it holds integers") {}
};

/// Call attempt(draw) with one random rotation after another until one serves.
template <class Attempt>
auto with_rotation(const Attempt& attempt) {
  constexpr std::uint64_t kMaxDraws = 20;
  for (std::uint64_t draw = 0; draw + 1 < kMaxDraws; ++draw) {
    try {
      return attempt(draw);
    } catch (const RotationFailed&) {
      continue;
    }
  }
  return attempt(kMaxDraws - 1);
}

/// A set of lines per row (n x r-1, padded with -1).
using Chosen = std::vector<std::int32_t>;

/// Pairs of opposite cells are numbered by sets of fewer than r lines: in general position each
/// set of the first m - 1 lines gives one pair, otherwise some give none.
class Arrangement {
 public:
  Arrangement(MatrixView X, std::uint64_t draw, int n_threads);

  const Lines& lines() const { return lines_; }
  Index n_samples() const { return static_cast<Index>(lines_.line.size()); }
  /// Number of sets, an upper bound of the pairs of cells; may be infinite.
  double n_sets() const { return n_sets_; }
  /// The same as an integer; throws std::invalid_argument where 64 bits cannot number them.
  std::int64_t numbered_sets() const;

  /// Write the pairs of the sets first .. last - 1 to packed (2 (last - first) x words).
  std::int64_t fill(std::int64_t first, std::int64_t last, Word* packed) const;
  std::int64_t count(std::int64_t first, std::int64_t last) const;
  /// The sets of lines of ascending, distinct pairs.
  Chosen chosen(const std::vector<std::int64_t>& pairs) const;
  /// One cell of each set: patterns of the rows of X, vectors inside (n x d); which sets are valid.
  std::vector<unsigned char> decode(const Chosen& chosen, Index n, std::vector<Word>& packed,
                                    RowMatrix& points) const;
  /// A vector inside the first cell of each pair (ascending, distinct), k x d.
  RowMatrix points(const std::vector<std::int64_t>& pairs) const;

 private:
  void find_turns();
  void expand(const std::vector<Word>& packed, Index n_patterns, Word* expanded) const;

  Lines lines_;
  int n_threads_;
  double n_sets_ = 0.0;
  std::vector<std::int64_t> order_;  // for rank 2: lines as a turning vector meets them
  std::vector<Word> start_;          // the pattern before the first one
  RowMatrix between_;                // and vectors between them
};

}  // namespace pyconvex
