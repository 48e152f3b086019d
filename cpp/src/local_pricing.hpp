// Pricing by local search over the sphere: a lower estimate from many starts. Private.
#pragma once

#include <cstdint>

#include "columns.hpp"
#include "random.hpp"

namespace pyconvex {

/// Each start walks through the cells along facets to a local maximum of z . (X u)_+; starts are
/// Gaussian directions, data points, the gradient of the linear part, the present neurons and the
/// maxima of the last search, which are near those of this one. Before a certificate directions
/// beside the neurons join, since small basins lie there.
class LocalPricing : public Pricer {
 public:
  LocalPricing(std::uint64_t random_state, int n_threads)
      : random_(random_state), n_threads_(n_threads) {}

  bool exact() const override { return false; }
  bool local() const override { return true; }
  double price(const Problem& problem, const Eigen::VectorXd& z, const RowMatrix& U,
               const Eigen::VectorXd& signs, int effort, const GapOf& gap_of,
               Columns& columns) override;

  /// The same from given starting points (k x p), each with the sign of its output.
  double walk_from(const Problem& problem, const Eigen::VectorXd& z, const RowMatrix& starts,
                   const Eigen::VectorXd& signs, Columns& columns) const;

 private:
  double climb(const Problem& problem, const Eigen::VectorXd& z, const RowMatrix& starts,
               const Eigen::VectorXd& signs, double above, Columns& columns) const;
  RowMatrix starts(const Problem& problem, const Eigen::VectorXd& z, Index n_starts);
  RowMatrix beside(const Problem& problem, const RowMatrix& U, const Eigen::VectorXd& signs,
                   int effort, Eigen::VectorXd& their_signs);

  Random random_;
  int n_threads_;
  Columns maxima_;
  bool first_ = true;
};

}  // namespace pyconvex
