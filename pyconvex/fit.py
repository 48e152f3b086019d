"""Fit a two-layer network to optimality: the job pyconvex exists for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.backends import get_backend
from pyconvex.data import (
    check_choice,
    check_int,
    check_matrix,
    check_n_threads,
    check_random_state,
    check_tol,
)
from pyconvex.decode import decode, with_inputs
from pyconvex.losses import Array, Loss
from pyconvex.monitor import Monitor, Record
from pyconvex.network import Network
from pyconvex.neurons import Neurons, Solution
from pyconvex.patterns import PatternSet
from pyconvex.program import Status, relative_gap
from pyconvex.proximal_point import solve
from pyconvex.task import Task

_START_SEED = 0  # of the local search in beta_max
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
        """Return the network's output for each row of X, shape (n_samples,)."""
        return self.network.predict(X)

    def __repr__(self) -> str:
        return (
            f"Fit({self.status.value}: objective={self.objective:.8g}, gap={self.gap:.1e} "
            f"({self.certificate}), n_neurons={self.network.n_neurons}, beta={self.beta:.4g}, "
            f"n_iter={self.n_iter}, seconds={self.seconds:.2f})"
        )


def fit(
    X: ArrayLike,
    y: ArrayLike,
    *,
    beta: float | None = None,
    model: str = "relu",
    loss: str | Loss = "squared",
    bias: str = "free",
    skip: str = "none",
    patterns: str | int | PatternSet = "auto",
    tol: float = 1e-6,
    certificate: str = "auto",
    sample_weight: ArrayLike | None = None,
    standardize: bool = False,
    warm_start: Fit | Network | None = None,
    minimal: bool = False,
    max_iter: int = 1000,
    time_limit: float | None = None,
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
    callback: Callable[[Record], Any] | None = None,
    verbose: bool = False,
) -> Fit:
    r"""Train a two-layer ReLU network with weight decay by convex optimisation.

    .. math:: \min \sum_i s_i \ell(f(x_i), y_i)
              + \frac{\beta}{2} \sum_j \left(\|w_j\|^2 + \alpha_j^2\right)

    over networks of any width (Pilanci & Ergen 2020). ``patterns="auto"`` generates columns:
    solve over few neurons, search the sphere for one that would lower the objective, add the
    best ones, repeat until none is found; then prove that there is none, exactly where cells are
    few, else by branch and bound.

    Parameters
    ----------
    X : array, shape (n_samples, n_features)
        Data. Weight decay depends on the scale of the features: see ``standardize``.
    y : array, shape (n_samples,)
        Targets; -1 and +1 for two classes.
    beta : float, optional
        Weight decay, > 0. Default: 0.01 `beta_max`.
    model : {"relu", "gated_relu"}
        "gated_relu" replaces each ReLU by a fixed gate: a plain group lasso.
    loss : {"squared"}
        Half the squared error.
    bias : {"free", "decayed", "none"}
        "free": hidden biases and an output bias without weight decay (gated networks: hidden
        biases decayed, since free ones would fit any y at no cost). "decayed": hidden biases
        with weight decay, no output bias. "none": neither.
    skip : {"none", "free", "decayed"}
        A linear skip connection: the network's output gains x . c. "free": without penalty, so
        that neurons only bend what a linear fit leaves. "decayed": beta ||c|| is added to the
        objective, and a skip connection that is not worth it is zero; where ReLU neurons have
        free biases it takes the place of those that are on everywhere. With ``standardize`` c
        belongs to the standardised features.
    patterns : {"auto", "all"}, int or PatternSet
        "auto": all patterns, by column generation (gated: 1000 Gaussian draws). "all": list them
        first (`pyconvex.enumerate_patterns` of X, with its ones column where there is a bias):
        the certificate is "global"; for few samples or features. An int: that many draws. A
        PatternSet: exactly that program; gated networks need its gates, which have one
        coordinate more than X where there is a bias, and are in units of X.
    tol : float
        Relative gap to reach.
    certificate : {"auto", "global", "local"}
        The level to aim for where patterns are not given. "auto": global if the rank of X with
        its ones column is at most 6 and the proof takes at most 50,000 cones, or if there are
        few vertices to look at (25 samples of rank 8); else local.
        "global": go on until it is proved; ``gap`` is that of the proof where a limit comes
        first. For ranks up to 16, in practice up to 6 or 7. "local": no proof.
    sample_weight : array, shape (n_samples,), optional
        Relative weights: an integer weight equals that many copies of the row.
    standardize : bool
        Divide features by their standard deviations (constant ones by 1) and, where there is a
        bias, centre them, with ``sample_weight``. Predictions then do not depend on the units of
        the features. beta, objective and gap are those of the standardised problem, the network
        is in units of X, and so are the gates of sampled and given patterns.
    warm_start : Fit or Network, optional
        Start from this network. Neurons outside given patterns are left out.
    minimal : bool
        Reduce the result by `Network.prune`: same predictions on X, no larger penalty, and the
        outputs of the remaining neurons are linearly independent (Mishkin & Pilanci 2023). Left
        as it is where rounding would raise the objective.
    max_iter : int
        Limit on pricing rounds.
    time_limit : float, optional
        Limit in seconds; the best state so far is returned.
    random_state : int, Generator, RandomState or None
        Source of the starting points of the search and of sampled gates.
    n_threads : int, optional
        Threads; None takes all cores. The result does not depend on it.
    backend : {"auto", "native", "jit"}
        Who computes.
    callback : callable, optional
        Called with each `Record`; returning True stops the solve.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> X = np.linspace(-1, 1, 21).reshape(-1, 1)
    >>> result = pyconvex.fit(X, np.abs(X[:, 0]), beta=1e-3, random_state=0)
    >>> result.network.n_neurons, result.status.value
    (2, 'optimal')
    """
    with Monitor(max_iter, time_limit, callback, verbose) as monitor:
        task = make_task(
            X, y, beta, model, loss, bias, skip, patterns, tol, certificate, sample_weight,
            standardize, random_state, n_threads, backend,
        )  # fmt: skip
        return solve_task(task, start_of(task, warm_start), minimal, monitor)[0]


