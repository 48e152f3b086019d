"""Networks for other libraries: PyTorch modules, ONNX models, scikit-learn estimators."""

import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyconvex.config import __version__
from pyconvex.losses import Array

if TYPE_CHECKING:
    import onnx
    import torch

ONNX_OPSET = 17  # with IR version 8: read by onnxruntime 1.12 and newer
_ONNX_IR = 8


class _Network(Protocol):
    """What is exported: the arrays of `pyconvex.Network`, which imports this module."""

    @property
    def hidden_weights(self) -> Array: ...
    @property
    def hidden_bias(self) -> Array: ...
    @property
    def output_weights(self) -> Array: ...
    @property
    def output_bias(self) -> float | Array: ...
    @property
    def gates(self) -> Array | None: ...
    @property
    def gate_bias(self) -> Array | None: ...
    @property
    def skip(self) -> Array | None: ...
    @property
    def n_outputs(self) -> int: ...


def to_torch(network: _Network) -> "torch.nn.Module":
    """Return a network as a PyTorch module; see `pyconvex.Network.to_torch`."""
    try:
        import torch

        from pyconvex.torch_module import TwoLayerModule
    except ImportError as error:
        raise ImportError("Network.to_torch needs PyTorch: pip install torch") from error
    m, d = network.hidden_weights.shape
    module = TwoLayerModule(
        d,
        m,
        None if network.output_weights.ndim == 1 else network.n_outputs,
        gated=network.gates is not None,
        skip=network.skip is not None,
    )
    arrays = {
        "hidden.weight": network.hidden_weights,
        "hidden.bias": network.hidden_bias,
        "gate.weight": network.gates,
        "gate.bias": network.gate_bias,
        "output.weight": _columns(network.output_weights).T,
        "output.bias": np.atleast_1d(network.output_bias),
        "skip.weight": None if network.skip is None else _columns(network.skip).T,
    }
    module.load_state_dict(
        {name: torch.from_numpy(np.array(a)) for name, a in arrays.items() if a is not None}
    )
    return module


def to_onnx(
    network: _Network, dtype: DTypeLike, path: str | os.PathLike[str] | None
) -> "onnx.ModelProto":
    """Return a network as an ONNX model; see `pyconvex.Network.to_onnx`."""
    precision = _precision(dtype)
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise ImportError('Network.to_onnx needs onnx: pip install "pyconvex[onnx]"') from error
    steps, constants = _onnx_steps(network)
    kind = helper.np_dtype_to_tensor_dtype(precision)
    columns = list(network.output_weights.shape[1:])
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, [output]) for operator, inputs, output in steps],
        "pyconvex",
        [helper.make_tensor_value_info("X", kind, ["n_samples", network.hidden_weights.shape[1]])],
        [helper.make_tensor_value_info("y", kind, ["n_samples", *columns])],
        [numpy_helper.from_array(a.astype(precision), name) for name, a in constants.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", ONNX_OPSET)],
        ir_version=_ONNX_IR,
        producer_name="pyconvex",
        producer_version=__version__,
    )
    if path is not None:
        onnx.save(model, os.fspath(path))
    return model


