"""The convex program over given patterns: a group lasso, with or without cones."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.array_group_lasso import ArrayProgram
from pyconvex.backends import get_backend, on_arrays
from pyconvex.column_generation import Solver
from pyconvex.data import (
    check_choice,
    check_group_weights,
    check_matrix,
    check_n_threads,
    check_positive,
    check_sample_weight,
    check_tol,
    check_vector,
)
from pyconvex.dual_newton import DualNewton
from pyconvex.losses import Array, Loss, check_loss
from pyconvex.monitor import Monitor, Record
from pyconvex.neurons import Neurons
from pyconvex.patterns import PatternSet, check_patterns
from pyconvex.pricing import PatternPricing
from pyconvex.program import Problem, Status, relative_gap
from pyconvex.proximal_point import solve
from pyconvex.rows import Rows, SparseRows, check_rows

_NEWTON_SAMPLES = 20_000  # up to which "auto" takes the engine with n x n systems


@dataclass(frozen=True)
class GroupLassoResult:
    """Solution of the group lasso over given patterns, with its certificate.

    Attributes
    ----------
    coef : array, shape (n_active, p)
        Weights u_g of the active groups.
    active : array of int, shape (n_active,)
        Their indices in ``patterns``; with cones a pattern may appear once per sign.
    signs : array, shape (n_active,) or None
        With cones the output signs; None without.
    intercept : float
        0 unless asked for.
    multiplier : array, shape (n_samples,)
        The multiplier z that proves ``dual_objective``, the largest dual objective among its
        multiples: D(z), for the squared loss sum_i (y_i z_i - z_i^2 / (2 s_i)), where
        ||X^T D_g z|| <= beta omega_g for all g, with an intercept and sum(z) = 0. With cones the
        norms are those of the projections of +-X^T D_g z onto the cells. A ridge rho allows
        larger norms at the cost of sum_g (||X^T D_g z|| - beta omega_g)_+^2 / (2 rho). 0 for
        samples without weight.
    beta, objective, dual_objective, gap, lower_bound : float
        Penalty, objective of the returned weights, the dual value that proves it, their
        relative distance, and the dual value again: both are rigorous for this program.
    certificate : str
        "restricted": optimal among these patterns.
    status : Status
        How the solve ended.
    n_iter : int
        Pricing rounds or Newton steps.
    seconds : float
        Wall time.
    history : tuple of Record
        One record per round or step.
    """

    coef: Array = field(repr=False)
    active: NDArray[np.int64] = field(repr=False)
    signs: Array | None = field(repr=False)
    intercept: float
    multiplier: Array = field(repr=False)
    beta: float
    objective: float
    dual_objective: float
    gap: float
    lower_bound: float
    certificate: str
    status: Status
    n_iter: int
    seconds: float
    history: tuple[Record, ...] = field(repr=False)


def solve_group_lasso(
    X: ArrayLike,
    y: ArrayLike,
    patterns: PatternSet,
    *,
    beta: float,
    cones: bool = False,
    engine: str = "auto",
    loss: str | Loss = "squared",
    tol: float = 1e-6,
    intercept: bool = False,
    ridge: float = 0.0,
    group_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    warm_start: GroupLassoResult | ArrayLike | None = None,
    max_iter: int = 1000,
    time_limit: float | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
    device: Any = None,
    callback: Callable[[Record], Any] | None = None,
    verbose: bool = False,
) -> GroupLassoResult:
    r"""Solve the convex program of two-layer ReLU networks over given activation patterns.

    .. math:: \min_u \sum_i s_i \ell(\hat y_i, y_i)
              + \sum_g \bigl(\beta \omega_g \|u_g\|_2 + \tfrac\rho2 \|u_g\|_2^2\bigr)

    Without cones :math:`\hat y = \sum_g D_g X u_g` (gated ReLU, a group lasso); with cones
    :math:`\hat y = \sum_{g,\pm} \pm D_g X u_{g\pm}` and every :math:`u_{g\pm}` stays in the
    closed cell :math:`(2 D_g - I) X u \ge 0` of its pattern (Pilanci & Ergen 2020; Mishkin,
    Sahiner & Pilanci 2022). Weights s are equal, 1/n, unless given; omega_g is 1 and the ridge
    rho 0.

    Parameters
    ----------
    X : array or sparse matrix, shape (n_samples, p)
        Data as it is: append a column of ones for neurons with a (decayed) bias. Without cones
        sparse data stay sparse and float32 stays float32 (``engine="cd"`` may copy it; all else is
        double); with cones they are made dense, up to 1 GiB.
    y : array, shape (n_samples,)
        Targets.
    patterns : PatternSet
        The groups.
    beta : float
        Penalty, > 0, on the scale of the mean loss.
    cones : bool
        Whether neurons must stay in their cells: a true ReLU network.
    engine : {"auto", "cd", "newton"}
        "cd": working set with exact block updates and joint Newton steps on it, for cones and
        many samples. "newton": dual augmented Lagrangian without cones. Its Newton systems are
        solved by conjugate gradients or, where that takes less work and n_samples <= 12000, by
        Cholesky's method, which holds 8 n_samples^2 bytes. "auto": "newton" where it may be
        used and n_samples <= 20,000, and for sparse X, which "cd" does not take.
    loss : str or object of pyconvex.losses
        As in `fit`, but for "softmax". Default: half the squared error.
    tol : float
        Relative duality gap to reach.
    intercept : bool
        Add a free constant to the prediction.
    ridge : float
        rho, >= 0: an elastic net.
    group_weights : array, shape (n_patterns,), optional
        omega, > 0, one for each pattern. Default: 1.
    sample_weight : array, shape (n_samples,), optional
        Relative weights; rows of weight 0 are ignored.
    warm_start : GroupLassoResult or array, shape (n_patterns, p), optional
        A solution over the same patterns, or without cones all weights u_g, zero or not.
    max_iter : int
        Limit on pricing rounds.
    time_limit : float, optional
        Limit in seconds.
    n_threads : int, optional
        Threads; None takes all cores. The result does not depend on it.
    backend : {"auto", "native", "jit", "array"}
        Who computes. "auto" follows X: arrays of another library than NumPy (torch, CuPy) are
        computed on their device, and so are the result's; see docs/arrays.md. "array" computes
        NumPy arrays the same way.
    device : object, optional
        Where to compute, e.g. "cuda" or "cuda:1"; results come back to where X lives. Default:
        where X lives. NumPy arrays go to PyTorch's devices, else to CuPy's.
    callback : callable, optional
        Called with each `Record`; returning True stops the solve.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    GroupLassoResult

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.

    Notes
    -----
    With cones the weights are feasible to rounding: rows on a neuron's kink have
    preactivations of the order of 1e-16 of the row's and the neuron's norms.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> X = np.random.default_rng(0).standard_normal((8, 3))
    >>> y = np.random.default_rng(1).standard_normal(8)
    >>> gates = pyconvex.sample_patterns(X, 100_000, random_state=0)  # all 58 cells
    >>> result = pyconvex.solve_group_lasso(X, y, gates, beta=0.15 / 8)
    >>> round(8 * result.objective, 6), result.status.value
    (0.348683, 'optimal')
    """
    if on_arrays(X, backend, device):
        program = ArrayProgram.of(
            X, y, patterns, beta, cones=cones, engine=engine, loss=loss, tol=tol,
            intercept=intercept, ridge=ridge, group_weights=group_weights,
            sample_weight=sample_weight, device=device,
        )  # fmt: skip
        with Monitor(max_iter, time_limit, callback, verbose) as monitor:
            return GroupLassoResult(**program.solve(program.start(warm_start), monitor)[0])
    X = check_matrix(X) if cones else check_rows(X, single=True)
    patterns = check_patterns(patterns, len(X))
    problem, rows = make_problem(X, y, beta, sample_weight, loss, intercept=bool(intercept))
    problem = with_extras(problem, len(patterns), ridge, group_weights)
    solver = pattern_solver(
        problem, patterns, rows, cones, check_tol(tol), get_backend(backend),
        check_n_threads(n_threads), engine,
    )  # fmt: skip
    start = Neurons.none(problem)
    if warm_start is not None:
        start = _warm(warm_start, problem, len(patterns), cones)
    with Monitor(max_iter, time_limit, callback, verbose) as monitor:
        return solve_program(solver, start, cones, rows, len(X), monitor)[0]


def solve_program(
    solver: Solver | DualNewton,
    start: Neurons,
    cones: bool,
    rows: NDArray[np.int64],
    n_samples: int,
    monitor: Monitor,
) -> tuple[GroupLassoResult, Neurons]:
    """Solve from given neurons; return the certified result and the neurons it ended with.

    ``rows``: the samples that the problem keeps, of ``n_samples``.
    """
    problem = solver.problem
    solution = solve(solver, start, monitor)
    neurons = solution.neurons
    objective = neurons.objective(problem)
    dual = min(solution.dual_objective, objective)  # where rounding has the last word
    multiplier = np.zeros(n_samples)
    multiplier[rows] = solution.multiplier
    result = GroupLassoResult(
        coef=neurons.U,
        active=neurons.pattern,
        signs=neurons.signs if cones else None,
        intercept=neurons.intercept,
        multiplier=multiplier,
        beta=problem.beta,
        objective=objective,
        dual_objective=dual,
        gap=relative_gap(objective, dual),
        lower_bound=dual,
        certificate="restricted",
        status=solution.status,
        n_iter=len(monitor.history),
        seconds=monitor.seconds,
        history=tuple(monitor.history),
    )
    return result, neurons


def _check_engine(engine: str, cones: bool, problem: Problem) -> str:
    """Return "cd" or "newton"."""
    check_choice(engine, "engine", ("auto", "cd", "newton"))
    if engine == "newton" and cones:
        raise ValueError("engine='newton' does not know cones: pass engine='cd' or cones=False")
    if isinstance(problem.X, SparseRows):
        if engine == "cd":
            raise ValueError("engine='cd' does not take sparse X: pass engine='newton'")
        return "newton"
    if engine == "auto":
        return "newton" if not cones and len(problem.y) <= _NEWTON_SAMPLES else "cd"
    return engine


def make_problem(
    X: Rows,
    y: ArrayLike,
    beta: float,
    sample_weight: ArrayLike | None,
    loss: str | Loss,
    *,
    intercept: bool,
    free_bias: bool = False,
) -> tuple[Problem, NDArray[np.int64]]:
    """Check targets, weights, penalty and loss; return the problem and the rows it keeps."""
    y = check_vector(y, "y", len(X))
    weights = check_sample_weight(sample_weight, len(X))
    rows = np.arange(len(X))
    if weights is None:
        weights = np.full(len(X), 1.0 / len(X))
    else:
        rows = np.flatnonzero(weights)
        weights = weights[rows] / weights.sum()
    chosen = check_loss(loss)
    chosen.check_targets(y[rows], intercept=intercept)
    problem = Problem(
        X[rows] if len(rows) < len(X) else X,
        y[rows],
        weights,
        check_positive(beta, "beta"),
        intercept,
        free_bias,
        loss=chosen,
    )
    return problem, rows


def with_extras(
    problem: Problem, n_patterns: int, ridge: float, group_weights: ArrayLike | None
) -> Problem:
    """Check the ridge and the weights of groups; return the problem with them."""
    return replace(
        problem,
        ridge=check_positive(ridge, "ridge", allow_zero=True),
        group_weights=check_group_weights(group_weights, n_patterns),
    )


def pattern_solver(
    problem: Problem,
    patterns: PatternSet,
    rows: NDArray[np.int64],
    cones: bool,
    tol: float,
    kernels: ModuleType,
    n_threads: int,
    engine: str = "auto",
    by_weights: bool = False,
) -> Solver | DualNewton:
    """Return the solver of the program over given patterns, cut down to the rows kept.

    ``by_weights``: the gap must be proved by the residual of the weights that are returned.
    """
    packed = kept_rows(patterns, rows, kernels)
    if _check_engine(engine, cones, problem) == "newton":
        return DualNewton(problem, packed, kernels, tol, n_threads, by_weights)
    pricing = PatternPricing(packed, cones, kernels, n_threads)
    mode = kernels.FIXED if cones else kernels.GATED
    return Solver(problem, pricing, kernels, mode, packed, tol, n_threads)


def kept_rows(
    patterns: PatternSet, rows: NDArray[np.int64], kernels: ModuleType
) -> NDArray[np.uint64]:
    """Return the bits of all patterns at some rows."""
    if len(rows) == patterns.n_samples:
        words: NDArray[np.uint64] = patterns.packed
        return words
    dense = np.ascontiguousarray(patterns.to_dense()[:, rows])
    packed: NDArray[np.uint64] = kernels.pack_dense(dense)
    return packed


def _warm(
    result: GroupLassoResult | ArrayLike, problem: Problem, n_patterns: int, cones: bool
) -> Neurons:
    if not isinstance(result, GroupLassoResult):
        return _warm_weights(result, problem, n_patterns, cones)
    fits = result.coef.shape[1] == problem.X.shape[1] and (result.signs is not None) == cones
    if not fits or (result.active >= n_patterns).any():
        raise ValueError(
            "warm_start does not fit: it must come from the same patterns, columns of X and cones"
        )
    signs = np.ones(len(result.active)) if result.signs is None else result.signs
    tight = np.full(result.coef.shape, -1)
    return Neurons(
        result.coef, signs, tight, result.active, result.intercept, np.zeros(len(problem.X))
    )


def _warm_weights(U: ArrayLike, problem: Problem, n_patterns: int, cones: bool) -> Neurons:
    U = check_matrix(U, "warm_start")
    shape = n_patterns, problem.X.shape[1]
    if cones or U.shape != shape:
        raise ValueError(
            f"warm_start has shape {U.shape}: pass a GroupLassoResult, or without cones an array "
            f"of shape {shape}, a row of weights for each pattern"
        )
    active = np.flatnonzero(U.any(axis=1))
    tight = np.full((len(active), shape[1]), -1)
    return Neurons(U[active], np.ones(len(active)), tight, active, 0.0, np.zeros(len(problem.X)))
