"""Checks of what users pass in: every error names the argument and the remedy.

All checks have the form ``check_<what>(value, name, ...)`` and return the value in the one form
that kernels take: float64, C-contiguous, finite. With ``single`` float32 stays as it is; it is
annotated as float64 all the same, because everything computed from it is (see `doubles`). Arrays
may share the user's memory: no kernel writes to its input. ValueError is for wrong values,
TypeError for things of the wrong kind.
"""

import math
import numbers
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.namespaces import describe, is_device_array

MAX_DENSE = 2**30  # bytes that sparse data may take where they are made dense
_SPARSE = "train gated networks (model='gated_relu', cones=False), which keep X sparse"


def is_sparse(value: Any) -> bool:
    """Tell whether a value is sparse, in any of scipy's formats."""
    return hasattr(value, "tocsr") and hasattr(value, "toarray")


def to_dense(value: Any, name: str, remedy: str = _SPARSE) -> Any:
    """Return a sparse matrix as an array if that is small."""
    size = 8 * math.prod(value.shape)
    if size > MAX_DENSE:
        raise ValueError(
            f"{name} is sparse and would take {size / 2**30:.1f} GiB as a dense array, more than "
            f"{MAX_DENSE / 2**30:.0f} GiB: reduce its features, e.g. by sklearn's TruncatedSVD, or "
            f"{remedy}"
        )
    return value.toarray()


def _to_float(value: Any, name: str, single: bool = False) -> NDArray[np.float64]:
    """Convert anything that holds real numbers to float64, C-contiguous."""
    if is_sparse(value):
        raise TypeError(f"{name} is sparse, which only X may be: use {name}.toarray()")
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries: drop or fill them first")
    try:
        array = np.asarray(value)
    except (TypeError, RuntimeError) as error:
        if not is_device_array(value):
            raise
        raise TypeError(
            f"{name} lives {describe(value)}, where this is not available: pass a NumPy array, "
            f"e.g. {name}.cpu().numpy()"
        ) from error
    except ValueError:
        raise ValueError(f"{name} is ragged: all its rows must have the same length") from None
    if array.dtype.kind == "O":
        array = _from_objects(array, name)
    if array.dtype.kind == "c":
        raise TypeError(
            f"{name} is complex: pass real numbers, e.g. real and imaginary parts as two columns"
        )
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got dtype {array.dtype}: "
            "encode text, categories and dates as numbers first"
        )
    kept = single and array.dtype == np.float32
    return np.ascontiguousarray(array, dtype=None if kept else np.float64)


def _from_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Convert an object array, as mixed DataFrames give, if all its entries are real numbers."""
    for entry in array.flat:
        if isinstance(entry, numbers.Complex) and not isinstance(entry, numbers.Real):
            return array.astype(complex)  # refused by the caller
        if not isinstance(entry, numbers.Real):
            raise TypeError(
                f"{name} must hold real numbers, got an entry of type {type(entry).__name__}: "
                "encode text, categories and missing values as numbers first"
            )
    return array.astype(np.float64)


def _check_finite(array: NDArray[np.float64], name: str) -> None:
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = first[0] if len(first) == 1 else first
        raise ValueError(
            f"{name} contains NaN or infinity (first at {where}): drop or impute such entries first"
        )


def check_numbers(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return finite numbers of any shape."""
    array = _to_float(value, name)
    _check_finite(array, name)
    return array.reshape(np.shape(value))  # a single number has become an array of one


def check_matrix(
    X: ArrayLike, name: str = "X", *, n_features: int | None = None, single: bool = False
) -> NDArray[np.float64]:
    """Return a non-empty, finite matrix (n_samples, n_features); sparse ones become dense.

    ``single``: keep float32.
    """
    array = _to_float(to_dense(X, name) if is_sparse(X) else X, name, single)
    if array.ndim != 2:
        remedy = "flatten the other dimensions"
        if array.ndim == 1:
            remedy = f"use {name}.reshape(-1, 1) for one feature, {name}.reshape(1, -1) for one row"
        raise ValueError(
            f"{name} must be 2-D (n_samples, n_features), got shape {array.shape}: {remedy}"
        )
    if array.size == 0:
        raise ValueError(
            f"{name} is empty (shape {array.shape}): pass at least one row and one column"
        )
    _check_finite(array, name)
    check_n_features(array.shape, name, n_features)
    return array


def check_n_features(shape: tuple[int, ...], name: str, n_features: int | None) -> None:
    """Refuse a matrix with another number of columns than expected, if any."""
    if n_features is not None and shape[1] != n_features:
        raise ValueError(
            f"{name} has {shape[1]} columns, expected {n_features}: "
            "pass the same features in the same order"
        )


def check_exact_matrix(
    X: ArrayLike, name: str = "X", *, single: bool = False
) -> NDArray[np.float64]:
    """Return a matrix like `check_matrix`; rows of fractions are multiplied up to integers."""
    numeric = isinstance(X, np.ndarray) and X.dtype.kind != "O"
    if numeric or is_sparse(X) or is_device_array(X):
        return check_matrix(X, name, single=single)
    rows = np.asarray(X)
    rational = rows.dtype.kind == "O" and rows.ndim == 2
    if rational and all(isinstance(x, numbers.Rational) for x in rows.flat):
        for i, row in enumerate(rows):
            common = math.lcm(*(int(x.denominator) for x in row))
            rows[i] = [int(x * common) for x in row]
        return check_matrix(rows, name)
    return check_matrix(X, name)


