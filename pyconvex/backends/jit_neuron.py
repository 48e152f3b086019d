"""Numba kernels for one neuron: exact descent over cells and faces of the arrangement."""

import numpy as np
from numba import njit

GATED, FIXED, CROSSING = 0, 1, 2  # masks without cones; cones that hold; cones that may be left

MOVING = 1e-11  # a row whose preactivation changes less than this, relative, does not move
FLOAT = 1e-14  # a preactivation may be off by this much, relative to the weights
ROUNDING = 1e-13  # a sum may be off by this much, relative to the sum of absolute values
DEPENDENT = 1e-12  # less of a row is left outside the span of others: rounding
RELEASE = 1e-9  # multipliers may violate their box by this much, relative


@njit(cache=True, nogil=True)
def resting(length, u):
    """Change of a unit row's preactivation that is rounding, for a step of a length from u."""
    return MOVING * length + FLOAT * np.sqrt(np.dot(u, u))


@njit(cache=True, nogil=True)
def row_norms(X):
    """Euclidean norms of the rows."""
    norms = np.empty(X.shape[0])
    for i in range(X.shape[0]):
        norms[i] = np.sqrt(np.dot(X[i], X[i]))
    return norms


@njit(cache=True, nogil=True)
def unpack_bits(packed, n_samples):
    """Packed patterns (m, words) as booleans (m, n_samples)."""
    bits = np.empty((packed.shape[0], n_samples), np.bool_)
    one = np.uint64(1)
    for g in range(packed.shape[0]):
        for i in range(n_samples):
            bits[g, i] = (packed[g, i // 64] >> np.uint64(i % 64)) & one != 0
    return bits


@njit(cache=True, nogil=True)
def count_tight(tight):
    """Count the tight rows in a list padded with -1."""
    count = 0
    while count < tight.shape[0] and tight[count] >= 0:
        count += 1
    return count


@njit(cache=True, nogil=True)
def masked_gram(X, on, tight, curvature):
    """Sum of curvature[i] x_i x_i^T over the rows that are on and not tight, shape (p, p)."""
    mask = on.copy()
    for k in range(count_tight(tight)):
        mask[tight[k]] = False
    rows = X[mask]
    return np.dot(rows.T * curvature[mask], rows)


@njit(cache=True, nogil=True)
def face_basis(X, tight, n_tight, free_bias):
    """Basis B (p, f) of {u : x_k . u = 0 on the tight rows} and the triangle of the rows' QR.

    The penalised coordinates of B are orthonormal, except that with a free bias and no tight
    row the last column is the unpenalised axis itself.
    """
    p = X.shape[1]
    if n_tight == 0:
        return np.eye(p), np.zeros((p, 0)), np.zeros((0, 0))
    stacked = np.zeros((p, n_tight + p))
    for j in range(n_tight):
        stacked[:, j] = X[tight[j]]
    for j in range(p):
        stacked[j, n_tight + j] = 1.0
    Q, R = np.linalg.qr(stacked)
    for j in range(n_tight):
        if abs(R[j, j]) <= DEPENDENT * np.sqrt(np.dot(X[tight[j]], X[tight[j]])):
            R[j, j] = np.inf  # a row that depends on those before it: its coefficient is zero
    basis = np.ascontiguousarray(Q[:, n_tight:])
    if free_bias:  # (I - b b^T)^(-1/2) restores orthonormality without the bias coordinate
        b = basis[p - 1].copy()
        bb = np.dot(b, b)
        if bb > 0.0:
            basis += np.outer(np.dot(basis, b), b) * ((1.0 / np.sqrt(1.0 - bb) - 1.0) / bb)
    return basis, np.ascontiguousarray(Q[:, :n_tight]), np.ascontiguousarray(R[:n_tight, :n_tight])


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def face_minimiser(H, q, basis, ridge, beta, unpenalised, size):
    """Minimiser over the face spanned by ``basis``; ``size`` is the present norm (a start)."""
    c = np.dot(basis.T, q)
    f = c.shape[0]
    if ridge > 0.0:
        return np.dot(basis, c / ridge)
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


@njit(cache=True, nogil=True)
def penalised_dot(u, v, free_bias):
    """Inner product without the bias coordinate where that one is unpenalised."""
    p = u.shape[0] - 1 if free_bias else u.shape[0]
    return np.dot(u[:p], v[:p])


@njit(cache=True, nogil=True)
def first_zero(slope, curve, beta, uu, up, pp, low, high):
    """Zero in [low, high] of slope + t curve + beta d/dt ||u + t p||, which increases in t."""
    for _ in range(100):
        t = 0.5 * (low + high)
        if t <= low or t >= high:
            break
        if norm_slope(beta, uu, up, pp, t) + slope + t * curve >= 0.0:
            high = t
        else:
            low = t
    return high


@njit(cache=True, nogil=True)
def norm_slope(beta, uu, up, pp, t):
    """Slope beta d/dt ||u + t p|| from the three inner products."""
    if beta == 0.0:
        return 0.0
    norm = np.sqrt(max(uu + 2.0 * t * up + t * t * pp, 0.0))
    if norm == 0.0:
        return beta * np.sqrt(pp)
    return beta * (up + t * pp) / norm


@njit(cache=True, nogil=True)
def line_search(
    a, b, on, is_tight, moving, curvature, slopes, slope, curve, beta, uu, up, pp, mode
):
    """First local minimum of the objective along u + t p, and the row it stops at (-1: none).

    ``a`` and ``b`` are the preactivations of u and p, ``slope + t curve`` is the derivative
    of the smooth part up to the first kink. Kinks are passed in order; a concave kink
    is crossed (the row's bit flips in ``on``), a convex one ends the search once the slope is
    no longer negative. Without CROSSING every kink is a wall.
    """
    n = a.shape[0]
    kinks = np.empty(n)
    rows = np.empty(n, np.int64)
    n_kinks = 0
    for i in range(n):
        if is_tight[i]:
            continue
        if mode != GATED and abs(b[i]) > moving[i] and (b[i] < 0.0) == on[i]:
            kinks[n_kinks] = max(a[i] if on[i] else -a[i], 0.0) / abs(b[i])
            rows[n_kinks] = i
            n_kinks += 1
    order = np.argsort(kinks[:n_kinks])
    low = 0.0
    if slope + norm_slope(beta, uu, up, pp, 0.0) >= 0.0 and (
        n_kinks == 0 or kinks[order[0]] > 0.0 or mode != CROSSING
    ):
        return 0.0, -1
    for k in range(n_kinks):
        t, i = kinks[order[k]], rows[order[k]]
        if slope + t * curve + norm_slope(beta, uu, up, pp, t) >= 0.0 and t > low:
            return first_zero(slope, curve, beta, uu, up, pp, low, t), -1
        if mode == FIXED:
            return t, i
        side = -1.0 if on[i] else 1.0
        new_slope = slope + side * (curvature[i] * a[i] - slopes[i]) * b[i]
        new_curve = curve + side * curvature[i] * b[i] * b[i]
        if new_slope + t * new_curve + norm_slope(beta, uu, up, pp, t) >= 0.0:
            return t, i
        slope, curve, low = new_slope, new_curve, t
        on[i] = not on[i]
    high = max(1.0, 2.0 * low)
    if slope + 1e12 * curve + norm_slope(beta, uu, up, pp, 1e12) <= 0.0:
        return low, -1  # flat to rounding beyond the last kink
    while slope + high * curve + norm_slope(beta, uu, up, pp, high) < 0.0:
        high *= 2.0
    return first_zero(slope, curve, beta, uu, up, pp, low, high), -1


@njit(cache=True, nogil=True)
def worst_multiplier(tight, n_tight, gradient, Q, R, slopes, on, norms, held, mode):
    """Position in ``tight`` of the row most worth releasing, its side and the violation.

    With gradient = sum_k mu_k x_k the point is optimal across the adjacent cells iff
    slopes_k <= mu_k <= 0; in a cell that may not be left only its own side counts. Rows that
    are held were released since the last move, in vain.
    """
    mu = np.dot(Q.T, gradient)
    for j in range(n_tight - 1, -1, -1):
        for k in range(j + 1, n_tight):
            mu[j] -= R[j, k] * mu[k]
        mu[j] /= R[j, j]
    worst, where, side = 0.0, -1, False
    for j in range(n_tight):
        k = tight[j]
        if held[k]:
            continue
        off, into = mu[j] * norms[k], (slopes[k] - mu[j]) * norms[k]
        if off > worst and (mode == CROSSING or not on[k]):
            worst, where, side = off, j, False
        if into > worst and (mode == CROSSING or on[k]):
            worst, where, side = into, j, True
    return worst, where, side


@njit(cache=True, nogil=True)
def switch(x, slope, curvature, sign, q, H):
    """Add (sign = 1) or take away (-1) a row's part of the linear and quadratic term."""
    q += (sign * slope) * x
    if curvature > 0.0:
        H += np.outer((sign * curvature) * x, x)


@njit(cache=True, nogil=True)
def cone_gradient(H, q, u, ridge, beta, free_bias):
    """Gradient of the objective with the tight rows' bits off, and the scale of multipliers."""
    w = u.copy()
    if free_bias:
        w[-1] = 0.0
    size = np.sqrt(np.dot(w, w))
    gradient = np.dot(H, u) - q + w * (ridge + beta / size)
    return gradient, beta + ridge * size


@njit(cache=True, nogil=True)
def bias_first(q, u, target, noise):
    """Correct ``target`` where nothing bounds the bias: along it the objective is linear.

    Move the bias alone, until some kink stops it (true); where its slope is nil move the rest.
    """
    sliding = abs(q[-1]) > noise
    if sliding:
        target[:] = u
        target[-1] += q[-1]
    else:
        target[-1] = u[-1]
    return sliding


@njit(cache=True, nogil=True)
def descend(
    X, norms, H, curvature, slopes, ridge, beta, free_bias, mode, u, on, tight, max_steps, stop
):
    """Minimise one neuron's objective from u, along faces, to a point no release improves.

        phi(u) = ridge/2 ||u||^2 + u.H u/2 - sum_on slopes_i a_i + beta ||u||

    with a = X u and ``H`` the Gram matrix of the rows that are on and not tight, their weights
    ``curvature``, plus any fixed matrix; with a ridge it must be zero. Each step goes to the
    minimiser of the present face or to the kink that stops it, whose row then becomes tight; at a
    face's minimiser the worst multiplier's row is released. Changes ``u``, ``on``, ``tight``
    (padded with -1) and ``H``. Returns the number of steps; ends early once stop[0] is set.
    """
    n, p = X.shape
    n_tight = count_tight(tight)
    held = np.zeros(n, np.bool_)
    is_tight = np.zeros(n, np.bool_)
    for j in range(n_tight):
        is_tight[tight[j]] = True
    a = np.dot(X, u)
    q = np.zeros(p)
    for i in range(n):
        if on[i] and not is_tight[i]:
            q += slopes[i] * X[i]
    before = on.copy()
    noise = ROUNDING * np.dot(np.abs(slopes), norms)  # of q
    for step in range(max_steps):
        if stop[0]:
            return step
        basis, Q, R = face_basis(X, tight, n_tight, free_bias)
        size = np.sqrt(penalised_dot(u, u, free_bias))
        bias_only = free_bias and n_tight == 0
        target = face_minimiser(H, q, basis, ridge, beta, bias_only, size)
        sliding = bias_only and ridge > 0.0 and bias_first(q, u, target, noise)
        left = penalised_dot(target, target, free_bias)
        if not np.any(target) or (ridge > 0.0 and not sliding and ridge * np.sqrt(left) <= noise):
            u[:] = 0.0  # straight to the apex: no kink lies in between
            return step
        direction = target - u
        direction -= np.dot(Q, np.dot(Q.T, direction))  # u has drifted off the face by rounding
        length = np.sqrt(np.dot(direction, direction))
        if n_tight == p - 1:  # a ray: rows that seem to move are rounding, but for the apex
            if np.dot(target, u) <= 0.0:
                u[:] = 0.0
                return step
            u[:] = target
            a = np.dot(X, u)
        elif length > ROUNDING * np.sqrt(np.dot(u, u)):
            uu, up = size * size, penalised_dot(u, direction, free_bias)
            pp = penalised_dot(direction, direction, free_bias)
            b = np.dot(X, direction)
            before[:] = on
            t, row = line_search(
                a,
                b,
                on,
                is_tight,
                resting(length, u) * norms,
                curvature,
                slopes,
                ridge * up + np.dot(np.dot(H, direction), u) - np.dot(q, direction),
                ridge * pp + np.dot(np.dot(H, direction), direction),
                beta,
                uu,
                up,
                pp,
                mode,
            )
            same_cell = not sliding
            for i in range(n):
                if on[i] != before[i]:
                    same_cell = False
                    switch(X[i], slopes[i], curvature[i], 1.0 if on[i] else -1.0, q, H)
            # Inside the cell t = 1 is exact: for short directions rounding would say anything.
            arrived = row < 0 and (abs(t - 1.0) < 1e-6 or (same_cell and t > 0.0))
            u[:] = target if arrived else u + t * direction
            a = np.dot(X, u)
            if t > 0.0:
                held[:] = False
            if row >= 0:
                if on[row]:
                    switch(X[row], slopes[row], curvature[row], -1.0, q, H)
                tight[n_tight] = row
                n_tight += 1
                is_tight[row] = True
                continue
            if t > 0.0 and not arrived:
                continue  # in another cell, whose minimiser is elsewhere
        if penalised_dot(u, u, free_bias) == 0.0 or n_tight == 0:
            return step
        gradient, scale = cone_gradient(H, q, u, ridge, beta, free_bias)
        worst, where, side = worst_multiplier(
            tight, n_tight, gradient, Q, R, slopes, on, norms, held, mode
        )
        if not worst > RELEASE * scale:  # nor where it is NaN
            return step
        row = tight[where]
        tight[where : n_tight - 1] = tight[where + 1 : n_tight].copy()
        n_tight -= 1
        tight[n_tight] = -1
        is_tight[row] = False
        held[row] = True
        on[row] = side
        if side:
            switch(X[row], slopes[row], curvature[row], 1.0, q, H)
    return max_steps
