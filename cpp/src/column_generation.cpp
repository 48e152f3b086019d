#include "column_generation.hpp"

#include <algorithm>
#include <cmath>

#include "groups.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

// The same numbers as in pyconvex/solver.py; a test compares them.
constexpr Index kColumns = 16;         // columns added per round
constexpr Index kMaxSweeps = 10;       // sweeps of one refinement
constexpr Index kMaxCalls = 10;        // refinements between two pricings
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
  return {RowMatrix(0, p), VectorXd(0), TightRows(0, p), {}, 0.0, problem.y};
}

Solver::Solver(const Problem& problem, Pricer& pricing, Mode mode,
               const std::vector<std::uint64_t>& packed, const Limits& limits)
    : problem_(problem),
      pricing_(pricing),
      mode_(mode),
      packed_(packed),
      limits_(limits),
      course_(limits) {}

Solution Solver::solve(const State& start) {
  Solution solution{start, {}};
  State& state = solution.state;
  Report& report = solution.report;
  Columns columns;
  double best_dual = 0.0;
  std::vector<double> gaps;  // since the last refinement
  int idle = 0;
  while (true) {
    recompute(state);
    const double objective = problem_.objective(state.residual, state.U, state.pattern);
    const VectorXd z = problem_.multiplier(state.residual);
    double norm = pricing_.price(problem_, z, state.U, state.signs, 1, columns);
    double dual = dual_objective(z, norm, columns);
    const double loose_gap = relative_gap(objective, dual);
    const bool harder = idle > 0 || loose_gap <= pricing_.ready() * limits_.tol;
    if (harder && !pricing_.exact()) {  // before a certificate, or if stuck
      norm = pricing_.price(problem_, z, state.U, state.signs, kConfirm, columns);
      dual = dual_objective(z, norm, columns);
    }
    if (!pricing_.exact() || dual > best_dual) {
      best_dual = dual;
      solution.multiplier = z;
    }
    if (pricing_.exact()) {  // every multiplier's bound is valid, so keep the best
      dual = best_dual;
    }
    const double gap = relative_gap(objective, dual);
    const bool go_on = course_.record(report, objective, dual, state.size());
    const bool done = harder && gap <= limits_.tol;
    if (done) {
      report.status = Status::optimal;
    } else if (go_on && idle == kPatience) {
      report.status = Status::stalled;
    }
    if (done || !go_on || idle == kPatience) {
      break;
    }
    State moved = state;
    add(moved, columns);
    improve(moved, objective, gap, gaps, idle);
    double progress = objective - problem_.objective(moved.residual, moved.U, moved.pattern);
    idle = progress > kNoProgress * objective ? 0 : idle + 1;
    if (idle > 0) {  // the new columns were noise: sharpen the multiplier without them
      moved = state;
      refine(moved, objective * kNoProgress);
      progress = objective - problem_.objective(moved.residual, moved.U, moved.pattern);
    }
    if (progress > -kRise * objective) {  // never go up, nor follow a NaN
      state = std::move(moved);
    }
  }
  report.objective = problem_.objective(state.residual, state.U, state.pattern);
  report.dual_objective = report.history.back().dual_objective;
  report.n_iter = static_cast<Index>(report.history.size());
  report.seconds = course_.seconds();
  return solution;
}

