"""Price a multiplier: the dual norm N(z), and the neuron that attains it."""

import math
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.backends import get_backend
from pyconvex.bounded import AUTO_NODES, MAX_RANK, Bracket, bracket_norm, is_provable, rank_of
from pyconvex.coordinates import Coordinates
from pyconvex.data import (
    check_choice,
    check_int,
    check_matrix,
    check_n_threads,
    check_random_state,
    check_tol,
    check_vector,
)
from pyconvex.losses import Array
from pyconvex.monitor import Monitor
from pyconvex.pricing import LocalPricing, Run
from pyconvex.program import Problem

_METHODS = ("auto", "bounded", "exact", "local")
_EFFORT = 4  # times the usual starts of a local search
_SUM = 1e-9  # |sum z| above this, relative to sum |z|, is not zero


@dataclass(frozen=True, eq=False)
class Pricing:
    r"""The dual norm N(z) = max \|z . (X w + b)_+\| over neurons of penalised norm 1, bracketed.

    Attributes
    ----------
    value : float
        Attained by the first neuron: a lower bound of N(z).
    bound : float
        An upper bound, rigorous whatever the certificate.
    certificate : {"global", "local"}
        "global" if bound <= (1 + tol) value; else ``value`` comes from a search that may have
        missed the best neuron.
    weights : array, shape (k, n_features)
        Hidden weights of the neurons found, best first; no rows where N(z) = 0.
    biases : array, shape (k,)
        Their hidden biases.
    signs : array, shape (k,)
        The sign of z . (X w + b)_+ at each, 1 or -1.
    values : array, shape (k,)
        Its absolute value.
    """

    value: float
    bound: float
    certificate: str
    weights: Array = field(repr=False)
    biases: Array = field(repr=False)
    signs: Array = field(repr=False)
    values: Array = field(repr=False)

    @property
    def neuron(self) -> tuple[Array, float, float]:
        """Weights, bias and sign of the best neuron; zeros where N(z) = 0."""
        if not len(self.values):
            return np.zeros(self.weights.shape[1]), 0.0, 1.0
        return self.weights[0], float(self.biases[0]), float(self.signs[0])


def price(
    X: ArrayLike,
    z: ArrayLike,
    *,
    method: str = "auto",
    bias: str = "none",
    tol: float = 1e-6,
    max_nodes: int | None = None,
    time_limit: float | None = None,
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
) -> Pricing:
    r"""Find the neuron with the largest \|z . (X w + b)_+\| among those of norm 1.

    This is the pricing step of column generation and the heart of every certificate: a network
    with multiplier z = (y - f) / n is optimal iff N(z) <= beta and its neurons attain beta.

    Parameters
    ----------
    X : array, shape (n_samples, n_features)
        Data.
    z : array, shape (n_samples,)
        Multiplier; must sum to zero for ``bias="free"``, else N(z) is infinite.
    method : {"auto", "bounded", "exact", "local"}
        "exact": the distance of two zonotopes, over all vertices of one; their number grows like
        (n/2)^(rank - 1). "bounded": branch and bound over simplicial cones; for ranks up to 16, in
        practice up to 6 or 7, and 10^5 samples and more at rank 3. "local": search from many
        starts. "auto": the search, then the cheaper of the two proofs where the rank is at most 6
        or vertices are few, limited to 50,000 cones unless told.
    bias : {"none", "decayed", "free"}
        "decayed": the norm is that of (w, b). "free": that of w alone. "none": b = 0.
    tol : float
        Relative distance of value and bound to reach.
    max_nodes : int, optional
        Limit on the cones of branch and bound.
    time_limit : float, optional
        Limit in seconds.
    random_state : int, Generator, RandomState or None
        Source of the starting points of the search.
    n_threads : int, optional
        Threads; None takes all cores. The result does not depend on it.
    backend : {"auto", "native", "jit"}
        Who computes.

    Returns
    -------
    Pricing

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.

    Examples
    --------
    >>> import pyconvex
    >>> pricing = pyconvex.price([[3.0], [-1.0]], [0.5, 0.25])
    >>> pricing.value, pricing.certificate
    (1.5, 'global')
    """
    kernels, threads = get_backend(backend), check_n_threads(n_threads)
    rng, tol = check_random_state(random_state), check_tol(tol)
    check_choice(method, "method", _METHODS)
    check_choice(bias, "bias", ("none", "decayed", "free"))
    X = check_matrix(X)
    z = _check_multiplier(z, len(X), bias)
    nodes = 0 if max_nodes is None else check_int(max_nodes, "max_nodes")
    coordinates = Coordinates.of(X, bias, centred=bias == "free")
    problem, z = _merged(coordinates.rows(X), z, bias)
    if method == "bounded" and rank_of(problem) > MAX_RANK:
        raise ValueError(
            f"method='bounded' needs data of rank at most {MAX_RANK}, X has {rank_of(problem)}: "
            "pass method='local'"
        )
    with Monitor(0, time_limit, None, False) as monitor:
        norm, found = _search(problem, z, method, kernels, threads, rng, monitor.run)
        if method in ("bounded", "exact") or (method == "auto" and is_provable(problem)):
            limit = nodes if nodes or method != "auto" else AUTO_NODES
            proof = bracket_norm(
                problem, z, norm, tol, kernels, threads, monitor.run,
                max_nodes=limit, method=method,
            )  # fmt: skip
            found = _joined(found, proof)
    return _pricing(problem, z, found, coordinates, tol)


