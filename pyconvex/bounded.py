"""Proofs: the dual norm over all of the sphere, exactly or bracketed by branch and bound."""

import math
from dataclasses import dataclass, field, replace
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array
from pyconvex.pricing import Columns, GapOf, LocalPricing, Run
from pyconvex.program import Problem
from pyconvex.zonotopes import exact_norm

MAX_RANK = 16  # branch and bound starts from 2^rank cones
_AUTO_RANK = 6  # up to which "auto" tries a proof by branch and bound
AUTO_NODES = 50_000  # cones that a proof under "auto" may take
_VERTICES = 20_000  # up to so many exact pricing is as fast
_LOST = 1e-9  # a walk may lower a point's value by this much, relative
_MARGIN = 0.999  # of the gap to be proved: rounding has a say in the final one
_READY = 0.1  # of the gap to be proved: a smaller one leaves a proof more room
_LOOSE = 1e-3  # relative accuracy of the bound of an unfinished solve
_SMALL = 1e-12  # singular values below this, relative, are zero
_DOUBLINGS = 60  # of the norm in the search for the one that a proof needs
_BISECTIONS = 50


@dataclass(frozen=True)
class Bracket:
    """value <= N(z) <= bound, and the neurons found on the way, best first.

    Attributes
    ----------
    value, bound : float
        The first point attains ``value``; no neuron of penalised norm 1 exceeds ``bound``.
    n_nodes : int
        Cones looked at; 0 where all vertices were.
    points : array, shape (k, p)
        Neurons of penalised norm 1 above the target.
    signs : array, shape (k,)
        Of the output.
    """

    value: float
    bound: float
    n_nodes: int
    points: Array
    signs: Array


