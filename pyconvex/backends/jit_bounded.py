"""Numba: branch and bound over simplicial cones, a proof of the dual norm; see the C++ twin.

The search is Python's, the work on a cone is compiled.
"""

import heapq
import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pyconvex.backends.jit_cones import evaluate, widest
from pyconvex.backends.jit_threads import in_chunks

Floats = NDArray[np.float64]

_BATCH = 64  # cones halved between two looks at the incumbent
_POINTS = 64  # points returned
_THIN = 1e-9  # generators closer than this cannot be told apart


@dataclass(frozen=True)
class _Cone:
    """A cone, what is known of sign z . (X u)_+ inside, and the best point seen in it."""

    sign: float
    generators: Floats  # (r, r), unit penalised norm
    linear: Floats  # sum of sign z_i x_i over the rows that are on everywhere
    cut: NDArray[np.int32]
    bound: float = 1e300
    value: float = 0.0
    point: Floats | None = None


class _Cones:
    """The cones of a problem; with a free bias the norm is that of the first d coordinates."""

    def __init__(self, X: Floats, z: Floats, free_bias: bool) -> None:
        self.X, self.slopes = X, {1.0: z, -1.0: -z}
        self.r = X.shape[1]
        self.d = self.r - 1 if free_bias else self.r
        norms = np.linalg.norm(X[:, : self.d], axis=1) if free_bias else np.ones(1)
        self.radius = float(norms.max())
        self.spread = float(np.sqrt((norms**2).sum() / max(len(norms) * self.d, 1)))

    def cover(self) -> list[_Cone]:
        """Return orthants, for both signs; with a free bias prisms cut into simplices."""
        rows = np.flatnonzero(self.slopes[1.0]).astype(np.int32)
        cones: list[_Cone] = []
        if self.radius == 0.0:  # all rows are alike, and sum z = 0
            return cones
        for sign in (1.0, -1.0):
            for orthant in range(2**self.d):
                corner = [-1.0 if orthant >> k & 1 else 1.0 for k in range(self.d)]
                for generators in self._simplices(np.diag(corner)):
                    cones.append(_Cone(sign, generators, np.zeros(self.r), rows))
        return cones

    def _simplices(self, axes: Floats) -> list[Floats]:
        if self.d == self.r:
            return [axes]
        simplices = []
        for j in range(self.d):  # the first j + 1 axes at -R, the others and axis j at R
            below = np.column_stack([axes[: j + 1], np.full(j + 1, -self.radius)])
            above = np.column_stack([axes[j:], np.full(self.d - j, self.radius)])
            simplices.append(np.concatenate([below, above]))
        return simplices

    def halve(self, cone: _Cone) -> list[_Cone]:
        """Return two halves, apart at the middle of the widest pair of generators; none if thin."""
        width, a, b = widest(cone.generators, self.d, self.spread)
        if width < _THIN:
            return []
        middle = cone.generators[a] + cone.generators[b]
        middle /= np.linalg.norm(middle[: self.d])
        halves = []
        for k in (a, b):
            generators = cone.generators.copy()
            generators[k] = middle
            halves.append(replace(cone, generators=generators))
        return halves

    def evaluate(self, cone: _Cone, cutoff: float) -> _Cone:
        """Update rows, bound, value and point."""
        linear, cut, bound, value, point = evaluate(
            self.X,
            self.slopes[cone.sign],
            cone.generators,
            cone.linear,
            cone.cut,
            self.d,
            self.spread,
            cutoff,
        )
        return _Cone(cone.sign, cone.generators, linear, cut, min(bound, cone.bound), value, point)


def bound_norm(
    X: Floats,
    z: Floats,
    free_bias: bool,
    target: float,
    tol: float,
    first: bool,
    max_nodes: int,
    n_threads: int,
    stop: NDArray[np.uint8],
) -> tuple[float, float, int, Floats, Floats, Floats]:
    """Bracket N(z) = max |z . (X u)_+|: value, bound, cones, points, their signs and values.

    A bound of (1 + tol) max(value, target) is good enough; with ``first`` so is a value above that
    of the target. ``max_nodes`` limits the cones (0: no limit).
    """
    cones = _Cones(X, z, free_bias)
    fresh = cones.cover()
    heap: list[tuple[float, int, _Cone]] = []
    number = itertools.count()
    value, closed, n_nodes = 0.0, 0.0, 0
    found: list[_Cone] = []

    def must_stop() -> bool:
        enough = first and value > target * (1.0 + tol)
        return n_nodes > 0 and (enough or 0 < max_nodes <= n_nodes or bool(stop[0]))

    while fresh and not must_stop():
        cutoff = max(value, target) * (1.0 + tol)

        def done(part: slice, fresh: list[_Cone] = fresh, cutoff: float = cutoff) -> list[_Cone]:
            return [cones.evaluate(cone, cutoff) for cone in fresh[part]]

        for cone in itertools.chain(*in_chunks(done, len(fresh), n_threads)):
            value = max(value, cone.value)
            if cone.value > target:
                found.append(replace(cone, cut=cone.cut[:0]))
            heapq.heappush(heap, (-cone.bound, next(number), cone))
        n_nodes += len(fresh)
        cutoff = max(value, target) * (1.0 + tol)
        fresh = []
        while heap and -heap[0][0] > cutoff and len(fresh) < 2 * _BATCH:
            cone = heapq.heappop(heap)[2]
            halves = cones.halve(cone)
            closed = closed if halves else max(closed, cone.bound)
            fresh += halves
    bound = max([closed, value, -heap[0][0] if heap else 0.0] + [cone.bound for cone in fresh])
    found = sorted(found, key=lambda cone: -cone.value)[:_POINTS]
    points = np.array([cone.point for cone in found]).reshape(len(found), X.shape[1])
    signs = np.array([cone.sign for cone in found])
    return value, bound, n_nodes, points, signs, np.array([cone.value for cone in found])
