#include "zonotope.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dispatch.hpp"
#include "parallel.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr double kFlat = 1e-13;   // a point this close to the corral's hull, relatively, is on it
constexpr double kWorth = 1e-2;   // relative gain that makes a step within the pool worth it
constexpr Index kFewRows = 32;    // among which quickselect is fast enough
constexpr Index kPasses = 6;      // of interpolation, where rows are more
constexpr Index kMaxSteps = 500;  // of one run; the bounds are valid whenever it ends

// -X u for the columns of X.
PYCONVEX_CLONES void multiply(const double* X, Index m, Index d, const double* u, double* out) {
  std::fill_n(out, m, 0.0);
  for (Index k = 0; k < d; ++k) {
    const double* x = X + k * m;
    for (Index j = 0; j < m; ++j) {
      out[j] -= u[k] * x[j];
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

// Total weight of the rows with slopes above a level.
PYCONVEX_CLONES double weight_above(const double* slopes, const double* weights, Index m,
                                    double level) {
  double total = 0.0;
  PYCONVEX_SIMD_SUM(total)
  for (Index j = 0; j < m; ++j) {
    total += slopes[j] > level ? weights[j] : 0.0;
  }
  return total;
}

using Queue = std::vector<std::pair<double, double>>;  // slopes and weights

double mass(Queue::const_iterator first, Queue::const_iterator last) {
  return std::accumulate(first, last, 0.0,
                         [](double total, const auto& row) { return total + row.second; });
}

// The slope at which the steepest rows of a queue reach the height, `above` being reached before.
double select(Queue& queue, double above, double height, double otherwise) {
  double level = otherwise;
  auto first = queue.begin(), last = queue.end();
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

// base + P^T u, and the index of the smallest entry.
PYCONVEX_CLONES Index smallest_entry(const double* base, const double* P, Index d,
                                     const double* u) {
  constexpr Index kWidth = 8;  // minima kept side by side, for SIMD
  double sums[Pool::kSize];
  std::copy_n(base, Pool::kSize, sums);
  for (Index k = 0; k < d; ++k) {
    for (Index j = 0; j < Pool::kSize; ++j) {
      sums[j] += u[k] * P[k * Pool::kSize + j];
    }
  }
  double least[kWidth];
  std::copy_n(sums, kWidth, least);
  for (Index j = kWidth; j < Pool::kSize; j += kWidth) {
    for (Index lane = 0; lane < kWidth; ++lane) {
      least[lane] = sums[j + lane] < least[lane] ? sums[j + lane] : least[lane];
    }
  }
  return std::find(sums, sums + Pool::kSize, *std::min_element(least, least + kWidth)) - sums;
}

// The points scale_j p_j + shift_j sum at a height, and half their squared norms.
PYCONVEX_CLONES void place_paths(const double* P, const double* heights, const double* sum,
                                 double top, Index d, double height, double* placed,
                                 double* halves) {
  double scale[Pool::kSize], shift[Pool::kSize];
  for (Index j = 0; j < Pool::kSize; ++j) {
    const bool down = height <= heights[j];
    const double part = (down ? height : top - height) / (down ? heights[j] : top - heights[j]);
    scale[j] = height == heights[j] ? 1.0 : part;
    shift[j] = down ? 0.0 : 1.0 - part;
    halves[j] = 0.0;
  }
  for (Index k = 0; k < d; ++k) {
    for (Index j = 0; j < Pool::kSize; ++j) {
      const double x = scale[j] * P[k * Pool::kSize + j] + shift[j] * sum[k];
      placed[k * Pool::kSize + j] = x;
      halves[j] += 0.5 * x * x;
    }
  }
}

}  // namespace

Zonotope::Zonotope(MatrixView X, const double* w, bool free)
    : free_bias(free), weights(Eigen::Map<const VectorXd>(w, X.rows)), top(weights.sum()) {
  rows = as_rows(X).leftCols(free ? X.cols - 1 : X.cols);
  scaled = weights.asDiagonal() * rows;
  sum = scaled.colwise().sum();
}

Pool::Pool(const Zonotope& zonotope) : B_(&zonotope), points_(zonotope.sum.size(), kSize) {
  points_.colwise() = 0.5 * B_->sum;
  halves_.fill(0.125 * B_->sum.squaredNorm());
  heights_.fill(0.5 * B_->top);
}

void Pool::add(const ConstVector& point, double height) {
  const VectorXd opposite = -point;
  const Index j = count_ < kSize ? count_++ : smallest(halves_, points_, opposite.data());
  points_.col(j) = point;
  halves_[static_cast<std::size_t>(j)] = 0.5 * point.squaredNorm();
  heights_[static_cast<std::size_t>(j)] = height;
}

void Pool::place(double height, RowMatrix& points, Lanes& halves) const {
  place_paths(points_.data(), heights_.data(), B_->sum.data(), B_->top, points_.rows(), height,
              points.data(), halves.data());
}

Index smallest(const Pool::Lanes& base, const RowMatrix& points, const double* u) {
  return smallest_entry(base.data(), points.data(), points.rows(), u);
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
      placed_(zonotope.sum.size(), Pool::kSize),
      corral_(zonotope.sum.size(), zonotope.sum.size() + 1),
      basis_(zonotope.sum.size(), zonotope.sum.size()),
      factor_(zonotope.sum.size(), zonotope.sum.size()),
      shares_(zonotope.sum.size() + 1),
      trial_(zonotope.sum.size() + 1),
      change_(zonotope.sum.size()),
      before_(zonotope.sum.size()) {}

bool NearestPoint::operator()(const double* v, double height, const Pool& pool, double limit) {
  apex_ = Eigen::Map<const VectorXd>(v, apex_.size());
  if (B_->free_bias) {
    pool.place(height, placed_, halves_);
  }
  const RowMatrix& points = B_->free_bias ? placed_ : pool.points();
  change_ = -apex_;
  const Index j = smallest(B_->free_bias ? halves_ : pool.halves(), points, change_.data());
  offset_ = points.col(j) - apex_;
  restart();
  upper = offset_.norm();
  lower = 0.0;
  while (upper > limit && step_in_pool(points)) {
  }
  if (upper <= limit) {
    return false;
  }
  search(height, limit);
  point = apex_ + offset_;
  return true;
}

// A step of Wolfe's algorithm with the pool for the zonotope.
bool NearestPoint::step_in_pool(const RowMatrix& points) {
  static constexpr Pool::Lanes kZeros{};
  extreme_ = points.col(smallest(kZeros, points, offset_.data())) - apex_;
  return upper * upper - offset_.dot(extreme_) > kWorth * upper * upper && step_to(extreme_);
}

void NearestPoint::search(double height, double limit) {
  const Index d = apex_.size();
  for (Index step = 0; step < kMaxSteps && upper > limit; ++step) {
    support(height);
    const double attained = offset_.dot(extreme_) / upper;
    if (attained > lower) {
      lower = attained;
      direction.head(d) = -offset_;
      if (B_->free_bias) {
        direction[d] = kink_;
      }
    }
    if (upper - lower <= kSame * upper || !step_to(extreme_)) {
      break;
    }
  }
}

// Admit a point to the corral and move on; false where rounding lets us come no further.
bool NearestPoint::step_to(const ConstVector& point_less_v) {
  if (!add(point_less_v)) {
    return false;
  }
  before_ = offset_;
  minimise();
  const double reached = offset_.norm();
  if (reached < upper) {
    upper = reached;
    return true;
  }
  offset_ = before_;
  restart();
  return false;
}

// A corral of the present point only.
void NearestPoint::restart() {
  corral_.col(0) = offset_;
  shares_[0] = 1.0;
  size_ = 1;
}

// The extreme point of B, or of its slice, in direction -offset; with a free bias also the bias of
// a neuron in that direction that lets through the same rows.
void NearestPoint::support(double height) {
  const Index m = B_->rows.rows(), d = B_->rows.cols();
  multiply(B_->rows.data(), m, d, offset_.data(), slopes_.data());
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
  extreme_ -= apex_;
}

// The slope at which the steepest rows reach the height: first by interpolation, as passes over all
// rows are cheap, then by quickselect among the rows left.
double NearestPoint::threshold(double height) {
  const Index m = slopes_.size();
  if (m == 0) {
    return 0.0;
  }
  const double* weights = B_->weights.data();
  double low = slopes_.minCoeff(), high = slopes_.maxCoeff();  // the slope is in [low, high]
  double over = B_->top, above = 0.0;  // weight of the rows steeper than (from) low and than high
  for (Index pass = 0; pass < kPasses && m > kFewRows; ++pass) {
    const double share = std::clamp((over - height) / (over - above), 0.1, 0.9);
    const double middle = low + share * (high - low);
    const double steeper = weight_above(slopes_.data(), weights, m, middle);
    (steeper > height ? low : high) = middle;
    (steeper > height ? over : above) = steeper;
  }
  queue_.clear();
  for (Index j = 0; j < m; ++j) {
    if (slopes_[j] >= low && slopes_[j] <= high) {
      queue_.emplace_back(slopes_[j], weights[j]);
    }
  }
  return select(queue_, m > kFewRows ? above : 0.0, height, high);
}

// Put a point into the corral; false where it is on the corral's hull but for rounding.
bool NearestPoint::add(const ConstVector& point_less_v) {
  if (size_ > apex_.size()) {
    return false;
  }
  corral_.col(size_) = point_less_v;
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
    auto change = change_.head(n);
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
