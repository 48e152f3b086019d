"""Interior point steps for many neurons together, on a device.

Multipliers 0 <= lambda <= c of the sides of cells (`array_model`) follow the central path
lambda g = (c - lambda) h = mu, a = g - h; norms are smoothed with their dual vectors y,
||y|| <= beta (Chan, Golub & Mulet 1999). A Newton system couples all neurons, p unknowns each.
A few dozen steps solve a model whatever the number of rows that end on their kinks, where active
sets change row by row.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyconvex.array_cholesky import solve_positive
from pyconvex.array_model import Model
from pyconvex.namespaces import DeviceArray

_MAX_STEPS = 80
_NEAR = 0.99  # of the way to the nearest bound
_GOOD = 0.9  # a step of this length lets mu fall fast
# Shares of mu that are left after steps of more than 0.9, more than 0.5, and less.
_FAST, _MEDIUM, _SLOW = 0.1, 0.3, 0.7
_CLOSE = 1.5  # times the last mu: solved
_EDGE = 1e-12  # multipliers start inside their interval by this share of it
_WALL = 10.0  # a wall's multiplier starts below this times the largest |z|


@dataclass
class _Path:
    """A point near the central path."""

    V: DeviceArray
    shift: float
    inner: DeviceArray  # lambda
    g: DeviceArray
    h: DeviceArray
    dual: DeviceArray  # y


def minimise(
    model: Model, first: float, last: float, stop: Callable[[], bool]
) -> tuple[DeviceArray, float]:
    """Follow the central path; return the weights (m, p) and the change of the intercept.

    Parameters
    ----------
    model : Model
        What to minimise.
    first, last : float
        mu at the start and at the end: each side costs mu or twice that in the end.
    stop : callable
        Ends the run once it returns True.
    """
    with np.errstate(all="ignore"):
        return _Interior(model).run(first, last, stop)


class _Interior:
    def __init__(self, model: Model) -> None:
        self.model, self.space = model, model.space
        xp = self.space.xp
        self.side = 2.0 * model.on - 1.0
        self.active = model.cost > 0.0
        self.bounded = self.active & xp.isfinite(model.cost)
        self.cost = xp.where(self.bounded, model.cost, xp.ones_like(model.cost))
        self.n_sides = max(
            float(xp.sum(self.space.to_double(self.active)))
            + float(xp.sum(self.space.to_double(self.bounded))),
            1.0,
        )
        self.gram = model.gram()
        self.jacobian = model.signs[:, None] * model.on

    def run(self, mu: float, last: float, stop: Callable[[], bool]) -> tuple[DeviceArray, float]:
        at = self._start(mu)
        for _ in range(_MAX_STEPS):
            t = self._step(at, mu)
            left = self._complementarity(at)
            if (left <= _CLOSE * last and t > _GOOD) or not t > 0.0 or stop():
                break
            share = _FAST if t > _GOOD else _MEDIUM if t > 0.5 else _SLOW
            mu = max(share * left, last)
        return at.V, at.shift

    def _margins(self, V: DeviceArray) -> DeviceArray:
        xp = self.space.xp
        return self.side * xp.matmul(V, xp.matrix_transpose(self.model.X))

    def _start(self, mu: float) -> _Path:
        """Return U with multipliers on the central path, as far as its margins allow."""
        model, xp = self.model, self.space.xp
        a = self._margins(model.U)
        wall = xp.full_like(self.cost, _WALL * float(xp.max(xp.abs(model.z))))
        width = xp.where(self.bounded, self.cost, wall)
        b = a * width + 2.0 * mu  # a l^2 - (a c + 2 mu) l + mu c = 0
        root = xp.sqrt(b * b - 4.0 * mu * a * width)
        safe = xp.where(a != 0.0, 2.0 * a, xp.ones_like(a))
        other = xp.where(a != 0.0, (b - root) / safe, 0.5 * width)
        inner = xp.where(b > 0.0, 2.0 * mu * width / (b + root), other)
        inner = xp.minimum(xp.maximum(inner, _EDGE * width), (1.0 - _EDGE) * width)
        zero, one = xp.zeros_like(a), xp.ones_like(a)
        inner = xp.where(self.active, inner, one)
        g = xp.where(self.active, mu / inner, one)
        h = xp.where(self.bounded, mu / self._rest(inner), zero)
        dual = self._unit(model.U, mu)[0] * model.betas[:, None]
        return _Path(model.U, 0.0, inner, g, h, dual)

    def _rest(self, inner: DeviceArray) -> DeviceArray:
        """Return c - lambda, 1 where there is no c."""
        xp = self.space.xp
        return xp.where(self.bounded, self.cost - inner, xp.ones_like(inner))

    def _unit(self, V: DeviceArray, mu: float) -> tuple[DeviceArray, DeviceArray]:
        """Return v / tau and tau, the smoothed norms."""
        xp, model = self.space.xp, self.model
        W = model.decayed(V)
        smooth = mu * model.X.shape[0] / model.betas
        tau = xp.sqrt(xp.sum(W * W, axis=1) + smooth * smooth)
        return W / tau[:, None], tau

    def _complementarity(self, at: _Path) -> float:
        """Return the mean of lambda g and (c - lambda) h."""
        xp, zero = self.space.xp, self.space.xp.zeros_like(at.g)
        low = xp.where(self.active, at.inner * at.g, zero)
        high = xp.where(self.bounded, self._rest(at.inner) * at.h, zero)
        return float(xp.sum(low + high)) / self.n_sides

    def _step(self, at: _Path, mu: float) -> float:
        """Take a Newton step towards the point of the central path at mu; return its length.

        Multipliers go as far as they can, and so does the rest: one of many sides that is near a
        bound of the one kind would hold up the other.
        """
        model, xp = self.model, self.space.xp
        zero = xp.zeros_like(at.g)
        rest = self._rest(at.inner)
        a = self._margins(at.V)
        stiff = xp.where(self.active, 1.0 / (at.g / at.inner + at.h / rest), zero)
        pull = xp.where(self.active, mu / at.inner, zero)
        pull = pull - xp.where(self.bounded, mu / rest, zero) - xp.where(self.active, a, zero)
        forces = xp.where(self.active, at.inner, zero) + stiff * pull
        unit, tau = self._unit(at.V, mu)
        gradient, slope = self._gradient(at, forces, unit)
        D, shift = self._solve(at, stiff, unit, tau, gradient, slope)
        move = self._margins(D)
        d_inner = xp.where(self.active, stiff * (pull - move), zero)
        d_g = (mu - at.inner * at.g - at.g * d_inner) / at.inner
        d_h = xp.where(self.bounded, (mu - rest * at.h + at.h * d_inner) / rest, zero)
        t = self._share((at.g, d_g, self.active), (at.h, d_h, self.bounded))
        t_inner = self._share((at.inner, d_inner, self.active), (rest, -d_inner, self.bounded))
        if not (math.isfinite(t + t_inner) and bool(xp.all(xp.isfinite(D)))):
            return 0.0
        along = xp.sum(unit * D, axis=1)
        dual = (model.betas[:, None] * model.decayed(at.V + D) - at.dual * along[:, None]) / tau[
            :, None
        ]
        dual = at.dual + t * (dual - at.dual)
        sizes = xp.sqrt(xp.sum(dual * dual, axis=1))
        sizes = xp.where(sizes > model.betas, model.betas / sizes, xp.ones_like(sizes))
        at.dual = dual * sizes[:, None]
        at.V, at.shift = at.V + t * D, at.shift + t * shift
        at.inner, at.h = at.inner + t_inner * d_inner, at.h + t * d_h
        at.g = xp.where(self.active, at.g + t * d_g, at.g)
        return min(t, t_inner)

    def _share(self, *bounds: tuple[DeviceArray, DeviceArray, DeviceArray]) -> float:
        """Return the share of a step that keeps each x > 0, given (x, step, where) of each."""
        xp = self.space.xp
        reach = max(
            float(xp.max(xp.where(where, -step / x, xp.zeros_like(x)))) for x, step, where in bounds
        )
        return min(1.0, _NEAR / reach) if reach > 0.0 else 1.0

    def _gradient(
        self, at: _Path, forces: DeviceArray, unit: DeviceArray
    ) -> tuple[DeviceArray, float]:
        """Return the gradient by the weights (m, p) and by the intercept."""
        model, xp = self.model, self.space.xp
        change = at.V - model.U
        outputs = xp.sum(self.jacobian * xp.matmul(change, xp.matrix_transpose(model.X)), axis=0)
        z = model.z - model.curvature * (outputs + at.shift)
        gradient = -model.pull(self.jacobian * z[None, :] + self.side * forces)
        gradient = gradient + model.betas[:, None] * unit + model.ridge * at.V
        return gradient, -self.space.total(z) if model.intercept else 0.0

    def _solve(
        self,
        at: _Path,
        stiff: DeviceArray,
        unit: DeviceArray,
        tau: DeviceArray,
        gradient: DeviceArray,
        slope: float,
    ) -> tuple[DeviceArray, float]:
        """Return the Newton direction of the weights and of the intercept."""
        model, space, xp = self.model, self.space, self.space.xp
        m, p = gradient.shape
        bent = at.dual[:, :, None] * unit[:, None, :]
        bent = 0.5 * (bent + xp.matrix_transpose(bent))
        eye = xp.eye(p, dtype=space.double, device=space.device)
        if model.free_bias:
            eye = eye * model.decayed(space.full((1, p), 1.0))
        curve = (model.betas[:, None, None] * eye[None, :, :] - bent) / tau[:, None, None]
        own = model.grams_of(stiff) + curve
        if model.ridge:
            own = own + model.ridge * xp.eye(p, dtype=space.double, device=space.device)
        matrix = xp.asarray(self.gram, copy=True)
        for j in range(m):
            block = slice(j * p, (j + 1) * p)
            matrix[block, block] += own[j, :, :]
        right = xp.reshape(-gradient, (m * p,))
        if model.intercept:
            right = xp.concat([right, space.full(1, -slope)])
        solution = solve_positive(space, matrix, right)
        D = xp.reshape(solution[: m * p], (m, p))
        return D, float(solution[m * p]) if model.intercept else 0.0
