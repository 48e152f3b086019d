"""Slow, plain and independent: what the library's results are compared with."""

import itertools

import numpy as np
from scipy.optimize import nnls

from pyconvex import PatternSet


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
    if network.gates is None:
        return np.maximum(hidden, 0.0) @ network.output_weights + network.output_bias
    on = X @ network.gates.T + network.gate_bias >= 0.0
    return (hidden * on) @ network.output_weights + network.output_bias


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


def conic_optimum(
    X, y, dense, beta, cones, intercept=False, free_bias=False, weights=None, ridge=0.0,
    group_weights=None,
):  # fmt: skip
    """The optimum of the program over given patterns, by cvxpy and Clarabel."""
    import cvxpy as cp

    weights = np.ones(len(X)) if weights is None else np.asarray(weights)
    kept = weights > 0
    X, y, dense, weights = X[kept], y[kept], dense[:, kept], weights[kept]
    b = cp.Variable() if intercept else 0.0
    prediction, penalty, constraints = b, 0.0, []
    omega = np.ones(len(dense)) if group_weights is None else group_weights
    groups = itertools.product(zip(dense, omega, strict=True), (1.0, -1.0) if cones else (1.0,))
    for (pattern, weight), sign in groups:
        u = cp.Variable(X.shape[1])
        prediction = prediction + sign * (pattern[:, np.newaxis] * X) @ u
        penalty = penalty + beta * weight * cp.norm(u[:-1] if free_bias else u)
        penalty = penalty + 0.5 * ridge * cp.sum_squares(u)
        if cones:
            constraints.append((np.where(pattern, 1.0, -1.0)[:, np.newaxis] * X) @ u >= 0)
    loss = 0.5 * cp.sum_squares(cp.multiply(np.sqrt(weights / weights.sum()), y - prediction))
    accuracy = {f"tol_{name}": 1e-10 for name in ("gap_abs", "gap_rel", "feas")}
    return cp.Problem(cp.Minimize(loss + penalty), constraints).solve("CLARABEL", **accuracy)
