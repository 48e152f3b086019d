"""Singular value thresholding of many small matrices, and its derivative."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array


@dataclass(frozen=True)
class Shrunk:
    """The matrices whose largest singular value exceeds the threshold, with all reduced by it.

    Attributes
    ----------
    active : array of int, shape (k,)
        Which of the matrices these are.
    left, sizes, right : array, shapes (k, p, r), (k, r), (k, c, r)
        Their singular value decompositions.
    reduced : array, shape (k, r)
        max(sizes - threshold, 0).
    """

    active: NDArray[np.int64]
    left: Array
    sizes: Array
    right: Array
    reduced: Array

    @property
    def values(self) -> Array:
        """The reduced matrices, (k, p, c)."""
        values: Array = (self.left * self.reduced[:, np.newaxis]) @ self.right.transpose(0, 2, 1)
        return values

    @property
    def nuclear(self) -> float:
        """Sum of their nuclear norms."""
        return float(self.reduced.sum())

    @property
    def n_values(self) -> int:
        """Number of singular values that remain."""
        return int((self.reduced > 0.0).sum())

    def change(self, H: Array) -> Array:
        """Return the directional derivatives of the reduced matrices along H (k, p, c).

        In the singular bases the symmetric part of H is scaled by divided differences of the
        reduction, the antisymmetric one by its sums over sums (Lewis & Sendov 2005); what lies
        outside the bases by reduced / size.
        """
        P, Q, s, f = self.left, self.right, self.sizes, self.reduced
        A = P.transpose(0, 2, 1) @ H @ Q
        symmetric, skew = 0.5 * (A + A.transpose(0, 2, 1)), 0.5 * (A - A.transpose(0, 2, 1))
        gaps = s[:, :, np.newaxis] - s[:, np.newaxis]
        near = np.abs(gaps) <= 1e-12 * s[:, :1, np.newaxis]
        rises = np.where(near, 1.0 * (f > 0.0)[:, :, np.newaxis], 0.0)
        differences = f[:, :, np.newaxis] - f[:, np.newaxis]
        rises += np.where(near, 0.0, differences / np.where(near, 1.0, gaps))
        sums = s[:, :, np.newaxis] + s[:, np.newaxis]
        means = (f[:, :, np.newaxis] + f[:, np.newaxis]) / np.maximum(sums, 1e-300)
        inside = P @ (rises * symmetric + means * skew) @ Q.transpose(0, 2, 1)
        shares = f / np.maximum(s, 1e-300)
        HQ, PH = H @ Q, P.transpose(0, 2, 1) @ H
        left = ((HQ - P @ A) * shares[:, np.newaxis]) @ Q.transpose(0, 2, 1)
        right = (P * shares[:, np.newaxis]) @ (PH - A @ Q.transpose(0, 2, 1))
        changes: Array = inside + left + right
        return changes


def shrink(T: Array, threshold: float) -> Shrunk:
    """Reduce the singular values of matrices (m, p, c) by a threshold, down to zero."""
    possible = np.flatnonzero(np.linalg.norm(T, axis=(1, 2)) > threshold)
    left, sizes, right = np.linalg.svd(T[possible], full_matrices=False)
    above = sizes[:, 0] > threshold if sizes.shape[1] else np.zeros(0, bool)
    reduced = np.maximum(sizes[above] - threshold, 0.0)
    return Shrunk(
        possible[above], left[above], sizes[above], right[above].transpose(0, 2, 1), reduced
    )
