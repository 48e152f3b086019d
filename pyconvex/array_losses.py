"""Losses on arrays of any namespace: the formulas of `pyconvex.losses` on their device."""

from typing import Any

import numpy as np

from pyconvex.array_kinked import ArrayHinge, ArrayQuantile
from pyconvex.array_loss_base import ROUNDED, ArrayLoss, infinite
from pyconvex.losses import (
    Hinge,
    Huber,
    Kinked,
    Logistic,
    Loss,
    Poisson,
    Quantile,
    Squared,
    SquaredHinge,
    check_loss,
)
from pyconvex.namespaces import DeviceArray, Space


class ArraySquared(ArrayLoss):
    """Half the squared error."""

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return (f - y)^2 / 2."""
        return 0.5 * (f - self.y) ** 2

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return f - y."""
        return f - self.y

    def curvatures(self, f: DeviceArray) -> DeviceArray:
        """Return 1."""
        return self.space.xp.ones_like(f)

    def dual_objective(self, z: DeviceArray, limit: float) -> float:
        """Return the largest D(t z) over |t| <= limit."""
        linear, quadratic = self.space.dot(z, self.y), self.space.dot(z, z / self.s)
        if quadratic == 0.0:
            return 0.0
        t = min(max(linear / quadratic, -limit), limit)
        return t * linear - 0.5 * t * t * quadratic

    def best_shift(self, f: DeviceArray) -> float:
        """Return the weighted mean of y - f."""
        return self.space.dot(self.s, self.y - f)


class ArrayHuber(ArrayLoss):
    """Half the squared error up to ``delta``, linear beyond."""

    holds_at_ends = True

    @property
    def _delta(self) -> float:
        assert isinstance(self.spec, Huber)
        return self.spec.delta

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return r^2 / 2 for |r| = |f - y| <= delta, else delta (|r| - delta / 2)."""
        size = self.space.xp.abs(f - self.y)
        inside = self.space.xp.clip(size, 0.0, self._delta)
        return inside * (size - 0.5 * inside)

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return f - y, cut off at +-delta."""
        return self.space.xp.clip(f - self.y, -self._delta, self._delta)

    def curvatures(self, f: DeviceArray) -> DeviceArray:
        """Return 1 up to delta, 0 beyond."""
        return self.space.to_double(self.space.xp.abs(f - self.y) <= self._delta)

    def conjugates(self, q: DeviceArray) -> DeviceArray:
        """Return q y + q^2 / 2 for |q| <= delta."""
        outside = self.space.xp.abs(q) > self._delta * (1.0 + ROUNDED)
        return infinite(self.space, outside, super().conjugates(q))

    def domain(self) -> tuple[DeviceArray, DeviceArray]:
        """Return -delta and delta."""
        n = self.y.shape[0]
        return self.space.full(n, -self._delta), self.space.full(n, self._delta)


class ArrayLogistic(ArrayLoss):
    """log(1 + exp(-y f)), y = -1 or +1."""

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return log(1 + exp(-y f))."""
        return _softplus(self.space.xp, -self.y * f)

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return -y / (1 + exp(y f))."""
        return -self.y * _expit(self.space.xp, -self.y * f)

    def curvatures(self, f: DeviceArray) -> DeviceArray:
        """Return p (1 - p) with p = 1 / (1 + exp(-f))."""
        return _expit(self.space.xp, f) * _expit(self.space.xp, -f)

    def conjugates(self, q: DeviceArray) -> DeviceArray:
        """Return p log p + (1 - p) log(1 - p) for p = -q y in [0, 1]."""
        xp, p = self.space.xp, -q * self.y
        inside = xp.clip(p, 0.0, 1.0)
        values = _xlogx(xp, inside) + _xlogx(xp, 1.0 - inside)
        return infinite(self.space, xp.abs(p - inside) > ROUNDED, values)

    def conjugate_slopes(self, q: DeviceArray) -> DeviceArray:
        """Return y log((1 - p) / p)."""
        p = -q * self.y
        return self.y * (self.space.xp.log1p(-p) - self.space.xp.log(p))

    def conjugate_curvatures(self, q: DeviceArray) -> DeviceArray:
        """Return 1 / (p (1 - p))."""
        p = -q * self.y
        return 1.0 / (p * (1.0 - p))

    def domain(self) -> tuple[DeviceArray, DeviceArray]:
        """Return the ends of 0 <= p <= 1."""
        return self.space.xp.clip(-self.y, -1.0, 0.0), self.space.xp.clip(-self.y, 0.0, 1.0)


