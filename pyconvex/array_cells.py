"""Projections onto many closed cells at once, on a device: the dual norm of cone programs.

The projection of c onto the cell {u : A u >= 0}, A = (2 D - I) X, solves min ||c + A^T mu|| over
mu >= 0: Lawson & Hanson's active sets (1974), for many cells side by side. Any mu >= 0 bounds the
projection's norm from above, so that what is returned is safe however inexact, and most cells end
after a few steps, below what would matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pyconvex.array_faces import Faces, Points, advance
from pyconvex.namespaces import DeviceArray, Space

_STEPS = 30  # times p
_VIOLATED = 1e-13  # margins below minus this, relative, are outside


@dataclass
class _Cells(Points):
    c: DeviceArray
    side: DeviceArray  # +1 or -1 per row of the data
    enough: DeviceArray
    mu: DeviceArray  # per slot
    point: DeviceArray
    done: DeviceArray
    faces: Faces


def project(
    space: Space,
    X: DeviceArray,
    on: DeviceArray,
    C: DeviceArray,
    enough: DeviceArray,
    stop: Callable[[], bool],
) -> tuple[DeviceArray, DeviceArray]:
    """Project each row of C (k, p) onto its closed cell.

    Parameters
    ----------
    space : Space
        Where the arrays live.
    X : array, shape (n, p)
        Rows in double.
    on : array, shape (k, n)
        The cells, 1.0 or 0.0.
    C : array, shape (k, p)
        What to project.
    enough : array, shape (k,)
        A bound of the norm that is no larger than this will do.
    stop : callable
        Ends the run where it stands once it returns True.

    Returns
    -------
    points : array, shape (k, p)
        c + A^T mu: the projections, short of the cell where ``enough`` ended the run.
    norms : array, shape (k,)
        Their norms, each at least that of the projection, whatever ended the run.
    """
    xp = space.xp
    cells = _Cells(
        C, 2.0 * on - 1.0, enough, xp.zeros_like(C), C,
        xp.zeros(C.shape[0], dtype=xp.bool, device=space.device), Faces.none(space, *C.shape),
    )  # fmt: skip
    columns = xp.matrix_transpose(X)
    norms = xp.sqrt(xp.sum(X * X, axis=1))
    step = partial(_step, X, columns, norms)
    return advance(cells, step, _bounds, _STEPS * int(X.shape[1]), stop)


def _step(X: DeviceArray, columns: DeviceArray, norms: DeviceArray, cells: _Cells) -> None:
    """Go towards the minimiser over the passive rows; there, let in the row that is worst."""
    space, faces = cells.faces.space, cells.faces
    xp = space.xp
    used = faces.index >= 0
    trial = -faces.multipliers(cells.c)
    low = used & (trial <= 0.0)
    stuck = xp.any(low, axis=1) & ~cells.done
    fall = xp.where(low, cells.mu - trial, xp.ones_like(trial))
    ratio = xp.where(low, cells.mu / xp.where(fall > 0.0, fall, xp.ones_like(fall)), 2.0 + 0 * fall)
    slot = xp.argmin(ratio, axis=1)
    share = xp.where(stuck, xp.min(ratio, axis=1), xp.ones_like(ratio[:, 0]))
    share = xp.clip(share, 0.0, 1.0)[:, None]
    moved = xp.where(used, cells.mu + share * (trial - cells.mu), xp.zeros_like(trial))
    leaving = (space.arange(int(moved.shape[1]))[None, :] == slot[:, None]) & stuck[:, None]
    moved = xp.where(leaving | (moved < 0.0), xp.zeros_like(moved), moved)
    cells.mu = xp.where(cells.done[:, None], cells.mu, moved)
    settled = ~stuck & ~cells.done
    cells.point = xp.where(settled[:, None], faces.projected(cells.c), cells.point)
    size = xp.sqrt(xp.sum(cells.point * cells.point, axis=1))
    safe = xp.where(norms > 0.0, norms, xp.ones_like(norms))
    margins = cells.side * xp.matmul(cells.point, columns) / safe[None, :]
    row = xp.argmin(margins, axis=1)
    worst = xp.take_along_axis(margins, row[:, None], axis=1)[:, 0]
    tiny = _VIOLATED * xp.sqrt(xp.sum(cells.c * cells.c, axis=1))
    sides = xp.take_along_axis(cells.side, row[:, None], axis=1)
    rows = sides * space.take(X, row)
    enters = settled & (worst < -tiny) & (size > cells.enough) & faces.independent(rows)
    cells.done = cells.done | (settled & (~enters | (faces.count >= X.shape[1])))
    if space.any(stuck):
        faces.remove(stuck, slot)
    if space.any(enters):
        faces.append(enters & ~cells.done, row, rows)


def _bounds(cells: _Cells) -> tuple[DeviceArray, DeviceArray]:
    """Return c + A^T mu for the multipliers at hand, and the norms: valid for any mu >= 0."""
    xp = cells.faces.space.xp
    points = cells.c + cells.faces.combined(cells.mu)
    return points, xp.sqrt(xp.sum(points * points, axis=1))
