"""Where multipliers on a device have a finite dual objective, and how Newton steps stay there."""

from dataclasses import dataclass

from pyconvex.array_loss_base import ArrayLoss
from pyconvex.dual_box import MARGIN, SHARE
from pyconvex.namespaces import DeviceArray


@dataclass(frozen=True)
class ArrayBox:
    """The interval low_i <= z_i <= high_i of each sample, as in `pyconvex.dual_box`.

    Attributes
    ----------
    loss : ArrayLoss
        Whose multipliers they are.
    low, high : array, shape (n_samples,)
        The ends.
    """

    loss: ArrayLoss
    low: DeviceArray
    high: DeviceArray

    @classmethod
    def of(cls, loss: ArrayLoss) -> "ArrayBox":
        """Return the box of a loss."""
        low, high = loss.domain()
        return cls(loss, -loss.s * high, -loss.s * low)

    @property
    def _bounded(self) -> bool:
        return self.loss.steep or self.loss.holds_at_ends

    def inside(self, z: DeviceArray) -> DeviceArray:
        """Return the nearest multiplier where the dual objective has a slope."""
        if not self.loss.steep:
            return z
        margin = MARGIN * self.loss.s
        return self.loss.space.xp.clip(z, self.low + margin, self.high - margin)

    def stop(self, z: DeviceArray, step: DeviceArray) -> tuple[DeviceArray, bool]:
        """Return where a step from z ends, and whether it was cut off at the box."""
        if not self._bounded:
            return z + step, False
        low, high = self.low, self.high
        if self.loss.steep:  # the ends are never reached
            low, high = z - SHARE * (z - low), z + SHARE * (high - z)
        end = self.loss.space.xp.clip(z + step, low, high)
        return end, self.loss.space.any(end != z + step)

    def held(self, z: DeviceArray, slopes: DeviceArray) -> DeviceArray | None:
        """Tell which entries a descent may not move; None where there can be no such."""
        if not self.loss.holds_at_ends:
            return None
        return ((z <= self.low) & (slopes > 0.0)) | ((z >= self.high) & (slopes < 0.0))