def n_vertices(n_samples: int, rank: int) -> int:
    """Return how many vertices exact pricing looks at where half of the multiplier is positive."""
    return 4 * sum(math.comb(max(n_samples // 2 - 1, 0), k) for k in range(rank))


def is_provable(problem: Problem) -> bool:
    """Tell whether "auto" tries to prove the dual norm of a problem."""
    rank = rank_of(problem)
    return rank <= _AUTO_RANK or n_vertices(len(problem.X), rank) <= _VERTICES


def bracket_norm(
    problem: Problem,
    z: Array,
    target: float,
    tol: float,
    kernels: ModuleType,
    n_threads: int,
    run: Run,
    *,
    first: bool = False,
    max_nodes: int = 0,
    method: str = "auto",
) -> Bracket:
    """Bracket N(z) until bound <= (1 + tol) max(value, target).

    ``method="bounded"``, branch and bound, ends early once a value exceeds (1 + tol) target if
    only the ``first`` is wanted, after ``max_nodes`` cones (0: no limit) and when ``run`` asks to
    stop. "exact" looks at all vertices; "auto" does so where they are few.
    """
    rows, basis = principal_rows(problem)
    few = n_vertices(len(rows), basis.shape[1]) <= _VERTICES
    if method == "exact" or (method == "auto" and few):
        try:
            return _exact(problem, z, target, kernels, n_threads, run)
        except RuntimeError:  # cells too thin for doubles
            if method == "exact":
                raise
    value, bound, n_nodes, points, signs, _ = run(
        kernels.bound_norm, rows, z, problem.free_bias, target, tol, first, max_nodes, n_threads
    )
    return Bracket(value, bound, n_nodes, points @ basis.T, signs)


def _exact(
    problem: Problem, z: Array, target: float, kernels: ModuleType, n_threads: int, run: Run
) -> Bracket:
    value, bound, point, sign = exact_norm(problem.X, z, problem.free_bias, kernels, n_threads, run)
    found = int(value > target)
    return Bracket(value, bound, 0, point[np.newaxis][:found], np.full(found, sign))


def principal_rows(problem: Problem) -> tuple[Array, Array]:
    """Return the rows in as many orthonormal coordinates as their rank, and the basis (p, rank).

    A free bias keeps its coordinate, the last. Neurons of the same output and of least norm lie
    in the span, so the dual norm stays.
    """
    X = problem.X
    features = X[:, :-1] if problem.free_bias else X
    _, sizes, directions = np.linalg.svd(features, full_matrices=False)
    rank = int((sizes > _SMALL * max(float(sizes.max(initial=0.0)), 1e-300)).sum())
    basis = directions[: max(rank, 1)].T
    if problem.free_bias:
        widened = np.zeros((X.shape[1], basis.shape[1] + 1))
        widened[:-1, :-1], widened[-1, -1] = basis, 1.0
        basis = widened
    return np.ascontiguousarray(X @ basis), basis


def rank_of(problem: Problem) -> int:
    """Return the rank of the rows as `bracket_norm` sees them."""
    return int(principal_rows(problem)[1].shape[1])


def provable_norm(norm: float, tiny: float, gap_of: GapOf, tol: float) -> float:
    """Return the largest norm N(z) that would still leave a relative gap of ``tol``.

    ``norm`` is one that does; one below ``tiny`` may be 0. Infinite where it does not matter.
    """
    low = max(norm, tiny)
    high = 2.0 * low
    for _ in range(_DOUBLINGS):
        if gap_of(high) > tol:
            break
        low, high = high, 2.0 * high
    else:
        return math.inf
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if gap_of(middle) <= tol:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True)
class BoundedPricing:
    """N(z) over the sphere: local search, then a proof, exact or by branch and bound.

    Local search finds the columns. Once it finds none that matter, the proof either shows that
    there is none, or finds one.

    Parameters
    ----------
    search : LocalPricing
        The local search.
    tol : float
        Relative gap to be proved.
    limited : bool
        Whether a proof is given up after 50,000 cones.
    """

    search: LocalPricing
    tol: float
    limited: bool
    proved: dict[bytes, float] = field(default_factory=dict)  # the latest multiplier's bound
    exact = False
    ready = _READY

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
        """Return the norm and the columns above beta; a proof is tried if ``effort`` exceeds 1.

        The norm is an upper bound of N(z) where the proof went through, else the best value found.
        """
        if effort == 1:
            return self.search(problem, z, neurons, signs, run)
        norm, columns = self.search.walk_from(problem, z, neurons, signs, run)
        assert gap_of is not None
        if gap_of(norm) > self.tol:  # the search has found better columns
            return norm, columns
        target = provable_norm(norm, problem.beta * 1e-9, gap_of, _MARGIN * self.tol)
        found = self._bracket(problem, z, target, 0.0, run, first=True)
        if found.bound <= target:
            return found.bound, columns
        if found.value > target:
            return self._columns(problem, z, found, run)
        return norm, columns

    def _columns(
        self, problem: Problem, z: Array, found: Bracket, run: Run
    ) -> tuple[float, Columns]:
        """Return the points of a proof, each walked to a local maximum unless that loses it.

        The walk starts in the cell that a point's signs name. Where a point lies on many rows
        rounding may name a cell that is not there.
        """
        norm, columns = self.search.walk_from(problem, z, found.points, found.signs, run)
        if norm >= found.value * (1.0 - _LOST):
            return norm, columns
        outputs = np.maximum(found.points @ problem.X.T, 0.0)
        nowhere = np.full(found.points.shape, -1)
        return found.value, Columns(
            found.points, found.signs, nowhere, nowhere[:, 0], found.signs * (outputs @ z)
        )

    def dual_norm(self, problem: Problem, z: Array, run: Run) -> float:
        """Return N(z), from above where it is proved, else from below."""
        nothing = np.zeros((0, problem.X.shape[1]))
        norm, _ = self.search(problem, z, nothing, np.zeros(0), run, effort=4)
        found = self._bracket(problem, z, norm, 1e-8, run, first=False)
        value = max(norm, found.value)
        return found.bound if found.bound <= value * (1.0 + 2e-8) else value

    def bound(self, problem: Problem, z: NDArray[np.float64], run: Run | None) -> float:
        """Return the latest bound if it was of this multiplier, else infinity.

        Where a proof was asked for and ``run`` is there, prove what 50,000 cones can.
        """
        if z.tobytes() not in self.proved and not self.limited and run is not None:
            replace(self, limited=True)._bracket(problem, z, problem.beta, _LOOSE, run, first=False)
        return self.proved.get(z.tobytes(), math.inf)

    def _bracket(
        self, problem: Problem, z: Array, target: float, tol: float, run: Run, *, first: bool
    ) -> Bracket:
        found = bracket_norm(
            problem, z, target, tol, self.search.kernels, self.search.n_threads, run,
            first=first, max_nodes=AUTO_NODES if self.limited else 0,
        )  # fmt: skip
        self.proved.clear()
        self.proved[z.tobytes()] = found.bound
        return found
