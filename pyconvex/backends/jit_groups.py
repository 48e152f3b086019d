"""Numba kernels of groups of fixed masks without cones: block updates with Grams that are kept."""

import numpy as np
from numba import types
from numba.extending import overload

from .jit_compile import kernel
from .jit_face import shrink, unpack_bits
from .jit_linear import centre, make_linear

_ROWS = 1024  # gathered or converted to doubles at a time: they stay in the cache


def pull_back(X, v):
    """X^T v in doubles, for X of doubles or floats."""
    raise NotImplementedError("for compiled code")


def preactivate(X, u):
    """X u in doubles, for X of doubles or floats."""
    raise NotImplementedError("for compiled code")


@overload(pull_back)
def _pull_back(X, v):
    if X.dtype == types.float64:
        return lambda X, v: np.dot(v, X)

    def by_parts(X, v):
        pull = np.zeros(X.shape[1])
        for i in range(0, X.shape[0], _ROWS):
            pull += np.dot(v[i : i + _ROWS], X[i : i + _ROWS].astype(np.float64))
        return pull

    return by_parts


@overload(preactivate)
def _preactivate(X, u):
    if X.dtype == types.float64:
        return lambda X, u: np.dot(X, u)

    def by_parts(X, u):
        a = np.empty(X.shape[0])
        for i in range(0, X.shape[0], _ROWS):
            a[i : i + _ROWS] = np.dot(X[i : i + _ROWS].astype(np.float64), u)
        return a

    return by_parts


@kernel
def masked_grams(X, packed, sample_weight):
    """X^T D_g diag(sample_weight) X of each pattern, shape (P, p, p)."""
    on = unpack_bits(packed, X.shape[0])
    grams = np.zeros((packed.shape[0], X.shape[1], X.shape[1]))
    for g in range(packed.shape[0]):
        for i in range(0, X.shape[0], _ROWS):
            mask = on[g, i : i + _ROWS]
            rows = X[i : i + _ROWS][mask].astype(np.float64)
            grams[g] += np.dot(rows.T * sample_weight[i : i + _ROWS][mask], rows)
    return grams


@kernel
def descend_groups(
    X, sample_weight, residual, U, packed, grams, betas, ridge, free, n_sweeps, stop
):
    """Up to ``n_sweeps`` passes of exact block updates over groups without cones.

    Lowers the loss + beta_j ||u_j|| + ridge / 2 ||u_j||^2. Returns the weights (m, p), the
    residual and the change of the coefficients of the columns ``free`` (n, k).
    """
    n, p = X.shape
    residual, U = residual.copy(), U.copy()
    on = unpack_bits(packed, n)
    nothing = np.zeros((n, 0))
    linear, transform = make_linear(free, nothing, nothing[0], 0.0, sample_weight)
    shift = np.zeros(free.shape[1])
    for _ in range(n_sweeps):
        for j in range(U.shape[0]):
            if stop[0]:
                return U, residual, np.dot(transform, shift)
            pull = pull_back(X, on[j] * sample_weight * residual) + np.dot(grams[j], U[j])
            M = grams[j].copy()
            for k in range(p):
                M[k, k] += ridge
            change = shrink(M, pull, betas[j], np.sqrt(np.dot(U[j], U[j]))) - U[j]
            if not np.any(change):
                continue
            U[j] += change
            residual -= on[j] * preactivate(X, change)
            shift += centre(residual, linear)
    return U, residual, np.dot(transform, shift)
