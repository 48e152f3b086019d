"""Quadratic models of the loss: what kernels, which know least squares alone, work on."""

from dataclasses import dataclass

import numpy as np

from pyconvex.losses import Array
from pyconvex.program import Problem


@dataclass(frozen=True)
class QuadraticModel:
    r"""The loss near a prediction f, as least squares on the rows of X.

    .. math:: c \sum_i w_i (r_i - t_i)^2 / 2 \quad\text{for a prediction } f + t

    up to a constant, with :math:`c w_i = \sum s \ell''` and :math:`c w_i r_i = z_i`, sums over the
    samples of a row. Exact for the squared loss.

    Attributes
    ----------
    weights : array, shape (n_rows,)
        w > 0, sum 1.
    residual : array, shape (n_rows,)
        r, the step that each row asks for.
    scale : float
        c. Penalties are to be divided by it.
    """

    weights: Array
    residual: Array
    scale: float

    @classmethod
    def at(cls, problem: Problem, prediction: Array, damping: float) -> "QuadraticModel":
        """Return the second-order model, its curvature raised by ``damping``.

        At ``damping`` 1 no smooth loss exceeds its model.
        """
        loss, f = problem.loss, problem.at_samples(prediction)
        with np.errstate(over="ignore"):
            curvatures = loss.curvatures(f, problem.y) + damping * loss.dampers(f, problem.y)
        return cls._of(problem, f, problem.sample_weight * curvatures)

    @classmethod
    def bounding(cls, problem: Problem, prediction: Array) -> "QuadraticModel":
        """Return the model above the loss whose weights are always the samples'."""
        curvatures = problem.loss.smoothness * problem.sample_weight
        return cls._of(problem, problem.at_samples(prediction), curvatures)

    @classmethod
    def _of(cls, problem: Problem, f: Array, curvatures: Array) -> "QuadraticModel":
        heights = problem.at_rows(curvatures)
        slopes = problem.at_rows(problem.loss.multiplier(f, problem.y, problem.sample_weight))
        scale = float(heights.sum())
        return cls(heights / scale, slopes / heights, scale)