def _precision(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        name = np.dtype(dtype).name
    except (TypeError, ValueError):
        name = ""
    if name not in ("float64", "float32"):
        raise ValueError(f'dtype must be "float64" or "float32", got {dtype!r}')
    precision: np.dtype[Any] = np.dtype(name)
    return precision


def _onnx_steps(
    network: _Network,
) -> tuple[list[tuple[str, list[str], str]], dict[str, NDArray[Any]]]:
    """Return (operator, inputs, output) of each node, and the constants among the inputs."""
    constants: dict[str, NDArray[Any]] = {
        "output_weights": network.output_weights,
        "output_bias": np.asarray(network.output_bias),
    }
    if len(network.hidden_weights) == 0:  # runtimes differ on products over no elements
        skip = network.skip
        if skip is None:
            skip = np.zeros((network.hidden_weights.shape[1], *network.output_weights.shape[1:]))
        constants["output_weights"] = skip
        linear = ("MatMul", ["X", "output_weights"], "linear")
        return [linear, ("Add", ["linear", "output_bias"], "y")], constants
    constants |= {"hidden_weights": network.hidden_weights.T, "hidden_bias": network.hidden_bias}
    steps = [
        ("MatMul", ["X", "hidden_weights"], "hidden_linear"),
        ("Add", ["hidden_linear", "hidden_bias"], "hidden"),
    ]
    if network.gates is None or network.gate_bias is None:
        steps += [("Relu", ["hidden"], "passed")]
    else:
        constants |= {
            "gates": network.gates.T,
            "gate_bias": network.gate_bias,
            "zero": np.zeros(()),
        }
        steps += [
            ("MatMul", ["X", "gates"], "gate_linear"),
            ("Add", ["gate_linear", "gate_bias"], "gate"),
            ("GreaterOrEqual", ["gate", "zero"], "on"),
            ("Where", ["on", "hidden", "zero"], "passed"),
        ]
    steps += [("MatMul", ["passed", "output_weights"], "output")]
    if network.skip is not None:
        constants["skip"] = network.skip
        steps += [("MatMul", ["X", "skip"], "linear"), ("Add", ["output", "linear"], "sum")]
    return [*steps, ("Add", [steps[-1][2], "output_bias"], "y")], constants


def to_sklearn(network: _Network, classes: ArrayLike | None) -> Any:
    """Return a network as a scikit-learn estimator; see `pyconvex.Network.to_sklearn`."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if network.gates is not None:
        raise ValueError(
            "a gated network has no counterpart in scikit-learn: use to_torch or to_onnx"
        )
    layers = _relu_layers(network)
    d, widths = len(layers[0][0]), tuple(len(bias) for _, bias in layers[:-1])
    # One step on rows of zeros: a fitted estimator without touching its private parts.
    if classes is None:
        model = MLPRegressor(hidden_layer_sizes=widths, random_state=0)
        targets = np.zeros((1, network.n_outputs))
        model.partial_fit(np.zeros((1, d)), targets if network.n_outputs > 1 else targets[0])
    else:
        labels = np.asarray(classes)
        layers[-1] = _class_scores(*layers[-1], labels)
        model = MLPClassifier(hidden_layer_sizes=widths, random_state=0)
        model.partial_fit(np.zeros((len(labels), d)), labels, classes=labels)
    for k, (weights, bias) in enumerate(layers):
        model.coefs_[k][...], model.intercepts_[k][...] = weights, bias
    return model


def _relu_layers(network: _Network) -> list[tuple[Array, Array]]:
    """Return weights (inputs, outputs) and biases of each layer of a ReLU network.

    A skip goes through the hidden layer, x = (x)_+ - (-x)_+. Without neurons there is none.
    """
    W, b = network.hidden_weights.T, network.hidden_bias
    A, c = _columns(network.output_weights), np.atleast_1d(network.output_bias)
    d = len(W)
    S = np.zeros((d, network.n_outputs)) if network.skip is None else _columns(network.skip)
    if len(b) == 0:
        return [(S, c)]
    if network.skip is not None:
        W, b = np.hstack([W, np.eye(d), -np.eye(d)]), np.append(b, np.zeros(2 * d))
        A = np.vstack([A, S, -S])
    return [(W, b), (A, c)]


def _class_scores(A: Array, c: Array, labels: NDArray[Any]) -> tuple[Array, Array]:
    """Return the output layer of a classifier, whose classes are sorted.

    Two classes have one output: the score of the larger label less that of the other one.
    """
    n_outputs = A.shape[1]
    if labels.ndim != 1 or len(labels) < 2 or len(np.unique(labels)) < len(labels):
        raise ValueError(f"classes must be a 1-D array of two or more distinct labels: {labels!r}")
    if len(labels) != max(n_outputs, 2):
        raise ValueError(
            f"classes has {len(labels)} labels but the network has n_outputs={n_outputs}: "
            "pass one label per output, or two for one output"
        )
    if n_outputs == 1:
        A, c = np.hstack([np.zeros_like(A), A]), np.append(0.0, c)
    order = np.argsort(labels)
    A, c = A[:, order], c[order]
    return (A, c) if len(labels) > 2 else (A[:, 1:] - A[:, :1], c[1:] - c[:1])


def _columns(array: Array) -> Array:
    return array[:, np.newaxis] if array.ndim == 1 else array
