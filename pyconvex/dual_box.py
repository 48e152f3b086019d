"""Where multipliers have a finite dual objective, and how Newton steps stay there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array, Loss
from pyconvex.program import Problem

MARGIN = 1e-12  # of a steep conjugate's domain that the multiplier leaves free at its ends
SHARE = 0.99  # of the way to such an end that a step may take


@dataclass(frozen=True)
class DualBox:
    """The interval low_i <= z_i <= high_i of each sample.

    At the ends of a steep conjugate's domain its slope is infinite: they are never reached.
    Elsewhere a multiplier may rest at an end.
    """

    low: Array
    high: Array
    steep: bool
    margin: Array

    @classmethod
    def of(cls, problem: Problem) -> "DualBox":
        """Return the box of a problem."""
        return cls.around(problem.loss, problem.y, problem.sample_weight)

    @classmethod
    def around(cls, loss: Loss, y: Array, s: Array) -> "DualBox":
        """Return the box of a loss, entry by entry of targets y with weights s."""
        low, high = loss.domain(y)
        return cls(-s * high, -s * low, loss.steep, MARGIN * s)

    def inside(self, z: Array) -> Array:
        """Return the nearest multiplier where the dual objective has a slope."""
        if not self.steep:
            return z
        return np.clip(z, self.low + self.margin, self.high - self.margin)

    def stop(self, z: Array, step: Array) -> Array:
        """Return where a step from z ends that is cut off at the box, entry by entry."""
        low, high = self.low, self.high
        if self.steep:
            low, high = z - SHARE * (z - low), z + SHARE * (high - z)
        return np.clip(z + step, low, high)

    def free(self, z: Array, slopes: Array) -> NDArray[np.int64] | None:
        """Return the entries that a descent may move; None for all.

        Held are those at an end with the objective falling beyond it.
        """
        held = self.held(z, slopes)
        return np.flatnonzero(~held) if held.any() else None

    def held(self, z: Array, slopes: Array) -> NDArray[np.bool_]:
        """Tell which entries a descent may not move."""
        if self.steep:
            return np.zeros(z.shape, bool)
        return ((z <= self.low) & (slopes > 0.0)) | ((z >= self.high) & (slopes < 0.0))
