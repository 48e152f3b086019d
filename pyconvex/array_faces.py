"""Faces of many points at once: tight rows with their dual basis, on any device.

A point's tight rows x_1 ... x_t stand in slots; beside them the vectors v_a of their span with
v_a . x_b = 1 for a = b, else 0. They give multipliers and projections by products, and change by
rank one when a row comes or goes. Empty slots hold zeros.
"""

from dataclasses import dataclass
from typing import Any

from pyconvex.namespaces import DeviceArray, Space

_TINY = 1e-300
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
