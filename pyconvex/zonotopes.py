"""Exact pricing: the dual norm N(z) as the distance of two zonotopes."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from pyconvex.arrangement import name_of
from pyconvex.enumeration import iter_patterns
from pyconvex.lines import Array, find_lines

_BLOCK = 16_384  # cells turned into vertices at once


def exact_norm(
    X: Array,
    z: Array,
    free_bias: bool,
    kernels: ModuleType,
    n_threads: int,
    run: Callable[..., Any],
    max_cells: int | None = None,
) -> tuple[float, float, Array, float]:
    r"""Return the dual norm N(z), the largest \|z . (X w)_+\| over the unit ball, exactly.

    z . (X w)_+ is h_A(w) - h_B(w), the difference of the support functions of the zonotopes
    A = sum over z_i > 0 of z_i [0, x_i] and B = sum over z_i < 0 of \|z_i\| [0, x_i]. So its
    largest value is the largest distance of a vertex of A from B, and that of its negative is
    the same with A and B exchanged. The vertices of A are X^T D z for the cells D of the rows
    with z_i > 0 alone: far fewer than the cells of X.

    Parameters
    ----------
    X : array, shape (n, p)
        Rows; with ``free_bias`` the last column is ones.
    z : array, shape (n,)
        Weights, of sum zero with ``free_bias``.
    free_bias : bool
        The last coordinate of w does not count in the norm. Distances then are those in the other
        coordinates to the points of B with the last coordinate of the vertex.
    kernels : module
        A backend.
    n_threads : int
        Threads; 0 takes all cores. The result does not depend on it.
    run : callable
        Calls a kernel with a stop flag as last argument. Where it was stopped the bound is
        infinite.
    max_cells : int, optional
        Refuse to start if there may be more vertices (`count_vertices`).

    Returns
    -------
    value, bound : float
        N(z) from below, attained by the neuron, and from above; they agree to a relative 1e-10.
    point : array, shape (p,)
        The neuron, of penalised norm 1 (zero if no neuron has a value).
    sign : float
        The sign of z . (X w)_+ at the neuron, 1 or -1.

    Raises
    ------
    ValueError
        If there may be more than ``max_cells`` vertices.
    RuntimeError
        If rounding errors cannot be kept out of the cells.
    """
    if max_cells is not None and count_vertices(X, z) > max_cells:
        raise ValueError(
            f"X may have {count_vertices(X, z)} vertices to price, more than max_cells={max_cells}"
        )
    value = bound = 0.0
    point, sign = np.zeros(X.shape[1]), 1.0
    for side in (1.0, -1.0):
        (A, a), (B, b) = _side(X, side * z), _side(X, -side * z)
        for V in _vertices(A, a, kernels, n_threads):
            index, value, above, direction = run(
                kernels.farthest, V, B, b, free_bias, value, n_threads
            )
            bound = max(bound, above)
            if index >= 0:
                point, sign = direction, side
            if not np.isfinite(bound):
                break
    if value > 0.0:  # as the neuron attains it: no rounding errors of the vertex
        point = point / np.linalg.norm(point[:-1] if free_bias else point)
        value = sign * float(z @ np.maximum(X @ point, 0.0))
    return value, max(bound, value), point, sign


def count_vertices(X: Array, z: Array) -> int:
    """Return an upper bound of the number of vertices that `exact_norm` looks at, at once."""
    sides = [_side(X, sign * z)[0] for sign in (1.0, -1.0)]
    return sum(2 * find_lines(rows).n_sets for rows in sides if len(rows))


def _side(X: Array, z: Array) -> tuple[Array, Array]:
    """Return the rows with z_i > 0 that do something, and their z_i."""
    kept = (z > 0.0) & X.any(axis=1)
    return X[kept], z[kept]


def _vertices(X: Array, z: Array, kernels: ModuleType, n_threads: int) -> Iterator[Array]:
    """Yield the vertices of sum z_i [0, x_i], block by block, (k, p).

    Cells come in opposite pairs, whose vertices sum to that of all rows.
    """
    if not len(X):
        return
    total = z @ X
    blocks = iter_patterns(
        X, block_size=_BLOCK, n_threads=n_threads or None, backend=name_of(kernels)
    )
    for block in blocks:
        first = kernels.gate_gradients(X, np.ascontiguousarray(block.packed[::2]), z, n_threads)
        yield np.concatenate([first, total - first])
