"""Numba kernels of groups of fixed masks without cones: block updates with Grams that are kept."""

import numpy as np
from numba import njit

from .jit_linear import centre, make_linear
from .jit_neuron import shrink, unpack_bits


@njit(cache=True, nogil=True)
def masked_grams(X, packed, sample_weight):
    """X^T D_g diag(sample_weight) X of each pattern, shape (P, p, p)."""
    on = unpack_bits(packed, X.shape[0])
    grams = np.empty((packed.shape[0], X.shape[1], X.shape[1]))
    for g in range(packed.shape[0]):
        rows = X[on[g]]
        grams[g] = np.dot(rows.T * sample_weight[on[g]], rows)
    return grams


@njit(cache=True, nogil=True)
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
            pull = np.dot(on[j] * sample_weight * residual, X) + np.dot(grams[j], U[j])
            M = grams[j].copy()
            for k in range(p):
                M[k, k] += ridge
            change = shrink(M, pull, betas[j], np.sqrt(np.dot(U[j], U[j]))) - U[j]
            if not np.any(change):
                continue
            U[j] += change
            residual -= on[j] * np.dot(X, change)
            shift += centre(residual, linear)
    return U, residual, np.dot(transform, shift)
