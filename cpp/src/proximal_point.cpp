#include "proximal_point.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "smoothed.hpp"

namespace pyconvex {
namespace {

// The same numbers as in pyconvex/proximal_point.py; a test compares them.
constexpr double kWidth = 0.3;       // of the mean error: the first width of a smoothed kink
constexpr double kNarrower = 0.5;    // each further width over the last,
constexpr double kNarrowest = 1e-3;  // down to this share of the first
constexpr int kStages = 60;
constexpr int kPatience = 8;  // stages without a better gap until a solve is called stalled

double objective(const Problem& problem, const State& state) {
  return problem.objective(state.prediction, state.U, state.pattern);
}

// Keep the better weights and the better bound; an estimate goes with its weights.
void improve(Solution& best, const Solution& found, const Problem& problem, bool exact) {
  if (best.multiplier.size() == 0 || !exact) {
    best = found;
    return;
  }
  if (objective(problem, found.state) < objective(problem, best.state)) {
    best.state = found.state;
  }
  if (found.dual_objective > best.dual_objective) {
    best.dual_objective = found.dual_objective;
    best.multiplier = found.multiplier;
  }
}

}  // namespace

Solution solve(const Problem& problem, const Stage& stage, bool exact, double tol,
               const State& start) {
  const auto kinked = std::dynamic_pointer_cast<const Kinked>(problem.loss);
  if (kinked == nullptr) {
    return stage(problem, problem, start);
  }
  Problem near = problem;
  auto loss = smoothed(kinked, view(problem.y), kWidth);
  const double first = loss->width();
  Solution best;
  State state = start;
  double gap = std::numeric_limits<double>::infinity();
  int idle = 0;
  for (int k = 0; k < kStages; ++k) {
    near.loss = loss;
    Solution found = stage(near, problem, state);
    improve(best, found, problem, exact);
    state = std::move(found.state);
    const double last =
        std::exchange(gap, relative_gap(objective(problem, best.state), best.dual_objective));
    const bool proved = gap <= tol && found.sure;
    best.status = proved ? Status::optimal : found.status;
    const bool settled = found.status == Status::optimal || found.status == Status::stalled;
    if (proved || !settled) {
      return best;
    }
    idle = gap < 0.9 * last ? 0 : idle + 1;
    if (idle == kPatience) {
      break;
    }
    Values centre = loss->maximisers(view(problem.at_samples(state.prediction)), view(problem.y));
    const double width = std::max(kNarrower * loss->width(), kNarrowest * first);
    loss = std::make_shared<Smoothed>(kinked, std::move(centre), width);
  }
  best.status = Status::stalled;
  return best;
}

}  // namespace pyconvex
