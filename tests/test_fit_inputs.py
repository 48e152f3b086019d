"""What `fit` and `beta_max` refuse, with which words, and the odd input that they solve."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pyconvex import Network, PatternSet, beta_max, fit, sample_patterns

import oracles

X, y = oracles.teacher(12, 2)
gates = sample_patterns(oracles.ones(X), 9, random_state=0)
bits = PatternSet(gates.packed, 12)  # the same patterns without gates
hole = np.where(np.arange(24).reshape(12, 2) == 5, np.nan, X)
network = Network(np.ones((1, 2)), [0.0], [1.0])


BAD = [
    ({"X": hole}, ValueError, r"X contains NaN or infinity \(first at \(2, 1\)\): drop or impute"),
    ({"X": np.where(np.isnan(hole), np.inf, X)}, ValueError, "X contains NaN or infinity"),
    ({"X": np.empty((0, 2))}, ValueError, "X is empty .* pass at least one row"),
    ({"X": X[:, 0]}, ValueError, r"X must be 2-D .*X.reshape\(-1, 1\)"),
    ({"X": X + 1j}, TypeError, "X is complex: pass real numbers"),
    ({"X": sp.csr_array((2**20, 2**10))}, ValueError, r"X is sparse .* 8.0 GiB .*gated_relu"),
    ({"X": [["a", "b"]] * 12}, TypeError, "X must hold real numbers.* encode text"),
    ({"X": [[object(), 1]] * 12}, TypeError, "X must hold real numbers.* type object"),
    ({"y": y[:-1]}, ValueError, "y has 11 entries but X has 12 rows: pass one entry per row"),
    ({"y": np.where(y == y[3], np.nan, y)}, ValueError, "y contains NaN or infinity .first at 3"),
    ({"y": y.reshape(-1, 1, 1)}, ValueError, r"y must be 1-D .*use y.ravel\(\)"),
    ({"y": y + 1j}, TypeError, "y is complex"),
    ({"y": ["yes", "no"] * 6}, TypeError, "y must hold real numbers.* encode text"),
    ({"sample_weight": [1.0]}, ValueError, "sample_weight has 1 entries but X has 12 rows"),
    ({"sample_weight": -np.ones(12)}, ValueError, "sample_weight has negative entries: use"),
    ({"sample_weight": np.zeros(12)}, ValueError, "sample_weight is zero everywhere: give"),
    ({"model": "gelu"}, ValueError, "model must be one of 'relu', 'gated_relu', got 'gelu'"),
    ({"loss": "mse"}, ValueError, "loss must be one of 'squared', 'huber', .* got 'mse'"),
    ({"bias": True}, ValueError, "bias must be one of 'free', 'decayed', 'none', got True"),
    ({"patterns": "some"}, ValueError, "patterns must be one of 'auto', 'all', got 'some'"),
    ({"patterns": 0}, ValueError, "patterns must be an integer >= 1, got 0"),
    ({"patterns": [[0, 1]]}, TypeError, "patterns must be an integer >= 1, got list"),
    ({"patterns": gates[:0]}, ValueError, "patterns is empty: pass at least one"),
    ({"patterns": PatternSet.from_dense([[0, 1]])}, ValueError,
     "patterns has n_samples=2 but X has 12 rows: make the patterns from the same X"),
    ({"model": "gated_relu", "patterns": bits}, ValueError,
     "patterns must carry gates with 3 coordinates.*with a column of ones appended"),
    ({"model": "gated_relu", "patterns": gates, "bias": "none"}, ValueError,
     "patterns must carry gates with 2 coordinates.* from X$"),
]  # fmt: skip

BAD_IN_FIT = [
    ({"beta": 0}, ValueError, "beta must be a finite number > 0, got 0"),
    ({"beta": -1.0}, ValueError, "beta must be a finite number > 0, got -1.0"),
    ({"beta": np.nan}, ValueError, "beta must be a finite number > 0, got nan"),
    ({"beta": "0.1"}, TypeError, "beta must be a number > 0, got str"),
    ({"tol": 0}, ValueError, "tol must be a finite number > 0"),
    ({"tol": 1.5}, ValueError, "tol must be a relative tolerance below 1"),
    ({"certificate": "best"}, ValueError, "certificate must be one of 'auto', 'global', 'local'"),
    ({"certificate": "global", "patterns": 5}, ValueError, "certificate='global' is about all"),
    ({"certificate": "global", "model": "gated_relu"}, ValueError, "patterns='all', or 'auto'"),
    (
        {"certificate": "global", "X": np.eye(20), "y": np.arange(20.0)},
        ValueError,
        "rank at most 16.*'auto'",
    ),
    ({"max_iter": 2.0}, TypeError, "max_iter must be an integer >= 0, got float"),
    ({"time_limit": -1}, ValueError, "time_limit must be a finite number > 0"),
    ({"random_state": "seed"}, TypeError, "random_state must be None, an int >= 0"),
    ({"n_threads": 0}, ValueError, r"n_threads must be .*\(None takes all cores\)"),
    ({"callback": 1}, TypeError, "callback must be callable or None"),
    ({"warm_start": y}, TypeError, "warm_start must be a Fit or a Network, got ndarray"),
    ({"warm_start": network, "X": X[:, :1]}, ValueError, "warm_start has 2 features but X has 1"),
    (
        {"warm_start": Network(np.ones((1, 2)), [0.0], [[1.0, 2.0]])},
        ValueError,
        r"warm_start has output_weights of shape \(1, 2\) but y is 1-D: pass a fit",
    ),
    ({"warm_start": network, "model": "gated_relu"}, ValueError, "warm_start is of another model"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD + BAD_IN_FIT)
def test_bad_input(bad, error, message, backend):
    with pytest.raises(error, match=message):
        fit(**{"X": X, "y": y, "beta": 0.1, "backend": backend, **bad})


@pytest.mark.parametrize(("bad", "error", "message"), BAD)
def test_bad_input_of_beta_max(bad, error, message, backend):
    with pytest.raises(error, match=message):
        beta_max(**{"X": X, "y": y, "backend": backend, **bad})


@pytest.mark.parametrize("function", [fit, beta_max])
def test_unknown_backend(function):
    with pytest.raises(ValueError, match="backend must be one of 'auto', 'native', 'jit'"):
        function(X, y, backend="gpu")


def test_settings_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        fit(X, y, 0.1)


# --- Unusual but right ---------------------------------------------------------------------

rng = np.random.default_rng(0)
zeros, wide = X.copy(), rng.standard_normal((4, 9))
zeros[3] = 0.0
UNUSUAL = {
    "constant y": (X, np.full(12, 2.0)),
    "zero y": (X, np.zeros(12)),
    "zero column": (np.column_stack([X, np.zeros(12)]), y),
    "zero row": (zeros, y),
    "nothing but zeros": (np.zeros((5, 2)), y[:5]),
    "duplicate rows": (X[[0, 1, 2, 3, 4] * 2], y[[0, 1, 2, 3, 4, 5, 1, 2, 3, 4]]),
    "opposite rows": (np.concatenate([X[:5], -2 * X[:5]]), y[:10]),
    "duplicate columns": (X[:, [0, 1, 0]], y),
    "constant column": (oracles.ones(X), y),
    "n < d": (wide, y[:4]),
    "n < d, dependent": (wide[[0, 1, 1, 0]], y[:4]),
    "n = 1": (X[:1], y[:1]),
    "n = d = 1": (X[:1, :1], y[:1]),
    "one feature": (X[:, :1], y),
    "collinear": (np.outer(np.arange(8.0), [1.0, 2.0]), y[:8]),
    "integers": (rng.integers(-1, 2, (10, 2)), rng.integers(-1, 2, 10)),
    "large and small scales": (X * [1e-4, 1e4], 1e3 * y),
}


@pytest.mark.parametrize("model", ["relu", "gated_relu"])
@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_input_is_solved(name, bias, model, backend):
    X, y = UNUSUAL[name]
    patterns = "auto" if model == "relu" else 50
    common = {"model": model, "bias": bias, "patterns": patterns, "backend": backend}
    beta = 0.05 * beta_max(X, y, **common) or 0.1
    result = fit(X, y, beta=beta, random_state=0, time_limit=20.0, **common)
    assert result.status == "optimal"
    assert result.gap <= 1e-6
    expected = oracles.objective(result, X, y, bias, model == "gated_relu")
    assert result.objective == pytest.approx(expected, rel=1e-9, abs=1e-15)
    shift = np.mean(y) if bias == "free" else 0.0
    assert result.objective <= 0.5 * np.mean((y - shift) ** 2) * (1 + 1e-12)


def test_no_data_no_neurons(backend):
    """Where every output is the same the best network is a constant, proved."""
    for X, y in (UNUSUAL["constant y"], UNUSUAL["nothing but zeros"], UNUSUAL["n = 1"]):
        result = fit(X, y, beta=1e-3, random_state=0, backend=backend)
        assert result.network.n_neurons == 0
        assert result.network.output_bias == pytest.approx(np.mean(y))
        assert result.gap <= 1e-12
        assert beta_max(X, y, backend=backend) == 0.0


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        np.asfortranarray,
        lambda A: np.repeat(A, 2, axis=0)[::2],
        lambda A: A[::-1][::-1],
        pd.DataFrame,
        lambda A: pd.DataFrame(A, index=range(5, 5 + len(A))).squeeze(axis=1),
        lambda A: A.astype(object),
        lambda A: A.astype(np.float32),
    ],
    ids=["list", "fortran", "strided", "reversed", "frame", "index", "object", "float32"],
)
def test_containers_do_not_matter(convert, backend):
    """Values that float32 can hold give the same fit bit by bit, and stay as they are."""
    exact, target = X.astype(np.float32).astype(float), y.astype(np.float32).astype(float)
    rows, values = convert(exact), np.ravel(convert(target[:, np.newaxis]))
    expected = fit(exact, target, beta=0.01, random_state=0, backend=backend)
    result = fit(rows, values, beta=0.01, random_state=0, backend=backend)
    assert result.objective == expected.objective
    np.testing.assert_array_equal(result.predict(rows), expected.predict(exact))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8])
def test_small_types(dtype, backend):
    bits = np.random.default_rng(1).integers(0, 2, (10, 4))
    X, y = bits[:, :3], bits[:, 3]
    expected = fit(X.astype(float), y.astype(float), beta=0.01, random_state=0, backend=backend)
    result = fit(X.astype(dtype), y.astype(dtype), beta=0.01, random_state=0, backend=backend)
    assert result.objective == expected.objective


def test_read_only_input_is_left_alone(backend):
    frozen, target = X.copy(), y.copy()
    frozen.flags.writeable = target.flags.writeable = False
    result = fit(frozen, target, beta=0.01, random_state=0, backend=backend)
    assert result.objective == fit(X, y, beta=0.01, random_state=0, backend=backend).objective
    np.testing.assert_array_equal(frozen, X)
