#include "zonotope.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dispatch.hpp"
#include "parallel.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

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
      hull_(zonotope.sum.size()),
      apex_(zonotope.sum.size()),
      extreme_(zonotope.sum.size()),
      slopes_(zonotope.weights.size()),
      theta_(zonotope.weights.size()),
      placed_(zonotope.sum.size(), Pool::kSize) {}

bool NearestPoint::operator()(const double* v, double height, const Pool& pool, double limit) {
  apex_ = Eigen::Map<const VectorXd>(v, apex_.size());
  if (B_->free_bias) {
    pool.place(height, placed_, halves_);
  }
  const RowMatrix& points = B_->free_bias ? placed_ : pool.points();
  extreme_ = -apex_;
  const Index j = smallest(B_->free_bias ? halves_ : pool.halves(), points, extreme_.data());
  extreme_ = points.col(j) - apex_;
  hull_.start(extreme_);
  lower = 0.0;
  while (hull_.norm() > limit && step_in_pool(points)) {
  }
  upper = hull_.norm();
  if (upper <= limit) {
    return false;
  }
  search(height, limit);
  upper = hull_.norm();
  point = apex_ + hull_.nearest();
  return true;
}

// A step of Wolfe's algorithm with the pool for the zonotope.
bool NearestPoint::step_in_pool(const RowMatrix& points) {
  static constexpr Pool::Lanes kZeros{};
  extreme_ = points.col(smallest(kZeros, points, hull_.nearest().data())) - apex_;
  const double square = hull_.norm() * hull_.norm();
  return square - hull_.nearest().dot(extreme_) > kWorth * square && hull_.admit(extreme_);
}

void NearestPoint::search(double height, double limit) {
  const Index d = apex_.size();
  for (Index step = 0; step < kMaxSteps && hull_.norm() > limit; ++step) {
    support(height);
    const double attained = hull_.nearest().dot(extreme_) / hull_.norm();
    if (attained > lower) {
      lower = attained;
      direction.head(d) = -hull_.nearest();
      if (B_->free_bias) {
        direction[d] = kink_;
      }
    }
    if (hull_.norm() - lower <= kSame * hull_.norm() || !hull_.admit(extreme_)) {
      break;
    }
  }
}

// The extreme point of B, or of its slice, in the direction from the nearest point to v; with a
// free bias also the bias of a neuron in that direction that lets through the same rows.
void NearestPoint::support(double height) {
  const Index m = B_->rows.rows(), d = B_->rows.cols();
  multiply(B_->rows.data(), m, d, hull_.nearest().data(), slopes_.data());
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
  return select(queue_, above, height, high);
}

}  // namespace pyconvex
