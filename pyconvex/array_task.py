"""Requests to train networks on a device: from checked arguments to a certified fit."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyconvex.array_coordinates import ArrayCoordinates
from pyconvex.array_group_lasso import placed, uploaded
from pyconvex.array_newton import ArrayNewton, Found, State
from pyconvex.array_problem import ArrayProblem, check_weights, make_problem, row_norms
from pyconvex.array_relu import ReluArrayTask
from pyconvex.array_stages import solve_in_stages
from pyconvex.backends import array as kernels
from pyconvex.data import check_bool, check_choice, check_int
from pyconvex.device_network import predict_on
from pyconvex.fitted import Fit, fit_of
from pyconvex.monitor import Monitor
from pyconvex.namespaces import DeviceArray, Space, check_matrix
from pyconvex.network import Network
from pyconvex.patterns import PatternSet
from pyconvex.sampling import draw_on
from pyconvex.task import N_GATES

_HOST = "pass NumPy arrays, e.g. X.cpu().numpy()"


@dataclass(frozen=True)
class GatedArrayTask:
    """A checked request for a gated network on a device.

    Attributes
    ----------
    X : array, shape (n_samples, n_features)
        The user's rows of positive weight.
    coordinates : ArrayCoordinates
        From them to the solver's.
    engine : ArrayNewton
        What solves the program.
    patterns : PatternSet
        With the gates in units of X.
    home : Space
        Where results go.
    """

    X: DeviceArray
    coordinates: ArrayCoordinates
    engine: ArrayNewton
    patterns: PatternSet
    home: Space

    @property
    def problem(self) -> ArrayProblem:
        """The program."""
        return self.engine.problem

    def at(self, beta: float) -> "GatedArrayTask":
        """Return the same task at another weight decay."""
        return replace(self, engine=replace(self.engine, problem=self.problem.at(beta)))

    def beta_max(self) -> float:
        """Return N(z) at the best constant prediction."""
        return self.problem.beta_max()

    def start(self, network: Network | None) -> State:
        """Return the weights to start from; neurons whose gates show no pattern are left out."""
        if network is None:
            return State.none(self.problem)
        space = self.problem.space
        if network.gates is None or network.n_features != self.X.shape[1]:
            raise ValueError(
                "warm_start is of another model or other features: pass a fit of the same model"
            )
        if network.space not in (None, space, self.home):
            raise ValueError("warm_start lives on another device: pass warm_start.to_device(X)")
        network = network.to_device(self.X)
        xp = space.xp
        bias: Any = network.gate_bias
        gates = xp.concat([network.gates, bias[:, None]], axis=1)
        G = xp.matrix_transpose(gates if self.coordinates.ones else gates[:, :-1])
        bits = kernels.pack_gates(space, self.coordinates.gate_rows(self.X), G)
        found = kernels.find(space, self.problem.masks.packed, bits)
        groups = np.unique(found[found >= 0])
        sums = space.upload((groups[:, np.newaxis] == found).astype(np.float64))
        U: Any = self.coordinates.to_solver(network.hidden_weights, network.hidden_bias)
        # the sign is absorbed, one neuron per gate
        return State(space.upload(groups), xp.matmul(sums, U * network.output_weights[:, None]))

    def solve(self, state: State, minimal: bool, monitor: Monitor) -> tuple[Fit, State]:
        """Solve from given weights; return the certified fit and the weights it ended with."""
        if minimal:
            raise ValueError(
                "minimal=True is not available on device arrays: prune afterwards, "
                "fit.network.to_host().prune(X) with a NumPy X"
            )
        found = solve_in_stages(self.engine, state, monitor)
        network = self._decode(found)
        objective = self._objective(network)
        dual = min(found.dual_objective, objective)
        home = self.home.zeros(0)
        fit = fit_of(
            monitor, network.to_device(home), self.problem.beta, objective, dual, dual,
            "restricted", found.status, self.patterns.to_device(home),
        )  # fmt: skip
        return fit, found.state

    def _decode(self, found: Found) -> Network:
        """Return the balanced network: w = u / sqrt(norm), alpha = sqrt(norm)."""
        space, U = self.problem.space, found.state.U
        roots = space.xp.sqrt(row_norms(space, U))
        weights, bias = self.coordinates.to_user(U / roots[:, None])
        chosen = space.xp.take(self.patterns.gates, found.state.active, axis=1)
        gates = space.xp.matrix_transpose(chosen)
        d = weights.shape[1]
        gate_bias = gates[:, d] if self.coordinates.ones else space.zeros(gates.shape[0])
        return Network(weights, bias, roots, found.state.intercept, gates[:, :d], gate_bias)

    def _objective(self, network: Network) -> float:
        """Return the loss of the network's own predictions plus its weight decay."""
        problem = self.problem
        U = self.coordinates.to_solver(network.hidden_weights, network.hidden_bias)
        alpha = network.output_weights
        squares = problem.space.total(U * U) + problem.space.total(alpha * alpha)
        return problem.loss.sample_loss(predict_on(network, self.X)) + 0.5 * problem.beta * squares


