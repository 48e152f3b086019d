"""The same objective by the usual means.

A trainer takes X, y, beta, bias, width and steps. It raises ImportError where its library is not
installed and NotImplementedError, with the reason, where it cannot take part.
"""

import time
import warnings
from typing import NamedTuple

import numpy as np

import pyconvex
from pyconvex import Network

RATES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)
CLOSE = 1e-3


class Trained(NamedTuple):
    """A network, the seconds it took, and those until its objective was within CLOSE of its end."""

    network: Network
    seconds: float
    close: float = np.nan
    detail: str = ""


def objective(network, X, y, beta, bias):
    """Mean loss + beta/2 (sum of squared decayed weights)."""
    loss = 0.5 * np.mean((y - network.predict(X)) ** 2)
    squares = (network.hidden_weights**2).sum() + (network.output_weights**2).sum()
    if bias == "decayed":
        squares += (network.hidden_bias**2).sum()
    return loss + 0.5 * beta * squares


class TorchNetwork:
    """Weights from a normal distribution, and what they cost."""

    def __init__(self, X, y, beta, bias, width, dtype):
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        d = X.shape[1]
        self.relu, self.beta = torch.relu, beta
        self.X, self.y = torch.tensor(X, dtype=dtype), torch.tensor(y, dtype=dtype)
        self.W = (torch.randn(d, width, dtype=dtype) / d**0.5).requires_grad_()
        self.a = (torch.randn(width, dtype=dtype) / width**0.5).requires_grad_()
        self.b = torch.zeros(width, dtype=dtype, requires_grad=bias != "none")
        self.c = torch.zeros(1, dtype=dtype, requires_grad=bias == "free")
        self.decayed = [self.W, self.a] + [self.b] * (bias == "decayed")
        self.seconds, self.values = [], []

    def parameters(self):
        return [p for p in (self.W, self.a, self.b, self.c) if p.requires_grad]

    def value(self, start):
        """Return the objective, to differentiate, and note it with the seconds since start."""
        hidden = self.X @ self.W
        if self.b.requires_grad:
            hidden = hidden + self.b
        loss = 0.5 * ((self.relu(hidden) @ self.a + self.c - self.y) ** 2).mean()
        value = loss + 0.5 * self.beta * sum((p**2).sum() for p in self.decayed)
        self.values.append(value.item())
        self.seconds.append(time.perf_counter() - start)
        return value

    def trained(self, start, detail=""):
        end = self.value(start).item()
        near = next(i for i, v in enumerate(self.values) if v <= end * (1 + CLOSE))
        W, a, b, c = (p.detach().double().numpy() for p in (self.W, self.a, self.b, self.c))
        network = Network(W.T, b, a, float(c[0]))
        return Trained(network, self.seconds[-1], self.seconds[near], detail)


def adam(X, y, beta, bias, width, steps):
    """PyTorch's Adam, full batch, a cosine schedule, single precision: the best of RATES."""
    runs = [_adam(X, y, beta, bias, width, steps, rate) for rate in RATES]
    return min(runs, key=lambda run: objective(run.network, X, y, beta, bias))


def _adam(X, y, beta, bias, width, steps, rate):
    import torch

    model = TorchNetwork(X, y, beta, bias, width, torch.float32)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    start = time.perf_counter()
    for _ in range(steps):
        optimiser.zero_grad()
        model.value(start).backward()
        optimiser.step()
        schedule.step()
    return model.trained(start, f"rate {rate:g}")


def torch_lbfgs(X, y, beta, bias, width, steps):
    """PyTorch's L-BFGS with strong Wolfe line search, double precision."""
    import torch

    model = TorchNetwork(X, y, beta, bias, width, torch.float64)
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=steps, tolerance_grad=1e-9, tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    start = time.perf_counter()

    def closure():
        optimiser.zero_grad()
        value = model.value(start)
        value.backward()
        return value

    optimiser.step(closure)
    return model.trained(start)


def pyscnn(X, y, beta, bias, width, steps):
    """Convex ReLU training on sampled patterns, as many as width, by an augmented Lagrangian."""
    from scnn import activations, metrics, models, optimize, regularizers, solvers

    if bias == "free":
        raise NotImplementedError("no free biases")
    rows = X if bias == "none" else np.column_stack([X, np.ones(len(X))])
    gates = activations.sample_gate_vectors(0, rows.shape[1], width)
    solver = solvers.AL(models.ConvexReLU(gates), max_primal_iters=steps)
    start = time.perf_counter()
    model, _ = optimize.optimize_model(
        solver.model, solver, metrics.Metrics(), rows, y[:, np.newaxis],
        regularizer=regularizers.NeuronGL1(beta), unitize_data=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    W, a = (np.asarray(p, dtype=float) for p in model.parameters)
    d = X.shape[1]
    b = W[:, d] if bias == "decayed" else np.zeros(len(W))
    return Trained(Network(W[:, :d], b, a.ravel()), seconds)


def sklearn_lbfgs(X, y, beta, bias, width, steps):
    """scikit-learn's MLP trained by L-BFGS."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    if bias != "free":
        raise NotImplementedError("free biases only")
    peer = MLPRegressor(
        hidden_layer_sizes=(width,), solver="lbfgs", alpha=beta * len(y), max_iter=steps,
        tol=1e-6, random_state=0,
    )  # fmt: skip
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(X, y)
    (W, a), (b, c) = peer.coefs_, peer.intercepts_
    return Trained(Network(W.T, b, a[:, 0], float(c[0])), time.perf_counter() - start)


TRAINERS = {
    "torch Adam": adam, "torch L-BFGS": torch_lbfgs, "pyscnn": pyscnn,
    "sklearn MLP, L-BFGS": sklearn_lbfgs,
}  # fmt: skip


def full_program(X, y, beta):
    """The program over all cells, without biases, by cvxpy and Clarabel."""
    import cvxpy as cp

    D = pyconvex.enumerate_patterns(X).to_dense()
    start = time.perf_counter()
    U = [(cp.Variable(X.shape[1]), cp.Variable(X.shape[1])) for _ in D]
    prediction = sum((d[:, np.newaxis] * X) @ (u - v) for d, (u, v) in zip(D, U, strict=True))
    signed = [np.where(d, 1.0, -1.0)[:, np.newaxis] * X for d in D]
    cones = [S @ u >= 0 for S, pair in zip(signed, U, strict=True) for u in pair]
    penalty = sum(cp.norm(u) for pair in U for u in pair)
    loss = 0.5 * cp.sum_squares(y - prediction) / len(y)
    accuracy = {f"tol_{name}": 1e-10 for name in ("gap_abs", "gap_rel", "feas")}
    cp.Problem(cp.Minimize(loss + beta * penalty), cones).solve("CLARABEL", **accuracy)
    seconds = time.perf_counter() - start
    W = np.array([u.value for pair in U for u in pair])
    scale = np.sqrt(np.linalg.norm(W, axis=1))
    W = np.divide(W, scale[:, np.newaxis], out=np.zeros_like(W), where=scale[:, np.newaxis] > 0)
    return Trained(Network(W, np.zeros(len(W)), scale * np.tile([1.0, -1.0], len(D))), seconds)
