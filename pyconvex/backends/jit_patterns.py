"""Activation patterns in numba: packing gates into bits, finding repeats."""

import numpy as np
from numpy.typing import NDArray

from .jit_compile import kernel

_TILE = 32  # gates handled together; as in the C++ twin


@kernel
def _pack_tile(X, tile, first, width, packed):
    """Write the bits of gates first .. first + width - 1, whose weights are tile (d, _TILE)."""
    n, d = X.shape
    sums = np.empty(_TILE)
    for i in range(n):
        sums[:] = 0.0
        for k in range(d):  # in this order: every backend rounds alike, so all bits agree
            x = X[i, k]
            for t in range(_TILE):
                sums[t] += x * tile[k, t]
        for t in range(width):
            if sums[t] >= 0.0:
                packed[first + t, i // 64] |= np.uint64(1) << np.uint64(i % 64)


@kernel
def _pack_gates(X, G, packed):
    d, n_patterns = G.shape
    tile = np.zeros((d, _TILE))
    for first in range(0, n_patterns, _TILE):
        width = min(_TILE, n_patterns - first)
        tile[:, :width] = G[:, first : first + width]
        _pack_tile(X, tile, first, width, packed)


@kernel
def _pack_dense(dense, packed):
    n_patterns, n = dense.shape
    for g in range(n_patterns):
        for i in range(n):
            if dense[g, i]:
                packed[g, i // 64] |= np.uint64(1) << np.uint64(i % 64)


@kernel
def _unpack(packed, dense):
    n_patterns, n = dense.shape
    for g in range(n_patterns):
        for i in range(n):
            dense[g, i] = (packed[g, i // 64] >> np.uint64(i % 64)) & np.uint64(1)


@kernel
def _hash_row(row):
    result = np.uint64(0)
    for word in row:
        result = (result ^ word) * np.uint64(0x9E3779B97F4A7C15)
        result ^= result >> np.uint64(32)
    return result


@kernel
def _unique(packed):
    """Insert row after row into an open-addressing hash table of row numbers."""
    n_patterns = packed.shape[0]
    size = 16
    while size < 2 * n_patterns:
        size *= 2
    table = np.full(size, -1, dtype=np.int64)
    kept = np.empty(n_patterns, dtype=np.int64)
    n_kept = 0
    for g in range(n_patterns):
        slot = np.int64(_hash_row(packed[g]) & np.uint64(size - 1))
        while table[slot] >= 0 and not np.array_equal(packed[table[slot]], packed[g]):
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot] = g
            kept[n_kept] = g
            n_kept += 1
    return kept[:n_kept].copy()


def _zeros(n_patterns: int, n_samples: int) -> NDArray[np.uint64]:
    return np.zeros((n_patterns, (n_samples + 63) // 64), dtype=np.uint64)


def pack_gates(
    X: NDArray[np.float64], G: NDArray[np.float64], n_threads: int
) -> NDArray[np.uint64]:
    """Bits 1[x_i . g_j >= 0] for X (n, d) and G (d, n_patterns); runs on one thread."""
    packed = _zeros(G.shape[1], len(X))
    _pack_gates(X, G, packed)
    return packed


def pack_dense(dense: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Bits from bools (n_patterns, n)."""
    packed = _zeros(*dense.shape)
    _pack_dense(dense, packed)
    return packed


def unpack(packed: NDArray[np.uint64], n_samples: int) -> NDArray[np.bool_]:
    """Bools (n_patterns, n_samples) from bits."""
    dense = np.empty((len(packed), n_samples), dtype=np.bool_)
    _unpack(packed, dense)
    return dense


def unique(packed: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Ascending indices of the rows that no earlier row equals."""
    kept: NDArray[np.int64] = _unique(packed)
    return kept
