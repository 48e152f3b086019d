// Where multipliers have a finite dual objective, and how Newton steps stay there. Private.
#pragma once

#include <optional>
#include <vector>

#include "problem.hpp"

namespace pyconvex {

/// The interval low_i <= z_i <= high_i of each sample. At the ends of a steep conjugate's domain
/// its slope is infinite: they are never reached. Elsewhere a multiplier may rest at an end.
class DualBox {
 public:
  explicit DualBox(const Problem& problem);

  /// The nearest multiplier where the dual objective has a slope.
  Eigen::VectorXd inside(const Eigen::VectorXd& z) const;
  /// Where a step from z ends that is cut off at the box, entry by entry.
  Eigen::VectorXd stop(const Eigen::VectorXd& z, const Eigen::VectorXd& step) const;
  /// The entries that a descent may move, nothing for all: held are those at an end with the
  /// objective falling beyond it.
  std::optional<std::vector<Index>> free(const Eigen::VectorXd& z,
                                         const Eigen::VectorXd& slopes) const;

 private:
  Eigen::VectorXd low_, high_, margin_;
  bool steep_;
};

}  // namespace pyconvex
