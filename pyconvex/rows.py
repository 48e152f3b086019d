"""Rows of data, dense or sparse: the few products that gated programs need of them.

Dense rows are arrays, of single precision too, and go to the kernels. Sparse ones are `SparseRows`,
and never become dense.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex import doubles
from pyconvex.data import check_matrix, check_n_features, is_sparse

Array = NDArray[np.float64]
Rows: TypeAlias = Any  # Array or SparseRows: numpy's functions are not typed for such a union

_BLOCK = 2**18  # numbers that a product holds beside its result: they should fit a cache
_CORE = 1000  # columns of sparse rows that count in p x p matrices


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A sparse matrix (n_samples, p) that may stand where rows are an array.

    It knows ``len``, ``shape``, ``T``, products with arrays on both sides and subsets of rows.
    Whatever else numpy tries is an error: nothing makes it dense by accident.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array of float64
        Finite, without duplicates. It may share the user's memory: nobody writes to it.
    """

    matrix: Any
    __array_ufunc__ = None  # array @ SparseRows comes to __rmatmul__

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        n, p = self.matrix.shape
        return int(n), int(p)

    @property
    def T(self) -> Any:
        """The transpose, which scipy multiplies."""
        return self.matrix.T

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> "SparseRows":
        return SparseRows(self.matrix[rows])

    def __matmul__(self, other: Array) -> Array:
        product: Array = self.matrix @ other
        return product

    def __rmatmul__(self, other: Array) -> Array:
        product: Array = (self.matrix.T @ other.T).T
        return product

    def __array__(self, *args: Any, **keywords: Any) -> Array:
        raise TypeError("X is sparse, which is not supported here: use X.toarray()")

    def tocsr(self) -> Any:
        """Return the matrix."""
        return self.matrix

    def toarray(self) -> Array:
        """Return a dense array."""
        dense: Array = self.matrix.toarray()
        return dense

    @cached_property
    def squares(self) -> Any:
        """The matrix with squared entries."""
        return self.matrix.multiply(self.matrix).tocsr()

    @cached_property
    def core(self) -> "SparseRows":
        """The columns with the largest norms, at most 1000."""
        if self.shape[1] <= _CORE:
            return self
        order = np.argsort(-np.asarray(self.squares.sum(axis=0)).ravel(), kind="stable")
        return SparseRows(self.matrix[:, np.sort(order[:_CORE])])


def check_rows(
    X: ArrayLike, name: str = "X", *, n_features: int | None = None, single: bool = False
) -> Rows:
    """Return a non-empty, finite matrix (n_samples, n_features): sparse where X is.

    Any scipy format becomes `SparseRows`, anything else what `check_matrix` makes of it.
    """
    if isinstance(X, SparseRows):
        check_n_features(X.shape, name, n_features)
        return X
    if not is_sparse(X):
        return check_matrix(X, name, n_features=n_features, single=single)
    matrix = _to_csr(X, name)
    check_n_features(matrix.shape, name, n_features)
    if not np.isfinite(matrix.data).all():
        k = int(np.flatnonzero(~np.isfinite(matrix.data))[0])
        row = int(np.searchsorted(matrix.indptr, k, side="right")) - 1
        raise ValueError(
            f"{name} contains NaN or infinity (first at {(row, int(matrix.indices[k]))}): drop or "
            "impute such entries first"
        )
    return SparseRows(matrix)


def _to_csr(X: Any, name: str) -> Any:
    """Convert scipy's formats to float64 in canonical CSR form, without explicit zeros."""
    from scipy.sparse import csr_array

    if len(X.shape) != 2 or 0 in X.shape:  # the same errors as those of dense input
        check_matrix(np.empty(X.shape), name)
    if X.dtype.kind not in "biuf":
        check_matrix(np.empty((1, 1), X.dtype), name)
    matrix = csr_array(X)
    if not matrix.has_canonical_format:  # where csr_array has copied nothing the memory is X's
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if matrix.dtype != np.float64:
        matrix = matrix.astype(np.float64)
    if not matrix.data.all():
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    return matrix


def row_squares(X: Rows) -> Array:
    """Return the squared norms of rows, (n_samples,)."""
    if isinstance(X, SparseRows):
        return np.asarray(X.squares.sum(axis=1), np.float64).reshape(len(X))
    return doubles.squared_norms(X)


def row_norms(A: Array) -> Array:
    """Return the norms of rows of an array; numpy's own take a copy and four times as long."""
    norms: Array = np.sqrt(np.einsum("ij,ij->i", A, A))
    return norms


