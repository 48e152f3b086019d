// Activation patterns D_g = diag(1[X g >= 0]), one bit per sample.
#pragma once

#include <cstdint>
#include <vector>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// Words that hold one pattern: sample i sits in bit i % 64 of word i / 64, the padding is zero.
constexpr Index words_per_pattern(Index n_samples) {
  return (n_samples + 63) / 64;
}

// Kernels on raw arrays. `packed` is n_patterns x words_per_pattern(n_samples), row-major.

/// Bits 1[x_i . g_j >= 0] for X (n x d) and one gate per column of G (d x n_patterns).
/// Every sum runs over k = 0 .. d-1 in this order: bits do not depend on threads or machine.
void pack_gates(MatrixView X, MatrixView G, std::uint64_t* packed, int n_threads = 0);

/// Bits from bytes: dense is n_patterns x n_samples, nonzero means active.
void pack_dense(const unsigned char* dense, Index n_patterns, Index n_samples,
                std::uint64_t* packed);

/// Bytes 0 or 1 from bits: the inverse of pack_dense.
void unpack(const std::uint64_t* packed, Index n_patterns, Index n_samples, unsigned char* dense);

/// Ascending indices of the patterns that no earlier one equals.
std::vector<std::int64_t> unique(const std::uint64_t* packed, Index n_patterns, Index n_words);

/// A list of distinct activation patterns of the same samples. Order is kept; of equal patterns
/// the first stays. Wrong sizes throw std::invalid_argument.
class PatternSet {
 public:
  PatternSet() = default;
  /// From n_patterns x n_samples bytes, row after row, nonzero means active.
  static PatternSet from_dense(const std::vector<unsigned char>& dense, Index n_samples);
  /// One gate per column of G (d x n_patterns); the gates of the kept patterns are kept too.
  /// Repeats stay unless `drop_repeats`.
  static PatternSet from_gates(MatrixView X, MatrixView G, int n_threads = 0,
                               bool drop_repeats = true);
  /// From packed words of patterns that are known to be distinct, with their gates if any.
  static PatternSet from_packed(std::vector<std::uint64_t> packed, Index n_samples, Matrix gates);

  Index size() const { return size_; }
  Index n_samples() const { return n_samples_; }
  Index n_words() const { return words_per_pattern(n_samples_); }
  const std::vector<std::uint64_t>& packed() const { return packed_; }
  const std::uint64_t* row(Index g) const { return packed_.data() + g * n_words(); }
  bool active(Index g, Index i) const { return ((row(g)[i / 64] >> (i % 64)) & 1U) != 0; }
  std::vector<unsigned char> to_dense() const;

  /// Gates (d x size), or an empty matrix where only the bits are known.
  const Matrix& gates() const { return gates_; }
  /// Where each pattern stood in the input, ascending.
  const std::vector<std::int64_t>& kept() const { return kept_; }

 private:
  PatternSet(const std::vector<std::uint64_t>& packed, Index n_samples);

  Index n_samples_ = 0;
  Index size_ = 0;
  std::vector<std::uint64_t> packed_;
  std::vector<std::int64_t> kept_;
  Matrix gates_;
};

}  // namespace pyconvex
