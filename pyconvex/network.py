"""Two-layer networks with explicit weights: what a fit returns and predicts with."""

import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyconvex import export
from pyconvex.data import check_bool, check_numbers
from pyconvex.device_network import moved_fields, own_field, predict_on, space_of_fields
from pyconvex.losses import Array
from pyconvex.minimal import minimal_sizes
from pyconvex.namespaces import Space, is_device_array
from pyconvex.rows import Rows, check_rows
from pyconvex.storage import File, read_arrays, write_arrays

if TYPE_CHECKING:
    import onnx
    import torch

_KIND, _VERSION = "pyconvex.Network", 1  # of saved files; a new version where old readers would err


@dataclass(frozen=True, eq=False)
class Network:
    """f(x) = sum_j output_weights_j (hidden_weights_j . x + hidden_bias_j)_+ + output_bias.

    A gated network replaces the ReLU by its gates: neuron j is on where
    gates_j . x + gate_bias_j >= 0. A skip connection adds x . skip. Arrays are copied and
    read-only. They may be of another library than NumPy, such as torch or CuPy, all on one device.

    Parameters
    ----------
    hidden_weights : array, shape (m, n_features)
        Weights w_j of the hidden layer.
    hidden_bias : array, shape (m,)
        Its biases.
    output_weights : array, shape (m,) or (m, n_outputs)
        Weights of the output layer.
    output_bias : float, or array of shape (n_outputs,)
        Constant added to the output. Where output_weights is 2-D a float stands for all outputs.
    gates : array, shape (m, n_features), optional
        Gates; None for ReLU networks.
    gate_bias : array, shape (m,), optional
        Biases of the gates; None for ReLU networks.
    skip : array, shape (n_features,) or (n_features, n_outputs), optional
        Weights from the inputs straight to the output; None for no such connection.

    Raises
    ------
    ValueError, TypeError
        If a field holds something else; the message names it.

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
    output_bias: float | Array = 0.0
    gates: Array | None = None
    gate_bias: Array | None = None
    skip: Array | None = None

    def __post_init__(self) -> None:
        found = space_of_fields({field.name: getattr(self, field.name) for field in fields(self)})
        object.__setattr__(self, "_space", found)
        weights = self._freeze("hidden_weights")
        if weights.ndim != 2:
            raise ValueError(f"hidden_weights must be 2-D, got shape {weights.shape}")
        m, d = weights.shape
        outer = tuple(self._freeze("output_weights").shape)
        if outer[:1] != (m,) or len(outer) > 2 or 0 in outer[1:]:
            raise ValueError(
                f"output_weights must have shape ({m},) or ({m}, n_outputs), got {outer}"
            )
        if (self.gates is None) != (self.gate_bias is None):
            raise ValueError("gates and gate_bias belong together: pass both or neither")
        shapes = {"hidden_bias": (m,), "output_bias": outer[1:], "skip": (d, *outer[1:])}
        for name, shape in (shapes | {"gates": (m, d), "gate_bias": (m,)}).items():
            if getattr(self, name) is not None:
                self._freeze(name, shape)

    def _freeze(self, name: str, shape: tuple[int, ...] | None = None) -> Array:
        """Make a field a read-only float64 array of its own."""
        if self.space is not None:
            return self._place(self.space, name, shape)
        array = np.array(check_numbers(getattr(self, name), name))
        if name == "output_bias" and array.ndim == 0 and shape:
            array = np.full(shape, array)
        if shape is not None and array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        array.flags.writeable = False
        object.__setattr__(self, name, array if array.ndim else float(array))
        return array

    def _place(self, space: Space, name: str, shape: tuple[int, ...] | None) -> Array:
        """Make a field an array of its own on the device; a single output bias stays a float."""
        array: Array = own_field(space, getattr(self, name), name)
        if name == "output_bias" and array.ndim == 0 and shape:
            array = space.full(shape, float(array))
        if shape is not None and tuple(array.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(array.shape)}")
        object.__setattr__(self, name, array if array.ndim else float(array))
        return array

    @property
    def space(self) -> Space | None:
        """Where the weights live; None on the host, as NumPy arrays."""
        space: Space | None = getattr(self, "_space", None)
        return space

    def to_host(self) -> "Network":
        """Return the network with NumPy arrays; itself where it has them."""
        return self if self.space is None else Network(**moved_fields(self, None))

    def to_device(self, like: Any) -> "Network":
        """Return the network with its weights where an array lives.

        Parameters
        ----------
        like : array
            Of the library and on the device to go to. A NumPy array stands for the host.

        Examples
        --------
        >>> from pyconvex import Network
        >>> network = Network([[1.0]], [-1.0], [2.0], 0.5)
        >>> network.to_device(torch.ones(1, device="cuda"))  # doctest: +SKIP
        Network(ReLU, n_neurons=1, n_features=1)
        """
        if not is_device_array(like):
            return self.to_host()
        space = Space.of(like)
        return self if self.space == space else Network(**moved_fields(self, space))

    def __reduce__(self) -> tuple[Any, ...]:
        # by way of __init__: pickle and copy would forget that the arrays are read-only
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    @property
    def n_neurons(self) -> int:
        """Number of hidden neurons."""
        return int(self.hidden_weights.shape[0])

    @property
    def n_features(self) -> int:
        """Number of inputs."""
        return int(self.hidden_weights.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return 1 if self.output_weights.ndim == 1 else int(self.output_weights.shape[1])

    def predict(self, X: ArrayLike) -> Array:
        """Return the output f(x) for each row of X.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data. For arrays of another library than NumPy the output is one too, on their device;
            the weights must be there or be NumPy arrays, which are copied there.

        Returns
        -------
        array, shape (n_samples,), or (n_samples, n_outputs) where output_weights is 2-D

        Raises
        ------
        ValueError, TypeError
            If X is no finite real matrix with the network's features, or on another device than
            the weights: see `to_device`.
        """
        if self.space is not None or is_device_array(X):
            on_device: Array = predict_on(self, X)
            return on_device
        rows = check_rows(X, n_features=self.n_features)
        output: Array = self._hidden(rows) @ self.output_weights + self.output_bias
        return output if self.skip is None else output + rows @ self.skip

    def _hidden(self, X: Rows) -> Array:
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
        that remain are linearly independent: at most n_samples * n_outputs neurons, n_outputs
        less where output biases take part. The weight decay does not rise. An optimal network
        becomes a minimal one (Mishkin & Pilanci 2023). Predictions elsewhere may change. A skip
        connection stays as it is.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
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
        if self.space is not None:
            raise ValueError(
                "the network is on a device, where it cannot be pruned: use network.to_host() and "
                "a NumPy X"
            )
        X = check_rows(X, n_features=self.n_features)
        free = bool(np.any(self.output_bias))
        if free_bias is not None:
            free = check_bool(free_bias, "free_bias")
        norms = np.linalg.norm(self.hidden_weights, axis=1)
        if not free or self.gates is not None:
            norms = np.hypot(norms, self.hidden_bias)
        several = self.output_weights.ndim == 2
        alpha, hidden = self.output_weights, self._hidden(X)
        heights = np.linalg.norm(alpha, axis=1) if several else np.abs(alpha)
        outputs = hidden[:, np.newaxis] * alpha.T if several else hidden * alpha
        factors, shift = minimal_sizes(outputs, norms * heights, constant=free)
        if factors.all():
            return self
        kept = np.flatnonzero(factors)
        roots, halves = np.sqrt(factors[kept]), np.sqrt(norms[kept] / heights[kept])
        inner, outer = roots / halves, roots * halves
        fewer = replace(
            self,
            hidden_weights=self.hidden_weights[kept] * inner[:, np.newaxis],
            hidden_bias=self.hidden_bias[kept] * inner,
            output_weights=(alpha[kept].T * outer).T,
            output_bias=self.output_bias + shift,
            gates=None if self.gates is None else self.gates[kept],
            gate_bias=None if self.gate_bias is None else self.gate_bias[kept],
        )
        return fewer.prune(X, free_bias=free)  # dependencies that rounding hid may show now

    def save(self, path: File) -> None:
        """Write the network to a file: a NumPy npz archive with a version, without pickle.

        Weights on a device are copied to the host, and `load` returns NumPy arrays.

        Parameters
        ----------
        path : str, path or binary file object
            Where to write; an existing file is replaced. The path stays as it is: no ".npz" is
            appended.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> from io import BytesIO
        >>> from pyconvex import Network
        >>> file = BytesIO()
        >>> Network([[1.0]], [-1.0], [2.0], 0.5).save(file)
        >>> _ = file.seek(0)
        >>> Network.load(file)
        Network(ReLU, n_neurons=1, n_features=1)
        """
        host = self.to_host()
        named = {field.name: getattr(host, field.name) for field in fields(self)}
        arrays = {name: np.asarray(value) for name, value in named.items() if value is not None}
        write_arrays(path, _KIND, _VERSION, arrays)

    @classmethod
    def load(cls, path: File) -> "Network":
        """Return the network that `save` wrote, with exactly the same weights.

        Parameters
        ----------
        path : str, path or binary file object
            What `save` was given. A file object must be seekable.

        Returns
        -------
        Network

        Raises
        ------
        ValueError
            If the file is damaged, holds something else or comes from a newer version of
            pyconvex.
        OSError
            If it cannot be read.
        """
        arrays = read_arrays(path, _KIND, _VERSION)
        try:
            return cls(**arrays)
        except TypeError as error:
            raise ValueError(f"{path} holds no complete network: {error}") from error

    def to_torch(self) -> "torch.nn.Module":
        """Return a PyTorch module of the same outputs, in float64.

        Returns
        -------
        torch.nn.Module
            `TwoLayerModule` with the layers ``hidden`` and ``output`` and, where the network has
            them, ``gate`` (without gradients) and ``skip``. Outputs have the shape of `predict`'s.

        Raises
        ------
        ImportError
            If torch is missing.

        Examples
        --------
        >>> from pyconvex import Network
        >>> module = Network([[1.0]], [-1.0], [2.0], 0.5).to_torch()  # doctest: +SKIP
        >>> module(torch.tensor([[3.0]], dtype=torch.float64))  # doctest: +SKIP
        tensor([4.5000], dtype=torch.float64, grad_fn=<SqueezeBackward1>)
        """
        return export.to_torch(self.to_host())

    def to_onnx(
        self, path: str | os.PathLike[str] | None = None, *, dtype: DTypeLike = "float64"
    ) -> "onnx.ModelProto":
        """Return an ONNX model of the same outputs.

        The model has opset 17 and IR version 8, which onnxruntime 1.12 and newer read. Its input
        "X" has shape (n_samples, n_features) with any n_samples, its output "y" that of `predict`.

        Parameters
        ----------
        path : str or path, optional
            File to write the model to as well.
        dtype : "float64" or "float32", optional
            Type of input, weights and output. Rounding to float32 can switch the gate of a sample
            that lies next to its boundary.

        Returns
        -------
        onnx.ModelProto

        Raises
        ------
        ImportError
            If onnx is missing.
        ValueError
            If dtype is another type.

        Examples
        --------
        >>> model = network.to_onnx(dtype="float32")  # doctest: +SKIP
        >>> session = onnxruntime.InferenceSession(model.SerializeToString())  # doctest: +SKIP
        >>> (y,) = session.run(["y"], {"X": X.astype("float32")})  # doctest: +SKIP
        """
        return export.to_onnx(self.to_host(), dtype, path)

    def to_sklearn(self, classes: ArrayLike | None = None) -> Any:
        """Return a fitted scikit-learn estimator of the same outputs (ReLU networks only).

        Its hidden layer holds the neurons and, where there is a skip connection, 2 n_features
        more: x = (x)_+ - (-x)_+. A network without neurons becomes one without a hidden layer.

        Parameters
        ----------
        classes : array, shape (n_classes,), optional
            Labels, for a classifier: one per output, whose softmax is the probability; or two for
            one output, whose logistic function is the probability of the second label. Default:
            a regressor.

        Returns
        -------
        sklearn.neural_network.MLPRegressor or MLPClassifier

        Raises
        ------
        ValueError
            If the network is gated, or classes do not fit the outputs.

        Examples
        --------
        >>> from pyconvex import Network
        >>> classifier = Network([[1.0]], [-1.0], [2.0], -1.0).to_sklearn(["no", "yes"])
        >>> classifier.predict([[0.0], [3.0]]).tolist()
        ['no', 'yes']
        """
        return export.to_sklearn(self.to_host(), classes)

    def __repr__(self) -> str:
        kind = "ReLU" if self.gates is None else "gated ReLU"
        with_skip = "" if self.skip is None else " with skip"
        outputs = "" if self.output_weights.ndim == 1 else f", n_outputs={self.n_outputs}"
        return (
            f"Network({kind}{with_skip}, n_neurons={self.n_neurons}, "
            f"n_features={self.n_features}{outputs})"
        )
