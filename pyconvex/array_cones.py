"""The cone-constrained program over given patterns on a device: true ReLU networks.

Column generation as in `Solver`: solve over the groups in use, project the gradients of all others
onto their cells, add the best, repeat. The program over the groups in use is a convex model with
walls (`array_interior`), exact for the squared loss, so that weights end strictly inside cells.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyconvex.array_cells import project
from pyconvex.array_descent import (
    EXACT,
    FIRST,
    HALVINGS,
    LAST,
    N_COLUMNS,
    RISE,
    SQUARE,
    VANISHED,
    best_sizes,
    curvatures,
)
from pyconvex.array_groups import FoundGroups, Groups
from pyconvex.array_interior import minimise
from pyconvex.array_model import Model
from pyconvex.array_problem import ArrayProblem, row_norms
from pyconvex.backends import array as kernels
from pyconvex.backends.array import Masks, blocks
from pyconvex.monitor import Monitor
from pyconvex.namespaces import DeviceArray, Space
from pyconvex.program import Status, relative_gap

_COPIES = 6  # arrays of cells x rows that a projection holds
_HOST_CHUNK = 64  # cells projected between two looks at the best norm so far, on the host
_MODELS = 10  # at most, of a loss that is not quadratic, between two pricings
_AGAIN = 0.01  # another one follows a gain above this share of the gap
_NO_PROGRESS = 1e-15  # relative changes of the objective below this say nothing
_PATIENCE = 3  # rounds without progress until a solve is called stalled


@dataclass(frozen=True)
class ArrayCones:
    """Column generation over given cells.

    Parameters
    ----------
    problem : ArrayProblem
        What to solve, X in double.
    tol : float
        Relative gap to reach.
    """

    problem: ArrayProblem
    tol: float

    @property
    def space(self) -> Space:
        """Where the arrays live."""
        return self.problem.space

    def solve(self, groups: Groups, monitor: Monitor) -> FoundGroups:
        """Solve from given groups."""
        with np.errstate(all="ignore"):
            return self._solve(groups, monitor)

    def _solve(self, groups: Groups, monitor: Monitor) -> FoundGroups:
        problem, stop, idle = self.problem, monitor.out_of_time, 0
        dual, proof = 0.0, self.space.xp.zeros_like(problem.loss.y)
        while True:
            groups, f, objective = self._valued(groups)
            z = problem.loss.multiplier(f)
            norm, excess, columns = self._price(z, stop)
            bound = self._bound(z, norm, excess)
            if bound > dual:  # every multiplier's bound is valid, so keep the best
                dual, proof = bound, z
            gap = relative_gap(objective, dual)
            status = monitor.record(objective, dual, len(groups))
            if gap <= self.tol:
                status = Status.OPTIMAL
            elif status is None and idle == _PATIENCE:
                status = Status.STALLED
            if status is not None:
                return FoundGroups(groups, objective, min(dual, objective), proof, status)
            moved = self._improved(self._added(groups, f, columns), gap, stop, sharp=idle > 0)
            moved, _, lower = self._valued(moved)
            idle = 0 if objective - lower > _NO_PROGRESS * objective else idle + 1
            if lower <= objective * (1.0 + RISE):
                groups = moved

    def dual_norm(self, z: DeviceArray) -> float:
        """Return N(z), priced at a penalty of 0."""
        return replace(self, problem=self.problem.at(0.0))._price(z, lambda: False)[0]

    def _masks(self, pattern: DeviceArray) -> DeviceArray:
        """Return the patterns of some groups, 1.0 or 0.0."""
        masks = self.problem.masks
        chosen = Masks(self.space, self.space.take(masks.packed, pattern), masks.n_samples)
        return chosen.block(slice(0, len(chosen)), slice(0, masks.n_samples))

    def _outputs(self, groups: Groups) -> DeviceArray:
        """Return the outputs s D X u, (m, n_samples)."""
        xp = self.space.xp
        A = xp.matmul(groups.U, xp.matrix_transpose(self.problem.X))
        return groups.signs[:, None] * self._masks(groups.pattern) * A

    def _valued(self, groups: Groups) -> tuple[Groups, DeviceArray, float]:
        """Return the groups with the best intercept, what they predict, and the objective."""
        problem = self.problem
        f = self.space.xp.sum(self._outputs(groups), axis=0)
        shift = problem.best_shift(f)
        f = f + shift
        return replace(groups, intercept=shift), f, problem.objective(f, groups.U, groups.pattern)

    def _bound(self, z: DeviceArray, norm: float, excess: float) -> float:
        """Return the best dual objective among multiples of z; with a ridge z itself may do."""
        problem = self.problem
        bound = problem.loss.dual_objective(z, problem.beta / norm if norm > 0.0 else math.inf)
        if problem.ridge > 0.0:
            bound = max(bound, problem.loss.dual_value(z) - excess)
        return bound

    def _price(
        self, z: DeviceArray, stop: Callable[[], bool]
    ) -> tuple[float, float, tuple[Groups, DeviceArray]]:
        """Return N(z), what violating it costs with a ridge, and groups above beta.

        The groups come best first, with their values. Where N(z) is at most beta a bound of it is
        returned that is, too. Cells whose gradient is too short to matter are not projected.
        """
        problem, space, xp = self.problem, self.space, self.space.xp
        beta, C = problem.beta, problem.gradients(z)
        weights = problem.group_weights
        ceilings = row_norms(space, C) / weights
        order = space.xp.argsort(-ceilings, stable=True)
        order = space.take(order, space.where_true(space.take(ceilings, order) > 0.0))
        norm, over, found = 0.0, 0.0, []
        for part in blocks(int(order.shape[0]), self._chunk()):
            chosen = order[part]
            ceiling = float(ceilings[chosen[0]])
            floor = beta if problem.ridge > 0.0 else max(norm, beta)  # a ridge needs all of them
            if ceiling <= floor or stop():
                norm = max(norm, ceiling)
                break
            twice = xp.concat([chosen, chosen])
            one = space.full(int(chosen.shape[0]), 1.0)
            signs = xp.concat([one, -one])
            omega = space.take(weights, twice)
            points, sizes = project(
                space, problem.X, self._masks(twice), signs[:, None] * space.take(C, twice),
                beta * omega, stop,
            )  # fmt: skip
            values = sizes / omega
            norm = max(norm, space.largest(values))
            better = space.where_true(values > beta)
            excess = space.take(omega * (values - beta), better)
            over += space.dot(excess, excess)
            unit = space.take(points / (sizes + 1e-300)[:, None], better)
            groups = Groups(unit, space.take(signs, better), space.take(twice, better))
            found.append((groups, space.take(values, better)))
        excess = over / (2.0 * problem.ridge) if problem.ridge else 0.0
        return norm, excess, self._sorted(found)

    def _chunk(self) -> int:
        """Return how many patterns are projected at once."""
        n, p = self.problem.X.shape
        most: int = max(1, kernels.MEMORY_BUDGET // (16 * (_COPIES * n + 4 * p * p)))
        return min(_HOST_CHUNK, most) if self.space.is_host else most

    def _sorted(self, found: list[tuple[Groups, DeviceArray]]) -> tuple[Groups, DeviceArray]:
        space, xp = self.space, self.space.xp
        if not found:
            return Groups.none(self.problem), space.zeros(0)
        values = xp.concat([part[1] for part in found])
        order = xp.argsort(-values, stable=True)
        joined: Any = [
            xp.concat([getattr(part[0], name) for part in found], axis=0)
            for name in ("U", "signs", "pattern")
        ]
        return Groups(*joined).take(space, order), space.take(values, order)

    def _added(self, groups: Groups, f: DeviceArray, columns: tuple[Groups, DeviceArray]) -> Groups:
        """Add the best groups that are not in use, each with its best size."""
        problem, space, xp = self.problem, self.space, self.space.xp
        new, _ = columns
        if len(groups):
            same = new.pattern[:, None] == groups.pattern[None, :]
            used = xp.any(same & (new.signs[:, None] == groups.signs[None, :]), axis=1)
            new = new.take(space, space.where_true(~used))
        new = new.take(space, space.arange(min(N_COLUMNS, len(new))))
        omega = space.take(problem.group_weights, new.pattern)
        betas = [problem.beta * float(omega[j]) for j in range(len(new))]
        sizes = best_sizes(
            problem.loss, f, self._outputs(new), betas, problem.intercept, problem.ridge
        )
        used = [j for j, size in enumerate(sizes) if size > 0.0]
        if not used:
            return groups
        new = new.take(space, xp.asarray(used, dtype=space.integer, device=space.device))
        grown = xp.asarray([sizes[j] for j in used], dtype=space.double, device=space.device)
        return Groups(
            xp.concat([groups.U, grown[:, None] * new.U]),
            xp.concat([groups.signs, new.signs]),
            xp.concat([groups.pattern, new.pattern]),
            groups.intercept,
        )

    def _improved(
        self, groups: Groups, gap: float, stop: Callable[[], bool], *, sharp: bool
    ) -> Groups:
        """Minimise models over the groups in use, as exactly as a relative gap deserves."""
        for _ in range(1 if self.problem.loss.quadratic else _MODELS):
            if len(groups) == 0 or stop():
                break
            groups, gain, objective = self._descended(groups, gap, stop, sharp)
            if gain <= _AGAIN * gap * gap * objective:
                break
        return groups

    def _descended(
        self, groups: Groups, gap: float, stop: Callable[[], bool], sharp: bool
    ) -> tuple[Groups, float, float]:
        """Go towards the minimum of one model as far as the objective falls."""
        problem, space, xp = self.problem, self.space, self.space.xp
        groups, f, objective = self._valued(groups)
        least = EXACT * objective
        cost = least if sharp else max(min(LAST, SQUARE * gap) * gap * objective, least)
        n_sides = len(groups) * problem.X.shape[0]
        first = max(FIRST * gap * objective, 100.0 * cost)
        V, _ = minimise(self._model(groups, f), first / n_sides, cost / n_sides, stop)
        norms = row_norms(space, V)
        gone = ~(norms > VANISHED * space.largest(norms))
        V = xp.where(gone[:, None], xp.zeros_like(V), V)
        # A rise of rounding's size hides a better multiplier.
        t, most = 1.0, objective * (1.0 + RISE) if sharp else objective
        for _ in range(HALVINGS):
            moved = replace(groups, U=groups.U + t * (V - groups.U))
            moved = moved.take(space, space.where_true(row_norms(space, moved.U) > 0.0))
            moved, _, lower = self._valued(moved)
            if lower < most:
                return moved, objective - lower, objective
            t *= 0.5
        return groups, 0.0, objective

    def _model(self, groups: Groups, f: DeviceArray) -> Model:
        """Return the model whose neurons must stay in their cells."""
        problem, space = self.problem, self.space
        on = self._masks(groups.pattern)
        return Model(
            space=space,
            X=problem.X,
            U=groups.U,
            signs=groups.signs,
            on=on,
            cost=space.xp.full_like(on, math.inf),
            z=problem.loss.multiplier(f),
            curvature=curvatures(problem.loss, f),
            betas=problem.beta * space.take(problem.group_weights, groups.pattern),
            intercept=problem.intercept,
            ridge=problem.ridge,
        )
