"""Numba: a bound of z . (X u)_+ on a simplicial cone; see the C++ twin, cones.hpp.

With a free bias b the norm is that of the first d = r - 1 coordinates. On a cone b is about t . w,
|b - t . w| <= slack ||w||, so that p . u <= ||p_w + p_b t|| + slack |p_b|.
"""

import numpy as np

from .jit_compile import kernel

FREE = 96  # concave kinks whose share is optimised, those nearest the middle
SWEEPS = 60  # of coordinate descent
WEIGHT = 2.0  # of the bias in descent: enough for slack |p_b| to vanish with slack
SHEARS = 4
SETTLED = 1e-7
ROUNDING = 1e-12
DAMPING = 1e-10  # of a Gram matrix, relative to its diagonal


@kernel
def widest(generators, d, spread):
    """Return the distance of the two generators that are farthest apart, and which."""
    width, first, second = -1.0, 0, 0
    for i in range(len(generators)):
        for j in range(i):
            square = 0.0
            for k in range(generators.shape[1]):
                apart = generators[i, k] - generators[j, k]
                square += apart**2 if k < d else (apart / spread) ** 2
            if square > width:
                width, first, second = square, i, j
    return np.sqrt(width), first, second


@kernel
def _try_point(X, slopes, generators, dual, linear, cut, d, direction):
    """Return the value at a direction moved into the cone, and the point; 0 if it is lost."""
    u = np.dot(generators.T, np.maximum(np.dot(dual, direction), 0.0))
    norm = np.sqrt(np.dot(u[:d], u[:d]))
    if not norm > 0.0:
        return 0.0, u
    u /= norm
    value = np.dot(linear, u)
    for i in cut:
        a = 0.0
        for k in range(X.shape[1]):
            a += X[i, k] * u[k]
        if a > 0.0:
            value += slopes[i] * a
    return value, u


@kernel
def _bound(q, shear, slack, weight):
    """Return the bound at q = (p_w + p_b t, weight p_b); without a bias q = p."""
    d = len(shear)
    norm = np.sqrt(np.dot(q[:d], q[:d]))
    return norm + slack / weight * abs(q[d]) if len(q) > d else norm


@kernel
def _neuron(q, shear, weight):
    """Return the neuron that attains the norm: where descent ends it lies in the cone."""
    d = len(shear)
    u = q.copy()
    if len(q) > d:
        u[d] = weight * q[d] + np.dot(shear, q[:d])
    return u


@kernel
def _sort_rows(X, slopes, generators, linear, cut):
    """Add rows that are on to the linear part; return cut rows and what is known of them."""
    r = X.shape[1]
    interpolated = np.zeros(r)
    kept = np.empty(len(cut), np.int32)
    concave = np.empty(len(cut), np.int32)
    middle = np.empty(len(cut))
    n_kept = n_concave = 0
    t = np.empty(r)
    for i in cut:
        low, high, total = np.inf, -np.inf, 0.0
        for j in range(r):
            a = 0.0
            for k in range(r):
                a += generators[j, k] * X[i, k]
            t[j] = a
            low, high, total = min(low, a), max(high, a), total + a
        if low >= 0.0:
            linear += slopes[i] * X[i]
        elif high > 0.0:
            kept[n_kept] = i
            n_kept += 1
            if slopes[i] > 0.0:
                interpolated += slopes[i] * np.maximum(t, 0.0)
            else:
                concave[n_concave] = i
                middle[n_concave] = total / (high - low)
                n_concave += 1
    return kept[:n_kept].copy(), interpolated, concave[:n_concave], middle[:n_concave]


@kernel
def _extent(generators, middle, d):
    """Return the smallest extent of the generators along the middle."""
    extent = np.inf
    for k in range(len(generators)):
        extent = min(extent, np.dot(generators[k, :d], middle[:d]))
    return extent


@kernel
def _set_shear(generators, c, extent, weight, shear, p, steps):
    """Let the shear go through a neuron c, t = b_c w_c / ||w_c||^2; return its slack.

    On the whole cone the deviation is at most the largest at the generators over ``extent``.
    """
    d = len(shear)
    change = c[d] / np.dot(c[:d], c[:d]) * c[:d] - shear
    p[:d] += p[d] / weight * change
    for k in range(len(steps)):
        steps[k, :d] += steps[k, d] / weight * change
    shear += change
    slack = 0.0
    for k in range(len(generators)):
        slack = max(slack, abs(generators[k, d] - np.dot(generators[k, :d], shear)))
    return slack / extent


