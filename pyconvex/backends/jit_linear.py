"""Numba kernels of the output's linear part: unpenalised columns, and decayed ones."""

from collections import namedtuple

import numpy as np
from numba import njit

from .jit_neuron import shrink

DEPENDENT = 1e-12  # a column that leaves less of itself, relative, depends on those before it

# basis (n, k): the free columns, orthonormal under the weights; weighted: times the weights.
# columns (n, q) with their Gram matrix: the decayed ones, of penalty beta ||coef||.
Linear = namedtuple("Linear", "basis weighted columns gram coef beta")


@njit(cache=True, nogil=True)
def make_linear(free, columns, coef, beta, sample_weight):
    """Return the linear part, and R^-1, which turns coefficients of the basis into the columns'."""
    n, k = free.shape
    inverse = np.zeros((k, k))
    basis = np.zeros((n, k))
    if k > 0:
        root = np.sqrt(sample_weight).reshape(n, 1)
        _, R = np.linalg.qr(root * free)
        for j in range(k):  # back substitution; a dependent column gets a basis vector of zeros
            size = np.sqrt(np.sum(R[: j + 1, j] ** 2))
            if abs(R[j, j]) > DEPENDENT * size:
                inverse[j, j] = 1.0 / R[j, j]
                for i in range(j - 1, -1, -1):
                    inverse[i, j] = -np.dot(inverse[i, i:j], R[i:j, j]) * inverse[j, j]
        basis = np.dot(free, inverse)
    weights = sample_weight.reshape(n, 1)
    gram = np.dot(columns.T, weights * columns)
    return Linear(basis, weights * basis, columns, gram, coef.copy(), beta), inverse


@njit(cache=True, nogil=True)
def centre(residual, linear):
    """Refit the free columns exactly: project the residual and return the coefficients."""
    shift = np.zeros(linear.basis.shape[1])
    if shift.shape[0] > 0:
        shift[:] = np.dot(linear.weighted.T, residual)
        residual -= np.dot(linear.basis, shift)
    return shift


@njit(cache=True, nogil=True)
def descend_linear(residual, sample_weight, linear):
    """Minimise over the decayed columns; changes their coefficients and the residual."""
    if linear.coef.shape[0] == 0:
        return
    pull = np.dot(linear.columns.T, sample_weight * residual) + np.dot(linear.gram, linear.coef)
    size = np.sqrt(np.dot(linear.coef, linear.coef))
    change = shrink(linear.gram, pull, linear.beta, size) - linear.coef
    residual -= np.dot(linear.columns, change)
    linear.coef[:] += change


@njit(cache=True, nogil=True)
def linear_penalty(linear):
    """Penalty of the decayed columns."""
    return linear.beta * np.sqrt(np.dot(linear.coef, linear.coef))