def _check_multiplier(z: ArrayLike, n_samples: int, bias: str) -> Array:
    vector = check_vector(z, "z", n_samples)
    if bias == "free":
        if abs(vector.sum()) > _SUM * np.abs(vector).sum():
            raise ValueError(
                "z must sum to zero for bias='free', else its dual norm is infinite: subtract "
                "its mean"
            )
        vector = vector - vector.mean()
    return vector


def _merged(rows: Array, z: Array, bias: str) -> tuple[Problem, Array]:
    """Return a problem of distinct rows, and the sums of z over equal ones."""
    X, group = np.unique(rows, axis=0, return_inverse=True)
    total: Array = np.bincount(group.reshape(-1), z).astype(np.float64)
    n, free = len(X), bias == "free"
    weight = np.full(n, 1.0 / n)
    problem = Problem(
        np.ascontiguousarray(X), np.zeros(n), weight, 0.0, intercept=free, free_bias=free
    )
    return problem, total


def _search(
    problem: Problem,
    z: Array,
    method: str,
    kernels: ModuleType,
    n_threads: int,
    rng: np.random.Generator,
    run: Run,
) -> tuple[float, Bracket]:
    """Return the best value of a local search, and what it found; nothing for the exact method."""
    p = problem.X.shape[1]
    bound = problem.norm_bound(z)
    if method == "exact":
        return 0.0, Bracket(0.0, bound, 0, np.zeros((0, p)), np.zeros(0))
    search = LocalPricing(kernels, n_threads, rng)
    norm, columns = search(problem, z, np.zeros((0, p)), np.zeros(0), run, effort=_EFFORT)
    return norm, Bracket(norm, max(bound, norm), 0, columns.points, columns.signs)


def _joined(search: Bracket, proof: Bracket) -> Bracket:
    """Return the neurons of both, and the better of the bounds."""
    return Bracket(
        max(search.value, proof.value),
        min(search.bound, proof.bound),
        proof.n_nodes,
        np.concatenate([proof.points, search.points]),
        np.concatenate([proof.signs, search.signs]),
    )


def _pricing(
    problem: Problem, z: Array, found: Bracket, coordinates: Coordinates, tol: float
) -> Pricing:
    """Evaluate the neurons again, sort them and take them back to the user's coordinates."""
    values = found.signs * (np.maximum(found.points @ problem.X.T, 0.0) @ z)
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > 0.0]
    weights, biases = coordinates.to_user(found.points[order])
    value = float(values[order[0]]) if len(order) else 0.0
    bound = max(found.bound if math.isfinite(found.bound) else problem.norm_bound(z), value)
    tiny = problem.norm_bound(np.abs(z)) * 1e-14  # rounding errors of a norm that is zero
    proved = bound <= (1.0 + tol) * value + tiny
    return Pricing(
        value, bound, "global" if proved else "local",
        weights, biases, found.signs[order], values[order],
    )  # fmt: skip
