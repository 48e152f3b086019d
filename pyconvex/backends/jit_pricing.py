"""Numba kernels for pricing: walks over the sphere and projections onto closed cells."""

import numpy as np

from .jit_compile import kernel
from .jit_face import penalised_dot, row_norms, unpack_bits
from .jit_neuron import CROSSING, descend


@kernel
def walk(X, z, starts, free_bias, stop):
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
        descend(
            X,
            norms,
            np.zeros((p, p)),
            flat,
            z,
            1.0,
            0.0,
            free_bias,
            CROSSING,
            points[k],
            on,
            tight[k],
            200 * p,
            stop,
        )
    return points, tight


@kernel
def solve_passive(A, norms, c, passive, count, free_bias):
    """Multipliers of least ||c + A^T mu|| over the passive rows alone, and the point they give.

    With a free bias the bias coordinate of c + A^T mu must vanish: the first passive row's
    multiplier is eliminated by that equation, and the bias is where that row's kink lies.
    Also tells whether the last row depends on the others.
    """
    p = A.shape[1]
    d = p - 1 if free_bias else p
    first = 1 if free_bias else 0
    rows = A[passive[first:count]]
    directions, base = rows[:, :d].copy(), c[:d].copy()
    pivot = A[passive[0]]
    if free_bias:
        for j in range(count - 1):
            directions[j] -= (rows[j, d] / pivot[d]) * pivot[:d]
        base -= (c[d] / pivot[d]) * pivot[:d]
    mu = np.zeros(count)
    if count > first:
        Q, R = np.linalg.qr(directions.T)
        last = count - first - 1
        if abs(R[last, last]) <= 1e-12 * norms[passive[count - 1]]:
            return mu, c, True
        mu[first:] = np.linalg.solve(R, -np.dot(np.ascontiguousarray(Q.T), base))
    point = np.zeros(p)
    point[:d] = base + np.dot(directions.T, mu[first:])
    if free_bias:
        mu[0] = -(c[d] + np.dot(rows[:, d].copy(), mu[1:])) / pivot[d]
        point[d] = -np.dot(pivot[:d], point[:d]) / pivot[d]
    return mu, point, False


@kernel
def start_free(A, c):
    """First passive row where the bias is free: one whose multiplier can cancel c's bias."""
    d = A.shape[1] - 1
    for i in range(A.shape[0]):
        if A[i, d] * c[d] < 0.0 or (c[d] == 0.0 and A[i, d] != 0.0):
            return i
    return -1


@kernel
def project(A, norms, c, enough, free_bias):
    """Projection of c onto {u : A u >= 0}: min over mu >= 0 of ||c + A^T mu||.

    Active set method of Lawson and Hanson (1974). With a free bias the norm is over the other
    coordinates and the bias coordinate of c + A^T mu is zero. The penalised norm of the
    returned point bounds the support of the cone in direction c from above; so does every
    earlier one, of which none is smaller: one of norm ``enough`` ends the run.
    """
    n, p = A.shape
    passive = np.full(p, -1, np.int64)
    mu = np.zeros(p)
    count = 0
    point = c.copy()
    if free_bias:
        row = start_free(A, c)
        if row < 0:  # all rows on one side: a linear neuron, or a dead one
            point[p - 1] = 0.0
            slack = np.min(np.dot(A, point))
            point[p - 1] = max(0.0, -slack) * A[0, p - 1]
            return point, passive
        passive[0], mu[0], count = row, abs(c[p - 1] / A[row, p - 1]), 1
        _, point, _ = solve_passive(A, norms, c, passive, count, True)
    tiny = 1e-13 * np.sqrt(np.dot(c, c))
    for _ in range(30 * p):
        if penalised_dot(point, point, free_bias) <= enough * enough:
            break
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
        dependent = False
        while count > 0:
            trial, new_point, dependent = solve_passive(A, norms, c, passive, count, free_bias)
            if dependent:  # the last row on the others: its violation was rounding
                count -= 1
                passive[count] = -1
                break
            step, leave = 1.0, -1
            for j in range(count):
                if trial[j] <= 0.0 and mu[j] < step * (mu[j] - trial[j]):
                    step, leave = mu[j] / (mu[j] - trial[j]), j
            for j in range(count):
                mu[j] += step * (trial[j] - mu[j])
            if leave < 0:
                point = new_point
                break
            for j in range(leave, count - 1):
                passive[j], mu[j] = passive[j + 1], mu[j + 1]
            count -= 1
            passive[count] = -1
        if dependent:
            break
    if count == p:
        point[:] = 0.0
    return point, passive


@kernel
def project_cells(X, packed, C, enough, free_bias, stop):
    """Project each row of C (P, p) onto its closed cell; points (P, p) and tight rows (P, p).

    Where the norm of a projection is at most ``enough`` (P) the point may stop short of the cell.
    """
    n, p = X.shape
    norms = row_norms(X)
    bits = unpack_bits(packed, n)
    points = np.zeros(C.shape)
    tight = np.full((C.shape[0], p), -1, np.int64)
    A = np.empty((n, p))
    for g in range(C.shape[0]):
        if stop[0]:
            break
        for i in range(n):
            A[i] = X[i] if bits[g, i] else -X[i]
        points[g], tight[g] = project(A, norms, C[g].copy(), enough[g], free_bias)
    return points, tight


@kernel
def fill_sums(X, z, first, sums):
    """Fill sums[t, s] with the sum of z_i x_i over the rows 4 t + i of 64 with bit i in s."""
    sums[:] = 0.0
    for t in range(16):
        for i in range(4):
            row, half = first + 4 * t + i, 1 << i
            for s in range(half):
                sums[t, half + s] = sums[t, s]
                if row < X.shape[0]:
                    sums[t, half + s] += z[row] * X[row]


@kernel
def gate_gradients(X, packed, z):
    """X^T D_g z for every pattern, shape (P, p)."""
    p = X.shape[1]
    gradients = np.zeros((packed.shape[0], p))
    sums = np.empty((16, 16, p))
    total = np.empty(p)
    for word in range(packed.shape[1]):
        fill_sums(X, z, 64 * word, sums)
        for g in range(packed.shape[0]):
            bits = packed[g, word]
            total[:] = 0.0
            for t in range(16):
                s = (bits >> np.uint64(4 * t)) & np.uint64(15)
                for k in range(p):
                    total[k] += sums[t, s, k]
            for k in range(p):
                gradients[g, k] += total[k]
    return gradients