def beta_max(
    X: ArrayLike,
    y: ArrayLike,
    *,
    model: str = "relu",
    loss: str | Loss = "squared",
    bias: str = "free",
    skip: str = "none",
    patterns: str | int | PatternSet = "auto",
    sample_weight: ArrayLike | None = None,
    standardize: bool = False,
    n_threads: int | None = None,
    backend: str = "auto",
) -> float:
    """Return the smallest beta at which the optimal network has no neurons.

    This is N(z) at the best constant prediction (with a free skip connection: at the best linear
    one; with a decayed one that is zero from beta_max on too): exact for given patterns and for
    gated models.
    For ReLU with ``patterns="auto"`` it is proved to 1e-8 as in `fit` under
    ``certificate="auto"``; beyond that it comes from local search and may be too small.

    Parameters
    ----------
    X, y, model, loss, bias, skip, patterns, sample_weight, standardize, n_threads, backend
        As in `fit`. Random starts and draws come from a fixed seed.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.

    Examples
    --------
    >>> import pyconvex
    >>> round(pyconvex.beta_max([[-1.0], [1.0]], [0.0, 1.0], bias="none"), 6)
    0.5
    """
    task = make_task(
        X, y, 1.0, model, loss, bias, skip, patterns, 0.5, "auto", sample_weight, standardize,
        _START_SEED, n_threads, backend,
    )  # fmt: skip
    return task.beta_max()


def make_task(
    X: ArrayLike,
    y: ArrayLike,
    beta: float | None,
    model: str,
    loss: str | Loss,
    bias: str,
    skip: str,
    patterns: str | int | PatternSet,
    tol: float,
    certificate: str,
    sample_weight: ArrayLike | None,
    standardize: bool,
    random_state: int | np.random.Generator | np.random.RandomState | None,
    n_threads: int | None,
    backend: str,
) -> Task:
    """Check the arguments of `fit` that say what to solve, and put the task together."""
    kernels = get_backend(backend)
    threads, rng = check_n_threads(n_threads), check_random_state(random_state)
    X = check_matrix(X)
    tol = check_tol(tol)
    _check_patterns_choice(patterns, model)
    _check_certificate(certificate, patterns, model)
    return Task.of(
        X, y, beta, model, loss, bias, skip, patterns, sample_weight, standardize, tol,
        certificate, rng, kernels, threads,
    )  # fmt: skip


