#include "dual_box.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

// The same numbers as in pyconvex/dual_box.py; a test compares them.
constexpr double kMargin = 1e-12;  // of a steep conjugate's domain that stays free at its ends
constexpr double kShare = 0.99;    // of the way to such an end that a step may take

}  // namespace

DualBox::DualBox(const Problem& problem)
    : margin_(kMargin * problem.sample_weight), steep_(problem.loss->steep()) {
  const Intervals domain = problem.loss->domain(view(problem.y));
  low_ = -problem.sample_weight.cwiseProduct(to_eigen(domain.high));
  high_ = -problem.sample_weight.cwiseProduct(to_eigen(domain.low));
}

VectorXd DualBox::inside(const VectorXd& z) const {
  return steep_ ? VectorXd(z.cwiseMax(low_ + margin_).cwiseMin(high_ - margin_)) : z;
}

VectorXd DualBox::stop(const VectorXd& z, const VectorXd& step) const {
  const VectorXd moved = z + step;
  if (!steep_) {
    return moved.cwiseMax(low_).cwiseMin(high_);
  }
  return moved.cwiseMax(z - kShare * (z - low_)).cwiseMin(z + kShare * (high_ - z));
}

std::optional<std::vector<Index>> DualBox::free(const VectorXd& z, const VectorXd& slopes) const {
  std::vector<Index> entries;
  for (Index i = 0; i < z.size() && !steep_; ++i) {
    if (!(z[i] <= low_[i] && slopes[i] > 0.0) && !(z[i] >= high_[i] && slopes[i] < 0.0)) {
      entries.push_back(i);
    }
  }
  if (steep_ || static_cast<Index>(entries.size()) == z.size()) {
    return std::nullopt;
  }
  return entries;
}

}  // namespace pyconvex
