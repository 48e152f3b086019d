"""Column generation: solve over few neurons, price all others, add the best, repeat."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pyconvex.bounded import BoundedPricing
from pyconvex.doubles import preactivations
from pyconvex.losses import Array
from pyconvex.monitor import Monitor
from pyconvex.neurons import Neurons, Solution
from pyconvex.pricing import CellPricing, Columns, LocalPricing, PatternPricing
from pyconvex.program import STAGE, Problem, Status, relative_gap
from pyconvex.quadratic_model import QuadraticModel

_MAX_SIZE = 3000  # unknowns up to which joint Newton steps are tried
_MAX_WORK = 3e9  # flops of one kernel call: under a second, so that Ctrl-C is heard
_N_COLUMNS = 16  # columns added per round
_MAX_SWEEPS = 10  # sweeps of one kernel call
_MAX_CALLS = 10  # kernel calls between two pricings
_MAX_MODELS = 30  # quadratic models of a loss that is not quadratic between two pricings
_INNER = 0.1  # such a model is solved to this share of what the last one gained
_FIRM = 1e-3  # the damping of the first model after one that was no good,
_FIRMER = 10.0  # each further damping over the last
_FIRMEST = 1e8
_HALVINGS = 40  # of the sizes of new neurons, where the loss is far from its model
CONFIRM = 8  # times the usual starts before a local certificate is given,
LOOSE = 1e-3  # unless the gap asked for is as large as this
_RISE = 1e-12  # an objective may rise by this much, relative
_NO_PROGRESS = 1e-15  # relative changes of the objective below this say nothing
_PATIENCE = 3  # rounds without progress until a solve is called stalled
_ROUNDS = 12  # groups without cones: sweeps alone go on while so many rounds bring
_FALLING = 0.5  # the gap below this share of what it was;
_SHARE = 0.1  # else a refinement goes on until a sweep gains less than this share of the gap,
_COARSE = 1e-4  # as long as the gap is above this,
_STUCK = 0.9  # and below this share of what it was after the last refinement
_GROUP_WORK = 10  # groups whose gradients cost as much as the update of one


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

    @property
    def _ready(self) -> float:
        """The gap at which a harder search pays; with a smoothed loss smaller ones are rare."""
        return self.tol * (self.pricing.ready if self.problem.true is self.problem else 1.0)

    def solve(self, neurons: Neurons, monitor: Monitor) -> Solution:
        """Solve from given neurons.

        With a smoothed loss "optimal" means that its own gap is small beside the true one.
        """
        problem = self.problem
        dual, idle, proof = 0.0, 0, np.zeros(len(problem.y))
        best_dual, best_proof = dual, proof
        gaps: list[float] = []  # since the last refinement
        while True:
            neurons = self._recomputed(neurons)
            objective, true = self._objective(neurons), self._true_objective(neurons)
            z = problem.multiplier(neurons.prediction)
            norm, columns, sure = self._price(z, neurons, true, idle > 0, monitor)
            complete = not monitor.out_of_time()
            if complete:  # else the dual stays that of the last round
                dual, proof = self._dual(self.problem.true, z, norm, columns), z
            elif dual > true:  # an estimate that the objective has passed says nothing
                dual = 0.0
            if self.pricing.exact:  # every multiplier's bound is valid, so keep the best
                if dual > best_dual:
                    best_dual, best_proof = dual, proof
                dual, proof = best_dual, best_proof
            gap = relative_gap(true, dual)
            status = monitor.record(true, dual, len(neurons))
            if complete and sure and gap <= self.tol:
                return Solution(neurons, dual, proof, Status.OPTIMAL)
            if status is not None:
                return Solution(neurons, dual, proof, status, sure or self.pricing.exact)
            if idle == _PATIENCE:
                return Solution(neurons, dual, proof, Status.STALLED)
            if problem is not self.problem.true:
                left = (objective - self._dual(problem, z, norm, columns)) / true
                if left <= STAGE * max(gap, self._ready):
                    sure = sure or self.pricing.exact
                    return Solution(neurons, dual, proof, Status.OPTIMAL, sure)
                gap = left
            moved = self._improve(self.added(neurons, columns), objective, gap, gaps, idle, monitor)
            progress = objective - self._objective(moved)
            idle = 0 if progress > _NO_PROGRESS * objective else idle + 1
            if idle > 0:  # the new columns were noise: sharpen the multiplier without them
                moved = self.refined(neurons, _NO_PROGRESS * objective, monitor)
                progress = objective - self._objective(moved)
            if progress > -_RISE * objective:  # never go up, nor follow a NaN
                neurons = moved

    def _price(
        self, z: Array, neurons: Neurons, objective: float, stuck: bool, monitor: Monitor
    ) -> tuple[float, Columns, bool]:
        """Return the dual norm, new columns, and whether the norm may stand in a certificate.

        Look harder before a certificate, and if stuck.
        """
        problem, true, at_rows = self.problem, self.problem.true, self.problem.at_rows(z)

        def gap_of(norm: float) -> float:
            return relative_gap(objective, true.dual_objective(z, norm))

        norm, columns = self.pricing(problem, at_rows, neurons.U, neurons.signs, monitor.run)
        gap = relative_gap(objective, self._dual(true, z, norm, columns))
        harder = stuck or gap <= self._ready
        if harder and self.confirms(stuck) and not monitor.out_of_time():
            norm, columns = self.pricing(
                problem, at_rows, neurons.U, neurons.signs, monitor.run, CONFIRM, gap_of
            )
        return norm, columns, harder

    def confirms(self, stuck: bool) -> bool:
        """Tell whether a harder search comes before a certificate: a proof, or more starts."""
        search = isinstance(self.pricing, LocalPricing) and self.tol >= LOOSE and not stuck
        return not self.pricing.exact and not search

    def _objective(self, neurons: Neurons) -> float:
        return neurons.objective(self.problem)

    def _true_objective(self, neurons: Neurons) -> float:
        return neurons.objective(self.problem.true)

    @staticmethod
    def _dual(problem: Problem, z: Array, norm: float, columns: Columns) -> float:
        excess = problem.violation_cost(columns.values, columns.pattern)
        return problem.dual_objective(z, norm, excess)

    def outputs(self, U: Array, pattern: NDArray[np.int64]) -> Array:
        """Return the neurons' outputs on the rows without their signs, (m, n_samples)."""
        activations = preactivations(U, self.problem.X)
        if self.mode == self.kernels.CROSSING:
            return np.maximum(activations, 0.0)
        masks = self.kernels.unpack(self.packed[pattern], len(self.problem.X))
        return np.where(masks, activations, 0.0)

    def prediction(self, neurons: Neurons) -> Array:
        """Return the prediction on the rows, afresh from the weights."""
        fixed = neurons.signs @ self.outputs(neurons.U, neurons.pattern) + neurons.intercept
        if self.problem.skip is not None:
            fixed += self.problem.skip.columns @ neurons.skip
        return fixed

    def _recomputed(self, neurons: Neurons) -> Neurons:
        """Take the prediction afresh from the weights, with the best free coefficients."""
        fixed = self.prediction(neurons)
        shift = self.problem.best_shift(fixed)
        return neurons.shifted(self.problem, shift, fixed + self.problem.free @ shift)

    def added(self, neurons: Neurons, columns: Columns) -> Neurons:
        """Add the best columns one by one, each with its best size on the present residual."""
        problem = self.problem
        model = QuadraticModel.at(problem, neurons.prediction, float(not problem.loss.quadratic))
        weights, residual = model.weights, model.residual.copy()
        columns = columns[self._new(neurons, columns)[:_N_COLUMNS]]
        sizes = np.zeros(len(columns))
        outputs = self.outputs(columns.points, columns.pattern) * columns.signs[:, np.newaxis]
        betas = problem.beta * problem.weights_of(columns.pattern) / model.scale
        basis = _orthonormal(problem.free, weights)
        for j, output in enumerate(outputs):
            gain = float((weights * residual) @ output) - betas[j]
            curvature = float((weights * output) @ output) + problem.ridge / model.scale
            if gain > 0.0 and curvature > 0.0:
                sizes[j] = gain / curvature
                residual -= sizes[j] * output
                residual -= basis @ ((weights * residual) @ basis)
        used = np.flatnonzero(sizes)
        points, step = sizes[used, np.newaxis] * columns.points[used], model.residual - residual
        size = self._safe(neurons, points, columns.pattern[used], step)
        return Neurons(
            np.concatenate([neurons.U, size * points]),
            np.concatenate([neurons.signs, columns.signs[used]]),
            np.concatenate([neurons.tight, columns.tight[used]]),
            np.concatenate([neurons.pattern, columns.pattern[used]]),
            neurons.intercept,
            neurons.prediction + size * step,
            neurons.skip,
        )

    def _safe(
        self, neurons: Neurons, points: Array, pattern: NDArray[np.int64], step: Array
    ) -> float:
        """Return by how much to shrink new neurons so that the objective falls.

        Only a loss without a bound of its curvature can exceed the model that the sizes minimise.
        """
        problem, size = self.problem, 1.0
        if math.isfinite(problem.loss.smoothness):
            return size
        start, penalty = problem.loss_value(neurons.prediction), problem.penalty(points, pattern)
        for _ in range(_HALVINGS):
            loss = problem.loss_value(neurons.prediction + size * step)
            if loss + size * penalty <= start:
                break
            size *= 0.5
        return size

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
        stuck = gap > _STUCK * gaps[0]
        gaps.clear()
        # The gap shrinks like the root of the distance to the optimum over these neurons.
        step = min(1e-4 * gap, 1e-2 * gap * gap) if idle == 0 else 0.0
        gated = self.mode == self.kernels.GATED and self.problem.loss.quadratic
        if idle == 0 and gap > _COARSE and gated and not stuck:
            step = _SHARE * gap
        return self.refined(neurons, objective * max(step, _NO_PROGRESS), monitor)

    def _sweeps_pay(self, gaps: list[float]) -> bool:
        """Tell whether sweeps alone lower the gap; ``gaps`` are those since a refinement."""
        if self.mode != self.kernels.GATED or not self.problem.loss.quadratic:
            return False
        if self.problem.decayed.shape[1]:  # which such sweeps do not know
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
        model = QuadraticModel.bounding(problem, neurons.prediction)
        shape = len(neurons), *2 * problem.X.shape[1:]
        n_sweeps = len(self.packed) // (_GROUP_WORK * max(len(neurons), 1))
        U, residual, shift = monitor.run(
            self.kernels.descend_groups,
            problem.X,
            model.weights,
            model.residual,
            neurons.U * neurons.signs[:, np.newaxis],
            packed,
            np.array([self.grams[g] for g in neurons.pattern.tolist()]).reshape(shape),
            problem.beta * problem.weights_of(neurons.pattern) / model.scale,
            problem.ridge / model.scale,
            problem.free,
            min(max(n_sweeps, 1), _MAX_SWEEPS),
        )
        kept = np.flatnonzero(U.any(axis=1))
        ones, tight = np.ones(len(kept)), neurons.tight[kept]
        prediction = neurons.prediction + (model.residual - residual)
        swept = replace(neurons, U=U[kept], signs=ones, tight=tight, pattern=neurons.pattern[kept])
        return swept.shifted(problem, shift, prediction)

    @cached_property
    def _doubles(self) -> Array:
        """X in double precision, for the one kernel of groups that takes nothing else."""
        return np.asarray(self.problem.X, np.float64)

    def refined(self, neurons: Neurons, target: float, monitor: Monitor) -> Neurons:
        """Solve over the present neurons until a kernel call gains less than ``target``."""
        if not self.problem.loss.quadratic:
            return self._refine_models(neurons, target, monitor)
        for _ in range(_MAX_CALLS):
            neurons, decrease = self._model_refined(neurons, 0.0, target, monitor)
            if decrease <= target or monitor.out_of_time():
                break
        return neurons

    def _refine_models(self, neurons: Neurons, target: float, monitor: Monitor) -> Neurons:
        """Do the same by proximal Newton steps: minimise quadratic models of the loss in turn.

        A step that does not lower the objective is taken back, and the next model lies higher.
        """
        least = self.problem.loss.damping
        damping, decrease = least, math.inf
        objective = self._objective(neurons)
        for _ in range(_MAX_MODELS):
            inner = target if math.isinf(decrease) else max(target, _INNER * decrease)
            moved = self._recomputed(self._model_refined(neurons, damping, inner, monitor)[0])
            decrease = objective - self._objective(moved)
            if not decrease >= -_RISE * objective:  # a rise of rounding's size hides a better z
                damping, decrease = max(_FIRMER * damping, _FIRM), math.inf
            else:
                neurons, objective = moved, objective - decrease
                if decrease <= target and damping <= _FIRM:
                    break
                damping = max(damping / _FIRMER, least)
            if damping > _FIRMEST or monitor.out_of_time():
                break
        return neurons

    def _model_refined(
        self, neurons: Neurons, damping: float, target: float, monitor: Monitor
    ) -> tuple[Neurons, float]:
        """Lower the model of the objective at ``damping`` until a sweep gains less than ``target``.

        Returns the neurons and what the last sweep gained.
        """
        problem = self.problem
        model = QuadraticModel.at(problem, neurons.prediction, damping)
        decayed = problem.decayed
        kept, U, tight, residual, shift, coef, decrease = monitor.run(
            self.kernels.refine,
            self._doubles,
            model.weights,
            model.residual,
            neurons.U,
            neurons.signs,
            self.packed[neurons.pattern] if len(self.packed) else self.packed,
            neurons.tight,
            problem.beta * problem.weights_of(neurons.pattern) / model.scale,
            problem.ridge / model.scale,
            problem.free,
            decayed,
            neurons.skip if decayed.shape[1] else np.zeros(0),
            problem.beta / model.scale,
            problem.free_bias,
            self.mode,
            target / model.scale,
            _MAX_SWEEPS,
            _MAX_SIZE,
            _MAX_WORK,
        )
        moved = Neurons(
            U,
            neurons.signs[kept],
            tight,
            neurons.pattern[kept],
            neurons.intercept,
            neurons.prediction,
            coef if decayed.shape[1] else neurons.skip,
        )
        prediction = neurons.prediction + (model.residual - residual)
        return moved.shifted(problem, shift, prediction), decrease * model.scale


def _orthonormal(columns: Array, weights: Array) -> Array:
    """Return a basis of the columns' span that is orthonormal under the weights."""
    if columns.shape[1] == 0:
        return columns
    roots = np.sqrt(weights)[:, np.newaxis]
    basis: Array = np.linalg.qr(roots * columns)[0] / roots
    return basis
