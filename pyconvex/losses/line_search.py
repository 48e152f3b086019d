"""The length of a step, by slopes alone."""

import numpy as np

from pyconvex.losses.base import Array, Loss

_ACCURATE = 0.1  # a search along a line ends where the slope is below this share
_HALVINGS = 60


def step_length(loss: Loss, f: Array, y: Array, sample_weight: Array, change: Array) -> float:
    """Return the length of a step along which the loss falls until its slope nearly vanishes.

    Values of the loss would say nothing near its minimum, where rounding changes them more. Where
    the loss is flat the step is the shortest of this kind, to a factor of two.
    """

    def descent(t: float) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            slope = float((loss.multiplier(f + t * change, y, sample_weight) * change).sum())
        return slope if np.isfinite(slope) else -np.inf

    low, high, t = 0.0, np.inf, 1.0
    enough = _ACCURATE * descent(0.0)
    if not enough > 0.0:  # all rounding
        return 0.0
    for _ in range(_HALVINGS):
        slope = descent(t)
        if abs(slope) <= enough:
            break
        low, high = (t, high) if slope > 0.0 else (low, t)
        t = 2.0 * t if np.isinf(high) else 0.5 * (low + high)
    while abs(descent(0.5 * t)) <= enough:
        t *= 0.5
    return t
