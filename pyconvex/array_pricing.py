"""Pricing on a device: N(z) by local search from many starts, and the neurons that attain it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pyconvex.array_training import Training
from pyconvex.array_walk import walk
from pyconvex.backends import array as kernels
from pyconvex.namespaces import DeviceArray, Space

_BESIDE = 128  # starts beside neurons
_FAR = 0.5  # how far they are away at most, relative to the length of the neuron
_FRESH = 8  # Gaussian starts of a local search that has maxima to start from
_POOL = 64  # maxima that the next search starts from, beyond those at the neurons
_NEAR = 0.5  # of beta: a maximum above may soon exceed beta
_FREE = 1e5  # a free bias is penalised that much less than the weights, in units of the radius
_TIGHT = 1e-6  # rows this near a neuron's kink, relative, are taken to be tight at its start


@dataclass(frozen=True)
class Maxima:
    """Local maxima of z . (output of a unit neuron), best first.

    Attributes
    ----------
    points : array, shape (k, p)
        Neurons of penalised norm 1.
    signs : array, shape (k,)
        Output signs.
    tight : array of int, shape (k, p)
        Rows that a point lies on, numbered as `Search.rows`; -1 pads.
    values : array, shape (k,)
        What they attain.
    """

    space: Space
    points: DeviceArray
    signs: DeviceArray
    tight: DeviceArray
    values: DeviceArray

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def take(self, chosen: DeviceArray) -> "Maxima":
        """Return some of them."""
        take = self.space.take
        parts = (self.points, self.signs, self.tight, self.values)
        return Maxima(self.space, *(take(part, chosen) for part in parts))

    def first(self, k: int) -> "Maxima":
        """Return the best k."""
        k = min(k, len(self))
        return Maxima(self.space, self.points[:k, :], self.signs[:k], self.tight[:k, :],
                      self.values[:k])  # fmt: skip

    def above(self, value: float) -> "Maxima":
        """Return those that attain more."""
        return self.take(self.space.where_true(self.values > value))


@dataclass
class Search:
    """N(z) by local search over the sphere: a lower estimate from many starts; see `LocalPricing`.

    Starts are drawn on the host, as the other backends draw them, and copied to the device.

    Attributes
    ----------
    problem : Training
        Rows, and which norm a neuron has.
    rng : numpy Generator
        Source of the starts.
    n_starts : int
        Gaussian ones of the first search.
    last : Maxima or None
        Of the last search.
    """

    problem: Training
    rng: np.random.Generator
    n_starts: int = 32
    last: Maxima | None = field(default=None, repr=False)

    @property
    def space(self) -> Space:
        """Where the arrays live."""
        return self.problem.space

    def anew(self) -> "Search":
        """Return the same search without what it has found so far."""
        return Search(self.problem, self.rng, self.n_starts)

    @cached_property
    def _merged(self) -> tuple[DeviceArray, DeviceArray | None, DeviceArray | None]:
        return merge_rows(self.space, self.problem.X)

    @cached_property
    def _scale(self) -> float:
        """What the last column is multiplied by, so that the search knows one norm only."""
        return _FREE * max(self.problem.radius, 1e-300) if self.problem.free_bias else 1.0

    @cached_property
    def rows(self) -> DeviceArray:
        """The rows without repetition, as the walk sees them.

        A step that brings one row of several equal ones onto its kink brings all of them there.
        """
        return self._scaled(self._merged[0], self._scale)

    def _scaled(self, points: DeviceArray, factor: float) -> DeviceArray:
        """Return points (k, p) with the last coordinate times a factor."""
        if factor == 1.0:
            return points
        return self.space.xp.concat([points[:, :-1], factor * points[:, -1:]], axis=1)

    def _at_rows(self, z: DeviceArray) -> DeviceArray:
        """Return the sums of z over equal rows."""
        _, order, last = self._merged
        if order is None or last is None:
            return z
        sums = self.space.xp.cumulative_sum(self.space.take(z, order))
        ends = self.space.take(sums, last)
        return ends - self.space.xp.concat([self.space.zeros(1), ends[:-1]])

    def __call__(
        self,
        beta: float,
        z: DeviceArray,
        neurons: DeviceArray,
        signs: DeviceArray,
        stop: Callable[[], bool],
        gaussian: int = 0,
        beside: int = 1,
    ) -> tuple[float, Maxima]:
        """Return the best value found and the distinct maxima above beta, best first.

        ``neurons`` (m, p) with their ``signs`` are starts too. ``gaussian`` and ``beside`` are how
        often to take the usual number of Gaussian starts (0: just a few, but for the first search)
        and of directions beside neurons.
        """
        space, xp = self.space, self.space.xp
        times = max(gaussian, int(self.last is None))
        fresh = self._starts(z, times * self.n_starts if times else _FRESH)
        none = xp.full(fresh.shape, -1, dtype=space.integer, device=space.device)
        one = space.full(fresh.shape[0], 1.0)
        starts, sides, tight = [fresh, fresh], [one, -one], [none, none]
        if neurons.shape[0]:
            starts.append(self._scaled(neurons, 1.0 / self._scale))
            sides.append(signs)
            tight.append(self._touched(starts[-1]))
            points, sign = self._beside(neurons, signs, beside * _BESIDE)
            starts.append(points)
            sides.append(sign)
            tight.append(xp.full(points.shape, -1, dtype=space.integer, device=space.device))
        if self.last is not None and len(self.last):
            starts.append(self._scaled(self.last.points, 1.0 / self._scale))
            sides.append(self.last.signs)
            tight.append(self.last.tight)
        found = self._climb(z, xp.concat(starts), xp.concat(sides), xp.concat(tight), stop)
        norm = float(found.values[0]) if len(found) else 0.0
        found = self._distinct(found.above(_NEAR * beta))
        self.last = found.first(_POOL + int(neurons.shape[0]))
        return norm, found.above(beta)

    def _starts(self, z: DeviceArray, n: int) -> DeviceArray:
        """Return Gaussian directions, data points and the gradient of the linear part."""
        space, xp, X = self.space, self.space.xp, self.problem.X
        n_rows, p = X.shape
        chosen = space.upload(self.rng.integers(n_rows, size=n // 2))
        gaussian = space.upload(self.rng.standard_normal((n, p)))
        starts = xp.concat([gaussian, space.take(X, chosen), xp.matmul(z[None, :], X)], axis=0)
        if self.problem.free_bias:  # put the kink of each start on a random sample
            kinks = space.take(X, space.upload(self.rng.integers(n_rows, size=starts.shape[0])))
            ends = -xp.sum(kinks[:, :-1] * starts[:, :-1], axis=1)
            starts = xp.concat([starts[:, :-1], ends[:, None] / self._scale], axis=1)
        return starts

    def _beside(
        self, neurons: DeviceArray, signs: DeviceArray, n: int
    ) -> tuple[DeviceArray, DeviceArray]:
        """Return directions beside those of neurons, and their signs.

        They lead to small basins, which lie there, ten times as often as Gaussian starts.
        """
        space, p = self.space, int(neurons.shape[1])
        chosen = space.upload(self.rng.integers(int(neurons.shape[0]), size=n))
        offsets = self.rng.standard_normal((n, p)) / math.sqrt(p)
        offsets *= self.rng.uniform(0.0, _FAR, (n, 1))
        if self.problem.free_bias:  # biases are as long as rows
            offsets[:, -1] *= self.problem.radius
        unit = neurons / self.problem.norms(neurons)[:, None]
        beside = space.take(unit, chosen) + space.upload(offsets)
        return self._scaled(beside, 1.0 / self._scale), space.take(signs, chosen)

    def _touched(self, starts: DeviceArray) -> DeviceArray:
        """Return the rows near whose kinks neurons are, up to p - 1 each, nearest first."""
        space, xp, p = self.space, self.space.xp, self.rows.shape[1]
        A = xp.abs(xp.matmul(starts, xp.matrix_transpose(self.rows)))
        rows = self.problem.X if self._merged[1] is None else self._merged[0]
        sizes = xp.sqrt(xp.sum(rows * rows, axis=1))
        lengths = self.problem.norms(starts)
        near = A / (lengths[:, None] * sizes[None, :] + 1e-300)
        order = xp.argsort(near, axis=1)[:, :p]
        close = xp.take_along_axis(near, order, axis=1) <= _TIGHT
        last = space.arange(order.shape[1])[None, :] >= p - 1
        tight = xp.where(close & ~last, order, xp.full_like(order, -1))
        missing = p - tight.shape[1]
        if missing > 0:
            pad = xp.full((tight.shape[0], missing), -1, dtype=space.integer, device=space.device)
            tight = xp.concat([tight, pad], axis=1)
        return tight

    def _climb(
        self,
        z: DeviceArray,
        starts: DeviceArray,
        signs: DeviceArray,
        tight: DeviceArray,
        stop: Callable[[], bool],
    ) -> Maxima:
        """Return the local maxima, best first, the last coordinate in the problem's units."""
        space, xp, problem = self.space, self.space.xp, self.problem
        points, tight = walk(space, self.rows, self._at_rows(z), starts, signs, tight, stop)
        points = self._scaled(points, self._scale)
        norms = problem.norms(points)
        alive = space.where_true(norms > 0.0)
        points = space.take(points, alive) / space.take(norms, alive)[:, None]
        signs, tight = space.take(signs, alive), space.take(tight, alive)
        if problem.free_bias:  # beyond the data z . (X u)_+ is flat but for rounding
            ends = xp.clip(points[:, -1:], -problem.radius, problem.radius)
            points = xp.concat([points[:, :-1], ends], axis=1)
        values = signs * self._values(points, z)
        order = xp.argsort(-values, stable=True)
        return Maxima(space, points, signs, tight, values).take(order)

    def _values(self, points: DeviceArray, z: DeviceArray) -> DeviceArray:
        """Return z . (X u)_+ for each point, block by block."""
        step, _ = kernels.block_rows(self.space, int(points.shape[0]), int(z.shape[0]))
        parts = [
            self.space.xp.matmul(self.problem.outputs(points[k, :]), z)
            for k in kernels.blocks(int(points.shape[0]), max(step, 1))
        ]
        return self.space.xp.concat(parts) if parts else self.space.zeros(0)

    def _distinct(self, maxima: Maxima) -> Maxima:
        """Return the best maximum of each sign and pattern."""
        if len(maxima) < 2:
            return maxima
        space, xp = self.space, self.space.xp
        packed = []
        step = max(1, kernels.MEMORY_BUDGET // (32 * int(self.problem.X.shape[0])))
        for k in kernels.blocks(len(maxima), step):
            on = self.problem.activations(maxima.points[k, :]) > 0.0
            key = xp.concat([on, maxima.signs[k, None] > 0.0], axis=1)
            packed.append(kernels.pack(space, key))
        kept = kernels.unique(space, xp.concat(packed, axis=0))
        return maxima if kept is None else maxima.take(space.upload(kept))


def merge_rows(
    space: Space, X: DeviceArray
) -> tuple[DeviceArray, DeviceArray | None, DeviceArray | None]:
    """Return X without repeated rows, an order that brings equal ones together, and their ends.

    The last two are None where all rows differ.
    """
    xp = space.xp
    n, p = X.shape
    random = space.upload(np.random.default_rng(0).standard_normal(p))
    order = xp.argsort(xp.matmul(X, random), stable=True)
    rows = space.take(X, order)
    new = xp.any(rows[1:, :] != rows[:-1, :], axis=1)
    if n < 2 or bool(xp.all(new)):
        return X, None, None
    true = xp.ones(1, dtype=xp.bool, device=space.device)
    last = space.where_true(xp.concat([new, true]))
    return space.take(rows, last), order, last


def estimate_norm(search: Search, z: DeviceArray, gaussian: int) -> float:
    """Return N(z) by a search of its own; 0 where that is rounding."""
    problem, space, xp = search.problem, search.space, search.space.xp
    nothing = space.zeros(0, problem.X.shape[1])
    norm = search.anew()(0.0, z, nothing, space.zeros(0), lambda: False, gaussian)[0]
    size = xp.sum(
        (xp.abs(z) + problem.loss.s * xp.abs(problem.loss.y))
        * xp.sqrt(xp.sum(problem.X * problem.X, axis=1))
    )
    return norm if norm > 1e-14 * float(size) and math.isfinite(norm) else 0.0
