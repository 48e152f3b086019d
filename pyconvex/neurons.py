"""The state of a solve, and what it ends with."""

from dataclasses import dataclass, field, replace

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
        The sum of all outputs, the free constant and the skip connection on the rows of X.
    skip : array, shape (k,)
        Coefficients of the columns of the skip connection; no entries without one.
    """

    U: Array
    signs: Array
    tight: NDArray[np.int64]
    pattern: NDArray[np.int64]
    intercept: float
    prediction: Array
    skip: Array = field(default_factory=lambda: np.zeros(0))

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
            np.zeros(0 if problem.skip is None else problem.skip.columns.shape[1]),
        )

    def shifted(self, problem: Problem, shift: Array, prediction: Array) -> "Neurons":
        """Return them with free coefficients that changed by ``shift``, and a new prediction."""
        intercept, skip = self.intercept, self.skip
        if problem.intercept:
            intercept += float(shift[0])
        if problem.skip is not None and problem.skip.free:
            skip = skip + shift[int(problem.intercept) :]
        return replace(self, intercept=intercept, skip=skip, prediction=prediction)

    def objective(self, problem: Problem) -> float:
        """Return loss plus penalty."""
        return problem.objective(self.prediction, self.U, self.pattern, self.skip)

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
