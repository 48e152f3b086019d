#include "newton.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "preactivations.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kVanished = 1e-7;  // a step that shrinks a neuron by this was on its way to zero,
constexpr double kNothing =
    1e-12;                         // or one that halves it and leaves less, relative to the largest
constexpr double kLongest = 2.0;   // no step goes further than twice the Newton step
constexpr double kPolish = 1e-10;  // a smaller decrement, relative to the penalty, hides the slope

// A search along all directions together: t = 0 .. kLongest.
struct JointLine {
  Refinement& state;
  const RowMatrix& directions;
  Eigen::Map<RowMatrix> a, b;  // preactivations of U and of the directions (m x n)
  VectorXd fit;                // derivative of the prediction
  VectorXd rest;               // residual at t = 0 of the linear piece that t is in
  VectorXd betas, uu, up, pp;  // penalties and inner products; last those of decayed columns
  double slope = 0.0, curve = 0.0;
  Kinks kinks;  // a heap; the second part is j * n + i

  struct Stop {
    double t;
    Index neuron, row;
  };

  JointLine(Refinement& state_, const Direction& direction);
  bool is_ray(Index j) const;
  void collect_kinks(Index j);
  double slope_at(double t) const;
  double first_zero(double low, double high) const;
  Stop search(double decrement);
  bool cross(double t, Index j, Index i);
};

JointLine::JointLine(Refinement& state_, const Direction& direction)
    : state(state_),
      directions(direction.U),
      a(state_.buffers.a.as<RowMatrix>(state_.neurons.size(), state_.X.rows())),
      b(state_.buffers.b.as<RowMatrix>(state_.neurons.size(), state_.X.rows())),
      rest(state_.residual) {
  const Neurons& neurons = state.neurons;
  const Index m = neurons.size(), p = state.X.cols();
  preactivations(state, neurons.U, a.data());
  preactivations(state, directions, b.data());
  fit = state.linear.columns * direction.decayed + state.linear.basis * direction.free;
  for (Index j = 0; j < m; ++j) {
    for (Index k = 0; k < p && neurons.tight(j, k) >= 0; ++k) {
      b(j, neurons.tight(j, k)) = 0.0;
    }
    fit.array() +=
        neurons.signs[j] * (b.row(j).array() * neurons.on.row(j).cast<double>()).transpose();
  }
  const Index counted = state.free_bias ? p - 1 : p;
  const auto W = neurons.U.leftCols(counted);
  const auto D = directions.leftCols(counted);
  const VectorXd& coef = state.linear.coef;
  betas.resize(m + 1), uu.resize(m + 1), up.resize(m + 1), pp.resize(m + 1);
  betas << neurons.betas, state.linear.beta;
  uu << W.rowwise().squaredNorm(), coef.squaredNorm();
  up << W.cwiseProduct(D).rowwise().sum(), coef.dot(direction.decayed);
  pp << D.rowwise().squaredNorm(), direction.decayed.squaredNorm();
  const VectorXd weighted = state.sample_weight.cwiseProduct(fit);
  slope = -weighted.dot(state.residual) + state.ridge * neurons.U.cwiseProduct(directions).sum();
  curve = weighted.dot(fit) + state.ridge * directions.squaredNorm();
  for (Index j = 0; j < m && state.mode != Mode::gated; ++j) {
    collect_kinks(j);
  }
  std::make_heap(kinks.begin(), kinks.end(), std::greater<>());
}

// Whether all but one dimension of neuron j is taken by tight rows.
bool JointLine::is_ray(Index j) const {
  const Index p = state.X.cols();
  return count_tight(state.neurons.tight.row(j).data(), p) == p - 1;
}

// Tight rows have b = 0: they do not move.
void JointLine::collect_kinks(Index j) {
  const Index n = state.X.rows();
  if (is_ray(j)) {  // its only kink is the apex
    const double back = -state.neurons.U.row(j).dot(directions.row(j));
    const double length = state.neurons.U.row(j).squaredNorm();
    if (kLongest * back > length) {
      kinks.emplace_back(length / back, j * n);
    }
    return;
  }
  const double moving = resting(directions.row(j).norm(), state.neurons.U.row(j).norm());
  VectorXd& times = state.work.times;
  kink_times(a.row(j).data(), b.row(j).data(), state.neurons.on.row(j).data(), state.norms.data(),
             moving, n, times.data());
  for (Index i = 0; i < n; ++i) {
    if (times[i] < kLongest) {
      kinks.emplace_back(times[i], j * n + i);
    }
  }
}

double JointLine::slope_at(double t) const {
  double total = slope + t * curve;
  for (Index j = 0; j < uu.size(); ++j) {
    total += norm_slope(betas[j], uu[j], up[j], pp[j], t);
  }
  return total;
}

double JointLine::first_zero(double low, double high) const {
  for (int k = 0; k < 60; ++k) {
    const double t = 0.5 * (low + high);
    (slope_at(t) >= 0.0 ? high : low) = t;
  }
  return high;
}

