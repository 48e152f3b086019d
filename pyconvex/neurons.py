"""The state of a solve, and what it ends with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array
from pyconvex.program import Problem, Status


@dataclass(frozen=True)
class Neurons:
    """The neurons in use and what they predict.

    Attributes
    ----------
    U : array, shape (m, p)
        Weights u_j; the output of neuron j is signs_j (X u_j)_+ or signs_j D_j X u_j.
    signs : array, shape (m,)
        +1 or -1.
    tight : array of int, shape (m, p)
        Rows of X each neuron lies on; -1 pads.
    pattern : array of int, shape (m,)
        Index of the pattern D_j; -1 where patterns are not fixed.
    intercept : float
        The free constant.
    prediction : array, shape (n_rows,)
        The sum of all outputs and the free constant on the rows of X.
    """

    U: Array
    signs: Array
    tight: NDArray[np.int64]
    pattern: NDArray[np.int64]
    intercept: float
    prediction: Array

    @classmethod
    def none(cls, problem: Problem) -> "Neurons":
        """Return no neurons."""
        p = problem.X.shape[1]
        return cls(
            np.zeros((0, p)),
            np.zeros(0),
            np.zeros((0, p), np.int64),
            np.zeros(0, np.int64),
            0.0,
            np.zeros(len(problem.X)),
        )

    def __len__(self) -> int:
        return len(self.U)


@dataclass(frozen=True)
class Solution:
    """What a solve found.

    Attributes
    ----------
    neurons : Neurons
        The neurons.
    dual_objective : float
        The best lower bound, or an estimate where pricing is not exact.
    multiplier : array, shape (n_samples,)
        The z that proves it.
    status : Status
        How the solve ended.
    sure : bool
        Whether the dual objective may stand in a certificate.
    """

    neurons: Neurons
    dual_objective: float
    multiplier: Array
    status: Status
    sure: bool = True
