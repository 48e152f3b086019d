#include "zonotope.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dispatch.hpp"
#include "parallel.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr double kFlat = 1e-13;   // a point this close to the corral's hull, relatively, is on it
constexpr Index kMaxSteps = 500;  // of one run; the bounds are valid whenever it ends

// X u for the columns of X.
PYCONVEX_CLONES void multiply(const double* X, Index m, Index d, const double* u, double* out) {
  std::fill_n(out, m, 0.0);
  for (Index k = 0; k < d; ++k) {
    const double* x = X + k * m;
    for (Index j = 0; j < m; ++j) {
      out[j] += u[k] * x[j];
    }
  }
}

// X^T theta.
PYCONVEX_CLONES void combine(const double* X, Index m, Index d, const double* theta, double* out) {
  for (Index k = 0; k < d; ++k) {
    const double* x = X + k * m;
    double total = 0.0;
    PYCONVEX_SIMD_SUM(total)
    for (Index j = 0; j < m; ++j) {
      total += theta[j] * x[j];
    }
    out[k] = total;
  }
}

}  // namespace

Zonotope::Zonotope(MatrixView X, const double* w, bool free)
    : free_bias(free), weights(Eigen::Map<const VectorXd>(w, X.rows)), top(weights.sum()) {
  rows = as_rows(X).leftCols(free ? X.cols - 1 : X.cols);
  scaled = weights.asDiagonal() * rows;
  sum = scaled.colwise().sum();
}

NearestPoint::NearestPoint(const Zonotope& zonotope, Index p)
    : point(zonotope.sum.size()),
      direction(VectorXd::Zero(p)),
      B_(&zonotope),
      apex_(zonotope.sum.size()),
      offset_(zonotope.sum.size()),
      extreme_(zonotope.sum.size()),
      slopes_(zonotope.weights.size()),
      theta_(zonotope.weights.size()),
      queue_(static_cast<std::size_t>(zonotope.free_bias ? zonotope.weights.size() : 0)),
      corral_(zonotope.sum.size(), zonotope.sum.size() + 1),
      basis_(zonotope.sum.size(), zonotope.sum.size()),
      factor_(zonotope.sum.size(), zonotope.sum.size()),
      shares_(zonotope.sum.size() + 1),
      trial_(zonotope.sum.size() + 1),
      step_(zonotope.sum.size()) {}

void NearestPoint::operator()(const double* v, double height, const ConstVector& start,
                              double limit) {
  const Index d = apex_.size();
  apex_ = Eigen::Map<const VectorXd>(v, d);
  offset_ = corral_.col(0) = start - apex_;
  shares_[0] = 1.0;
  size_ = 1;
  lower = 0.0;
  upper = offset_.norm();
  for (Index step = 0; step < kMaxSteps && upper > limit; ++step) {
    support(height);
    const double attained = offset_.dot(extreme_ - apex_) / upper;
    if (attained > lower) {
      lower = attained;
      direction.head(d) = -offset_;
      if (B_->free_bias) {
        direction[d] = kink_;
      }
    }
    if (upper - lower <= kSame * upper || !add()) {
      break;
    }
    minimise();
    const double before = std::exchange(upper, offset_.norm());
    if (upper >= before) {  // as far as rounding lets us come
      upper = before;
      break;
    }
  }
  point = apex_ + offset_;
}

// The extreme point of B, or of its slice, in direction -offset; with a free bias also the bias of
// a neuron in that direction that lets through the same rows.
void NearestPoint::support(double height) {
  const Index m = B_->rows.rows(), d = B_->rows.cols();
  step_ = -offset_;
  multiply(B_->rows.data(), m, d, step_.data(), slopes_.data());
  if (B_->free_bias) {
    const double level = threshold(height);
    theta_ = (slopes_.array() > level).cast<double>();
    const double above = theta_.dot(B_->weights);
    const double at = (slopes_.array() == level).select(B_->weights.array(), 0.0).sum();
    const double share = at > 0.0 ? std::clamp((height - above) / at, 0.0, 1.0) : 0.0;
    theta_ = (slopes_.array() == level).select(share, theta_);
    kink_ = -level;
  } else {
    theta_ = (slopes_.array() > 0.0).cast<double>();
  }
  combine(B_->scaled.data(), m, d, theta_.data(), extreme_.data());
}

