// From the rows of X to the distinct lines of their arrangement, in generic coordinates. Private.
#pragma once

#include <cstdint>
#include <vector>

#include "face.hpp"
#include "tableau.hpp"

namespace pyconvex {

/// The distinct lines of an arrangement; see the Python class of that name.
struct Lines {
  RowMatrix Y;                      // m x r, unit rows in generic coordinates
  std::vector<std::int64_t> Z;      // m x r integers proportional to Y; empty where X is inexact
  double tol = 0.0;                 // rows of Y that span less than this volume are dependent
  RowMatrix to_user;                // d x r: a cell's vector g is h = to_user g
  std::vector<std::int64_t> line;   // of each row of X; -1: a zero row
  std::vector<unsigned char> flip;  // is the row a negative multiple of its line?
  RowMatrix plane;                  // for rank 2: the lines before they were turned (m x 2)
  RowMatrix to_plane;               // d x 2

  Index n_lines() const { return Y.rows(); }
  Index rank() const { return Y.cols(); }
  bool is_identity() const;
  LinesView view() const {
    return {{Y.data(), Y.rows(), Y.cols()}, Z.empty() ? nullptr : Z.data(), tol};
  }
};

/// The lines of X, turned by the `draw`-th random rotation.
Lines find_lines(MatrixView X, std::uint64_t draw);

}  // namespace pyconvex
