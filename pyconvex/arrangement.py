"""The pairs of opposite cells of an arrangement, by number."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pyconvex.backends import get_backend
from pyconvex.lines import Array, Integers, Lines, find_lines

Bits = NDArray[np.uint64]
T = TypeVar("T")

MAX_DRAWS = 20  # rotations to try
WORK = 100_000_000  # bits computed between two looks at Ctrl-C
MIN_WINDOW = 4_096  # sets looked at in one call of a kernel, at least


class RotationError(Exception):
    """Some determinant vanishes in these coordinates though its rows are independent."""


@dataclass(frozen=True)
class Arrangement:
    """Lines in generic coordinates with the kernels that search their cells.

    Pairs of opposite cells are numbered by sets of fewer than r lines (see `docs/patterns.md`): in
    general position each set of the first m - 1 lines gives one pair, otherwise some give none.
    """

    lines: Lines
    kernels: ModuleType
    n_threads: int

    @property
    def n_sets(self) -> int:
        """Number of sets, an upper bound of the pairs of cells."""
        return self.lines.n_sets

    def fill(self, first: int, last: int, packed: Bits) -> int:
        """Write the pairs of the sets first .. last - 1 to packed (2 (last - first), words).

        Returns their number: less than last - 1 - first where some sets give no cells.
        """
        lines = self.lines
        out = packed
        if not lines.is_identity:
            out = np.empty((len(packed), n_words(lines.n_lines)), np.uint64)
        if lines.rank == 2:
            self.kernels.sweep_cells(*self._turns[:2], first, last, out)
            found = last - first
        else:
            found = self.kernels.fill_cells(
                lines.Y, lines.Z, lines.tol, first, last, out, self.n_threads
            )
        if found < 0:
            raise RotationError
        if out is not packed:
            packed[: 2 * found] = self.kernels.expand_rows(
                out[: 2 * found], lines.n_lines, lines.line, lines.flip, self.n_threads
            )
        return int(found)

    def count(self, first: int, last: int) -> int:
        """Return the number of pairs that the sets first .. last - 1 give."""
        lines = self.lines
        if lines.rank <= 2:  # distinct lines of a plane are in general position
            return last - first
        total = 0
        for start, end in self.windows(first, last):
            found = self.kernels.count_cells(
                lines.Y, lines.Z, lines.tol, start, end, self.n_threads
            )
            if found < 0:
                raise RotationError
            total += found
        return total

    def windows(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Split a range of sets into parts that take a fraction of a second."""
        size = max(MIN_WINDOW, WORK // max(self.lines.n_lines, 1))
        for start in range(first, last, size):
            yield start, min(start + size, last)

    def chosen(self, pairs: Integers, n_pairs: int | None = None) -> NDArray[np.int32]:
        """Return the sets of lines of ascending, distinct pairs, (len(pairs), r - 1).

        ``n_pairs`` is the number of all pairs, if known.
        """
        if n_pairs is None:
            n_pairs = self.count(0, self.n_sets)
        general = n_pairs == self.n_sets  # then pair k comes from set k
        found, done = [], 0
        for start, end in self._ranges(pairs, general):
            sets = np.empty((end - start, self.lines.rank - 1), np.int32)
            n = self.kernels.fill_chosen(
                self.lines.Y, self.lines.Z, self.lines.tol, start, end, sets, self.n_threads
            )
            low, high = np.searchsorted(pairs, [start, end] if general else [done, done + n])
            found.append(sets[pairs[low:high] - (start if general else done)])
            done += n
        return np.concatenate(found)

    def _ranges(self, pairs: Integers, general: bool) -> Iterator[tuple[int, int]]:
        """Return the parts to search for pairs: all of them where pairs are not numbered by set."""
        if not general:
            yield from self.windows(0, self.n_sets)
            return
        for run in np.split(pairs, np.flatnonzero(np.diff(pairs) > MIN_WINDOW) + 1):
            yield from self.windows(int(run[0]), int(run[-1]) + 1)

    def points(self, pairs: Integers, n_pairs: int | None) -> Array:
        """Return a vector inside the first cell of each pair (ascending, distinct), (k, d)."""
        lines = self.lines
        if lines.rank == 0:
            return np.ones((len(pairs), len(lines.to_user)))
        if lines.rank == 2:
            return _unit(self._turns[2][pairs] @ lines.to_plane.T)
        return self.decode(self.chosen(pairs, n_pairs))[1]

    @cached_property
    def _turns(self) -> tuple[Integers, Bits, Array]:
        """Lines of rank 2 in the order in which a turning vector meets them.

        With the pattern before the first one, and vectors between them.
        """
        plane = self.lines.plane
        upper = np.where(plane[:, :1] > 0.0, 1.0, -1.0)  # boundaries (-y, x) point up, or right
        upper = np.where(plane[:, :1] == 0.0, np.where(plane[:, 1:] > 0.0, -1.0, 1.0), upper)
        boundary = upper * np.column_stack([-plane[:, 1], plane[:, 0]])
        order = np.argsort(np.arctan2(boundary[:, 1], boundary[:, 0]) % np.pi, kind="stable")
        while True:  # angles may be equal to rounding where cross products are not
            a, b = boundary[order[:-1]], boundary[order[1:]]
            wrong = np.flatnonzero(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0.0)
            if not len(wrong):
                break
            order[[wrong[0], wrong[0] + 1]] = order[[wrong[0] + 1, wrong[0]]]
        start = plane @ boundary[order[0]] > 0.0
        start[order[0]] = upper[order[0], 0] > 0.0
        units = boundary / np.linalg.norm(boundary, axis=1)[:, np.newaxis]
        between = units[order] + np.concatenate([-units[order[-1:]], units[order[:-1]]])
        return order, self.kernels.pack_dense(start[np.newaxis])[0], between

    def decode(self, chosen: NDArray[np.int32]) -> tuple[Bits, Array, NDArray[np.bool_]]:
        """Return one cell of each set of lines: patterns of X, vectors (n, d), valid."""
        lines = self.lines
        decoded = self.kernels.decode_cells(
            lines.Y, lines.Z, lines.tol, np.ascontiguousarray(chosen), self.n_threads
        )
        if decoded is None:
            raise RotationError
        packed, points, valid = decoded
        if not lines.is_identity:
            packed = self.kernels.expand_rows(
                packed, lines.n_lines, lines.line, lines.flip, self.n_threads
            )
        return packed, _unit(points @ lines.to_user.T), valid


class Cells:
    """Where the patterns of an enumeration came from: finds vectors inside them when asked."""

    def __init__(self, X: Array, draw: int, backend: str, n_pairs: int | None = None) -> None:
        self.X, self.draw, self.backend, self.n_pairs = X, draw, backend, n_pairs

    def points(self, patterns: Integers) -> Array:
        """Return a vector inside each of the patterns with these numbers, (len(patterns), d)."""
        arrangement = Arrangement(find_lines(self.X, self.draw), get_backend(self.backend), 0)
        pairs, position = np.unique(np.asarray(patterns) // 2, return_inverse=True)
        points = arrangement.points(pairs, self.n_pairs)[position]
        return np.where(np.asarray(patterns) % 2 == 1, -1.0, 1.0)[:, np.newaxis] * points


TOO_THIN = (
    "X has rows that are nearly dependent, beyond what double precision can tell apart: round X, "
    "drop nearly dependent columns, or scale it so that it holds integers"
)


def with_rotation(attempt: Callable[[int], T]) -> T:
    """Call attempt(draw) with one random rotation after another until one serves."""
    for draw in range(MAX_DRAWS):
        try:
            return attempt(draw)
        except RotationError:
            continue
    raise RuntimeError(TOO_THIN)


def _unit(rows: Array) -> Array:
    norms = np.linalg.norm(rows, axis=1)[:, np.newaxis]
    units: Array = rows / np.where(norms > 0.0, norms, 1.0)  # sets that give no cell have none
    return units


def n_words(n_samples: int) -> int:
    """Return the number of words that hold one pattern."""
    return (n_samples + 63) // 64


def name_of(kernels: ModuleType) -> str:
    """Return a backend's name."""
    return kernels.__name__.rpartition(".")[2]
