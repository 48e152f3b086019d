// Enumerate the cells of the arrangement of the hyperplanes x_i . h = 0, exactly.
#pragma once

#include <cstdint>
#include <functional>

#include "pyconvex/matrix.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {

struct EnumerationSettings {
  std::int64_t max_patterns = 20'000'000;  // refuse to start if there may be more
  bool verify = false;                     // count once more in other coordinates
  bool witnesses = false;  // also find a vector strictly inside each cell: the set's gates
  int n_threads = 0;       // 0: what OpenMP would take; results do not depend on it
};

/// Every activation pattern 1[X h >= 0] that an open set of vectors h shows; cell 2k + 1 is the
/// opposite of cell 2k. Zero, repeated and parallel rows and dependent columns need no care;
/// integers (26 bits, up to a power of two per row) are treated exactly, other rows with a
/// tolerance near rounding errors. Throws std::invalid_argument where there may be too many
/// patterns, std::runtime_error where rounding errors cannot be kept out or verification fails.
PatternSet enumerate_patterns(MatrixView X, const EnumerationSettings& settings = {});

struct StreamSettings {
  std::int64_t start = 0;  // number of the first pattern
  std::int64_t stop = -1;  // and of the one after the last; -1: all
  Index block_size = 0;    // patterns per block; 0: 65,536, or what fits into 32 MiB
  int n_threads = 0;
};

/// Gets the packed words of the next patterns (n_patterns x words_per_pattern(n)); returning true
/// ends the enumeration.
using BlockCallback = std::function<bool(const std::uint64_t* packed, Index n_patterns)>;

/// The patterns of enumerate_patterns in the same order, block by block, in memory for one block.
void iter_patterns(MatrixView X, const BlockCallback& block, const StreamSettings& settings = {});

/// The number of patterns, without listing them.
std::int64_t count_patterns(MatrixView X, int n_threads = 0);

/// An upper bound at once, 2 sum_{k<r} C(m-1, k) for m distinct lines of rank r; exact in general
/// position up to 2^53, infinite beyond the range of double.
double count_bound(MatrixView X);

enum class Sampling { gaussian, uniform, data };

struct SamplingSettings {
  Sampling method = Sampling::gaussian;
  bool unique = true;  // drop repeats; "uniform" draws without replacement
  std::uint64_t random_state = 0;
  int n_threads = 0;
};

/// Random patterns with gates. gaussian: standard normal gates. uniform: every cell with the same
/// probability. data: cells next to vertices where r - 1 random rows of X vanish. With `unique`
/// fewer than n_patterns may come, at most all there are.
PatternSet sample_patterns(MatrixView X, Index n_patterns, const SamplingSettings& settings = {});

}  // namespace pyconvex
