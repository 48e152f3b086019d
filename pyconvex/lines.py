"""From the rows of X to the distinct lines of their arrangement, in generic coordinates.

The hyperplanes x_i . h = 0 do not change when rows are scaled, and their arrangement does not
change under a linear map of h. So zero rows are put aside, rows are scaled, parallel ones merged,
and the rest is written in as many coordinates as its rank, turned at random.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_INTEGER_BITS = 26  # rows that are integers of so many bits, up to a power of two, are exact
_PRIME = 2147483647
_RANK = 1e-11  # singular values below this, relative, are zero (inexact data)
_SCALING_ROUNDS = 8
_EVEN = -8  # columns with a mean exponent above this need no scaling
_TOL = 256 * np.finfo(np.float64).eps  # rounding errors of determinants, times rank and condition


@dataclass(frozen=True, eq=False)
class Lines:
    """The distinct lines of an arrangement, and how the rows of X follow from them.

    Attributes
    ----------
    Y : array, shape (m, r)
        Unit rows of rank r in generic coordinates: a cell's vector g there is h = to_user @ g.
    Z : array of int64, shape (m, r) or (0, r)
        Integers proportional to the rows of Y where X holds integers, so that zeros are decided
        exactly; empty where X is inexact.
    tol : float
        Rows of Y are dependent if the volume they span is below this (inexact X only).
    to_user : array, shape (d, r)
        Between the coordinates.
    line : array of int64, shape (n,)
        The line of each row of X; -1 for zero rows.
    flip : array of bool, shape (n,)
        Whether a row is a negative multiple of its line.
    plane : array, shape (m, r)
        The lines before they were turned (integers where exact): for rank 2.
    to_plane : array, shape (d, r)
        Between the coordinates of ``plane`` and the user's.
    """

    Y: Array
    Z: Integers
    tol: float
    to_user: Array
    line: Integers
    flip: NDArray[np.bool_]
    plane: Array
    to_plane: Array

    @property
    def n_lines(self) -> int:
        """Number of distinct lines m."""
        return len(self.Y)

    @property
    def rank(self) -> int:
        """Rank of X."""
        return int(self.Y.shape[1])

    @property
    def n_sets(self) -> int:
        """Sets of less than r of the first m - 1 lines: pairs of cells in general position."""
        return sum(math.comb(self.n_lines - 1, k) for k in range(self.rank))

    @property
    def is_identity(self) -> bool:
        """Whether row i is line i for all rows."""
        return len(self.line) == self.n_lines and not self.flip.any()


def find_lines(X: Array, draw: int = 0) -> Lines:
    """Return the lines of X (n, d), turned by the ``draw``-th random rotation."""
    n, d = X.shape
    _, exponents = np.frexp(np.abs(X).max(axis=1))
    nonzero = np.flatnonzero(X.any(axis=1))
    rows = np.ldexp(X[nonzero], -exponents[nonzero, np.newaxis])  # exact; largest entries 0.5 .. 1
    line, flip = np.full(n, -1), np.zeros(n, np.bool_)
    if not len(rows):
        no_lines, to_user = np.zeros((0, 0)), np.zeros((d, 0))
        Z = np.zeros((0, 0), np.int64)
        return Lines(no_lines, Z, 0.0, to_user, line, flip, no_lines, to_user)
    scaled = np.ldexp(rows, _INTEGER_BITS)
    if (scaled == np.rint(scaled)).all():
        integers, line[nonzero], flip[nonzero], columns = _integer_lines(scaled.astype(np.int64))
        plane, tol = integers.astype(np.float64), 0.0
        Z, mixing = _mix_integers(integers, _rotation(plane.shape[1], draw))
        Y = _unit(Z.astype(np.float64))
    else:
        plane, line[nonzero], flip[nonzero], columns, tol = _real_lines(rows)
        Z, mixing = np.zeros((0, plane.shape[1]), np.int64), _rotation(plane.shape[1], draw)
        Y = _unit(plane @ mixing)
    to_user = np.ascontiguousarray(columns @ mixing)
    return Lines(Y, Z, tol, to_user, line, flip, plane, columns)


def _rotation(rank: int, draw: int) -> Array:
    return np.linalg.qr(np.random.default_rng(draw).standard_normal((rank, rank)))[0]


def _unit(rows: Array) -> Array:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1)[:, np.newaxis])


def _integer_lines(
    rows: Integers,
) -> tuple[Integers, Integers, NDArray[np.bool_], Array]:
    """Merge proportional rows of integers; keep columns that determine all others.

    Returns the lines (m, r), the line of each row, whether it is flipped, and the map (d, r) from
    the kept columns to all.
    """
    rows = rows // np.gcd.reduce(rows, axis=1)[:, np.newaxis]
    leading = rows[np.arange(len(rows)), (rows != 0).argmax(axis=1)]
    canonical = rows * np.sign(leading)[:, np.newaxis]
    _, first, line = np.unique(canonical, axis=0, return_index=True, return_inverse=True)
    first, line = _by_appearance(first, line.ravel())
    base = rows[first]
    flip = np.sign(leading) != np.sign(leading[first[line]])
    kept = _independent_columns(base)
    columns = np.zeros((rows.shape[1], len(kept)))
    columns[kept, np.arange(len(kept))] = 1.0
    return np.ascontiguousarray(base[:, kept]), line, flip, columns


def _by_appearance(first: Integers, line: Integers) -> tuple[Integers, Integers]:
    """Renumber groups in the order of their first members."""
    order = np.argsort(first)
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return first[order], number[line]


def _independent_columns(base: Integers) -> list[int]:
    """Return the columns that no earlier ones span, by elimination modulo a prime.

    A set that is independent modulo a prime is independent. The converse fails with a probability
    of one in billions, unless minors exceed the prime by far and are multiples of it.
    """
    work = base % _PRIME
    kept, top = [], 0
    for column in range(base.shape[1]):
        candidates = np.flatnonzero(work[top:, column])
        if not len(candidates):
            continue
        pivot = top + candidates[0]
        work[[top, pivot]] = work[[pivot, top]]
        inverse = pow(int(work[top, column]), -1, _PRIME)
        factors = work[top + 1 :, column] * inverse % _PRIME
        work[top + 1 :] = (work[top + 1 :] - factors[:, np.newaxis] * work[top]) % _PRIME
        kept.append(column)
        top += 1
        if top == len(work):
            break
    return kept


def _mix_integers(base: Integers, rotation: Array) -> tuple[Integers, Array]:
    """Return base @ M and M, an integer matrix that whitens and turns the lines, nearly."""
    rank = base.shape[1]
    _, sizes, directions = np.linalg.svd(_unit(base.astype(np.float64)), full_matrices=False)
    mixing = directions.T / sizes @ rotation
    bits = 62 - math.ceil(math.log2(rank * int(np.abs(base).max()))) - 1
    mixing = np.rint(np.ldexp(mixing / np.abs(mixing).max(), min(bits, 52)))
    return base @ mixing.astype(np.int64), mixing


def _real_lines(
    rows: Array,
) -> tuple[Array, Integers, NDArray[np.bool_], Array, float]:
    """Whiten inexact rows and merge parallel ones.

    Returns unit lines (m, r), the line of each row, whether it is flipped, the map (d, r) from
    these coordinates to the columns, and the tolerance of determinants.
    """
    scale = _column_scale(rows)
    rows = rows * scale
    rows /= np.linalg.norm(rows, axis=1)[:, np.newaxis]
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    rank = int((sizes > _RANK * sizes[0]).sum())
    columns = directions[:rank].T / sizes[:rank]
    base = _unit(rows @ columns)
    tol = float(_TOL * rank * sizes[0] / sizes[rank - 1])
    line, flip = _merge_parallel(base, tol)
    first, line = _by_appearance(*np.unique(line, return_index=True, return_inverse=True)[1:])
    flip ^= flip[first[line]]
    return base[first], line, flip, columns * scale[:, np.newaxis], tol


def _column_scale(rows: Array) -> Array:
    """Return powers of two that even out the columns, whatever the rows are multiplied by.

    Exponents of nonzero entries are fitted by a sum of one number per row and one per column.
    """
    _, exponents = np.frexp(rows)
    used = rows != 0.0
    in_row, in_column = used.sum(axis=1), np.maximum(used.sum(axis=0), 1)
    total = np.where(used, exponents, 0)
    if (total.sum(axis=0) >= _EVEN * in_column).all():
        return np.ones(rows.shape[1])
    per_column = np.zeros(rows.shape[1])
    for _ in range(_SCALING_ROUNDS):
        per_row = (total.sum(axis=1) - used @ per_column) / in_row
        per_column = (total.sum(axis=0) - per_row @ used) / in_column
    return np.ldexp(1.0, -np.rint(per_column).astype(np.int32))


def _merge_parallel(base: Array, tol: float) -> tuple[Integers, NDArray[np.bool_]]:
    """Return for each unit row an earlier parallel one, or itself, and a sign that goes with it."""
    rng = np.random.default_rng(0)
    side = base @ rng.standard_normal(base.shape[1])
    for _ in range(100):  # a direction that no row is nearly orthogonal to
        if np.abs(side).min() > 10 * tol:
            break
        side = base @ rng.standard_normal(base.shape[1])
    directed = np.where(side < 0.0, -1.0, 1.0)[:, np.newaxis] * base
    key = directed @ rng.standard_normal(base.shape[1])
    order = np.argsort(key, kind="stable")
    near = 4.0 * tol * math.sqrt(base.shape[1])
    breaks = np.flatnonzero(np.diff(key[order]) > near) + 1
    line = np.arange(len(base))
    if len(breaks) + 1 < len(base):
        for run in np.split(order, breaks):
            rest = np.sort(run)
            while len(rest) > 1:
                same = np.abs(directed[rest] - directed[rest[0]]).max(axis=1) <= 2.0 * tol
                line[rest[same]] = rest[0]
                rest = rest[~same]
    return line, side < 0.0
