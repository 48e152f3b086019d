#include "column_generation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "groups.hpp"
#include "pyconvex/patterns.hpp"
#include "quadratic_model.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

// The same numbers as in pyconvex/column_generation.py; a test compares them.
constexpr Index kColumns = 16;    // columns added per round
constexpr Index kMaxSweeps = 10;  // sweeps of one refinement
constexpr Index kMaxCalls = 10;   // refinements between two pricings
constexpr Index kMaxModels = 30;  // quadratic models of another loss between two pricings
constexpr double kInner = 0.1;  // such a model is solved to this share of what the last one gained
constexpr double kFirm = 1e-3;  // the damping of the first model after one that was no good,
constexpr double kFirmer = 10.0;  // each further damping over the last
constexpr double kFirmest = 1e8;
constexpr int kHalvings = 40;  // of the sizes of new neurons, where the loss is far from its model
constexpr Index kMaxSize = 3000;       // unknowns up to which joint Newton steps are tried
constexpr double kMaxWork = 3e9;       // flops of one refinement
constexpr int kConfirm = 8;            // times the usual starts before a local certificate is given
constexpr double kNoProgress = 1e-15;  // relative changes of the objective below this say nothing
constexpr double kRise = 1e-12;        // an objective may rise by this much, relative
constexpr int kPatience = 3;           // rounds without progress until a solve is called stalled
constexpr Index kRounds = 12;          // groups without cones: sweeps alone go on while so many
constexpr double kFalling = 0.5;       // rounds bring the gap below this share of what it was;
constexpr double kShare = 0.1;    // else a refinement goes on until a sweep gains less of the gap,
constexpr double kCoarse = 1e-4;  // as long as that is above this
constexpr Index kGroupWork = 10;  // groups whose gradients cost as much as the update of one

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
    if (sure && gap <= limits_.tol) {
      return found;
    }
    if (&problem_ != &real_) {
      const double left = (objective(state) - dual_objective(problem_, z, norm, columns)) / real;
      if (left <= kStage * gap) {
        return found;
      }
      gap = left;
    }
    if (stopped || idle == kPatience) {
      found.status = stopped.value_or(Status::stalled);
      return found;
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
  sure = stuck || gap <= pricing_.ready() * limits_.tol;
  if (sure && !pricing_.exact()) {
    norm = pricing_.price(problem_, at_rows, state.U, state.signs, kConfirm, gap_of, columns);
  }
  return norm;
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

VectorXd Solver::betas(const State& state) const {
  VectorXd betas(state.size());
  for (Index j = 0; j < state.size(); ++j) {
    betas[j] = problem_.beta * problem_.weight_of(state.pattern[static_cast<std::size_t>(j)]);
  }
  return betas;
}

// The neurons' patterns, packed; none where neurons may cross.
std::vector<std::uint64_t> Solver::bits(const State& state) const {
  const Index n_words = words_per_pattern(problem_.X.rows());
  std::vector<std::uint64_t> bits;
  for (const Index g : state.pattern) {
    if (mode_ != Mode::crossing) {
      bits.insert(bits.end(), packed_.data() + g * n_words, packed_.data() + (g + 1) * n_words);
    }
  }
  return bits;
}

// Solve over the neurons as exactly as the gap deserves; `gaps` are those since a refinement.
void Solver::improve(State& state, double objective, double gap, std::vector<double>& gaps,
                     int idle) {
  gaps.push_back(gap);
  if (idle == 0 && sweeps_pay(gaps)) {
    State swept = state;
    sweep(swept);
    if (objective - this->objective(swept) > kNoProgress * objective) {
      state = std::move(swept);
      return;
    }
  }
  gaps.clear();
  // The gap shrinks like the root of the distance to the optimum over these neurons.
  double step = idle == 0 ? std::min(1e-4 * gap, 1e-2 * gap * gap) : 0.0;
  if (idle == 0 && gap > kCoarse && mode_ == Mode::gated && problem_.loss->quadratic()) {
    step = kShare * gap;
  }
  refine(state, objective * std::max(step, kNoProgress));
}

bool Solver::sweeps_pay(const std::vector<double>& gaps) const {
  const auto count = static_cast<Index>(gaps.size());
  return mode_ == Mode::gated && problem_.loss->quadratic() &&
         (count <= kRounds ||
          gaps.back() <= kFalling * gaps[static_cast<std::size_t>(count - 1 - kRounds)]);
}

// Update the groups one by one, as often as costs what their pricing does.
void Solver::sweep(State& state) {
  const Index p = problem_.X.cols(), m = state.size();
  const Index n_words = words_per_pattern(problem_.X.rows());
  std::vector<double> grams;
  for (const Index g : state.pattern) {
    const auto [place, is_new] = grams_.try_emplace(g, p, p);
    if (is_new) {
      masked_grams(problem_.rows(), packed_.data() + g * n_words, 1, problem_.sample_weight.data(),
                   place->second.data(), limits_.n_threads);
    }
    grams.insert(grams.end(), place->second.data(), place->second.data() + p * p);
  }
  const Index n_patterns = static_cast<Index>(packed_.size()) / n_words;
  const Index n_sweeps = n_patterns / (kGroupWork * std::max<Index>(m, 1));
  const auto model = QuadraticModel::bounding(problem_, state.prediction);
  RowMatrix U = state.signs.asDiagonal() * state.U;
  VectorXd residual = model.residual;
  const double shift = descend_groups(
      problem_.rows(), model.weights.data(), bits(state).data(), grams.data(), m,
      (betas(state) / model.scale).eval().data(), problem_.ridge / model.scale, problem_.intercept,
      std::clamp<Index>(n_sweeps, 1, kMaxSweeps), U.data(), residual.data());
  std::vector<Index> stay;
  for (Index j = 0; j < m; ++j) {
    if (!U.row(j).isZero(0.0)) {
      stay.push_back(j);
    }
  }
  state = state.with(stay, U(stay, Eigen::all), state.tight(stay, Eigen::all), shift,
                     state.prediction + (model.residual - residual));
  state.signs.setOnes();
}

// Solve over the present neurons until a kernel call gains less than `target`.
void Solver::refine(State& state, double target) const {
  if (!problem_.loss->quadratic()) {
    refine_models(state, target);
    return;
  }
  for (Index call = 0; call < kMaxCalls; ++call) {
    if (lower_model(state, 0.0, target) <= target || course_.out_of_time()) {
      return;
    }
  }
}

// The same by proximal Newton steps: minimise quadratic models of the loss in turn. A step that
// does not lower the objective is taken back, and the next model lies higher.
void Solver::refine_models(State& state, double target) const {
  const double least = problem_.loss->damping();
  double damping = least, decrease = std::numeric_limits<double>::infinity();
  double before = objective(state);
  for (Index call = 0; call < kMaxModels; ++call) {
    State moved = state;
    lower_model(moved, damping,
                std::isinf(decrease) ? target : std::max(target, kInner * decrease));
    recompute(moved);
    decrease = before - objective(moved);
    if (!(decrease >= 0.0)) {
      damping = std::max(kFirmer * damping, kFirm);
      decrease = std::numeric_limits<double>::infinity();
    } else {
      state = std::move(moved);
      before -= decrease;
      if (decrease <= target && damping <= kFirm) {
        return;
      }
      damping = std::max(damping / kFirmer, least);
    }
    if (damping > kFirmest || course_.out_of_time()) {
      return;
    }
  }
}

// Lower the model of the objective at `damping` until a sweep gains less than `target`; returns
// what the last sweep gained.
double Solver::lower_model(State& state, double damping, double target) const {
  const auto model = QuadraticModel::at(problem_, state.prediction, damping);
  Refined found = pyconvex::refine(
      problem_.rows(), model.weights.data(), model.residual.data(),
      {state.U.data(), state.U.rows(), state.U.cols()}, state.signs.data(), bits(state).data(),
      state.tight.data(), (betas(state) / model.scale).eval().data(), problem_.ridge / model.scale,
      problem_.intercept, problem_.free_bias, mode_, target / model.scale, kMaxSweeps, kMaxSize,
      kMaxWork);
  state =
      state.with({found.kept.begin(), found.kept.end()}, std::move(found.U), std::move(found.tight),
                 found.shift, state.prediction + (model.residual - found.residual));
  return found.decrease * model.scale;
}

}  // namespace pyconvex
