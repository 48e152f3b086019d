"""Column generation: solve over few neurons, price all others, add the best, repeat."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pyconvex.bounded import BoundedPricing
from pyconvex.doubles import preactivations
from pyconvex.losses import Array
from pyconvex.monitor import Monitor
from pyconvex.pricing import CellPricing, Columns, LocalPricing, PatternPricing
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
_ROUNDS = 12  # groups without cones: sweeps alone go on while so many rounds bring
_FALLING = 0.5  # the gap below this share of what it was;
_SHARE = 0.1  # else a refinement goes on until a sweep gains less than this share of the gap,
_COARSE = 1e-4  # as long as the gap is above this
_GROUP_WORK = 10  # groups whose gradients cost as much as the update of one


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
class Solution:
    """What a solve found: the neurons, the multiplier z that proves the dual objective, the end."""

    neurons: Neurons
    dual_objective: float
    multiplier: Array
    status: Status


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
    pricing : PatternPricing, LocalPricing, CellPricing or BoundedPricing
        Finds the dual norm and new columns.
    kernels : module
        The backend.
    mode : int
        ``kernels.GATED``, ``FIXED`` or ``CROSSING``.
    packed : array of uint64, shape (n_patterns, words)
        The patterns; no rows when crossing.
    tol : float
        Relative gap to reach.
    n_threads : int
        Threads of the Gram matrices, 0 for all cores; pricing has its own.
    """

    problem: Problem
    pricing: PatternPricing | LocalPricing | CellPricing | BoundedPricing
    kernels: ModuleType
    mode: int
    packed: NDArray[np.uint64]
    tol: float
    n_threads: int
    grams: dict[int, Array] = field(default_factory=dict)  # X^T D_g diag(s) X of groups once used

    def solve(self, neurons: Neurons, monitor: Monitor) -> Solution:
        """Solve from given neurons."""
        problem = self.problem
        dual, idle, proof = 0.0, 0, np.zeros(len(problem.y))
        best_dual, best_proof = dual, proof
        gaps: list[float] = []  # since the last refinement
        while True:
            neurons = self._recomputed(neurons)
            objective = self._objective(neurons)
            z = problem.loss.multiplier(neurons.residual, problem.sample_weight)
            norm, columns, sure = self._price(z, neurons, objective, idle > 0, monitor)
            complete = not monitor.out_of_time()
            if complete:  # else the dual stays that of the last round
                dual, proof = self._dual(z, norm, columns), z
            elif dual > objective:  # an estimate that the objective has passed says nothing
                dual = 0.0
            if self.pricing.exact:  # every multiplier's bound is valid, so keep the best
                if dual > best_dual:
                    best_dual, best_proof = dual, proof
                dual, proof = best_dual, best_proof
            gap = relative_gap(objective, dual)
            status = monitor.record(objective, dual, len(neurons))
            if complete and sure and gap <= self.tol:
                return Solution(neurons, dual, proof, Status.OPTIMAL)
            if status is not None:
                return Solution(neurons, dual, proof, status)
            if idle == _PATIENCE:
                return Solution(neurons, dual, proof, Status.STALLED)
            moved = self._improve(self._add(neurons, columns), objective, gap, gaps, idle, monitor)
            progress = objective - self._objective(moved)
            idle = 0 if progress > _NO_PROGRESS * objective else idle + 1
            if idle > 0:  # the new columns were noise: sharpen the multiplier without them
                moved = self._refine(neurons, _NO_PROGRESS * objective, monitor)
                progress = objective - self._objective(moved)
            if progress > -_RISE * objective:  # never go up, nor follow a NaN
                neurons = moved

    def _price(
        self, z: Array, neurons: Neurons, objective: float, stuck: bool, monitor: Monitor
    ) -> tuple[float, Columns, bool]:
        """Return the dual norm, new columns, and whether the norm may stand in a certificate.

        Look harder before a certificate, and if stuck.
        """
        problem = self.problem
        norm, columns = self.pricing(problem, z, neurons.U, neurons.signs, monitor.run)
        gap = relative_gap(objective, self._dual(z, norm, columns))
        harder = stuck or gap <= self.pricing.ready * self.tol
        if harder and not self.pricing.exact and not monitor.out_of_time():
            norm, columns = self.pricing(
                problem, z, neurons.U, neurons.signs, monitor.run, effort=_CONFIRM
            )
        return norm, columns, harder

    def _objective(self, neurons: Neurons) -> float:
        return self.problem.objective(neurons.residual, neurons.U, neurons.pattern)

    def _dual(self, z: Array, norm: float, columns: Columns) -> float:
        excess = self.problem.violation_cost(columns.values, columns.pattern)
        return self.problem.dual_objective(z, norm, excess)

    def outputs(self, U: Array, pattern: NDArray[np.int64]) -> Array:
        """Return the neurons' outputs on the rows without their signs, (m, n_samples)."""
        activations = preactivations(U, self.problem.X)
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
        betas = problem.beta * problem.weights_of(columns.pattern)
        for j, output in enumerate(outputs):
            gain = float((weights * residual) @ output) - betas[j]
            curvature = float((weights * output) @ output) + problem.ridge
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

    def _improve(
        self,
        neurons: Neurons,
        objective: float,
        gap: float,
        gaps: list[float],
        idle: int,
        monitor: Monitor,
    ) -> Neurons:
        """Solve over the neurons as exactly as the gap deserves; ``gaps``: see _sweeps_pay."""
        gaps.append(gap)
        if idle == 0 and self._sweeps_pay(gaps):
            swept = self._sweep(neurons, monitor)
            if objective - self._objective(swept) > _NO_PROGRESS * objective:
                return swept
        gaps.clear()
        # The gap shrinks like the root of the distance to the optimum over these neurons.
        step = min(1e-4 * gap, 1e-2 * gap * gap) if idle == 0 else 0.0
        if idle == 0 and gap > _COARSE and self.mode == self.kernels.GATED:
            step = _SHARE * gap
        return self._refine(neurons, objective * max(step, _NO_PROGRESS), monitor)

    def _sweeps_pay(self, gaps: list[float]) -> bool:
        """Tell whether sweeps alone lower the gap; ``gaps`` are those since a refinement."""
        if self.mode != self.kernels.GATED:
            return False
        return len(gaps) <= _ROUNDS or gaps[-1] <= _FALLING * gaps[-1 - _ROUNDS]

    def _sweep(self, neurons: Neurons, monitor: Monitor) -> Neurons:
        """Update the groups one by one, as often as costs what their pricing does."""
        problem, packed = self.problem, self.packed[neurons.pattern]
        new = [g for g in neurons.pattern.tolist() if g not in self.grams]
        grams = self.kernels.masked_grams(
            problem.X, self.packed[new], problem.sample_weight, self.n_threads
        )
        self.grams.update(zip(new, grams, strict=True))
        shape = len(neurons), *2 * problem.X.shape[1:]
        n_sweeps = len(self.packed) // (_GROUP_WORK * max(len(neurons), 1))
        U, residual, shift = monitor.run(
            self.kernels.descend_groups,
            problem.X,
            problem.sample_weight,
            neurons.residual,
            neurons.U * neurons.signs[:, np.newaxis],
            packed,
            np.array([self.grams[g] for g in neurons.pattern.tolist()]).reshape(shape),
            problem.beta * problem.weights_of(neurons.pattern),
            problem.ridge,
            problem.intercept,
            min(max(n_sweeps, 1), _MAX_SWEEPS),
        )
        kept = np.flatnonzero(U.any(axis=1))
        intercept = neurons.intercept + shift
        ones, tight = np.ones(len(kept)), neurons.tight[kept]
        return Neurons(U[kept], ones, tight, neurons.pattern[kept], intercept, residual)

    @cached_property
    def _doubles(self) -> Array:
        """X in double precision, for the one kernel of groups that takes nothing else."""
        return np.asarray(self.problem.X, np.float64)

    def _refine(self, neurons: Neurons, target: float, monitor: Monitor) -> Neurons:
        """Solve over the present neurons until a sweep gains less than ``target``."""
        problem = self.problem
        for _ in range(_MAX_CALLS):
            kept, U, tight, residual, shift, decrease = monitor.run(
                self.kernels.refine,
                self._doubles,
                problem.sample_weight,
                neurons.residual,
                neurons.U,
                neurons.signs,
                self.packed[neurons.pattern] if len(self.packed) else self.packed,
                neurons.tight,
                problem.beta * problem.weights_of(neurons.pattern),
                problem.ridge,
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
