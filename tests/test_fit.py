import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_breast_cancer, load_diabetes

from pyconvex import backends, beta_max, fit, sample_patterns

import oracles

BIASES = ("free", "decayed", "none")
MODELS = ("relu", "gated_relu")
X, y = oracles.teacher(12, 2)


def rows(X, bias):
    return X if bias == "none" else oracles.ones(X)


def cells_of(X, bias):
    return oracles.all_cells(rows(X, bias))


# --- Golden values and real data -----------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "optimum", "limit"),
    [("relu", 0.73284603, 1.59799322), ("gated_relu", 0.34868335, 2.73184823)],
)
def test_golden_values(model, optimum, limit, backend):
    X, y, beta = oracles.golden()
    cells = oracles.all_cells(X)
    assert len(cells) == 58
    common = {"model": model, "bias": "none", "patterns": cells, "backend": backend}
    result = fit(X, y, beta=beta, tol=1e-8, **common)
    assert (result.certificate, result.status) == ("restricted", "optimal")
    assert 8 * result.objective == pytest.approx(optimum, abs=1e-7)
    assert 8 * beta_max(X, y, **common) == pytest.approx(limit, abs=1e-7)


def test_column_generation_finds_the_golden_value(backend):
    X, y, beta = oracles.golden()
    result = fit(X, y, beta=beta, bias="none", random_state=0, backend=backend)
    assert 8 * result.objective == pytest.approx(0.73284603, abs=1e-6)
    assert 8 * beta_max(X, y, bias="none", backend=backend) == pytest.approx(1.59799322, abs=1e-7)


