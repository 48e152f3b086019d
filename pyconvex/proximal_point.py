"""The proximal point method on the dual: losses with a kink by way of smooth ones."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from pyconvex.column_generation import Solver
from pyconvex.dual_newton import DualNewton
from pyconvex.losses import Array, Kinked, Smoothed
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
    loss = solver.problem.loss
    if isinstance(loss, Kinked):
        return ProximalPoint(solver, neurons).solve(loss, monitor)
    return solver.solve(neurons, monitor)


@dataclass(frozen=True)
class Stage:
    """What the solve with a smoothed loss came to.

    Attributes
    ----------
    prediction : array, shape (n_samples,) or (n_samples, n_outputs)
        Of the samples.
    gap : float
        Of the best weights and bound so far, with the loss as it is.
    sure : bool
        Whether that gap may stand in a certificate.
    status : Status
        How the solve ended.
    """

    prediction: Array
    gap: float
    sure: bool
    status: Status


def in_stages(
    loss: Kinked, y: Array, tol: float, solve_smoothed: Callable[[Smoothed, float], Stage]
) -> Status:
    """Smooth a loss around its last multiplier, solve, repeat until the gap is ``tol``.

    ``solve_smoothed`` takes the smoothed loss and the gap so far.
    """
    smoothed = loss.smooth(y, WIDTH)
    narrowest, idle, gap = NARROWEST * smoothed.width, 0, math.inf
    for _ in range(STAGES):
        stage = solve_smoothed(smoothed, gap)
        if stage.gap <= tol and stage.sure:
            return Status.OPTIMAL
        if stage.status not in (Status.OPTIMAL, Status.STALLED):
            return stage.status
        idle = 0 if stage.gap < 0.9 * gap else idle + 1
        if idle == PATIENCE:
            break
        gap = stage.gap
        centre = smoothed.maximisers(stage.prediction, y)
        smoothed = Smoothed(loss, centre, max(NARROWER * smoothed.width, narrowest))
    return Status.STALLED


@dataclass
class ProximalPoint:
    """Solve a program whose loss has a kink by those of smoothed losses.

    Parameters
    ----------
    solver : Solver or DualNewton
        For the program with the loss as it is.
    neurons : Neurons
        Where the next solve starts.
    best : Solution, optional
        The best weights and bound so far.
    """

    solver: Solver | DualNewton
    neurons: Neurons
    best: Solution | None = None

    def solve(self, loss: Kinked, monitor: Monitor) -> Solution:
        """Solve until the gap of the true loss is reached."""
        problem = self.solver.problem

        def solve_smoothed(smoothed: Smoothed, _: float) -> Stage:
            solver = replace(self.solver, problem=replace(problem, loss=smoothed))
            solution = solver.solve(self.neurons, monitor)
            self.neurons = solution.neurons
            self.best = _better(self.solver, self.best, solution)
            prediction = problem.at_samples(self.neurons.prediction)
            return Stage(prediction, _gap(problem, self.best), solution.sure, solution.status)

        status = in_stages(loss, problem.y, self.solver.tol, solve_smoothed)
        assert self.best is not None
        return replace(self.best, status=status)


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
