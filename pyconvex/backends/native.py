"""Kernels in C++ (the compiled core)."""

from pyconvex._core import (
    CROSSING,
    FIXED,
    GATED,
    count_cells,
    decode_cells,
    expand_rows,
    fill_cells,
    fill_chosen,
    gate_gradients,
    pack_dense,
    pack_gates,
    project_cells,
    refine,
    sweep_cells,
    unique,
    unpack,
    walk,
)
from pyconvex._core import config as info

__all__ = [
    "CROSSING",
    "FIXED",
    "GATED",
    "count_cells",
    "decode_cells",
    "expand_rows",
    "fill_cells",
    "fill_chosen",
    "gate_gradients",
    "info",
    "pack_dense",
    "pack_gates",
    "project_cells",
    "refine",
    "sweep_cells",
    "unique",
    "unpack",
    "walk",
]
