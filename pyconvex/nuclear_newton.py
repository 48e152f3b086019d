"""Dual augmented Lagrangian with Newton-CG steps for sums of nuclear norms on masked rows."""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pyconvex.doubles import preactivations, pull_back
from pyconvex.dual_linear import DualLinear, size_of
from pyconvex.losses import Array
from pyconvex.monitor import Monitor
from pyconvex.nuclear_problem import NuclearProblem
from pyconvex.program import Status, relative_gap
from pyconvex.rows import gate_gradients, row_squares
from pyconvex.spectral import Shrunk, shrink

_START = 0.3  # of the number of samples: the first penalty sigma
_WARM = 0.3  # of that where the weights are good already
_GROWTH = 3.0  # of the penalty sigma after each update of the weights
_FAST_GROWTH = 10.0  # where the last subproblem took few Newton steps
_FEW = 3
_INEXACT = 0.1  # a subproblem's error relative to the update of the weights it leads to
_ARMIJO = 1e-4
_SHORTEST = 1e-8  # step lengths below this are rounding
_FLAT = 1e-14  # relative changes of psi below this are rounding
_MAX_STEPS = 50  # Newton steps between two updates of the weights
_PATIENCE = 10  # updates without a better gap until the solve is called stalled
_RESIDUAL = 1e-2  # of conjugate gradients, relative
_MAX_PRODUCTS = 500  # of conjugate gradients in one step


@dataclass(frozen=True)
class NuclearState:
    """Weights U_g (m, p, c) of the groups ``active``, and their figures.

    ``shifts`` (k, c) are the coefficients of the free columns, ``skips`` (q, c) of decayed ones.
    """

    active: NDArray[np.int64]
    U: Array
    shifts: Array
    skips: Array
    objective: float
    n_neurons: int


@dataclass
class Iterate:
    """The multiplier Z, the weights of all groups, and the proximal point that follows."""

    Z: Array
    gradients: Array  # X^T D_g Z, (n_patterns, p, c)
    U: Array
    coef: Array  # of the linear part's columns
    sigma: float
    shrunk: Shrunk
    next_coef: Array
    outputs: Array  # without free columns
    error: Array


