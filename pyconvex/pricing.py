"""Pricing: the dual norm N(z) over patterns or over the sphere, and the neurons that attain it.

Multipliers z have one entry per row of the problem's X.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array
from pyconvex.program import Problem
from pyconvex.rows import gate_gradients

Run = Callable[..., Any]  # calls a kernel with a stop flag as last argument
GapOf = Callable[[float], float]  # the relative gap that a dual norm would leave

_CHUNK = 64  # cells projected between two looks at the best norm so far
_FRESH = 8  # Gaussian starts of a local search that has maxima to start from
_BESIDE = 96  # starts beside neurons, in a search before a certificate, for each unit of effort
_FAR = 0.5  # how far they are away at most, relative to the length of the neuron
_POOL = 64  # maxima that the next search starts from, beyond those at the neurons
_NEAR = 0.5  # of beta: a maximum above may soon exceed beta


def run_whole(kernel: Callable[..., Any], *args: Any) -> Any:
    """Call a kernel that nobody will stop."""
    return kernel(*args, np.zeros(1, np.uint8))


@dataclass(frozen=True)
class Columns:
    """Neurons on offer, best first.

    Attributes
    ----------
    points : array, shape (k, p)
        Directions with penalised norm 1.
    signs : array, shape (k,)
        Output signs, +1 or -1.
    tight : array of int, shape (k, p)
        Rows of X that a point lies on; -1 pads.
    pattern : array of int, shape (k,)
        Index of the pattern each belongs to; -1 where patterns are not fixed.
    values : array, shape (k,)
        z . (output of the unit neuron): a column improves the objective iff it exceeds beta.
    """

    points: Array
    signs: Array
    tight: NDArray[np.int64]
    pattern: NDArray[np.int64]
    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Columns":
        return Columns(
            self.points[key], self.signs[key], self.tight[key], self.pattern[key], self.values[key]
        )


@dataclass(frozen=True)
class PatternPricing:
    """N(z) over given patterns: exact, up to rounding from above, where it exceeds beta.

    Where it does not, with cones, a bound of it that does not either.

    Without cones N(z) = max_g ||X^T D_g z||; with cones the gradient is first projected onto the
    closed cell, for both signs. Cells whose cone-free norm cannot win are not projected.
    """

    packed: NDArray[np.uint64]
    cones: bool
    kernels: ModuleType
    n_threads: int
    exact = True
    ready = 1.0  # the share of the gap asked for at which a harder search pays

    def __call__(
        self,
        problem: Problem,
        z: Array,
        neurons: Array,
        signs: Array,
        run: Run,
        effort: int = 1,
        gap_of: GapOf | None = None,
    ) -> tuple[float, Columns]:
        """Return N(z) = max_g ||X^T D_g z|| / omega_g and all columns above beta, best first."""
        C = gate_gradients(self.kernels, problem.X, self.packed, z, self.n_threads)
        if not self.cones:
            norms, weights = np.linalg.norm(C, axis=1), problem.weights_of(np.arange(len(C)))
            values = norms / weights
            order = np.argsort(-values, kind="stable")
            order = order[values[order] > problem.beta]
            columns = Columns(
                C[order] / norms[order, np.newaxis],
                np.ones(len(order)),
                np.full((len(order), C.shape[1]), -1),
                order,
                values[order],
            )
            return float(values.max()), columns
        return self._project(problem, C, run)

    def _project(self, problem: Problem, C: Array, run: Run) -> tuple[float, Columns]:
        gradients = np.concatenate([C, -C])
        cell = np.tile(np.arange(len(C)), 2)
        signs = np.repeat([1.0, -1.0], len(C))
        ceilings = problem.norms(gradients)
        if problem.free_bias:  # where a cell has rows on both sides |b| <= R ||w||
            ceilings += problem.radius * np.abs(gradients[:, -1])
        weights = problem.weights_of(cell)
        ceilings /= weights
        order = np.argsort(-ceilings, kind="stable")
        norm, chunks = 0.0, []
        for start in range(0, len(order), _CHUNK):
            chosen = order[start : start + _CHUNK]
            # a ridge needs all columns above beta, else the best is enough
            floor = problem.beta if problem.ridge > 0.0 else max(norm, problem.beta)
            if start and ceilings[chosen[0]] <= floor:
                norm = max(norm, float(ceilings[chosen[0]]))
                break
            points, tight = run(
                self.kernels.project_cells,
                problem.X,
                self.packed[cell[chosen]],
                gradients[chosen],
                problem.beta * weights[chosen],
                problem.free_bias,
                self.n_threads,
            )
            norms = problem.norms(points)
            values = norms / weights[chosen]
            norm = max(norm, float(values.max()))
            better = values > problem.beta
            points = points[better] / norms[better, np.newaxis]
            chunks.append((points, chosen[better], tight[better], values[better]))
        points, chosen, tight, values = (np.concatenate(part) for part in zip(*chunks, strict=True))
        order = np.argsort(-values, kind="stable")
        columns = Columns(points, signs[chosen], tight, cell[chosen], values)
        return norm, columns[order]


@dataclass(frozen=True)
class LocalPricing:
    """N(z) by local search over the sphere: a lower estimate from many starts.

    Each start walks through the cells along facets to a local maximum of z . (X u)_+
    (``walk``); starts are Gaussian directions, data points, the gradient of the linear part, the
    present neurons and the maxima of the last search, which are near those of this one. Before a
    certificate directions beside the neurons join, since small basins lie there.
    """

    kernels: ModuleType
    n_threads: int
    rng: np.random.Generator
    n_starts: int = 32  # Gaussian ones, of the first search
    maxima: list[Columns] = field(default_factory=list)  # one item: of the last search
    exact = False
    ready = 1.0

    def __call__(
        self,
        problem: Problem,
        z: Array,
        neurons: Array,
        signs: Array,
        run: Run,
        effort: int = 1,
        gap_of: GapOf | None = None,
    ) -> tuple[float, Columns]:
        """Return the best value found and the distinct columns above beta, best first."""
        first = effort > 1 or not self.maxima
        fresh = self._starts(problem, z, effort * self.n_starts if first else _FRESH)
        beside, their_signs = self._beside(problem, neurons, signs, effort)
        both = np.concatenate([fresh, fresh, neurons, beside, *(m.points for m in self.maxima)])
        sides = np.repeat([1.0, -1.0], len(fresh))
        sides = np.concatenate([sides, signs, their_signs, *(m.signs for m in self.maxima)])
        norm, columns = self._climb(problem, z, both, sides, _NEAR * problem.beta, run)
        self.maxima[:] = [columns[: _POOL + len(neurons)]]
        return norm, columns[columns.values > problem.beta]

    def walk_from(
        self, problem: Problem, z: Array, starts: Array, signs: Array, run: Run
    ) -> tuple[float, Columns]:
        """Do the same from given starting points (k, p), each with the sign of its output."""
        return self._climb(problem, z, starts, signs, problem.beta, run)

    def _climb(
        self, problem: Problem, z: Array, starts: Array, signs: Array, above: float, run: Run
    ) -> tuple[float, Columns]:
        """Return the best value and the distinct maxima whose value exceeds ``above``."""
        walks = []
        for sign in (1.0, -1.0):
            points, tight = run(
                self.kernels.walk,
                problem.X,
                sign * z,
                starts[signs == sign],
                problem.free_bias,
                self.n_threads,
            )
            norms = problem.norms(points)
            alive = norms > 0.0
            points, tight = points[alive] / norms[alive, np.newaxis], tight[alive]
            if problem.free_bias:  # beyond the data z . (X u)_+ is flat but for rounding
                points[:, -1] = np.clip(points[:, -1], -problem.radius, problem.radius)
            outputs = np.maximum(points @ problem.X.T, 0.0)
            walks.append((points, np.full(len(points), sign), tight, outputs @ (sign * z)))
        points, signs, tight, values = (np.concatenate(part) for part in zip(*walks, strict=True))
        order = np.argsort(-values, kind="stable")
        order = order[values[order] > above]
        norm = float(values.max()) if len(values) else 0.0
        columns = Columns(points, signs, tight, np.full(len(values), -1), values)[order]
        return norm, columns[self._distinct(problem, columns)]

    def _starts(self, problem: Problem, z: Array, n_starts: int) -> Array:
        X = problem.X
        rows = X[self.rng.integers(len(X), size=n_starts // 2)]
        gaussian = self.rng.standard_normal((n_starts, X.shape[1]))
        starts = np.concatenate([gaussian, rows, (z @ X)[np.newaxis]])
        if problem.free_bias:  # put the kink of each start on a random sample
            kinks = X[self.rng.integers(len(X), size=len(starts))]
            starts[:, -1] = -np.einsum("ij,ij->i", kinks[:, :-1], starts[:, :-1])
        return starts

    def _beside(
        self, problem: Problem, neurons: Array, signs: Array, effort: int
    ) -> tuple[Array, Array]:
        """Return directions beside those of neurons, and their signs, where ``effort`` exceeds 1.

        They find small basins ten times as often as Gaussian starts.
        """
        if effort == 1 or len(neurons) == 0:
            return neurons[:0], signs[:0]
        n, p = effort * _BESIDE, neurons.shape[1]
        chosen = self.rng.integers(len(neurons), size=n)
        lengths = self.rng.uniform(0.0, _FAR / math.sqrt(p), (n, 1))
        offsets = lengths * self.rng.standard_normal((n, p))
        if problem.free_bias:  # biases are as long as rows
            offsets[:, -1] *= problem.radius
        units = neurons / problem.norms(neurons)[:, np.newaxis]
        return units[chosen] + offsets, signs[chosen]

    @staticmethod
    def _distinct(problem: Problem, columns: Columns) -> NDArray[np.int64]:
        """Return the best column of each sign and pattern."""
        keys = np.column_stack([columns.points @ problem.X.T > 0.0, columns.signs > 0.0])
        first = np.unique(np.packbits(keys, axis=1), axis=0, return_index=True)[1]
        return np.sort(first)


@dataclass(frozen=True)
class CellPricing:
    """N(z) over all cells of the arrangement, for neurons that may go from cell to cell.

    Local search finds the columns. Every cell is priced only to confirm that none is left.
    """

    search: LocalPricing
    cells: PatternPricing
    exact = False
    ready = 1.0

    def __call__(
        self,
        problem: Problem,
        z: Array,
        neurons: Array,
        signs: Array,
        run: Run,
        effort: int = 1,
        gap_of: GapOf | None = None,
    ) -> tuple[float, Columns]:
        """Return N(z), exact where ``effort`` exceeds 1, and the columns above beta."""
        if effort == 1:
            return self.search(problem, z, neurons, signs, run)
        norm, columns = self.cells(problem, z, neurons, signs, run)
        return norm, replace(columns, pattern=np.full(len(columns), -1))