class ArraySquaredHinge(ArrayLoss):
    """max(1 - y f, 0)^2 / 2, y = -1 or +1."""

    holds_at_ends = True

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return max(1 - y f, 0)^2 / 2."""
        return 0.5 * self._excess(f) ** 2

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return -y max(1 - y f, 0)."""
        return -self.y * self._excess(f)

    def _excess(self, f: DeviceArray) -> DeviceArray:
        margin = 1.0 - self.y * f
        return self.space.xp.where(margin > 0.0, margin, self.space.xp.zeros_like(margin))

    def curvatures(self, f: DeviceArray) -> DeviceArray:
        """Return 1 where y f < 1, else 0."""
        return self.space.to_double(self.y * f < 1.0)

    def conjugates(self, q: DeviceArray) -> DeviceArray:
        """Return p^2 / 2 - p for p = -q y >= 0."""
        p = -q * self.y
        return infinite(self.space, p < 0.0, 0.5 * p * p - p)

    def domain(self) -> tuple[DeviceArray, DeviceArray]:
        """Return the ends of p >= 0."""
        low, high = super().domain()
        zero, xp = self.space.xp.zeros_like(low), self.space.xp
        return xp.where(self.y > 0.0, low, zero), xp.where(self.y > 0.0, zero, high)


class ArrayPoisson(ArrayLoss):
    """Half the deviance of counts y >= 0 with mean exp(f)."""

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return exp(f) - y f + y log y - y."""
        return self.space.xp.exp(f) - self.y * f + _xlogx(self.space.xp, self.y) - self.y

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return exp(f) - y."""
        return self.space.xp.exp(f) - self.y

    def curvatures(self, f: DeviceArray) -> DeviceArray:
        """Return exp(f)."""
        return self.space.xp.exp(f)

    def conjugates(self, q: DeviceArray) -> DeviceArray:
        """Return m log m - m - y log y + y for m = q + y >= 0."""
        xp, mean = self.space.xp, q + self.y
        mean = xp.where(xp.abs(mean) <= 1e-15 * self.y, xp.zeros_like(mean), mean)
        inside = xp.where(mean > 0.0, mean, xp.zeros_like(mean))
        values = _xlogx(xp, inside) - inside - _xlogx(xp, self.y) + self.y
        return infinite(self.space, mean < 0.0, values)

    def conjugate_slopes(self, q: DeviceArray) -> DeviceArray:
        """Return log(q + y)."""
        return self.space.xp.log(q + self.y)

    def conjugate_curvatures(self, q: DeviceArray) -> DeviceArray:
        """Return 1 / (q + y)."""
        return 1.0 / (q + self.y)

    def domain(self) -> tuple[DeviceArray, DeviceArray]:
        """Return -y and infinity."""
        return -self.y, super().domain()[1]


_ON_ARRAYS: dict[type[Loss], type[ArrayLoss]] = {
    Squared: ArraySquared,
    Huber: ArrayHuber,
    Logistic: ArrayLogistic,
    SquaredHinge: ArraySquaredHinge,
    Poisson: ArrayPoisson,
    Hinge: ArrayHinge,
    Quantile: ArrayQuantile,
}


def array_loss(loss: Any) -> tuple[Loss, type[ArrayLoss]]:
    """Return a loss and its class on arrays.

    Raises
    ------
    ValueError
        If it is unknown, or not available on devices.
    """
    spec = check_loss(loss)
    if type(spec) not in _ON_ARRAYS:
        names = ", ".join(repr(known.name) for known in _ON_ARRAYS)
        raise ValueError(
            f"loss={spec.name!r} is not available on device arrays, which know {names}: pass NumPy "
            "arrays, e.g. X.cpu().numpy()"
        )
    return spec, _ON_ARRAYS[type(spec)]


def check_smooth(spec: Loss, where: str) -> None:
    """Raise ValueError for a loss with a kink, which few programs on devices take."""
    if isinstance(spec, Kinked):
        raise ValueError(
            f"loss={spec.name!r} is not available with {where} on device arrays: pass NumPy "
            "arrays, e.g. X.cpu().numpy(), or train gated networks (model='gated_relu', "
            "cones=False)"
        )


def check_targets(space: Space, spec: Loss, y: DeviceArray, *, intercept: bool) -> None:
    """Raise ValueError where targets have no loss, or no constant attains its minimum.

    The ends of y decide that, which the loss on the host then looks at.
    """
    xp = space.xp
    ends = [float(xp.min(y)), float(xp.max(y))]
    between = spec.two_classes and space.any(xp.abs(y) != 1.0)
    spec.check_targets(np.array([*ends, *([0.0] if between else [])]), intercept=intercept)


def _softplus(xp: Any, t: DeviceArray) -> DeviceArray:
    """Return log(1 + exp(t)), accurate also where that is tiny."""
    return xp.log1p(xp.exp(-xp.abs(t))) + xp.where(t > 0.0, t, xp.zeros_like(t))


def _expit(xp: Any, t: DeviceArray) -> DeviceArray:
    """Return 1 / (1 + exp(-t)), accurate also where that is tiny."""
    return xp.exp(-_softplus(xp, -t))


def _xlogx(xp: Any, t: DeviceArray) -> DeviceArray:
    """Return t log t for t >= 0."""
    return t * xp.log(xp.where(t > 0.0, t, xp.ones_like(t)))
