// Solver's work over the neurons in use: how exactly, and by which kernels.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "column_generation.hpp"
#include "groups.hpp"
#include "pyconvex/patterns.hpp"
#include "quadratic_model.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

// The same numbers as in pyconvex/column_generation.py; a test compares them.
constexpr Index kMaxSweeps = 10;  // sweeps of one refinement
constexpr Index kMaxCalls = 10;   // refinements between two pricings
constexpr Index kMaxModels = 30;  // quadratic models of another loss between two pricings
constexpr double kInner = 0.1;    // such a model is solved to this share of what the last gained
constexpr double kFirm = 1e-3;    // the damping of the first model after one that was no good,
constexpr double kFirmer = 10.0;  // each further damping over the last
constexpr double kFirmest = 1e8;
constexpr Index kMaxSize = 3000;  // unknowns up to which joint Newton steps are tried
constexpr double kMaxWork = 3e9;  // flops of one refinement
constexpr Index kRounds = 12;     // groups without cones: sweeps alone go on while so many
constexpr double kFalling = 0.5;  // rounds bring the gap below this share of what it was;
constexpr double kShare = 0.1;    // else a refinement goes on until a sweep gains less of the gap,
constexpr double kCoarse = 1e-4;  // as long as that is above this,
constexpr double kStuck = 0.9;    // and below this share of what it was after the last one
constexpr Index kGroupWork = 10;  // groups whose gradients cost as much as the update of one

}  // namespace

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
  const bool stuck = gap > kStuck * gaps.front();
  gaps.clear();
  // The gap shrinks like the root of the distance to the optimum over these neurons.
  double step = idle == 0 ? std::min(1e-4 * gap, 1e-2 * gap * gap) : 0.0;
  const bool coarse = gap > kCoarse && !stuck && mode_ == Mode::gated;
  if (idle == 0 && coarse && problem_.loss->quadratic()) {
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
