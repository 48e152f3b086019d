"""Faces of many points at once: tight rows with their dual basis, on any device.

A point's tight rows x_1 ... x_t stand in slots; beside them the vectors v_a of their span with
v_a . x_b = 1 for a = b, else 0. They give multipliers and projections by products, and change by
rank one when a row comes or goes. Empty slots hold zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from pyconvex.namespaces import DeviceArray, Space

P = TypeVar("P", bound="Points")

_TINY = 1e-300
_REFRESH = 8  # steps between two corrections of what is updated, and two looks at who is done
_DEPENDENT = 1e-24  # less of a row, squared, is left outside the span of others: rounding


@dataclass
class Faces:
    """The tight rows of k points with p coordinates.

    Attributes
    ----------
    rows, dual : array, shape (k, p, p)
        Slot by slot, the rows and their dual basis.
    index : array of int, shape (k, p)
        Which row of the data stands in each slot; -1: none.
    """

    space: Space
    rows: DeviceArray
    dual: DeviceArray
    index: DeviceArray

    @classmethod
    def none(cls, space: Space, k: int, p: int) -> "Faces":
        """Return no tight rows for k points with p coordinates."""
        zeros = space.zeros(k, p, p)
        index = space.xp.full((k, p), -1, dtype=space.integer, device=space.device)
        return cls(space, zeros, zeros, index)

    @classmethod
    def of(cls, space: Space, X: DeviceArray, index: DeviceArray) -> "Faces":
        """Return the faces where given rows of X are tight, (k, p) padded with -1."""
        faces, p = cls.none(space, *index.shape), index.shape[1]
        for slot in range(p):
            number = index[:, slot]
            there = number >= 0
            if not space.any(there):
                continue
            rows = space.take(X, space.xp.where(there, number, 0 * number))
            faces.append(there & faces.independent(rows), number, rows)
        return faces

    def take(self, chosen: DeviceArray) -> "Faces":
        """Return the faces of some of the points."""
        take = self.space.take
        return Faces(
            self.space, take(self.rows, chosen), take(self.dual, chosen), take(self.index, chosen)
        )

    @property
    def count(self) -> DeviceArray:
        """The number of tight rows of each point."""
        xp = self.space.xp
        return xp.sum(xp.astype(self.index >= 0, self.space.integer), axis=1)

    def multipliers(self, vectors: DeviceArray) -> DeviceArray:
        """Return the coefficients (k, p) of the tight rows that come nearest to vectors (k, p)."""
        return (self.dual @ vectors[:, :, None])[:, :, 0]

    def combined(self, coefficients: DeviceArray) -> DeviceArray:
        """Return the sums of the tight rows times coefficients (k, p)."""
        return (coefficients[:, None, :] @ self.rows)[:, 0, :]

    def projected(self, vectors: DeviceArray) -> DeviceArray:
        """Return the parts of vectors (k, p) at right angles to the tight rows."""
        for _ in range(2):  # the second time for what rounding left
            vectors = vectors - self.combined(self.multipliers(vectors))
        return vectors

    def independent(self, rows: DeviceArray) -> DeviceArray:
        """Tell which rows (k, p) do not depend on those that are tight."""
        xp = self.space.xp
        rest = self.projected(rows)
        return _dot(xp, rest, rest) > _DEPENDENT * _dot(xp, rows, rows)

    def append(self, where: DeviceArray, number: DeviceArray, rows: DeviceArray) -> None:
        """Add one of the ``rows`` (k, p), each with its ``number``, ``where`` (k,) is true."""
        xp = self.space.xp
        slot = xp.argmax(xp.astype(self.index < 0, self.space.integer), axis=1)
        hot = self._slots(slot) & where[:, None]
        rest = self.projected(rows)
        unit = rest / (_dot(xp, rest, rest) + _TINY)[:, None]
        shares = xp.where(where[:, None], self.multipliers(rows), xp.zeros_like(rows))
        dual = self.dual - shares[:, :, None] * unit[:, None, :]
        self.dual = xp.where(hot[:, :, None], unit[:, None, :], dual)
        self.rows = xp.where(hot[:, :, None], rows[:, None, :], self.rows)
        self.index = xp.where(hot, number[:, None], self.index)

    def remove(self, where: DeviceArray, slot: DeviceArray) -> None:
        """Take out the row in a slot (k,), ``where`` (k,) is true."""
        xp = self.space.xp
        hot = self._slots(slot) & where[:, None]
        zeros = xp.zeros_like(self.dual)
        gone = xp.sum(xp.where(hot[:, :, None], self.dual, zeros), axis=1)
        shares = self.multipliers(gone) / (_dot(xp, gone, gone) + _TINY)[:, None]
        dual = self.dual - shares[:, :, None] * gone[:, None, :]
        self.dual = xp.where(hot[:, :, None], zeros, dual)
        self.rows = xp.where(hot[:, :, None], zeros, self.rows)
        self.index = xp.where(hot, xp.full_like(self.index, -1), self.index)

    def refresh(self) -> None:
        """Undo the rounding of many changes: a Newton step for the pseudo-inverse."""
        xp = self.space.xp
        product = self.dual @ xp.matrix_transpose(self.rows)
        self.dual = 2.0 * self.dual - product @ self.dual

    def _slots(self, slot: DeviceArray) -> DeviceArray:
        """Return which slot is meant, as a mask (k, p)."""
        return self.space.arange(self.index.shape[1])[None, :] == slot[:, None]


def _dot(xp: Any, u: DeviceArray, v: DeviceArray) -> DeviceArray:
    return xp.sum(u * v, axis=-1)


class Points:
    """Points that go side by side, a row of each field for each of them: see `advance`.

    Attributes
    ----------
    done : array of bool, shape (k,)
        Which have ended.
    faces : Faces
        Their tight rows.
    """

    done: DeviceArray
    faces: Faces

    def take(self: P, chosen: DeviceArray) -> P:
        """Return some of the points."""
        parts: list[Any] = [getattr(self, field.name) for field in fields(cast(Any, self))]
        take = self.faces.space.take
        return type(self)(
            *(p.take(chosen) if isinstance(p, Faces) else take(p, chosen) for p in parts)
        )


def advance(
    points: P,
    step: Callable[[P], None],
    ends: Callable[[P], tuple[DeviceArray, DeviceArray]],
    n_steps: int,
    stop: Callable[[], bool],
) -> tuple[DeviceArray, DeviceArray]:
    """Take steps until all points are done, ``stop`` says so or there were ``n_steps``.

    Returns what ``ends`` gives of each point, in their order. Those that are done drop out.
    """
    space = points.faces.space
    places, found = space.arange(int(points.done.shape[0])), []
    for k in range(n_steps):
        if k % _REFRESH == 0 or k & (k - 1) == 0:  # powers of two: many are there at once
            going = space.where_true(~points.done)
            if going.shape[0] == 0 or stop():
                break
            if going.shape[0] < places.shape[0]:
                ended = space.where_true(points.done)
                found.append((space.take(places, ended), *ends(points.take(ended))))
                points, places = points.take(going), space.take(places, going)
            points.faces.refresh()
        step(points)
    found.append((places, *ends(points)))
    order, first, second = (space.xp.concat(list(p), axis=0) for p in zip(*found, strict=True))
    back = space.xp.argsort(order)
    return space.take(first, back), space.take(second, back)