def make_array_task(
    X: Any,
    y: Any,
    beta: float,
    model: str,
    loss: Any,
    bias: str,
    skip: str,
    patterns: str | int | PatternSet,
    tol: float,
    certificate: str,
    sample_weight: Any,
    standardize: bool,
    rng: np.random.Generator,
    device: Any,
) -> GatedArrayTask | ReluArrayTask:
    """Check the arguments of `pyconvex.fit` that remain and put the task together."""
    check_choice(bias, "bias", ("free", "decayed", "none"))
    check_choice(skip, "skip", ("none", "free", "decayed"))
    if skip != "none":
        raise ValueError(f"skip={skip!r} is not available on device arrays: {_HOST}")
    if patterns == "all" and isinstance(patterns, str):
        raise ValueError(f"patterns='all' is not available on device arrays: {_HOST}")
    space, home, X, y, sample_weight = placed(X, y, sample_weight, device)
    if y.ndim == 2:
        raise ValueError(f"y has several outputs, which device arrays do not take: {_HOST}")
    if model == "relu":
        _check_relu(patterns, certificate)
        return ReluArrayTask.of(
            space, home, X, y, beta, loss, bias, sample_weight, standardize, tol, rng
        )
    weights, kept = check_weights(space, sample_weight, int(X.shape[0]))
    standardize = check_bool(standardize, "standardize")
    coordinates = ArrayCoordinates.of(space, kept.of(X), bias, standardize, weights)
    rows = coordinates.rows(X)
    chosen = _choose_patterns(space, home, X, rows, patterns, coordinates, rng)
    problem, kept = make_problem(
        space, rows, y, kernels.Masks(space, chosen.packed, chosen.n_samples), beta, sample_weight,
        loss, intercept=bias == "free",
    )  # fmt: skip
    once = coordinates.scale is None and coordinates.ones  # the features, which fill the memory
    X = problem.X[:, :-1] if once else kept.of(X)
    # in single precision the residual of the weights proves little: the engine's multiplier does
    engine = ArrayNewton(problem, tol, by_weights=space.exact)
    return GatedArrayTask(X, coordinates, engine, chosen, home)


def _check_relu(patterns: str | int | PatternSet, certificate: str) -> None:
    """Refuse what ReLU networks on a device do not have."""
    if certificate == "global":
        raise ValueError(
            "certificate='global' is not available on device arrays, whose ReLU networks are "
            f"searched locally: pass certificate='local', or {_HOST.removeprefix('pass ')}"
        )
    if not (isinstance(patterns, str) and patterns == "auto"):
        raise ValueError(
            "patterns must be 'auto' for model='relu' on device arrays: solve the program over "
            "given patterns with pyconvex.solve_group_lasso(..., cones=True), or " + _HOST
        )


def _choose_patterns(
    space: Space,
    home: Space,
    X: DeviceArray,
    rows: DeviceArray,
    patterns: str | int | PatternSet,
    coordinates: ArrayCoordinates,
    rng: np.random.Generator,
) -> PatternSet:
    """Return given or drawn patterns, with gates in units of X."""
    if isinstance(patterns, PatternSet):
        chosen = uploaded(patterns, int(X.shape[0]), space, home)
        if chosen.gates is None or chosen.gates.shape[0] != rows.shape[1]:
            raise ValueError(
                f"patterns must carry gates with {rows.shape[1]} coordinates for "
                "model='gated_relu': make them by from_gates or sample_patterns from X"
                + (" with a column of ones appended" if coordinates.ones else "")
            )
        return chosen
    number = N_GATES if isinstance(patterns, str) else check_int(patterns, "patterns")
    drawn = draw_on(space, check_matrix(space, rows), number, rng)
    gates = coordinates.gates_to_user(drawn.gates)
    return PatternSet.of_bytes(space, drawn.packed, drawn.n_samples, gates)
