"""Numba kernels for one neuron: exact descent over cells and faces of the arrangement."""

import numpy as np

from .jit_compile import kernel
from .jit_face import (
    append_row,
    coefficients,
    count_tight,
    face_basis,
    face_minimiser,
    penalised_dot,
    project_face,
    reject,
)

GATED, FIXED, CROSSING = 0, 1, 2  # masks without cones; cones that hold; cones that may be left

MOVING = 1e-11  # a row whose preactivation changes less than this, relative, does not move
FLOAT = 1e-14  # a preactivation may be off by this much, relative to the weights
ROUNDING = 1e-13  # a sum may be off by this much, relative to the sum of absolute values
RELEASE = 1e-9  # multipliers may violate their box by this much, relative

AFRESH = 16  # moves until the preactivations are computed afresh
NEAR = 4.0  # most searches end at 1, the minimiser of the first piece
FAR = np.finfo(np.float64).max


@kernel
def resting(length, size):
    """Change of a unit row's preactivation that is rounding, for a step from u of norm ``size``."""
    return MOVING * length + FLOAT * size


@kernel
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


@kernel
def norm_slope(beta, uu, up, pp, t):
    """Slope beta d/dt ||u + t p|| from the three inner products."""
    if beta == 0.0:
        return 0.0
    norm = np.sqrt(max(uu + 2.0 * t * up + t * t * pp, 0.0))
    if norm == 0.0:
        return beta * np.sqrt(pp)
    return beta * (up + t * pp) / norm


@kernel(error_model="numpy")
def kink_times(a, b, on, norms, still):
    """When each row meets its kink, given preactivations a and their rates b (inf: never).

    ``still`` is the rate of a unit row that is rounding.
    """
    times = np.empty(a.shape[0])
    for i in range(a.shape[0]):
        side = 2.0 * on[i] - 1.0
        approach, away = -side * b[i], side * a[i]
        t = (away if away > 0.0 else 0.0) / approach  # in any case: a branch bars SIMD
        times[i] = t if approach > still * norms[i] else np.inf
    return times


@kernel
def sift_down(heap, count, times, k):
    """Let the row at place k of a heap ordered by times, then rows, sink to where it belongs."""
    row = heap[k]
    while 2 * k + 1 < count:
        child = 2 * k + 1
        if child + 1 < count and earlier(times, heap[child + 1], heap[child]):
            child += 1
        if earlier(times, row, heap[child]):
            break
        heap[k] = heap[child]
        k = child
    heap[k] = row


@kernel
def earlier(times, i, j):
    """Whether row i comes before row j."""
    return times[i] < times[j] or (times[i] == times[j] and i < j)


