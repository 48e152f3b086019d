"""Types of the compiled core (the sources are in cpp/bindings)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

def config() -> dict[str, Any]: ...

# patterns
def pack_gates(
    X: NDArray[np.float64], G: NDArray[np.float64], n_threads: int
) -> NDArray[np.uint64]: ...
def pack_dense(dense: NDArray[np.bool_]) -> NDArray[np.uint64]: ...
def unpack(packed: NDArray[np.uint64], n_samples: int) -> NDArray[np.bool_]: ...
def unique(packed: NDArray[np.uint64]) -> NDArray[np.int64]: ...

# cells
def count_cells(
    Y: NDArray[np.float64],
    Z: NDArray[np.int64],
    tol: float,
    first: int,
    last: int,
    n_threads: int,
) -> int: ...
def fill_cells(
    Y: NDArray[np.float64],
    Z: NDArray[np.int64],
    tol: float,
    first: int,
    last: int,
    packed: NDArray[np.uint64],
    n_threads: int,
) -> int: ...
def fill_chosen(
    Y: NDArray[np.float64],
    Z: NDArray[np.int64],
    tol: float,
    first: int,
    last: int,
    chosen: NDArray[np.int32],
    n_threads: int,
) -> int: ...
def decode_cells(
    Y: NDArray[np.float64],
    Z: NDArray[np.int64],
    tol: float,
    chosen: NDArray[np.int32],
    n_threads: int,
) -> tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.bool_]] | None: ...
def sweep_cells(
    order: NDArray[np.int64],
    start: NDArray[np.uint64],
    first: int,
    last: int,
    packed: NDArray[np.uint64],
) -> None: ...
def expand_rows(
    packed: NDArray[np.uint64],
    n_lines: int,
    line: NDArray[np.int64],
    flip: NDArray[np.bool_],
    n_threads: int,
) -> NDArray[np.uint64]: ...

# pricing
def walk(
    X: NDArray[np.float64],
    z: NDArray[np.float64],
    starts: NDArray[np.float64],
    free_bias: bool,
    n_threads: int,
    stop: NDArray[np.uint8],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...
def project_cells(
    X: NDArray[np.float64],
    packed: NDArray[np.uint64],
    C: NDArray[np.float64],
    enough: NDArray[np.float64],
    free_bias: bool,
    n_threads: int,
    stop: NDArray[np.uint8],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...
def bound_norm(
    X: NDArray[np.float64],
    z: NDArray[np.float64],
    free_bias: bool,
    target: float,
    tol: float,
    first: bool,
    max_nodes: int,
    n_threads: int,
    stop: NDArray[np.uint8],
) -> tuple[float, float, int, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
def gate_gradients(
    X: NDArray[np.float64] | NDArray[np.float32],
    packed: NDArray[np.uint64],
    z: NDArray[np.float64],
    n_threads: int,
) -> NDArray[np.float64]: ...
def farthest(
    V: NDArray[np.float64],
    X: NDArray[np.float64],
    weights: NDArray[np.float64],
    free_bias: bool,
    value: float,
    n_threads: int,
    stop: NDArray[np.uint8],
) -> tuple[int, float, float, NDArray[np.float64]]: ...

# solver
GATED: int
FIXED: int
CROSSING: int

def refine(
    X: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    residual: NDArray[np.float64],
    U: NDArray[np.float64],
    signs: NDArray[np.float64],
    packed: NDArray[np.uint64],
    tight: NDArray[np.int64],
    betas: NDArray[np.float64],
    ridge: float,
    free: NDArray[np.float64],
    columns: NDArray[np.float64],
    coef: NDArray[np.float64],
    column_beta: float,
    free_bias: bool,
    mode: int,
    tol: float,
    max_sweeps: int,
    max_size: int,
    max_work: float,
    stop: NDArray[np.uint8],
) -> tuple[
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    float,
]: ...
def masked_grams(
    X: NDArray[np.float64] | NDArray[np.float32],
    packed: NDArray[np.uint64],
    sample_weight: NDArray[np.float64],
    n_threads: int,
) -> NDArray[np.float64]: ...
def descend_groups(
    X: NDArray[np.float64] | NDArray[np.float32],
    sample_weight: NDArray[np.float64],
    residual: NDArray[np.float64],
    U: NDArray[np.float64],
    packed: NDArray[np.uint64],
    grams: NDArray[np.float64],
    betas: NDArray[np.float64],
    ridge: float,
    free: NDArray[np.float64],
    n_sweeps: int,
    stop: NDArray[np.uint8],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
