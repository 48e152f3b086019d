#include "pyconvex/arrangement.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "pairs.hpp"
#include "problem.hpp"
#include "random.hpp"

namespace pyconvex {
namespace {

constexpr Index kBlockSize = 65'536;
constexpr Index kBlockWords = Index{1} << 22;  // 32 MiB
constexpr Index kFetchWords = Index{1} << 18;  // several small blocks at once

void check_matrix(MatrixView X) {
  if (X.empty()) {
    throw std::invalid_argument("X must hold at least one sample and one feature");
  }
  check_finite(X, "X");
}

// The one cell of zero rows, all of which are on.
PatternSet single_pattern(MatrixView X) {
  return PatternSet::from_dense(std::vector<unsigned char>(static_cast<std::size_t>(X.rows), 1),
                                X.rows);
}

// Witnesses of all patterns as gates (d x n_patterns).
Matrix find_gates(const Arrangement& arrangement, std::int64_t n_pairs) {
  std::vector<std::int64_t> pairs(static_cast<std::size_t>(n_pairs));
  std::iota(pairs.begin(), pairs.end(), 0);
  const RowMatrix points = arrangement.points(pairs);
  Matrix gates(points.cols(), 2 * points.rows());
  for (Index g = 0; g < gates.cols(); ++g) {
    for (Index k = 0; k < gates.rows(); ++k) {
      gates(k, g) = g % 2 == 0 ? points(g / 2, k) : -points(g / 2, k);
    }
  }
  return gates;
}

void verify(const PatternSet& patterns, MatrixView X, int n_threads) {
  Matrix turned(X.rows, X.cols);  // other rows come first, so other coordinates are drawn
  for (Index i = 0; i < X.rows; ++i) {
    std::copy_n(X.row(X.rows - 1 - i), X.cols, turned.row(i));
  }
  const auto distinct =
      unique(patterns.packed().data(), patterns.size(), patterns.n_words()).size();
  const std::int64_t count = count_patterns(turned, n_threads);
  if (count != patterns.size() || static_cast<std::int64_t>(distinct) != count) {
    throw std::runtime_error("verification failed: " + std::to_string(patterns.size()) +
                             " patterns, " + std::to_string(distinct) + " of them distinct, but " +
                             std::to_string(count) + " by a second count");
  }
}

// Blocks of patterns from the pairs of one set of lines after another.
void stream(const Arrangement& arrangement, const BlockCallback& block,
            const StreamSettings& settings) {
  const Index width = words_per_pattern(arrangement.n_samples());
  const auto n_words = static_cast<std::size_t>(width);
  const Index fitting = std::clamp<Index>(kBlockWords / width, 1, kBlockSize);
  const Index block_size = settings.block_size > 0 ? settings.block_size : fitting;
  const Index fetch = std::max<Index>(std::min(4 * block_size, kFetchWords / width), 64);
  const std::int64_t n_sets = arrangement.numbered_sets();
  std::int64_t set = 0;
  std::int64_t done = 0;  // pairs of the sets before
  while (set < n_sets && done < settings.start / 2) {
    const std::int64_t last = std::min(set + settings.start / 2 - done, n_sets);
    done += arrangement.count(set, last);
    set = last;
  }
  std::int64_t skip = settings.start - 2 * done;
  std::int64_t left = settings.stop < 0 ? 2 * n_sets : settings.stop - settings.start;
  std::vector<Word> ready, packed;
  while (left > 0 && (set < n_sets || !ready.empty())) {
    const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(block_size, left));
    while (ready.size() < wanted * n_words && set < n_sets) {
      const std::int64_t last =
          std::min<std::int64_t>(set + std::max(block_size / 2, fetch), n_sets);
      packed.resize(static_cast<std::size_t>(2 * (last - set)) * n_words);
      const std::int64_t found = 2 * arrangement.fill(set, last, packed.data());
      const std::int64_t dropped = std::min(skip, found);
      ready.insert(ready.end(), packed.begin() + dropped * static_cast<std::int64_t>(n_words),
                   packed.begin() + found * static_cast<std::int64_t>(n_words));
      skip -= dropped;
      set = last;
    }
    const std::size_t n = std::min(wanted, ready.size() / n_words);
    if (n == 0 || block(ready.data(), static_cast<Index>(n))) {
      return;
    }
    ready.erase(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(n * n_words));
    left -= static_cast<std::int64_t>(n);
  }
}

}  // namespace

PatternSet enumerate_patterns(MatrixView X, const EnumerationSettings& settings) {
  check_matrix(X);
  PatternSet patterns = with_rotation([&](std::uint64_t draw) {
    const Arrangement arrangement(X, draw, settings.n_threads);
    if (arrangement.lines().rank() == 0) {
      return single_pattern(X);
    }
    if (2.0 * arrangement.n_sets() > static_cast<double>(settings.max_patterns)) {
      throw std::invalid_argument(
          "X may have more than max_patterns = " + std::to_string(settings.max_patterns) +
          " patterns: stream them with iter_patterns, draw some with sample_patterns, or raise "
          "max_patterns (degenerate data have fewer: count_patterns tells)");
    }
    const std::int64_t n_sets = arrangement.numbered_sets();
    const auto n_words = words_per_pattern(X.rows);
    std::vector<Word> packed(static_cast<std::size_t>(2 * n_sets * n_words));
    const std::int64_t n_pairs = arrangement.fill(0, n_sets, packed.data());
    packed.resize(static_cast<std::size_t>(2 * n_pairs * n_words));
    return PatternSet::from_packed(
        std::move(packed), X.rows,
        settings.witnesses ? find_gates(arrangement, n_pairs) : Matrix());
  });
  if (settings.verify) {
    verify(patterns, X, settings.n_threads);
  }
  return patterns;
}

void iter_patterns(MatrixView X, const BlockCallback& block, const StreamSettings& settings) {
  check_matrix(X);
  if (settings.block_size < 0 || settings.start < 0) {
    throw std::invalid_argument("block_size and start must be >= 0");
  }
  bool begun = false;
  with_rotation([&](std::uint64_t draw) {
    const Arrangement arrangement(X, draw, settings.n_threads);
    const auto once = [&](const Word* packed, Index n_patterns) {
      begun = true;
      return block(packed, n_patterns);
    };
    if (arrangement.lines().rank() == 0) {
      if (settings.start == 0 && settings.stop != 0) {
        block(single_pattern(X).packed().data(), 1);
      }
      return 0;
    }
    try {
      stream(arrangement, once, settings);
    } catch (const RotationFailed& error) {
      if (begun) {  // another rotation has another order
        throw std::runtime_error(error.what());
      }
      throw;
    }
    return 0;
  });
}

std::int64_t count_patterns(MatrixView X, int n_threads) {
  check_matrix(X);
  return with_rotation([&](std::uint64_t draw) -> std::int64_t {
    const Arrangement arrangement(X, draw, n_threads);
    return arrangement.lines().rank() == 0 ? 1
                                           : 2 * arrangement.count(0, arrangement.numbered_sets());
  });
}

double count_bound(MatrixView X) {
  check_matrix(X);
  const Arrangement arrangement(X, 0, 1);
  return arrangement.lines().rank() == 0 ? 1.0 : 2.0 * arrangement.n_sets();
}

}  // namespace pyconvex