def with_ones(X: Rows) -> Rows:
    """Return the rows with a one appended to each."""
    ones = np.ones((len(X), 1))
    if not isinstance(X, SparseRows):
        return np.column_stack([X, ones])
    from scipy.sparse import csr_array, hstack

    return SparseRows(csr_array(hstack([X.matrix, csr_array(ones)], format="csr")))


def divided(X: Rows, scale: Array) -> Rows:
    """Return the rows with every column divided by its scale."""
    if not isinstance(X, SparseRows):
        return X / scale
    matrix = X.matrix.copy()
    matrix.data /= scale[matrix.indices]
    return SparseRows(matrix)


def deviations(X: SparseRows, weights: Array, rounding: float) -> Array:
    """Return standard deviations of columns, with weights of sum 1; 1 for constant ones.

    Constant is what varies by less than ``rounding``, relative to its largest entry.
    """
    matrix, p = X.matrix, X.shape[1]
    largest = np.zeros(p)
    np.maximum.at(largest, matrix.indices, np.abs(matrix.data))
    heavy = np.repeat(weights, np.diff(matrix.indptr))  # of each entry
    units = matrix.data / largest[matrix.indices]  # squares neither overflow nor vanish
    mean = np.bincount(matrix.indices, heavy * units, p)
    squares = np.bincount(matrix.indices, heavy * (units - mean[matrix.indices]) ** 2, p)
    zeros = np.maximum(1.0 - np.bincount(matrix.indices, heavy, p), 0.0)
    full = np.bincount(matrix.indices, minlength=p) == len(X)  # no zeros, but for rounding
    deviation = np.sqrt(squares + np.where(full, 0.0, zeros) * mean**2)
    result: Array = np.where(deviation > rounding, deviation * largest, 1.0)
    return result


def pack_gates(kernels: ModuleType, X: Rows, G: Array, n_threads: int) -> NDArray[np.uint64]:
    """Return the bits 1[x_i . g_j >= 0] of gates G (p, n_patterns)."""
    if not isinstance(X, SparseRows):
        if not doubles.is_single(X):
            packed: NDArray[np.uint64] = kernels.pack_gates(X, G, n_threads)
            return packed
        words = [kernels.pack_gates(part, G, n_threads) for _, part in doubles.parts(X)]
        return np.concatenate(words, axis=1)
    bits = [
        kernels.pack_dense(np.ascontiguousarray((X @ G[:, k]).T >= 0.0))
        for k in blocks(G.shape[1], len(X) + len(G))
    ]
    return np.concatenate(bits)


def gate_gradients(
    kernels: ModuleType, X: Rows, packed: NDArray[np.uint64], z: Array, n_threads: int
) -> Array:
    """Return X^T D_g z for all patterns, (n_patterns, p)."""
    if not isinstance(X, SparseRows):
        gradients: Array = kernels.gate_gradients(X, packed, z, n_threads)
        return gradients
    gradients = np.empty((len(packed), X.shape[1]))
    for k in blocks(len(packed), sum(X.shape)):
        gradients[k] = np.where(kernels.unpack(packed[k], len(X)), z, 0.0) @ X
    return gradients


def inner_products(X: Rows, rows: slice) -> Array:
    """Return the products of some rows with themselves and all rows after them, dense."""
    here, after = X[rows], X[rows.start :]
    if not isinstance(X, SparseRows):
        return doubles.preactivations(np.asarray(here, np.float64), after)
    product: Array = (here.matrix @ after.matrix.T).toarray()
    return product


def weighted_gram(X: Rows, weights: Array) -> Array:
    """Return X^T diag(weights) X, dense, (p, p)."""
    if not isinstance(X, SparseRows):
        return doubles.weighted_gram(X, weights)
    scaled = X.matrix.copy()
    scaled.data *= np.repeat(weights, np.diff(scaled.indptr))
    product: Array = (X.matrix.T @ scaled).toarray()
    return product


def core(X: Rows) -> Rows:
    """Return the columns that p x p matrices are made for: of sparse rows the largest 1000."""
    return X.core if isinstance(X, SparseRows) else X


def blocks(n: int, size: int) -> Iterator[slice]:
    """Cut n items, each of which takes ``size`` numbers, into blocks within the budget."""
    step = max(1, _BLOCK // size)
    return (slice(first, first + step) for first in range(0, n, step))
