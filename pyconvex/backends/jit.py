"""Kernels compiled at run time by numba: they need no compiler on the user's machine."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from pyconvex.backends import jit_pricing, jit_solver
from pyconvex.backends.jit_neuron import CROSSING, FIXED, GATED
from pyconvex.backends.jit_patterns import pack_dense, pack_gates, unique, unpack

__all__ = [
    "CROSSING",
    "FIXED",
    "GATED",
    "gate_gradients",
    "info",
    "pack_dense",
    "pack_gates",
    "project_cells",
    "refine",
    "unique",
    "unpack",
    "walk",
]

Floats = NDArray[np.float64]
Bits = NDArray[np.uint64]
Integers = NDArray[np.int64]
Flag = NDArray[np.uint8]  # one entry; kernels end early once it is set


def info() -> dict[str, Any]:
    """Report the numba that compiles the kernels."""
    return {"numba": numba.__version__}


def gate_gradients(X: Floats, packed: Bits, z: Floats, n_threads: int) -> Floats:
    """X^T D_g z for every pattern, shape (n_patterns, p)."""
    X, packed, z = _read_only(X, packed, z)
    parts = _in_chunks(
        lambda part: jit_pricing.gate_gradients(X, packed[part], z), len(packed), n_threads
    )
    return np.concatenate(parts)


def project_cells(
    X: Floats, packed: Bits, C: Floats, free_bias: bool, n_threads: int, stop: Flag
) -> tuple[Floats, Integers]:
    """Project each row of C onto its closed cell: points and tight rows (n_patterns, p)."""
    X, packed, C = _read_only(X, packed, C)
    parts = _in_chunks(
        lambda part: jit_pricing.project_cells(X, packed[part], C[part], free_bias, stop),
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
    parts = _in_chunks(
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
    beta: float,
    intercept: bool,
    free_bias: bool,
    mode: int,
    tol: float,
    max_sweeps: int,
    max_size: int,
    max_work: float,
    stop: Flag,
) -> tuple[Integers, Floats, Integers, Floats, float, float]:
    """Block updates and Newton steps over few neurons; see ``jit_solver.refine``."""
    X, sample_weight, residual, U, signs, packed, tight = _read_only(
        X, sample_weight, residual, U, signs, packed, tight
    )
    result: tuple[Integers, Floats, Integers, Floats, float, float] = jit_solver.refine(
        X, sample_weight, residual, U, signs, packed, tight, float(beta), bool(intercept),
        bool(free_bias), mode, float(tol), max_sweeps, max_size, float(max_work), stop,
    )  # fmt: skip
    return result


def _read_only(*arrays: Any) -> list[Any]:
    """Return views that cannot be written: numba compiles anew for every mix of flags."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


def _in_chunks(kernel: Callable[[slice], Any], count: int, n_threads: int) -> list[Any]:
    """Return a kernel's results on consecutive parts of 0 .. count, a thread for each."""
    threads = max(1, min(count, n_threads or _max_threads()))
    ends = np.linspace(0, count, threads + 1).astype(int)
    parts = [slice(a, b) for a, b in pairwise(ends)]
    if threads == 1:
        return [kernel(parts[0])]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(kernel, parts))


def _max_threads() -> int:
    """Return the number of threads that OpenMP would take."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(limit) if limit.isdigit() and int(limit) > 0 else os.cpu_count() or 1
