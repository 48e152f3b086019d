"""The point of a growing convex hull nearest to the origin: the corral of Wolfe (1976)."""

import numpy as np

from .jit_compile import kernel

FLAT = 1e-13  # so close to the hull of the others, relatively, a point is on it


@kernel
def admit(point, nearest, norm, points, shares, basis, factor, size):
    """One point more, in place; those no longer needed leave.

    The first ``size`` rows of points are affinely independent, ``nearest`` is the point of their
    hull nearest to the origin, of this norm. ``basis`` holds an orthonormal basis of their
    differences from the first, ``factor`` those differences in it. Returns the new norm, the new
    size and False where rounding lets us come no nearer.
    """
    if size > len(nearest):
        return norm, size, False
    points[size] = point
    extend_basis(points, basis, factor, size - 1)
    length = np.sqrt(np.dot(factor[size - 1, :size], factor[size - 1, :size]))
    if factor[size - 1, size - 1] <= FLAT * length:
        return norm, size, False
    shares[size] = 0.0
    before = nearest.copy()
    size = minimise(nearest, points, shares, basis, factor, size + 1)
    reached = np.sqrt(np.dot(nearest, nearest))
    if reached < norm:
        return reached, size, True
    nearest[:] = points[0] = before
    shares[0] = 1.0
    return norm, 1, False


@kernel
def extend_basis(points, basis, factor, j):
    """Row j of the basis, by Gram-Schmidt done twice: point j + 1 less the first.

    Row j of ``factor`` holds that difference in the basis.
    """
    row = points[j + 1] - points[0]
    for k in range(j):
        factor[j, k] = 0.0
    for _ in range(2):
        for k in range(j):
            part = np.dot(basis[k], row)
            row -= part * basis[k]
            factor[j, k] += part
    factor[j, j] = np.sqrt(np.dot(row, row))
    basis[j] = row / factor[j, j] if factor[j, j] > 0.0 else row


@kernel
def minimise(nearest, points, shares, basis, factor, size):
    """Move to the point of the hull nearest to the origin; return its size.

    Points that turn out not to be needed leave.
    """
    trial, change = np.empty(len(shares)), np.empty(len(nearest))
    while size > 1:
        for k in range(size - 1):
            change[k] = -np.dot(basis[k], nearest)
        for k in range(size - 2, -1, -1):  # back substitution
            change[k] /= factor[k, k]
            for j in range(k):
                change[j] -= change[k] * factor[k, j]
        trial[0] = shares[0]
        for k in range(size - 1):
            trial[0] -= change[k]
            trial[k + 1] = shares[k + 1] + change[k]
        step, leaving = 1.0, -1
        for j in range(size):
            if trial[j] <= 0.0 and shares[j] <= step * (shares[j] - trial[j]):
                step = shares[j] / (shares[j] - trial[j]) if shares[j] > 0.0 else 0.0
                leaving = j
        for j in range(size):
            shares[j] += step * (trial[j] - shares[j])
        if leaving >= 0:
            for k in range(leaving + 1, size):
                points[k - 1] = points[k]
                shares[k - 1] = shares[k]
            size -= 1
            for k in range(max(leaving - 1, 0), size - 1):
                extend_basis(points, basis, factor, k)
        total = shares[:size].sum()
        nearest[:] = 0.0
        for j in range(size):
            shares[j] /= total
            nearest += shares[j] * points[j]
        if leaving < 0:
            return size
    nearest[:] = points[0]
    return size
