#include "column_generation.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "pyconvex/patterns.hpp"
#include "quadratic_model.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

// The same numbers as in pyconvex/column_generation.py; a test compares them.
constexpr Index kColumns = 16;   // columns added per round
constexpr int kConfirm = 8;      // times the usual starts before a local certificate is given,
constexpr double kLoose = 1e-3;  // unless the gap asked for is as large as this
constexpr double kRise = 1e-12;  // an objective may rise by this much, relative
constexpr int kPatience = 3;     // rounds without progress until a solve is called stalled
constexpr int kHalvings = 40;  // of the sizes of new neurons, where the loss is far from its model

}  // namespace

State State::none(const Problem& problem) {
  const Index p = problem.X.cols();
  return {RowMatrix(0, p), VectorXd(0), TightRows(0, p), {}, 0.0, VectorXd::Zero(problem.X.rows())};
}

State State::with(const std::vector<Index>& from, RowMatrix weights, TightRows rows, double shift,
                  VectorXd outputs) const {
  State state{std::move(weights), signs(from),       std::move(rows), {},
              intercept + shift,  std::move(outputs)};
  for (const Index j : from) {
    state.pattern.push_back(pattern[static_cast<std::size_t>(j)]);
  }
  return state;
}

Solver::Solver(const Problem& problem, const Problem& real, Pricer& pricing, Mode mode,
               const std::vector<std::uint64_t>& packed, const Limits& limits, Course& course)
    : problem_(problem),
      real_(real),
      pricing_(pricing),
      mode_(mode),
      packed_(packed),
      limits_(limits),
      course_(course) {}

Solution Solver::solve(const State& start) {
  Solution found{start, 0.0, VectorXd::Zero(problem_.y.size())};
  State& state = found.state;
  Columns columns;
  std::vector<double> gaps;  // since the last refinement
  int idle = 0;
  while (true) {
    recompute(state);
    const double real = real_.objective(state.prediction, state.U, state.pattern);
    const VectorXd z = problem_.multiplier(state.prediction);
    bool sure = false;
    const double norm = price(z, state, real, idle > 0, columns, sure);
    const double dual = dual_objective(real_, z, norm, columns);
    if (!pricing_.exact() || dual > found.dual_objective) {
      found.dual_objective = dual;  // where pricing is exact every bound is valid: keep the best
      found.multiplier = z;
    }
    double gap = relative_gap(real, found.dual_objective);
    const auto stopped = course_.record(real, found.dual_objective, state.size());
    found.status = Status::optimal;
    found.sure = sure || pricing_.exact();
    if (sure && gap <= limits_.tol) {
      return found;
    }
    if (stopped || idle == kPatience) {
      found.status = stopped.value_or(Status::stalled);
      return found;
    }
    if (&problem_ != &real_) {
      const double left = (objective(state) - dual_objective(problem_, z, norm, columns)) / real;
      if (left <= kStage * std::max(gap, ready())) {
        return found;
      }
      gap = left;
    }
    advance(state, columns, gap, gaps, idle);
  }
}

// Look harder before a certificate, and if stuck; `sure`: whether the norm may stand in one.
double Solver::price(const VectorXd& z, const State& state, double objective, bool stuck,
                     Columns& columns, bool& sure) {
  const VectorXd at_rows = problem_.at_rows(z);
  const auto gap_of = [&](double norm) {
    return relative_gap(objective, real_.dual_objective(z, norm));
  };
  double norm = pricing_.price(problem_, at_rows, state.U, state.signs, 1, gap_of, columns);
  const double gap = relative_gap(objective, dual_objective(real_, z, norm, columns));
  sure = stuck || gap <= ready();
  const bool enough = pricing_.local() && limits_.tol >= kLoose && !stuck;
  if (sure && !pricing_.exact() && !enough) {
    norm = pricing_.price(problem_, at_rows, state.U, state.signs, kConfirm, gap_of, columns);
  }
  return norm;
}

// The gap at which a harder search pays; with a smoothed loss smaller ones are rare.
double Solver::ready() const {
  return limits_.tol * (&problem_ == &real_ ? pricing_.ready() : 1.0);
}

// Add columns and solve over the neurons; the state never gets worse.
void Solver::advance(State& state, const Columns& columns, double gap, std::vector<double>& gaps,
                     int& idle) {
  const double before = objective(state);
  State moved = state;
  add(moved, columns);
  improve(moved, before, gap, gaps, idle);
  double progress = before - objective(moved);
  idle = progress > kNoProgress * before ? 0 : idle + 1;
  if (idle > 0) {  // the new columns were noise: sharpen the multiplier without them
    moved = state;
    refine(moved, before * kNoProgress);
    progress = before - objective(moved);
  }
  if (progress > -kRise * before) {  // never go up, nor follow a NaN
    state = std::move(moved);
  }
}

