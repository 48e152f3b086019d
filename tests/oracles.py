"""Slow, plain and independent: what the library's results are compared with."""

import itertools

import numpy as np
from scipy.optimize import nnls
from scipy.special import entr, xlogy

from pyconvex import PatternSet
from pyconvex.losses import Huber, Quantile


def golden():
    """X, y and beta of the golden values: eight rows in general position in three dimensions."""
    X = np.random.default_rng(0).standard_normal((8, 3))
    return X, np.random.default_rng(1).standard_normal(8), 0.15 / 8


def teacher(n, d, seed=0):
    """A noisy sum of three ReLU neurons."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.maximum(X @ rng.standard_normal((d, 3)), 0.0) @ [1.0, -1.0, 1.0]
    return X, y + 0.1 * rng.standard_normal(n)


def ones(X):
    return np.column_stack([X, np.ones(len(X))])


def all_cells(X):
    """Every cell touches a vertex, where d-1 hyperplanes meet: step off each to all sides."""
    n, d = X.shape
    gates = []
    for rows in itertools.combinations(range(n), d - 1):
        A = X[list(rows)]
        vertex = np.linalg.svd(A)[2][-1]
        for sides in itertools.product([-1.0, 1.0], repeat=d - 1):
            step = np.linalg.pinv(A) @ sides
            gates += [sign * vertex + 1e-5 * step for sign in (1.0, -1.0)]
    return PatternSet.from_gates(X, np.array(gates).T)


def squares(network, bias, gated):
    """The sum that weight decay shrinks; only a "decayed" hidden bias is part of it."""
    total = (network.hidden_weights**2).sum() + (network.output_weights**2).sum()
    decayed = bias == "decayed" or (gated and bias == "free")
    return total + (network.hidden_bias**2).sum() if decayed else total


def predict(network, X):
    hidden = X @ network.hidden_weights.T + network.hidden_bias
    linear = network.output_bias + (0.0 if network.skip is None else X @ network.skip)
    if network.gates is None:
        return np.maximum(hidden, 0.0) @ network.output_weights + linear
    on = X @ network.gates.T + network.gate_bias >= 0.0
    return (hidden * on) @ network.output_weights + linear


def objective(result, X, y, bias, gated=False, weights=None):
    """Mean loss + beta/2 (sum of squares), from the network's weights."""
    weights = np.full(len(X), 1.0 / len(X)) if weights is None else weights / np.sum(weights)
    loss = 0.5 * weights @ (y - predict(result.network, X)) ** 2
    return loss + 0.5 * result.beta * squares(result.network, bias, gated)


def dual_norms(X, z, dense, cones, free_bias=False):
    """The norm of X'D_g z for each pattern, projected onto the cells where there are cones.

    The projection onto {u: A u >= 0} has norm min ||q + A'm|| over m >= 0. With a free bias the
    last coordinate must vanish instead of being small: it gets a heavy weight.
    """
    scale = np.append(np.ones(X.shape[1] - 1), 1e4 if free_bias else 1.0)
    norms = []
    for pattern in dense:
        q = X.T @ (pattern * z)
        if not cones:
            norms.append([np.linalg.norm(q)])
            continue
        A = np.where(pattern, 1.0, -1.0)[:, np.newaxis] * X
        norms.append([nnls((A * scale).T, -sign * q * scale)[1] for sign in (1, -1)])
    return np.array(norms)


def dual_norm(X, z, dense, cones, free_bias=False):
    """N(z), the largest of those."""
    return dual_norms(X, z, dense, cones, free_bias).max()


def dual_objective(z, y, weights, limit):
    """The largest dual objective among t z, |t| <= limit, for half the squared error."""
    t = np.clip(z @ y / (z @ (z / weights)), -limit, limit)
    return t * z @ y - 0.5 * t * t * z @ (z / weights)


def conic_losses(name, f, y):
    """The losses of all samples in cvxpy; "huber" with delta 0.5, "quantile" with tau 0.7."""
    import cvxpy as cp

    return {
        "squared": lambda: 0.5 * cp.square(f - y),
        "huber": lambda: 0.5 * cp.huber(f - y, 0.5),
        "quantile": lambda: cp.maximum(0.7 * (y - f), -0.3 * (y - f)),
        "poisson": lambda: cp.exp(f) - cp.multiply(y, f) + xlogy(y, y) - y,
        "logistic": lambda: cp.logistic(-cp.multiply(y, f)),
        "squared_hinge": lambda: 0.5 * cp.square(cp.pos(1 - cp.multiply(y, f))),
        "hinge": lambda: cp.pos(1 - cp.multiply(y, f)),
    }[name]()


