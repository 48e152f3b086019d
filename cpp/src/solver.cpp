#include "pyconvex/solver.hpp"

#include <algorithm>
#include <stdexcept>

#include "column_generation.hpp"
#include "kept_patterns.hpp"

namespace pyconvex {

GroupLassoResult solve_group_lasso(MatrixView X, const std::vector<double>& y,
                                   const PatternSet& patterns, const GroupLassoSettings& settings) {
  check_finite(X, "X");
  check_limits(settings);
  if (patterns.n_samples() != X.rows || patterns.size() == 0) {
    throw std::invalid_argument("patterns must hold at least one pattern of as many samples as X");
  }
  std::vector<Index> kept;
  const Problem problem = make_problem(as_rows(X), y, settings.sample_weight, settings.beta,
                                       settings.intercept, false, kept);
  const std::vector<std::uint64_t> packed = kept_patterns(patterns, kept);
  const auto pricing = pattern_pricing(packed, settings.cones, settings.n_threads);
  Solver solver(problem, *pricing, settings.cones ? Mode::fixed : Mode::gated, packed, settings);
  const Solution solution = solver.solve();

  GroupLassoResult result;
  static_cast<Report&>(result) = solution.report;
  result.beta = problem.beta;
  result.dual_objective = std::min(result.dual_objective, result.objective);  // rounding
  result.gap = relative_gap(result.objective, result.dual_objective);
  result.lower_bound = result.dual_objective;
  result.certificate = "restricted";
  const State& state = solution.state;
  result.coef = Matrix(state.U.rows(), state.U.cols());
  std::copy_n(state.U.data(), state.U.size(), result.coef.data());
  result.active = state.pattern;
  result.signs.assign(state.signs.data(), state.signs.data() + state.signs.size());
  result.intercept = state.intercept;
  return result;
}

}  // namespace pyconvex
