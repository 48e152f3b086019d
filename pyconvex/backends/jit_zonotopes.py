"""Numba kernels for exact pricing: the vertex of one zonotope farthest from another."""

import numpy as np

from .jit_compile import kernel
from .jit_hull import admit
from .jit_threads import in_chunks

SAME = 1e-10  # relative agreement of upper and lower bounds that counts as equal
WORTH = 1e-2  # relative gain that makes a step within the pool worth it
FEW_ROWS = 32  # among which sorting is fast enough
PASSES = 6  # of interpolation, where rows are more
MAX_STEPS = 500  # of one run; the bounds are valid whenever it ends
POOL = 64  # points of B that are tried before a search
MIN_BATCH = 32  # vertices between two updates of pool and value
MAX_BATCH = 4096  # the same
PARALLEL = 512  # vertices that are worth more than one thread
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
    zonotope = rows, scaled, weights, total, top, bool(free_bias)
    apexes = np.array(V[:, :d])
    heights = np.clip(V[:, p - 1], 0.0, top) if free_bias else np.zeros(len(V))
    pool, used = (np.tile(0.5 * total, (POOL, 1)), np.full(POOL, 0.5 * top)), np.ones(1, np.int64)
    index, value, bound, direction = -1, float(value), float(value), np.zeros(p)
    first, batch = 0, MIN_BATCH
    while first < len(V):
        if stop[0]:
            return index, value, np.inf, direction
        part = slice(first, min(first + batch, len(V)))
        limit = value * (1.0 + SAME)
        upper, lower, ran, points, directions = look(
            apexes[part], heights[part], (*zonotope, *pool, limit), n_threads
        )
        runs = np.flatnonzero(ran)
        refill(*pool, used, points[runs], heights[first + runs])
        bound, best = max(bound, float(upper.max())), int(np.argmax(lower))
        if lower[best] > value:
            index, value, direction = first + best, float(lower[best]), directions[best, :p]
        if len(runs) < FEW_RUNS:
            batch = min(2 * batch, MAX_BATCH)
        elif len(runs) > MANY_RUNS:
            batch = max(batch // 2, MIN_BATCH)
        first = part.stop
    return index, value, max(bound, value), direction


def look(apexes, heights, fixed, n_threads):
    """Return what `look_at` does, on several threads."""
    parts = in_chunks(
        lambda part: look_at(apexes[part], heights[part], *fixed),
        len(apexes),
        n_threads if len(apexes) >= PARALLEL else 1,
    )
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@kernel
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


@kernel
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


@kernel
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


@kernel
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


@kernel
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
                upper[i], size, going = admit(
                    extreme, offset, upper[i], corral, shares, basis, factor, size
                )
        if upper[i] <= limit:
            continue
        ran[i] = True
        for _ in range(MAX_STEPS):
            extreme, kink = support(
                rows, scaled, weights, top, free_bias, offset, heights[i], queue
            )
            extreme -= v
            attained = np.dot(offset, extreme) / upper[i]
            if attained > lower[i]:
                lower[i] = attained
                directions[i, :d] = -offset
                directions[i, d] = kink
            if upper[i] - lower[i] <= SAME * upper[i]:
                break
            upper[i], size, going = admit(
                extreme, offset, upper[i], corral, shares, basis, factor, size
            )
            if not going or upper[i] <= limit:
                break
        points[i] = v + offset
    return upper, lower, ran, points, directions


@kernel
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


@kernel
def threshold(slopes, weights, top, height, queue):
    """Return the slope at which the steepest rows reach the height.

    By interpolation, as passes over all rows are cheap, then by sorting the rows left.
    """
    low, high = slopes.min(), slopes.max()  # the slope is in [low, high]
    over, above = top, 0.0  # weight of the rows steeper than (from) low and than high
    for _ in range(PASSES if len(slopes) > FEW_ROWS else 0):
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
