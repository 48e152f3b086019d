"""Between the user's features and the solver's: scale, centring, rotation, the ones column."""

from dataclasses import dataclass

import numpy as np

from pyconvex.losses import Array
from pyconvex.rows import Rows, SparseRows, deviations, divided, with_ones

_ROUNDING = 10 * np.finfo(float).eps  # a column that varies by less, relative, is constant


@dataclass(frozen=True)
class Coordinates:
    """Rows of the solver are (((x - mean) / scale) Q, 1), with the parts that a fit needs.

    With an unpenalised bias the features are centred, which keeps biases small and changes
    nothing else. With fewer samples than features, or dependent features, the orthonormal
    columns of Q span the rows: optimal weights lie there, and norms are unchanged. Standardised
    features change the program: weight decay then acts on the weights of (x - mean) / scale.
    Sparse features stay sparse: they are scaled, but neither centred nor rotated.

    Attributes
    ----------
    mean : array, shape (n_features,)
        Zero where a bias is decayed and features are not standardised, or where there is none.
    rotation : array, shape (n_features, rank) or None
        Q.
    ones : bool
        Whether a column of ones follows.
    scale : array, shape (n_features,) or None
        Standard deviations, 1 for constant features; None where features are not standardised.
    """

    mean: Array
    rotation: Array | None
    ones: bool
    scale: Array | None = None

    @classmethod
    def of(
        cls,
        X: Rows,
        bias: str,
        *,
        centred: bool,
        standardize: bool = False,
        sample_weight: Array | None = None,
    ) -> "Coordinates":
        """Choose the coordinates for data X (n_samples, n_features).

        Means and deviations of standardised features are weighted by ``sample_weight``.
        """
        mean = X.mean(axis=0) if centred else np.zeros(X.shape[1])
        scale = None
        sparse = isinstance(X, SparseRows)
        if standardize:
            weights = np.ones(len(X)) if sample_weight is None else sample_weight
            used = np.flatnonzero(weights)
            rows, weights = X[used], weights[used] / weights.sum()
            if sparse:
                scale = deviations(rows, weights, _ROUNDING)
            else:
                mean, scale = _moments(rows, weights)
                mean = mean if bias != "none" else np.zeros(X.shape[1])
        rotation = None
        if len(X) <= X.shape[1] and not sparse:
            features = X - mean if scale is None else (X - mean) / scale
            _, sizes, directions = np.linalg.svd(features, full_matrices=False)
            small = sizes <= 1e-12 * max(float(sizes[0]), np.finfo(float).tiny)
            rotation = np.ascontiguousarray(directions[~small].T)
        return cls(mean, rotation, bias != "none", scale)

    def features(self, X: Rows) -> Rows:
        """Return (x - mean) / scale, (n_samples, n_features)."""
        features = X - self.mean if self.mean.any() else X
        return features if self.scale is None else divided(features, self.scale)

    def rows(self, X: Rows) -> Rows:
        """Return the solver's rows (n_samples, p)."""
        features = self.features(X)
        if isinstance(X, SparseRows):
            return with_ones(features) if self.ones else features
        if self.rotation is not None:
            features = features @ self.rotation
        if self.ones or features.shape[1] == 0:
            last = np.full(len(X), 1.0 if self.ones else 0.0)
            features = np.column_stack([features, last])
        return np.ascontiguousarray(features)

    def gate_rows(self, X: Rows) -> Rows:
        """Return the rows that gates see (n_samples, n_features or one more): X with its ones."""
        return with_ones(X) if self.ones else X

    def gates_to_user(self, gates: Array) -> Array:
        """Return gates of X with its ones, given those of its standardised features."""
        if self.scale is None:
            return gates
        weights = gates[: len(self.scale)] / self.scale[:, np.newaxis]
        if not self.ones:
            return weights
        return np.vstack([weights, gates[-1] - self.mean @ weights])

    def to_user(self, U: Array) -> tuple[Array, Array]:
        """Return weights (m, n_features) and biases (m,) of the solver's neurons (m, p)."""
        weights, bias = (U[:, :-1], U[:, -1]) if self.ones else (U, np.zeros(len(U)))
        if self.rotation is not None:
            weights = weights[:, : self.rotation.shape[1]] @ self.rotation.T
        if self.scale is not None:
            weights = weights / self.scale
        return weights, bias - weights @ self.mean

    def skips_to_user(self, skips: Array) -> tuple[Array, Array]:
        """Return skip connections (n_features, c) and constants (c,) of the solver's features."""
        rows = skips.T
        if self.ones:
            rows = np.column_stack([rows, np.zeros(len(rows))])
        weights, constants = self.to_user(rows)
        return weights.T, constants

    def standardized(self, weights: Array, bias: Array) -> tuple[Array, Array]:
        """Return weights and biases of the features that weight decay is about.

        Those of the user where features are not standardised.
        """
        if self.scale is None:
            return weights, bias
        return weights * self.scale, bias + weights @ self.mean

    def to_solver(self, weights: Array, bias: Array) -> Array:
        """Return the solver's neurons (m, p) from the user's weights and biases."""
        bias = bias + weights @ self.mean
        if self.scale is not None:
            weights = weights * self.scale
        if self.rotation is not None:
            weights = weights @ self.rotation
        if self.ones:
            return np.column_stack([weights, bias])
        return weights if weights.shape[1] else np.zeros((len(weights), 1))


def _moments(X: Array, weights: Array) -> tuple[Array, Array]:
    """Return means and standard deviations of columns, 1 for constant ones; weights of sum 1."""
    largest = np.abs(X).max(axis=0)
    units = X / np.where(largest > 0.0, largest, 1.0)  # squares neither overflow nor vanish
    mean = weights @ units
    deviation = np.sqrt(weights @ (units - mean) ** 2)
    scale = np.where(deviation > _ROUNDING, deviation * largest, 1.0)
    return mean * largest, scale
