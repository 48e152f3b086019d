import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pyconvex import data

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


@pytest.mark.parametrize(
    "value",
    [
        X.tolist(),
        X.astype(np.float32),
        X.astype(np.int8),
        X.astype(object),
        np.asfortranarray(X),
        sp.csr_matrix(X),
        sp.coo_array(X),
        np.repeat(X, 2, axis=0)[::2],
        pd.DataFrame(X),
        pd.DataFrame({"a": [1, 3, 5], "b": [2.0, 4.0, 6.0]}),
    ],
    ids=["list", "float32", "int8", "object", "fortran", "csr", "coo", "strided", "frame", "mixed"],
)
def test_matrix_is_normalised(value):
    array = data.check_matrix(value)
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, X)


def test_bool_and_read_only_input():
    value = np.eye(2, dtype=bool)
    value.flags.writeable = False
    np.testing.assert_array_equal(data.check_matrix(value), np.eye(2))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([[1.0, np.nan]], ValueError, r"X contains NaN or infinity \(first at \(0, 1\)\): drop"),
        ([[np.inf, 1.0]], ValueError, "X contains NaN or infinity"),
        (np.empty((0, 3)), ValueError, "X is empty"),
        (np.empty((3, 0)), ValueError, "X is empty"),
        ([1.0, 2.0], ValueError, r"X must be 2-D .* X.reshape\(-1, 1\)"),
        (np.ones((2, 2, 2)), ValueError, "X must be 2-D"),
        (1.0, ValueError, "X must be 2-D"),
        (None, TypeError, "X must hold real numbers"),
        ([[1.0], [1.0, 2.0]], ValueError, "X is ragged"),
        ([[1j]], TypeError, "X is complex"),
        (np.array([[1j, 2]], dtype=object), TypeError, "X is complex"),
        ([["a"]], TypeError, "X must hold real numbers, got dtype <U1: encode"),
        (np.array([["1.5"]], dtype=object), TypeError, "entry of type str"),
        # pandas turns its NA into NaN or leaves an object, depending on its version
        (
            pd.DataFrame({"a": [1, None]}, dtype="Int64"),
            (ValueError, TypeError),
            "X (contains NaN|must hold real numbers)",
        ),
        (np.array([["2020-01-01"]], dtype="M8[D]"), TypeError, "X must hold real numbers"),
        (sp.csr_matrix([[1.0, np.nan]]), ValueError, r"X contains NaN .*\(0, 1\)"),
        (sp.csr_array((2**20, 2**10)), ValueError, "X is sparse and would take 8.0 GiB"),
        (np.ma.masked_equal(X, 1.0), ValueError, "X has masked entries"),
    ],
)
def test_bad_matrix(value, error, message):
    with pytest.raises(error, match=message):
        data.check_matrix(value)


def test_number_of_features():
    with pytest.raises(ValueError, match="X_new has 2 columns, expected 3"):
        data.check_matrix(X, "X_new", n_features=3)


def test_vector():
    np.testing.assert_array_equal(data.check_vector(pd.Series([1, 2]), "y", 2), [1.0, 2.0])
    with pytest.raises(ValueError, match=r"y must be 1-D .* y.ravel\(\)"):
        data.check_vector([[1.0], [2.0]], "y", 2)
    with pytest.raises(ValueError, match="y has 2 entries but X has 3 rows"):
        data.check_vector([1.0, 2.0], "y", 3)
    with pytest.raises(ValueError, match=r"y contains NaN or infinity \(first at 1\)"):
        data.check_vector([1.0, np.nan], "y", 2)


def test_sample_weight():
    assert data.check_sample_weight(None, 3) is None
    np.testing.assert_array_equal(data.check_sample_weight([0, 1, 2], 3), [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="sample_weight has negative entries"):
        data.check_sample_weight([1, -1], 2)
    with pytest.raises(ValueError, match="sample_weight is zero everywhere"):
        data.check_sample_weight([0, 0], 2)
    with pytest.raises(ValueError, match="sample_weight has 1 entries"):
        data.check_sample_weight([1], 2)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(3)])
def test_positive(value):
    assert data.check_positive(value, "beta") == float(value)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, -math.inf])
def test_not_positive(value):
    with pytest.raises(ValueError, match="beta must be a finite number > 0"):
        data.check_positive(value, "beta")


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1.0]])
def test_not_a_number(value):
    with pytest.raises(TypeError, match="beta must be a number > 0"):
        data.check_positive(value, "beta")


def test_zero_where_allowed():
    assert data.check_positive(0, "ridge", allow_zero=True) == 0.0
    with pytest.raises(ValueError, match="ridge must be a finite number >= 0"):
        data.check_positive(-1, "ridge", allow_zero=True)


def test_int():
    assert data.check_int(np.int32(4), "max_iter") == 4
    for value in (1.5, "3", True, None):
        with pytest.raises(TypeError, match="max_iter must be an integer >= 1"):
            data.check_int(value, "max_iter")
    with pytest.raises(ValueError, match="max_iter must be an integer >= 1, got 0"):
        data.check_int(0, "max_iter")


def test_choice():
    assert data.check_choice("relu", "model", ("relu", "gated_relu")) == "relu"
    for value in ("gelu", None, ["relu"]):
        with pytest.raises(ValueError, match="model must be one of 'relu', 'gated_relu', got"):
            data.check_choice(value, "model", ("relu", "gated_relu"))


def test_limits():
    assert data.check_tol(1e-6) == 1e-6
    with pytest.raises(ValueError, match="tol must be a relative tolerance below 1"):
        data.check_tol(1.0)
    assert data.check_time_limit(None) == math.inf
    assert data.check_time_limit(3) == 3.0
    with pytest.raises(ValueError, match="time_limit must be"):
        data.check_time_limit(0)
    assert data.check_n_threads(None) == 0
    assert data.check_n_threads(2) == 2
    with pytest.raises(ValueError, match=r"n_threads must be .*None takes all cores"):
        data.check_n_threads(-1)
    with pytest.raises(TypeError, match="n_threads must be"):
        data.check_n_threads(1.0)


def test_random_state():
    def draw(state):
        return data.check_random_state(state).standard_normal()

    generator = np.random.default_rng(0)
    assert data.check_random_state(generator) is generator
    assert draw(0) == draw(np.int64(0)) == np.random.default_rng(0).standard_normal()
    assert draw(np.random.RandomState(0)) == draw(np.random.RandomState(0))
    state = np.random.RandomState(0)
    assert draw(state) != draw(state)
    assert draw(None) != draw(None)
    with pytest.raises(ValueError, match="random_state must be an integer >= 0"):
        draw(-1)
    for value in ("seed", 1.5):
        with pytest.raises(TypeError, match="random_state must be None, an int >= 0"):
            draw(value)
