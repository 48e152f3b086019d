// The elimination tableau of the cell search: one level per chosen line. Private.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

using Word = std::uint64_t;

/// The distinct lines of an arrangement in generic coordinates.
struct LinesView {
  MatrixView Y;                     // m x r, unit rows, rank r, randomly rotated
  const std::int64_t* Z = nullptr;  // m x r integers proportional to Y; null: data are inexact
  double tol = 0.0;                 // unit rows of a smaller volume are dependent (where Z is null)
};

constexpr double kAmplify = 32.0;  // rounding errors of one elimination step, in units of eps
constexpr double kDoubt = 1e-13;   // determinants of unit rows below this are never trusted
constexpr Index kLanes = 16;  // candidates handled together at most; columns are padded by as many

/// Level t of the tableau: lines i_1 < ... < i_t are chosen. Column s < t holds the coefficient of
/// y_{i_s} in every y_j, as far as the first t coordinates go; column c >= t holds y_j . w_c for
/// the w_c = e_c - ... that is orthogonal to the chosen lines (Gauss-Jordan elimination). Column t
/// thus says on which side of every line the vertex w_t lies.
struct Level {
  Index line = -1;     // i_t
  double minor = 1.0;  // determinant of the chosen lines, first t coordinates
  double error = 0.0;  // bound of the rounding errors of the determinants one level on
  Index n_closed = 0;  // lines in the span of the chosen ones
  std::vector<double> columns;
  std::vector<Word> bits;    // signs of column t
  std::vector<Word> closed;  // the lines in the span
  std::vector<Word> above;   // those that joined it with i_t: positive multiples of y_{i_t}
  std::vector<Word> below;   // and negative ones, modulo the span before
  std::vector<std::uint64_t> residues;  // of all lines modulo the span, m x r; built when needed
  bool has_residues = false;
};

class Tableau {
 public:
  /// `whole`: keep every coefficient, and r more lines, the unit vectors, that show w and friends.
  explicit Tableau(const LinesView& lines, bool whole = false);

  /// Choose line i > i_t after level t. False where that is no broken-circuit-free set: i or a
  /// later line lies in the span (or where `failed`).
  bool choose(Index t, Index i);

  const Level& level(Index t) const { return levels_[static_cast<std::size_t>(t)]; }
  const double* column(Index t, Index c) const { return level(t).columns.data() + c * stride_; }
  Index n_lines() const { return m_; }
  Index rank() const { return r_; }
  Index n_words() const { return n_words_; }

  /// On which side of line i_{s+1} the cell at the vertex of level t lies: the sign of that line's
  /// coefficient when e_t is written in terms of the chosen lines and the last one.
  bool above(Index t, Index s);

  /// One cell of the pair that level t stands for.
  void pattern(Index t, Word* words);

  /// Some determinant vanishes although its lines are independent: draw another rotation.
  bool failed() const { return failed_; }

 private:
  double* entries(Index t, Index c) { return at(t).columns.data() + c * stride_; }
  Level& at(Index t) { return levels_[static_cast<std::size_t>(t)]; }
  bool close(Index t, Index i, double threshold);
  void join(Index t, Index j);
  bool dependent(Index t, Index i, Index j);
  const std::vector<std::uint64_t>& residues(Index t);
  std::vector<Index> chosen(Index t, Index extra) const;
  double determinant(const std::vector<Index>& rows);

  LinesView lines_;
  Index m_, r_, n_words_, n_rows_, stride_;
  bool whole_;
  bool failed_ = false;
  std::vector<Level> levels_;
  std::vector<double> scratch_;
};

/// Within rounding errors of zero, or lost to overflow.
inline bool is_small(double value, double threshold) {
  return !(std::abs(value) > threshold);
}

inline bool get_bit(const std::vector<Word>& words, Index i) {
  return ((words[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1U) != 0;
}

inline void set_bit(std::vector<Word>& words, Index i) {
  words[static_cast<std::size_t>(i / 64)] |= Word{1} << (i % 64);
}

}  // namespace pyconvex
