"""Losses with a kink on arrays of any namespace, and what stands in for them while solving.

The formulas of `pyconvex.losses.kinked`.
"""

from dataclasses import dataclass
from functools import cached_property

from pyconvex.array_loss_base import ROUNDED, ArrayLoss, infinite
from pyconvex.losses import Kinked
from pyconvex.namespaces import DeviceArray


class ArrayKinked(ArrayLoss):
    """A loss max q e over low <= q <= high, with e = (y - f) or 1 - y f."""

    holds_at_ends = True

    @property
    def limits(self) -> tuple[float, float]:
        """Return low and high."""
        assert isinstance(self.spec, Kinked)
        return self.spec.low, self.spec.high

    def errors(self, f: DeviceArray) -> DeviceArray:
        """Return e."""
        raise NotImplementedError

    @property
    def directions(self) -> DeviceArray:
        """Return -de/df, +1 or -1."""
        raise NotImplementedError

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return max(low e, high e)."""
        e, (low, high) = self.errors(f), self.limits
        return self.space.xp.maximum(low * e, high * e)

    def conjugates(self, q: DeviceArray) -> DeviceArray:
        """Return l*(q): linear on the domain, as the loss is there."""
        share = -q * self.directions
        inside = self.space.xp.clip(share, *self.limits)
        values = -inside * self.errors(self.space.xp.zeros_like(q))
        return infinite(self.space, self.space.xp.abs(share - inside) > ROUNDED, values)

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return a subgradient: at a kink the middle one."""
        xp, e, (low, high) = self.space.xp, self.errors(f), self.limits
        q = 0.5 * (high - low) * xp.sign(e) + 0.5 * (low + high)
        return -q * self.directions

    def domain(self) -> tuple[DeviceArray, DeviceArray]:
        """Return the ends of low <= -q directions <= high."""
        xp, (low, high) = self.space.xp, self.limits
        ends = -low * self.directions, -high * self.directions
        return xp.minimum(*ends), xp.maximum(*ends)

    def best_shift(self, f: DeviceArray) -> float:
        """Return the kink at which the slope of the loss of f + c by c turns positive."""
        space, xp, (low, high) = self.space, self.space.xp, self.limits
        kinks = self.errors(f) * self.directions
        order = xp.argsort(kinks, stable=True)
        jumps = (high - low) * xp.cumulative_sum(space.take(self.s, order))
        leftmost = space.dot(self.s, self.domain()[0])  # the slope at c = -infinity
        before = int(xp.sum(xp.astype(leftmost + jumps < 0.0, space.integer)))
        return float(kinks[order[min(before, int(f.shape[0]) - 1)]])

    def smooth(self, share: float) -> "ArraySmoothed":
        """Return the loss smoothed over a share of the mean error of f = 0."""
        space, (low, high) = self.space, self.limits
        errors = self.losses(space.xp.zeros_like(self.y))
        width = share * space.total(errors) / int(self.y.shape[0]) or 1.0
        centre = space.full(self.y.shape[0], 0.5 * (low + high))
        return ArraySmoothed(space, self.spec, self.y, self.s, self, centre, width)


class ArrayHinge(ArrayKinked):
    """max(1 - y f, 0), y = -1 or +1."""

    def errors(self, f: DeviceArray) -> DeviceArray:
        """Return 1 - y f."""
        return 1.0 - self.y * f

    @property
    def directions(self) -> DeviceArray:
        """Return y."""
        return self.y


class ArrayQuantile(ArrayKinked):
    """max(tau (y - f), (tau - 1) (y - f))."""

    def errors(self, f: DeviceArray) -> DeviceArray:
        """Return y - f."""
        return self.y - f

    @property
    def directions(self) -> DeviceArray:
        """Return 1."""
        return self.space.xp.ones_like(self.y)


@dataclass(frozen=True)
class ArraySmoothed(ArrayLoss):
    """max over low <= q <= high of q e + width / 2 (D^2 - (q - centre)^2); see `Smoothed`.

    Attributes
    ----------
    kinked : ArrayKinked
        The loss it stands for.
    centre : array, shape (n_samples,)
        Where the maximiser is drawn to.
    width : float
        Positive, in units of the error.
    """

    kinked: ArrayKinked
    centre: DeviceArray
    width: float

    holds_at_ends = True

    def around(self, f: DeviceArray, width: float) -> "ArraySmoothed":
        """Return the loss smoothed around the maximisers at a prediction."""
        kinked = self.kinked
        return ArraySmoothed(
            self.space, self.spec, self.y, self.s, kinked, self.maximisers(f), width
        )

    def maximisers(self, f: DeviceArray) -> DeviceArray:
        """Return the q that attain the maximum."""
        free = self.centre + self.kinked.errors(f) / self.width
        return self.space.xp.clip(free, *self.kinked.limits)

    def losses(self, f: DeviceArray) -> DeviceArray:
        """Return the maximum."""
        q = self.maximisers(f)
        raised = self._farthest - (q - self.centre) ** 2
        return q * self.kinked.errors(f) + 0.5 * self.width * raised

    def slopes(self, f: DeviceArray) -> DeviceArray:
        """Return -q times the error's direction."""
        return -self.maximisers(f) * self.kinked.directions

    def curvatures(self, f: DeviceArray) -> DeviceArray:
        """Return 1 / width where q is inside its limits, else 0."""
        q, (low, high) = self.maximisers(f), self.kinked.limits
        return self.space.to_double((q > low) & (q < high)) / self.width

    def conjugates(self, q: DeviceArray) -> DeviceArray:
        """Return the loss's conjugate plus width / 2 ((share - centre)^2 - D^2)."""
        share = -q * self.kinked.directions
        pull = 0.5 * self.width * ((share - self.centre) ** 2 - self._farthest)
        return self.kinked.conjugates(q) + pull

    def conjugate_slopes(self, q: DeviceArray) -> DeviceArray:
        """Return the f whose error is width (share - centre)."""
        direction = self.kinked.directions
        error = self.width * (-q * direction - self.centre)
        return direction * (self.kinked.errors(self.space.xp.zeros_like(q)) - error)

    def conjugate_curvatures(self, q: DeviceArray) -> DeviceArray:
        """Return width."""
        return self.space.full(q.shape[0], self.width)

    def domain(self) -> tuple[DeviceArray, DeviceArray]:
        """Return that of the loss it stands for."""
        return self.kinked.domain()

    @cached_property
    def _farthest(self) -> DeviceArray:
        """D^2."""
        xp, (low, high) = self.space.xp, self.kinked.limits
        return xp.maximum(xp.abs(low - self.centre), xp.abs(high - self.centre)) ** 2
