"""Numba kernels for pricing: walks over the sphere and projections onto closed cells."""

import numpy as np
from numba import njit

from .jit_neuron import CROSSING, descend, row_norms, unpack_bits


@njit(cache=True, nogil=True)
def walk(X, z, starts, free_bias):
    """Local maxima over the unit ball of z . (X u)_+, one from each start, shape (k, p).

    Minimises ||u||^2 / 2 - z . (X u)_+, whose minima are the same up to scale. Returns the
    points (unscaled; zero where nothing positive was found) and their tight rows (-1 pads).
    """
    n, p = X.shape
    norms = row_norms(X)
    points = starts.copy()
    tight = np.full((starts.shape[0], p), -1, np.int64)
    flat = np.zeros(n)
    for k in range(starts.shape[0]):
        on = np.dot(X, points[k]) > 0.0
        descend(X, norms, np.zeros((p, p)), flat, z, 1.0, 0.0, free_bias, CROSSING,
                points[k], on, tight[k], 200 * p)
    return points, tight


@njit(cache=True, nogil=True)
def project(A, norms, c):
    """Projection of c onto {u : A u >= 0}: min over mu >= 0 of ||c + A^T mu||.

    Active set method of Lawson and Hanson (1974). Whatever mu >= 0 it ends with, the length of
    the returned point bounds the support of the cone in direction c from above.
    """
    n, p = A.shape
    passive = np.full(p, -1, np.int64)
    mu = np.zeros(p)
    count = 0
    dependent = False
    point = c.copy()
    tiny = 1e-13 * np.sqrt(np.dot(c, c))
    for _ in range(30 * p):
        margins = np.dot(A, point)
        row, worst = -1, -tiny
        for i in range(n):
            if norms[i] > 0.0 and margins[i] < worst * norms[i]:
                row, worst = i, margins[i] / norms[i]
        if row < 0 or count == p:
            break
        passive[count] = row
        mu[count] = 0.0
        count += 1
        while count > 0:
            rows = A[passive[:count]]
            Q, R = np.linalg.qr(rows.T)
            if abs(R[count - 1, count - 1]) <= 1e-12 * norms[passive[count - 1]]:
                dependent = True  # on the others: its violation was rounding
                count -= 1
                passive[count] = -1
                break
            trial = np.linalg.solve(R, -np.dot(Q.T, c))
            step, leave = 1.0, -1
            for j in range(count):
                if trial[j] <= 0.0 and mu[j] < step * (mu[j] - trial[j]):
                    step, leave = mu[j] / (mu[j] - trial[j]), j
            for j in range(count):
                mu[j] += step * (trial[j] - mu[j])
            if leave < 0:
                break
            for j in range(leave, count - 1):
                passive[j], mu[j] = passive[j + 1], mu[j + 1]
            count -= 1
            passive[count] = -1
        if dependent:
            break
        for j in range(count):
            mu[j] = max(mu[j], 0.0)
        point = c + np.dot(A[passive[:count]].T, mu[:count])
    if count == p:
        point[:] = 0.0
    return point, passive


@njit(cache=True, nogil=True)
def project_cells(X, packed, C):
    """Project each row of C (P, p) onto its closed cell; points (P, p) and tight rows (P, p)."""
    n, p = X.shape
    norms = row_norms(X)
    bits = unpack_bits(packed, n)
    points = np.empty(C.shape)
    tight = np.empty((C.shape[0], p), np.int64)
    A = np.empty((n, p))
    for g in range(C.shape[0]):
        for i in range(n):
            A[i] = X[i] if bits[g, i] else -X[i]
        points[g], tight[g] = project(A, norms, C[g])
    return points, tight


@njit(cache=True, nogil=True)
def gate_gradients(X, packed, z):
    """X^T D_g z for every pattern, shape (P, p)."""
    bits = unpack_bits(packed, X.shape[0])
    weighted = X * z.reshape(-1, 1)
    gradients = np.empty((packed.shape[0], X.shape[1]))
    for g in range(packed.shape[0]):
        total = np.zeros(X.shape[1])
        for i in range(X.shape[0]):
            if bits[g, i]:
                total += weighted[i]
        gradients[g] = total
    return gradients
