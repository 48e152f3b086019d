"""A solve's neurons made a network with its certificate."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.decode import decode, with_inputs
from pyconvex.losses import Array
from pyconvex.monitor import Monitor, Record
from pyconvex.network import Network
from pyconvex.neurons import Neurons, Solution
from pyconvex.patterns import PatternSet
from pyconvex.pricing import Run
from pyconvex.program import Status, relative_gap
from pyconvex.proximal_point import solve
from pyconvex.task import Task

_RISE = 1e-12  # a pruned network may have an objective that is higher by this much, relative


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained network with its certificate.

    Attributes
    ----------
    network : Network
        The weights, balanced: every neuron's hidden and output weights have the same norm (with
        ``standardize`` in the standardised features; weights are always in units of X).
    beta : float
        Weight decay.
    objective : float
        Mean loss + beta/2 (sum of squared decayed weights) + beta times the norm of a decayed
        skip connection, computed from ``network``. With ``standardize`` the weights of the
        standardised features.
    dual_objective : float
        Lower bound of the objective at the level that ``certificate`` names.
    gap : float
        (objective - dual_objective) / objective, 0 where the objective is 0.
    lower_bound : float
        Rigorous lower bound of the optimum, whatever the certificate (0 if none is known). For
        gated networks: of the program over their gates.
    certificate : {"global", "restricted", "local"}
        "global": no network of any width has a lower objective than ``dual_objective``.
        "restricted": the same among networks over ``patterns``. "local": the dual norm was
        found by local search, so that dual_objective and gap are estimates, no bounds.
    status : Status
        "optimal" if the gap reached ``tol``, else what ended the solve.
    n_iter : int
        Pricing rounds.
    seconds : float
        Wall time.
    history : tuple of Record
        One record per round.
    patterns : PatternSet
        The given or sampled patterns; those of the neurons for ``patterns="auto"``.
    """

    network: Network
    beta: float
    objective: float
    dual_objective: float
    gap: float
    lower_bound: float
    certificate: str
    status: Status
    n_iter: int
    seconds: float
    history: tuple[Record, ...] = field(repr=False)
    patterns: PatternSet = field(repr=False)

    def predict(self, X: ArrayLike) -> Array:
        """Return the network's output for each row of X, (n_samples,) or (n_samples, n_outputs)."""
        return self.network.predict(X)

    def __repr__(self) -> str:
        return (
            f"Fit({self.status.value}: objective={self.objective:.8g}, gap={self.gap:.1e} "
            f"({self.certificate}), n_neurons={self.network.n_neurons}, beta={self.beta:.4g}, "
            f"n_iter={self.n_iter}, seconds={self.seconds:.2f})"
        )


def fit_of(
    monitor: Monitor,
    network: Network,
    beta: float,
    objective: float,
    dual: float,
    lower_bound: float,
    certificate: str,
    status: Status,
    patterns: PatternSet,
) -> Fit:
    """Return the fit of a network, with what the monitor saw of its solve."""
    return Fit(
        network=network,
        beta=beta,
        objective=objective,
        dual_objective=dual,
        gap=relative_gap(objective, dual),
        lower_bound=lower_bound,
        certificate=certificate,
        status=status,
        n_iter=len(monitor.history),
        seconds=monitor.seconds,
        history=tuple(monitor.history),
        patterns=patterns,
    )


def certified(
    task: Task,
    monitor: Monitor,
    network: Network,
    objective: float,
    dual: float,
    bound: Callable[[Run | None], float],
    status: Status,
) -> Fit:
    """Return the fit of a ReLU network at the highest level that is proved.

    ``bound`` gives a lower bound for networks of any width; without a way to run kernels it proves
    nothing new.
    """
    dual = min(dual, objective)  # where rounding has the last word
    run = None if monitor.out_of_time() else monitor.run
    lower_bound = min(max(bound(run), 0.0), objective)
    certificate = "local" if task.patterns is None else "restricted"
    proved = relative_gap(objective, lower_bound) <= task.solver.tol
    if task.every_pattern or task.certificate == "global" or proved:
        certificate, dual = "global", lower_bound
    return fit_of(
        monitor, network, task.solver.problem.beta, objective, dual, lower_bound, certificate,
        status, task.patterns or neuron_patterns(task, network),
    )  # fmt: skip


