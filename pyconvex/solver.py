"""Column generation over neurons, and the group lasso on given patterns."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.backends import get_backend
from pyconvex.data import (
    check_matrix,
    check_n_threads,
    check_positive,
    check_sample_weight,
    check_tol,
    check_vector,
)
from pyconvex.losses import Array, check_loss
from pyconvex.monitor import Monitor, Record
from pyconvex.patterns import PatternSet, check_patterns
from pyconvex.pricing import Columns, LocalPricing, PatternPricing
from pyconvex.program import Problem, Status, relative_gap

_MAX_SIZE = 3000  # unknowns up to which joint Newton steps are tried
_MAX_WORK = 3e9  # flops of one kernel call: under a second, so that Ctrl-C is heard
_N_COLUMNS = 16  # columns added per round
_MAX_SWEEPS = 10  # sweeps of one kernel call
_MAX_CALLS = 10  # kernel calls between two pricings
_CONFIRM = 8  # times the usual starts before a local certificate is given
_RISE = 1e-12  # an objective may rise by this much, relative
_NO_PROGRESS = 1e-15  # relative changes of the objective below this say nothing
_PATIENCE = 3  # rounds without progress until a solve is called stalled


@dataclass(frozen=True)
class Neurons:
    """The state of a solve: the neurons in use and the residual they leave.

    Attributes
    ----------
    U : array, shape (m, p)
        Weights u_j; the output of neuron j is signs_j (X u_j)_+ or signs_j D_j X u_j.
    signs : array, shape (m,)
        +1 or -1.
    tight : array of int, shape (m, p)
        Rows of X each neuron lies on; -1 pads.
    pattern : array of int, shape (m,)
        Index of the pattern D_j; -1 where patterns are not fixed.
    intercept : float
        The free constant.
    residual : array, shape (n_samples,)
        y minus the prediction.
    """

    U: Array
    signs: Array
    tight: NDArray[np.int64]
    pattern: NDArray[np.int64]
    intercept: float
    residual: Array

    @classmethod
    def none(cls, problem: Problem) -> "Neurons":
        """Return no neurons, only the best intercept."""
        p = problem.X.shape[1]
        return cls(
            np.zeros((0, p)),
            np.zeros(0),
            np.zeros((0, p), np.int64),
            np.zeros(0, np.int64),
            0.0,
            problem.y,
        )

    def __len__(self) -> int:
        return len(self.U)


@dataclass(frozen=True)
class Solver:
    """Column generation: solve over few neurons, price all others, add the best, repeat.

    The three programs differ in what a neuron may do: "gated" has a fixed mask and no cone,
    "fixed" stays in the closed cell of its pattern, "crossing" goes wherever the objective
    falls.

    Parameters
    ----------
    problem : Problem
        What to solve.
    pricing : PatternPricing or LocalPricing
        Finds the dual norm and new columns.
    kernels : module
        The backend.
    mode : int
        ``kernels.GATED``, ``FIXED`` or ``CROSSING``.
    packed : array of uint64, shape (n_patterns, words)
        The patterns; no rows when crossing.
    tol : float
        Relative gap to reach.
    """

    problem: Problem
    pricing: PatternPricing | LocalPricing
    kernels: ModuleType
    mode: int
    packed: NDArray[np.uint64]
    tol: float

    def solve(self, neurons: Neurons, monitor: Monitor) -> tuple[Neurons, float, Status]:
        """Return the neurons, the dual objective and the status."""
        problem = self.problem
        dual, best_dual, idle = 0.0, 0.0, 0
        while True:
            neurons = self._recomputed(neurons)
            objective = problem.objective(neurons.residual, neurons.U)
            z = problem.loss.multiplier(neurons.residual, problem.sample_weight)
            norm, columns = self._price(z, neurons, objective, monitor)
            complete = not monitor.out_of_time()
            if complete:  # else the dual stays that of the last round
                dual = problem.dual_objective(z, norm)
            if self.pricing.exact:  # every multiplier's bound is valid, so keep the best
                dual = best_dual = max(best_dual, dual)
            gap = relative_gap(objective, dual)
            status = monitor.record(objective, dual, len(neurons))
            if complete and gap <= self.tol:
                return neurons, dual, Status.OPTIMAL
            if status is not None:
                return neurons, dual, status
            # The gap shrinks like the root of the distance to the optimum over these neurons.
            target = objective * max(min(1e-4 * gap, gap * gap), _NO_PROGRESS)
            moved = self._refine(self._add(neurons, columns), target, monitor)
            progress = objective - problem.objective(moved.residual, moved.U)
            idle = 0 if progress > _NO_PROGRESS * objective else idle + 1
            if progress > -_RISE * objective:  # never go up, nor follow a NaN
                neurons = moved
            if idle == _PATIENCE:
                return neurons, dual, Status.STALLED

    def _price(
        self, z: Array, neurons: Neurons, objective: float, monitor: Monitor
    ) -> tuple[float, Columns]:
        """Return the dual norm and new columns; look harder before a local certificate."""
        problem = self.problem
        norm, columns = self.pricing(problem, z, neurons.U, neurons.signs, monitor.run)
        gap = relative_gap(objective, problem.dual_objective(z, norm))
        if gap <= self.tol and not self.pricing.exact and not monitor.out_of_time():
            return self.pricing(problem, z, neurons.U, neurons.signs, monitor.run, effort=_CONFIRM)
        return norm, columns

    def outputs(self, U: Array, pattern: NDArray[np.int64]) -> Array:
        """Return the neurons' outputs on the rows without their signs, (m, n_samples)."""
        activations: Array = U @ self.problem.X.T
        if self.mode == self.kernels.CROSSING:
            return np.maximum(activations, 0.0)
        masks = self.kernels.unpack(self.packed[pattern], len(self.problem.y))
        return np.where(masks, activations, 0.0)

    def _recomputed(self, neurons: Neurons) -> Neurons:
        """Take the residual afresh from the weights, with the best intercept."""
        problem = self.problem
        prediction = neurons.signs @ self.outputs(neurons.U, neurons.pattern)
        residual = problem.y - prediction
        intercept = float(problem.sample_weight @ residual) if problem.intercept else 0.0
        return replace(neurons, residual=residual - intercept, intercept=intercept)

    def _add(self, neurons: Neurons, columns: Columns) -> Neurons:
        """Add the best columns one by one, each with its best size on the present residual."""
        problem, weights = self.problem, self.problem.sample_weight
        columns = columns[self._new(neurons, columns)[:_N_COLUMNS]]
        residual = neurons.residual.copy()
        sizes = np.zeros(len(columns))
        outputs = self.outputs(columns.points, columns.pattern) * columns.signs[:, np.newaxis]
        for j, output in enumerate(outputs):
            gain = float((weights * residual) @ output) - problem.beta
            curvature = float((weights * output) @ output)
            if gain > 0.0 and curvature > 0.0:
                sizes[j] = gain / curvature
                residual -= sizes[j] * output
                if problem.intercept:
                    residual -= weights @ residual
        used = np.flatnonzero(sizes)
        return Neurons(
            np.concatenate([neurons.U, sizes[used, np.newaxis] * columns.points[used]]),
            np.concatenate([neurons.signs, columns.signs[used]]),
            np.concatenate([neurons.tight, columns.tight[used]]),
            np.concatenate([neurons.pattern, columns.pattern[used]]),
            neurons.intercept,
            residual,
        )

    def _new(self, neurons: Neurons, columns: Columns) -> NDArray[np.int64]:
        """Return the indices of columns whose group is not in use yet."""
        if self.mode == self.kernels.CROSSING:
            return np.arange(len(columns))
        used = set(zip(neurons.pattern, neurons.signs, strict=True))
        groups = zip(columns.pattern, columns.signs, strict=True)
        return np.array([j for j, group in enumerate(groups) if group not in used], np.int64)

    def _refine(self, neurons: Neurons, target: float, monitor: Monitor) -> Neurons:
        """Solve over the present neurons until a sweep gains less than ``target``."""
        problem = self.problem
        for _ in range(_MAX_CALLS):
            kept, U, tight, residual, shift, decrease = monitor.run(
                self.kernels.refine,
                problem.X,
                problem.sample_weight,
                neurons.residual,
                neurons.U,
                neurons.signs,
                self.packed[neurons.pattern] if len(self.packed) else self.packed,
                neurons.tight,
                problem.beta,
                problem.intercept,
                problem.free_bias,
                self.mode,
                target,
                _MAX_SWEEPS,
                _MAX_SIZE,
                _MAX_WORK,
            )
            neurons = Neurons(
                U,
                neurons.signs[kept],
                tight,
                neurons.pattern[kept],
                neurons.intercept + shift,
                residual,
            )
            if decrease <= target or monitor.out_of_time():
                break
        return neurons


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
    beta, objective, dual_objective, gap, lower_bound : float
        Penalty, objective of the returned weights, the dual value that proves it, their
        relative distance, and the dual value again: both are rigorous for this program.
    certificate : str
        "restricted": optimal among these patterns.
    status : Status
        How the solve ended.
    n_iter : int
        Pricing rounds.
    seconds : float
        Wall time.
    history : tuple of Record
        One record per round.
    """

    coef: Array = field(repr=False)
    active: NDArray[np.int64] = field(repr=False)
    signs: Array | None = field(repr=False)
    intercept: float
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
    loss: str = "squared",
    tol: float = 1e-6,
    intercept: bool = False,
    sample_weight: ArrayLike | None = None,
    warm_start: GroupLassoResult | None = None,
    max_iter: int = 1000,
    time_limit: float | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
    callback: Callable[[Record], Any] | None = None,
    verbose: bool = False,
) -> GroupLassoResult:
    r"""Solve the convex program of two-layer ReLU networks over given activation patterns.

    .. math:: \min_u \sum_i s_i \ell(\hat y_i, y_i) + \beta \sum_g \|u_g\|_2

    Without cones :math:`\hat y = \sum_g D_g X u_g` (gated ReLU, a group lasso); with cones
    :math:`\hat y = \sum_{g,\pm} \pm D_g X u_{g\pm}` and every :math:`u_{g\pm}` stays in the
    closed cell :math:`(2 D_g - I) X u \ge 0` of its pattern (Pilanci & Ergen 2020; Mishkin,
    Sahiner & Pilanci 2022). Weights s are equal, 1/n, unless given.

    Parameters
    ----------
    X : array, shape (n_samples, p)
        Data as it is: append a column of ones for neurons with a (decayed) bias.
    y : array, shape (n_samples,)
        Targets.
    patterns : PatternSet
        The groups.
    beta : float
        Penalty, > 0, on the scale of the mean loss.
    cones : bool
        Whether neurons must stay in their cells: a true ReLU network.
    loss : {"squared"}
        Half the squared error.
    tol : float
        Relative duality gap to reach.
    intercept : bool
        Add a free constant to the prediction.
    sample_weight : array, shape (n_samples,), optional
        Relative weights; rows of weight 0 are ignored.
    warm_start : GroupLassoResult, optional
        A solution over the same patterns.
    max_iter : int
        Limit on pricing rounds.
    time_limit : float, optional
        Limit in seconds.
    n_threads : int, optional
        Threads; None takes all cores. The result does not depend on it.
    backend : {"auto", "native", "jit"}
        Who computes.
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
    X = check_matrix(X)
    problem, rows = make_problem(X, y, beta, sample_weight, loss, intercept=bool(intercept))
    patterns = check_patterns(patterns, len(X))
    solver = pattern_solver(
        problem, patterns, rows, cones, check_tol(tol), get_backend(backend),
        check_n_threads(n_threads),
    )  # fmt: skip
    start = Neurons.none(problem)
    if warm_start is not None:
        start = _warm(warm_start, problem, len(patterns), cones)
    with Monitor(max_iter, time_limit, callback, verbose) as monitor:
        neurons, dual, status = solver.solve(start, monitor)
    objective = problem.objective(neurons.residual, neurons.U)
    dual = min(dual, objective)  # where rounding has the last word
    return GroupLassoResult(
        coef=neurons.U,
        active=neurons.pattern,
        signs=neurons.signs if cones else None,
        intercept=neurons.intercept,
        beta=problem.beta,
        objective=objective,
        dual_objective=dual,
        gap=relative_gap(objective, dual),
        lower_bound=dual,
        certificate="restricted",
        status=status,
        n_iter=len(monitor.history),
        seconds=monitor.seconds,
        history=tuple(monitor.history),
    )


