"""Column generation for the softmax loss: class by class, under one certificate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyconvex.column_generation import CONFIRM, Solver
from pyconvex.extrapolation import Extrapolation
from pyconvex.losses import Array, Softmax
from pyconvex.monitor import Monitor
from pyconvex.neurons import Neurons
from pyconvex.pricing import Columns
from pyconvex.program import Status, relative_gap
from pyconvex.softmax_newton import newton_steps

_PASSES = 20  # over the classes between two pricings
_INNER = 1e-2  # a class is solved to this share of what the last pass gained
_NO_PROGRESS = 1e-15  # relative changes of the objective below this say nothing
_LENGTHS = (1.0, 0.5, 0.25, 0.1)  # of a joint step that are tried
_TIGHT = 1e-14  # rows leave a cell by less than this, relative, from rounding
_PATIENCE = 3  # rounds without progress until a solve is called stalled


def _as_vector(state: Sequence[Neurons]) -> Array:
    parts = [part for n in state for part in (n.U.ravel(), n.skip, np.array([n.intercept]))]
    return np.concatenate(parts)


def _with_vector(state: Sequence[Neurons], vector: Array) -> list[Neurons]:
    moved, at = [], 0
    for neurons in state:
        ends = np.cumsum([neurons.U.size, neurons.skip.size, 1])
        U, skip, intercept = np.split(vector[at : at + ends[-1]], ends[:-1])
        U = U.reshape(neurons.U.shape)
        moved.append(replace(neurons, U=U, skip=skip, intercept=float(intercept[0])))
        at += ends[-1]
    return moved


@dataclass(frozen=True)
class SoftmaxSolution:
    """What a solve found: neurons of each class, multipliers (n_samples, n_classes), the end."""

    neurons: tuple[Neurons, ...]
    dual_objective: float
    multiplier: Array
    status: Status


@dataclass(frozen=True)
class SoftmaxSolver:
    """Solve over few neurons of each class, price all others, add the best, repeat.

    Over given neurons classes take turns: with the other outputs fixed the loss of one is a
    logistic one with offsets. The multipliers of all classes share a bound: t z is feasible where
    t N(z_k) <= beta, and t ||C^T z_k|| <= beta for a decayed skip connection, for every class k.

    Parameters
    ----------
    solvers : sequence of Solver
        One for each class; their problems' targets are the columns of y.
    loss : Softmax
        The loss.
    """

    solvers: Sequence[Solver]
    loss: Softmax

    def solve(self, neurons: Sequence[Neurons], monitor: Monitor) -> SoftmaxSolution:
        """Solve from given neurons."""
        first = self.solvers[0]
        dual, idle, state = 0.0, 0, tuple(neurons)
        proof = np.zeros_like(self._targets)
        best, best_proof = dual, proof
        while True:
            state = self._recomputed(state)
            objective, z = self.objective(state), self._multiplier(state)
            norm, columns, sure = self._price(state, z, objective, idle > 0, monitor)
            complete = not monitor.out_of_time()
            if complete:
                dual, proof = self.dual_objective(z, norm), z
            elif dual > objective:
                dual = 0.0
            if first.pricing.exact:
                if dual > best:
                    best, best_proof = dual, proof
                dual, proof = best, best_proof
            gap = relative_gap(objective, dual)
            status = monitor.record(objective, dual, sum(len(n) for n in state))
            if complete and sure and gap <= first.tol:
                return SoftmaxSolution(state, dual, proof, Status.OPTIMAL)
            if status is not None:
                return SoftmaxSolution(state, dual, proof, status)
            if idle == _PATIENCE:
                return SoftmaxSolution(state, dual, proof, Status.STALLED)
            step = min(1e-4 * gap, 1e-2 * gap * gap) if idle == 0 else 0.0
            target = objective * max(step, _NO_PROGRESS)
            moved = self._improved(state, columns, target, monitor)
            progress = objective - self.objective(moved)
            idle = 0 if progress > _NO_PROGRESS * objective else idle + 1
            if progress > 0.0:
                state = moved

    def dual_objective(self, z: Array, norm: float) -> float:
        """Return the dual objective of a multiple of z, given the largest dual norm of a class.

        The norms of decayed skip connections count by themselves.
        """
        problem = self.solvers[0].problem
        norm = max(norm, *(problem.skip_norm(column) for column in np.ascontiguousarray(z.T)))
        t = min(1.0, problem.beta / norm) if norm > 0.0 else 1.0
        return self.loss.dual_value(t * z, self._targets, problem.sample_weight)

    def objective(self, state: Sequence[Neurons]) -> float:
        """Return loss plus penalty."""
        problem = self.solvers[0].problem
        loss = self.loss.value(self._outputs(state), self._targets, problem.sample_weight)
        return loss + sum(
            solver.problem.penalty(neurons.U, neurons.pattern, neurons.skip)
            for solver, neurons in zip(self.solvers, state, strict=True)
        )

    @property
    def _targets(self) -> Array:
        return np.column_stack([solver.problem.y for solver in self.solvers])

    def _outputs(self, state: Sequence[Neurons]) -> Array:
        """Return the predictions for the samples, (n_samples, n_classes)."""
        problem = self.solvers[0].problem
        return np.column_stack([problem.at_samples(neurons.prediction) for neurons in state])

    def _multiplier(self, state: Sequence[Neurons]) -> Array:
        weights = self.solvers[0].problem.sample_weight
        return self.loss.multiplier(self._outputs(state), self._targets, weights)

    def _recomputed(self, state: Sequence[Neurons]) -> tuple[Neurons, ...]:
        """Take the predictions afresh from the weights, with the best free coefficients."""
        fresh = tuple(
            replace(neurons, prediction=solver.prediction(neurons))
            for solver, neurons in zip(self.solvers, state, strict=True)
        )
        problem = self.solvers[0].problem
        free = problem.free
        if free.shape[1] == 0:
            return fresh
        shifts = self.loss.best_coefficients(
            self._outputs(fresh), self._targets, problem.sample_weight, problem.at_samples(free)
        )
        return tuple(
            neurons.shifted(problem, shift, neurons.prediction + free @ shift)
            for neurons, shift in zip(fresh, shifts.T, strict=True)
        )

    def _price(
        self, state: Sequence[Neurons], z: Array, objective: float, stuck: bool, monitor: Monitor
    ) -> tuple[float, list[Columns], bool]:
        """Return the largest dual norm, columns of each class, and whether the norm may stand."""
        first = self.solvers[0]
        found = self._priced(state, z, objective, [0.0] * len(state), 1, monitor)
        norms = [norm for norm, _ in found]
        gap = relative_gap(objective, self.dual_objective(z, max(norms)))
        harder = stuck or gap <= first.pricing.ready * first.tol
        if harder and first.confirms(stuck) and not monitor.out_of_time():
            found = self._priced(state, z, objective, norms, CONFIRM, monitor)
        return max(norm for norm, _ in found), [columns for _, columns in found], harder

    def _priced(
        self,
        state: Sequence[Neurons],
        z: Array,
        objective: float,
        norms: list[float],
        effort: int,
        monitor: Monitor,
    ) -> list[tuple[float, Columns]]:
        """Return the dual norm and columns of each class; ``norms`` are known so far."""
        found = []
        for k, (solver, neurons) in enumerate(zip(self.solvers, state, strict=True)):
            others = max(norms[:k] + norms[k + 1 :], default=0.0)

            def gap_of(norm: float, others: float = others) -> float:
                return relative_gap(objective, self.dual_objective(z, max(norm, others)))

            rows = solver.problem.at_rows(np.ascontiguousarray(z[:, k]))
            norm, columns = solver.pricing(
                solver.problem, rows, neurons.U, neurons.signs, monitor.run, effort, gap_of
            )
            norms = [*norms[:k], norm, *norms[k + 1 :]]
            found.append((norm, columns))
        return found

    def _improved(
        self, state: Sequence[Neurons], columns: list[Columns], target: float, monitor: Monitor
    ) -> tuple[Neurons, ...]:
        """Add columns and solve over the neurons until a pass gains less than ``target``."""
        current = [
            self._turn(state, k).added(neurons, columns[k]) for k, neurons in enumerate(state)
        ]
        current = list(self._recomputed(current))
        if self.objective(current) > self.objective(state):  # the classes' columns overlap
            current = list(state)
            for k in range(len(current)):
                current[k] = self._turn(current, k).added(current[k], columns[k])
        value, inner = math.inf, target
        extrapolation = Extrapolation()
        for _ in range(_PASSES):
            start = list(current)
            for k in range(len(current)):
                current[k] = self._turn(current, k).refined(current[k], inner, monitor)
                if monitor.out_of_time():
                    return tuple(current)
            current = self._jointly(extrapolation, start, current)
            now = self.objective(current)
            gain, value = value - now, now
            if gain <= target:
                break
            inner = target if math.isinf(gain) else max(target, _INNER * gain)
        return tuple(current)

    def _jointly(
        self, extrapolation: Extrapolation, start: list[Neurons], end: list[Neurons]
    ) -> list[Neurons]:
        """Move all classes together after a pass from start to end: to a lower objective only.

        By a Newton step, with too many coordinates by extrapolating the passes.
        """
        now = self._recomputed(end)
        z, problem = self._multiplier(now), self.solvers[0].problem
        shares = self._targets - z / problem.sample_weight[:, np.newaxis]
        small = False
        for moved in newton_steps(self.solvers, now, shares, z):
            small = True
            better = self._towards(now, _as_vector(moved))
            if better is not None:
                return better
        pairs = zip(start, end, strict=True)
        if not small and all(np.array_equal(a.signs, b.signs) for a, b in pairs):
            guess = extrapolation.next(_as_vector(start), _as_vector(end))
            better = None if guess is None else self._towards(now, guess)
            if better is not None:
                return better
        extrapolation.clear()
        return list(now)

    def _towards(self, now: Sequence[Neurons], guess: Array) -> list[Neurons] | None:
        """Return a point on the way to a guess where the objective is lower, None without one."""
        value, origin = self.objective(now), _as_vector(now)
        room = self._room(list(now), guess)
        for t in _LENGTHS:
            tried = self._recomputed(_with_vector(now, origin + t * room * (guess - origin)))
            if self.objective(tried) < value:
                return list(tried)
        return None

    def _room(self, end: list[Neurons], guess: Array) -> float:
        """Return how far towards a guess neurons stay in the cells of given patterns, 1 for all."""
        first, room = self.solvers[0], 1.0
        if first.mode == first.kernels.CROSSING:
            return room
        lengths = np.linalg.norm(first.problem.X, axis=1)
        for neurons, towards in zip(end, _with_vector(end, guess), strict=True):
            masks = first.kernels.unpack(first.packed[neurons.pattern], len(first.problem.X))
            sides = np.where(masks, 1.0, -1.0)
            inside = sides * (neurons.U @ first.problem.X.T)
            change = sides * ((towards.U - neurons.U) @ first.problem.X.T)
            sizes = np.linalg.norm(neurons.U, axis=1)[:, np.newaxis] * lengths
            leaves = (inside + change < -_TIGHT * sizes) & (change < 0.0)
            shares = np.maximum(inside[leaves], 0.0) / -change[leaves]
            room = min(room, float(shares.min(initial=1.0)))
        return room

    def _turn(self, state: Sequence[Neurons], k: int) -> Solver:
        """Return the solver of class k with the other outputs fixed."""
        solver = self.solvers[k]
        block = self.loss.block(self._outputs(state), k)
        return replace(solver, problem=replace(solver.problem, loss=block))
