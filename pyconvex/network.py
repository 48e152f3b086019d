"""Two-layer networks with explicit weights: what a fit returns and predicts with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.data import check_matrix
from pyconvex.losses import Array


@dataclass(frozen=True, eq=False)
class Network:
    """f(x) = sum_j output_weights_j (hidden_weights_j . x + hidden_bias_j)_+ + output_bias.

    A gated network replaces the ReLU by its gates: neuron j is on where
    gates_j . x + gate_bias_j >= 0.

    Parameters
    ----------
    hidden_weights : array, shape (m, n_features)
        Weights w_j of the hidden layer.
    hidden_bias : array, shape (m,)
        Its biases.
    output_weights : array, shape (m,)
        Weights of the output layer.
    output_bias : float
        Constant added to the output.
    gates : array, shape (m, n_features), optional
        Gates; None for ReLU networks.
    gate_bias : array, shape (m,), optional
        Biases of the gates; None for ReLU networks.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex import Network
    >>> network = Network(np.array([[1.0]]), np.array([-1.0]), np.array([2.0]), 0.5)
    >>> network.predict([[0.0], [3.0]])
    array([0.5, 4.5])
    """

    hidden_weights: Array
    hidden_bias: Array
    output_weights: Array
    output_bias: float = 0.0
    gates: Array | None = None
    gate_bias: Array | None = None
    skip: None = None

    def __post_init__(self) -> None:
        m, d = self._array("hidden_weights", 2).shape
        shapes: dict[str, tuple[int, ...]] = {"hidden_bias": (m,), "output_weights": (m,)}
        if (self.gates is None) != (self.gate_bias is None):
            raise ValueError("gates and gate_bias belong together: pass both or neither")
        if self.gates is not None:
            shapes |= {"gates": (m, d), "gate_bias": (m,)}
        for name, shape in shapes.items():
            found = self._array(name, len(shape)).shape
            if found != shape:
                raise ValueError(f"{name} must have shape {shape}, got {found}")

    def _array(self, name: str, ndim: int) -> Array:
        """Freeze a field as a read-only float64 array of its own."""
        array = np.array(getattr(self, name), dtype=np.float64)
        if array.ndim != ndim:
            raise ValueError(f"{name} must be {ndim}-D, got shape {array.shape}")
        array.flags.writeable = False
        object.__setattr__(self, name, array)
        return array

    @property
    def n_neurons(self) -> int:
        """Number of hidden neurons."""
        return len(self.output_weights)

    @property
    def n_features(self) -> int:
        """Number of inputs."""
        return int(self.hidden_weights.shape[1])

    def predict(self, X: ArrayLike) -> Array:
        """Return the output f(x) for each row of X.

        Parameters
        ----------
        X : array, shape (n_samples, n_features)
            Data.

        Returns
        -------
        array, shape (n_samples,)

        Raises
        ------
        ValueError, TypeError
            If X is no finite real matrix with the network's features.
        """
        X = check_matrix(X, n_features=self.n_features)
        hidden = X @ self.hidden_weights.T + self.hidden_bias
        if self.gates is None:
            on: NDArray[np.bool_] = hidden > 0.0
        else:
            on = X @ self.gates.T + self.gate_bias >= 0.0
        output: Array = np.where(on, hidden, 0.0) @ self.output_weights + self.output_bias
        return output

    def __repr__(self) -> str:
        kind = "ReLU" if self.gates is None else "gated ReLU"
        return f"Network({kind}, n_neurons={self.n_neurons}, n_features={self.n_features})"
