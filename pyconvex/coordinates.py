"""Between the user's features and the solver's: centring, rotation, the ones column."""

from dataclasses import dataclass

import numpy as np

from pyconvex.losses import Array


@dataclass(frozen=True)
class Coordinates:
    """Rows of the solver are ((x - mean) Q, 1), with the parts that a fit needs.

    With an unpenalised bias the features are centred, which keeps biases small and changes
    nothing else. With fewer samples than features, or dependent features, the orthonormal
    columns of Q span the rows: optimal weights lie there, and norms are unchanged.

    Attributes
    ----------
    mean : array, shape (n_features,)
        Zero where a bias is decayed or absent.
    rotation : array, shape (n_features, rank) or None
        Q.
    ones : bool
        Whether a column of ones follows.
    """

    mean: Array
    rotation: Array | None
    ones: bool

    @classmethod
    def of(cls, X: Array, bias: str, *, centred: bool) -> "Coordinates":
        """Choose the coordinates for data X (n_samples, n_features)."""
        mean = X.mean(axis=0) if centred else np.zeros(X.shape[1])
        rotation = None
        if len(X) <= X.shape[1]:
            _, sizes, directions = np.linalg.svd(X - mean, full_matrices=False)
            small = sizes <= 1e-12 * max(float(sizes[0]), np.finfo(float).tiny)
            rotation = np.ascontiguousarray(directions[~small].T)
        return cls(mean, rotation, bias != "none")

    def rows(self, X: Array) -> Array:
        """Return the solver's rows (n_samples, p)."""
        features = X - self.mean if self.mean.any() else X
        if self.rotation is not None:
            features = features @ self.rotation
        if self.ones or features.shape[1] == 0:
            last = np.full(len(X), 1.0 if self.ones else 0.0)
            features = np.column_stack([features, last])
        return np.ascontiguousarray(features)

    def gate_rows(self, X: Array) -> Array:
        """Return the rows that gates see (n_samples, n_features or one more): X with its ones."""
        return np.column_stack([X, np.ones(len(X))]) if self.ones else X

    def to_user(self, U: Array) -> tuple[Array, Array]:
        """Return weights (m, n_features) and biases (m,) of the solver's neurons (m, p)."""
        weights, bias = (U[:, :-1], U[:, -1]) if self.ones else (U, np.zeros(len(U)))
        if self.rotation is not None:
            weights = weights[:, : self.rotation.shape[1]] @ self.rotation.T
        return weights, bias - weights @ self.mean

    def to_solver(self, weights: Array, bias: Array) -> Array:
        """Return the solver's neurons (m, p) from the user's weights and biases."""
        bias = bias + weights @ self.mean
        if self.rotation is not None:
            weights = weights @ self.rotation
        if self.ones:
            return np.column_stack([weights, bias])
        return weights if weights.shape[1] else np.zeros((len(weights), 1))
