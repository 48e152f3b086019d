"""What a loss is on arrays of any namespace."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from pyconvex.losses import Loss
from pyconvex.namespaces import DeviceArray, Space

_TINY = 1e-10  # a loss below this share of that of no prediction may be rounding
_ROUNDING = 16.0  # of a prediction, in units of the relative precision
_STEPS = 100  # of the search for a constant
_SETTLED = 1e-16  # sums below this share of their terms' sizes are rounding
ROUNDED = 1e-10  # a multiplier may leave the domain by this much, relative, from rounding


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

    def smooth(self, share: float) -> "ArrayLoss":
        """Return a smooth loss near this one: itself, unless it has a kink."""
        return self

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


def infinite(space: Space, where: DeviceArray, values: DeviceArray) -> DeviceArray:
    """Return values with infinity at some places."""
    xp = space.xp
    return xp.where(where, xp.full_like(values, math.inf), values)
