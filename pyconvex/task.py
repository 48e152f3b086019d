"""From a checked request to a solver: data, coordinates, patterns and pricing put together."""

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.bounded import MAX_RANK, BoundedPricing, is_provable, rank_of
from pyconvex.column_generation import Solver
from pyconvex.coordinates import Coordinates
from pyconvex.data import check_bool, check_choice, check_int, check_sample_weight, to_dense
from pyconvex.decode import encode
from pyconvex.dual_newton import DualNewton
from pyconvex.enumeration import enumerate_patterns
from pyconvex.linear import Skip, check_attained
from pyconvex.losses import Array, Loss
from pyconvex.network import Network
from pyconvex.neurons import Neurons, Solution
from pyconvex.patterns import PatternSet, check_patterns
from pyconvex.pricing import CellPricing, LocalPricing, PatternPricing, Run, run_whole
from pyconvex.program import Problem
from pyconvex.rows import Rows, SparseRows, row_squares
from pyconvex.sampling import sample_patterns
from pyconvex.solver import kept_rows, make_problem, pattern_solver

N_GATES = 1000  # gates drawn for "gated_relu" unless told
_ROUNDING = 1e-14  # a dual norm below this times its terms' sizes is 0


@dataclass(frozen=True)
class Task:
    """A checked request: the user's rows, the solver made of them, and the way back."""

    X: Rows
    y: Array
    sample_weight: Array
    coordinates: Coordinates
    solver: Solver | DualNewton
    patterns: PatternSet | None
    gated: bool
    every_pattern: bool
    certificate: str

    @classmethod
    def of(
        cls,
        X: Rows,
        y: ArrayLike,
        beta: float,
        model: str,
        loss: str | Loss,
        bias: str,
        skip: str,
        patterns: str | int | PatternSet,
        sample_weight: ArrayLike | None,
        standardize: bool,
        tol: float,
        certificate: str,
        rng: np.random.Generator,
        kernels: ModuleType,
        n_threads: int,
    ) -> "Task":
        """Check the arguments of `pyconvex.fit` that remain and put the task together."""
        check_choice(bias, "bias", ("free", "decayed", "none"))
        check_choice(skip, "skip", ("none", "free", "decayed"))
        gated = model == "gated_relu"
        free_bias = bias == "free" and not gated
        coordinates = Coordinates.of(
            X, bias, centred=free_bias, standardize=check_bool(standardize, "standardize"),
            sample_weight=check_sample_weight(sample_weight, len(X)),
        )  # fmt: skip
        problem, rows = make_problem(
            coordinates.rows(X), y, beta, sample_weight, loss,
            intercept=bias == "free", free_bias=free_bias,
        )  # fmt: skip
        problem = _with_skip(problem, coordinates, skip)
        chosen = _choose_patterns(X, patterns, gated, coordinates, rng, kernels, n_threads)
        every = isinstance(patterns, str) and patterns == "all"
        if chosen is None or (every and not gated):
            solver: Solver | DualNewton = _crossing_solver(
                problem, chosen, rows, tol, certificate, rng, kernels, n_threads
            )
        else:
            solver = pattern_solver(
                problem, chosen, rows, not gated, tol, kernels, n_threads, by_weights=True
            )
        data = X[rows], problem.y, problem.sample_weight
        return cls(*data, coordinates, solver, chosen, gated, every, certificate)

    def at(self, beta: float) -> "Task":
        """Return the same task at another weight decay."""
        problem = replace(self.solver.problem, beta=beta)
        return replace(self, solver=replace(self.solver, problem=problem))

    def beta_max(self) -> float:
        """Return N(z) at the best free prediction, or ||X^T z|| where a decayed skip has more."""
        return self.norm_of(self.solver.problem.constant_multiplier())

    def norm_of(self, z: Array) -> float:
        """Return N(z), or a decayed skip's ||X^T z|| where it is larger; 0 where it is rounding."""
        problem = replace(self.solver.problem, beta=0.0)
        nothing = Neurons.none(problem)
        skip = problem.skip_norm(z)
        start = problem.sample_weight * np.abs(problem.y)
        size = problem.at_rows(np.abs(z) + start) @ np.sqrt(row_squares(problem.X))
        z = problem.at_rows(z)
        pricing = self.solver.pricing
        if isinstance(pricing, BoundedPricing):
            norm = pricing.dual_norm(problem, z, run_whole)
        elif isinstance(self.solver, DualNewton):
            norm = self.solver.dual_norm(z)
        else:
            norm = pricing(problem, z, nothing.U, nothing.signs, run_whole, effort=4)[0]
        norm = max(norm, skip)
        return norm if norm > _ROUNDING * size else 0.0

    def start(self, network: Network | None) -> Neurons:
        """Return the neurons to start from."""
        if network is None:
            return Neurons.none(self.solver.problem)
        if (network.gates is not None) != self.gated:
            raise ValueError("warm_start is of another model: pass a fit of the same model")
        crossing = self.solver.mode == self.solver.kernels.CROSSING
        patterns = None if crossing else self.patterns
        return encode(network, self.solver, self.coordinates, self.X, patterns)

    def for_target(self, y: Array, loss: Loss | None = None) -> "Task":
        """Return the task of another output: the same data, a search of its own."""
        solver, loss = self.solver, loss or self.solver.problem.loss
        problem = replace(solver.problem, y=y, loss=loss)
        if isinstance(solver, Solver):
            return replace(
                self, y=y, solver=replace(solver, problem=problem, pricing=anew(solver.pricing))
            )
        return replace(self, y=y, solver=replace(solver, problem=problem))

    def global_bound(self, solution: Solution, run: Run | None) -> float:
        """Return a lower bound for networks of any width, from the dual norm over all patterns.

        Where that was neither priced nor proved, from the cheap bound of the norm. Without
        ``run`` nothing new is proved.
        """
        norm = self.global_norm(solution.neurons, solution.multiplier, run)
        return self.solver.problem.dual_objective(solution.multiplier, norm)

    def global_norm(self, neurons: Neurons, z: Array, run: Run | None) -> float:
        """Return an upper bound of N(z) over all patterns; see `global_bound`."""
        problem, pricing = self.solver.problem, self.solver.pricing
        at_rows = problem.at_rows(z)
        norm = problem.norm_bound(at_rows)
        if isinstance(pricing, CellPricing):
            norm = pricing(problem, at_rows, neurons.U, neurons.signs, run_whole, effort=2)[0]
        if isinstance(pricing, BoundedPricing):
            norm = min(norm, pricing.bound(problem, at_rows, run))
        return norm