@dataclass(frozen=True)
class NuclearNewton:
    r"""The program of `NuclearProblem` over given patterns, by Newton's method on the dual.

    As in `DualNewton`, with singular values in the place of norms: minimise over Z

    .. math:: \psi(Z) = -D(Z) + \frac{1}{2\sigma} \sum_g \|S_{\sigma\beta}(T_g)\|_F^2,
              \quad T_g = U_g + \sigma X^T D_g Z,

    S the singular value thresholding, then set :math:`U_g = S_{\sigma\beta}(T_g)` and raise
    :math:`\sigma`. The Newton systems are solved by preconditioned conjugate gradients.

    Parameters
    ----------
    problem : NuclearProblem
        What to solve.
    packed : array of uint64, shape (n_patterns, words)
        The patterns.
    kernels : module
        The backend.
    tol : float
        Relative gap to reach.
    n_threads : int
        Threads of the kernels, 0 for all cores.
    """

    problem: NuclearProblem
    packed: NDArray[np.uint64]
    kernels: ModuleType
    tol: float
    n_threads: int

    def solve(
        self, state: NuclearState | None, monitor: Monitor
    ) -> tuple[NuclearState, float, Array, Status]:
        """Solve from a given state; return the best one, its bound, what proves it, the end."""
        at = self._start(state)
        best, dual, proof = self._state(at), 0.0, at.Z
        idle, last = 0, np.inf
        while idle < _PATIENCE:
            for step in range(_MAX_STEPS):
                now = self._state(at)
                best = now if now.objective < best.objective else best
                found, Z = self._bound(at)
                dual, proof = (found, Z) if found > dual else (dual, proof)
                gap = relative_gap(best.objective, dual)
                status = monitor.record(best.objective, dual, best.n_neurons)
                if gap <= self.tol:
                    return best, dual, proof, Status.OPTIMAL
                if status is not None:
                    return best, dual, proof, status
                if (step > 0 and self._solved(at)) or not self._newton(at, monitor):
                    break
            at.U, at.coef = self._next_weights(at), at.next_coef
            at.sigma *= _FAST_GROWTH if step <= _FEW else _GROWTH
            self._move(at, at.Z, self.gradients(at.Z))
            idle = 0 if gap < 0.9 * last else idle + 1
            last = gap
        return best, dual, proof, Status.STALLED

    def gradients(self, Z: Array) -> Array:
        """Return X^T D_g Z for all groups, (n_patterns, p, c)."""
        columns = [
            gate_gradients(self.kernels, self.problem.one.X, self.packed, z, self.n_threads)
            for z in np.ascontiguousarray(Z.T)
        ]
        return np.stack(columns, axis=2)

    def norm(self, Z: Array, gradients: Array | None = None) -> float:
        """Return the largest singular value of all X^T D_g Z, or what a decayed skip has more."""
        gradients = self.gradients(Z) if gradients is None else gradients
        norm = float(np.linalg.norm(gradients, 2, axis=(1, 2)).max())
        return max(norm, self.problem.skip_norm(Z))

    def _start(self, state: NuclearState | None) -> Iterate:
        problem = self.problem
        n, c = problem.Y.shape
        U = np.zeros((len(self.packed), problem.one.X.shape[1], c))
        coef = np.zeros((self._linear.columns.shape[1], c))
        F = np.zeros((n, c))
        if state is not None:
            U[state.active] = state.U
            coef = np.concatenate([state.shifts / size_of(problem.one), state.skips])
            F = self.outputs(state.U, state.active, state.skips)
        Z = problem.multiplier(problem.shifted(F))
        norm = self.norm(Z)
        Z = problem.inside(min(1.0, problem.one.beta / norm if norm > 0.0 else 1.0) * Z)
        sigma = _START * n * (_WARM if state is not None and len(state.active) else 1.0)
        at = Iterate(Z, U, U, coef, sigma, shrink(U[:0], 0.0), coef, F, F)
        self._move(at, Z, self.gradients(Z))
        return at

    def _move(self, at: Iterate, Z: Array, gradients: Array) -> None:
        """Go to Z with its gradients: proximal point and error afresh."""
        problem, linear = self.problem, self._linear
        at.Z, at.gradients = Z, gradients
        at.shrunk = shrink(at.U + at.sigma * gradients, at.sigma * problem.one.beta)
        at.next_coef = linear.proximal(at.coef, at.sigma, Z)
        k = linear.n_free
        at.outputs = self.outputs(at.shrunk.values, at.shrunk.active, at.next_coef[k:])
        prediction = at.outputs + linear.columns[:, :k] @ at.next_coef[:k]
        at.error = problem.projected(prediction - problem.conjugate_slopes(Z))

    def _newton(self, at: Iterate, monitor: Monitor) -> bool:
        """Take a Newton step with Armijo's rule; False where no step lowers psi."""
        direction = self._direction(at, monitor)
        if not float((at.error * direction).sum()) < 0.0:
            return False
        start, t = self._psi(at, at.Z, at.gradients), 1.0
        while t >= _SHORTEST and not monitor.out_of_time():
            Z = self.problem.stop(at.Z, t * direction)
            gradients = at.gradients + self.gradients(Z - at.Z)
            slope = float((at.error * (Z - at.Z)).sum())
            if self._psi(at, Z, gradients) <= start + _ARMIJO * slope + _FLAT * abs(start):
                self._move(at, Z, gradients)
                return bool(np.isfinite(at.error).all())
            t *= 0.5
        return False

    def _direction(self, at: Iterate, monitor: Monitor) -> Array:
        """Solve the Newton system by conjugate gradients."""
        problem = self.problem
        free = problem.held(at.Z, at.error)
        diagonal, masks = problem.curvatures(at.Z), self._masks(at.shrunk.active)
        linear = self._linear.hessian(at.coef, at.sigma, at.Z)
        heights = row_squares(problem.one.X) * masks.sum(axis=0)
        scaling = diagonal + at.sigma * heights[:, np.newaxis]
        residual = -free * at.error
        solution = np.zeros_like(residual)
        direction = scaled = free * problem.scaled(scaling, residual)
        product, goal = float((residual * scaled).sum()), _RESIDUAL * np.linalg.norm(residual)
        for _ in range(_MAX_PRODUCTS):
            if product <= 0.0 or monitor.out_of_time():
                break
            change = at.shrunk.change(self._pulled(direction, masks))
            image = self._pushed(change, masks) + linear(direction)
            image = free * problem.projected(diagonal * direction + at.sigma * image)
            length = product / float((direction * image).sum())
            solution += length * direction
            residual -= length * image
            if np.linalg.norm(residual) <= goal:
                break
            scaled = free * problem.scaled(scaling, residual)
            previous, product = product, float((residual * scaled).sum())
            direction = scaled + (product / previous) * direction
        return solution

    def _psi(self, at: Iterate, Z: Array, gradients: Array) -> float:
        shrunk = shrink(at.U + at.sigma * gradients, at.sigma * self.problem.one.beta)
        value = float((shrunk.values**2).sum()) / (2.0 * at.sigma) - self.problem.dual_value(Z)
        return value + self._linear.energy(at.coef, at.sigma, Z)

    def _solved(self, at: Iterate) -> bool:
        """Tell whether psi is minimised as well as the next update of the weights deserves."""
        free = self.problem.held(at.Z, at.error)
        size = np.linalg.norm(free * self.problem.scaled(self.problem.curvatures(at.Z), at.error))
        return bool(size <= _INEXACT * np.linalg.norm(self._next_weights(at) - at.U) / at.sigma)

    def _state(self, at: Iterate) -> NuclearState:
        """Return the proximal point with the best free columns."""
        problem, shrunk = self.problem, at.shrunk
        shifts, skips = problem.best_shifts(at.outputs), at.next_coef[self._linear.n_free :]
        objective = problem.value(at.outputs + problem.one.free @ shifts)
        objective += problem.penalty(shrunk.nuclear, skips)
        return NuclearState(shrunk.active, shrunk.values, shifts, skips, objective, shrunk.n_values)

    def _bound(self, at: Iterate) -> tuple[float, Array]:
        """Return the better bound of the proximal point's multiplier and the engine's own."""
        problem = self.problem
        Z = problem.multiplier(problem.shifted(at.outputs))
        found = problem.dual_objective(Z, self.norm(Z)), Z
        if self._linear.n_free:  # the engine's is not orthogonal to the free columns
            return found
        own = problem.dual_objective(at.Z, self.norm(at.Z, at.gradients)), at.Z
        return max(found, own, key=lambda pair: pair[0])

    def _next_weights(self, at: Iterate) -> Array:
        U = np.zeros_like(at.U)
        U[at.shrunk.active] = at.shrunk.values
        return U

    def _masks(self, active: NDArray[np.int64]) -> Array:
        n_samples = len(self.problem.Y)
        masks: Array = self.kernels.unpack(self.packed[active], n_samples).astype(float)
        return masks

    def outputs(self, U: Array, active: NDArray[np.int64], skips: Array) -> Array:
        """Return sum_g D_g X U_g over some groups plus decayed skips, (n_samples, c)."""
        return self._pushed(U, self._masks(active)) + self.problem.one.decayed @ skips

    @cached_property
    def _linear(self) -> DualLinear:
        return DualLinear.of(self.problem.one)

    def _pushed(self, U: Array, masks: Array) -> Array:
        columns = [
            np.einsum("kn,kn->n", masks, preactivations(U[:, :, j], self.problem.one.X))
            for j in range(U.shape[2])
        ]
        return np.stack(columns, axis=1)

    def _pulled(self, V: Array, masks: Array) -> Array:
        return np.stack([pull_back(masks * v, self.problem.one.X) for v in V.T], axis=2)
