r"""Losses with a kink, hinge and quantile, and what stands in for them while solving.

Both are :math:`\ell(f, y) = \max_{a \le q \le b} q e` of an error e(f, y). Adding
:math:`-\tfrac\gamma2 (q - q_0)^2` inside the maximum makes them smooth. Solving again and again
with :math:`q_0` set to the last maximiser is the proximal point method on the dual (Rockafellar
1976): it needs no small gamma to become exact.
"""

from dataclasses import dataclass, field

import numpy as np

from pyconvex.data import check_ratio
from pyconvex.losses.base import ROUNDED, Array, Loss


class Kinked(Loss):
    """A loss max q e over low <= q <= high, with e = (target - f) or 1 - y f."""

    smoothness = np.inf
    low: float
    high: float

    def errors(self, f: Array, y: Array) -> Array:
        """Return e."""
        raise NotImplementedError

    def directions(self, y: Array) -> Array:
        """Return -de/df, +1 or -1."""
        raise NotImplementedError

    def losses(self, f: Array, y: Array) -> Array:
        """Return max(low e, high e)."""
        e = self.errors(f, y)
        losses: Array = np.maximum(self.low * e, self.high * e)
        return losses

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return l*(q): linear on the domain, as the loss is there."""
        share = -q * self.directions(y)
        inside = np.clip(share, self.low, self.high)
        outside = np.abs(share - inside) > ROUNDED
        return np.where(outside, np.inf, -inside * self.errors(np.zeros_like(q), y))

    def slopes(self, f: Array, y: Array) -> Array:
        """Return a subgradient: at a kink the middle one."""
        e = self.errors(f, y)
        q = np.where(e > 0.0, self.high, np.where(e < 0.0, self.low, self.middle))
        return -q * self.directions(y)

    def best_shift(self, f: Array, y: Array, sample_weight: Array) -> float:
        """Return the kink at which the slope of the loss of f + c by c turns positive."""
        directions = self.directions(y)
        kinks = self.errors(f, y) * directions
        leftmost = np.where(directions > 0.0, -self.high, self.low)  # slopes at c = -infinity
        order = np.argsort(kinks, kind="stable")
        jumps = (self.high - self.low) * np.cumsum(sample_weight[order])
        turned = np.flatnonzero(sample_weight @ leftmost + jumps >= 0.0)
        return float(kinks[order[turned[0] if len(turned) else -1]])

    @property
    def middle(self) -> float:
        """Return the middle of the domain."""
        return 0.5 * (self.low + self.high)

    def smooth(self, y: Array, share: float) -> "Smoothed":
        """Return the loss smoothed over a share of the mean error of f = 0."""
        errors = self.losses(np.zeros_like(y), y)
        return Smoothed(self, self.middle, share * float(errors.mean()) or 1.0)


class Hinge(Kinked):
    """l(f, y) = max(1 - y f, 0), y = -1 or +1; D(z) = sum_i y_i z_i for 0 <= y_i z_i <= s_i."""

    name = "hinge"
    two_classes = True
    low, high = 0.0, 1.0

    def errors(self, f: Array, y: Array) -> Array:
        """Return 1 - y f."""
        return 1.0 - y * f

    def directions(self, y: Array) -> Array:
        """Return y."""
        return y


@dataclass(frozen=True)
class Quantile(Kinked):
    """The pinball loss max(tau (y - f), (tau - 1) (y - f)) (Koenker & Bassett 1978).

    Parameters
    ----------
    tau : float
        Which quantile, between 0 and 1. Default: the median.

    Examples
    --------
    >>> import pyconvex
    >>> from pyconvex.losses import Quantile
    >>> fit = pyconvex.fit([[-1.0], [0.0], [1.0]], [0.0, 0.0, 9.0], loss=Quantile(0.8), beta=9.0)
    >>> round(float(fit.predict([[0.0]])[0]), 6)
    9.0
    """

    tau: float = 0.5
    name = "quantile"

    def __post_init__(self) -> None:
        check_ratio(self.tau, "tau")

    @property
    def low(self) -> float:  # type: ignore[override]
        """Return tau - 1."""
        return self.tau - 1.0

    @property
    def high(self) -> float:  # type: ignore[override]
        """Return tau."""
        return self.tau

    def errors(self, f: Array, y: Array) -> Array:
        """Return y - f."""
        return y - f

    def directions(self, y: Array) -> Array:
        """Return 1."""
        return np.ones_like(y)


@dataclass(frozen=True, eq=False)
class Smoothed(Loss):
    r"""max over low <= q <= high of q e + width / 2 (D^2 - (q - centre)^2): smooth, near the loss.

    D, the largest of all \|q - centre\|, keeps it from being less than the loss.

    Parameters
    ----------
    loss : Kinked
        The loss it stands for.
    centre : array, shape (n_samples,), or float
        Where the maximiser is drawn to.
    width : float
        gamma > 0, in units of the error.
    """

    loss: Kinked
    centre: Array | float = field(repr=False)
    width: float
    name = "smoothed"
    damping = 1e-2

    @property
    def smoothness(self) -> float:  # type: ignore[override]
        """Return 1 / width."""
        return 1.0 / self.width

    def around(self, f: Array, width: float, y: Array) -> "Smoothed":
        """Return the loss smoothed around the maximisers at a prediction."""
        return Smoothed(self.loss, self.maximisers(f, y), width)

    def maximisers(self, f: Array, y: Array) -> Array:
        """Return the q that attain the maximum."""
        free = self.centre + self.loss.errors(f, y) / self.width
        maximisers: Array = np.clip(free, self.loss.low, self.loss.high)
        return maximisers

    def losses(self, f: Array, y: Array) -> Array:
        """Return the maximum."""
        q = self.maximisers(f, y)
        raised = self._farthest - (q - self.centre) ** 2
        losses: Array = q * self.loss.errors(f, y) + 0.5 * self.width * raised
        return losses

    def slopes(self, f: Array, y: Array) -> Array:
        """Return -q times the error's direction."""
        return -self.maximisers(f, y) * self.loss.directions(y)

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return 1 / width where q is inside its limits, else 0."""
        q = self.maximisers(f, y)
        return ((q > self.loss.low) & (q < self.loss.high)) / self.width

    def conjugates(self, q: Array, y: Array) -> Array:
        """Return the loss's conjugate plus width / 2 ((share - centre)^2 - D^2)."""
        share = -q * self.loss.directions(y)
        pull: Array = 0.5 * self.width * ((share - self.centre) ** 2 - self._farthest)
        return self.loss.conjugates(q, y) + pull

    def conjugate_slopes(self, q: Array, y: Array) -> Array:
        """Return the f whose error is width (share - centre)."""
        direction = self.loss.directions(y)
        error = self.width * (-q * direction - self.centre)
        slopes: Array = direction * (self.loss.errors(np.zeros_like(y), y) - error)
        return slopes

    def conjugate_curvatures(self, q: Array, y: Array) -> Array:
        """Return width."""
        return np.full_like(q, self.width)

    def domain(self, y: Array) -> tuple[Array, Array]:
        """Return the ends of low <= share <= high."""
        ends = -self.loss.low * self.loss.directions(y), -self.loss.high * self.loss.directions(y)
        return np.minimum(*ends), np.maximum(*ends)

    @property
    def _farthest(self) -> Array:
        """Return D^2."""
        ends = np.abs(self.loss.low - self.centre), np.abs(self.loss.high - self.centre)
        farthest: Array = np.maximum(*ends) ** 2
        return farthest
