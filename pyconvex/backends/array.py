"""Kernels on arrays of any array-API namespace, on their device: torch, CuPy, NumPy and others.

Patterns are bytes (n_patterns, ceil(n_samples / 8)) of dtype uint8: sample i in bit i % 8 of byte
i // 8, the bytes of the words of `pyconvex.PatternSet` on a little-endian machine. They are
unpacked in blocks, never as a whole: what a kernel holds beside its input and its result takes at
most `MEMORY_BUDGET` bytes.

Each kernel takes the `Space` its arrays live in first. X may be float32: it is converted block by
block, all else is double (where the device has it).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvex.namespaces import DeviceArray, Space, compat, to_host

MEMORY_BUDGET = 2**30  # bytes that a kernel may hold beside its input and its result
CPU_BLOCK = 2**23  # bytes of a block in the memory of the CPU: more would leave its caches
_ROWS = 1024  # a block has so many rows at least, where the budget allows: products need some


def info() -> dict[str, Any]:
    """Report the version of array-api-compat and the libraries that are installed."""
    return {"array_api_compat": compat().__version__}


def n_bytes(n_samples: int) -> int:
    """Bytes of a pattern."""
    return (n_samples + 7) // 8


def block_rows(space: Space, n_items: int, n_samples: int, copies: int = 3) -> tuple[int, int]:
    """Return how many items (groups, neurons) and samples a block may have.

    A block holds ``copies`` arrays of items x samples in double. The number of samples is a
    multiple of 8.
    """
    size = max(_block_bytes(space) // (8 * copies), 8 * 64)
    rows = min(-(-n_samples // 8) * 8, max(_ROWS, size // max(n_items, 1)) // 8 * 8)
    return max(1, min(max(n_items, 1), size // rows)), rows


def rows_of(space: Space, n: int, width: int) -> Iterator[slice]:
    """Cut n rows of so many numbers into blocks."""
    return blocks(n, max(1, _block_bytes(space) // (24 * max(width, 1))))


def _block_bytes(space: Space) -> int:
    """Return what a block may take: half of the budget, the other half is for what is kept."""
    half: int = MEMORY_BUDGET // 2
    return min(CPU_BLOCK, half) if space.is_host else half


def blocks(n: int, step: int) -> Iterator[slice]:
    """Cut n things into slices of at most ``step``."""
    return (slice(first, min(first + step, n)) for first in range(0, n, step))


def pack(space: Space, dense: DeviceArray) -> DeviceArray:
    """Bytes from bools (n_patterns, n)."""
    xp = space.xp
    k, n = dense.shape
    bits = xp.astype(dense, xp.uint8)
    if n % 8:
        padding = xp.zeros((k, -n % 8), dtype=xp.uint8, device=space.device)
        bits = xp.concat([bits, padding], axis=1)
    bits = xp.reshape(bits, (k, n_bytes(n), 8))
    packed = bits[:, :, 0]
    for j in range(1, 8):
        packed = packed + bits[:, :, j] * 2**j
    return packed


def unpack(space: Space, packed: DeviceArray, n_samples: int) -> DeviceArray:
    """0 or 1 as uint8 (n_patterns, n_samples) from bytes (or from a block of their columns)."""
    xp = space.xp
    shifts = xp.arange(8, dtype=xp.uint8, device=space.device)
    bits = xp.bitwise_right_shift(packed[:, :, None], shifts)
    bits = xp.bitwise_and(bits, xp.asarray(1, dtype=xp.uint8, device=space.device))
    return xp.reshape(bits, (packed.shape[0], 8 * packed.shape[1]))[:, :n_samples]


@dataclass(frozen=True)
class Masks:
    """The patterns of some groups, unpacked block by block, or once where they are kept.

    Attributes
    ----------
    space : Space
        Where they live.
    packed : array of uint8, shape (n_groups, bytes)
        The patterns.
    n_samples : int
        Their length.
    """

    space: Space
    packed: DeviceArray
    n_samples: int
    _kept: list[DeviceArray] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return int(self.packed.shape[0])

    def keep(self) -> "Masks":
        """Unpack all of them for many products, where that takes at most half the budget."""
        if not self._kept and 16 * len(self) * self.n_samples <= MEMORY_BUDGET:
            self._kept.append(self.space.to_double(unpack(self.space, self.packed, self.n_samples)))
        return self

    def block(self, groups: slice, rows: slice) -> DeviceArray:
        """0.0 or 1.0 in double of some groups at some samples, which start at a byte."""
        if self._kept:
            return self._kept[0][groups, rows]
        part = self.packed[groups, rows.start // 8 : n_bytes(rows.stop)]
        return self.space.to_double(unpack(self.space, part, rows.stop - rows.start))

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Cut groups x samples into blocks: all blocks of a slice of samples come together."""
        step, rows = block_rows(self.space, len(self), self.n_samples)
        for part in blocks(self.n_samples, rows):
            for groups in blocks(len(self), step):
                yield groups, part

    def pull(self, X: DeviceArray, z: DeviceArray) -> DeviceArray:
        """X^T D_g z for every group, (n_groups, p)."""
        space, xp = self.space, self.space.xp
        sums: dict[int, DeviceArray] = {}
        rows, weighted = None, None
        for groups, part in self.blocks():
            if part != rows:
                rows, weighted = part, space.to_double(X[part, :]) * z[part][:, None]
            product = xp.matmul(self.block(groups, part), weighted)
            if groups.start in sums:
                sums[groups.start] += product
            else:
                sums[groups.start] = product
        if len(sums) == 1:
            return sums[0]
        return xp.concat(list(sums.values()), axis=0) if sums else space.zeros(0, X.shape[1])

    def push(self, X: DeviceArray, U: DeviceArray) -> DeviceArray:
        """sum_g D_g X u_g, (n_samples,)."""
        return self._push(X, U, squares=False)

    def push_squares(self, X: DeviceArray, U: DeviceArray) -> DeviceArray:
        """sum_g D_g (X u_g)^2, entry by entry, (n_samples,)."""
        return self._push(X, U, squares=True)

    def _push(self, X: DeviceArray, U: DeviceArray, squares: bool) -> DeviceArray:
        space, xp = self.space, self.space.xp
        sums: dict[int, DeviceArray] = {}
        rows, data = None, None
        for groups, part in self.blocks():
            if part != rows:
                rows, data = part, xp.matrix_transpose(space.to_double(X[part, :]))
            heights = xp.matmul(U[groups, :], data)
            if squares:
                heights = heights * heights
            heights *= self.block(groups, part)
            product = xp.sum(heights, axis=0)
            if part.start in sums:
                sums[part.start] += product
            else:
                sums[part.start] = product
        return xp.concat(list(sums.values())) if sums else space.zeros(self.n_samples)

    def sum_samples(self, v: DeviceArray) -> DeviceArray:
        """sum_i of v_i where a group is on, (n_groups,)."""
        ones = v[:, None]
        return self.pull(ones, self.space.full(self.n_samples, 1.0))[:, 0]

    def sum_groups(self, c: DeviceArray) -> DeviceArray:
        """sum_g of c_g over the groups that are on, (n_samples,)."""
        return self.push(self.space.full((self.n_samples, 1), 1.0), c[:, None])