// The slope at which the steepest rows reach the height, by quickselect.
double NearestPoint::threshold(double height) {
  for (std::size_t j = 0; j < queue_.size(); ++j) {
    queue_[j] = {slopes_[static_cast<Index>(j)], B_->weights[static_cast<Index>(j)]};
  }
  const auto mass = [](auto first, auto last) {
    double total = 0.0;
    for (; first != last; ++first) {
      total += first->second;
    }
    return total;
  };
  double level = 0.0, above = 0.0;
  auto first = queue_.begin(), last = queue_.end();
  while (first != last) {
    level = (first + (last - first) / 2)->first;
    const auto equal = std::partition(first, last, [&](auto& row) { return row.first > level; });
    const auto less = std::partition(equal, last, [&](auto& row) { return row.first == level; });
    const double steeper = mass(first, equal);
    if (equal != first && above + steeper > height) {
      last = equal;
      continue;
    }
    above += steeper + mass(equal, less);
    if (above >= height) {
      break;
    }
    first = less;
  }
  return level;
}

// Put the extreme point into the corral; false where it is on the corral's hull but for rounding.
bool NearestPoint::add() {
  if (size_ > apex_.size()) {
    return false;
  }
  corral_.col(size_) = extreme_ - apex_;
  extend_basis(size_ - 1);
  const double length = factor_.col(size_ - 1).head(size_).norm();
  if (factor_(size_ - 1, size_ - 1) <= kFlat * length) {
    return false;
  }
  shares_[size_++] = 0.0;
  return true;
}

// Column j of basis and factor, by Gram-Schmidt done twice: point j + 1 of the corral less the first.
void NearestPoint::extend_basis(Index j) {
  auto column = basis_.col(j);
  column = corral_.col(j + 1) - corral_.col(0);
  for (const bool again : {false, true}) {
    for (Index k = 0; k < j; ++k) {
      const double part = basis_.col(k).dot(column);
      column -= part * basis_.col(k);
      factor_(k, j) = again ? factor_(k, j) + part : part;
    }
  }
  factor_(j, j) = column.norm();
  if (factor_(j, j) > 0.0) {
    column /= factor_(j, j);
  }
}

// Move to the point of the corral's convex hull nearest to the origin; points that turn out not to
// be needed leave.
void NearestPoint::minimise() {
  while (size_ > 1) {
    const Index n = size_ - 1;
    auto change = step_.head(n);
    for (Index k = 0; k < n; ++k) {
      change[k] = -basis_.col(k).dot(offset_);
    }
    for (Index k = n - 1; k >= 0; --k) {  // back substitution
      change[k] /= factor_(k, k);
      change.head(k) -= change[k] * factor_.col(k).head(k);
    }
    trial_[0] = shares_[0] - change.sum();
    trial_.segment(1, n) = shares_.segment(1, n) + change;
    double step = 1.0;
    Index leaving = -1;
    for (Index j = 0; j < size_; ++j) {
      if (trial_[j] <= 0.0 && shares_[j] <= step * (shares_[j] - trial_[j])) {
        step = shares_[j] > 0.0 ? shares_[j] / (shares_[j] - trial_[j]) : 0.0;
        leaving = j;
      }
    }
    shares_.head(size_) += step * (trial_.head(size_) - shares_.head(size_));
    if (leaving >= 0) {
      remove(leaving);
    }
    shares_.head(size_) /= shares_.head(size_).sum();
    offset_.noalias() = corral_.leftCols(size_).lazyProduct(shares_.head(size_));
    if (leaving < 0) {
      return;
    }
  }
  offset_ = corral_.col(0);
}

void NearestPoint::remove(Index j) {
  for (Index k = j + 1; k < size_; ++k) {
    corral_.col(k - 1) = corral_.col(k);
    shares_[k - 1] = shares_[k];
  }
  --size_;
  for (Index k = j > 0 ? j - 1 : 0; k + 1 < size_; ++k) {
    extend_basis(k);
  }
}

}  // namespace pyconvex
