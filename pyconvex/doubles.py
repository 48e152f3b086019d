"""Products with data in double precision, also where the data are held in single precision.

Single precision is converted part by part: X is never held twice.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Data = NDArray[np.float64] | NDArray[np.float32]

_ENTRIES = 1 << 17  # of X in a part: as doubles they stay in the cache


def is_single(X: Any) -> bool:
    """Tell whether data are held in single precision."""
    return getattr(X, "dtype", None) == np.float32


def parts(X: Data) -> Iterator[tuple[slice, Array]]:
    """Yield the rows of X in doubles, each part with the slice that it is."""
    size = 64 * max(1, _ENTRIES // (64 * X.shape[1]))  # whole words of packed patterns
    for first in range(0, len(X), size):
        rows = slice(first, first + size)
        yield rows, np.asarray(X[rows], np.float64)


def preactivations(U: Array, X: Any) -> Array:
    """Return U X^T for one vector or rows of them; X may be sparse."""
    if not is_single(X):
        result: Array = U @ X.T
        return result
    result = np.empty((*U.shape[:-1], len(X)))
    for rows, part in parts(X):
        result[..., rows] = U @ part.T
    return result


def pull_back(V: Array, X: Any) -> Array:
    """Return V X for one vector or rows of them; X may be sparse."""
    if not is_single(X):
        result: Array = V @ X
        return result
    result = np.zeros((*V.shape[:-1], X.shape[1]))
    for rows, part in parts(X):
        result += V[..., rows] @ part
    return result


def weighted_gram(X: Data, weights: Array) -> Array:
    """Return X^T diag(weights) X."""
    result = np.zeros(2 * X.shape[1:])
    for rows, part in parts(X):
        result += (part.T * weights[rows]) @ part
    return result


def squared_norms(X: Data) -> Array:
    """Return ||x_i||^2 of the rows."""
    norms: Array = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    return norms
