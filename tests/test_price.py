"""The public pricing function: brackets, methods, neurons, bad input."""

import pickle

import numpy as np
import pytest

from pyconvex import enumerate_patterns, fit, price

import oracles

BIASES = ("free", "decayed", "none")
PROOFS = ("auto", "bounded", "exact")


def instance(seed, bias, n=14, d=2):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (n, d)).astype(float) if seed % 2 else rng.standard_normal((n, d))
    z = rng.standard_normal(n)
    return X + 3.0, z - z.mean() if bias == "free" else z


def check(pricing, X, z, bias, tol):
    """The first neuron has norm 1 and attains the value; the bound is as close as claimed."""
    w, b, sign = pricing.neuron
    size = np.linalg.norm(w) if bias == "free" else np.hypot(np.linalg.norm(w), b)
    assert size == pytest.approx(1.0, rel=1e-9)
    assert bias != "none" or b == 0.0
    attained = sign * (z @ np.maximum(X @ w + b, 0.0))
    assert attained == pytest.approx(pricing.value, rel=1e-9)
    assert pricing.value <= pricing.bound
    assert (pricing.certificate == "global") == (pricing.bound <= (1 + tol) * pricing.value)
    assert (np.diff(pricing.values) <= 0.0).all()


@pytest.mark.parametrize("method", PROOFS)
@pytest.mark.parametrize("bias", BIASES)
def test_all_methods_find_the_norm(bias, method, backend):
    for seed in range(3):
        X, z = instance(seed, bias)
        rows = X if bias == "none" else oracles.ones(X)
        cells = enumerate_patterns(rows).to_dense()
        norm = oracles.dual_norm(rows, z, cells, True, bias == "free")
        pricing = price(X, z, method=method, bias=bias, random_state=0, backend=backend)
        check(pricing, X, z, bias, 1e-6)
        assert pricing.certificate == "global"
        assert pricing.value == pytest.approx(norm, rel=2e-6)
        assert pricing.bound >= norm * (1 - 1e-6)


def test_local_search_is_a_lower_estimate(backend):
    X, z = instance(0, "none", n=60, d=12)
    pricing = price(X, z, random_state=0, backend=backend)  # "auto": beyond both proofs
    check(pricing, X, z, "none", 1e-6)
    assert pricing.certificate == "local"
    again = price(X, z, random_state=0, n_threads=2, backend=backend)
    assert again.value == pricing.value
    np.testing.assert_array_equal(again.weights, pricing.weights)


def test_limits_keep_the_bracket_valid(backend):
    X, z = instance(0, "free", n=60, d=3)
    whole = price(X, z, method="exact", bias="free", backend=backend)
    short = price(
        X, z, method="bounded", bias="free", max_nodes=100, random_state=0, backend=backend
    )
    assert short.certificate == "local"
    assert short.value <= whole.bound * (1 + 1e-12)
    assert short.bound >= whole.value * (1 - 1e-12)
    hurried = price(X, z, method="bounded", bias="free", time_limit=1e-9, backend=backend)
    assert hurried.value <= whole.bound * (1 + 1e-12) <= hurried.bound * (1 + 1e-9)


def test_an_optimal_network_attains_beta(backend):
    X, y = oracles.teacher(30, 2)
    result = fit(X, y, beta=0.01, bias="decayed", tol=1e-9, random_state=0, backend=backend)
    pricing = price(X, (y - result.predict(X)) / len(y), bias="decayed", backend=backend)
    assert pricing.value == pytest.approx(0.01, rel=1e-5)


def test_equal_rows_add_up(backend):
    X, z = instance(1, "none")
    twice = price(np.concatenate([X, X]), np.concatenate([0.3 * z, 0.7 * z]), backend=backend)
    assert twice.value == pytest.approx(price(X, z, backend=backend).value, rel=1e-6)


def test_nothing_to_gain(backend):
    for z in (np.zeros(3), np.array([1.0, -1.0, 0.0])):  # equal rows: the multiplier cancels
        pricing = price(np.ones((3, 2)), z, bias="free", backend=backend)
        assert (pricing.value, pricing.certificate) == (0.0, "global")
        assert pricing.neuron[1:] == (0.0, 1.0)
        assert not pricing.neuron[0].any()


def test_a_pricing_can_be_pickled():
    pricing = price([[3.0], [-1.0]], [0.5, 0.25])
    assert pickle.loads(pickle.dumps(pricing)).value == pricing.value
    assert repr(pricing).startswith("Pricing(value=1.5")


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"z": [1.0]}, ValueError, "z has 1 entries but X has 2"),
        ({"bias": "free"}, ValueError, "z must sum to zero for bias='free'"),
        ({"bias": "some"}, ValueError, "bias must be one of"),
        ({"method": "best"}, ValueError, "method must be one of"),
        ({"max_nodes": 0}, ValueError, "max_nodes must be"),
        ({"tol": 0.0}, ValueError, "tol must be"),
        ({"X": np.eye(20), "z": np.ones(20), "method": "bounded"}, ValueError, "rank at most 16"),
    ],
)
def test_bad_input(bad, error, message):
    arguments = {"X": [[1.0], [2.0]], "z": [1.0, 1.0]} | bad
    with pytest.raises(error, match=message):
        price(arguments.pop("X"), arguments.pop("z"), **arguments)