@kernel
def collect_kinks(times, above, upto, heap):
    """Heap the rows that meet their kinks in a range of time: few are ever needed. Their number."""
    count = 0
    for i in range(times.shape[0]):
        heap[count] = i  # in any case: branches are mispredicted
        count += (times[i] > above) & (times[i] <= upto)
    for k in range(count // 2 - 1, -1, -1):
        sift_down(heap, count, times, k)
    return count


@kernel
def line_search(a, b, on, times, curvature, slopes, slope, curve, beta, uu, up, pp, mode):
    """First local minimum of the objective along u + t p, and the row it stops at (-1: none).

    ``a`` and ``b`` are the preactivations of u and p, ``slope + t curve`` is the derivative
    of the smooth part up to the first kink. Kinks are passed in order; a concave kink
    is crossed (the row's bit flips in ``on``), a convex one ends the search once the slope is
    no longer negative. Without CROSSING every kink is a wall.
    """
    kinks = np.empty(times.shape[0] + 1, np.int64)
    count, seen, low = collect_kinks(times, -1.0, NEAR, kinks), NEAR, 0.0
    kink_here = count > 0 and times[kinks[0]] <= 0.0
    if slope + norm_slope(beta, uu, up, pp, 0.0) >= 0.0 and not (kink_here and mode == CROSSING):
        return 0.0, -1
    while True:
        if count == 0:
            if seen == FAR or slope + seen * curve + norm_slope(beta, uu, up, pp, seen) >= 0.0:
                break
            count, seen = collect_kinks(times, seen, FAR, kinks), FAR
            continue
        t, i = times[kinks[0]], kinks[0]
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
        count -= 1
        kinks[0] = kinks[count]
        sift_down(kinks, count, times, 0)
    high = max(1.0, 2.0 * low)
    if slope + 1e12 * curve + norm_slope(beta, uu, up, pp, 1e12) <= 0.0:
        return low, -1  # flat to rounding beyond the last kink
    while slope + high * curve + norm_slope(beta, uu, up, pp, high) < 0.0:
        high *= 2.0
    return first_zero(slope, curve, beta, uu, up, pp, low, high), -1


@kernel
def worst_multiplier(tight, mu, slopes, on, norms, held, mode):
    """Position in ``tight`` of the row most worth releasing, its side and the violation.

    With a gradient sum_k mu_k x_k the point is optimal across the adjacent cells iff
    slopes_k <= mu_k <= 0; in a cell that may not be left only its own side counts. Rows that
    are held were released since the last move, in vain.
    """
    worst, where, side = 0.0, -1, False
    for j in range(mu.shape[0]):
        k = tight[j]
        if held[k]:
            continue
        off, into = mu[j] * norms[k], (slopes[k] - mu[j]) * norms[k]
        if off > worst and (mode == CROSSING or not on[k]):
            worst, where, side = off, j, False
        if into > worst and (mode == CROSSING or on[k]):
            worst, where, side = into, j, True
    return worst, where, side


@kernel
def switch(x, slope, curvature, sign, q, H):
    """Add (sign = 1) or take away (-1) a row's part of the linear and quadratic term."""
    q += (sign * slope) * x
    if curvature > 0.0:
        H += np.outer((sign * curvature) * x, x)


@kernel
def cone_gradient(H, q, u, ridge, beta, free_bias):
    """Gradient of the objective with the tight rows' bits off, and the scale of multipliers."""
    w = u.copy()
    if free_bias:
        w[-1] = 0.0
    size = np.sqrt(np.dot(w, w))
    gradient = np.dot(H, u) - q + w * (ridge + beta / size)
    return gradient, beta + ridge * size


@kernel
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


@kernel
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
    Q, R, n_spanned = np.zeros((p, p)), np.zeros((p, p)), 0  # of the tight rows, see append_row
    basis, new_face = np.zeros((0, 0)), True  # of the face; not used with a ridge
    held = np.zeros(n, np.bool_)
    pulls = slopes * on  # of the rows in the sums
    pulls[tight[:n_tight]] = 0.0
    q = np.dot(pulls, X)
    noise = ROUNDING * np.dot(np.abs(slopes), norms)  # of q
    a = np.dot(X, u)
    before = on.copy()
    n_moves = 0
    for step in range(max_steps):
        if stop[0]:
            return step
        while n_spanned < n_tight:
            append_row(Q, R, n_spanned, X[tight[n_spanned]])
            n_spanned += 1
        size = np.sqrt(penalised_dot(u, u, free_bias))
        bias_only = free_bias and n_tight == 0
        if ridge > 0.0:
            target = project_face(Q, n_spanned, q, free_bias) / ridge
        else:
            if new_face:
                basis, new_face = face_basis(X, tight, n_tight, free_bias), False
            target = face_minimiser(H, q, basis, beta, bias_only, size)
        sliding = bias_only and ridge > 0.0 and bias_first(q, u, target, noise)
        left = penalised_dot(target, target, free_bias)
        if not np.any(target) or (ridge > 0.0 and not sliding and ridge * np.sqrt(left) <= noise):
            u[:] = 0.0  # straight to the apex: no kink lies in between
            return step
        direction = reject(Q, n_spanned, target - u)  # u has drifted off the face by rounding
        length, distance = np.sqrt(np.dot(direction, direction)), np.sqrt(np.dot(u, u))
        if n_tight == p - 1:  # a ray: rows that seem to move are rounding, but for the apex
            if np.dot(target, u) <= 0.0:
                u[:] = 0.0
                return step
            u[:] = target
            a = np.dot(X, u)
        elif length > ROUNDING * distance:
            up = penalised_dot(u, direction, free_bias)
            pp = penalised_dot(direction, direction, free_bias)
            slope, curve = ridge * up - np.dot(q, direction), ridge * pp
            if ridge == 0.0:  # else H is zero
                Hd = np.dot(H, direction)
                slope += np.dot(u, Hd)
                curve += np.dot(direction, Hd)
            b = np.dot(X, direction)
            b[tight[:n_tight]] = 0.0
            times = np.zeros(0)
            if mode != GATED:
                times = kink_times(a, b, on, norms, resting(length, distance))
            before[:] = on
            t, row = line_search(
                a, b, on, times, curvature, slopes, slope, curve, beta, size * size, up, pp, mode
            )
            same_cell = not sliding
            for i in range(n):
                if on[i] != before[i]:
                    same_cell = False
                    switch(X[i], slopes[i], curvature[i], 1.0 if on[i] else -1.0, q, H)
            # Inside the cell t = 1 is exact: for short directions rounding would say anything.
            arrived = row < 0 and (abs(t - 1.0) < 1e-6 or (same_cell and t > 0.0))
            u[:] = target if arrived else u + t * direction
            n_moves += 1
            if n_moves % AFRESH == 0:
                a = np.dot(X, u)
            else:
                a += (1.0 if arrived else t) * b
            if t > 0.0:
                held[:] = False
            if row >= 0:
                if on[row]:
                    switch(X[row], slopes[row], curvature[row], -1.0, q, H)
                tight[n_tight] = row
                n_tight += 1
                new_face = True
                continue
            if t > 0.0 and not arrived:
                continue  # in another cell, whose minimiser is elsewhere
        if penalised_dot(u, u, free_bias) == 0.0 or n_tight == 0:
            return step
        gradient, scale = cone_gradient(H, q, u, ridge, beta, free_bias)
        mu = coefficients(Q, R, n_tight, gradient)
        worst, where, side = worst_multiplier(tight, mu, slopes, on, norms, held, mode)
        if not worst > RELEASE * scale:  # nor where it is NaN
            return step
        row = tight[where]
        tight[where : n_tight - 1] = tight[where + 1 : n_tight].copy()
        n_tight -= 1
        tight[n_tight] = -1
        n_spanned, new_face = where, True
        held[row] = True
        on[row] = side
        if side:
            switch(X[row], slopes[row], curvature[row], 1.0, q, H)
    return max_steps
