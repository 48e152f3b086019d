"""Fit a two-layer network to optimality: the job pyconvex exists for."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.array_relu import ReluArrayTask
from pyconvex.array_task import GatedArrayTask, make_array_task
from pyconvex.backends import get_backend, on_arrays
from pyconvex.data import (
    check_choice,
    check_int,
    check_matrix,
    check_n_threads,
    check_positive,
    check_random_state,
    check_sample_weight,
    check_targets,
    check_tol,
)
from pyconvex.fitted import Fit, solve_task
from pyconvex.linear import check_all_attained
from pyconvex.losses import Array, Loss, Squared, check_columns, check_loss
from pyconvex.monitor import Monitor, Record
from pyconvex.network import Network
from pyconvex.nuclear import NuclearTask
from pyconvex.outputs import OutputsTask
from pyconvex.patterns import PatternSet
from pyconvex.rows import check_rows
from pyconvex.task import Task

_START_SEED = 0  # of the local search in beta_max


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
    device: Any = None,
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
    X : array or sparse matrix, shape (n_samples, n_features)
        Data. Weight decay depends on the scale of the features: see ``standardize``. scipy's
        sparse formats stay sparse with "gated_relu"; for "relu" they are made dense, up to 1 GiB.
    y : array, shape (n_samples,) or (n_samples, n_outputs)
        Targets; -1 and +1 for two classes, for "softmax" rows of sum 1. With several outputs,
        whose losses are summed, ReLU networks are trained with the decay
        :math:`\tfrac\beta2 \sum_j (\|w_j\|^2 + \|\alpha_j\|_1^2)`: every neuron serves one output.
        Gated networks keep :math:`\|\alpha_j\|_2`.
    beta : float, optional
        Weight decay, > 0. Default: 0.01 `beta_max`.
    model : {"relu", "gated_relu"}
        "gated_relu" replaces each ReLU by a fixed gate: a plain group lasso.
    loss : str or object of pyconvex.losses
        "squared", "huber", "quantile", "poisson" (log link), for targets -1 and +1 "logistic",
        "squared_hinge" and "hinge", for several classes "softmax". Objects carry a parameter:
        ``Huber(delta=0.5)``, ``Quantile(tau=0.9)``. Default: half the squared error. Networks
        predict the raw output f(x) whatever the loss.
    bias : {"free", "decayed", "none"}
        "free": hidden biases and an output bias without weight decay (gated networks: hidden
        biases decayed, since free ones would fit any y at no cost). "decayed": hidden biases
        with weight decay, no output bias. "none": neither.
    skip : {"none", "free", "decayed"}
        A linear skip connection: the network's output gains x . c. "free": without penalty, so
        that neurons only bend what a linear fit leaves. "decayed": beta ||c|| is added to the
        objective, and a skip connection that is not worth it is zero; where ReLU neurons have
        free biases it takes the place of those that are on everywhere. With ``standardize`` c
        belongs to the standardised features. Several outputs: one c each, whose norms add up.
        Sparse X becomes dense for it, up to 1 GiB.
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
        first. For ranks up to 16, in practice up to 6 or 7. "local": no proof, as always for
        ReLU networks on devices.
    sample_weight : array, shape (n_samples,), optional
        Relative weights: an integer weight equals that many copies of the row.
    standardize : bool
        Divide features by their standard deviations (constant ones by 1) and, where there is a
        bias, centre them, with ``sample_weight``. Predictions then do not depend on the units of
        the features. beta, objective and gap are those of the standardised problem, the network
        is in units of X, and so are the gates of sampled and given patterns. Features that stay
        sparse are not centred.
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
    backend : {"auto", "native", "jit", "array"}
        Who computes. "auto" follows X: arrays of another library than NumPy (torch, CuPy) are
        computed on their device, and so are the result's; see docs/arrays.md. "array" computes
        NumPy arrays the same way.
    device : object, optional
        Where to compute, e.g. "cuda" or "cuda:1"; results come back to where X lives. Default:
        where X lives. NumPy arrays go to PyTorch's devices, else to CuPy's.
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
            standardize, random_state, n_threads, backend, device,
        )  # fmt: skip
        return solve_any(task, start_of(task, warm_start), minimal, monitor)[0]


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
    device: Any = None,
) -> float:
    """Return the smallest beta at which the optimal network has no neurons.

    This is N(z) at the best constant prediction (with a free skip connection: at the best linear
    one; with a decayed one that is zero from beta_max on too): exact for given patterns and for
    gated models.
    For ReLU with ``patterns="auto"`` it is proved to 1e-8 as in `fit` under
    ``certificate="auto"``; beyond that it comes from local search and may be too small.

    Parameters
    ----------
    X, y, model, loss, bias, skip, patterns, sample_weight, standardize, n_threads, backend,
    device
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
        _START_SEED, n_threads, backend, device,
    )  # fmt: skip
    return task.beta_max()


AnyTask = Task | OutputsTask | NuclearTask | GatedArrayTask | ReluArrayTask


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
    device: Any,
) -> AnyTask:
    """Check the arguments of `fit` that say what to solve, and put the task together."""
    threads, rng = check_n_threads(n_threads), check_random_state(random_state)
    tol = check_tol(tol)
    _check_patterns_choice(patterns, model)
    _check_certificate(certificate, patterns, model)
    first_beta = 1.0 if beta is None else check_positive(beta, "beta")
    if on_arrays(X, backend, device):
        found = make_array_task(
            X, y, first_beta, model, loss, bias, skip, patterns, tol, certificate, sample_weight,
            standardize, rng, device,
        )  # fmt: skip
        return found.at(0.01 * found.beta_max() or 1.0) if beta is None else found
    kernels = get_backend(backend)
    X = check_rows(X) if model == "gated_relu" else check_matrix(X)
    targets, chosen = check_targets(y, len(X)), check_loss(loss)
    several = targets.ndim == 2
    first = Task.of(
        X, targets[:, 0] if several else targets, first_beta, model,
        Squared() if several else chosen, bias, skip, patterns, sample_weight, standardize, tol,
        certificate, rng, kernels, threads,
    )  # fmt: skip
    task = _several(first, targets, chosen, sample_weight) if several else first
    return task.at(0.01 * task.beta_max() or 1.0) if beta is None else task


def _several(first: Task, Y: Array, loss: Loss, sample_weight: ArrayLike | None) -> AnyTask:
    """Return the task of several outputs, given that of one over the same data."""
    weights = check_sample_weight(sample_weight, len(Y))
    Y = Y if weights is None else Y[weights > 0.0]
    problem = first.solver.problem
    check_columns(loss, Y, intercept=problem.intercept)
    if problem.skip is not None and problem.skip.free:
        check_all_attained(loss, Y, problem.sample_weight, problem.at_samples(problem.free))
    return NuclearTask.of(first, Y, loss) if first.gated else OutputsTask.of(first, Y, loss)


def start_of(task: AnyTask, warm_start: Fit | Network | None) -> Any:
    """Return the state of a warm start."""
    return task.start(_network(warm_start))


def solve_any(task: AnyTask, state: Any, minimal: bool, monitor: Monitor) -> tuple[Fit, Any]:
    """Solve from a given state; return the certified fit and the state it ended with."""
    if isinstance(task, Task):
        return solve_task(task, state, minimal, monitor)
    return task.solve(state, minimal, monitor)


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