def test_breast_cancer(backend):
    X, y = load_breast_cancer(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * y - 1.0
    result = fit(X, y, beta=0.1380106920516085, bias="decayed", random_state=0, backend=backend)
    assert (result.status, result.certificate) == ("optimal", "local")
    assert result.objective <= 0.172163
    assert result.network.n_neurons <= 10
    assert result.objective == pytest.approx(oracles.objective(result, X, y, "decayed"), rel=1e-9)


def test_diabetes(backend):
    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    result = fit(
        X, y, beta=6.375429237961948 / 442, bias="decayed", tol=1e-3, random_state=0,
        backend=backend,
    )  # fmt: skip
    assert (result.status, result.certificate) == ("optimal", "local")
    assert 442 * result.objective <= 99.75


# --- The figures of a fit, recomputed ------------------------------------------------------

small = st.floats(-3, 3, allow_subnormal=False)
entries = st.one_of(st.integers(-2, 2).map(float), small)  # integers: degenerate arrangements


@settings(deadline=None, max_examples=60, derandomize=True)
@given(data=st.data(), n=st.integers(1, 9), d=st.integers(1, 3))
def test_objective_is_that_of_the_network(data, n, d):
    X = data.draw(arrays(np.float64, (n, d), elements=entries))
    y = data.draw(arrays(np.float64, n, elements=entries))
    weights = data.draw(st.none() | arrays(np.float64, n, elements=st.integers(1, 3).map(float)))
    model, bias = data.draw(st.sampled_from(MODELS)), data.draw(st.sampled_from(BIASES))
    beta = data.draw(st.sampled_from([1e-3, 0.03, 1.0]))
    patterns = data.draw(st.sampled_from(["auto", 7]))
    for backend in backends.available():
        result = fit(
            X, y, beta=beta, model=model, bias=bias, patterns=patterns, sample_weight=weights,
            max_iter=50, random_state=0, backend=backend,
        )  # fmt: skip
        gated = model == "gated_relu"
        objective = oracles.objective(result, X, y, bias, gated, weights)
        assert result.objective == pytest.approx(objective, rel=1e-9)
        np.testing.assert_allclose(result.predict(X), oracles.predict(result.network, X), atol=1e-9)
        assert 0.0 <= result.lower_bound <= result.objective * (1 + 1e-12)
        assert result.gap >= 0.0
        assert (result.status == "optimal") == (result.gap <= 1e-6)


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("model", MODELS)
def test_restricted_certificate(model, bias, backend):
    gated, data = model == "gated_relu", rows(X, bias)
    patterns = sample_patterns(data, 12, random_state=1)
    result = fit(
        X, y, beta=0.02, model=model, bias=bias, patterns=patterns, tol=1e-8, backend=backend
    )
    assert (result.certificate, result.status) == ("restricted", "optimal")
    z = (y - result.predict(X)) / len(y)
    if bias == "free":
        assert abs(z.sum()) <= 1e-12
    norm = oracles.dual_norm(data, z, patterns.to_dense(), not gated, bias == "free" and not gated)
    dual = oracles.dual_objective(z, y, np.full(12, 1 / 12), 0.02 / norm)
    assert dual <= result.dual_objective * (1 + 1e-7)
    optimum = oracles.conic_optimum(
        data, y, patterns.to_dense(), 0.02, not gated, bias == "free", bias == "free" and not gated
    )
    assert result.dual_objective <= optimum * (1 + 1e-8)
    assert result.objective == pytest.approx(optimum, rel=1e-7)
    if gated:
        assert result.lower_bound == result.dual_objective
    else:  # more patterns may do better, so that the bound for all networks is lower
        assert result.lower_bound <= result.dual_objective


@pytest.mark.parametrize("bias", BIASES)
def test_column_generation_reaches_the_optimum_over_all_cells(bias, backend):
    optimum = oracles.conic_optimum(
        rows(X, bias), y, cells_of(X, bias).to_dense(), 0.01, True, bias == "free", bias == "free"
    )
    result = fit(X, y, beta=0.01, bias=bias, tol=1e-8, random_state=0, backend=backend)
    assert (result.certificate, result.status) == ("global", "optimal")
    assert result.objective == pytest.approx(optimum, rel=1e-7)
    assert result.lower_bound <= optimum * (1 + 1e-8)
    searched = fit(
        X, y, beta=0.01, bias=bias, tol=1e-8, random_state=0, certificate="local", backend=backend
    )
    assert (searched.certificate, searched.status) == ("local", "optimal")
    assert searched.objective == pytest.approx(optimum, rel=1e-6)
    assert searched.lower_bound <= optimum * (1 + 1e-8)
    everywhere = fit(
        X, y, beta=0.01, bias=bias, tol=1e-8, patterns=cells_of(X, bias), backend=backend
    )
    assert everywhere.objective == pytest.approx(optimum, rel=1e-7)


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("model", MODELS)
def test_beta_max(model, bias, backend):
    common = {"model": model, "bias": bias, "backend": backend}
    if model == "gated_relu":
        common["patterns"] = sample_patterns(rows(X, bias), 30, random_state=0)
    limit = beta_max(X, y, **common)
    above = fit(X, y, beta=1.000001 * limit, random_state=0, **common)
    below = fit(X, y, beta=0.99 * limit, random_state=0, **common)
    assert above.network.n_neurons == 0
    assert above.gap <= 1e-6
    assert above.network.output_bias == pytest.approx(y.mean() if bias == "free" else 0.0)
    assert below.network.n_neurons >= 1
    assert below.gap <= 1e-6
    assert fit(X, y, random_state=0, **common).beta == pytest.approx(0.01 * limit)


def test_certificate_levels(backend):
    common = {"beta": 0.02, "random_state": 0, "backend": backend}
    assert fit(X, y, **common).certificate == "global"
    assert fit(X, y, certificate="local", **common).certificate == "local"
    assert fit(X, y, patterns=20, **common).certificate == "restricted"
    assert fit(X, y, model="gated_relu", **common).certificate == "restricted"
    for patterns in ("auto", 20):  # proved for all networks by the cheap bound
        proved = fit(X, y, patterns=patterns, beta=100.0, random_state=0, backend=backend)
        assert proved.certificate == "global"
        assert proved.lower_bound == proved.dual_objective == pytest.approx(proved.objective)


@pytest.mark.parametrize("bias", BIASES)
def test_neurons_are_balanced(bias, backend):
    network = fit(X, y, beta=0.01, bias=bias, random_state=0, backend=backend).network
    squares = (network.hidden_weights**2).sum(axis=1)
    if bias == "decayed":
        squares += network.hidden_bias**2
    np.testing.assert_allclose(np.sqrt(squares), np.abs(network.output_weights), rtol=1e-9)
    assert (network.output_bias == 0.0) == (bias != "free")
    assert (network.hidden_bias == 0.0).all() == (bias == "none")


# --- Invariances ---------------------------------------------------------------------------


def objective(X, y, bias, backend, **keywords):
    result = fit(X, y, beta=0.01, bias=bias, tol=1e-8, random_state=0, backend=backend, **keywords)
    assert result.status == "optimal"
    return pytest.approx(result.objective, rel=1e-6)


@pytest.mark.parametrize("bias", BIASES)
def test_invariances(bias, backend):
    expected = objective(X, y, bias, backend)
    order = np.random.default_rng(0).permutation(12)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((2, 2)))[0]
    assert objective(X[order], y[order], bias, backend) == expected.expected
    assert objective(X, -y, bias, backend) == expected.expected
    assert objective(X @ rotation, y, bias, backend) == expected.expected
    assert objective(np.tile(X, (2, 1)), np.tile(y, 2), bias, backend) == expected.expected
    if bias == "free":
        assert objective(X + np.array([3.0, -7.0]), y + 5.0, bias, backend) == expected.expected


@pytest.mark.parametrize("bias", BIASES)
def test_a_weight_is_a_number_of_copies(bias, backend):
    weights = np.array([0, 1, 2, 3] * 3)
    weighted = objective(X, y, bias, backend, sample_weight=weights)
    copies = objective(X.repeat(weights, axis=0), y.repeat(weights), bias, backend)
    assert weighted == copies.expected
    scaled = objective(X, y, bias, backend, sample_weight=0.1 * weights)
    assert scaled == copies.expected


@pytest.mark.parametrize("model", MODELS)
def test_rows_of_weight_zero_are_dropped(model, backend):
    kept = np.arange(12) % 3 > 0
    patterns = sample_patterns(oracles.ones(X), 40, random_state=0)
    fewer = type(patterns).from_gates(oracles.ones(X)[kept], patterns.gates)
    common = {"beta": 0.01, "model": model, "tol": 1e-8, "backend": backend}
    weighted = fit(X, y, sample_weight=kept, patterns=patterns, **common)
    dropped = fit(X[kept], y[kept], patterns=fewer, **common)
    assert weighted.objective == pytest.approx(dropped.objective, rel=1e-7)
