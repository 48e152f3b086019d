"""Local search for many starts at once: local maxima of z . (X u)_+ over the unit ball.

The maxima of z . (X u)_+ over the ball are, up to scale, the minima of
||u||^2 / 2 - z . (X u)_+. Every point goes to the minimiser of its cell or face, or to the kink
that stops it: kinks with z_i > 0 are concave and crossed, at one with z_i < 0 the row becomes tight
once the slope turns. At the minimiser of its face the row with the worst multiplier is released.
All points do this side by side, so that a step is three products with X and one sort.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyconvex.array_faces import Faces, Points, advance
from pyconvex.backends import array as kernels
from pyconvex.backends.array import blocks
from pyconvex.namespaces import DeviceArray, Space

_MOVING = 1e-11  # a row whose preactivation changes less than this, relative, does not move
_FLOAT = 1e-14  # a preactivation may be off by this much, relative to the weights
_ROUNDING = 1e-13  # a sum may be off by this much, relative to the sum of absolute values
_RELEASE = 1e-9  # multipliers may violate their box by this much, relative
_STEPS = 200  # times p: the limit of steps
_REACH = 2.0  # the longest step, in units of that to the minimiser of the cell
_COPIES = 12  # arrays of starts x rows that a step holds
_HOST_BUDGET = 2**26  # bytes of them in the CPU's memory

Found = tuple[DeviceArray, DeviceArray]  # points (k, p) and their tight rows (k, p), -1 pads


@dataclass
class _Walkers(Points):
    """Points under way.

    ``A`` are preactivations (k, n); ``held`` marks rows released since the last move; ``sign`` is
    that of z for each point. A point that is done and not alive has come to nothing.
    """

    U: DeviceArray
    A: DeviceArray
    on: DeviceArray
    tight: DeviceArray
    held: DeviceArray
    sign: DeviceArray
    alive: DeviceArray
    done: DeviceArray
    faces: Faces


def walk(
    space: Space,
    X: DeviceArray,
    z: DeviceArray,
    starts: DeviceArray,
    signs: DeviceArray,
    tight: DeviceArray,
    stop: Callable[[], bool],
) -> Found:
    """Return local maxima of sign z . (X u)_+, one from each start, zeros for dead ones.

    Parameters
    ----------
    space : Space
        Where the arrays live.
    X : array, shape (n, p)
        Rows in double.
    z : array, shape (n,)
        Multiplier.
    starts : array, shape (k, p)
        Where to start.
    signs : array, shape (k,)
        +1 or -1 each.
    tight : array of int, shape (k, p)
        Rows that are tight at the start; -1 pads.
    stop : callable
        Ends all walks where they stand once it returns True.

    Returns
    -------
    points : array, shape (k, p)
        Unscaled.
    tight : array of int, shape (k, p)
        Their tight rows; -1 pads.
    """
    budget = min(_HOST_BUDGET, kernels.MEMORY_BUDGET) if space.is_host else kernels.MEMORY_BUDGET
    n, p = X.shape
    step = max(1, budget // (8 * _COPIES * (n + p * p)))
    parts = [
        _Walk(space, X, z).run(starts[k, :], signs[k], tight[k, :], stop)
        for k in blocks(int(starts.shape[0]), step)
    ]
    if not parts:
        return starts, tight
    points, rows = zip(*parts, strict=True)
    return space.xp.concat(list(points), axis=0), space.xp.concat(list(rows), axis=0)


class _Walk:
    """The walks of one block of starts."""

    def __init__(self, space: Space, X: DeviceArray, z: DeviceArray) -> None:
        self.space, self.X, self.z = space, X, z
        xp = space.xp
        self.columns = xp.matrix_transpose(X)
        self.norms = xp.sqrt(xp.sum(X * X, axis=1))
        lengths = xp.sqrt(xp.sum(X[:, :-1] * X[:, :-1], axis=1))
        self.lengths = xp.stack([lengths, xp.abs(X[:, -1])], axis=0)
        self.weighted = z[:, None] * X
        self.noise = _ROUNDING * float(xp.sum(xp.abs(z) * self.norms))

    def run(
        self, starts: DeviceArray, signs: DeviceArray, tight: DeviceArray, stop: Callable[[], bool]
    ) -> Found:
        walkers = self._start(starts, signs, tight)
        return advance(walkers, self._step, _ends, _STEPS * self.X.shape[1], stop)

    def _start(self, starts: DeviceArray, signs: DeviceArray, tight: DeviceArray) -> _Walkers:
        space, xp = self.space, self.space.xp
        faces = Faces.of(space, self.X, tight)
        U = faces.projected(starts)
        A = xp.matmul(U, self.columns)
        nothing = xp.zeros(A.shape, dtype=xp.bool, device=space.device)
        is_tight = nothing
        for slot in range(tight.shape[1]):
            if space.any(faces.index[:, slot] >= 0):
                is_tight = is_tight | self._row(faces.index[:, slot])
        none = xp.zeros(A.shape[0], dtype=xp.bool, device=space.device)
        return _Walkers(U, A, A > 0.0, is_tight, nothing, signs, ~none, none, faces)

    def _row(self, number: DeviceArray) -> DeviceArray:
        """Return a mask (k, n) of one row each."""
        return self.space.arange(self.X.shape[0])[None, :] == number[:, None]

    def _step(self, w: _Walkers) -> None:
        """Move every point to its next stop, and release a row of those that have arrived."""
        space, xp = self.space, self.space.xp
        bits = space.to_double(w.on & ~w.tight)
        q = w.sign[:, None] * xp.matmul(bits, self.weighted)
        target = w.faces.projected(q)
        ray = w.faces.count >= self.X.shape[1] - 1  # rows that seem to move there are rounding
        nowhere = (_norm(space, target) <= self.noise) | (ray & (xp.sum(target * w.U, axis=1) <= 0))
        w.alive = w.alive & (w.done | ~nowhere)
        w.done = w.done | nowhere
        direction = w.faces.projected(target - w.U)
        length, size = _norm(space, direction), _norm(space, w.U)
        moves = ~w.done & ~ray & (length > _ROUNDING * size)
        t, row, stopped, crossed = self._search(q, direction, moves, w)
        # Inside a cell the minimiser is exact: for short directions rounding would say anything.
        arrived = ~w.done & ~stopped & ~(moves & xp.any(crossed, axis=1))
        moved = xp.where((moves & ~arrived)[:, None], w.U + t[:, None] * direction, target)
        w.U = xp.where((w.done | (arrived & ~moves & ~ray))[:, None], w.U, moved)
        w.A = xp.matmul(w.U, self.columns)
        w.on = w.on ^ crossed
        w.held = w.held & ~(moves & (t > 0.0))[:, None]
        if space.any(stopped):
            w.faces.append(stopped, row, space.take(self.X, row))
            w.tight = w.tight | (self._row(row) & stopped[:, None])
        self._release(q, arrived, w)

    def _search(
        self, q: DeviceArray, direction: DeviceArray, moves: DeviceArray, w: _Walkers
    ) -> tuple[DeviceArray, DeviceArray, DeviceArray, DeviceArray]:
        """Go to the first local minimum along each direction, but no further than `_REACH`.

        Returns the steps, the rows that they stop at, whether they stop at one, and flipped bits.
        """
        space, xp = self.space, self.space.xp
        B = xp.matmul(direction, self.columns)
        speed, heights = xp.abs(B), xp.abs(w.A)
        kinks = (speed > self._resting(direction, w.U)) & ((B < 0.0) == w.on) & ~w.tight
        near = kinks & (heights <= _REACH * speed) & moves[:, None]
        start = xp.sum((w.U - q) * direction, axis=1)
        curve = xp.sum(direction * direction, axis=1)
        curve = xp.where(curve > 0.0, curve, xp.ones_like(curve))
        points, rows = xp.nonzero(near)
        whole = -start / curve
        none = xp.zeros(moves.shape, dtype=xp.bool, device=space.device)
        if points.shape[0] == 0:
            t = xp.where(moves, whole, 0.0 * whole)
            return t, space.arange(int(moves.shape[0])), none, near
        flat = points * near.shape[1] + rows
        flipped = (w.A < 0.0) == w.on  # past the kink by rounding
        times, jumps, gone = (
            space.take(xp.reshape(part, (-1,)), flat) for part in (heights, speed, flipped)
        )
        times = xp.where(gone, xp.zeros_like(times), times / jumps)
        jumps = -space.take(w.sign, points) * space.take(self.z, rows) * jumps
        order = xp.argsort(times)
        order = space.take(order, xp.argsort(space.take(points, order), stable=True))
        times, jumps, rows = (space.take(part, order) for part in (times, jumps, rows))
        counts = xp.sum(xp.astype(near, space.integer), axis=1)
        ends = xp.cumulative_sum(counts)
        sums = xp.concat([space.zeros(1), xp.cumulative_sum(jumps)])
        base = space.take(sums, ends - counts)
        total = sums[1:] - space.take(base, points)
        after = times * space.take(curve, points) + space.take(start, points) + total
        inside = (after - jumps >= 0.0) & (times > 0.0)
        first, some = self._first(inside | (after >= 0.0), points, int(moves.shape[0]))
        stopped = moves & some & ~space.take(inside, first)
        passed = xp.where(some, space.take(total - jumps, first), space.take(sums, ends) - base)
        limit = xp.where(some, space.take(times, first), xp.full_like(whole, _REACH))
        root = xp.minimum(-(start + passed) / curve, limit)
        t = xp.where(stopped, limit, root)
        row = space.take(rows, first)
        crossed = near & (heights < t[:, None] * speed) & ~(self._row(row) & stopped[:, None])
        return xp.where(moves, t, 0.0 * t), row, stopped, crossed

    def _first(
        self, event: DeviceArray, points: DeviceArray, k: int
    ) -> tuple[DeviceArray, DeviceArray]:
        """Return the place of each point's first event in its part of a list, and if there is one.

        ``points`` tells which of k points each entry of the list is about, in ascending order.
        """
        space, xp = self.space, self.space.xp
        places = space.where_true(event)
        if places.shape[0] == 0:
            nothing = 0 * space.arange(k)
            return nothing, nothing > 0
        whose, every = space.take(points, places), space.arange(k)
        at = xp.clip(xp.searchsorted(whose, every), 0, places.shape[0] - 1)
        return space.take(places, at), space.take(whose, at) == every

    def _resting(self, direction: DeviceArray, points: DeviceArray) -> DeviceArray:
        """Return changes of X u that are rounding, (k, n); the last column may be far larger."""
        space, xp = self.space, self.space.xp
        features = _MOVING * _norm(space, direction[:, :-1]) + _FLOAT * _norm(space, points[:, :-1])
        ends = _MOVING * xp.abs(direction[:, -1]) + _FLOAT * xp.abs(points[:, -1])
        return xp.matmul(xp.stack([features, ends], axis=1), self.lengths)

    def _release(self, q: DeviceArray, arrived: DeviceArray, w: _Walkers) -> None:
        """Release the worst row of each point that has arrived; those without one are done.

        With u - q = sum_k mu_k x_k a point is optimal across its cells iff z_k <= mu_k <= 0.
        """
        space, xp = self.space, self.space.xp
        used = w.faces.index >= 0
        rows = xp.where(used, w.faces.index, xp.zeros_like(w.faces.index))
        flat = xp.reshape(rows, (-1,))
        slopes = w.sign[:, None] * xp.reshape(space.take(self.z, flat), rows.shape)
        norms = xp.reshape(space.take(self.norms, flat), rows.shape)
        mu = w.faces.multipliers(w.U - q)
        off, into = mu * norms, (slopes - mu) * norms
        free = used & ~xp.take_along_axis(w.held, rows, axis=1)
        worst = xp.where(free, xp.maximum(off, into), xp.full_like(off, -1.0))
        slot = xp.argmax(worst, axis=1)
        at = slot[:, None]
        value = xp.take_along_axis(worst, at, axis=1)[:, 0]
        release = arrived & (value > _RELEASE * _norm(space, w.U))
        w.done = w.done | (arrived & ~release)
        if not space.any(release):
            return
        hot = self._row(xp.take_along_axis(rows, at, axis=1)[:, 0]) & release[:, None]
        w.tight, w.held = w.tight & ~hot, w.held | hot
        w.on = xp.where(hot, xp.take_along_axis(into > off, at, axis=1), w.on)
        w.faces.remove(release, slot)


def _ends(w: _Walkers) -> Found:
    """Return the points on their faces, zero where nothing positive was found."""
    xp = w.faces.space.xp
    points = xp.where(w.alive[:, None], w.faces.projected(w.U), xp.zeros_like(w.U))
    return points, w.faces.index


def _norm(space: Space, vectors: DeviceArray) -> DeviceArray:
    return space.xp.sqrt(space.xp.sum(vectors * vectors, axis=1))