def anew(
    pricing: PatternPricing | LocalPricing | CellPricing | BoundedPricing,
) -> PatternPricing | LocalPricing | CellPricing | BoundedPricing:
    """Return the same pricing without what it has found so far."""
    if isinstance(pricing, LocalPricing):
        return replace(pricing, maxima=[])
    if isinstance(pricing, BoundedPricing):
        return replace(pricing, search=replace(pricing.search, maxima=[]), proved={})
    if isinstance(pricing, CellPricing):
        return replace(pricing, search=replace(pricing.search, maxima=[]))
    return pricing


def _with_skip(problem: Problem, coordinates: Coordinates, skip: str) -> Problem:
    """Return the problem with a linear skip connection from its features."""
    if skip == "none":
        return problem
    rows, free = problem.X, skip == "free"
    if isinstance(rows, SparseRows):
        rows = to_dense(rows, "X", "pass skip='none'")
    features = rows[:, :-1] if coordinates.ones else rows
    connection = Skip.of(features, free=free, constant=problem.intercept)
    problem = replace(problem, skip=connection)
    if free:
        check_attained(problem.loss, problem.y, problem.sample_weight, problem.free)
    return problem


def _crossing_solver(
    problem: Problem,
    patterns: PatternSet | None,
    rows: NDArray[np.int64],
    tol: float,
    certificate: str,
    rng: np.random.Generator,
    kernels: ModuleType,
    n_threads: int,
) -> Solver:
    """Return the solver whose neurons go from cell to cell, priced as its certificate asks."""
    merged, first = problem.merged()
    nothing = np.zeros((0, (len(merged.X) + 63) // 64), np.uint64)
    search = LocalPricing(kernels, n_threads, rng)
    pricing: LocalPricing | CellPricing | BoundedPricing = search
    if patterns is not None:
        packed = kept_rows(patterns, rows[first], kernels)
        pricing = CellPricing(search, PatternPricing(packed, True, kernels, n_threads))
    elif certificate == "global":
        if rank_of(merged) > MAX_RANK:
            raise ValueError(
                f"certificate='global' needs data of rank at most {MAX_RANK} with the column of "
                f"ones, X has {rank_of(merged)}: pass certificate='auto'"
            )
        pricing = BoundedPricing(search, tol, limited=False)
    elif certificate == "auto" and is_provable(merged):
        pricing = BoundedPricing(search, tol, limited=True)
    return Solver(merged, pricing, kernels, kernels.CROSSING, nothing, tol, n_threads)


def _choose_patterns(
    X: Rows,
    patterns: str | int | PatternSet,
    gated: bool,
    coordinates: Coordinates,
    rng: np.random.Generator,
    kernels: ModuleType,
    n_threads: int,
) -> PatternSet | None:
    """Return the patterns to solve over; None where columns are generated."""
    rows = coordinates.gate_rows(X)
    if isinstance(patterns, PatternSet):
        check_patterns(patterns, len(X))
        if gated and (patterns.gates is None or patterns.gates.shape[0] != rows.shape[1]):
            raise ValueError(
                f"patterns must carry gates with {rows.shape[1]} coordinates for "
                "model='gated_relu': make them by from_gates or sample_patterns from X"
                + (" with a column of ones appended" if coordinates.ones else "")
            )
        return patterns
    if patterns == "auto" and not gated:
        return None
    settings: dict[str, Any] = {
        "backend": kernels.__name__.rpartition(".")[2],
        "n_threads": n_threads or None,
    }
    if patterns == "all":
        return enumerate_patterns(rows, **settings)
    number = N_GATES if isinstance(patterns, str) else check_int(patterns, "patterns")
    if coordinates.scale is None:
        return sample_patterns(rows, number, random_state=rng, **settings)
    rows = coordinates.gate_rows(coordinates.features(X))  # no feature outweighs the others
    drawn = sample_patterns(rows, number, random_state=rng, **settings)
    assert drawn.gates is not None
    return PatternSet(drawn.packed, len(X), coordinates.gates_to_user(drawn.gates))
