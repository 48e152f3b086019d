#include "neuron.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "preactivations.hpp"

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

Workspace::Workspace(Index n, Index p, StopFlag stop_)
    : stop(stop_), a(n), b(n), times(n), on(n), held(n), masked(p, n) {}

double norm_slope(double beta, double uu, double up, double pp, double t) {
  if (beta == 0.0) {
    return 0.0;
  }
  const double norm = std::sqrt(std::max(uu + 2.0 * t * up + t * t * pp, 0.0));
  return norm == 0.0 ? beta * std::sqrt(pp) : beta * (up + t * pp) / norm;
}

namespace {

// Zero in [low, high] of slope(t), which increases in t.
template <class Slope>
double first_zero(const Slope& slope, double low, double high) {
  for (int k = 0; k < 100; ++k) {
    const double t = 0.5 * (low + high);
    if (t <= low || t >= high) {
      break;
    }
    (slope(t) >= 0.0 ? high : low) = t;
  }
  return high;
}

constexpr Index kAfresh = 16;  // moves until the preactivations are computed afresh
constexpr double kNear = 4.0;  // most searches end at 1, the minimiser of the first piece
constexpr double kFar = std::numeric_limits<double>::max();

// One run of `descend`: its arguments in their order, then what its steps share.
struct Descent {
  enum class Step { done, moved, settled };
  struct Stop {  // of a line search: how far, and the row that stopped it (-1: none)
    double t;
    Index row;
  };

  const Samples& samples;
  MatrixXd& H;
  const ConstVector& curvature;
  const ConstVector& slopes;
  double ridge, beta;
  bool free_bias;
  Mode mode;
  VectorRef& u;
  bool* on;
  std::int64_t* tight;
  Workspace& work;

  const Rows& X = samples.X;
  const VectorXd& norms = samples.norms;
  Index n = X.rows(), p = X.cols();
  Index n_tight = count_tight(tight, p);
  VectorXd q = VectorXd::Zero(p);
  double noise = kRounding * slopes.cwiseAbs().dot(norms);  // of q
  TightSpan span = TightSpan(p);                            // of the tight rows
  MatrixXd basis = {};                                      // of the face; not used with a ridge
  bool new_face = true;                                     // the rows that are tight have changed
  Index n_moves = 0;

