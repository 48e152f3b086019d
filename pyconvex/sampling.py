"""Draw activation patterns at random: by Gaussian gates, uniformly over cells, or at the data."""

from fractions import Fraction
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.arrangement import Arrangement, with_rotation
from pyconvex.backends import get_backend, on_arrays
from pyconvex.data import (
    check_choice,
    check_exact_matrix,
    check_int,
    check_n_threads,
    check_random_state,
    is_sparse,
)
from pyconvex.device_choice import find_space
from pyconvex.lines import Array, find_lines
from pyconvex.namespaces import DeviceArray, Space, check_matrix
from pyconvex.patterns import PatternSet, device_patterns
from pyconvex.rows import check_rows, pack_gates
from pyconvex.witnesses import inside, interior_points

Chosen = NDArray[np.int32]

_LIST_ALL = 64  # draw from the list of all sets where they are at most so many times the draws
_RARE = 0.05  # and where fewer draws than this share hit a cell
_FLAT = 1e-9  # the part of a line outside a span that makes it independent
_ON = 1e-12  # a vertex this close to a line lies on it
_MAX_ROUNDS = 20


def sample_patterns(
    X: ArrayLike,
    n_patterns: int,
    *,
    method: str = "gaussian",
    unique: bool = True,
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> PatternSet:
    """Draw activation patterns 1[X h >= 0] at random.

    Parameters
    ----------
    X : array or sparse matrix, shape (n_samples, n_features)
        Data. Append a column of ones for gates with a bias. Sparse data stay sparse if ``method``
        is "gaussian"; for the others they are made dense, up to 1 GiB.
    n_patterns : int
        Number of draws.
    method : {"gaussian", "uniform", "data"}
        "gaussian": h is a standard normal vector; wide cells are drawn often, most cells never.
        "uniform": every cell of the arrangement (see `pyconvex.enumerate_patterns`) with the same
        probability. "data": a vertex where r - 1 random rows of X vanish, r = rank X, and a cell
        next to it in a random direction.
    unique : bool
        Drop repeated patterns (the first stays), so that fewer than `n_patterns` may remain;
        "uniform" draws without replacement: `n_patterns` patterns, or all there are.
    random_state : int, Generator, RandomState or None
        Source of randomness. Patterns do not depend on backend or number of threads.
    backend : {"auto", "native", "jit", "array"}
        Who computes. "auto" follows X: arrays of another library than NumPy give patterns on
        their device ("gaussian" only).
    n_threads : int, optional
        Threads; None takes all cores.

    Returns
    -------
    PatternSet
        With gates; those of "uniform" and "data" lie strictly inside their cells.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.
    RuntimeError
        If rounding errors cannot be kept out ("uniform" and "data").

    Notes
    -----
    "uniform" draws sets of fewer than r lines, all equally likely; a set without a broken circuit
    stands for two opposite cells, others are drawn again. In general position no set is in vain.
    Where most are, all sets are counted first.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> len(pyconvex.sample_patterns(np.eye(2), 100, random_state=0))
    4
    >>> len(pyconvex.sample_patterns(np.eye(9), 100, method="uniform", random_state=0))
    100
    """
    check_choice(method, "method", ("gaussian", "uniform", "data"))
    gaussian = method == "gaussian"
    if on_arrays(X, backend):
        if not gaussian:
            raise ValueError(
                f"method={method!r} is not available on device arrays: pass a NumPy X, e.g. "
                "X.cpu().numpy(), and use to_device of the result"
            )
        space, n = find_space(X, {}), check_int(n_patterns, "n_patterns")
        rng = check_random_state(random_state)
        return draw_on(space, check_matrix(space, X), n, rng, unique).to_device(X)
    X = check_rows(X) if gaussian and is_sparse(X) else check_exact_matrix(X, single=gaussian)
    n = check_int(n_patterns, "n_patterns")
    rng, kernels = check_random_state(random_state), get_backend(backend)
    threads = check_n_threads(n_threads)
    if method == "gaussian":
        G = rng.standard_normal((X.shape[1], n))
        packed = pack_gates(kernels, X, G, threads)
        return _as_set(PatternSet(packed, len(X), G), unique, backend)
    seed = rng.integers(2**63)  # every rotation starts from the same random numbers

    def attempt(rotation: int) -> PatternSet:
        arrangement = Arrangement(find_lines(X, rotation), kernels, threads)
        again = np.random.default_rng(seed)
        if method == "uniform":
            packed, points = _draw_uniform(arrangement, n, unique, again)
        else:
            points = _draw_at_data(arrangement, n, again)
            packed = kernels.pack_gates(X, np.ascontiguousarray(points.T), threads)
        return _from_points(arrangement, X, packed, points)

    return _as_set(with_rotation(attempt), unique, backend)


def draw_on(
    space: Space, X: DeviceArray, n: int, rng: np.random.Generator, unique: bool = True
) -> PatternSet:
    """Return patterns of Gaussian gates on a device.

    The gates are drawn on the host, as those of the other backends are, and copied there: all see
    the same patterns.
    """
    G = space.upload(rng.standard_normal((X.shape[1], n)))
    return device_patterns(space, X, G, unique=unique)


def _as_set(patterns: PatternSet, unique: bool, backend: str) -> PatternSet:
    if not unique:
        return patterns
    kept = get_backend(backend).unique(patterns.packed)
    return patterns if len(kept) == len(patterns) else patterns[kept]


def _from_points(
    arrangement: Arrangement, X: Array, packed: NDArray[np.uint64], points: Array
) -> PatternSet:
    """Check that each point lies inside its cell; find another one where it does not."""
    dense = arrangement.kernels.unpack(packed, len(X))
    outside = np.flatnonzero(~inside(X, dense, points))
    if len(outside):
        points[outside] = interior_points(X, dense[outside])
    return PatternSet(packed, len(X), np.ascontiguousarray(points.T), X)


def _draw_uniform(
    arrangement: Arrangement, n: int, unique: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint64], Array]:
    """Return patterns and vectors inside them, uniformly over the cells."""
    lines = arrangement.lines
    if lines.rank == 0:
        packed = arrangement.kernels.pack_dense(np.ones((n, len(lines.line)), np.bool_))
        return packed, np.ones((n, len(lines.to_user)))
    found = None
    if arrangement.n_sets > _LIST_ALL * n:
        found = _draw_sets(arrangement, n, unique, rng)
    if found is None:
        found = _draw_from_list(arrangement, n, unique, rng)
    chosen, opposite = found
    packed, points, _ = arrangement.decode(chosen)
    points = np.where(opposite, -1.0, 1.0)[:, np.newaxis] * points
    dense = arrangement.kernels.unpack(packed, len(lines.line))
    turned = opposite[:, np.newaxis] & (lines.line >= 0)  # zero rows are always on
    return arrangement.kernels.pack_dense(dense ^ turned), points