def start_of(task: Task, warm_start: Fit | Network | None) -> Neurons:
    """Return the neurons of a warm start."""
    return task.start(_network(warm_start))


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
        pruned = _pruned(task, network)
        reduced = _objective(task, pruned)
        if reduced <= objective * (1.0 + _RISE):
            network, objective = pruned, reduced
    certificate = "local" if task.patterns is None else "restricted"
    dual = min(solution.dual_objective, objective)  # where rounding has the last word
    lower_bound = dual
    if task.every_pattern:
        certificate = "global"
    if not task.gated:
        run = None if monitor.out_of_time() else monitor.run
        lower_bound = min(max(task.global_bound(solution, run), 0.0), objective)
        proved = relative_gap(objective, lower_bound) <= task.solver.tol
        if task.every_pattern or task.certificate == "global" or proved:
            certificate, dual = "global", lower_bound
    return Fit(
        network=network,
        beta=problem.beta,
        objective=objective,
        dual_objective=dual,
        gap=relative_gap(objective, dual),
        lower_bound=lower_bound,
        certificate=certificate,
        status=solution.status,
        n_iter=len(monitor.history),
        seconds=monitor.seconds,
        history=tuple(monitor.history),
        patterns=task.patterns or _neuron_patterns(task, network),
    )


def _pruned(task: Task, network: Network) -> Network:
    """Return the network pruned in the features that weight decay is about."""
    mean, scale, free = task.coordinates.mean, task.coordinates.scale, task.solver.problem.intercept
    if scale is None:
        return network.prune(task.X, free_bias=free)
    rows = task.coordinates.features(task.X)
    pruned = with_inputs(network, mean, scale).prune(rows, free_bias=free)
    return with_inputs(pruned, -mean / scale, 1.0 / scale)


def _objective(task: Task, network: Network) -> float:
    """Return loss plus weight decay of a network."""
    problem = task.solver.problem
    weights, bias = task.coordinates.standardized(network.hidden_weights, network.hidden_bias)
    squares = (network.output_weights**2).sum() + (weights**2).sum()
    if task.coordinates.ones and not problem.free_bias:
        squares += (bias**2).sum()
    loss = problem.sample_loss(network.predict(task.X))
    objective = loss + 0.5 * problem.beta * float(squares)
    if problem.decayed.shape[1] and network.skip is not None:
        skip, _ = task.coordinates.standardized(network.skip[np.newaxis], np.zeros(1))
        objective += problem.beta * float(np.linalg.norm(skip))
    return objective


def _neuron_patterns(task: Task, network: Network) -> PatternSet:
    on = network.hidden_weights @ task.X.T + network.hidden_bias[:, np.newaxis] > 0.0
    kernels = task.solver.kernels
    return PatternSet(kernels.pack_dense(on), len(task.X))


def _network(warm_start: Fit | Network | None) -> Network | None:
    network = warm_start.network if isinstance(warm_start, Fit) else warm_start
    if not isinstance(network, Network | None):
        raise TypeError(
            f"warm_start must be a Fit or a Network, got {type(warm_start).__name__}: "
            "pass what fit returned"
        )
    return network


def _check_certificate(certificate: str, patterns: str | int | PatternSet, model: str) -> None:
    check_choice(certificate, "certificate", ("auto", "global", "local"))
    every = isinstance(patterns, str) and (patterns == "all" or model == "relu")
    if certificate == "global" and not every:
        raise ValueError(
            "certificate='global' is about all patterns, not about given or sampled ones: pass "
            "patterns='all', or 'auto' with model='relu'"
        )


def _check_patterns_choice(patterns: str | int | PatternSet, model: str) -> None:
    check_choice(model, "model", ("relu", "gated_relu"))
    if isinstance(patterns, str):
        check_choice(patterns, "patterns", ("auto", "all"))
    elif not isinstance(patterns, PatternSet):
        check_int(patterns, "patterns")