def upload_words(space: Space, words: NDArray[np.uint64], n_samples: int) -> DeviceArray:
    """Copy the words of a `PatternSet` from the host: bits only."""
    little = np.ascontiguousarray(words).astype("<u8", copy=False)
    return space.upload(little.view(np.uint8)[:, : n_bytes(n_samples)], space.xp.uint8)


def to_words(host: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Words of a `PatternSet` from bytes that lie on the host."""
    padded = np.zeros((len(host), -(-host.shape[1] // 8) * 8), np.uint8)
    padded[:, : host.shape[1]] = host
    return padded.view("<u8").astype(np.uint64)


def pack_gates(space: Space, X: DeviceArray, G: DeviceArray) -> DeviceArray:
    """Bytes 1[x_i . g_j >= 0] for X (n, d) and G (d, n_patterns).

    Where a product is so near zero that rounding may decide its sign, it is added up again in the
    order of the features, as the other backends do: all bits agree with theirs.
    """
    xp = space.xp
    n, k = X.shape[0], G.shape[1]
    step, rows = block_rows(space, k, n, copies=4)
    widths = xp.sqrt(xp.sum(G * G, axis=0))
    columns = []
    for groups in blocks(k, step):
        words = []
        gates = G[:, groups]
        for part in blocks(n, rows):
            data = space.to_double(X[part, :])
            products = xp.matmul(data, gates)
            lengths = xp.sqrt(xp.sum(data * data, axis=1))
            doubt = (2.0 * X.shape[1] + 8.0) * space.eps * lengths[:, None] * widths[groups]
            unsure = xp.nonzero(xp.abs(products) <= doubt)
            on = products >= 0.0
            if unsure[0].shape[0]:
                on = _settled(space, data, gates, on, unsure)
            words.append(pack(space, xp.matrix_transpose(on)))
        columns.append(xp.concat(words, axis=1))
    return (
        xp.concat(columns, axis=0)
        if columns
        else xp.zeros((0, n_bytes(n)), dtype=xp.uint8, device=space.device)
    )


def _settled(
    space: Space, data: DeviceArray, gates: DeviceArray, on: DeviceArray, unsure: Any
) -> DeviceArray:
    """Return ``on`` with the entries ``unsure`` (rows, columns) decided by sums in order."""
    xp = space.xp
    flip = []
    for part in blocks(int(unsure[0].shape[0]), max(1, CPU_BLOCK // (8 * data.shape[1]))):
        i, j = unsure[0][part], unsure[1][part]
        x, g = space.take(data, i), space.take(xp.matrix_transpose(gates), j)
        total = x[:, 0] * g[:, 0]
        for k in range(1, x.shape[1]):
            total = total + x[:, k] * g[:, k]
        wrong = (total >= 0.0) != space.take(xp.reshape(on, (-1,)), i * on.shape[1] + j)
        flip.append(space.take(i * on.shape[1] + j, space.where_true(wrong)))
    changed = np.zeros(0, np.int64) if not flip else xp.concat(flip)
    if changed.shape[0] == 0:
        return on
    flat = xp.reshape(on, (-1,))
    places = space.arange(flat.shape[0])
    order = xp.sort(changed)
    at = xp.clip(xp.searchsorted(order, places), 0, order.shape[0] - 1)
    return xp.reshape(flat ^ (space.take(order, at) == places), on.shape)


def unique(space: Space, packed: DeviceArray) -> NDArray[np.int64] | None:
    """Ascending indices of the rows that no earlier row equals; None where none is repeated.

    Hashes of the rows go to the host, a number each; rows of equal hashes are compared here.
    """
    hashes = _hashes(space, packed)
    _, first, place = np.unique(hashes, return_index=True, return_inverse=True)
    earlier = first[place.reshape(-1)]
    again = np.flatnonzero(earlier != np.arange(len(hashes)))
    if len(again) == 0:
        return None
    keep = np.ones(len(hashes), bool)
    keep[again[_equal(space, packed, again, packed, earlier[again])]] = False
    return np.flatnonzero(keep)


def find(space: Space, packed: DeviceArray, rows: DeviceArray) -> NDArray[np.int64]:
    """Index of the first pattern that equals each of some rows of bytes; -1 where none does."""
    known, wanted = _hashes(space, packed), _hashes(space, rows)
    index = {number: g for g, number in reversed(list(enumerate(known.tolist())))}
    found = np.array([index.get(number, -1) for number in wanted.tolist()], np.int64)
    there = np.flatnonzero(found >= 0)
    same = _equal(space, rows, there, packed, found[there])
    found[there[~same]] = -1
    return found


def _hashes(space: Space, packed: DeviceArray) -> NDArray[np.int64]:
    """Return a number for each row, on the host: of equal rows the same."""
    k, width = packed.shape
    factors = np.random.default_rng(0).integers(1, 2**62, width)  # products wrap around
    factors_there, numbers = space.upload(factors), []
    for part in rows_of(space, k, width):
        bytes_ = space.xp.astype(packed[part, :], space.integer)
        numbers.append(to_host(space.xp.sum(bytes_ * factors_there, axis=1)))
    return np.concatenate([np.zeros(0, np.int64), *numbers])


def _equal(
    space: Space, A: DeviceArray, i: NDArray[np.int64], B: DeviceArray, j: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which rows A[i] and B[j] are equal, on the host."""
    same = [np.zeros(0, bool)]
    for part in rows_of(space, len(i), A.shape[1]):
        a, b = space.take(A, space.upload(i[part])), space.take(B, space.upload(j[part]))
        same.append(to_host(space.xp.all(a == b, axis=1)))
    return np.concatenate(same)
