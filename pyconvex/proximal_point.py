"""The proximal point method on the dual: losses with a kink by way of smooth ones."""

import math
from dataclasses import dataclass, replace

from pyconvex.column_generation import Solver
from pyconvex.dual_newton import DualNewton
from pyconvex.losses import Kinked, Smoothed
from pyconvex.monitor import Monitor
from pyconvex.neurons import Neurons, Solution
from pyconvex.program import Problem, Status, relative_gap

WIDTH = 0.3  # of the mean error: the first width of a smoothed kink
NARROWER = 0.5  # each further width over the last,
NARROWEST = 1e-3  # down to this share of the first
STAGES = 60
PATIENCE = 8  # stages without a better gap until a solve is called stalled


def solve(solver: Solver | DualNewton, neurons: Neurons, monitor: Monitor) -> Solution:
    """Solve from given neurons, whatever the loss."""
    if isinstance(solver.problem.loss, Kinked):
        return ProximalPoint(solver).solve(neurons, monitor)
    return solver.solve(neurons, monitor)


@dataclass(frozen=True)
class ProximalPoint:
    """Solve a program whose loss has a kink: smooth it around the last multiplier, repeat.

    Parameters
    ----------
    solver : Solver or DualNewton
        For the program with the loss as it is.
    """

    solver: Solver | DualNewton

    def solve(self, neurons: Neurons, monitor: Monitor) -> Solution:
        """Solve from given neurons."""
        problem = self.solver.problem
        loss = problem.loss
        assert isinstance(loss, Kinked)
        smoothed = loss.smooth(problem.y, WIDTH)
        first = smoothed.width
        best: Solution | None = None
        idle, gap = 0, math.inf
        for _ in range(STAGES):
            solver = replace(self.solver, problem=replace(problem, loss=smoothed))
            solution = solver.solve(neurons, monitor)
            neurons = solution.neurons
            best, previous = _better(self.solver, best, solution), gap
            gap = _gap(problem, best)
            if gap <= self.solver.tol and solution.sure:
                return replace(best, status=Status.OPTIMAL)
            if solution.status not in (Status.OPTIMAL, Status.STALLED):
                return replace(best, status=solution.status)
            idle = 0 if gap < 0.9 * previous else idle + 1
            if idle == PATIENCE:
                break
            centre = smoothed.maximisers(problem.at_samples(neurons.prediction), problem.y)
            width = max(NARROWER * smoothed.width, NARROWEST * first)
            smoothed = Smoothed(loss, centre, width)
        assert best is not None
        return replace(best, status=Status.STALLED)


def _better(solver: Solver | DualNewton, best: Solution | None, solution: Solution) -> Solution:
    """Return the better weights with the better bound; an estimate goes with its weights."""
    problem = solver.problem
    if best is None or not solver.pricing.exact:
        return solution
    chosen = min(best, solution, key=lambda s: s.neurons.objective(problem))
    proof = max(best, solution, key=lambda s: s.dual_objective)
    return replace(chosen, dual_objective=proof.dual_objective, multiplier=proof.multiplier)


def _gap(problem: Problem, solution: Solution) -> float:
    return relative_gap(solution.neurons.objective(problem), solution.dual_objective)
