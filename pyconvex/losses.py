"""Loss functions: value, multiplier z, and the dual objective that bounds the optimum."""

import numpy as np
from numpy.typing import NDArray

from pyconvex.data import check_choice

Array = NDArray[np.float64]


class Squared:
    """Half the squared error, l(f, y) = (f - y)^2 / 2.

    With weights s (sum 1) the loss is sum_i s_i l(f_i, y_i). Its multiplier at a prediction is
    z = s (y - f) and its dual objective D(z) = sum_i (y_i z_i - z_i^2 / (2 s_i)).
    """

    name = "squared"

    def value(self, residual: Array, sample_weight: Array) -> float:
        """Return the weighted loss from the residual y - f."""
        return 0.5 * float(sample_weight @ residual**2)

    def multiplier(self, residual: Array, sample_weight: Array) -> Array:
        """Return z, the negative derivative of the weighted loss by the prediction."""
        return sample_weight * residual

    def dual_value(self, z: Array, y: Array, sample_weight: Array) -> float:
        """Return D(z)."""
        return float(z @ y) - 0.5 * float(z @ (z / sample_weight))

    def dual_objective(
        self, z: Array, y: Array, sample_weight: Array, limit: float
    ) -> tuple[float, float]:
        """Return the largest D(t z) over |t| <= limit, and that t."""
        linear, quadratic = float(z @ y), float(z @ (z / sample_weight))
        if quadratic == 0.0:
            return 0.0, 0.0
        t = float(np.clip(linear / quadratic, -limit, limit))
        return t * linear - 0.5 * t * t * quadratic, t


_LOSSES = {"squared": Squared}


def check_loss(loss: object) -> Squared:
    """Return the loss object that a name stands for."""
    return _LOSSES[check_choice(loss, "loss", _LOSSES)]()
