#include "pyconvex/solver.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "column_generation.hpp"
#include "dual_newton.hpp"
#include "kept_patterns.hpp"
#include "proximal_point.hpp"

namespace pyconvex {

namespace {

constexpr Index kNewtonSamples = 20'000;  // up to which `automatic` takes the dual engine

void check_extras(const GroupLassoSettings& settings, Index n_patterns) {
  if (!(settings.ridge >= 0.0) || !std::isfinite(settings.ridge)) {
    throw std::invalid_argument("ridge must be a finite number >= 0");
  }
  if (settings.engine == Engine::newton && settings.cones) {
    throw std::invalid_argument("engine newton does not know cones: take cd");
  }
  const std::vector<double>& weights = settings.group_weights;
  if (!weights.empty() && static_cast<Index>(weights.size()) != n_patterns) {
    throw std::invalid_argument("group_weights must have one entry per pattern");
  }
  for (const double weight : weights) {
    if (!(weight > 0.0) || !std::isfinite(weight)) {
      throw std::invalid_argument("group_weights must be finite numbers > 0");
    }
  }
}

Solution solve(const Problem& problem, const std::vector<std::uint64_t>& packed,
               const GroupLassoSettings& settings, Course& course) {
  const bool small = !settings.cones && problem.X.rows() <= kNewtonSamples;
  const bool newton =
      settings.engine == Engine::newton || (settings.engine == Engine::automatic && small);
  const auto pricing = pattern_pricing(packed, settings.cones, settings.n_threads);
  const Mode mode = settings.cones ? Mode::fixed : Mode::gated;
  const Stage stage = [&](const Problem& near, const Problem& real, const State& start) {
    return newton ? DualNewton(near, real, packed, settings, course).solve(start)
                  : Solver(near, real, *pricing, mode, packed, settings, course).solve(start);
  };
  return solve(problem, stage, true, settings.tol, State::none(problem));
}

}  // namespace

GroupLassoResult solve_group_lasso(MatrixView X, const std::vector<double>& y,
                                   const PatternSet& patterns, const GroupLassoSettings& settings) {
  check_finite(X, "X");
  check_limits(settings);
  if (patterns.n_samples() != X.rows || patterns.size() == 0) {
    throw std::invalid_argument("patterns must hold at least one pattern of as many samples as X");
  }
  check_extras(settings, patterns.size());
  std::vector<Index> kept;
  Problem problem = make_problem(as_rows(X), y, settings.sample_weight, settings.beta,
                                 settings.loss, settings.intercept, false, kept);
  problem.ridge = settings.ridge;
  problem.group_weights = Eigen::Map<const Eigen::VectorXd>(
      settings.group_weights.data(), static_cast<Index>(settings.group_weights.size()));
  const std::vector<std::uint64_t> packed = kept_patterns(patterns, kept);
  Course course(settings);
  const Solution solution = solve(problem, packed, settings, course);
  const State& state = solution.state;

  GroupLassoResult result;
  static_cast<Report&>(result) = course.report(solution.status);
  result.beta = problem.beta;
  result.objective = problem.objective(state.prediction, state.U, state.pattern);
  result.dual_objective = std::min(solution.dual_objective, result.objective);  // rounding
  result.gap = relative_gap(result.objective, result.dual_objective);
  result.lower_bound = result.dual_objective;
  result.certificate = "restricted";
  result.coef = Matrix(state.U.rows(), state.U.cols());
  std::copy_n(state.U.data(), state.U.size(), result.coef.data());
  result.active = state.pattern;
  result.signs.assign(state.signs.data(), state.signs.data() + state.signs.size());
  result.intercept = state.intercept;
  result.multiplier.assign(static_cast<std::size_t>(X.rows), 0.0);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    result.multiplier[static_cast<std::size_t>(kept[i])] =
        solution.multiplier[static_cast<Index>(i)];
  }
  return result;
}

}  // namespace pyconvex
