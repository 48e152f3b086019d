"""The commands ``pyconvex demo`` and ``pyconvex info``."""

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyconvex.backends import get_backend
from pyconvex.config import __version__, show_config
from pyconvex.fit import fit
from pyconvex.fitted import Fit
from pyconvex.losses import Array
from pyconvex.network import Network

_BETA = {"breast_cancer": 0.05, "diabetes": 0.1}  # seconds on one core, and good test scores
_WIDTH = 100  # hidden neurons of scikit-learn's network, its default
_TIME_LIMIT = 30.0  # seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, or 1 where a solve stopped early."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "info":
        show_config()
        return 0
    try:
        get_backend(arguments.backend)
    except ImportError as error:
        parser.error(str(error))
    return _demo(arguments.data, arguments.backend)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyconvex", description="Train ReLU networks by convex optimisation."
    )
    parser.add_argument("--version", action="version", version=f"pyconvex {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="show version, backends, compiler and threads")
    demo = commands.add_parser("demo", help="train on a small data set, beside scikit-learn's MLP")
    demo.add_argument("--data", choices=tuple(_BETA), default="breast_cancer")
    demo.add_argument("--backend", choices=("auto", "native", "jit"), default="auto")
    return parser


@dataclass(frozen=True)
class _Data:
    """A train/test split, standardised by the training rows."""

    name: str
    X: Array
    y: Array
    X_test: Array
    y_test: Array
    beta: float

    @classmethod
    def load(cls, name: str) -> "_Data":
        from sklearn import datasets
        from sklearn.model_selection import train_test_split

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
        X, X_test = (X - X.mean(axis=0)) / X.std(axis=0), (X_test - X.mean(axis=0)) / X.std(axis=0)
        if name == "breast_cancer":
            y, y_test = 2.0 * y - 1.0, 2.0 * y_test - 1.0
        else:
            y, y_test = (y - y.mean()) / y.std(), (y_test - y.mean()) / y.std()
        return cls(name, X, y, X_test, y_test, _BETA[name])

    @property
    def score_name(self) -> str:
        return "accuracy" if self.name == "breast_cancer" else "R2"

    def score(self, network: Network) -> float:
        """Return the accuracy of the sign, or R2, on the test rows."""
        prediction = network.predict(self.X_test)
        if self.name == "breast_cancer":
            return float(np.mean(np.sign(prediction) == self.y_test))
        errors = ((self.y_test - prediction) ** 2).sum()
        return 1.0 - float(errors / ((self.y_test - self.y_test.mean()) ** 2).sum())

    def objective(self, network: Network) -> float:
        """Return what both methods minimise, from the weights: biases carry no decay."""
        loss = 0.5 * np.mean((self.y - network.predict(self.X)) ** 2)
        squares = (network.hidden_weights**2).sum() + (network.output_weights**2).sum()
        return float(loss + 0.5 * self.beta * squares)


def _demo(name: str, backend: str) -> int:
    data = _Data.load(name)
    print(
        f"{name}: {len(data.y)} training rows, {len(data.y_test)} test rows, "
        f"{data.X.shape[1]} features, weight decay beta = {data.beta:g}"
    )
    fit([[0.0], [1.0]], [0.0, 1.0], random_state=0, backend=backend)  # numba compiles once
    result = fit(
        data.X, data.y, beta=data.beta, random_state=0, time_limit=_TIME_LIMIT, backend=backend
    )
    start = time.perf_counter()
    peer = _sklearn_network(data)
    seconds = time.perf_counter() - start
    rows = [
        ("method", "objective", "certificate", "gap", "neurons", data.score_name, "seconds"),
        _row("pyconvex.fit", data, result.network, result.seconds, result),
        _row("sklearn MLP, L-BFGS", data, peer, seconds),
    ]
    print(_table(rows))
    if result.certificate == "local":
        print("local: the gap is an estimate by local search for a neuron that would help")
    if result.status != "optimal":
        print(f"pyconvex.fit stopped early: {result.status}", file=sys.stderr)
        return 1
    return 0


def _sklearn_network(data: _Data) -> Network:
    """Train scikit-learn's MLP on the same objective; alpha / n is our beta."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    peer = MLPRegressor(
        hidden_layer_sizes=(_WIDTH,), solver="lbfgs", alpha=data.beta * len(data.y),
        max_iter=1000, tol=1e-6, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(data.X, data.y)
    (W, a), (b, c) = peer.coefs_, peer.intercepts_
    return Network(W.T, b, a[:, 0], float(c[0]))


def _row(
    method: str, data: _Data, network: Network, seconds: float, result: Fit | None = None
) -> tuple[str, ...]:
    sizes = np.linalg.norm(network.hidden_weights, axis=1) * np.abs(network.output_weights)
    return (
        method,
        f"{data.objective(network):.7f}",
        result.certificate if result else "none",
        f"{result.gap:.0e}" if result else "-",
        str(int((sizes > 1e-6 * sizes.max(initial=0.0)).sum())),
        f"{data.score(network):.3f}",
        f"{seconds:.2f}",
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Align columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if j else cell.ljust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
