// Columns: neurons on offer, priced over patterns or over the sphere. Private: it uses Eigen.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "problem.hpp"
#include "refine.hpp"

namespace pyconvex {

/// Neurons on offer, best first; row j of each field belongs to column j.
struct Columns {
  RowMatrix points;  // penalised norm 1
  Eigen::VectorXd signs;
  TightRows tight;
  std::vector<Index> pattern;  // -1 where patterns are not fixed
  Eigen::VectorXd values;      // a column improves the objective iff its value exceeds beta

  Index size() const { return points.rows(); }
  /// The first k.
  Columns best(Index k) const {
    return {points.topRows(k),
            signs.head(k),
            tight.topRows(k),
            {pattern.begin(), pattern.begin() + k},
            values.head(k)};
  }
};

/// The relative gap that a dual norm of the multiplier would prove.
using GapOf = std::function<double(double)>;

/// Finds the dual norm N(z) and the columns above beta.
class Pricer {
 public:
  virtual ~Pricer() = default;
  /// Whether the norm is exact, so that bounds made of it are valid.
  virtual bool exact() const = 0;
  /// The share of the gap asked for at which a harder search for a certificate pays.
  virtual double ready() const { return 1.0; }
  /// Whether a harder search is only one from more starts: no proof.
  virtual bool local() const { return false; }
  /// z on the rows. `effort` multiplies the starts of a local search. `gap_of` is asked by proofs
  /// alone.
  virtual double price(const Problem& problem, const Eigen::VectorXd& z, const RowMatrix& U,
                       const Eigen::VectorXd& signs, int effort, const GapOf& gap_of,
                       Columns& columns) = 0;
};

/// N(z) over given patterns (n_patterns x words), exact: max ||X^T D_g z||, with cones of the
/// projections onto the closed cells, for both signs.
std::unique_ptr<Pricer> pattern_pricing(std::vector<std::uint64_t> packed, bool cones,
                                        int n_threads);

/// N(z) over all cells, for neurons that may go from cell to cell: local search finds the columns,
/// and every cell is priced where `effort` exceeds 1, to confirm that none is left.
std::unique_ptr<Pricer> cell_pricing(std::vector<std::uint64_t> packed, std::uint64_t random_state,
                                     int n_threads);

}  // namespace pyconvex
