// Every cell of a central arrangement lies on one side of a generic hyperplane c . h = 0; cells
// there are counted by bases without broken circuits. The last line plays infinity. A set of lines
// i_1 < ... < i_t, t < r, such that no later line ever falls into the span of the first ones, gives
// one pair of cells: at its bottom vertex w (orthogonal to the chosen lines, in the first t + 1
// coordinates) lines outside the span keep the side of w, and the chosen ones are passed on the
// side that the coefficients of e_t in terms of the chosen lines and the last one tell.
// Cf. Bjorner & Ziegler, "Broken circuit complexes" (1991); Zaslavsky (1975).
#include "cells.hpp"

#include <algorithm>
#include <cmath>

#include "dispatch.hpp"
#include "parallel.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

constexpr std::int64_t kMinPart = 512;  // ranks that are worth a thread's attention
constexpr Index kPartsPerThread = 4;

// Signs and near-zeros of q_j - p_j ratio for up to 64 lines j, eight by eight, and `Lanes`
// candidates. Eight lines at a time keep the sums in registers: a compiler vectorises over the
// candidates.
template <Index Lanes>
PYCONVEX_CLONES void tile(const double* p, const double* q, Index n, const double* ratio,
                          const double* threshold, Word* words, Word* n_small) {
  Word bits[Lanes] = {};
  Word small[Lanes] = {};
  for (Index j = (n + 7) / 8 * 8 - 8; j >= 0; j -= 8) {
    for (Index t = 0; t < Lanes; ++t) {
      Word b = bits[t];
      Word s = small[t];
      for (Index k = 7; k >= 0; --k) {
        const double value = q[j + k] - p[j + k] * ratio[t];
        b = (b << 1) | Word{value >= 0.0};
        s += Word{is_small(value, threshold[t])};
      }
      bits[t] = b;
      small[t] = s;
    }
  }
  for (Index t = 0; t < Lanes; ++t) {
    words[t] = bits[t];
    n_small[t] += small[t];
  }
}

// sizes(e, s): sets of at most s out of e lines.
class SetCounts {
 public:
  SetCounts(Index m, Index r)
      : width_(r + 1), sizes_(static_cast<std::size_t>((m + 1) * (r + 1)), 1) {
    for (Index e = 1; e <= m; ++e) {
      for (Index s = 1; s <= r; ++s) {
        at(e, s) = at(e - 1, s) + at(e - 1, s - 1);
      }
    }
  }
  std::int64_t operator()(Index e, Index s) const {
    return sizes_[static_cast<std::size_t>(e * width_ + s)];
  }

 private:
  std::int64_t& at(Index e, Index s) { return sizes_[static_cast<std::size_t>(e * width_ + s)]; }
  Index width_;
  std::vector<std::int64_t> sizes_;
};

class CellSearch {
 public:
  CellSearch(const LinesView& lines, const SetCounts& sizes);
  std::int64_t run(std::int64_t first, std::int64_t last, const CellOutput& output);

 private:
  void emit(Index t);
  void leaves(Index t);
  template <Index Lanes>
  void leaf_tile(Index t, Index i, Index count);
  template <Index Lanes>
  void candidate_words(Index t, Index i);
  void write_pair(const Word* pattern, Index lane_stride);
  void write_chosen(Index t, Index last_line);

  Tableau tableau_;
  const SetCounts& sizes_;
  Index m_, r_, n_words_;
  Word padding_;
  std::int64_t rank_ = 0, first_ = 0, last_ = 0, n_found_ = 0;
  CellOutput output_;
  std::vector<Index> next_;
  std::vector<Word> pattern_, tile_;  // tile_: n_words x kLanes
  double ratio_[kLanes], inverse_[kLanes], threshold_[kLanes];
  Word n_small_[kLanes];
};

CellSearch::CellSearch(const LinesView& lines, const SetCounts& sizes)
    : tableau_(lines),
      sizes_(sizes),
      m_(lines.Y.rows),
      r_(lines.Y.cols),
      n_words_(tableau_.n_words()),
      padding_(m_ % 64 == 0 ? ~Word{0} : (Word{1} << (m_ % 64)) - 1),
      next_(static_cast<std::size_t>(r_)),
      pattern_(static_cast<std::size_t>(n_words_)),
      tile_(static_cast<std::size_t>(n_words_ * kLanes)) {}