def losses(name, f, y):
    """The same in NumPy."""
    error, margin = f - y, y * f
    return {
        "squared": lambda: 0.5 * error**2,
        "huber": lambda: np.where(abs(error) < 0.5, 0.5 * error**2, 0.5 * abs(error) - 0.125),
        "quantile": lambda: np.where(error < 0, -0.7 * error, 0.3 * error),
        "poisson": lambda: np.exp(f) - y * f + xlogy(y, y) - y,
        "logistic": lambda: np.log1p(np.exp(-margin)),
        "squared_hinge": lambda: 0.5 * np.maximum(1 - margin, 0) ** 2,
        "hinge": lambda: np.maximum(1 - margin, 0),
    }[name]()


def dual_value(name, z, y, s):
    """D(z) by the formulas of each loss; minus infinity outside the domain."""
    q, p = z / s, y * z / s
    value, inside = {
        "squared": lambda: (y * q - 0.5 * q**2, q < np.inf),
        "huber": lambda: (y * q - 0.5 * q**2, abs(q) <= 0.5 + 1e-9),
        "quantile": lambda: (y * q, (q >= -0.3 - 1e-9) & (q <= 0.7 + 1e-9)),
        "poisson": lambda: (
            -xlogy(abs(y - q), abs(y - q)) + (y - q) + xlogy(y, y) - y,
            y - q >= -1e-12,
        ),
        "logistic": lambda: (entr(abs(p)) + entr(abs(1 - p)), (p >= 0) & (p <= 1)),
        "squared_hinge": lambda: (p - 0.5 * p**2, p >= 0),
        "hinge": lambda: (p, (p >= -1e-9) & (p <= 1 + 1e-9)),
    }[name]()
    return s @ value if inside.all() else -np.inf


def targets(name, f, seed=0):
    """Targets that fit a loss: two classes, counts or noisy values of f."""
    rng = np.random.default_rng(seed)
    if name in ("logistic", "squared_hinge", "hinge"):
        return np.where(f + 0.5 * rng.standard_normal(len(f)) > np.median(f), 1.0, -1.0)
    if name == "poisson":
        return rng.poisson(np.exp(np.clip(f, -2, 2))).astype(float)
    return f + 0.1 * rng.standard_t(2, len(f))


LOSSES = ("huber", "quantile", "poisson", "logistic", "squared_hinge", "hinge")


def loss_object(name):
    """What to pass as ``loss``, with the parameters of the formulas above."""
    return {"huber": Huber(0.5), "quantile": Quantile(0.7)}.get(name, name)


def conic_optimum(
    X, y, dense, beta, cones, intercept=False, free_bias=False, weights=None, ridge=0.0,
    group_weights=None, loss="squared", skip="none", skip_columns=None,
    digits=None,
):  # fmt: skip
    """The optimum of the program over given patterns, by cvxpy and Clarabel.

    ``skip``: "free" or "decayed" adds ``skip_columns @ c``. ``digits``: what Clarabel goes for.
    """
    import cvxpy as cp

    weights = np.ones(len(X)) if weights is None else np.asarray(weights)
    kept = weights > 0
    X, y, dense, weights = X[kept], y[kept], dense[:, kept], weights[kept]
    b = cp.Variable() if intercept else 0.0
    prediction, penalty, constraints = b, 0.0, []
    if skip != "none":
        c = cp.Variable(skip_columns.shape[1])
        prediction = prediction + skip_columns[kept] @ c
        penalty = beta * cp.norm(c) if skip == "decayed" else 0.0
    omega = np.ones(len(dense)) if group_weights is None else group_weights
    groups = itertools.product(zip(dense, omega, strict=True), (1.0, -1.0) if cones else (1.0,))
    for (pattern, weight), sign in groups:
        u = cp.Variable(X.shape[1])
        prediction = prediction + sign * (pattern[:, np.newaxis] * X) @ u
        penalty = penalty + beta * weight * cp.norm(u[:-1] if free_bias else u)
        penalty = penalty + 0.5 * ridge * cp.sum_squares(u)
        if cones:
            constraints.append((np.where(pattern, 1.0, -1.0)[:, np.newaxis] * X) @ u >= 0)
    total = weights / weights.sum() @ conic_losses(loss, prediction, y)
    digits = digits or (1e-10 if loss == "squared" else 1e-8)
    accuracy = {f"tol_{name}": digits for name in ("gap_abs", "gap_rel", "feas")}
    return cp.Problem(cp.Minimize(total + penalty), constraints).solve("CLARABEL", **accuracy)
