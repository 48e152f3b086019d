"""The proximal point method on the dual: losses with a kink by way of smooth ones."""

from dataclasses import dataclass, replace
from functools import partial

from pyconvex.column_generation import Solver
from pyconvex.dual_newton import DualNewton
from pyconvex.losses import Kinked, Smoothed
from pyconvex.monitor import Monitor
from pyconvex.neurons import Neurons, Solution
from pyconvex.program import Problem, relative_gap
from pyconvex.stages import WIDTH, Stage, in_stages


def solve(solver: Solver | DualNewton, neurons: Neurons, monitor: Monitor) -> Solution:
    """Solve from given neurons, whatever the loss."""
    loss = solver.problem.loss
    if isinstance(loss, Kinked):
        return ProximalPoint(solver, neurons).solve(loss, monitor)
    return solver.solve(neurons, monitor)


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

        status = in_stages(
            loss.smooth(problem.y, WIDTH), partial(Smoothed.around, y=problem.y), self.solver.tol,
            solve_smoothed,
        )  # fmt: skip
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
