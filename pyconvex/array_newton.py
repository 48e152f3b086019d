"""Dual augmented Lagrangian with semismooth Newton steps for gated programs, on a device."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pyconvex.array_box import ArrayBox
from pyconvex.array_problem import ArrayProblem
from pyconvex.array_system import ArraySystem
from pyconvex.backends.array import Masks, rows_of
from pyconvex.monitor import Monitor
from pyconvex.namespaces import DeviceArray, Space
from pyconvex.program import Status, relative_gap

# The constants of `dual_newton`, which says why.
_START, _WARM = 0.3, 0.3
_GROWTH, _FAST_GROWTH, _FEW = 3.0, 10.0, 3
_INEXACT = 0.1
_ARMIJO, _SHORTEST = 1e-4, 1e-8
_ROUNDING = 50.0  # objectives that differ by less, in units of the precision, are equal
_MAX_STEPS, _PATIENCE = 50, 10
_ITERATE = 1e-2


@dataclass
class State:
    """Weights of the active groups and the intercept: where a solve starts and what it returns."""

    active: DeviceArray
    U: DeviceArray
    intercept: float = 0.0

    @classmethod
    def none(cls, problem: ArrayProblem) -> "State":
        """Return no active groups."""
        space = problem.space
        return cls(space.arange(0), space.zeros(0, problem.X.shape[1]))


@dataclass
class Iterate:
    """The multiplier, the weights and what follows from them; see `dual_newton.Iterate`.

    ``U`` has a row per group, ``next_weights`` one per active group. ``linear`` is the intercept in
    units of the features' size.
    """

    z: DeviceArray
    gradients: DeviceArray
    U: DeviceArray
    linear: float
    sigma: float
    active: DeviceArray
    scale: DeviceArray
    next_weights: DeviceArray
    next_linear: float
    masks: Masks
    outputs: DeviceArray
    error: DeviceArray
    direct: bool = False


@dataclass
class Best:
    """The best weights and the best bound so far."""

    state: State
    prediction: DeviceArray  # with the best intercept
    objective: float
    dual: float
    multiplier: DeviceArray
    proof: float = -math.inf  # the bound that the weights' residual proves, where it was asked for

    @property
    def gap(self) -> float:
        """Relative gap."""
        return relative_gap(self.objective, self.dual)


@dataclass(frozen=True)
class Found:
    """What a solve found: the weights, what they predict, and the multiplier that proves it."""

    state: State
    prediction: DeviceArray
    objective: float
    dual_objective: float
    multiplier: DeviceArray
    status: Status


@dataclass(frozen=True)
class ArrayNewton:
    """The algorithm of `DualNewton`, whose docstring has the formulas, in a device's namespace.

    Newton systems are solved by conjugate gradients, small ones directly where that is less work.
    Numbers and indices of active groups cross to the host, nothing else.

    Parameters
    ----------
    problem : ArrayProblem
        What to solve.
    tol : float
        Relative gap to reach.
    by_weights : bool
        Go on until the residual of the returned weights proves the gap.
    """

    problem: ArrayProblem
    tol: float
    by_weights: bool = False
    gram: list[DeviceArray] = field(default_factory=list, repr=False)  # X X^T once it was needed

    @property
    def space(self) -> Space:
        """Where the arrays live."""
        return self.problem.space

    def solve(self, start: State, monitor: Monitor) -> Found:
        """Solve from given weights. All figures are computed afresh from what is returned."""
        with np.errstate(all="ignore"):
            best, status = self._solve(start, monitor)
            state, f, objective = self.valued(best.state)
            z = self.problem.loss.multiplier(f)
            dual = self.bound(z)
            if not self.by_weights:
                other = self.bound(best.multiplier)
                z, dual = (best.multiplier, other) if other > dual else (z, dual)
        return Found(state, f, objective, min(dual, objective), z, status)

    def valued(self, state: State) -> tuple[State, DeviceArray, float]:
        """Return weights with the best intercept, what they predict, and the objective."""
        problem, active, U = self.problem, state.active, state.U
        f, shift = self._prediction(self._masks(active).push(problem.X, U))
        return State(active, U, shift), f, problem.objective(f, U, active)

    def bound(self, z: DeviceArray) -> float:
        """Return the dual objective that a multiplier proves."""
        return self.problem.bound(z, self.problem.gradients(z))

    def _solve(self, start: State, monitor: Monitor) -> tuple[Best, Status]:
        at, best = self._start(start)
        idle, last = 0, math.inf
        while idle < _PATIENCE:
            for step in range(_MAX_STEPS):
                self._improve(best, at)
                n_active = int(best.state.active.shape[0])
                status = monitor.record(best.objective, best.dual, n_active)
                if best.gap <= self.tol and self._proved(best):
                    return best, Status.OPTIMAL
                if status is not None:
                    return best, status
                if step > 0 and self._solved(at):
                    break
                if not self._newton(at, monitor):
                    break
            at.U, at.linear = self._updated(at), at.next_linear
            at.sigma *= _FAST_GROWTH if step <= _FEW else _GROWTH
            self._move(at, at.z, self.problem.gradients(at.z))  # afresh: sums of steps drift
            idle = 0 if best.gap < 0.9 * last else idle + 1
            last = best.gap
        return best, Status.STALLED

    def _start(self, start: State) -> tuple[Iterate, Best]:
        """Return the iterate at given weights, z scaled into the feasible set."""
        problem, space = self.problem, self.space
        n = problem.X.shape[0]
        prediction, shift = self._prediction(self._masks(start.active).push(problem.X, start.U))
        z = problem.loss.multiplier(prediction)
        gradients = problem.gradients(z)
        objective = problem.objective(prediction, start.U, start.active)
        best = Best(start, prediction, objective, problem.bound(z, gradients), z)
        norm = space.largest(problem.group_norms(gradients))
        shrink = min(1.0, problem.beta / norm if norm > 0.0 else 1.0)
        warm = start.active.shape[0] > 0
        sigma = _START * n / problem.size**2 * (_WARM if warm else 1.0)
        nothing = space.zeros(0)
        U = self._spread(start)
        at = Iterate(
            z, gradients, U, shift / problem.size, sigma, start.active, nothing, start.U, 0.0,
            problem.masks, nothing, nothing,
        )  # fmt: skip
        self._move(at, self._box.inside(shrink * z), shrink * gradients)
        return at, best

    def _spread(self, state: State) -> DeviceArray:
        """Return the weights of all groups (n_groups, p), given those of the active ones."""
        space, xp, n_groups = self.space, self.space.xp, len(self.problem.masks)
        if state.active.shape[0] == 0:
            return space.zeros(n_groups, self.problem.X.shape[1])
        order = xp.argsort(state.active)
        active, groups = space.take(state.active, order), space.arange(n_groups)
        place = xp.clip(xp.searchsorted(active, groups), 0, active.shape[0] - 1)
        there = space.to_double(space.take(active, place) == groups)
        return space.take(space.take(state.U, order), place) * there[:, None]

    def _masks(self, active: DeviceArray) -> Masks:
        masks = self.problem.masks
        return Masks(self.space, self.space.take(masks.packed, active), masks.n_samples)

    def _limits(self, at: Iterate) -> DeviceArray:
        return (at.sigma * self.problem.beta) * self.problem.group_weights

    def _softening(self, at: Iterate) -> float:
        return 1.0 + at.sigma * self.problem.ridge

    def _move(self, at: Iterate, z: DeviceArray, gradients: DeviceArray) -> None:
        """Go to z with its gradients: proximal point and error afresh."""
        problem, space = self.problem, self.space
        at.z, at.gradients = z, gradients
        norms, limits = self._norms(at), self._limits(at)
        at.active = space.where_true(norms > limits)
        at.scale = 1.0 - space.take(limits, at.active) / space.take(norms, at.active)
        target = space.take(at.U, at.active) + at.sigma * space.take(at.gradients, at.active)
        at.next_weights = (at.scale / self._softening(at))[:, None] * target
        at.masks = self._masks(at.active).keep()
        at.outputs = at.masks.push(problem.X, at.next_weights)
        at.error = at.outputs - problem.loss.conjugate_slopes(-z / problem.loss.s)
        if problem.intercept:
            at.next_linear = at.linear + at.sigma * problem.size * space.total(z)
            at.error = at.error + problem.size * at.next_linear

    def _updated(self, at: Iterate) -> DeviceArray:
        """Return the proximal point's weights of all groups."""
        return self._spread(State(at.active, at.next_weights))

    def _norms(
        self, at: Iterate, change: DeviceArray | None = None, share: float = 0.0
    ) -> DeviceArray:
        """Return the norms of u_g + sigma (X^T D_g z + share change_g) for all groups."""
        xp, parts = self.space.xp, []
        for k in rows_of(self.space, *at.U.shape):
            target = at.gradients[k, :]
            if change is not None:
                target = target + share * change[k, :]
            target = at.sigma * target + at.U[k, :]
            parts.append(xp.sqrt(xp.sum(target * target, axis=1)))
        return xp.concat(parts)

    def _psi(
        self, at: Iterate, z: DeviceArray, change: DeviceArray | None = None, share: float = 0.0
    ) -> float:
        """Return psi(z), given that the gradients there are larger by share times ``change``."""
        problem, space = self.problem, self.space
        over = self._norms(at, change, share) - self._limits(at)
        over = space.xp.where(over > 0.0, over, space.xp.zeros_like(over))
        value = space.dot(over, over) / (2.0 * at.sigma * self._softening(at))
        if problem.intercept:
            following = at.linear + at.sigma * problem.size * space.total(z)
            value += following**2 / (2.0 * at.sigma)
        return value - problem.loss.dual_value(z)

    def _newton(self, at: Iterate, monitor: Monitor) -> bool:
        """Take a Newton step with Armijo's rule; False where no step lowers psi."""
        problem, space = self.problem, self.space
        direction = self._direction(at, monitor)
        if direction is None or not space.dot(at.error, direction) < 0.0:
            return False
        whole: DeviceArray | None = None  # the change of the gradients along the whole direction
        start, t = self._psi(at, at.z), 1.0
        while t >= _SHORTEST:
            z, cut = self._box.stop(at.z, t * direction)
            if cut:
                change, share = problem.gradients(z - at.z), 1.0
            else:
                whole = problem.gradients(direction) if whole is None else whole
                change, share = whole, t
            slope = space.dot(at.error, z - at.z)
            flat = _ROUNDING * space.eps * abs(start)
            if self._psi(at, z, change, share) <= start + _ARMIJO * slope + flat:
                if share != 1.0:
                    change *= share
                change += at.gradients
                self._move(at, z, change)
                return bool(space.xp.all(space.xp.isfinite(at.error)))
            t *= 0.5
        return False

    def _direction(self, at: Iterate, monitor: Monitor) -> DeviceArray | None:
        """Return the Newton direction: iteratively until that costs more than directly."""
        problem, space = self.problem, self.space
        held, free = self._box.held(at.z, at.error), None
        if held is not None and space.any(held):
            free = 1.0 - space.to_double(held)
        right = -at.error if free is None else -at.error * free
        squares = space.xp.sum(at.next_weights * at.next_weights, axis=1)
        softening = self._softening(at)
        diagonal = problem.loss.conjugate_curvatures(-at.z / problem.loss.s) / problem.loss.s
        constant = problem.size * math.sqrt(softening) if problem.intercept else 0.0
        system = ArraySystem(
            problem, at.masks, at.next_weights, at.scale, (1.0 - at.scale) / squares, diagonal,
            at.sigma / softening, constant, free,
        )  # fmt: skip
        if not at.direct:
            most = system.factor_work if system.fits else math.inf
            direction = system.iterate(right, _ITERATE, most, monitor.out_of_time)
            if direction is not None or monitor.out_of_time() or not system.fits:
                return direction
            at.direct = True
        if not system.fits:
            return system.iterate(right, _ITERATE, math.inf, monitor.out_of_time)
        if not self.gram:
            X = space.to_double(problem.X)
            self.gram.append(space.xp.matmul(X, space.xp.matrix_transpose(X)))
        direction = system.factorise(right, self.gram[0])
        return direction if bool(space.xp.all(space.xp.isfinite(direction))) else None

    def _solved(self, at: Iterate) -> bool:
        """Tell whether psi is minimised as well as the next update of the weights deserves."""
        problem, space, s = self.problem, self.space, self.problem.loss.s
        error = s * at.error / problem.loss.conjugate_curvatures(-at.z / s)
        held = self._box.held(at.z, at.error)
        if held is not None:
            error = space.xp.where(held, space.xp.zeros_like(error), error)
        before = space.take(at.U, at.active)
        lost = space.total(at.U * at.U) - space.total(before * before)  # of groups that leave
        change = at.next_weights - before
        size = math.sqrt(space.total(change * change) + max(lost, 0.0))
        return space.norm(error) <= _INEXACT * size / (at.sigma * problem.size)

    def _improve(self, best: Best, at: Iterate) -> None:
        """Keep the proximal point's weights and the multiplier's bound where they are better."""
        problem = self.problem
        f, shift = self._prediction(at.outputs)
        objective = problem.objective(f, at.next_weights, at.active)
        if self._better(best, objective, f):
            best.state, best.prediction = State(at.active, at.next_weights, shift), f
            best.objective = objective
        for z, gradients in self._multipliers(at, f):
            bound = problem.bound(z, gradients)
            if bound > best.dual:
                best.dual, best.multiplier = bound, z

    def _better(self, best: Best, objective: float, f: DeviceArray) -> bool:
        """Tell whether weights are better than the best: of equals, whether they prove more."""
        flat = _ROUNDING * self.space.eps * best.objective
        if abs(objective - best.objective) > flat or not self.by_weights:
            better = objective < best.objective
            best.proof = -math.inf if better else best.proof
            return better
        proof = self._proof(f)
        better = proof > best.proof
        best.proof = max(proof, best.proof)
        return better

    def _proof(self, f: DeviceArray) -> float:
        """Return the bound that the residual of a prediction proves."""
        return self.bound(self.problem.loss.multiplier(f))

    def _proved(self, best: Best) -> bool:
        """Tell whether the best weights' own residual proves the gap, if it must."""
        if not self.by_weights:
            return True
        return relative_gap(best.objective, self._proof(best.prediction)) <= self.tol

    def _multipliers(
        self, at: Iterate, f: DeviceArray
    ) -> Iterator[tuple[DeviceArray, DeviceArray]]:
        """Give multipliers that may prove a bound, with their gradients.

        With an intercept they sum to 0. One that leaves the domain by that proves nothing.
        """
        problem = self.problem
        if problem.intercept:
            total = self.space.total(at.z)
            centred = at.z - total * problem.loss.s
            yield centred, at.gradients - total * self._weight_gradients
        else:
            yield at.z, at.gradients
        if not problem.loss.quadratic:
            z = problem.loss.multiplier(f)
            yield z, problem.gradients(z)

    @cached_property
    def _weight_gradients(self) -> DeviceArray:
        """X^T D_g s: what a shift of the multiplier changes."""
        return self.problem.gradients(self.problem.loss.s)

    def _prediction(self, outputs: DeviceArray) -> tuple[DeviceArray, float]:
        """Return the outputs with the best intercept, and that."""
        shift = self.problem.best_shift(outputs)
        return (outputs + shift if self.problem.intercept else outputs), shift

    @cached_property
    def _box(self) -> ArrayBox:
        return ArrayBox.of(self.problem.loss)