// Depth first over the sets of lines, skipping what lies before `first`.
std::int64_t CellSearch::run(std::int64_t first, std::int64_t last, const CellOutput& output) {
  output_ = output;
  first_ = first;
  last_ = last;
  n_found_ = rank_ = 0;
  Index t = 0;
  next_[0] = 0;
  emit(0);
  while (t >= 0 && rank_ < last_ && !tableau_.failed()) {
    if (t >= r_ - 2) {
      if (t == r_ - 2) {
        leaves(t);
      }
      --t;
      continue;
    }
    const Index i = next_[static_cast<std::size_t>(t)]++;
    if (i > m_ - 2) {
      --t;
      continue;
    }
    const std::int64_t size = sizes_(m_ - 2 - i, r_ - 2 - t);
    if (rank_ + size <= first_ || !tableau_.choose(t, i)) {
      rank_ += size;
      continue;
    }
    ++t;
    next_[static_cast<std::size_t>(t)] = i + 1;
    emit(t);
  }
  return tableau_.failed() ? kRedraw : n_found_;
}

// The pair of cells of the lines chosen at level t.
void CellSearch::emit(Index t) {
  if (rank_++ < first_) {
    return;
  }
  if (output_.packed != nullptr) {
    tableau_.pattern(t, pattern_.data());
    write_pair(pattern_.data(), 1);
  }
  write_chosen(t, t > 0 ? tableau_.level(t).line : -1);
  ++n_found_;
}

void CellSearch::write_pair(const Word* pattern, Index lane_stride) {
  Word* cell = output_.packed + 2 * n_found_ * n_words_;
  Word* opposite = cell + n_words_;
  for (Index w = 0; w < n_words_; ++w) {
    cell[w] = pattern[w * lane_stride];
    opposite[w] = ~pattern[w * lane_stride];
  }
  opposite[n_words_ - 1] &= padding_;
}

// Levels 1 .. t - 1 and the last line.
void CellSearch::write_chosen(Index t, Index last_line) {
  if (output_.chosen == nullptr) {
    return;
  }
  std::int32_t* chosen = output_.chosen + n_found_ * (r_ - 1);
  std::fill_n(chosen, r_ - 1, -1);
  for (Index s = 1; s <= t; ++s) {
    chosen[s - 1] = static_cast<std::int32_t>(s < t ? tableau_.level(s).line : last_line);
  }
}

// All sets with one more line than level t = r - 2 has.
void CellSearch::leaves(Index t) {
  const Index start = tableau_.level(t).line + 1;
  const Index skipped =
      static_cast<Index>(std::clamp<std::int64_t>(first_ - rank_, 0, m_ - 1 - start));
  rank_ += skipped;
  Index i = start + skipped;
  while (i < m_ - 1 && rank_ < last_ && !tableau_.failed()) {
    const auto left = static_cast<Index>(std::min<std::int64_t>(last_ - rank_, m_ - 1 - i));
    const Index count = std::min(kLanes, left);
    if (count > kLanes / 2) {
      leaf_tile<kLanes>(t, i, count);
    } else {
      leaf_tile<kLanes / 2>(t, i, count);
    }
    i += count;
  }
}

template <Index Lanes>
void CellSearch::leaf_tile(Index t, Index i, Index count) {
  const Level& node = tableau_.level(t);
  const double* p = tableau_.column(t, t);
  const double* q = tableau_.column(t, t + 1);
  constexpr double kUnit = 2.220446049250313e-16;
  for (Index k = 0; k < Lanes; ++k) {
    inverse_[k] = 1.0 / p[i + k];
    ratio_[k] = q[i + k] * inverse_[k];
    const double minor = std::abs(node.minor * p[i + k]);
    threshold_[k] = (node.error + kAmplify * kUnit / std::abs(node.minor * minor)) / minor;
    n_small_[k] = 0;
  }
  for (Index w = 0; w < n_words_; ++w) {
    tile<Lanes>(p + 64 * w, q + 64 * w, std::min<Index>(64, m_ - 64 * w), ratio_, threshold_,
                tile_.data() + w * Lanes, n_small_);
  }
  if (output_.packed != nullptr) {
    candidate_words<Lanes>(t, i);
  }
  const auto expected = static_cast<Word>(node.n_closed + 1 + (8 - m_ % 8) % 8);  // and padding
  for (Index k = 0; k < count; ++k) {
    if (n_small_[k] == expected) {
      if (output_.packed != nullptr) {
        write_pair(tile_.data() + k, Lanes);
      }
      write_chosen(t + 1, i + k);
      ++n_found_;
      ++rank_;
    } else if (tableau_.choose(t, i + k)) {  // the thorough way
      emit(t + 1);
    } else {
      ++rank_;
    }
  }
}

