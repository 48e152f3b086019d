// Patterns cut down to the rows that have weight. Private.
#pragma once

#include <cstdint>
#include <vector>

#include "pyconvex/patterns.hpp"

namespace pyconvex {

/// The packed bits of all patterns at the kept rows; patterns keep their indices.
inline std::vector<std::uint64_t> kept_patterns(const PatternSet& patterns,
                                                const std::vector<Index>& kept) {
  const auto n = static_cast<Index>(kept.size());
  if (n == patterns.n_samples()) {
    return patterns.packed();
  }
  const Index n_words = words_per_pattern(n);
  std::vector<std::uint64_t> packed(static_cast<std::size_t>(patterns.size() * n_words), 0);
  for (Index g = 0; g < patterns.size(); ++g) {
    for (Index i = 0; i < n; ++i) {
      const std::uint64_t bit = patterns.active(g, kept[static_cast<std::size_t>(i)]) ? 1 : 0;
      packed[static_cast<std::size_t>(g * n_words + i / 64)] |= bit << (i % 64);
    }
  }
  return packed;
}

}  // namespace pyconvex
