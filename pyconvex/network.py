"""Two-layer networks with explicit weights: what a fit returns and predicts with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.data import check_bool, check_matrix
from pyconvex.losses import Array
from pyconvex.minimal import minimal_sizes


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
        output: Array = self._hidden(X) @ self.output_weights + self.output_bias
        return output

    def _hidden(self, X: Array) -> Array:
        """Return what the hidden layer passes on, (n_samples, m)."""
        hidden = X @ self.hidden_weights.T + self.hidden_bias
        if self.gates is None:
            on: NDArray[np.bool_] = hidden > 0.0
        else:
            on = X @ self.gates.T + self.gate_bias >= 0.0
        return np.where(on, hidden, 0.0)

    def prune(self, X: ArrayLike, *, free_bias: bool | None = None) -> "Network":
        """Return a network of fewer neurons with the same predictions on X.

        Neurons are rescaled along linear dependencies of their outputs on X until the outputs
        that remain are linearly independent: at most n_samples neurons, one less where an output
        bias takes part. The weight decay does not rise. An optimal network becomes a minimal one
        (Mishkin & Pilanci 2023). Predictions elsewhere may change.

        Parameters
        ----------
        X : array, shape (n_samples, n_features)
            Data on which predictions stay the same, to rounding.
        free_bias : bool, optional
            Whether the network was trained with ``bias="free"``: the output bias may change, and
            hidden biases (of ReLU networks) are without weight decay. Default: whether there is an
            output bias.

        Returns
        -------
        Network
            Balanced: hidden and output weights of a neuron have the same norm. This network
            itself where nothing depends on each other.

        Raises
        ------
        ValueError, TypeError
            If an argument is wrong; the message names it.

        Examples
        --------
        >>> from pyconvex import Network
        >>> split = Network([[1.0], [2.0]], [0.0, 0.0], [1.0, 2.0])
        >>> split.prune([[1.0], [3.0]])
        Network(ReLU, n_neurons=1, n_features=1)
        """
        X = check_matrix(X, n_features=self.n_features)
        free = self.output_bias != 0.0 if free_bias is None else check_bool(free_bias, "free_bias")
        norms = np.linalg.norm(self.hidden_weights, axis=1)
        if not free or self.gates is not None:
            norms = np.hypot(norms, self.hidden_bias)
        heights = np.abs(self.output_weights)
        outputs = self._hidden(X) * self.output_weights
        factors, shift = minimal_sizes(outputs, norms * heights, constant=free)
        if factors.all():
            return self
        kept = np.flatnonzero(factors)
        roots, halves = np.sqrt(factors[kept]), np.sqrt(norms[kept] / heights[kept])
        inner, outer = roots / halves, roots * halves
        fewer = Network(
            self.hidden_weights[kept] * inner[:, np.newaxis],
            self.hidden_bias[kept] * inner,
            self.output_weights[kept] * outer,
            self.output_bias + shift,
            None if self.gates is None else self.gates[kept],
            None if self.gate_bias is None else self.gate_bias[kept],
        )
        return fewer.prune(X, free_bias=free)  # dependencies that rounding hid may show now

    def __repr__(self) -> str:
        kind = "ReLU" if self.gates is None else "gated ReLU"
        return f"Network({kind}, n_neurons={self.n_neurons}, n_features={self.n_features})"