// Put the bits of the chosen lines, and of what lies in their span, into the tile.
template <Index Lanes>
void CellSearch::candidate_words(Index t, Index i) {
  const Level& node = tableau_.level(t);
  const double* p = tableau_.column(t, t);
  const std::size_t last = static_cast<std::size_t>((n_words_ - 1) * Lanes);
  Word infinity[Lanes];  // all ones where the last line is on
  for (Index k = 0; k < Lanes; ++k) {
    infinity[k] = Word{0} - ((tile_[last + static_cast<std::size_t>(k)] >> ((m_ - 1) % 64)) & 1U);
  }
  for (Index w = 0; w < n_words_; ++w) {
    const Word mask = w + 1 < n_words_ ? ~Word{0} : padding_;
    const Word open = mask & ~node.closed[static_cast<std::size_t>(w)];
    if (open != ~Word{0}) {
      for (Index k = 0; k < Lanes; ++k) {
        tile_[static_cast<std::size_t>(w * Lanes + k)] &= open;
      }
    }
  }
  for (Index s = 0; s < t; ++s) {
    const Level& step = tableau_.level(s + 1);
    const double* share = tableau_.column(t, s);
    Word on[Lanes];
    for (Index k = 0; k < Lanes; ++k) {
      const double b = share[m_ - 1] - p[m_ - 1] * inverse_[k] * share[i + k];
      on[k] = (Word{0} - Word{b > 0.0}) ^ infinity[k];
      n_small_[k] += Word{is_small(b, threshold_[k])} << 32;
    }
    for (Index w = 0; w < n_words_; ++w) {
      const Word above = step.above[static_cast<std::size_t>(w)];
      const Word below = step.below[static_cast<std::size_t>(w)];
      if ((above | below) != 0) {
        for (Index k = 0; k < Lanes; ++k) {
          tile_[static_cast<std::size_t>(w * Lanes + k)] |= (above & on[k]) | (below & ~on[k]);
        }
      }
    }
  }
  const bool last_on = get_bit(node.bits, m_ - 1);
  for (Index k = 0; k < Lanes && i + k < m_ - 1; ++k) {
    const Word bit = Word{1} << ((i + k) % 64);
    Word& word = tile_[static_cast<std::size_t>((i + k) / 64 * Lanes + k)];
    const bool same = last_on == get_bit(node.bits, i + k);
    word = same != (infinity[k] != 0) ? word | bit : word & ~bit;
  }
}

}  // namespace

std::int64_t search_cells(const LinesView& lines, std::int64_t first, std::int64_t last,
                          const CellOutput& output, int n_threads) {
  const Index m = lines.Y.rows;
  const Index r = lines.Y.cols;
  const SetCounts sizes(m - 1, r - 1);
  const std::int64_t wanted = kPartsPerThread * resolve_threads(n_threads);
  const std::int64_t n_parts = std::clamp<std::int64_t>((last - first) / kMinPart, 1, wanted);
  const auto part_start = [=](std::int64_t part) {
    return first + (last - first) / n_parts * part + std::min(part, (last - first) % n_parts);
  };
  std::vector<std::int64_t> found(static_cast<std::size_t>(n_parts));
  auto searches = one_per_thread(n_parts, n_threads, CellSearch(lines, sizes));
  const Index n_words = words_per_pattern(m);
  const auto output_at = [&](std::int64_t pair) {
    return CellOutput{output.packed == nullptr ? nullptr : output.packed + 2 * pair * n_words,
                      output.chosen == nullptr ? nullptr : output.chosen + pair * (r - 1)};
  };
  parallel_for(static_cast<Index>(n_parts), searches, [&](Index part, CellSearch& search) {
    const std::int64_t start = part_start(part);
    found[static_cast<std::size_t>(part)] =
        search.run(start, part_start(part + 1), output_at(start - first));
  });
  std::int64_t total = 0;
  for (Index part = 0; part < n_parts; ++part) {  // close the gaps that missing cells leave
    const std::int64_t count = found[static_cast<std::size_t>(part)];
    if (count == kRedraw) {
      return kRedraw;
    }
    const CellOutput from = output_at(part_start(part) - first);
    const CellOutput to = output_at(total);
    if (to.packed != from.packed) {
      std::copy_n(from.packed, 2 * count * n_words, to.packed);
    }
    if (to.chosen != from.chosen) {
      std::copy_n(from.chosen, count * (r - 1), to.chosen);
    }
    total += count;
  }
  return total;
}

}  // namespace pyconvex
