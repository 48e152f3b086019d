"""The problems that the benchmarks solve, each from a fixed recipe.

Training problems return X, y and the keywords of `pyconvex.fit`; group lassos return X, y, gates
(one per column) and the penalty.
"""

import numpy as np


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


TRAINING = {f.__name__: f for f in (breast_cancer, diabetes, digits, s1, s2)}


def group_lasso(n, d, n_gates, fraction):
    """Gaussian gates and a teacher of five; beta is a fraction of the largest useful one."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    U = rng.standard_normal((d, 5)) / np.sqrt(d)
    a = rng.standard_normal(5)
    y = np.maximum(X @ U, 0.0) @ a + 0.1 * rng.standard_normal(n)
    G = rng.standard_normal((d, n_gates))
    beta_max = np.linalg.norm(X.T @ ((X @ G >= 0.0) * y[:, np.newaxis]), axis=0).max() / n
    return X, y, G, fraction * beta_max
