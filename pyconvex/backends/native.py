"""Kernels in C++ (the compiled core)."""

from pyconvex._core import (
    CROSSING,
    FIXED,
    GATED,
    gate_gradients,
    pack_dense,
    pack_gates,
    project_cells,
    refine,
    unique,
    unpack,
    walk,
)
from pyconvex._core import config as info

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