double Solver::dual_objective(const VectorXd& z, double norm, const Columns& columns) const {
  return problem_.dual_objective(z, norm, problem_.violation_cost(columns.values, columns.pattern));
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

// Take the residual afresh from the weights, with the best intercept.
void Solver::recompute(State& state) const {
  state.residual = problem_.y;
  for (Index j = 0; j < state.size(); ++j) {
    const Index pattern = state.pattern[static_cast<std::size_t>(j)];
    state.residual -= state.signs[j] * output(state.U.row(j), pattern);
  }
  state.intercept = problem_.intercept ? problem_.sample_weight.dot(state.residual) : 0.0;
  state.residual.array() -= state.intercept;
}

// Add the best columns one by one, each with its best size on the present residual.
void Solver::add(State& state, const Columns& columns) const {
  const VectorXd& weights = problem_.sample_weight;
  const State before = state;
  Index tried = 0;
  for (Index k = 0; k < columns.size() && tried < kColumns; ++k) {
    if (in_use(before, columns, k)) {
      continue;
    }
    ++tried;
    const Index pattern = columns.pattern[static_cast<std::size_t>(k)];
    const VectorXd effect = columns.signs[k] * output(columns.points.row(k), pattern);
    const double beta = problem_.beta * problem_.weight_of(pattern);
    const double gain = weights.cwiseProduct(state.residual).dot(effect) - beta;
    const double curvature = weights.dot(effect.cwiseAbs2()) + problem_.ridge;
    if (gain > 0.0 && curvature > 0.0) {
      append(state, columns, k, gain / curvature);
      state.residual -= (gain / curvature) * effect;
      if (problem_.intercept) {
        state.residual.array() -= weights.dot(state.residual);
      }
    }
  }
}

bool Solver::in_use(const State& state, const Columns& columns, Index k) const {
  for (Index j = 0; j < state.size() && mode_ != Mode::crossing; ++j) {
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
    const double now = problem_.objective(swept.residual, swept.U, swept.pattern);
    if (objective - now > kNoProgress * objective) {
      state = std::move(swept);
      return;
    }
  }
  gaps.clear();
  // The gap shrinks like the root of the distance to the optimum over these neurons.
  double step = idle == 0 ? std::min(1e-4 * gap, 1e-2 * gap * gap) : 0.0;
  if (idle == 0 && gap > kCoarse && mode_ == Mode::gated) {
    step = kShare * gap;
  }
  refine(state, objective * std::max(step, kNoProgress));
}

bool Solver::sweeps_pay(const std::vector<double>& gaps) const {
  const auto count = static_cast<Index>(gaps.size());
  return mode_ == Mode::gated &&
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
  state.U = state.signs.asDiagonal() * state.U;
  state.signs.setOnes();
  state.intercept += descend_groups(
      problem_.rows(), problem_.sample_weight.data(), bits(state).data(), grams.data(), m,
      betas(state).data(), problem_.ridge, problem_.intercept,
      std::clamp<Index>(n_sweeps, 1, kMaxSweeps), state.U.data(), state.residual.data());
  Index stay = 0;
  for (Index j = 0; j < m; ++j) {
    if (!state.U.row(j).isZero(0.0)) {
      state.U.row(stay) = state.U.row(j).eval();
      state.pattern[static_cast<std::size_t>(stay++)] = state.pattern[static_cast<std::size_t>(j)];
    }
  }
  state.U.conservativeResize(stay, Eigen::NoChange);
  state.signs.conservativeResize(stay);
  state.tight.conservativeResize(stay, Eigen::NoChange);
  state.pattern.resize(static_cast<std::size_t>(stay));
}

// Solve over the present neurons until a sweep gains less than `target`.
void Solver::refine(State& state, double target) const {
  for (Index call = 0; call < kMaxCalls; ++call) {
    const Refined found = pyconvex::refine(
        problem_.rows(), problem_.sample_weight.data(), state.residual.data(),
        {state.U.data(), state.U.rows(), state.U.cols()}, state.signs.data(), bits(state).data(),
        state.tight.data(), betas(state).data(), problem_.ridge, problem_.intercept,
        problem_.free_bias, mode_, target, kMaxSweeps, kMaxSize, kMaxWork);
    State next{found.U, VectorXd(found.U.rows()),      found.tight,
               {},      state.intercept + found.shift, found.residual};
    for (Index j = 0; j < next.size(); ++j) {
      const auto from = static_cast<std::size_t>(found.kept[static_cast<std::size_t>(j)]);
      next.signs[j] = state.signs[static_cast<Index>(from)];
      next.pattern.push_back(state.pattern[from]);
    }
    state = std::move(next);
    if (found.decrease <= target || course_.out_of_time()) {
      return;
    }
  }
}

}  // namespace pyconvex
