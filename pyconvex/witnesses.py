"""A vector strictly inside each cell of the arrangement of the hyperplanes x_i . h = 0."""

import numpy as np
from numpy.typing import NDArray


def interior_points(X: NDArray[np.float64], dense: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Maximise the margin t with ±x_i . h >= t ‖x_i‖, -1 <= h <= 1: a linear program per pattern.

    Parameters
    ----------
    X : array, shape (n_samples, n_features)
        Data.
    dense : array of bool, shape (n_patterns, n_samples)
        Patterns: the sign is + where active.

    Returns
    -------
    array, shape (n_patterns, n_features)

    Raises
    ------
    ValueError
        If no vector lies strictly inside: the pattern is no cell of X (or so thin a one that
        double precision has no vector in it).

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex.witnesses import interior_points
    >>> interior_points(np.eye(2), np.array([[True, False]]))
    array([[ 1., -1.]])
    """
    from scipy.optimize import linprog  # slow to import

    norms = np.linalg.norm(X, axis=1)
    nonzero = norms > 0  # a zero row is active for every h and bounds nothing
    rows = X[nonzero] / norms[nonzero, np.newaxis]
    d = X.shape[1]
    cost = np.append(np.zeros(d), -1.0)
    points = np.empty((len(dense), d))
    for g, active in enumerate(dense):
        signs = np.where(active[nonzero], 1.0, -1.0)
        A = np.column_stack([-signs[:, np.newaxis] * rows, np.ones(len(rows))])
        found = linprog(cost, A, np.zeros(len(rows)), bounds=[(-1, 1)] * (d + 1))
        points[g] = found.x[:d]
        if not active[~nonzero].all() or not inside(rows, active[nonzero][np.newaxis], points[[g]]):
            raise ValueError(
                f"pattern {g} is no cell of X, or too thin a one for double precision: no vector "
                "lies strictly inside"
            )
    return points


def inside(
    X: NDArray[np.float64], dense: NDArray[np.bool_], points: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which points (n_patterns, d) lie strictly inside their cells, by all nonzero rows."""
    rows = X.any(axis=1)
    values = points @ X[rows].T
    strict: NDArray[np.bool_] = np.where(dense[:, rows], values > 0.0, values < 0.0).all(axis=1)
    return strict
