// Search of the cells of an arrangement by their bottom vertices. Private.
#pragma once

#include <cstdint>

#include "tableau.hpp"

namespace pyconvex {

constexpr std::int64_t kRedraw = -1;  // instead of a number of cells: another rotation is needed

/// Where cells go; null: they are only counted.
struct CellOutput {
  Word* packed = nullptr;          // two patterns per pair: a cell and its opposite
  std::int32_t* chosen = nullptr;  // r - 1 lines per pair, padded with -1
};

/// The pairs of opposite cells whose chosen lines have ranks first .. last - 1 among all sets of at
/// most r - 1 of the first m - 1 lines, in depth-first order. Returns how many there are (all in
/// general position), kRedraw where rounding had the last word. The output holds last - first.
std::int64_t search_cells(const LinesView& lines, std::int64_t first, std::int64_t last,
                          const CellOutput& output, int n_threads);

/// Decode sets of chosen lines (n x r-1, padded with -1): valid[k] says whether set k belongs to a
/// pair of cells; then its first pattern goes to packed (n x words) and a vector inside that cell,
/// in the coordinates of Y, to points (n x r). False where rounding had the last word.
bool decode_cells(const LinesView& lines, const std::int32_t* chosen, Index n, Word* packed,
                  double* points, unsigned char* valid, int n_threads);

/// The same for rank 2, faster: line after line as a vector turns. `order` lists the m lines by the
/// angle at which it meets them, `start` is the pattern before the first; pair k comes after k.
void sweep_cells(const std::int64_t* order, Index m, const Word* start, std::int64_t first,
                 std::int64_t last, Word* packed);

/// Patterns of n_samples rows from those of m lines: row i is on where line line[i] is, the other
/// way round where flip[i], and always for line[i] = -1.
void expand_rows(const Word* packed, Index n_patterns, Index m, const std::int64_t* line,
                 const unsigned char* flip, Index n_samples, Word* expanded, int n_threads);

}  // namespace pyconvex
