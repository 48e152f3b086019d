"""Kernels compiled at run time by numba: they need no compiler on the user's machine."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from pyconvex.backends import jit_groups, jit_pricing, jit_solver
from pyconvex.backends.jit_bounded import bound_norm
from pyconvex.backends.jit_cells import (
    count_cells,
    decode_cells,
    expand_rows,
    fill_cells,
    fill_chosen,
    sweep_cells,
)
from pyconvex.backends.jit_neuron import CROSSING, FIXED, GATED
from pyconvex.backends.jit_patterns import pack_dense, pack_gates, unique, unpack
from pyconvex.backends.jit_threads import in_chunks
from pyconvex.backends.jit_zonotopes import farthest

__all__ = [
    "CROSSING",
    "FIXED",
    "GATED",
    "bound_norm",
    "count_cells",
    "decode_cells",
    "descend_groups",
    "expand_rows",
    "farthest",
    "fill_cells",
    "fill_chosen",
    "gate_gradients",
    "info",
    "masked_grams",
    "pack_dense",
    "pack_gates",
    "project_cells",
    "refine",
    "sweep_cells",
    "unique",
    "unpack",
    "walk",
]

Floats = NDArray[np.float64]
Data = NDArray[np.float64] | NDArray[np.float32]
Bits = NDArray[np.uint64]
Integers = NDArray[np.int64]
Flag = NDArray[np.uint8]  # one entry; kernels end early once it is set


def info() -> dict[str, Any]:
    """Report the numba that compiles the kernels."""
    return {"numba": numba.__version__}


def gate_gradients(X: Data, packed: Bits, z: Floats, n_threads: int) -> Floats:
    """X^T D_g z for every pattern, shape (n_patterns, p)."""
    X, packed, z = _read_only(X, packed, z)
    parts = in_chunks(
        lambda part: jit_pricing.gate_gradients(X, packed[part], z), len(packed), n_threads
    )
    return np.concatenate(parts)


def project_cells(
    X: Floats, packed: Bits, C: Floats, enough: Floats, free_bias: bool, n_threads: int, stop: Flag
) -> tuple[Floats, Integers]:
    """Project each row of C onto its closed cell: points and tight rows (n_patterns, p).

    Where a projection's norm is at most its entry of ``enough`` the point may stop short of it.
    """
    X, packed, C, enough = _read_only(X, packed, C, enough)
    parts = in_chunks(
        lambda part: jit_pricing.project_cells(
            X, packed[part], C[part], enough[part], free_bias, stop
        ),
        len(packed),
        n_threads,
    )
    points, tight = zip(*parts, strict=True)
    return np.concatenate(points), np.concatenate(tight)


def walk(
    X: Floats, z: Floats, starts: Floats, free_bias: bool, n_threads: int, stop: Flag
) -> tuple[Floats, Integers]:
    """Local maxima of z . (X u)_+ over the unit ball: points and tight rows (k, p)."""
    X, z, starts = _read_only(X, z, starts)
    parts = in_chunks(
        lambda part: jit_pricing.walk(X, z, starts[part], free_bias, stop), len(starts), n_threads
    )
    points, tight = zip(*parts, strict=True)
    return np.concatenate(points), np.concatenate(tight)


def refine(
    X: Floats,
    sample_weight: Floats,
    residual: Floats,
    U: Floats,
    signs: Floats,
    packed: Bits,
    tight: Integers,
    betas: Floats,
    ridge: float,
    free: Floats,
    columns: Floats,
    coef: Floats,
    column_beta: float,
    free_bias: bool,
    mode: int,
    tol: float,
    max_sweeps: int,
    max_size: int,
    max_work: float,
    stop: Flag,
) -> tuple[Integers, Floats, Integers, Floats, Floats, Floats, float]:
    """Block updates and Newton steps over few neurons; see ``jit_solver.refine``."""
    X, sample_weight, residual, U, signs, packed, tight, betas = _read_only(
        X, sample_weight, residual, U, signs, packed, tight, betas
    )
    free, columns, coef = _read_only(free, columns, coef)
    result: tuple[Integers, Floats, Integers, Floats, Floats, Floats, float] = jit_solver.refine(
        X, sample_weight, residual, U, signs, packed, tight, betas, float(ridge),
        free, columns, coef, float(column_beta), bool(free_bias), mode, float(tol), max_sweeps,
        max_size, float(max_work), stop,
    )  # fmt: skip
    return result


def masked_grams(X: Data, packed: Bits, sample_weight: Floats, n_threads: int) -> Floats:
    """X^T D_g diag(sample_weight) X of each pattern: shape (n_patterns, p, p)."""
    X, packed, sample_weight = _read_only(X, packed, sample_weight)
    if len(packed) == 0:
        return np.zeros((0, X.shape[1], X.shape[1]))
    parts = in_chunks(
        lambda part: jit_groups.masked_grams(X, packed[part], sample_weight), len(packed), n_threads
    )
    return np.concatenate(list(parts))


def descend_groups(
    X: Data,
    sample_weight: Floats,
    residual: Floats,
    U: Floats,
    packed: Bits,
    grams: Floats,
    betas: Floats,
    ridge: float,
    free: Floats,
    n_sweeps: int,
    stop: Flag,
) -> tuple[Floats, Floats, Floats]:
    """Sweeps of exact block updates over gated groups; see ``jit_groups.descend_groups``."""
    X, sample_weight, residual, U, packed, grams, betas, free = _read_only(
        X, sample_weight, residual, U, packed, grams, betas, free
    )
    result: tuple[Floats, Floats, Floats] = jit_groups.descend_groups(
        X, sample_weight, residual, U, packed, grams, betas, float(ridge), free,
        n_sweeps, stop,
    )  # fmt: skip
    return result


def _read_only(*arrays: Any) -> list[Any]:
    """Return views that cannot be written: numba compiles anew for every mix of flags."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views
