"""Numba kernels for exact pricing: the vertex of one zonotope farthest from another."""

import numpy as np
from numba import njit

from .jit_threads import in_chunks

SAME = 1e-10  # relative agreement of upper and lower bounds that counts as equal
FLAT = 1e-13  # a point this close to the corral's hull, relatively, is on it
WORTH = 1e-2  # relative gain that makes a step within the pool worth it
MAX_STEPS = 500  # of one run; the bounds are valid whenever it ends
POOL = 64  # points of B that are tried before a search
MIN_BATCH = 32  # vertices between two updates of pool and value
MAX_BATCH = 4096  # the same
FEW_RUNS = 16  # a batch with fewer searches is followed by a larger one
MANY_RUNS = 64  # with more, by a smaller one


def farthest(V, X, weights, free_bias, value, n_threads, stop):
    """Find the row of V (k, p) farthest from sum_j w_j [0, x_j], if farther than ``value``.

    X is (m, p), w > 0 (m,). With ``free_bias`` the last column of X is ones, and distances are
    those in the other coordinates to the points with the vertex's last one. Returns the index (-1:
    none), the value that the direction attains (a lower bound of the distance), an upper bound
    of all distances and the direction (p,); the bounds agree to a relative 1e-10. Once ``stop`` is
    set the upper bound is infinite.
    """
    p = X.shape[1]
    d = p - 1 if free_bias else p
    rows, weights = np.ascontiguousarray(X[:, :d]), np.array(weights)
    scaled = np.ascontiguousarray((weights[:, np.newaxis] * rows).T)
    total, top = scaled.sum(axis=1), weights.sum()
    apexes = np.array(V[:, :d])
    heights = np.clip(V[:, p - 1], 0.0, top) if free_bias else np.zeros(len(V))
    pool = np.tile(0.5 * total, (POOL, 1)), np.full(POOL, 0.5 * top), np.ones(1, np.int64)
    index, value, bound, direction = -1, float(value), float(value), np.zeros(p)
    first, batch = 0, MIN_BATCH
    while first < len(V):
        if stop[0]:
            return index, value, np.inf, direction
        count = min(batch, len(V) - first)
        parts = in_chunks(
            lambda part, start=first, limit=value * (1.0 + SAME): look_at(
                apexes[start + part.start : start + part.stop],
                heights[start + part.start : start + part.stop],
                rows, scaled, weights, total, top, bool(free_bias), pool[0], pool[1], limit,
            ),
            count,
            n_threads if count >= MIN_BATCH else 1,
        )  # fmt: skip
        upper, lower, ran, points, directions = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        runs = np.flatnonzero(ran)
        bound = max(bound, float(upper.max()))
        refill(*pool, points[runs], heights[first + runs])
        if len(runs):
            best = int(runs[np.argmax(lower[runs])])
            if lower[best] > value:
                index, value = first + best, float(lower[best])
                direction[:d] = directions[best, :d]
                direction[d:] = directions[best, d : d + p - d]
        if len(runs) < FEW_RUNS:
            batch = min(2 * batch, MAX_BATCH)
        elif len(runs) > MANY_RUNS:
            batch = max(batch // 2, MIN_BATCH)
        first += count
    return index, value, max(bound, value), direction


@njit(cache=True, nogil=True)
def refill(pool, pool_heights, used, points, heights):
    """Put points into the pool, each for the one nearest to it once the pool is full."""
    for k in range(len(points)):
        if used[0] < POOL:
            j = used[0]
            used[0] += 1
        else:
            j = nearest(pool, points[k])
        pool[j] = points[k]
        pool_heights[j] = heights[k]


@njit(cache=True, nogil=True)
def nearest(points, v):
    """Row of points nearest to v."""
    best, least = 0, np.inf
    for j in range(points.shape[0]):
        square = 0.0
        for k in range(points.shape[1]):
            square += (points[j, k] - v[k]) ** 2
        if square < least:
            best, least = j, square
    return best


@njit(cache=True, nogil=True)
def smallest(points, u):
    """Row of points whose product with u is smallest."""
    best, least = 0, np.inf
    for j in range(points.shape[0]):
        product = 0.0
        for k in range(points.shape[1]):
            product += points[j, k] * u[k]
        if product < least:
            best, least = j, product
    return best


@njit(cache=True, nogil=True)
def place(pool, pool_heights, total, top, height, placed):
    """Where the paths 0 -> p -> total, which lie in B, meet a height."""
    for j in range(pool.shape[0]):
        h = pool_heights[j]
        scale, shift = 1.0, 0.0
        if height < h:
            scale = height / h
        elif height > h:
            scale = (top - height) / (top - h)
            shift = 1.0 - scale
        for k in range(pool.shape[1]):
            placed[j, k] = scale * pool[j, k] + shift * total[k]


@njit(cache=True, nogil=True)
def look_at(
    apexes, heights, rows, scaled, weights, total, top, free_bias, pool, pool_heights, limit
):
    """Distances of vertices: upper and lower bounds, whether the pool did not do, points of B.

    The search is Wolfe's (1976) for the point of a polytope of least norm, first in the hull of
    the pool as long as that helps. A point b of B bounds dist(v, B) by |v - b| from above; every
    unit vector u by v . u - h_B(u) from below, which a neuron attains. Also returns the
    directions of the lower bounds, with the neuron's bias in the last column.
    """
    count, d = apexes.shape
    upper, lower = np.zeros(count), np.zeros(count)
    ran = np.zeros(count, np.bool_)
    points, directions = np.zeros((count, d)), np.zeros((count, d + 1))
    placed = pool.copy()
    corral, shares = np.zeros((d + 1, d)), np.zeros(d + 1)
    basis, factor = np.zeros((d, d)), np.zeros((d, d))
    queue = np.empty((len(weights), 2))
    for i in range(count):
        v = apexes[i]
        if free_bias:
            place(pool, pool_heights, total, top, heights[i], placed)
        offset = placed[nearest(placed, v)] - v
        corral[0], shares[0], size = offset, 1.0, 1
        upper[i] = np.sqrt(np.dot(offset, offset))
        going = True
        while upper[i] > limit and going:
            extreme = placed[smallest(placed, offset)] - v
            square = upper[i] * upper[i]
            going = square - np.dot(offset, extreme) > WORTH * square
            if going:
                upper[i], size, going = step_to(
                    extreme, offset, upper[i], corral, shares, basis, factor, size
                )
        if upper[i] <= limit:
            continue
        ran[i] = True
        for _ in range(MAX_STEPS):
            extreme, kink = support(rows, scaled, weights, top, free_bias, offset, heights[i], queue)
            extreme -= v
            attained = np.dot(offset, extreme) / upper[i]
            if attained > lower[i]:
                lower[i] = attained
                directions[i, :d] = -offset
                directions[i, d] = kink
            if upper[i] - lower[i] <= SAME * upper[i]:
                break
            upper[i], size, going = step_to(
                extreme, offset, upper[i], corral, shares, basis, factor, size
            )
            if not going or upper[i] <= limit:
                break
        points[i] = v + offset
    return upper, lower, ran, points, directions


@njit(cache=True, nogil=True)
def support(rows, scaled, weights, top, free_bias, offset, height, queue):
    """Extreme point of B, or of its slice at a height, in direction -offset.

    With a free bias also the bias of a neuron in that direction that lets through the same rows.
    """
    if not len(weights):
        return np.zeros(len(offset)), 0.0
    slopes = np.dot(rows, -offset)
    theta, level, share = np.zeros(len(weights)), 0.0, 0.0
    if free_bias:
        level = threshold(slopes, weights, top, height, queue)
        above = at = 0.0
        for j in range(len(weights)):
            if slopes[j] > level:
                above += weights[j]
            elif slopes[j] == level:
                at += weights[j]
        share = min(max((height - above) / at, 0.0), 1.0) if at > 0.0 else 0.0
    for j in range(len(weights)):
        if slopes[j] > level:
            theta[j] = 1.0
        elif slopes[j] == level:
            theta[j] = share
    return np.dot(scaled, theta), -level


@njit(cache=True, nogil=True)
def threshold(slopes, weights, top, height, queue):
    """Return the slope at which the steepest rows reach the height.

    By interpolation, as passes over all rows are cheap, then by sorting the rows left.
    """
    low, high = slopes.min(), slopes.max()  # the slope is in [low, high]
    over, above = top, 0.0  # weight of the rows steeper than (from) low and than high
    for _ in range(6):
        middle = low + min(max((over - height) / (over - above), 0.1), 0.9) * (high - low)
        steeper = 0.0
        for j in range(len(slopes)):
            steeper += weights[j] if slopes[j] > middle else 0.0
        if steeper > height:
            low, over = middle, steeper
        else:
            high, above = middle, steeper
    count = 0
    for j in range(len(slopes)):
        if low <= slopes[j] <= high:
            queue[count] = slopes[j], weights[j]
            count += 1
    order = np.argsort(-queue[:count, 0])
    for j in order:
        above += queue[j, 1]
        if above >= height:
            return queue[j, 0]
    return queue[order[-1], 0] if count else high


@njit(cache=True, nogil=True)
def step_to(point, offset, upper, corral, shares, basis, factor, size):
    """Admit a point (less v) to the corral and move on, in place.

    Returns the norm of the new point, the size of the corral and False where rounding lets us come
    no further.
    """
    if size > len(offset):
        return upper, size, False
    corral[size] = point
    extend_basis(corral, basis, factor, size - 1)
    length = np.sqrt(np.dot(factor[size - 1, :size], factor[size - 1, :size]))
    if factor[size - 1, size - 1] <= FLAT * length:
        return upper, size, False
    shares[size] = 0.0
    before = offset.copy()
    size = minimise(offset, corral, shares, basis, factor, size + 1)
    reached = np.sqrt(np.dot(offset, offset))
    if reached < upper:
        return reached, size, True
    offset[:] = corral[0] = before
    shares[0] = 1.0
    return upper, 1, False


@njit(cache=True, nogil=True)
def extend_basis(corral, basis, factor, j):
    """Row j of the basis, by Gram-Schmidt done twice: point j + 1 of the corral less the first.

    Row j of ``factor`` holds that difference in the basis.
    """
    row = corral[j + 1] - corral[0]
    for k in range(j):
        factor[j, k] = 0.0
    for _ in range(2):
        for k in range(j):
            part = np.dot(basis[k], row)
            row -= part * basis[k]
            factor[j, k] += part
    factor[j, j] = np.sqrt(np.dot(row, row))
    basis[j] = row / factor[j, j] if factor[j, j] > 0.0 else row


@njit(cache=True, nogil=True)
def minimise(offset, corral, shares, basis, factor, size):
    """Move to the point of the corral's convex hull nearest to the origin; return its size.

    Points that turn out not to be needed leave.
    """
    trial, change = np.empty(len(shares)), np.empty(len(offset))
    while size > 1:
        for k in range(size - 1):
            change[k] = -np.dot(basis[k], offset)
        for k in range(size - 2, -1, -1):  # back substitution
            change[k] /= factor[k, k]
            for j in range(k):
                change[j] -= change[k] * factor[k, j]
        trial[0] = shares[0]
        for k in range(size - 1):
            trial[0] -= change[k]
            trial[k + 1] = shares[k + 1] + change[k]
        step, leaving = 1.0, -1
        for j in range(size):
            if trial[j] <= 0.0 and shares[j] <= step * (shares[j] - trial[j]):
                step = shares[j] / (shares[j] - trial[j]) if shares[j] > 0.0 else 0.0
                leaving = j
        for j in range(size):
            shares[j] += step * (trial[j] - shares[j])
        if leaving >= 0:
            for k in range(leaving + 1, size):
                corral[k - 1] = corral[k]
                shares[k - 1] = shares[k]
            size -= 1
            for k in range(max(leaving - 1, 0), size - 1):
                extend_basis(corral, basis, factor, k)
        total = shares[:size].sum()
        offset[:] = 0.0
        for j in range(size):
            shares[j] /= total
            offset += shares[j] * corral[j]
        if leaving < 0:
            return size
    offset[:] = corral[0]
    return size