def make_problem(
    X: Array,
    y: ArrayLike,
    beta: float,
    sample_weight: ArrayLike | None,
    loss: str,
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
    problem = Problem(
        X[rows] if len(rows) < len(X) else X,
        y[rows],
        weights,
        check_positive(beta, "beta"),
        intercept,
        free_bias,
        loss=check_loss(loss),
    )
    return problem, rows


def pattern_solver(
    problem: Problem,
    patterns: PatternSet,
    rows: NDArray[np.int64],
    cones: bool,
    tol: float,
    kernels: ModuleType,
    n_threads: int,
) -> Solver:
    """Return the solver of the program over given patterns, cut down to the rows kept."""
    packed = patterns.packed
    if len(rows) < patterns.n_samples:
        packed = kernels.pack_dense(np.ascontiguousarray(patterns.to_dense()[:, rows]))
    pricing = PatternPricing(packed, cones, kernels, n_threads)
    mode = kernels.FIXED if cones else kernels.GATED
    return Solver(problem, pricing, kernels, mode, packed, tol)


def _warm(result: GroupLassoResult, problem: Problem, n_patterns: int, cones: bool) -> Neurons:
    if not isinstance(result, GroupLassoResult):
        raise TypeError(
            f"warm_start must be a GroupLassoResult, got {type(result).__name__}: "
            "pass what solve_group_lasso returned"
        )
    fits = result.coef.shape[1] == problem.X.shape[1] and (result.signs is not None) == cones
    if not fits or (result.active >= n_patterns).any():
        raise ValueError(
            "warm_start does not fit: it must come from the same patterns, columns of X and cones"
        )
    signs = np.ones(len(result.active)) if result.signs is None else result.signs
    tight = np.full(result.coef.shape, -1)
    return Neurons(result.coef, signs, tight, result.active, result.intercept, problem.y)