def _draw_from_list(
    arrangement: Arrangement, n: int, unique: bool, rng: np.random.Generator
) -> tuple[Chosen, NDArray[np.bool_]]:
    """Draw numbers of cells, then find their sets."""
    n_pairs = arrangement.count(0, arrangement.n_sets)
    if unique:
        number = rng.choice(2 * n_pairs, min(n, 2 * n_pairs), replace=False)
    else:
        number = rng.integers(2 * n_pairs, size=n)
    pairs, position = np.unique(number // 2, return_inverse=True)
    return arrangement.chosen(pairs, n_pairs)[position], number % 2 == 1


def _draw_sets(
    arrangement: Arrangement, n: int, unique: bool, rng: np.random.Generator
) -> tuple[Chosen, NDArray[np.bool_]] | None:
    """Draw sets of lines until n of them stand for cells; None where that is too rare."""
    m, r = arrangement.lines.n_lines, arrangement.lines.rank
    seen: set[bytes] = set()
    rows: list[NDArray[np.int32]] = []
    n_drawn = n_valid = 0
    while len(rows) < n:
        chosen = _random_sets(m - 1, r - 1, arrangement.n_sets, n, rng)
        valid = arrangement.decode(chosen)[2]
        n_drawn, n_valid = n_drawn + n, n_valid + int(valid.sum())
        if n_valid < _RARE * n_drawn:
            return None
        opposite = rng.integers(2, size=n, dtype=np.int32)
        for row in np.column_stack([chosen, opposite])[valid]:
            if not unique or row.tobytes() not in seen:
                seen.add(row.tobytes())
                rows.append(row)
    table = np.array(rows[:n])
    return np.ascontiguousarray(table[:, :-1]), table[:, -1] == 1


def _random_sets(m: int, most: int, n_sets: int, n: int, rng: np.random.Generator) -> Chosen:
    """Draw n sets of at most ``most`` of m numbers, all equally likely; ascending, -1 pads."""
    shares = [float(Fraction(comb(m, k), n_sets)) for k in range(most + 1)]
    sizes = np.searchsorted(np.cumsum(shares)[:-1], rng.random(n), side="right")
    chosen = np.full((n, most), -1, np.int32)
    for k in range(1, most + 1):
        of_size = np.flatnonzero(sizes == k)
        chosen[of_size, :k] = _random_subsets(m, k, len(of_size), rng)
    return chosen


def _random_subsets(m: int, k: int, n: int, rng: np.random.Generator) -> Chosen:
    """Draw n sets of k of m numbers, ascending, by Floyd's algorithm."""
    sets = np.full((n, k), -1, np.int32)
    for j in range(k):  # one number more is possible at each step
        number = rng.integers(m - k + j + 1, size=n, dtype=np.int32)
        taken = (sets == number[:, np.newaxis]).any(axis=1)
        sets[:, j] = np.where(taken, m - k + j, number)
    return np.sort(sets, axis=1)


def _draw_at_data(arrangement: Arrangement, n: int, rng: np.random.Generator) -> Array:
    """Return vectors (n, d) inside cells next to random vertices of the arrangement."""
    lines = arrangement.lines
    if lines.rank == 0:
        return np.ones((n, len(lines.to_user)))
    Y, r = lines.Y, lines.rank
    vertices, volumes = _vertices(Y, n, rng)
    vertices *= rng.choice([-1.0, 1.0], size=(n, 1))
    values = vertices @ Y.T
    on = np.abs(values) * volumes[:, np.newaxis] <= max(lines.tol, _ON)
    points = np.empty_like(vertices)
    todo = np.arange(n)
    for _ in range(_MAX_ROUNDS):
        steps = rng.standard_normal((len(todo), r))
        change = steps @ Y.T
        against = ~on[todo] & (values[todo] * change < 0.0)
        room = np.where(against, np.abs(values[todo] / np.where(against, change, 1.0)), 2.0)
        points[todo] = vertices[todo] + 0.5 * room.min(axis=1, keepdims=True) * steps
        todo = todo[np.abs(points[todo] @ Y.T).min(axis=1) <= _ON]
        if not len(todo):
            break
    gates = points @ lines.to_user.T
    units: Array = gates / np.linalg.norm(gates, axis=1)[:, np.newaxis]
    return units


def _vertices(Y: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return unit vectors (n, r) where r - 1 random lines vanish, and the volumes of those."""
    m, r = Y.shape
    if r == 1:
        return np.ones((n, 1)), np.ones(n)
    sets = _random_subsets(m, r - 1, n, rng)
    volumes = np.linalg.svd(Y[sets], compute_uv=False).prod(axis=1)
    for k in np.flatnonzero(volumes <= _ON):  # dependent lines: take the next ones in the queue
        queue, basis = rng.permutation(m), np.zeros((0, r))
        chosen: list[int] = []
        for j in queue:
            rest = Y[j] - basis.T @ (basis @ Y[j])
            if np.linalg.norm(rest) > _FLAT:
                chosen.append(j)
                basis = np.concatenate([basis, rest[np.newaxis] / np.linalg.norm(rest)])
            if len(chosen) == r - 1:
                break
        sets[k] = chosen
    _, sizes, directions = np.linalg.svd(Y[sets], full_matrices=True)
    return directions[:, -1].copy(), sizes.prod(axis=1)
