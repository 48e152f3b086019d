"""Numba kernels of the output's linear part: unpenalised columns, and decayed ones."""

from collections import namedtuple

import numpy as np

from .jit_compile import kernel
from .jit_face import shrink

DEPENDENT = 1e-12  # a column that leaves less of itself, relative, depends on those before it

# basis (n, k): the free columns, orthonormal under the weights; weighted: times the weights.
# columns (n, q) with their Gram matrix: the decayed ones, of penalty beta ||coef||.
Linear = namedtuple("Linear", "basis weighted columns gram coef beta")


@kernel
def orthonormal(free, sample_weight):
    """Return a basis of the columns that is orthonormal under the weights, and T: basis = free T.

    Gram-Schmidt, each column twice. One that depends on others gets a basis vector of zeros.
    """
    n, k = free.shape
    basis, transform = np.zeros((k, n)), np.zeros((k, k))  # transposed: rows are in one piece
    for j in range(k):
        v, coefficients = free[:, j].copy(), np.zeros(k)
        coefficients[j] = 1.0
        start = np.sqrt(np.dot(sample_weight, v * v))
        for _ in range(2 if j > 0 else 0):
            parts = np.dot(basis[:j], sample_weight * v)
            v -= np.dot(parts, basis[:j])
            coefficients -= np.dot(parts, transform[:j])
        size = np.sqrt(np.dot(sample_weight, v * v))
        if size > DEPENDENT * start:
            basis[j], transform[j] = v / size, coefficients / size
    return basis.T.copy(), transform.T.copy()


@kernel
def make_linear(free, columns, coef, beta, sample_weight):
    """Return the linear part, and what turns coefficients of the basis into the free columns'."""
    basis, transform = orthonormal(free, sample_weight)
    weights = sample_weight.reshape(len(sample_weight), 1)
    gram = np.dot(columns.T, weights * columns)
    return Linear(basis, weights * basis, columns, gram, coef.copy(), beta), transform


@kernel
def centre(residual, linear):
    """Refit the free columns exactly: project the residual and return the coefficients."""
    shift = np.zeros(linear.basis.shape[1])
    if shift.shape[0] > 0:
        shift[:] = np.dot(linear.weighted.T, residual)
        residual -= np.dot(linear.basis, shift)
    return shift


@kernel
def descend_linear(residual, sample_weight, linear):
    """Minimise over the decayed columns; changes their coefficients and the residual."""
    if linear.coef.shape[0] == 0:
        return
    pull = np.dot(linear.columns.T, sample_weight * residual) + np.dot(linear.gram, linear.coef)
    size = np.sqrt(np.dot(linear.coef, linear.coef))
    change = shrink(linear.gram, pull, linear.beta, size) - linear.coef
    residual -= np.dot(linear.columns, change)
    linear.coef[:] += change


@kernel
def linear_penalty(linear):
    """Penalty of the decayed columns."""
    return linear.beta * np.sqrt(np.dot(linear.coef, linear.coef))
