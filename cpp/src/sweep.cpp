// Patterns that cost next to nothing: arrangements of rank 2, and rows that repeat a line.
#include <algorithm>
#include <vector>

#include "cells.hpp"
#include "parallel.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

// Rows first .. first + count - 1 that follow lines line .. in the same order.
struct Run {
  Index first, line, count;
  Word flip;  // all ones or none
};

std::vector<Run> find_runs(const std::int64_t* line, const unsigned char* flip, Index n) {
  std::vector<Run> runs;
  for (Index i = 0; i < n; ++i) {
    const Word flipped = flip[i] != 0 ? ~Word{0} : 0;
    if (!runs.empty() && line[i] >= 0) {
      Run& run = runs.back();
      if (run.line >= 0 && line[i] == run.line + run.count && run.flip == flipped) {
        ++run.count;
        continue;
      }
    }
    runs.push_back({i, static_cast<Index>(line[i]), 1, flipped});
  }
  return runs;
}

// Up to 64 bits of a pattern from bit `start` on.
Word read_bits(const Word* words, Index start, Index count) {
  const Index w = start / 64;
  const Index shift = start % 64;
  Word bits = words[w] >> shift;
  if (shift + count > 64) {
    bits |= words[w + 1] << (64 - shift);
  }
  return count == 64 ? bits : bits & ((Word{1} << count) - 1);
}

void copy_run(const Word* words, const Run& run, Word* expanded) {
  for (Index done = 0; done < run.count;) {
    const Index to = run.first + done;
    const Index count = std::min(run.count - done, 64 - to % 64);
    const Word mask = count == 64 ? ~Word{0} : (Word{1} << count) - 1;
    const Word bits = run.line < 0 ? mask : read_bits(words, run.line + done, count);
    expanded[to / 64] |= ((bits ^ run.flip) & mask) << (to % 64);
    done += count;
  }
}

}  // namespace

void expand_rows(const Word* packed, Index n_patterns, Index m, const std::int64_t* line,
                 const unsigned char* flip, Index n_samples, Word* expanded, int n_threads) {
  const std::vector<Run> runs = find_runs(line, flip, n_samples);
  const Index from_words = words_per_pattern(m);
  const Index to_words = words_per_pattern(n_samples);
  constexpr Index kPart = 1024;
  parallel_for((n_patterns + kPart - 1) / kPart, n_threads, [&](Index part) {
    for (Index g = kPart * part; g < std::min(n_patterns, kPart * (part + 1)); ++g) {
      Word* to = expanded + g * to_words;
      std::fill_n(to, to_words, 0);
      for (const Run& run : runs) {
        copy_run(packed + g * from_words, run, to);
      }
    }
  });
}

void sweep_cells(const std::int64_t* order, Index m, const Word* start, std::int64_t first,
                 std::int64_t last, Word* packed) {
  const Index n_words = words_per_pattern(m);
  const Word padding = m % 64 == 0 ? ~Word{0} : (Word{1} << (m % 64)) - 1;
  std::vector<Word> pattern(start, start + n_words);
  const auto turn = [&](std::int64_t k) {
    pattern[static_cast<std::size_t>(order[k] / 64)] ^= Word{1} << (order[k] % 64);
  };
  for (std::int64_t k = 0; k < first; ++k) {
    turn(k);
  }
  for (std::int64_t k = first; k < last; ++k) {
    for (Index w = 0; w < n_words; ++w) {
      packed[w] = pattern[static_cast<std::size_t>(w)];
      packed[n_words + w] = ~pattern[static_cast<std::size_t>(w)];
    }
    packed += 2 * n_words;
    packed[-1] &= padding;
    turn(k);
  }
}

}  // namespace pyconvex
