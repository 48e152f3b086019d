"""The linear part of the output in the dual augmented Lagrangian."""

from dataclasses import dataclass

import numpy as np

from pyconvex.losses import Array
from pyconvex.program import Problem
from pyconvex.rows import row_squares


def size_of(problem: Problem) -> float:
    """Return the root mean square of the entries of X."""
    n, p = problem.X.shape
    return float(np.sqrt(row_squares(problem.X).sum() / (n * p))) or 1.0


@dataclass(frozen=True)
class DualLinear:
    r"""Columns C of the output with coefficients c, as `DualNewton` treats its groups.

    With :math:`t = c + \sigma C^T z` free columns take :math:`c^+ = t`, which drives
    :math:`C^T z` to zero, and decayed ones :math:`c^+ = (1 - \sigma\beta / \|t\|)_+ t`.

    Parameters
    ----------
    columns : array, shape (n_samples, k + q)
        The free columns, in units that make them as large as the decayed ones, which follow.
    n_free : int
        k.
    beta : float
        Penalty of the norm of the decayed ones' coefficients.
    """

    columns: Array
    n_free: int
    beta: float

    @classmethod
    def of(cls, problem: Problem) -> "DualLinear":
        """Return the linear part of a problem; free columns get the size of its features.

        One penalty sigma then suits them and the groups, whatever the features' units.
        """
        free = size_of(problem) * problem.free
        return cls(np.hstack([free, problem.decayed]), free.shape[1], problem.beta)

    def proximal(self, coef: Array, sigma: float, z: Array) -> Array:
        """Return the coefficients after the next update."""
        target: Array = coef + sigma * (z @ self.columns)
        shares = np.ones(len(target))
        shares[self.n_free :] = self._share(target, sigma)
        proximal: Array = shares * target
        return proximal

    def energy(self, coef: Array, sigma: float, z: Array) -> float:
        """Return what the columns add to psi."""
        following = self.proximal(coef, sigma, z)
        return float(following @ following) / (2.0 * sigma)

    def borders(self, coef: Array, sigma: float, z: Array) -> Array:
        """Return rows R for which sigma R^T R is the Hessian of the energy."""
        target = coef + sigma * (z @ self.columns)
        free: Array = self.columns[:, : self.n_free].T
        decayed = self.columns[:, self.n_free :].T
        share, following = self._share(target, sigma), target[self.n_free :]
        if share == 0.0:
            return free
        along = (following / np.linalg.norm(following)) @ decayed
        rows = np.sqrt(share) * decayed, np.sqrt(1.0 - share) * along[np.newaxis]
        return np.concatenate([free, *rows])

    def _share(self, target: Array, sigma: float) -> float:
        """Return (1 - sigma beta / ||t||)_+ of the decayed ones."""
        norm = float(np.linalg.norm(target[self.n_free :]))
        return 1.0 - sigma * self.beta / norm if norm > sigma * self.beta else 0.0
