// The proximal point method on the dual: losses with a kink by way of smooth ones. Private.
#pragma once

#include <functional>

#include "column_generation.hpp"

namespace pyconvex {

/// Solves `problem` from given neurons; `real` is the problem whose objective and gap count.
using Stage =
    std::function<Solution(const Problem& problem, const Problem& real, const State& start)>;

/// Solve a problem from given neurons, whatever its loss. One with a kink is smoothed around the
/// last multiplier, again and again. `exact`: every stage's dual objective is a bound.
Solution solve(const Problem& problem, const Stage& stage, bool exact, double tol,
               const State& start);

}  // namespace pyconvex
