"""The same objective by the usual means.

A trainer takes X, y, beta, bias, width, steps and seconds (of wall time, for each of its runs). It
raises ImportError where its library is not installed and NotImplementedError, with the reason,
where it cannot take part.
"""

import logging
import time
import warnings
from typing import NamedTuple

import numpy as np

from pyconvex import Network

RATES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)
CLOSE = 1e-3


class Trained(NamedTuple):
    """A network, wall and CPU seconds of its run, what its run was, and how its objective fell."""

    network: Network
    seconds: float
    cpu: float
    detail: str = ""
    curve: tuple[tuple[float, float], ...] = ()  # wall seconds and objective


class OutOfTimeError(Exception):
    """A run is as long as it may be."""


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
        self.start, self.cpu = time.perf_counter(), time.process_time()

    def parameters(self):
        return [p for p in (self.W, self.a, self.b, self.c) if p.requires_grad]

    def value(self):
        """Return the objective, to differentiate, and note it with the seconds since the start."""
        hidden = self.X @ self.W
        if self.b.requires_grad:
            hidden = hidden + self.b
        loss = 0.5 * ((self.relu(hidden) @ self.a + self.c - self.y) ** 2).mean()
        value = loss + 0.5 * self.beta * sum((p**2).sum() for p in self.decayed)
        self.values.append(value.item())
        self.seconds.append(time.perf_counter() - self.start)
        return value

    def trained(self, detail=""):
        self.value()
        cpu = time.process_time() - self.cpu
        W, a, b, c = (p.detach().double().numpy() for p in (self.W, self.a, self.b, self.c))
        network = Network(W.T, b, a, float(c[0]))
        curve = tuple(zip(self.seconds, self.values, strict=True))
        return Trained(network, self.seconds[-1], cpu, detail, curve)


def adam(X, y, beta, bias, width, steps, seconds):
    """PyTorch's Adam, full batch, a cosine schedule, single precision: the best of RATES."""
    runs = [_adam(X, y, beta, bias, width, steps, seconds, rate) for rate in RATES]
    return min(runs, key=lambda run: objective(run.network, X, y, beta, bias))


def _adam(X, y, beta, bias, width, steps, seconds, rate):
    import torch

    model = TorchNetwork(X, y, beta, bias, width, torch.float32)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    detail = f"rate {rate:g}"
    for step in range(steps):
        if step and model.seconds[-1] > seconds:
            detail += f", stopped at step {step} of {steps}"
            break
        optimiser.zero_grad()
        model.value().backward()
        optimiser.step()
        schedule.step()
    return model.trained(detail)


def torch_lbfgs(X, y, beta, bias, width, steps, seconds):
    """PyTorch's L-BFGS with strong Wolfe line search, double precision."""
    import torch

    model = TorchNetwork(X, y, beta, bias, width, torch.float64)
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=steps, tolerance_grad=1e-9, tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        if model.seconds and model.seconds[-1] > seconds:
            raise OutOfTimeError
        optimiser.zero_grad()
        value = model.value()
        value.backward()
        return value

    try:
        optimiser.step(closure)
    except OutOfTimeError:
        return model.trained("stopped")
    return model.trained()


def pyscnn(X, y, beta, bias, width, steps, seconds):
    """Its augmented Lagrangian on as many sampled patterns as width; ever more iterations."""
    from scnn import activations, metrics, models, optimize, regularizers, solvers

    if bias == "free":
        raise NotImplementedError("no free biases")
    logging.getLogger("scnn").setLevel(logging.ERROR)
    rows = X if bias == "none" else np.column_stack([X, np.ones(len(X))])
    d, gates = X.shape[1], activations.sample_gate_vectors(0, rows.shape[1], width)
    wall, cpu, curve = time.perf_counter(), time.process_time(), []
    for n_primal, n_dual in ((30, 3), (100, 10), (300, 30), (1000, 100), (steps, 1000)):
        limits = {"max_primal_iters": n_primal, "max_dual_iters": n_dual}
        solver = solvers.AL(models.ConvexReLU(gates), **limits)
        model, _ = optimize.optimize_model(
            solver.model, solver, metrics.Metrics(), rows, y[:, np.newaxis],
            regularizer=regularizers.NeuronGL1(beta), unitize_data=False,
        )  # fmt: skip
        W, a = (np.asarray(p, dtype=float) for p in model.parameters)
        b = W[:, d] if bias == "decayed" else np.zeros(len(W))
        network = Network(W[:, :d], b, a.ravel())
        spent = time.perf_counter() - wall
        curve.append((spent, objective(network, X, y, beta, bias)))
        if 4 * spent > seconds:  # the next one takes some ten times as long
            break
    detail = f"{n_primal} x {n_dual} iterations"
    return Trained(network, spent, time.process_time() - cpu, detail, tuple(curve))


def sklearn_lbfgs(X, y, beta, bias, width, steps, seconds):
    """scikit-learn's MLP trained by L-BFGS."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    if bias != "free":
        raise NotImplementedError("free biases only")
    peer = MLPRegressor(
        hidden_layer_sizes=(width,), solver="lbfgs", alpha=beta * len(y), max_iter=steps,
        tol=1e-6, random_state=0,
    )  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(X, y)
    (W, a), (b, c) = peer.coefs_, peer.intercepts_
    network = Network(W.T, b, a[:, 0], float(c[0]))
    return Trained(network, time.perf_counter() - wall, time.process_time() - cpu)


TRAINERS = {
    "Adam": adam, "L-BFGS": torch_lbfgs, "pyscnn": pyscnn, "sklearn MLP": sklearn_lbfgs,
}  # fmt: skip
