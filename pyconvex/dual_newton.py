"""Dual augmented Lagrangian with semismooth Newton steps for group lassos on masked rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pyconvex.doubles import preactivations
from pyconvex.dual_box import DualBox
from pyconvex.dual_linear import DualLinear, size_of
from pyconvex.dual_system import NewtonSystem
from pyconvex.losses import Array
from pyconvex.monitor import Monitor
from pyconvex.neurons import Neurons, Solution
from pyconvex.pricing import PatternPricing
from pyconvex.program import STAGE, Problem, Status, relative_gap
from pyconvex.rows import blocks, gate_gradients, row_norms

_START = 0.3  # of the number of samples over the mean square of X: the first penalty sigma
_GROWTH = 3.0  # of the penalty sigma after each update of the weights
_FAST_GROWTH = 10.0  # where the last subproblem took few Newton steps
_FEW = 3
_INEXACT = 0.1  # a subproblem's error relative to the update of the weights it leads to
_ARMIJO = 1e-4
_SHORTEST = 1e-8  # step lengths below this are rounding
_ROUNDING = 1e-14  # objectives that differ by less, relative, are equal
_FLAT = 1e-14  # relative changes of psi below this are rounding
_MAX_STEPS = 50  # Newton steps between two updates of the weights
_PATIENCE = 10  # updates without a better gap until the solve is called stalled
_WARM = 0.3  # of that where the weights are good already: the start is near, so keep it easy,
_WARM_LOOSE = 0.1  # and easier where a gap
_LOOSE = 1e-3  # as large as this will do
_ITERATE = 0.05  # relative residual of the Newton systems where they are solved iteratively
_DIRECT_SAMPLES = 12_000  # up to which a direct solution is an option


@dataclass
class Iterate:
    """The multiplier, the weights, and all that follows from them.

    ``gradients`` are X^T D_g z, ``linear`` are the coefficients of the output's linear part. The
    proximal point (``active``, ``scale``, ``next_weights``, ``next_linear``) is what the weights
    become at the next update; ``error`` is the gradient of psi.
    """

    z: Array
    gradients: Array
    U: Array
    linear: Array
    sigma: float
    active: NDArray[np.int64]
    scale: Array
    next_weights: Array
    next_linear: Array
    outputs: Array
    error: Array
    direct: bool = False  # whether iterative solutions no longer pay


@dataclass
class Best:
    """The best weights and the best bound so far: what is returned, whatever ends the solve."""

    active: NDArray[np.int64]
    U: Array
    objective: float
    dual: float
    multiplier: Array  # what proves the bound
    own_objective: float  # these two with the loss that is minimised, which may be a smoothed one
    own_dual: float
    decayed: Array  # coefficients of the decayed part of the skip connection
    proof: float = -np.inf  # the bound that the weights' residual proves, where it was asked for

    @property
    def gap(self) -> float:
        """Relative gap."""
        return relative_gap(self.objective, self.dual)

    @property
    def own_gap(self) -> float:
        """Gap of the loss that is minimised, relative to the objective."""
        return (self.own_objective - self.own_dual) / self.objective if self.objective else 0.0


@dataclass(frozen=True)
class DualNewton:
    r"""The program of `Problem` over given patterns, by Newton's method on the dual.

    With the weights u as multipliers of z's constraints :math:`\|X^T D_g z\| \le \beta\omega_g`,
    and a penalty :math:`\sigma`, minimise over z

    .. math:: \psi(z) = \sum_i s_i \ell^*(-z_i / s_i, y_i)
              + \frac{1 + \sigma\rho}{2\sigma} \sum_g \|u_g^+\|^2,
              \quad u_g^+ = \frac{(1 - \sigma\beta\omega_g / \|t_g\|)_+}{1 + \sigma\rho} t_g,
              \quad t_g = u_g + \sigma X^T D_g z,

    then set :math:`u = u^+` and raise :math:`\sigma` (Li, Sun & Toh 2018; Zhang et al. 2020, for
    the group lasso). The generalised Hessian over the groups with :math:`u_g^+ \ne 0` is

    .. math:: \mathrm{diag}(\ell^{*\prime\prime} / s) + \frac{\sigma}{1 + \sigma\rho}
              [(X X^T) \circ (M \mathrm{diag}(c) M^T) + R R^T],

    M their masks as columns, :math:`c_g = 1 - \sigma\beta\omega_g / \|t_g\|`, R their outputs times
    :math:`\sqrt{1 - c_g} / \|u_g^+\|`. `NewtonSystem` solves it, by conjugate gradients until they
    need more work than a factorisation. Where the conjugate has a domain, the steps are projected
    onto it (Bertsekas 1982).

    Parameters
    ----------
    problem : Problem
        What to solve.
    packed : array of uint64, shape (n_patterns, words)
        The patterns.
    kernels : module
        The backend.
    tol : float
        Relative gap to reach.
    n_threads : int
        Threads of the kernels and of BLAS, 0 for all cores. BLAS has one limit for the process:
        solves in several Python threads at once should ask for the same number.
    by_weights : bool
        Go on until the residual of the returned weights proves the gap. The engine's own
        multiplier, which nobody can compute from the weights, gets there earlier.
    """

    problem: Problem
    packed: NDArray[np.uint64]
    kernels: ModuleType
    tol: float
    n_threads: int
    by_weights: bool = False

    @property
    def mode(self) -> int:
        """What a neuron may do: masks without cones."""
        mode: int = self.kernels.GATED
        return mode

    @property
    def pricing(self) -> PatternPricing:
        """N(z) over the patterns."""
        return PatternPricing(self.packed, False, self.kernels, self.n_threads)

    def solve(self, neurons: Neurons, monitor: Monitor) -> Solution:
        """Solve from given neurons."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(self.n_threads or None, "blas"):
            best, status = self._solve(neurons, monitor)
            proved = self._by_weights(best)
            if self.by_weights or proved.dual_objective >= best.dual:
                return replace(proved, status=status)
            return Solution(proved.neurons, best.dual, best.multiplier, status)

    def _solve(self, neurons: Neurons, monitor: Monitor) -> tuple[Best, Status]:
        at, best = self._start(neurons)
        idle, last = 0, np.inf
        while idle < _PATIENCE:
            for step in range(_MAX_STEPS):
                self._improve(best, at)
                status = monitor.record(best.objective, best.dual, len(best.active))
                if best.gap <= self.tol and self._proved(best):
                    return best, Status.OPTIMAL
                if status is not None:
                    return best, status
                if self._smoothed and best.own_gap <= STAGE * best.gap:
                    return best, Status.OPTIMAL
                if step > 0 and self._solved(at):
                    break
                if not self._newton(at, monitor):
                    break
            at.U, at.linear = at.next_weights, at.next_linear
            at.sigma *= _FAST_GROWTH if step <= _FEW else _GROWTH
            self._move(at, at.z, self.gradients(at.z))  # afresh: sums of steps drift
            idle = 0 if best.own_gap < 0.9 * last else idle + 1
            last = best.own_gap
        return best, Status.STALLED

    def _start(self, neurons: Neurons) -> tuple[Iterate, Best]:
        """Return the iterate at given neurons, z scaled into the feasible set."""
        problem = self.problem
        n, p = problem.X.shape
        U = np.zeros((len(self.packed), p))
        np.add.at(U, neurons.pattern, neurons.U * neurons.signs[:, np.newaxis])
        active = np.flatnonzero(U.any(axis=1))
        decayed = neurons.skip[:0] if problem.decayed.shape[1] == 0 else neurons.skip
        prediction, shift = self._prediction(self._outputs(U[active], active), decayed)
        z = problem.multiplier(prediction)
        gradients = self.gradients(z)
        objective = problem.objective(prediction, U[active], active, decayed)
        own, true = self.bound(z, gradients), self.bound(z, gradients, problem.true)
        shown = problem.true.objective(prediction, U[active], active, decayed)
        best = Best(active, U[active], shown, true, z, objective, own, decayed)
        norm = max(self._largest(gradients), problem.skip_norm(z))
        shrink = min(1.0, problem.beta / norm if norm > 0.0 else 1.0)
        sigma = _START * n / self._size**2
        if len(active):
            sigma *= _WARM if self.tol < _LOOSE else _WARM_LOOSE
        nothing = np.zeros(0)
        linear = np.concatenate([shift / self._size, decayed])
        at = Iterate(z, nothing, U, linear, sigma, active, nothing, U, linear, nothing, z)
        self._move(at, self._box.inside(shrink * z), shrink * gradients)
        return at, best

    def _move(self, at: Iterate, z: Array, gradients: Array) -> None:
        """Go to z with its gradients: proximal point and error afresh."""
        problem = self.problem
        at.z, at.gradients = z, gradients
        norms, limits = self._norms(at), at.sigma * problem.beta * self._weights
        at.active = np.flatnonzero(norms > limits)
        at.scale = 1.0 - limits[at.active] / norms[at.active]
        at.next_weights = np.zeros(at.U.shape)  # untouched pages of zeros take no memory
        factors = at.scale / (1.0 + at.sigma * problem.ridge)
        target = at.U[at.active] + at.sigma * at.gradients[at.active]
        at.next_weights[at.active] = factors[:, np.newaxis] * target
        at.outputs = self._outputs(at.next_weights[at.active], at.active)
        at.error = at.outputs.sum(axis=0)
        at.error -= problem.loss.conjugate_slopes(-z / problem.sample_weight, problem.y)
        at.next_linear = self._linear.proximal(at.linear, at.sigma, z)
        at.error += self._linear.columns @ at.next_linear

    def _newton(self, at: Iterate, monitor: Monitor) -> bool:
        """Take a Newton step with Armijo's rule; False where no step lowers psi."""
        try:
            direction = self._direction(at, monitor)
        except np.linalg.LinAlgError:  # sigma beyond what doubles can resolve
            return False
        if not float(at.error @ direction) < 0.0:
            return False
        whole: Array | None = None  # the change of the gradients along the whole direction
        start, t = self._psi(at, at.z), 1.0
        while t >= _SHORTEST:
            z, change, share = self._box.stop(at.z, t * direction), whole, t
            if (z != at.z + t * direction).any():
                change, share = self.gradients(z - at.z), 1.0
            elif change is None:
                change = whole = self.gradients(direction)
            slope = float(at.error @ (z - at.z))
            if self._psi(at, z, change, share) <= start + _ARMIJO * slope + _FLAT * abs(start):
                for k in blocks(*at.U.shape):
                    at.gradients[k] += share * change[k]
                self._move(at, z, at.gradients)
                return bool(np.isfinite(at.error).all())
            t *= 0.5
        return False

    def _direction(self, at: Iterate, monitor: Monitor) -> Array:
        """Return the Newton direction: iteratively until that costs more than directly."""
        problem, free = self.problem, self._box.free(at.z, at.error)
        masks = self.kernels.unpack(self.packed[at.active], len(problem.y)).astype(np.float64)
        norms = np.linalg.norm(at.next_weights[at.active], axis=1)
        masks *= np.sqrt(at.scale)[:, np.newaxis]
        softening = 1.0 + at.sigma * problem.ridge
        borders = at.outputs * (np.sqrt(1.0 - at.scale) / norms)[:, np.newaxis]
        linear = self._linear.borders(at.linear, at.sigma, at.z)
        borders = np.concatenate([borders, np.sqrt(softening) * linear])
        s = problem.sample_weight
        diagonal = problem.loss.conjugate_curvatures(-at.z / s, problem.y) / s
        system = NewtonSystem(problem.X, masks, borders, diagonal, at.sigma / softening)
        if free is None:
            return self._solution(at, system, -at.error, monitor)
        direction = np.zeros_like(at.z)
        if len(free) == 0:
            return direction
        inner = system.restricted(free)
        direction[free] = self._solution(at, inner, -at.error[free], monitor)
        return direction

    def _solution(
        self,
        at: Iterate,
        system: NewtonSystem,
        right: Array,
        monitor: Monitor,
    ) -> Array:
        """Solve a Newton system; out of time, not at all."""
        if not at.direct:
            small = len(right) <= _DIRECT_SAMPLES
            most = system.factor_work if small else np.inf
            direction = system.iterate(right, _ITERATE, most, monitor.out_of_time)
            if monitor.out_of_time():
                return np.zeros_like(right)
            if direction is not None:
                return direction
            at.direct = True
        return system.factorise(right)

    @staticmethod
    def _norms(at: Iterate, change: Array | None = None, t: float = 0.0) -> Array:
        """Return the norms of u_g + sigma (X^T D_g z + t change_g) for all groups.

        In blocks: the arrays are large where X is wide.
        """
        norms = np.empty(len(at.U))
        for k in blocks(*at.U.shape):
            target = at.gradients[k].copy()
            if change is not None:
                target += t * change[k]
            target *= at.sigma
            target += at.U[k]
            norms[k] = row_norms(target)
        return norms

    def _psi(self, at: Iterate, z: Array, change: Array | None = None, t: float = 0.0) -> float:
        """Return psi(z), given that the gradients there are larger by t times ``change``."""
        problem = self.problem
        norms = self._norms(at, change, t)
        excess = np.maximum(norms - at.sigma * problem.beta * self._weights, 0.0)
        value = -problem.loss.dual_value(z, problem.y, problem.sample_weight)
        value += float(excess @ excess) / (2.0 * at.sigma * (1.0 + at.sigma * problem.ridge))
        return value + self._linear.energy(at.linear, at.sigma, z)

    def _solved(self, at: Iterate) -> bool:
        """Tell whether psi is minimised as well as the next update of the weights deserves."""
        s = self.problem.sample_weight
        error = s * at.error / self.problem.loss.conjugate_curvatures(-at.z / s, self.problem.y)
        free = self._box.free(at.z, at.error)
        size = np.linalg.norm(error if free is None else error[free])
        change = np.linalg.norm(at.next_weights - at.U)
        if self.problem.decayed.shape[1]:
            n_free = self.problem.free.shape[1]
            change = np.hypot(change, np.linalg.norm((at.next_linear - at.linear)[n_free:]))
        return bool(size <= _INEXACT * change / (at.sigma * self._size))

    def _improve(self, best: Best, at: Iterate) -> None:
        """Keep the proximal point's weights and the multiplier's bound where they are better."""
        problem = self.problem
        decayed = at.next_linear[problem.free.shape[1] :]
        prediction, _ = self._prediction(at.outputs, decayed)
        U = at.next_weights[at.active]
        objective = problem.objective(prediction, U, at.active, decayed)
        if self._better(best, objective, prediction):
            best.active, best.U, best.own_objective = at.active, U, objective
            best.objective = problem.true.objective(prediction, U, at.active, decayed)
            best.decayed = decayed
        for z in self._multipliers(at, prediction):
            gradients = at.gradients if z is at.z else self.gradients(z)
            best.own_dual = max(best.own_dual, self.bound(z, gradients))
            bound = self.bound(z, gradients, problem.true)
            if bound > best.dual:
                best.dual, best.multiplier = bound, z

    def _better(self, best: Best, objective: float, prediction: Array) -> bool:
        """Tell whether weights are better than the best: of equals, whether they prove more.

        Near the optimum objectives differ by rounding alone.
        """
        apart = abs(objective - best.own_objective) > _ROUNDING * best.own_objective
        if apart or not self.by_weights:
            better = objective < best.own_objective
            best.proof = -np.inf if better else best.proof
            return better
        z = self.problem.multiplier(prediction)
        proof = self.bound(z, self.gradients(z), self.problem.true)
        better = proof > best.proof
        best.proof = max(proof, best.proof)
        return better

    def _multipliers(self, at: Iterate, prediction: Array) -> Iterator[Array]:
        """Give multipliers that may prove a bound: they are orthogonal to the free columns."""
        problem = self.problem
        if problem.free.shape[1] == 0:
            yield at.z
        elif problem.loss.quadratic:
            residual = at.z / problem.sample_weight
            shift = replace(problem, y=residual).best_shift(np.zeros(len(residual)))
            yield problem.sample_weight * (residual - problem.free @ shift)
        if not problem.loss.quadratic:
            yield problem.multiplier(prediction)

    def gradients(self, z: Array) -> Array:
        """Return X^T D_g z for all groups, (n_patterns, p)."""
        return gate_gradients(self.kernels, self.problem.X, self.packed, z, self.n_threads)

    def dual_norm(self, z: Array) -> float:
        """Return N(z), the largest norm of a group's gradient over its weight."""
        return self._largest(self.gradients(z))

    def _largest(self, gradients: Array) -> float:
        return float((row_norms(gradients) / self._weights).max())

    def bound(self, z: Array, gradients: Array, problem: Problem | None = None) -> float:
        """Return the dual objective of a multiplier that is orthogonal to the free columns.

        ``problem``: another one with the same groups.
        """
        problem = problem or self.problem
        values = row_norms(gradients) / self._weights
        above = np.flatnonzero(values > problem.beta)
        excess = problem.violation_cost(values[above], above)
        return problem.dual_objective(z, float(values.max()), excess)

    def _prediction(self, outputs: Array, decayed: Array) -> tuple[Array, Array]:
        """Return the sum of outputs (k, n_samples) and of the linear part.

        Given the coefficients of its decayed columns; those of the free ones are returned too.
        """
        fixed: Array = outputs.sum(axis=0) + self.problem.decayed @ decayed
        shift = self.problem.best_shift(fixed)
        return fixed + self.problem.free @ shift, shift

    @cached_property
    def _size(self) -> float:
        return size_of(self.problem)

    @cached_property
    def _linear(self) -> DualLinear:
        return DualLinear.of(self.problem)

    @cached_property
    def _box(self) -> DualBox:
        return DualBox.of(self.problem)

    @cached_property
    def _smoothed(self) -> bool:
        return self.problem.true is not self.problem

    @cached_property
    def _weights(self) -> Array:
        """Weights omega of all groups."""
        return self.problem.weights_of(np.arange(len(self.packed)))

    def _outputs(self, U: Array, groups: NDArray[np.int64]) -> Array:
        """Return D_g X u_g for some groups, (k, n_samples)."""
        masks = self.kernels.unpack(self.packed[groups], len(self.problem.y))
        outputs: Array = np.where(masks, preactivations(U, self.problem.X), 0.0)
        return outputs

    def _proved(self, best: Best) -> bool:
        """Tell whether the best weights' own residual proves the gap, if it must."""
        if not self.by_weights:
            return True
        return relative_gap(best.objective, self._by_weights(best).dual_objective) <= self.tol

    def _by_weights(self, best: Best) -> Solution:
        """Return the best weights with the bound that their residual proves."""
        problem = self.problem
        prediction, shift = self._prediction(self._outputs(best.U, best.active), best.decayed)
        tight, signs = np.full(best.U.shape, -1), np.ones(len(best.U))
        skip = best.decayed
        if problem.skip is not None and problem.skip.free:
            skip = np.zeros(problem.skip.columns.shape[1])
        neurons = Neurons(best.U, signs, tight, best.active, 0.0, prediction, skip)
        neurons = neurons.shifted(problem, shift, prediction)
        z = self.problem.multiplier(neurons.prediction)
        dual = self.bound(z, self.gradients(z), self.problem.true)
        return Solution(neurons, dual, z, Status.OPTIMAL)
