"""Central hyperplane arrangements whose number of cells is known, and an exact count for others.

A matrix X stands for the hyperplanes {h: x_i.h = 0}; its entries are integers, held as floats.
Nothing here uses pyconvex: these are the numbers that its enumeration is compared with.
"""

import itertools
import math
from functools import cache, partial

import numpy as np

# Families: one row per hyperplane.


def braid(k):
    """x_i = x_j: a cell is an order of the k coordinates, k! of them."""
    return graphic(itertools.combinations(range(k), 2), k)


def type_b(k):
    """x_i = ±x_j and x_i = 0: a cell is an order of the |x_i| and their signs, 2^k k! of them."""
    E = np.eye(k)
    pairs = itertools.combinations(range(k), 2)
    mirrors = [E[i] + sign * E[j] for i, j in pairs for sign in (-1, 1)]
    return np.array([*mirrors, *E])


def resonance(k):
    """All nonzero 0/1 vectors of length k; counts are known from the literature only."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=k)))[1:]


def threshold(k):
    """The corners of a cube and a constant: a cell is a threshold function of k inputs."""
    return ones(list(itertools.product([-1.0, 1.0], repeat=k)))


def cross_polytope(d):
    """±e_i and a constant: with h = (w, b), b > 0, w_i lies below, in or above [-b, b].

    That makes 3^d patterns; b < 0 has as many, and the 2^d without a w_i inside are met twice.
    """
    return ones(np.vstack([np.eye(d), -np.eye(d)]))


def demicube(d):
    """Every other corner of a cube and a constant."""
    corners = itertools.product([-1.0, 1.0], repeat=d)
    return ones([corner for corner in corners if math.prod(corner) > 0])


def graphic(edges, n):
    """x_i = x_j for the edges of a graph on n vertices: a cell is an acyclic orientation."""
    E = np.eye(n)
    return np.array([E[i] - E[j] for i, j in edges]).reshape(-1, n)


def cycle(n):
    """Any orientation of the n edges but the two that go round: 2^n - 2 cells."""
    return graphic([(i, (i + 1) % n) for i in range(n)], n)


def complete_bipartite(a, b):
    """Edges between two sets of a and b vertices: a poly-Bernoulli number of cells."""
    return graphic(itertools.product(range(a), range(a, a + b)), a + b)


def petersen():
    """A cubic graph without short cycles: an outer pentagon, spokes and a pentagram."""
    edges = [((i, (i + 1) % 5), (i, i + 5), (i + 5, (i + 2) % 5 + 5)) for i in range(5)]
    return graphic(itertools.chain(*edges), 10)


def grid(k, d):
    """The points of {0..k-1}^d and a constant: many points on a line, as in binned data."""
    return ones(list(itertools.product(np.arange(float(k)), repeat=d)))


def block_diagonal(*matrices):
    """Arrangements in orthogonal spaces: the numbers of cells multiply."""
    X = np.zeros(np.sum([M.shape for M in matrices], axis=0))
    i = j = 0
    for M in matrices:
        n, d = M.shape
        X[i : i + n, j : j + d] = M
        i, j = i + n, j + d
    return X


def ones(points):
    return np.column_stack([points, np.ones(len(points))])


# Numbers of cells.


def n_cells_general(n, r):
    """Of n >= 1 hyperplanes of rank r in general position, the most that there can be."""
    return 2 * sum(math.comb(n - 1, k) for k in range(r))


def n_cells_grid(k):
    """Of grid(k, 2): the two sides of each cut of a k x k square of points by a line (A114043)."""
    totients = [sum(math.gcd(i, j) == 1 for j in range(i)) for i in range(k)]
    slanted = sum((k - i) * (2 * k - i) * totients[i] for i in range(2, k))
    return 2 * (4 * k * k - 6 * k + 3 + 2 * slanted)


def n_cells_bipartite(a, b):
    terms = range(min(a, b) + 1)
    return sum(
        math.factorial(m) ** 2 * stirling(a + 1, m + 1) * stirling(b + 1, m + 1) for m in terms
    )


@cache
def stirling(n, k):
    """The ways to split n things into k nonempty sets."""
    if n == 0 or k == 0:
        return int(n == k)
    return k * stirling(n - 1, k) + stirling(n - 1, k - 1)


def n_cells_graphic(X):
    """Acyclic orientations of the graph, by inclusion and exclusion over its sets of sinks.

    The work is 3^n for n vertices. Vertex sets are bit masks.
    """
    near = [0] * X.shape[1]
    for row in X:
        i, j = np.flatnonzero(row)
        near[i] |= 1 << j
        near[j] |= 1 << i

    @cache
    def independent(vertices):
        if vertices == 0:
            return True
        top = vertices.bit_length() - 1
        rest = vertices ^ (1 << top)
        return not near[top] & rest and independent(rest)

    @cache
    def orientations(vertices):
        if vertices == 0:
            return 1
        total, sinks = 0, vertices
        while sinks:
            if independent(sinks):
                total -= (-1) ** sinks.bit_count() * orientations(vertices ^ sinks)
            sinks = (sinks - 1) & vertices
        return total

    return orientations((1 << X.shape[1]) - 1)


# Any integer matrix: the number of cells is the number of no-broken-circuit sets.

PRIMES = (2**31 - 1, 2**31 - 19)


def nbc_count(X):
    """The number of cells of the arrangement of an integer matrix, exactly.

    A set of rows is counted iff no row lies in the span of the larger-indexed ones among them
    without being one of them. The ranks are taken modulo two primes, after a random change of
    coordinates that makes the first nonzero coordinate of every row the first one. An unlucky
    prime or number can only turn something into zero, and would have to do so modulo both.
    """
    rows = distinct_lines(X)
    if len(rows) == 0:
        return 1
    d = rows.shape[1]
    rng = np.random.default_rng(0)
    mixed = [(rows[:, :, None] % p * rng.integers(p, size=(d, d)) % p).sum(1) % p for p in PRIMES]
    residues = np.array(mixed)
    rank = modular_rank(residues)
    return n_nbc_sets(residues[:, :, :rank], rank)


def distinct_lines(X):
    """The rows as primitive integer vectors, first nonzero entry positive; none twice, none 0."""
    X = np.asarray(X)
    if not np.all((np.abs(X) <= 2**53) & (np.round(X) == X)):
        raise ValueError("X must hold integers that floats represent exactly")
    rows = X[X.any(axis=1)].astype(np.int64)
    if len(rows) == 0:
        return rows
    first = rows[np.arange(len(rows)), (rows != 0).argmax(axis=1)]
    scale = np.gcd.reduce(rows, axis=1) * np.sign(first)
    return np.unique(rows // scale[:, None], axis=0)


def reduce_by(pivots, rows):
    """`rows` modulo the vectors `pivots`, up to factors; their first coordinate is used up.

    Axis 0 is the prime, the last axis the coordinate; the others broadcast. Products stay below
    2^62.
    """
    reduced = rows[..., 1:] * pivots[..., :1] - rows[..., :1] * pivots[..., 1:]
    for i, p in enumerate(PRIMES):
        reduced[i] %= p
    return reduced


def modular_rank(residues):
    rank = 0
    while residues.shape[1]:
        residues = reduce_by(residues[:, :1], residues[:, 1:])
        residues = residues[:, residues.any(axis=(0, 2))]
        rank += 1
    return rank


def n_nbc_sets(rows, rank):
    """Depth-first over the largest index s in the set: go on with the rows below s, modulo row s.

    s will not do if a row below it is parallel to it. In rank 2 each s but the first, 0, leaves
    two sets, {s} and {s, 0}; with {} and {0} that is twice the number of s that will do. Rank 3
    looks at this in one go for all s, unless its n^3 numbers are too many.
    """
    n = rows.shape[1]
    if n <= 1 or rank == 1:
        return 1 + min(n, 1)
    quotients = reduce_by(rows[:, :, None], rows[:, None])  # prime, s, row, coordinate
    good = np.flatnonzero(are_first(quotients))
    if rank == 2:
        return 2 * len(good)
    if rank == 3 and n <= 64:
        lines = quotients[:, good]
        below = np.arange(n) < good[:, None]
        pairs = reduce_by(lines[:, :, :, None], lines[:, :, None])
        return 2 + 2 * np.count_nonzero(are_first(pairs) & below)
    return 1 + sum(n_nbc_sets(quotients[:, s, :s], rank - 1) for s in good)


def are_first(quotients):
    """Whether row s (axis -3) is parallel to no row before it (axis -2)."""
    parallel = ~quotients.any(axis=(0, -1))
    return ~np.tril(parallel, -1).any(axis=-1)


# What parametrised tests run over: name, function that makes X, number of cells.

RESONANCE = {1: 2, 2: 6, 3: 32, 4: 370, 5: 11292, 6: 1066044}
THRESHOLD = {1: 4, 2: 14, 3: 104, 4: 1882, 5: 94572, 6: 15028134}
# The demicube in four dimensions is a cross-polytope; the cells of the one in five were listed by
# linear programs.
DEMICUBE = {4: 2 * (3**4 - 2**3), 5: 3756, 6: 291558}
BIPARTITE = [(1, 5), (2, 2), (2, 5), (3, 3), (3, 4), (4, 4), (3, 6), (4, 5), (5, 5)]

KNOWN = [
    *((f"braid-{k}", partial(braid, k), math.factorial(k)) for k in range(2, 9)),
    *((f"type-b-{k}", partial(type_b, k), 2**k * math.factorial(k)) for k in range(1, 7)),
    *((f"resonance-{k}", partial(resonance, k), RESONANCE[k]) for k in range(1, 7)),
    *((f"threshold-{k}", partial(threshold, k), THRESHOLD[k]) for k in range(1, 6)),
    *(
        (f"cross-polytope-{d}", partial(cross_polytope, d), 2 * (3**d - 2 ** (d - 1)))
        for d in range(1, 11)
    ),
    *((f"demicube-{d}", partial(demicube, d), DEMICUBE[d]) for d in DEMICUBE),
    *((f"cycle-{n}", partial(cycle, n), 2**n - 2) for n in range(3, 13)),
    *(
        (f"bipartite-{a}-{b}", partial(complete_bipartite, a, b), n_cells_bipartite(a, b))
        for a, b in BIPARTITE
    ),
    ("petersen", petersen, n_cells_graphic(petersen())),
    *((f"grid-{k}-2", partial(grid, k, 2), n_cells_grid(k)) for k in range(2, 8)),
    *((f"grid-2-{d}", partial(grid, 2, d), THRESHOLD[d]) for d in range(3, 6)),
    (
        "blocks",
        lambda: block_diagonal(braid(4), cross_polytope(2), cycle(4)),
        math.factorial(4) * 14 * 14,
    ),
]
