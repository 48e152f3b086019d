"""Positive definite systems on a device, also nearly singular ones."""

import math
from typing import Any

import numpy as np

from pyconvex.namespaces import DeviceArray, Space

_DAMPING = 1e-13  # relative to the diagonal; collinear neurons make a singular system
_FIRMER = 1e3  # the next damping over the last where a factorisation fails
_FIRMEST = 1e-3


def solve_positive(space: Space, matrix: DeviceArray, right: DeviceArray) -> DeviceArray:
    """Solve a positive definite system, damped as much as that takes."""
    xp = space.xp
    size = matrix.shape[0]
    diagonal = xp.linalg.diagonal(matrix)
    diagonal = xp.where(diagonal > 0.0, diagonal, xp.ones_like(diagonal))
    eye, damping = xp.eye(size, dtype=space.double, device=space.device), _DAMPING
    while True:
        damped = matrix + eye * (damping * diagonal)[None, :]
        try:
            solution = _by_cholesky(space, damped, right)
        except (np.linalg.LinAlgError, RuntimeError):  # torch's is a RuntimeError
            solution = None
        if solution is not None and bool(xp.all(xp.isfinite(solution))):
            return solution
        if damping >= _FIRMEST:
            return xp.full_like(right, math.nan)
        damping *= _FIRMER


def _by_cholesky(space: Space, matrix: DeviceArray, right: DeviceArray) -> Any:
    """Solve by Cholesky's method where the library can, else by elimination.

    The matrix may be overwritten.
    """
    if space.name == "torch":
        import torch

        factor = torch.linalg.cholesky(matrix)
        return torch.cholesky_solve(right[:, None], factor)[:, 0]
    if space.name == "numpy":
        from scipy.linalg import cho_factor, cho_solve

        factor = cho_factor(matrix.T, overwrite_a=True, check_finite=False)  # .T: Fortran's order
        return cho_solve(factor, right, check_finite=False)
    return space.xp.linalg.solve(matrix, right)