// First local minimum; kinks are treated as in one neuron's line search. Where the slope is all
// rounding the full step is taken: the multiplier needs more digits than the objective has.
JointLine::Stop JointLine::search(double decrement) {
  const Index n = state.X.rows();
  const bool wall = !kinks.empty() && kinks.front().first <= 1.0;
  if (!wall && decrement <= kPolish * betas.dot(uu.cwiseSqrt())) {
    return {1.0, -1, -1};
  }
  double low = 0.0;
  while (true) {
    const double t = kinks.empty() ? kLongest : kinks.front().first;
    if (slope_at(t) >= 0.0 && t > low) {
      return {first_zero(low, t), -1, -1};
    }
    if (kinks.empty()) {
      return {t, -1, -1};
    }
    const Index j = kinks.front().second / n, i = kinks.front().second % n;
    if (state.mode == Mode::fixed || is_ray(j) || !cross(t, j, i)) {
      return {t, j, i};
    }
    low = t;
    std::pop_heap(kinks.begin(), kinks.end(), std::greater<>());
    kinks.pop_back();
  }
}

// Flip the bit of a concave kink; at a convex one, where the slope turns, stay and say false.
bool JointLine::cross(double t, Index j, Index i) {
  bool& on = state.neurons.on(j, i);
  const double weight = state.sample_weight[i];
  const double change = (on ? -1.0 : 1.0) * state.neurons.signs[j] * b(j, i);
  const double old_fit = fit[i], new_fit = old_fit + change;
  const double d_slope = weight * (rest[i] * old_fit - (rest[i] + t * change) * new_fit);
  const double d_curve = weight * (new_fit * new_fit - old_fit * old_fit);
  if (slope_at(t) + d_slope + t * d_curve >= 0.0) {
    return false;
  }
  slope += d_slope;
  curve += d_curve;
  rest[i] += t * change;
  fit[i] = new_fit;
  on = !on;
  return true;
}

// Whether a step that took a neuron's squared norm from `before` to `now` was on its way to zero.
// What is left points anywhere: its bits would be noise.
bool vanished(double now, double before, double largest) {
  return now <= kVanished * kVanished * before ||
         (now <= 0.25 * before && now <= kNothing * kNothing * largest);
}

// Move neuron j; where the search ended at one of its rows (`row` >= 0) that becomes tight.
// `largest`: the squared norm of the largest neuron.
void move(Refinement& state, Index j, const Eigen::RowVectorXd& step, Index row, double largest) {
  Neurons& neurons = state.neurons;
  const Index p = neurons.U.cols(), k = count_tight(neurons.tight.row(j).data(), p);
  const VectorXd old = neurons.U.row(j), next = old + step.transpose();
  neurons.U.row(j) = next;
  const bool at_apex = row >= 0 && k == p - 1;  // the only wall of a ray
  if (at_apex || vanished(penalised_dot(next, next, state.free_bias),
                          penalised_dot(old, old, state.free_bias), largest)) {
    neurons.U.row(j).setZero();
    neurons.tight.row(j).setConstant(-1);
  } else if (row >= 0) {
    neurons.tight(j, k) = row;
  }
}

// Move the coefficients of the decayed columns.
void move(Linear& linear, const VectorXd& step, double largest, VectorXd& residual) {
  if (!linear.used()) {
    return;
  }
  const double before = linear.coef.squaredNorm();
  linear.coef += step;
  residual.noalias() -= linear.columns * step;
  if (vanished(linear.coef.squaredNorm(), before, largest)) {
    residual.noalias() += linear.columns * linear.coef;
    linear.coef.setZero();
  }
}

// Coordinates of all faces together.
Index face_size(const Neurons& neurons) {
  return neurons.U.size() - (neurons.tight.array() >= 0).count();
}

// Whether the system with one unknown per sample is the smaller one.
bool by_samples(const Refinement& state, Index size) {
  return state.mode == Mode::gated && size > state.X.rows();
}

}  // namespace

NewtonCost newton_cost(const Refinement& state) {
  const auto n = static_cast<double>(state.X.rows()), p = static_cast<double>(state.X.cols());
  const auto m = static_cast<double>(state.neurons.size());
  const Index size = face_size(state.neurons);
  if (by_samples(state, size)) {
    return {n * n * (2.0 * (m + p) + 0.7 * n), state.X.rows() + state.neurons.size()};
  }
  const Index all = size + state.linear.size();
  const auto K = static_cast<double>(all);
  return {n * K * K + K * K * K / 3.0, all};
}

double newton(Refinement& state) {
  const Index m = state.neurons.size();
  const Direction direction =
      by_samples(state, face_size(state.neurons)) ? sample_direction(state) : face_direction(state);
  JointLine line(state, direction);
  for (Index j = 0; j < m; ++j) {
    state.add_output(j, line.a.row(j).data(), 1.0);
  }
  const JointLine::Stop stop = line.search(direction.decrement);
  line.a += stop.t * line.b;
  for (Index j = 0; j < m; ++j) {
    move(state, j, stop.t * direction.U.row(j), j == stop.neuron ? stop.row : -1,
         line.uu.maxCoeff());
    if (!state.neurons.U.row(j).isZero(0.0)) {
      state.add_output(j, line.a.row(j).data(), -1.0);
    }
  }
  move(state.linear, stop.t * direction.decayed, line.uu.maxCoeff(), state.residual);
  state.linear.centre(state.residual);
  return direction.decrement;
}

}  // namespace pyconvex
