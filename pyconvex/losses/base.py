r"""What a loss is: values, multiplier z, curvatures, and the dual objective that bounds optima.

With weights s (sum 1) the weighted loss is :math:`\sum_i s_i \ell(f_i, y_i)`, its multiplier at a
prediction f is :math:`z_i = -s_i \ell'(f_i, y_i)`, and its dual objective is
:math:`D(z) = -\sum_i s_i \ell^*(-z_i / s_i, y_i)`.
"""

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEPS = 100  # of the search for a constant
_SETTLED = 1e-16  # sums below this share of their terms' sizes are rounding
ROUNDED = 1e-10  # a multiplier may leave the domain by this much, relative, from rounding


class Loss:
    """A convex loss l(f, y) >= 0 of one output.

    A new loss needs `losses`, `slopes` and `curvatures`; of its conjugate `conjugates`,
    `conjugate_slopes`, `conjugate_curvatures` and `domain`.

    Attributes
    ----------
    name : str
        What `pyconvex.fit` calls it.
    two_classes : bool
        Whether targets are -1 and +1.
    smoothness : float
        A bound of the second derivative; infinite where there is none.
    damping : float
        The least curvature, relative to `dampers`, that a quadratic model adds to the loss's.
    quadratic : bool
        Whether the loss is its own quadratic model.
    steep : bool
        Whether the conjugate's slope is infinite at the ends of its domain.
    """

    name: ClassVar[str]
    two_classes: ClassVar[bool] = False
    smoothness: float = 1.0
    damping: ClassVar[float] = 1e-10
    quadratic: ClassVar[bool] = False
    steep: ClassVar[bool] = False

    def losses(self, f: Array, y: Array) -> Array:
        """Return l(f_i, y_i)."""
        raise NotImplementedError

    def slopes(self, f: Array, y: Array) -> Array:
        """Return l'(f_i, y_i), derivatives by f."""
        raise NotImplementedError

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return l''(f_i, y_i)."""
        raise NotImplementedError

    def dampers(self, f: Array, y: Array) -> Array:
        """Return the curvature that keeps quadratic models above the loss if it is added."""
        return np.full_like(f, self.smoothness)

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return l*(q_i, y_i) = sup_f q_i f - l(f, y_i); infinite outside the domain."""
        raise NotImplementedError

    def conjugate_slopes(self, q: Array, y: Array) -> Array:
        """Return the f at which l' is q_i, inside the domain."""
        raise NotImplementedError

    def conjugate_curvatures(self, q: Array, y: Array) -> Array:
        """Return the second derivative of the conjugate, inside the domain."""
        raise NotImplementedError

    def domain(self, y: Array) -> tuple[Array, Array]:
        """Return the ends of the intervals of q where the conjugate is finite."""
        return np.full_like(y, -np.inf), np.full_like(y, np.inf)

    def check_targets(self, y: Array, *, intercept: bool) -> None:
        """Raise ValueError where targets have no loss, or no constant attains its minimum."""
        if self.two_classes and not np.isin(y, (-1.0, 1.0)).all():
            raise ValueError(f"y must be -1 or +1 for loss='{self.name}': code the two classes so")

    def smooth(self, y: Array, share: float) -> "Loss":
        """Return a smooth loss near this one: this one, unless it has kinks."""
        return self

    def value(self, f: Array, y: Array, sample_weight: Array) -> float:
        """Return the weighted loss."""
        with np.errstate(over="ignore"):
            return float(sample_weight @ self.losses(f, y))

    def multiplier(self, f: Array, y: Array, sample_weight: Array) -> Array:
        """Return z, the negative derivative of the weighted loss by the prediction."""
        return -sample_weight * self.slopes(f, y)

    def dual_value(self, z: Array, y: Array, sample_weight: Array) -> float:
        """Return D(z), minus infinity outside the domain."""
        return -float(sample_weight @ self.conjugates(-z / sample_weight, y))

    def dual_objective(
        self, z: Array, y: Array, sample_weight: Array, limit: float
    ) -> tuple[float, float]:
        """Return a large D(t z) over 0 <= t <= limit, and that t.

        At the multiplier of a prediction f the derivative of D(t z) by t is z . f for t = 1, which
        is positive at optimal weights: t = 1 or the limit.
        """
        t = min(1.0, limit)
        return self.dual_value(t * z, y, sample_weight), t

    def best_shift(self, f: Array, y: Array, sample_weight: Array) -> float:
        """Return the constant c that minimises the weighted loss of f + c.

        Newton's method inside a bracket of the root of the derivative.
        """
        low, high, shift = -math.inf, math.inf, 0.0
        for step in range(_STEPS):
            with np.errstate(over="ignore"):
                terms = sample_weight * self.slopes(f + shift, y)
                slope = float(terms.sum())
                curvature = float(sample_weight @ self.curvatures(f + shift, y))
            if abs(slope) <= _SETTLED * float(np.abs(terms).sum()):
                break
            low, high = (shift, high) if slope < 0.0 else (low, shift)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                newton = shift - np.float64(slope) / curvature
            if low < newton < high and abs(newton - shift) <= 4.0 ** (step + 1):
                moved = float(newton)
            elif math.isinf(low) or math.isinf(high):
                moved = shift - math.copysign(2.0**step, slope)
            else:
                moved = 0.5 * (low + high)
            if moved in (shift, low, high):
                break
            shift = moved
        return shift

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
