"""The Newton systems of `DualNewton`: by conjugate gradients where they converge, else directly."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyconvex.doubles import preactivations, pull_back
from pyconvex.losses import Array
from pyconvex.rows import Rows, blocks, core, inner_products, row_squares, weighted_gram

_POWERS = 2  # power iterations towards the masks' mean


@dataclass(frozen=True)
class NewtonSystem:
    r"""The matrix diag(d) + sigma [(X X^T) o (M^T M) + R^T R], n_samples on a side.

    Parameters
    ----------
    X : array or SparseRows, shape (n_samples, p)
        Data; float32 too.
    masks : array, shape (k, n_samples)
        M: a row per active group, its mask times the root of its weight.
    borders : array, shape (r, n_samples)
        R.
    diagonal : array, shape (n_samples,)
        d > 0.
    sigma : float
        The penalty.
    """

    X: Rows
    masks: Array
    borders: Array
    diagonal: Array
    sigma: float

    def restricted(self, samples: NDArray[np.int64]) -> "NewtonSystem":
        """Return the rows and columns of some samples."""
        return NewtonSystem(
            self.X[samples], self.masks[:, samples], self.borders[:, samples],
            self.diagonal[samples], self.sigma,
        )  # fmt: skip

    def times(self, v: Array) -> Array:
        """Return the product with v: 4 n_samples p k flops."""
        spread = preactivations(pull_back(self.masks * v, self.X), self.X)
        product: Array = np.einsum("kn,kn->n", self.masks, spread)
        product += (self.borders @ v) @ self.borders
        product *= self.sigma
        product += self.diagonal * v
        return product

    def iterate(
        self, right: Array, tol: float, max_work: float, stop: Callable[[], bool]
    ) -> Array | None:
        """Solve by preconditioned conjugate gradients.

        Stops at ``tol`` times the norm of the right-hand side; None where that takes more than
        ``max_work`` flops, or where ``stop`` says so.
        """
        precondition = self._preconditioner()
        solution, residual = np.zeros_like(right), right.copy()
        direction = scaled = precondition(residual)
        product, goal = float(residual @ scaled), tol * float(np.linalg.norm(right))
        for _ in range(int(min(max_work / self.product_work, 10.0 * len(right)))):
            if stop():
                return None
            image = self.times(direction)
            length = product / float(direction @ image)
            solution += length * direction
            residual -= length * image
            if np.linalg.norm(residual) <= goal:
                return solution
            scaled = precondition(residual)
            previous, product = product, float(residual @ scaled)
            direction = scaled + (product / previous) * direction
        return None

    def _preconditioner(self) -> Callable[[Array], Array]:
        """Return the inverse of the matrix with M^T M cut down to a diagonal plus a rank of one.

        Masks overlap: a M^T M of many is near the a a^T of their mean, which leaves
        diag(e) + sigma Y Y^T with Y = diag(a) X, inverted through p x p matrices. Of sparse X only
        the largest columns are part of Y, the others of e.
        """
        from scipy.linalg import cho_factor, cho_solve

        across = np.ones(len(self.masks)) / np.sqrt(max(len(self.masks), 1))
        for _ in range(_POWERS):
            across = self.masks @ (across @ self.masks)
            across /= np.linalg.norm(across) or 1.0
        a = across @ self.masks  # a_i^2 is at most the diagonal entry: e > 0
        X = core(self.X)
        heights = np.einsum("kn,kn->n", self.masks, self.masks) * row_squares(self.X)
        heights -= a * a * row_squares(X)
        heights += np.einsum("rn,rn->n", self.borders, self.borders)
        inverse = 1.0 / (self.diagonal + self.sigma * np.maximum(heights, 0.0))
        inner = weighted_gram(X, a * a * inverse)
        inner[np.diag_indices_from(inner)] += 1.0 / self.sigma
        factor = cho_factor(inner, check_finite=False)

        def precondition(v: Array) -> Array:
            scaled = inverse * v
            down = cho_solve(factor, pull_back(a * scaled, X), check_finite=False)
            result: Array = scaled - inverse * a * preactivations(down, X)
            return result

        return precondition

    def factorise(self, right: Array) -> Array:
        """Solve by Cholesky's method, with one array of n_samples^2."""
        from scipy.linalg import blas, cho_factor, cho_solve

        # arrays in C order are their transposes in Fortran's: the lower triangle of M^T M
        matrix = blas.dsyrk(self.sigma, self.masks.T, trans=0, lower=1)
        for rows in blocks(len(right), len(right)):
            matrix.T[rows, rows.start :] *= inner_products(self.X, rows)
        matrix = blas.dsyrk(
            self.sigma, self.borders.T, beta=1.0, c=matrix, trans=0, lower=1, overwrite_c=1
        )
        matrix[np.diag_indices_from(matrix)] += self.diagonal
        factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        solution: Array = cho_solve(factor, right, check_finite=False)
        return solution

    @property
    def product_work(self) -> float:
        """Flops of a product, where passes over the masks count too."""
        k, n = (float(size) for size in self.masks.shape)
        return k * n * (4.0 * float(self.X.shape[1]) + 40.0) + 1.0

    @property
    def factor_work(self) -> float:
        """Flops of the direct solution."""
        k, n = (float(size) for size in self.masks.shape)
        return n * n * (k + n / 3.0)
