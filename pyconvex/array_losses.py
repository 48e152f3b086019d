"""Smooth losses on arrays of any namespace: the formulas of `pyconvex.losses` on their device."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from pyconvex.losses import Huber, Logistic, Loss, Poisson, Squared, SquaredHinge, check_loss
from pyconvex.namespaces import DeviceArray, Space

_TINY = 1e-10  # a loss below this share of that of no prediction may be rounding
_ROUNDING = 16.0  # of a prediction, in units of the relative precision
_STEPS = 100  # of the search for a constant
_SETTLED = 1e-16  # sums below this share of their terms' sizes are rounding
_ROUNDED = 1e-10  # a multiplier may leave the domain by this much, relative, from rounding


@dataclass(frozen=True)
class ArrayLoss:
    """The weighted loss of targets that live on a device.

    The same quantities as `pyconvex.losses.Loss`, for its targets: of predictions f, and of
    multipliers by way of q = -z / s.

    Attributes
    ----------
    space : Space
        Where the arrays live.
    spec : Loss
        The loss on the host, with its parameter.
    y : array, shape (n_samples,)
        Targets.
    s : array, shape (n_samples,)
        Sample weights, positive, sum 1.
    """

    space: Space
    spec: Loss
    y: DeviceArray
    s: DeviceArray

    holds_at_ends: ClassVar[bool] = False  # whether a multiplier may rest at an end of its domain

    @property
    def quadratic(self) -> bool:
        """Whether the loss is its own quadratic model."""
        return self.spec.quadratic

    @property
    def steep(self) -> bool:
        """Whether the conjugate's slope is infinite at the ends of its domain."""
        return self.spec.steep

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return l(f_i, y_i)."""
        raise NotImplementedError

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return l'(f_i, y_i)."""
        raise NotImplementedError

    def curvatures(self, f: DeviceArray) -> DeviceArray:
        """Return l''(f_i, y_i)."""
        raise NotImplementedError

    def conjugates(self, q: DeviceArray) -> DeviceArray:
        """Return l*(q_i, y_i), infinite outside the domain."""
        return q * self.y + 0.5 * q * q

    def conjugate_slopes(self, q: DeviceArray) -> DeviceArray:
        """Return the f at which l' is q_i, inside the domain."""
        return q + self.y

    def conjugate_curvatures(self, q: DeviceArray) -> DeviceArray:
        """Return the second derivative of the conjugate, inside the domain."""
        return self.space.xp.ones_like(q)

    def domain(self) -> tuple[DeviceArray, DeviceArray]:
        """Return the ends of the intervals of q where the conjugate is finite."""
        n = self.y.shape[0]
        return self.space.full(n, -math.inf), self.space.full(n, math.inf)

    def value(self, f: DeviceArray) -> float:
        """Return the weighted loss."""
        with np.errstate(all="ignore"):
            return self.space.dot(self.s, self.losses(f))

    def sample_loss(self, f: DeviceArray) -> float:
        """Return the weighted loss; 0 where it is no more than rounding of the prediction adds."""
        value = self.value(f)
        if value > _TINY * self._first_loss:
            return value
        xp, step = self.space.xp, _ROUNDING * self.space.eps * self.space.xp.abs(f)
        worst = xp.maximum(self.losses(f - step), self.losses(f + step))
        return 0.0 if value <= self.space.dot(self.s, worst) - value else value

    @cached_property
    def _first_loss(self) -> float:
        return self.value(self.space.xp.zeros_like(self.y))

    def multiplier(self, f: DeviceArray) -> DeviceArray:
        """Return z, the negative derivative of the weighted loss by the prediction."""
        with np.errstate(all="ignore"):
            return -self.s * self.slopes(f)

    def dual_value(self, z: DeviceArray) -> float:
        """Return D(z), minus infinity outside the domain."""
        with np.errstate(all="ignore"):
            return -self.space.dot(self.s, self.conjugates(-z / self.s))

    def dual_objective(self, z: DeviceArray, limit: float) -> float:
        """Return a large D(t z) over 0 <= t <= limit."""
        return self.dual_value(min(1.0, limit) * z)

    def best_shift(self, f: DeviceArray) -> float:
        """Return the constant c that minimises the weighted loss of f + c."""
        low, high, shift = -math.inf, math.inf, 0.0
        for step in range(_STEPS):
            with np.errstate(all="ignore"):
                terms = self.s * self.slopes(f + shift)
                curvature = self.space.dot(self.s, self.curvatures(f + shift))
            slope = self.space.total(terms)
            if abs(slope) <= _SETTLED * self.space.total(self.space.xp.abs(terms)):
                break
            low, high = (shift, high) if slope < 0.0 else (low, shift)
            moved = shift - slope / curvature if curvature > 0.0 else math.nan
            if not (low < moved < high and abs(moved - shift) <= 4.0 ** (step + 1)):
                open_ended = math.isinf(low) or math.isinf(high)
                moved = shift - math.copysign(2.0**step, slope) if open_ended else (low + high) / 2
            if moved in (shift, low, high):
                break
            shift = moved
        return shift


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
        outside = self.space.xp.abs(q) > self._delta * (1.0 + _ROUNDED)
        return _infinite(self.space, outside, super().conjugates(q))

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
        return _infinite(self.space, xp.abs(p - inside) > _ROUNDED, values)

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
        return _infinite(self.space, p < 0.0, 0.5 * p * p - p)

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
        return _infinite(self.space, mean < 0.0, values)

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


def _infinite(space: Space, where: DeviceArray, values: DeviceArray) -> DeviceArray:
    """Return values with infinity at some places."""
    xp = space.xp
    return xp.where(where, xp.full_like(values, math.inf), values)