def check_vector(value: ArrayLike, name: str, n_samples: int) -> NDArray[np.float64]:
    """Return a finite vector (n_samples,): one entry per row of X."""
    array = _to_float(value, name)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be 1-D (n_samples,), got shape {array.shape}: use {name}.ravel() "
            "if it holds one number per row of X"
        )
    if len(array) != n_samples:
        raise ValueError(
            f"{name} has {len(array)} entries but X has {n_samples} rows: pass one entry per row"
        )
    _check_finite(array, name)
    return array


def check_targets(y: ArrayLike, n_samples: int) -> NDArray[np.float64]:
    """Return finite targets, (n_samples,) or for several outputs (n_samples, n_outputs)."""
    if is_sparse(y) or np.ndim(y) != 2:
        return check_vector(y, "y", n_samples)
    array = check_matrix(y, "y")
    if len(array) != n_samples:
        raise ValueError(
            f"y has {len(array)} rows but X has {n_samples}: pass one row of targets per row of X"
        )
    return array


def check_sample_weight(
    sample_weight: ArrayLike | None, n_samples: int, name: str = "sample_weight"
) -> NDArray[np.float64] | None:
    """Return weights (n_samples,), all >= 0 and not all 0; None stays None (equal weights)."""
    if sample_weight is None:
        return None
    weights = check_vector(sample_weight, name, n_samples)
    if (weights < 0).any():
        raise ValueError(f"{name} has negative entries: use weights >= 0 (0 ignores a row)")
    if not (weights > 0).any():
        raise ValueError(f"{name} is zero everywhere: give at least one row a positive weight")
    return weights


def check_group_weights(
    group_weights: ArrayLike | None, n_patterns: int
) -> NDArray[np.float64] | None:
    """Return weights (n_patterns,), all > 0; None stays None (all 1)."""
    if group_weights is None:
        return None
    weights = _to_float(group_weights, "group_weights")
    if weights.shape != (n_patterns,):
        raise ValueError(
            f"group_weights has shape {weights.shape} but patterns has {n_patterns} patterns: "
            "pass one weight per pattern"
        )
    _check_finite(weights, "group_weights")
    if not (weights > 0.0).all():
        raise ValueError(
            "group_weights must be > 0: leave out patterns that may not be used; a group without "
            "penalty could fit any y"
        )
    return weights


def check_positive(value: Any, name: str, *, allow_zero: bool = False) -> float:
    """Return a finite number > 0 (or >= 0) as float."""
    condition = ">= 0" if allow_zero else "> 0"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{name} must be a number {condition}, got {type(value).__name__}: pass one float"
        )
    number = float(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not allow_zero):
        raise ValueError(f"{name} must be a finite number {condition}, got {value!r}")
    return number


def check_int(value: Any, name: str, *, minimum: int = 1) -> int:
    """Return an integer >= minimum as int."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer >= {minimum}, got {type(value).__name__}: pass one int"
        ) from None
    if number < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {number}")
    return number


def check_bool(value: Any, name: str) -> bool:
    """Return a truth value; other types are refused, though Python gives most of them one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a bool, got {type(value).__name__}: pass True or False")
    return bool(value)


def check_choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return value if it is one of the choices."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}")
    return value


def check_tol(tol: Any, name: str = "tol") -> float:
    """Return a relative tolerance in (0, 1)."""
    number = check_positive(tol, name)
    if number >= 1:
        raise ValueError(f"{name} must be a relative tolerance below 1, e.g. 1e-6, got {tol!r}")
    return number


def check_time_limit(time_limit: Any, name: str = "time_limit") -> float:
    """Return seconds > 0; None means no limit (infinity)."""
    return math.inf if time_limit is None else check_positive(time_limit, name)


def check_n_threads(n_threads: Any, name: str = "n_threads") -> int:
    """Return a number of threads >= 1; None becomes 0, what OpenMP would take."""
    if n_threads is None:
        return 0
    try:
        return check_int(n_threads, name)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error} (None takes all cores)") from None


def check_random_state(random_state: Any, name: str = "random_state") -> np.random.Generator:
    """Return a Generator from None (fresh), an int >= 0, a Generator or a RandomState."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):  # advances it: the next draw differs
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint32))
    if random_state is None:
        return np.random.default_rng()
    try:
        return np.random.default_rng(check_int(random_state, name, minimum=0))
    except TypeError:
        raise TypeError(
            f"{name} must be None, an int >= 0, a numpy Generator or a RandomState, "
            f"got {type(random_state).__name__}"
        ) from None


def check_betas(betas: ArrayLike) -> NDArray[np.float64]:
    """Return penalties in descending order."""
    if np.ndim(betas) != 1 or np.size(betas) == 0:
        raise ValueError(
            f"betas must be a non-empty 1-D array, got shape {np.shape(betas)}: "
            "pass numbers > 0, e.g. [0.1, 0.01]"
        )
    values = [check_positive(beta, "betas") for beta in np.asarray(betas).tolist()]
    return np.array(sorted(values, reverse=True))


def check_ratio(ratio: Any, name: str) -> float:
    """Return a number between 0 and 1."""
    value = check_positive(ratio, name)
    if value >= 1.0:
        raise ValueError(f"{name} must be below 1, e.g. 0.01, got {ratio!r}")
    return value