@kernel
def _polish(steps, at, high, p):
    """Solve for the entries strictly between their limits; return how far p moved.

    More of them than coordinates make a singular system: damped a little it has nearly the least
    solution.
    """
    start = p.copy()
    r = len(p)
    for _ in range(r):
        inside = np.flatnonzero((at > 0.0) & (at < high))
        if len(inside) == 0 or len(inside) > 2 * r:
            break
        S = steps[inside]
        gram = np.dot(S, S.T)
        for k in range(len(inside)):
            gram[k, k] *= 1.0 + DAMPING
        wanted = -np.linalg.solve(gram, np.dot(S, p))
        size, first = 1.0, -1
        for k in range(len(inside)):
            i = inside[k]
            room = high[i] - at[i] if wanted[k] > 0.0 else at[i]
            if abs(wanted[k]) * size > room:
                size, first = room / abs(wanted[k]), k
        p += size * np.dot(S.T, wanted)
        for k in range(len(inside)):
            at[inside[k]] += size * wanted[k]
        if first < 0:
            break
        at[inside[first]] = high[inside[first]] if wanted[first] > 0.0 else 0.0
    return np.sqrt(np.sum((p - start) ** 2))


@kernel
def _sweep(steps, at, high, p):
    """One round of coordinate descent; return the longest step."""
    moved = 0.0
    for k in range(len(at) - 1, -1, -1):
        square = along = 0.0  # plain loops: the vectors are short
        for j in range(len(p)):
            square += steps[k, j] * steps[k, j]
            along += steps[k, j] * p[j]
        if not square > 0.0:
            continue
        following = min(max(at[k] - along / square, 0.0), high[k])
        if following != at[k]:
            for j in range(len(p)):
                p[j] += (following - at[k]) * steps[k, j]
            moved = max(moved, abs(following - at[k]) * np.sqrt(square))
            at[k] = following
    return moved


@kernel
def evaluate(X, slopes, generators, linear, cut, d, spread, cutoff):
    """Return linear part and cut rows of a cone, its bound, and the best point's value.

    ``slopes`` is sign z. The bound need not fall below ``cutoff``.
    """
    r = X.shape[1]
    linear = linear.copy()
    dual = np.ascontiguousarray(np.linalg.inv(generators.T))  # rows a_j: a_j . v_k = delta
    cut, interpolated, concave, middle = _sort_rows(X, slopes, generators, linear, cut)
    value, point = _try_point(
        X, slopes, generators, dual, linear, cut, d, np.sum(generators, axis=0)
    )
    value = max(value, 0.0)
    p = linear + np.dot(dual.T, interpolated)
    n_free = min(len(concave), FREE)
    order = np.argsort(np.abs(middle))[:n_free]
    steps = np.empty((n_free + r, r))
    at, high = np.zeros(n_free + r), np.full(n_free + r, np.inf)
    for k in range(len(concave)):
        if middle[k] > 0.0:
            p += slopes[concave[k]] * X[concave[k]]
    for k in range(n_free):
        i = concave[order[k]]
        steps[k] = slopes[i] * X[i]
        at[k] = 1.0 if middle[order[k]] > 0.0 else 0.0
        high[k] = 1.0
    steps[n_free:] = dual

    shear, slack, extent, weight = np.zeros(d), 0.0, 1.0, 1.0
    if d < r:
        c = np.sum(generators, axis=0)
        c /= np.sqrt(np.dot(c[:d], c[:d]))
        extent = _extent(generators, c, d)
        weight = WEIGHT * spread
        p[d] *= weight
        steps[:, d] *= weight
        slack = _set_shear(generators, c, extent, weight, shear, p, steps)

    # Once descent settles the shear goes through the neuron found, where the bias coordinate of p
    # then costs nothing.
    best, shears = _bound(p, shear, slack, weight), 0
    for i in range(SWEEPS):
        if best <= cutoff:
            break
        moved = _sweep(steps, at, high, p) + _polish(steps, at, high, p)
        best = min(best, _bound(p, shear, slack, weight))
        settled = moved <= SETTLED * best
        if not settled and i != 3 and i != 15 and i + 1 != SWEEPS:
            continue
        attained, u = _try_point(
            X, slopes, generators, dual, linear, cut, d, _neuron(p, shear, weight)
        )
        if attained > value:
            value, point = attained, u
        if value > cutoff:  # nothing can prune a cone that holds the maximum
            break
        if settled:
            if d == r or shears == SHEARS or not np.dot(u[:d], u[:d]) > 0.0:
                break
            shears += 1
            slack = _set_shear(generators, u, extent, weight, shear, p, steps)
            best = min(best, _bound(p, shear, slack, weight))
    return linear, cut, best * (1.0 + ROUNDING), value, point
