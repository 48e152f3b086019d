"""Between the user's features and the solver's on a device: scale, centring, the ones column."""

from dataclasses import dataclass, replace
from typing import Any

from pyconvex.backends.array import rows_of
from pyconvex.namespaces import DeviceArray, Space

_ROUNDING = 10.0  # a column that varies by less, in units of the precision, is constant


@dataclass(frozen=True)
class ArrayCoordinates:
    """Rows of the solver are (((x - mean) / scale) Q, 1), with the parts that a fit needs.

    See `Coordinates`, which says when features are centred and rotated.

    Attributes
    ----------
    space : Space
        Where the arrays live.
    ones : bool
        Whether a column of ones follows.
    mean : array, shape (n_features,), or None
        None where features are neither standardised nor centred.
    scale : array, shape (n_features,), or None
        None where features are not standardised.
    rotation : array, shape (n_features, rank), or None
        Q.
    """

    space: Space
    ones: bool
    mean: DeviceArray | None = None
    scale: DeviceArray | None = None
    rotation: DeviceArray | None = None

    @classmethod
    def of(
        cls, space: Space, X: DeviceArray, bias: str, standardize: bool, weights: Any
    ) -> "ArrayCoordinates":
        """Choose the coordinates of gated models; moments have ``weights`` of sum 1."""
        if not standardize:
            return cls(space, bias != "none")
        mean, scale = _moments(space, X, weights)
        return cls(space, bias != "none", mean if bias != "none" else mean * 0.0, scale)

    @classmethod
    def of_neurons(
        cls, space: Space, X: DeviceArray, bias: str, standardize: bool, weights: Any
    ) -> "ArrayCoordinates":
        """Choose the coordinates of ReLU networks: those of `Coordinates.of`."""
        coordinates = cls.of(space, X, bias, standardize, weights)
        if bias == "free" and not standardize:
            coordinates = replace(coordinates, mean=space.xp.mean(X, axis=0))
        if X.shape[0] > X.shape[1]:
            return coordinates
        features = coordinates.features(X)
        _, sizes, directions = space.xp.linalg.svd(features, full_matrices=False)
        large = sizes > 1e-12 * float(sizes[0])
        rank = max(int(space.xp.sum(space.xp.astype(large, space.integer))), 1)
        return replace(coordinates, rotation=space.xp.matrix_transpose(directions[:rank, :]))

    def rows(self, X: DeviceArray) -> DeviceArray:
        """Return the solver's rows; features that are not standardised keep their float32."""
        features = self.features(X)
        if self.rotation is not None:
            features = self.space.xp.matmul(features, self.rotation)
        return self.gate_rows(features)

    def features(self, X: DeviceArray) -> DeviceArray:
        """Return (x - mean) / scale."""
        features = X if self.mean is None else self.space.to_double(X) - self.mean
        return features if self.scale is None else features / self.scale

    def gate_rows(self, X: DeviceArray) -> DeviceArray:
        """Return the rows that gates see: X with its ones."""
        if not self.ones:
            return X
        xp = self.space.xp
        column = xp.ones((X.shape[0], 1), dtype=X.dtype, device=self.space.device)
        return xp.concat([X, column], axis=1)

    def gates_to_user(self, gates: DeviceArray) -> DeviceArray:
        """Return gates of X with its ones, given those of its standardised features."""
        if self.scale is None:
            return gates
        d, xp = self.scale.shape[0], self.space.xp
        weights = gates[:d, :] / self.scale[:, None]
        if not self.ones:
            return weights
        last = gates[d:, :] - xp.matmul(self.mean, weights)
        return xp.concat([weights, last], axis=0)

    def to_user(self, U: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
        """Return weights (m, n_features) and biases (m,) of the solver's neurons (m, p)."""
        bias = U[:, -1] if self.ones else self.space.zeros(U.shape[0])
        weights = U[:, :-1] if self.ones else U
        if self.rotation is not None:
            weights = self.space.xp.matmul(weights, self.space.xp.matrix_transpose(self.rotation))
        if self.scale is not None:
            weights = weights / self.scale
        if self.mean is not None:
            bias = bias - self.space.xp.matmul(weights, self.mean)
        return weights, bias

    def standardized(
        self, weights: DeviceArray, bias: DeviceArray
    ) -> tuple[DeviceArray, DeviceArray]:
        """Return weights and biases of the features that weight decay is about."""
        if self.scale is None:
            return weights, bias
        return weights * self.scale, bias + self.space.xp.matmul(weights, self.mean)

    def to_solver(self, weights: DeviceArray, bias: DeviceArray) -> DeviceArray:
        """Return the solver's neurons (m, p) from the user's weights and biases."""
        if self.mean is not None:
            bias = bias + self.space.xp.matmul(weights, self.mean)
        if self.scale is not None:
            weights = weights * self.scale
        if self.rotation is not None:
            weights = self.space.xp.matmul(weights, self.rotation)
        if not self.ones:
            return weights
        return self.space.xp.concat([weights, bias[:, None]], axis=1)


def _moments(space: Space, X: DeviceArray, weights: Any) -> tuple[DeviceArray, DeviceArray]:
    """Return means and standard deviations of columns, 1 for constant ones."""
    xp = space.xp
    largest = space.to_double(xp.max(xp.abs(X), axis=0))
    units = xp.where(largest > 0.0, largest, xp.ones_like(largest))
    mean, squares = space.zeros(X.shape[1]), space.zeros(X.shape[1])
    for part in rows_of(space, *X.shape):
        mean += xp.matmul(weights[part], space.to_double(X[part, :]) / units)
    for part in rows_of(space, *X.shape):
        squares += xp.matmul(weights[part], (space.to_double(X[part, :]) / units - mean) ** 2)
    deviation = xp.sqrt(squares)
    varies = deviation > _ROUNDING * space.eps
    return mean * units, xp.where(varies, deviation * largest, xp.ones_like(largest))