double Solver::objective(const State& state) const {
  return problem_.objective(state.prediction, state.U, state.pattern);
}

double Solver::dual_objective(const Problem& problem, const VectorXd& z, double norm,
                              const Columns& columns) const {
  return problem.dual_objective(z, norm, problem.violation_cost(columns.values, columns.pattern));
}

VectorXd Solver::output(const VectorXd& u, Index pattern) const {
  VectorXd a = problem_.X * u;
  if (mode_ == Mode::crossing) {
    return a.cwiseMax(0.0);
  }
  const std::uint64_t* bits = packed_.data() + pattern * words_per_pattern(a.size());
  for (Index i = 0; i < a.size(); ++i) {
    if (((bits[i / 64] >> (i % 64)) & 1U) == 0) {
      a[i] = 0.0;
    }
  }
  return a;
}

// Take the prediction afresh from the weights, with the best intercept.
void Solver::recompute(State& state) const {
  state.prediction.setConstant(state.intercept);
  for (Index j = 0; j < state.size(); ++j) {
    const Index pattern = state.pattern[static_cast<std::size_t>(j)];
    state.prediction += state.signs[j] * output(state.U.row(j), pattern);
  }
  const double shift = problem_.best_shift(state.prediction);
  state.prediction.array() += shift;
  state.intercept += shift;
}

// Add the best columns one by one, each with its best size on the present residual.
void Solver::add(State& state, const Columns& columns) const {
  const auto model =
      QuadraticModel::at(problem_, state.prediction, problem_.loss->quadratic() ? 0.0 : 1.0);
  const VectorXd& weights = model.weights;
  VectorXd residual = model.residual;
  const Index before = state.size();
  Index tried = 0;
  for (Index k = 0; k < columns.size() && tried < kColumns; ++k) {
    if (in_use(state, before, columns, k)) {
      continue;
    }
    ++tried;
    const Index pattern = columns.pattern[static_cast<std::size_t>(k)];
    const VectorXd effect = columns.signs[k] * output(columns.points.row(k), pattern);
    const double beta = problem_.beta * problem_.weight_of(pattern) / model.scale;
    const double gain = weights.cwiseProduct(residual).dot(effect) - beta;
    const double curvature = weights.dot(effect.cwiseAbs2()) + problem_.ridge / model.scale;
    if (gain > 0.0 && curvature > 0.0) {
      append(state, columns, k, gain / curvature);
      residual -= (gain / curvature) * effect;
      if (problem_.intercept) {
        residual.array() -= weights.dot(residual);
      }
    }
  }
  const VectorXd step = model.residual - residual;
  const double size = safe(state, before, step);
  state.U.bottomRows(state.size() - before) *= size;
  state.prediction += size * step;
}

// By how much to shrink new neurons, those from `before` on, so that the objective falls: only a
// loss without a bound of its curvature can exceed the model that their sizes minimise.
double Solver::safe(const State& state, Index before, const VectorXd& step) const {
  double size = 1.0;
  if (std::isfinite(problem_.loss->smoothness())) {
    return size;
  }
  const double start = problem_.loss_value(state.prediction);
  const double penalty = problem_.penalty(state.U.bottomRows(state.size() - before),
                                          {state.pattern.begin() + before, state.pattern.end()});
  for (int k = 0; k < kHalvings; ++k) {
    if (problem_.loss_value(state.prediction + size * step) + size * penalty <= start) {
      break;
    }
    size *= 0.5;
  }
  return size;
}

// Whether one of the first `before` neurons is of the column's group.
bool Solver::in_use(const State& state, Index before, const Columns& columns, Index k) const {
  for (Index j = 0; j < before && mode_ != Mode::crossing; ++j) {
    if (state.pattern[static_cast<std::size_t>(j)] ==
            columns.pattern[static_cast<std::size_t>(k)] &&
        state.signs[j] == columns.signs[k]) {
      return true;
    }
  }
  return false;
}

void Solver::append(State& state, const Columns& columns, Index k, double size) const {
  const Index m = state.size();
  state.U.conservativeResize(m + 1, Eigen::NoChange);
  state.U.row(m) = size * columns.points.row(k);
  state.signs.conservativeResize(m + 1);
  state.signs[m] = columns.signs[k];
  state.tight.conservativeResize(m + 1, Eigen::NoChange);
  state.tight.row(m) = columns.tight.row(k);
  state.pattern.push_back(columns.pattern[static_cast<std::size_t>(k)]);
}

}  // namespace pyconvex
