"""Smooth losses."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyconvex.data import check_positive
from pyconvex.losses.base import ROUNDED, Array, Loss


class Squared(Loss):
    """Half the squared error, l(f, y) = (f - y)^2 / 2.

    z = s (y - f) and D(z) = sum_i (y_i z_i - z_i^2 / (2 s_i)).
    """

    name = "squared"
    quadratic = True

    def losses(self, f: Array, y: Array) -> Array:
        """Return (f - y)^2 / 2."""
        return 0.5 * (f - y) ** 2

    def slopes(self, f: Array, y: Array) -> Array:
        """Return f - y."""
        return f - y

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return 1."""
        return np.ones_like(f)

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return q y + q^2 / 2."""
        return q * y + 0.5 * q * q

    def conjugate_slopes(self, q: Array, y: Array) -> Array:
        """Return q + y."""
        return q + y

    def conjugate_curvatures(self, q: Array, y: Array) -> Array:
        """Return 1."""
        return np.ones_like(q)

    def dual_objective(
        self, z: Array, y: Array, sample_weight: Array, limit: float
    ) -> tuple[float, float]:
        """Return the largest D(t z) over |t| <= limit, and that t."""
        linear, quadratic = float(z @ y), float(z @ (z / sample_weight))
        if quadratic == 0.0:
            return 0.0, 0.0
        t = float(np.clip(linear / quadratic, -limit, limit))
        return t * linear - 0.5 * t * t * quadratic, t

    def best_shift(self, f: Array, y: Array, sample_weight: Array) -> float:
        """Return the weighted mean of y - f."""
        return float(sample_weight @ (y - f))


@dataclass(frozen=True)
class Huber(Loss):
    """Half the squared error up to ``delta``, linear beyond (Huber 1964).

    Parameters
    ----------
    delta : float
        Residuals beyond count linearly, > 0, in units of y.

    Examples
    --------
    >>> import pyconvex
    >>> from pyconvex.losses import Huber
    >>> fit = pyconvex.fit([[-1.0], [0.0], [1.0]], [0.0, 0.0, 9.0], loss=Huber(delta=0.5))
    >>> fit.status.value
    'optimal'
    """

    delta: float = 1.0
    name = "huber"
    damping = 1e-3

    def __post_init__(self) -> None:
        check_positive(self.delta, "delta")

    def losses(self, f: Array, y: Array) -> Array:
        """Return r^2 / 2 for |r| = |f - y| <= delta, else delta (|r| - delta / 2)."""
        size = np.abs(f - y)
        inside = np.minimum(size, self.delta)
        losses: Array = inside * (size - 0.5 * inside)
        return losses

    def slopes(self, f: Array, y: Array) -> Array:
        """Return f - y, cut off at +-delta."""
        slopes: Array = np.clip(f - y, -self.delta, self.delta)
        return slopes

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return 1 up to delta, 0 beyond."""
        return (np.abs(f - y) <= self.delta).astype(np.float64)

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return q y + q^2 / 2 for |q| <= delta."""
        outside = np.abs(q) > self.delta * (1.0 + ROUNDED)
        return np.where(outside, np.inf, q * y + 0.5 * q * q)

    def conjugate_slopes(self, q: Array, y: Array) -> Array:
        """Return q + y."""
        return q + y

    def conjugate_curvatures(self, q: Array, y: Array) -> Array:
        """Return 1."""
        return np.ones_like(q)

    def domain(self, y: Array) -> tuple[Array, Array]:
        """Return -delta and delta."""
        return np.full_like(y, -self.delta), np.full_like(y, self.delta)


class Logistic(Loss):
    """l(f, y) = log(1 + exp(-y f)), y = -1 or +1.

    With p_i = y_i z_i / s_i, D(z) = -sum_i s_i [p_i log p_i + (1 - p_i) log(1 - p_i)].
    """

    name = "logistic"
    two_classes = True
    steep = True
    smoothness = 0.25

    def losses(self, f: Array, y: Array) -> Array:
        """Return log(1 + exp(-y f))."""
        losses: Array = np.logaddexp(0.0, -y * f)
        return losses

    def slopes(self, f: Array, y: Array) -> Array:
        """Return -y / (1 + exp(y f))."""
        from scipy.special import expit

        slopes: Array = -y * expit(-y * f)
        return slopes

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return p (1 - p) with p = 1 / (1 + exp(-f))."""
        from scipy.special import expit

        curvatures: Array = expit(f) * expit(-f)
        return curvatures

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return p log p + (1 - p) log(1 - p) for p = -q y in [0, 1]."""
        from scipy.special import entr

        p, outside = _in_unit_interval(-q * y)
        return np.where(outside, np.inf, -entr(p) - entr(1.0 - p))

    def conjugate_slopes(self, q: Array, y: Array) -> Array:
        """Return y log((1 - p) / p)."""
        p = -q * y
        slopes: Array = y * (np.log1p(-p) - np.log(p))
        return slopes

    def conjugate_curvatures(self, q: Array, y: Array) -> Array:
        """Return 1 / (p (1 - p))."""
        p = -q * y
        return 1.0 / (p * (1.0 - p))

    def domain(self, y: Array) -> tuple[Array, Array]:
        """Return the ends of 0 <= p <= 1."""
        return np.minimum(-y, 0.0), np.maximum(-y, 0.0)

    def check_targets(self, y: Array, *, intercept: bool) -> None:
        """Raise ValueError unless y is -1 or +1, with a free constant both."""
        super().check_targets(y, intercept=intercept)
        if intercept and (y == y[0]).all():
            raise ValueError(
                "y holds one class only, so the best output bias is infinite for "
                "loss='logistic': pass both classes, or bias='decayed'"
            )


class SquaredHinge(Loss):
    """l(f, y) = max(1 - y f, 0)^2 / 2, y = -1 or +1.

    With p_i = y_i z_i / s_i >= 0, D(z) = sum_i s_i (p_i - p_i^2 / 2).
    """

    name = "squared_hinge"
    two_classes = True
    damping = 1e-3

    def losses(self, f: Array, y: Array) -> Array:
        """Return max(1 - y f, 0)^2 / 2."""
        losses: Array = 0.5 * np.maximum(1.0 - y * f, 0.0) ** 2
        return losses

    def slopes(self, f: Array, y: Array) -> Array:
        """Return -y max(1 - y f, 0)."""
        slopes: Array = -y * np.maximum(1.0 - y * f, 0.0)
        return slopes

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return 1 where y f < 1, else 0."""
        return (y * f < 1.0).astype(np.float64)

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return p^2 / 2 - p for p = -q y >= 0."""
        p = -q * y
        return np.where(p < 0.0, np.inf, 0.5 * p * p - p)

    def conjugate_slopes(self, q: Array, y: Array) -> Array:
        """Return y (1 - p)."""
        return y + q

    def conjugate_curvatures(self, q: Array, y: Array) -> Array:
        """Return 1."""
        return np.ones_like(q)

    def domain(self, y: Array) -> tuple[Array, Array]:
        """Return the ends of p >= 0."""
        return np.where(y > 0.0, -np.inf, 0.0), np.where(y > 0.0, 0.0, np.inf)


class Poisson(Loss):
    """Half the deviance of counts y >= 0 with mean exp(f).

    l(f, y) = exp(f) - y f + y log y - y. With q_i = y_i - z_i / s_i >= 0,
    D(z) = sum_i s_i [q_i - q_i log q_i + y_i log y_i - y_i].
    """

    name = "poisson"
    steep = True
    smoothness = math.inf

    def dampers(self, f: Array, y: Array) -> Array:
        """Return the larger of exp(f) and y, at least 1: enough for small steps only."""
        return np.maximum(np.exp(f), np.maximum(y, 1.0))

    def losses(self, f: Array, y: Array) -> Array:
        """Return exp(f) - y f + y log y - y."""
        from scipy.special import xlogy

        losses: Array = np.exp(f) - y * f + xlogy(y, y) - y
        return losses

    def slopes(self, f: Array, y: Array) -> Array:
        """Return exp(f) - y."""
        slopes: Array = np.exp(f) - y
        return slopes

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return exp(f)."""
        curvatures: Array = np.exp(f)
        return curvatures

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return m log m - m - y log y + y for m = q + y >= 0."""
        from scipy.special import xlogy

        mean = q + y
        mean = np.where(np.abs(mean) <= 1e-15 * y, 0.0, mean)
        inside = np.maximum(mean, 0.0)
        conjugates = xlogy(inside, inside) - inside - xlogy(y, y) + y
        return np.where(mean < 0.0, np.inf, conjugates)

    def conjugate_slopes(self, q: Array, y: Array) -> Array:
        """Return log(q + y)."""
        slopes: Array = np.log(q + y)
        return slopes

    def conjugate_curvatures(self, q: Array, y: Array) -> Array:
        """Return 1 / (q + y)."""
        return 1.0 / (q + y)

    def domain(self, y: Array) -> tuple[Array, Array]:
        """Return -y and infinity."""
        return -y, np.full_like(y, np.inf)

    def best_shift(self, f: Array, y: Array, sample_weight: Array) -> float:
        """Return the c with sum_i s_i exp(f_i + c) = sum_i s_i y_i."""
        from scipy.special import logsumexp

        return float(np.log(sample_weight @ y) - logsumexp(f, b=sample_weight))

    def check_targets(self, y: Array, *, intercept: bool) -> None:
        """Raise ValueError unless y >= 0, with a free constant somewhere positive."""
        if (y < 0.0).any():
            raise ValueError("y must be >= 0 for loss='poisson': it holds counts or rates")
        if intercept and not y.any():
            raise ValueError(
                "y is zero everywhere, so the best output bias is infinite for loss='poisson': "
                "pass bias='decayed'"
            )


def _in_unit_interval(p: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return p cut off at 0 and 1, and where it was outside by more than rounding."""
    inside = np.clip(p, 0.0, 1.0)
    return inside, np.abs(p - inside) > ROUNDED
