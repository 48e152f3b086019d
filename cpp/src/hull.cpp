#include "hull.hpp"

namespace pyconvex {
namespace {

constexpr double kFlat = 1e-13;  // so close to the hull of the others, relatively, a point is on it

}  // namespace

Hull::Hull(Index d)
    : nearest_(d),
      points_(d, d + 1),
      basis_(d, d),
      factor_(d, d),
      shares_(d + 1),
      trial_(d + 1),
      change_(d),
      before_(d) {}

void Hull::start(const ConstVector& point) {
  nearest_ = points_.col(0) = point;
  shares_[0] = 1.0;
  size_ = 1;
  norm_ = nearest_.norm();
}

bool Hull::admit(const ConstVector& point) {
  if (!add(point)) {
    return false;
  }
  before_ = nearest_;
  minimise();
  const double reached = nearest_.norm();
  if (reached < norm_) {
    norm_ = reached;
    return true;
  }
  start(before_);
  return false;
}

// False where the point is on the affine hull of the others but for rounding.
bool Hull::add(const ConstVector& point) {
  if (size_ > nearest_.size()) {
    return false;
  }
  points_.col(size_) = point;
  extend_basis(size_ - 1);
  const double length = factor_.col(size_ - 1).head(size_).norm();
  if (factor_(size_ - 1, size_ - 1) <= kFlat * length) {
    return false;
  }
  shares_[size_++] = 0.0;
  return true;
}

// Column j of basis and factor, by Gram-Schmidt done twice: point j + 1 less the first.
void Hull::extend_basis(Index j) {
  auto column = basis_.col(j);
  column = points_.col(j + 1) - points_.col(0);
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

// Move to the point nearest to the origin; points that turn out not to be needed leave.
void Hull::minimise() {
  while (size_ > 1) {
    const Index n = size_ - 1;
    auto change = change_.head(n);
    for (Index k = 0; k < n; ++k) {
      change[k] = -basis_.col(k).dot(nearest_);
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
    nearest_.noalias() = points_.leftCols(size_).lazyProduct(shares_.head(size_));
    if (leaving < 0) {
      return;
    }
  }
  nearest_ = points_.col(0);
}

void Hull::remove(Index j) {
  for (Index k = j + 1; k < size_; ++k) {
    points_.col(k - 1) = points_.col(k);
    shares_[k - 1] = shares_[k];
  }
  --size_;
  for (Index k = j > 0 ? j - 1 : 0; k + 1 < size_; ++k) {
    extend_basis(k);
  }
}

}  // namespace pyconvex