  Index run(Index max_steps);
  void start();
  Step advance();
  bool bias_first(VectorXd& target) const;
  Step move_along(const VectorXd& target, const VectorXd& direction, bool sliding);
  Stop line_search(const VectorXd& direction);
  bool collect_kinks(double above, double upto);
  VectorXd minimiser(double size);
  void switch_row(Index row, double sign);
  void tighten(Index row);
  bool release();
  double worst_multiplier(const VectorXd& gradient, Index& where, bool& side) const;
};

void Descent::start() {
  work.held.setConstant(false);
  preactivate(samples.features.data(), n, p, u.data(), work.a.data());
  for (Index i = 0; i < n; ++i) {
    if (on[i] && std::find(tight, tight + n_tight, i) == tight + n_tight) {
      q += slopes[i] * X.row(i).transpose();
    }
  }
}

// Each step goes to the minimiser of the present face or to the kink that stops it, whose row then
// becomes tight; at a face's minimiser the row with the worst multiplier is released.
Index Descent::run(Index max_steps) {
  start();
  for (Index step = 0; step < max_steps; ++step) {
    if (work.stop.is_set()) {
      return step;
    }
    const Step result = advance();
    if (result == Step::done || (result == Step::settled && !release())) {
      return step;
    }
  }
  return max_steps;
}

Descent::Step Descent::advance() {
  while (span.size() < n_tight) {
    span.append(X.row(tight[span.size()]));
  }
  VectorXd target = minimiser(std::sqrt(penalised_dot(u, u, free_bias)));
  const bool sliding = free_bias && n_tight == 0 && ridge > 0.0 && bias_first(target);
  const double left = std::sqrt(penalised_dot(target, target, free_bias));
  if (target.isZero(0.0) || (ridge > 0.0 && !sliding && ridge * left <= noise)) {
    u.setZero();  // straight to the apex: no kink lies in between
    return Step::done;
  }
  if (n_tight == p - 1) {  // a ray: rows that seem to move are rounding, but for the apex
    if (target.dot(u) <= 0.0) {
      u.setZero();
      return Step::done;
    }
    u = target;
    preactivate(samples.features.data(), n, p, u.data(), work.a.data());
    return Step::settled;
  }
  const VectorXd direction = span.reject(target - u);  // u has drifted off the face by rounding
  return direction.norm() > kRounding * u.norm() ? move_along(target, direction, sliding)
                                                 : Step::settled;
}

// The minimiser on the present face, with `size` as a guess of its norm.
VectorXd Descent::minimiser(double size) {
  if (ridge > 0.0) {
    return span.project(q, free_bias) / ridge;
  }
  if (new_face) {
    face_basis(X, tight, n_tight, free_bias, basis);
  }
  new_face = false;
  return face_minimiser(H, q, basis, beta, free_bias && n_tight == 0, size);
}

// Correct `target` where nothing bounds the bias: along it the objective is linear. Move the bias
// alone, until some kink stops it (true); where its slope is nil move the rest.
bool Descent::bias_first(VectorXd& target) const {
  const bool sliding = std::abs(q[p - 1]) > noise;
  if (sliding) {
    target = u;
    target[p - 1] += q[p - 1];
  } else {
    target[p - 1] = u[p - 1];
  }
  return sliding;
}

Descent::Step Descent::move_along(const VectorXd& target, const VectorXd& direction, bool sliding) {
  preactivate(samples.features.data(), n, p, direction.data(), work.b.data());
  for (Index j = 0; j < n_tight; ++j) {
    work.b[tight[j]] = 0.0;
  }
  work.flipped.clear();
  const Stop stop = line_search(direction);
  const bool same_cell = !sliding && work.flipped.empty();
  for (const Index i : work.flipped) {
    switch_row(i, on[i] ? 1.0 : -1.0);
  }
  // Inside the cell t = 1 is exact: for short directions rounding would say anything.
  const bool arrived =
      stop.row < 0 && (std::abs(stop.t - 1.0) < 1e-6 || (same_cell && stop.t > 0.0));
  if (arrived) {
    u = target;
  } else {
    u += stop.t * direction;
  }
  if (++n_moves % kAfresh == 0) {
    preactivate(samples.features.data(), n, p, u.data(), work.a.data());
  } else {
    work.a += (arrived ? 1.0 : stop.t) * work.b;
  }
  if (stop.t > 0.0) {
    work.held.setConstant(false);
  }
  if (stop.row >= 0) {
    tighten(stop.row);
    return Step::moved;
  }
  // Away from the target we are in another cell, whose minimiser is elsewhere.
  return stop.t > 0.0 && !arrived ? Step::moved : Step::settled;
}

// First local minimum of the objective along u + t direction. Kinks are passed in order; a concave
// kink is crossed (the row's bit flips), a convex one ends the search once the slope is no longer
// negative. Without Mode::crossing every kink is a wall.
Descent::Stop Descent::line_search(const VectorXd& direction) {
  const VectorXd& a = work.a;
  const VectorXd& b = work.b;
  const double uu = penalised_dot(u, u, free_bias);
  const double up = penalised_dot(u, direction, free_bias);
  const double pp = penalised_dot(direction, direction, free_bias);
  double slope = ridge * up - q.dot(direction), curve = ridge * pp;
  if (ridge == 0.0) {  // else H is zero
    const VectorXd Hd = H * direction;
    slope += u.dot(Hd);
    curve += direction.dot(Hd);
  }
  const auto slope_at = [&](double t) {
    return slope + t * curve + norm_slope(beta, uu, up, pp, t);
  };
  Kinks& kinks = work.kinks;
  kink_times(a.data(), b.data(), on, norms.data(), resting(direction.norm(), u.norm()), n,
             work.times.data());
  collect_kinks(-1.0, kNear);
  const bool kink_here = !kinks.empty() && kinks.front().first <= 0.0;
  if (slope_at(0.0) >= 0.0 && !(kink_here && mode == Mode::crossing)) {
    return {0.0, -1};
  }
  double low = 0.0, seen = kNear;
  const auto collect_rest = [&] {
    return seen < kFar && slope_at(seen) < 0.0 && collect_kinks(std::exchange(seen, kFar), kFar);
  };
  while (!kinks.empty() || collect_rest()) {
    const auto [t, i] = kinks.front();
    if (slope_at(t) >= 0.0 && t > low) {
      return {first_zero(slope_at, low, t), -1};
    }
    if (mode == Mode::fixed) {
      return {t, i};
    }
    const double side = on[i] ? -1.0 : 1.0;
    const double d_slope = side * (curvature[i] * a[i] - slopes[i]) * b[i];
    const double d_curve = side * curvature[i] * b[i] * b[i];
    if (slope_at(t) + d_slope + t * d_curve >= 0.0) {
      return {t, i};
    }
    slope += d_slope;
    curve += d_curve;
    low = t;
    on[i] = !on[i];
    work.flipped.push_back(i);
    std::pop_heap(kinks.begin(), kinks.end(), std::greater<>());
    kinks.pop_back();
  }
  if (slope_at(1e12) <= 0.0) {
    return {low, -1};  // flat to rounding beyond the last kink
  }
  double high = std::max(1.0, 2.0 * low);
  while (slope_at(high) < 0.0) {
    high *= 2.0;
  }
  return {first_zero(slope_at, low, high), -1};
}

// The kinks of a range of t, as a heap: the nearest is in front, few are ever needed. Says whether
// there are any.
bool Descent::collect_kinks(double above, double upto) {
  Kinks& kinks = work.kinks;
  kinks.clear();
  for (Index i = 0; mode != Mode::gated && i < n; ++i) {
    if (work.times[i] <= upto && work.times[i] > above) {
      kinks.emplace_back(work.times[i], i);
    }
  }
  std::make_heap(kinks.begin(), kinks.end(), std::greater<>());
  return !kinks.empty();
}

// Add (sign = 1) or take away (-1) a row's part of the linear and quadratic term.
void Descent::switch_row(Index row, double sign) {
  const auto x = X.row(row).transpose();
  q += (sign * slopes[row]) * x;
  if (curvature[row] > 0.0) {
    H.noalias() += (sign * curvature[row] * x) * x.transpose();
  }
}

void Descent::tighten(Index row) {
  if (on[row]) {
    switch_row(row, -1.0);
  }
  tight[n_tight++] = row;
  new_face = true;
}

// Release the row that is most worth it; false where none is.
bool Descent::release() {
  VectorXd w = u;
  if (free_bias) {
    w[p - 1] = 0.0;
  }
  const double size = w.norm();
  if (size == 0.0 || n_tight == 0) {
    return false;
  }
  Index where = -1;
  bool side = false;
  VectorXd gradient = w * (ridge + beta / size) - q;  // the tight rows' bits off
  if (ridge == 0.0) {
    gradient.noalias() += H * u;
  }
  const double worst = worst_multiplier(gradient, where, side);
  if (!(worst > kRelease * (beta + ridge * size))) {  // nor where it is NaN
    return false;
  }
  const Index row = tight[where];
  std::copy(tight + where + 1, tight + n_tight, tight + where);
  tight[--n_tight] = -1;
  span.truncate(where);
  new_face = true;
  work.held[row] = true;
  on[row] = side;
  if (side) {
    switch_row(row, 1.0);
  }
  return true;
}

// The violation of the row most worth releasing, its position in `tight` and its side. With
// gradient = sum_k mu_k x_k the point is optimal across the adjacent cells iff
// slopes_k <= mu_k <= 0; in a cell that may not be left only its own side counts.
// Rows that are held were released since the last move, in vain.
double Descent::worst_multiplier(const VectorXd& gradient, Index& where, bool& side) const {
  const VectorXd mu = span.coefficients(gradient);
  double worst = 0.0;
  for (Index j = 0; j < n_tight; ++j) {
    const Index k = tight[j];
    if (work.held[k]) {
      continue;
    }
    const double off = mu[j] * norms[k], into = (slopes[k] - mu[j]) * norms[k];
    if (off > worst && (mode == Mode::crossing || !on[k])) {
      worst = off, where = j, side = false;
    }
    if (into > worst && (mode == Mode::crossing || on[k])) {
      worst = into, where = j, side = true;
    }
  }
  return worst;
}

}  // namespace

Index descend(const Samples& samples, MatrixXd& H, const ConstVector& curvature,
              const ConstVector& slopes, double ridge, double beta, bool free_bias, Mode mode,
              VectorRef u, bool* on, std::int64_t* tight, Index max_steps, Workspace& work) {
  Descent descent{samples, H, curvature, slopes, ridge, beta, free_bias, mode, u, on, tight, work};
  return descent.run(max_steps);
}

}  // namespace pyconvex
