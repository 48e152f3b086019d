#include "pyconvex/patterns.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <unordered_set>
#include <utility>

#include "dispatch.hpp"
#include "parallel.hpp"

namespace pyconvex {
namespace {

using Word = std::uint64_t;
constexpr Index kTile = 32;  // gates handled together: their sums stay in registers

// tile(k, t) = G(k, first + t), padded with zeros: contiguous loads for any number of gates.
std::vector<double> copy_tile(MatrixView G, Index first) {
  const Index width = std::min(kTile, G.cols - first);
  std::vector<double> tile(static_cast<std::size_t>(G.rows * kTile), 0.0);
  for (Index k = 0; k < G.rows; ++k) {
    std::copy_n(G.row(k) + first, width, tile.data() + k * kTile);
  }
  return tile;
}

// Word `w` of the kTile patterns of one tile: SIMD runs across gates, so no sum is reordered.
PYCONVEX_CLONES void pack_word(MatrixView X, const double* tile, Index w, Word* words) {
  std::fill_n(words, kTile, Word{0});
  const Index end = std::min(X.rows, 64 * (w + 1));
  for (Index i = 64 * w; i < end; ++i) {
    double sum[kTile] = {};
    for (Index k = 0; k < X.cols; ++k) {
      const double x = X(i, k);
      for (Index t = 0; t < kTile; ++t) {
        sum[t] += x * tile[k * kTile + t];
      }
    }
    for (Index t = 0; t < kTile; ++t) {
      words[t] |= Word{sum[t] >= 0.0} << (i % 64);
    }
  }
}

void pack_tile(MatrixView X, MatrixView G, const double* tile, Index first, Word* packed) {
  const Index n_words = words_per_pattern(X.rows);
  const Index width = std::min(kTile, G.cols - first);
  Word words[kTile];
  for (Index w = 0; w < n_words; ++w) {
    pack_word(X, tile, w, words);
    for (Index t = 0; t < width; ++t) {
      packed[(first + t) * n_words + w] = words[t];
    }
  }
}

Word hash_row(const Word* row, Index n_words) {
  Word hash = 0;
  for (Index w = 0; w < n_words; ++w) {
    hash = (hash ^ row[w]) * 0x9E3779B97F4A7C15ULL;  // odd: multiplication loses nothing
    hash ^= hash >> 32;
  }
  return hash;
}

Matrix select_columns(MatrixView G, const std::vector<std::int64_t>& columns) {
  Matrix selected(G.rows, static_cast<Index>(columns.size()));
  for (Index k = 0; k < G.rows; ++k) {
    std::transform(columns.begin(), columns.end(), selected.row(k),
                   [row = G.row(k)](std::int64_t j) { return row[j]; });
  }
  return selected;
}

}  // namespace

void pack_gates(MatrixView X, MatrixView G, Word* packed, int n_threads) {
  const Index n_tiles = (G.cols + kTile - 1) / kTile;
  // Tiles are copied outside the parallel region, a batch at a time: nothing in there allocates.
  const Index batch = std::min<Index>(n_tiles, 64);
  std::vector<std::vector<double>> tiles(static_cast<std::size_t>(batch));
  for (Index start = 0; start < n_tiles; start += batch) {
    const Index count = std::min(batch, n_tiles - start);
    for (Index b = 0; b < count; ++b) {
      tiles[static_cast<std::size_t>(b)] = copy_tile(G, (start + b) * kTile);
    }
    parallel_for(count, n_threads, [&](Index b) {
      pack_tile(X, G, tiles[static_cast<std::size_t>(b)].data(), (start + b) * kTile, packed);
    });
  }
}

void pack_dense(const unsigned char* dense, Index n_patterns, Index n_samples, Word* packed) {
  const Index n_words = words_per_pattern(n_samples);
  std::fill_n(packed, n_patterns * n_words, Word{0});
  for (Index g = 0; g < n_patterns; ++g) {
    for (Index i = 0; i < n_samples; ++i) {
      packed[g * n_words + i / 64] |= Word{dense[g * n_samples + i] != 0} << (i % 64);
    }
  }
}

void unpack(const Word* packed, Index n_patterns, Index n_samples, unsigned char* dense) {
  const Index n_words = words_per_pattern(n_samples);
  for (Index g = 0; g < n_patterns; ++g) {
    for (Index i = 0; i < n_samples; ++i) {
      const Word word = packed[g * n_words + i / 64];
      dense[g * n_samples + i] = static_cast<unsigned char>((word >> (i % 64)) & 1U);
    }
  }
}

std::vector<std::int64_t> unique(const Word* packed, Index n_patterns, Index n_words) {
  const auto hash = [=](std::int64_t g) {
    return static_cast<std::size_t>(hash_row(packed + g * n_words, n_words));
  };
  const auto equal = [=](std::int64_t a, std::int64_t b) {
    return std::equal(packed + a * n_words, packed + (a + 1) * n_words, packed + b * n_words);
  };
  const auto buckets = static_cast<std::size_t>(n_patterns);
  std::unordered_set<std::int64_t, decltype(hash), decltype(equal)> seen(buckets, hash, equal);
  std::vector<std::int64_t> kept;
  for (std::int64_t g = 0; g < n_patterns; ++g) {
    if (seen.insert(g).second) {
      kept.push_back(g);
    }
  }
  return kept;
}

PatternSet::PatternSet(const std::vector<Word>& packed, Index n_samples) : n_samples_(n_samples) {
  const auto n_patterns = static_cast<Index>(packed.size()) / n_words();
  kept_ = unique(packed.data(), n_patterns, n_words());
  size_ = static_cast<Index>(kept_.size());
  packed_.reserve(static_cast<std::size_t>(size_ * n_words()));
  for (const std::int64_t g : kept_) {
    packed_.insert(packed_.end(), packed.data() + g * n_words(),
                   packed.data() + (g + 1) * n_words());
  }
}

PatternSet PatternSet::from_dense(const std::vector<unsigned char>& dense, Index n_samples) {
  const auto n_bytes = static_cast<Index>(dense.size());
  if (n_samples < 1 || n_bytes % n_samples != 0) {
    throw std::invalid_argument("dense must hold n_samples bytes per pattern, n_samples >= 1");
  }
  const Index n_patterns = n_bytes / n_samples;
  std::vector<Word> packed(static_cast<std::size_t>(n_patterns * words_per_pattern(n_samples)));
  pack_dense(dense.data(), n_patterns, n_samples, packed.data());
  return {packed, n_samples};
}

PatternSet PatternSet::from_packed(std::vector<Word> packed, Index n_samples, Matrix gates) {
  PatternSet patterns;
  patterns.n_samples_ = n_samples;
  patterns.size_ = static_cast<Index>(packed.size()) / patterns.n_words();
  patterns.packed_ = std::move(packed);
  patterns.kept_.resize(static_cast<std::size_t>(patterns.size_));
  std::iota(patterns.kept_.begin(), patterns.kept_.end(), 0);
  patterns.gates_ = std::move(gates);
  return patterns;
}

PatternSet PatternSet::from_gates(MatrixView X, MatrixView G, int n_threads, bool drop_repeats) {
  if (X.empty()) {
    throw std::invalid_argument("X must hold at least one sample and one feature");
  }
  if (G.rows != X.cols) {
    throw std::invalid_argument("G must have one gate per column, as long as the rows of X");
  }
  std::vector<Word> packed(static_cast<std::size_t>(G.cols * words_per_pattern(X.rows)));
  pack_gates(X, G, packed.data(), n_threads);
  if (!drop_repeats) {
    const std::vector<double> gates(G.data, G.data + G.rows * G.cols);
    return from_packed(std::move(packed), X.rows, Matrix(G.rows, G.cols, gates));
  }
  PatternSet patterns(packed, X.rows);
  patterns.gates_ = select_columns(G, patterns.kept_);
  return patterns;
}

std::vector<unsigned char> PatternSet::to_dense() const {
  std::vector<unsigned char> dense(static_cast<std::size_t>(size_ * n_samples_));
  unpack(packed_.data(), size_, n_samples_, dense.data());
  return dense;
}

}  // namespace pyconvex
