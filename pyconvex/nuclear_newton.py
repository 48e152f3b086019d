"""Dual augmented Lagrangian with Newton-CG steps for sums of nuclear norms on masked rows."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pyconvex.doubles import preactivations, pull_back
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
    """Weights U_g (k, p, c) of the groups ``active``, the constants (c,), and their figures."""

    active: NDArray[np.int64]
    U: Array
    intercept: Array
    objective: float
    n_neurons: int


@dataclass
class Iterate:
    """The multiplier Z, the weights of all groups, and the proximal point that follows."""

    Z: Array
    gradients: Array  # X^T D_g Z, (n_patterns, p, c)
    U: Array
    intercept: Array
    sigma: float
    shrunk: Shrunk
    next_intercept: Array
    outputs: Array
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
            at.U, at.intercept = self._next_weights(at), at.next_intercept
            at.sigma *= _FAST_GROWTH if step <= _FEW else _GROWTH
            self._move(at, at.Z, self.gradients(at.Z))
            idle = 0 if gap < 0.9 * last else idle + 1
            last = gap
        return best, dual, proof, Status.STALLED

    def gradients(self, Z: Array) -> Array:
        """Return X^T D_g Z for all groups, (n_patterns, p, c)."""
        columns = [
            gate_gradients(self.kernels, self.problem.X, self.packed, z, self.n_threads)
            for z in np.ascontiguousarray(Z.T)
        ]
        return np.stack(columns, axis=2)

    def norm(self, Z: Array) -> float:
        """Return the largest singular value of all X^T D_g Z."""
        return float(np.linalg.norm(self.gradients(Z), 2, axis=(1, 2)).max())

    def _start(self, state: NuclearState | None) -> Iterate:
        problem = self.problem
        n, c = problem.Y.shape
        U = np.zeros((len(self.packed), problem.X.shape[1], c))
        intercept = np.zeros(c)
        F = np.zeros((n, c))
        if state is not None:
            U[state.active], intercept = state.U, state.intercept
            F = self.outputs(state.U, state.active)
        Z = problem.multiplier(F + problem.best_shifts(F))
        norm = self.norm(Z)
        Z = problem.inside(min(1.0, problem.beta / norm if norm > 0.0 else 1.0) * Z)
        sigma = _START * n * (_WARM if state is not None and len(state.active) else 1.0)
        at = Iterate(Z, U, U, intercept, sigma, shrink(U[:0], 0.0), intercept, F, F)
        self._move(at, Z, self.gradients(Z))
        return at

    def _move(self, at: Iterate, Z: Array, gradients: Array) -> None:
        """Go to Z with its gradients: proximal point and error afresh."""
        problem = self.problem
        at.Z, at.gradients = Z, gradients
        at.shrunk = shrink(at.U + at.sigma * gradients, at.sigma * problem.beta)
        at.outputs = self.outputs(at.shrunk.values, at.shrunk.active)
        error = at.outputs - problem.conjugate_slopes(Z)
        at.next_intercept = at.intercept
        if problem.intercept:
            at.next_intercept = at.intercept + at.sigma * Z.sum(axis=0)
            error = error + at.next_intercept
        at.error = problem.projected(error)

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
        heights = row_squares(problem.X) * masks.sum(axis=0)
        scaling = diagonal + at.sigma * heights[:, np.newaxis]
        residual = -free * at.error
        solution = np.zeros_like(residual)
        direction = scaled = free * problem.scaled(scaling, residual)
        product, goal = float((residual * scaled).sum()), _RESIDUAL * np.linalg.norm(residual)
        for _ in range(_MAX_PRODUCTS):
            if product <= 0.0 or monitor.out_of_time():
                break
            inner = self._pulled(direction, masks)
            image = diagonal * direction + at.sigma * self._pushed(at.shrunk.change(inner), masks)
            if problem.intercept:
                image += at.sigma * direction.sum(axis=0)
            image = free * problem.projected(image)
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
        shrunk = shrink(at.U + at.sigma * gradients, at.sigma * self.problem.beta)
        value = float((shrunk.values**2).sum()) / (2.0 * at.sigma) - self.problem.dual_value(Z)
        if self.problem.intercept:
            shifts = at.intercept + at.sigma * Z.sum(axis=0)
            value += float(shifts @ shifts) / (2.0 * at.sigma)
        return value

    def _solved(self, at: Iterate) -> bool:
        """Tell whether psi is minimised as well as the next update of the weights deserves."""
        free = self.problem.held(at.Z, at.error)
        size = np.linalg.norm(free * self.problem.scaled(self.problem.curvatures(at.Z), at.error))
        return bool(size <= _INEXACT * np.linalg.norm(self._next_weights(at) - at.U) / at.sigma)

    def _state(self, at: Iterate) -> NuclearState:
        """Return the proximal point with the best constants."""
        problem = self.problem
        shifts = problem.best_shifts(at.outputs)
        objective = problem.value(at.outputs + shifts) + problem.beta * at.shrunk.nuclear
        return NuclearState(
            at.shrunk.active, at.shrunk.values, shifts, objective, at.shrunk.n_values
        )

    def _bound(self, at: Iterate) -> tuple[float, Array]:
        """Return the better bound of the proximal point's multiplier and the engine's own."""
        problem = self.problem
        Z = problem.multiplier(at.outputs + problem.best_shifts(at.outputs))
        found = problem.dual_objective(Z, self.norm(Z)), Z
        if problem.intercept:  # the engine's does not sum to zero
            return found
        norm = float(np.linalg.norm(at.gradients, 2, axis=(1, 2)).max())
        own = problem.dual_objective(at.Z, norm), at.Z
        return max(found, own, key=lambda pair: pair[0])

    def _next_weights(self, at: Iterate) -> Array:
        U = np.zeros_like(at.U)
        U[at.shrunk.active] = at.shrunk.values
        return U

    def _masks(self, active: NDArray[np.int64]) -> Array:
        masks: Array = self.kernels.unpack(self.packed[active], len(self.problem.X)).astype(float)
        return masks

    def outputs(self, U: Array, active: NDArray[np.int64]) -> Array:
        """Return sum_g D_g X U_g over some groups, (n_samples, c)."""
        return self._pushed(U, self._masks(active))

    def _pushed(self, U: Array, masks: Array) -> Array:
        columns = [
            np.einsum("kn,kn->n", masks, preactivations(U[:, :, j], self.problem.X))
            for j in range(U.shape[2])
        ]
        return np.stack(columns, axis=1)

    def _pulled(self, V: Array, masks: Array) -> Array:
        return np.stack([pull_back(masks * v, self.problem.X) for v in V.T], axis=2)
