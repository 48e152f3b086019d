"""The program over given patterns along a grid of penalties, warm started."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from pyconvex.array_group_lasso import ArrayProgram
from pyconvex.backends import get_backend, on_arrays
from pyconvex.column_generation import Solver
from pyconvex.data import check_matrix, check_n_threads, check_tol
from pyconvex.dual_newton import DualNewton
from pyconvex.grid import ROUNDED_UP, Grid, solve_along
from pyconvex.losses import Loss
from pyconvex.monitor import Monitor, Record
from pyconvex.neurons import Neurons
from pyconvex.patterns import PatternSet, check_patterns
from pyconvex.pricing import run_whole
from pyconvex.rows import check_rows
from pyconvex.solver import (
    GroupLassoResult,
    make_problem,
    pattern_solver,
    solve_program,
    with_extras,
)


def group_lasso_path(
    X: ArrayLike,
    y: ArrayLike,
    patterns: PatternSet,
    *,
    betas: ArrayLike | None = None,
    n_betas: int = 100,
    beta_min_ratio: float = 0.01,
    cones: bool = False,
    engine: str = "auto",
    loss: str | Loss = "squared",
    tol: float = 1e-6,
    intercept: bool = False,
    ridge: float = 0.0,
    group_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    max_iter: int = 1000,
    time_limit: float | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
    device: Any = None,
    callback: Callable[[Record], Any] | None = None,
    verbose: bool = False,
) -> list[GroupLassoResult]:
    """Solve the convex program over given patterns along a grid of penalties, from strong to weak.

    Each point starts from the weights of the one before, and has its own certificate.

    Parameters
    ----------
    X, y, patterns
        As in `solve_group_lasso`.
    betas : array, shape (n_points,), optional
        Penalties, > 0, taken in descending order. Default: a geometric grid of ``n_betas`` from
        the smallest one without active groups down to ``beta_min_ratio`` times that.
    n_betas : int
        Points of the default grid.
    beta_min_ratio : float
        Its smallest penalty over its largest, between 0 and 1.
    cones, engine, loss, tol, intercept, ridge, group_weights, sample_weight
        As in `solve_group_lasso`, for each point.
    max_iter, n_threads, backend, device
        As in `solve_group_lasso`, for each point.
    time_limit : float, optional
        Limit in seconds for the whole path. After it, as after Ctrl-C and a callback's True, the
        path ends with the points solved so far; an unfinished one is left out unless it is the
        first.
    callback : callable, optional
        Called with each `Record` of each point; returning True ends the path.
    verbose : bool
        Show a progress bar over the points.

    Returns
    -------
    list of GroupLassoResult

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> X = np.random.default_rng(0).standard_normal((8, 3))
    >>> y = np.random.default_rng(1).standard_normal(8)
    >>> gates = pyconvex.sample_patterns(X, 100, random_state=0)
    >>> results = pyconvex.group_lasso_path(X, y, gates, n_betas=3)
    >>> [len(result.active) > 0 for result in results]
    [False, True, True]
    """
    grid = Grid.of(betas, n_betas, beta_min_ratio)
    if on_arrays(X, backend, device):
        program = ArrayProgram.of(
            X, y, patterns, 1.0, cones=cones, engine=engine, loss=loss, tol=tol,
            intercept=intercept, ridge=ridge, group_weights=group_weights,
            sample_weight=sample_weight, device=device,
        )  # fmt: skip
        with Monitor(max_iter, time_limit, callback, verbose, grid.n_points) as monitor:
            return _along(program, grid, monitor)
    X = check_matrix(X) if cones else check_rows(X, single=True)
    patterns = check_patterns(patterns, len(X))
    problem, rows = make_problem(X, y, 1.0, sample_weight, loss, intercept=bool(intercept))
    problem = with_extras(problem, len(patterns), ridge, group_weights)
    solver = pattern_solver(
        problem, patterns, rows, cones, check_tol(tol),
        get_backend(backend), check_n_threads(n_threads), engine,
    )  # fmt: skip
    with Monitor(max_iter, time_limit, callback, verbose, grid.n_points) as monitor:

        def solve(beta: float, neurons: Neurons) -> tuple[GroupLassoResult, Neurons]:
            at = replace(solver, problem=replace(problem, beta=beta))
            return solve_program(at, neurons, cones, rows, len(X), monitor)

        start = Neurons.none(problem)
        return solve_along(grid.betas(lambda: _beta_max(solver)), solve, start, monitor)[0]


def _along(program: ArrayProgram, grid: Grid, monitor: Monitor) -> list[GroupLassoResult]:
    """Solve a program on a device along the grid."""

    def solve(beta: float, state: Any) -> tuple[GroupLassoResult, Any]:
        fields, state = program.at(beta).solve(state, monitor)
        return GroupLassoResult(**fields), state

    return solve_along(grid.betas(program.beta_max), solve, program.start(None), monitor)[0]


def _beta_max(solver: Solver | DualNewton) -> float:
    """Return the dual norm at the best constant prediction, rounded up."""
    problem = replace(solver.problem, beta=0.0)
    none = Neurons.none(problem)
    z = problem.at_rows(problem.constant_multiplier())
    if isinstance(solver, DualNewton):
        return solver.dual_norm(z) * (1.0 + 1e-12)
    norm: float = solver.pricing(problem, z, none.U, none.signs, run_whole)[0]
    return norm * ROUNDED_UP