def solve_task(
    task: Task, neurons: Neurons, minimal: bool, monitor: Monitor
) -> tuple[Fit, Neurons]:
    """Solve from given neurons; return the certified fit and the neurons it ended with."""
    solution = solve(task.solver, neurons, monitor)
    return _certified(task, solution, minimal, monitor), solution.neurons


def _certified(task: Task, solution: Solution, minimal: bool, monitor: Monitor) -> Fit:
    """Decode the network and certify it: all figures come from its own predictions."""
    problem = task.solver.problem
    gates = task.patterns.gates if task.gated and task.patterns is not None else None
    network = decode(solution.neurons, problem, task.coordinates, gates)
    objective = _objective(task, network)
    if minimal:
        network, objective = fewest(task, network, lambda n: _objective(task, n))
    if not task.gated:
        return certified(
            task, monitor, network, objective, solution.dual_objective,
            partial(task.global_bound, solution), solution.status,
        )  # fmt: skip
    assert task.patterns is not None
    dual = min(solution.dual_objective, objective)  # where rounding has the last word
    return fit_of(
        monitor, network, problem.beta, objective, dual, dual, gated_level(task), solution.status,
        task.patterns,
    )  # fmt: skip


def gated_level(task: Task) -> str:
    """Return the level of a proof over all gates of a program."""
    return "global" if task.every_pattern else "restricted"


def fewest(
    task: Task, network: Network, objective_of: Callable[[Network], float]
) -> tuple[Network, float]:
    """Return the pruned network and its objective; as it was where rounding would raise that."""
    objective, fewer = objective_of(network), pruned(task, network)
    reduced = objective_of(fewer)
    return (fewer, reduced) if reduced <= objective * (1.0 + _RISE) else (network, objective)


def pruned(task: Task, network: Network) -> Network:
    """Return the network pruned in the features that weight decay is about."""
    mean, scale, free = task.coordinates.mean, task.coordinates.scale, task.solver.problem.intercept
    if scale is None:
        return network.prune(task.X, free_bias=free)
    rows = task.coordinates.features(task.X)
    pruned = with_inputs(network, mean, scale).prune(rows, free_bias=free)
    return with_inputs(pruned, -mean / scale, 1.0 / scale)


def _objective(task: Task, network: Network) -> float:
    """Return loss plus weight decay of a network."""
    loss = task.solver.problem.sample_loss(network.predict(task.X))
    return loss + weight_decay(task, network)


def weight_decay(task: Task, network: Network) -> float:
    """Return beta / 2 times the squared weights that decay, plus beta times a decayed skip."""
    problem = task.solver.problem
    weights, bias = task.coordinates.standardized(network.hidden_weights, network.hidden_bias)
    squares = (network.output_weights**2).sum() + (weights**2).sum()
    if task.coordinates.ones and not problem.free_bias:
        squares += (bias**2).sum()
    penalty = 0.5 * problem.beta * float(squares)
    if problem.decayed.shape[1] and network.skip is not None:
        columns = network.skip.reshape(network.n_features, -1).T  # one of each output
        skip, _ = task.coordinates.standardized(columns, np.zeros(len(columns)))
        penalty += problem.beta * float(np.linalg.norm(skip, axis=1).sum())
    return penalty


def neuron_patterns(task: Task, network: Network) -> PatternSet:
    """Return the patterns of a network's neurons on the samples."""
    on = network.hidden_weights @ task.X.T + network.hidden_bias[:, np.newaxis] > 0.0
    kernels = task.solver.kernels
    return PatternSet(kernels.pack_dense(on), len(task.X))
