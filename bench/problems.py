"""The problems that the benchmarks solve, each from a fixed recipe.

Training problems return X, y and the keywords of `pyconvex.fit`; group lassos return X, y, gates
(one per column) and the penalty; arrangements return X, one row per hyperplane.
"""

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from pyconvex import Network


def standardised(A):
    return (A - A.mean(axis=0)) / A.std(axis=0)


def breast_cancer():
    """569 x 30, labels -1 and +1, decayed biases."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return standardised(X), 2.0 * y - 1.0, {"beta": 0.1380106920516085, "bias": "decayed"}


def digits():
    """1797 x 61, odd against even; pixels that never change are left out."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = standardised(X[:, X.std(axis=0) > 0])
    return X, np.where(y % 2 == 1, 1.0, -1.0), {"beta": 0.0707853533, "bias": "decayed"}


def diabetes():
    """442 x 10, a regression with standardised targets, decayed biases."""
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return standardised(X), standardised(y), {"beta": 6.375429237961948 / 442, "bias": "decayed"}


def diabetes_free():
    """The same with free biases, as scikit-learn's MLP has them."""
    X, y, settings = diabetes()
    return X, y, settings | {"bias": "free"}


def s1():
    """200 x 10, a noisy teacher of five neurons without biases."""
    return *_student(1, 200, 10), {"beta": 0.024442646298392566, "bias": "none"}


def s2():
    """The same with 1000 x 20."""
    return *_student(2, 1000, 20), {"beta": 0.029956395122, "bias": "none"}


def _student(seed, n, d):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    W = rng.standard_normal((d, 5)) / np.sqrt(d)
    a = rng.choice([-1, 1], 5)
    y = np.maximum(X @ W, 0.0) @ a
    return X, y / y.std() + 0.1 * rng.standard_normal(n)


TRAINING = {f.__name__: f for f in (breast_cancer, s1, s2, digits, diabetes, diabetes_free)}
WIDTHS = {
    "breast_cancer": 500, "s1": 100, "s2": 500, "digits": 500, "diabetes": 200,
    "diabetes_free": 200,
}  # fmt: skip  # of rivals


class Certified(NamedTuple):
    """A problem to prove globally: X, y, keywords of `pyconvex.fit`, seconds to beat."""

    X: np.ndarray
    y: np.ndarray
    settings: dict[str, Any]
    goal: float


def golden():
    """Eight rows in general position in three dimensions: 58 cells."""
    X = np.random.default_rng(0).standard_normal((8, 3))
    y = np.random.default_rng(1).standard_normal(8)
    return Certified(X, y, {"beta": 0.15 / 8, "bias": "none", "tol": 1e-9}, 0.005)


def spirals():
    """Two spirals of 80 points with free biases."""
    i = np.arange(80)
    angle, radius = i * np.pi / 16, (104 - i) / 104
    half = radius[:, np.newaxis] * np.column_stack([np.cos(angle), np.sin(angle)])
    X, y = np.concatenate([half, -half]), np.repeat([1.0, -1.0], 80)
    return Certified(X, y, {"beta": 1e-3 / 320, "bias": "free", "tol": 1e-6}, 2.0)


def teacher(n, r, tol, goal, time_limit=120):
    """A noisy teacher of five neurons on Gaussian rows of rank r, the last column ones.

    No beta: 0.01 `pyconvex.beta_max`.
    """
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((n, r - 1)), np.ones(n)])
    W, a = rng.standard_normal((5, r)), rng.standard_normal(5)
    y = np.maximum(X @ W.T, 0.0) @ a + 0.1 * rng.standard_normal(n)
    return Certified(X, y, {"bias": "none", "tol": tol, "time_limit": time_limit}, goal)


_TEACHERS = (
    (60, 3, 1e-8, 0.05), (300, 4, 1e-6, 5.0), (1000, 3, 1e-6, 5.0), (300, 5, 1e-4, 10.0),
    (1000, 6, 1e-3, 60.0, 60), (10_000, 3, 1e-5, 3.0), (100_000, 3, 1e-4, 30.0),
)  # fmt: skip
CERTIFIED = {"golden": golden, "spirals": spirals} | {
    f"{n}x{r}": functools.partial(teacher, n, r, *rest) for n, r, *rest in _TEACHERS
}


def group_lasso(n, d, n_gates, fraction, seed=0):
    """Gaussian gates and a teacher of five; beta is a fraction of the largest useful one."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    U = rng.standard_normal((d, 5)) / np.sqrt(d)
    a = rng.standard_normal(5)
    y = np.maximum(X @ U, 0.0) @ a + 0.1 * rng.standard_normal(n)
    G = rng.standard_normal((d, n_gates))
    beta_max = np.linalg.norm(X.T @ ((X @ G >= 0.0) * y[:, np.newaxis]), axis=0).max() / n
    return X, y, G, fraction * beta_max


def cone_network_objective(X, y, beta, result):
    """Objective of the ReLU network that a result with cones decodes to: no gates are used."""
    residual = y - result.signs @ np.maximum(result.coef @ X.T, 0.0)
    penalty = np.linalg.norm(result.coef, axis=1).sum()
    return 0.5 * np.mean(residual**2) + beta * penalty


def pricing(n, r):
    """A multiplier to price on Gaussian rows."""
    return gaussian(n, r), np.random.default_rng(1).standard_normal(n) / n


def network(n, d, n_neurons):
    """Rows, and a random ReLU network to predict them by."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((n, d)), rng.standard_normal((n_neurons, d))
    return X, Network(W, rng.standard_normal(n_neurons), rng.standard_normal(n_neurons), 0.0)


def gaussian(n, r):
    """Hyperplanes in general position."""
    return np.random.default_rng(0).standard_normal((n, r))


def n_cells(n, r):
    """Cells of n hyperplanes of rank r in general position."""
    return 2 * sum(math.comb(n - 1, k) for k in range(r))


def resonance():
    """All nonzero 0/1 vectors of length 6."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=6)))[1:]


def permutahedron():
    """x_i = x_j for all pairs of 9 coordinates: a cell is an order of them."""
    E = np.eye(9)
    return np.array([E[i] - E[j] for i, j in itertools.combinations(range(9), 2)])


def threshold():
    """The corners of a cube and a constant: a cell is a threshold function of 5 inputs."""
    return _with_constant(_corners(5))


def cross_polytope():
    """±e_i and a constant in 12 dimensions."""
    return _with_constant(np.vstack([np.eye(12), -np.eye(12)]))


def demicube():
    """Every other corner of a cube in 6 dimensions and a constant."""
    corners = _corners(6)
    return _with_constant(corners[corners.prod(axis=1) > 0.0])


def _corners(d):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=d)))


def _with_constant(points):
    return np.column_stack([points, np.ones(len(points))])


# Degenerate arrangements with their numbers of cells.
DEGENERATE = {
    "resonance-6": (resonance, 1_066_044),
    "permutahedron-8": (permutahedron, 362_880),
    "threshold-5": (threshold, 94_572),
    "cross-polytope-12": (cross_polytope, 1_058_786),
    "demicube-6": (demicube, 291_558),
}
