"""The linear part of the output in the dual augmented Lagrangian."""

from collections.abc import Callable
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
    :math:`C^T z` to zero, and decayed ones :math:`c^+ = (1 - \sigma\beta / \|t\|)_+ t`. With
    several outputs multipliers and coefficients have a column each; norms are those of columns.

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
        target: Array = coef + sigma * (self.columns.T @ z)
        target[self.n_free :] *= self._share(target, sigma)
        return target

    def energy(self, coef: Array, sigma: float, z: Array) -> float:
        """Return what the columns add to psi."""
        following = self.proximal(coef, sigma, z)
        return float((following**2).sum()) / (2.0 * sigma)

    def borders(self, coef: Array, sigma: float, z: Array) -> Array:
        """Return rows R for which sigma R^T R is the Hessian of the energy."""
        target = coef + sigma * (self.columns.T @ z)
        free: Array = self.columns[:, : self.n_free].T
        decayed = self.columns[:, self.n_free :].T
        share, following = self._share(target, sigma), target[self.n_free :]
        if share == 0.0:
            return free
        along = (following / np.linalg.norm(following)) @ decayed
        rows = np.sqrt(share) * decayed, np.sqrt(1.0 - share) * along[np.newaxis]
        return np.concatenate([free, *rows])

    def hessian(self, coef: Array, sigma: float, Z: Array) -> Callable[[Array], Array]:
        """Return what multiplies V (n_samples, c) by the Hessian of the energy over sigma."""
        target = coef + sigma * (self.columns.T @ Z)
        share, following = self._share(target, sigma), target[self.n_free :]
        units = following / np.maximum(np.linalg.norm(following, axis=0), sigma * self.beta)
        rest = np.where(share > 0.0, 1.0 - share, 0.0)

        def product(V: Array) -> Array:
            change = self.columns.T @ V
            decayed = change[self.n_free :]
            along = (units * decayed).sum(axis=0)
            change[self.n_free :] = share * decayed + rest * along * units
            image: Array = self.columns @ change
            return image

        return product

    def _share(self, target: Array, sigma: float) -> Array:
        """Return (1 - sigma beta / ||t||)_+ of the decayed ones, of each output."""
        limit = sigma * self.beta
        share: Array = 1.0 - limit / np.maximum(
            np.linalg.norm(target[self.n_free :], axis=0), limit
        )
        return share
