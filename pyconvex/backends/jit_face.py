"""Numba kernels for the dense algebra of one neuron: faces of cells, the minimiser on a face."""

import numpy as np

from .jit_compile import kernel

DEPENDENT = 1e-12  # less of a row is left outside the span of others: rounding


@kernel
def row_norms(X):
    """Euclidean norms of the rows."""
    norms = np.empty(X.shape[0])
    for i in range(X.shape[0]):
        norms[i] = np.sqrt(np.dot(X[i], X[i]))
    return norms


@kernel
def unpack_bits(packed, n_samples):
    """Packed patterns (m, words) as booleans (m, n_samples)."""
    bits = np.empty((packed.shape[0], n_samples), np.bool_)
    one = np.uint64(1)
    for g in range(packed.shape[0]):
        for i in range(n_samples):
            bits[g, i] = (packed[g, i // 64] >> np.uint64(i % 64)) & one != 0
    return bits


@kernel
def count_tight(tight):
    """Count the tight rows in a list padded with -1."""
    count = 0
    while count < tight.shape[0] and tight[count] >= 0:
        count += 1
    return count


@kernel
def masked_gram(X, on, tight, curvature):
    """Sum of curvature[i] x_i x_i^T over the rows that are on and not tight, shape (p, p)."""
    mask = on.copy()
    for k in range(count_tight(tight)):
        mask[tight[k]] = False
    rows = X[mask]
    return np.dot(rows.T * curvature[mask], rows)


@kernel
def face_basis(X, tight, n_tight, free_bias):
    """Basis (p, f) of the face {u : x_k . u = 0 on the tight rows}.

    Its penalised coordinates are orthonormal, except that with a free bias and no tight row its
    last column is the unpenalised axis itself.
    """
    p = X.shape[1]
    if n_tight == 0:
        return np.eye(p)
    stacked = np.zeros((p, n_tight + p))
    for j in range(n_tight):
        stacked[:, j] = X[tight[j]]
    for j in range(p):
        stacked[j, n_tight + j] = 1.0
    Q, _ = np.linalg.qr(stacked)
    basis = np.ascontiguousarray(Q[:, n_tight:])
    if free_bias:  # (I - b b^T)^(-1/2) restores orthonormality without the bias coordinate
        b = basis[p - 1].copy()
        bb = np.dot(b, b)
        if bb > 0.0:
            basis += np.outer(np.dot(basis, b), b) * ((1.0 / np.sqrt(1.0 - bb) - 1.0) / bb)
    return basis


@kernel
def append_row(Q, R, size, row):
    """Add a row to the QR of tight rows, whose first ``size`` rows of Q span theirs.

    Gram-Schmidt twice: once leaves rounding errors where the row is nearly in the span. A row that
    depends on those before it adds nothing to the span; its coefficients are zero.
    """
    rest = row.copy()
    R[:, size] = 0.0
    for _ in range(2):
        for j in range(size):
            part = np.dot(Q[j], rest)
            R[j, size] += part
            rest -= part * Q[j]
    left = np.sqrt(np.dot(rest, rest))
    if left <= DEPENDENT * np.sqrt(np.dot(row, row)):
        left, rest = 1.0, np.zeros(row.shape[0])
    R[size, size] = left
    Q[size] = rest / left


@kernel
def reject(Q, size, v):
    """Return v without its part in the span of the tight rows."""
    return v - np.dot(np.dot(Q[:size], v), Q[:size]) if size > 0 else v.copy()


@kernel
def project_face(Q, size, q, free_bias):
    """Return the point of the face nearest to q, in the penalised coordinates."""
    point = reject(Q, size, q)
    if free_bias and size > 0:  # the metric leaves out the bias coordinate
        axis = np.zeros(q.shape[0])
        axis[-1] = 1.0
        axis = reject(Q, size, axis)
        point += axis * (point[-1] / (1.0 - axis[-1]))
    return point


@kernel
def coefficients(Q, R, size, v):
    """Return mu with v = sum_k mu_k x_k + something orthogonal to the tight rows."""
    mu = np.dot(Q[:size], v)
    for j in range(size - 1, -1, -1):
        mu[j] = (mu[j] - np.dot(R[j, j + 1 : size], mu[j + 1 :])) / R[j, j]
    return mu


@kernel
def shrink(M, c, beta, start):
    """Argmin over v of v^T M v / 2 - c^T v + beta ||v||.

    The norm rho of the solution solves ||(rho M + beta I)^-1 c|| = 1. One over that norm is a
    concave increasing function of rho, so Newton's method converges from the left unguarded.
    """
    f = c.shape[0]
    if np.sqrt(np.dot(c, c)) <= beta:
        return np.zeros(f)
    rho = start
    x = c
    for _ in range(60):
        A = rho * M
        for j in range(f):
            A[j, j] += beta
        x = np.linalg.solve(A, c)
        norm = np.sqrt(np.dot(x, x))
        slope = np.dot(x, np.linalg.solve(A, np.dot(M, x))) / norm**3
        step = (1.0 - 1.0 / norm) / slope
        if rho + step < 0.0:
            step = -rho
        rho += step
        if abs(step) <= 1e-9 * rho:  # quadratic convergence: the next would be rounding
            break
    return x * rho


@kernel
def face_minimiser(H, q, basis, beta, unpenalised, size):
    """Minimiser of u . H u / 2 - q . u + beta ||u|| over the face spanned by ``basis``.

    ``unpenalised``: the last basis vector does not count in the norm; ``size`` is a guess of it.
    """
    c = np.dot(basis.T, q)
    f = c.shape[0]
    M = np.dot(basis.T, np.dot(H, basis))
    if not unpenalised:
        return np.dot(basis, shrink(M, c, beta, size))
    corner = M[f - 1, f - 1]
    if corner <= 0.0:
        return np.zeros(basis.shape[0])
    m = M[: f - 1, f - 1].copy()
    inner = M[: f - 1, : f - 1] - np.outer(m, m) / corner
    w = shrink(inner, c[: f - 1] - m * (c[f - 1] / corner), beta, size)
    v = np.empty(f)
    v[: f - 1] = w
    v[f - 1] = (c[f - 1] - np.dot(m, w)) / corner
    return np.dot(basis, v)


@kernel
def penalised_dot(u, v, free_bias):
    """Inner product without the bias coordinate where that one is unpenalised."""
    p = u.shape[0] - 1 if free_bias else u.shape[0]
    return np.dot(u[:p], v[:p])
