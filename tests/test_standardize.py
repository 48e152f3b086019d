"""`standardize=True` solves the problem of (X - mean) / std and answers in units of X."""

import numpy as np
import pytest

from pyconvex import PatternSet, beta_max, fit, path, sample_patterns
from pyconvex.coordinates import Coordinates

import oracles

BIASES = ("free", "decayed", "none")
MODELS = ("relu", "gated_relu")
Z, y = oracles.teacher(14, 2)
X = Z * [30.0, 0.02] + [5.0, -0.3]  # Z in other units
weights = np.random.default_rng(0).integers(0, 3, 14).astype(float)
both = pytest.mark.parametrize("model", MODELS)
biases = pytest.mark.parametrize("bias", BIASES)


def moments(bias, sample_weight=None):
    mean = np.average(X, axis=0, weights=sample_weight)
    std = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=sample_weight))
    return mean * (bias != "none"), std


def settings(model, bias, backend, **more):
    patterns, tol = ("auto", 1e-9) if model == "relu" else (15, 1e-6)
    common = {"model": model, "bias": bias, "patterns": patterns, "backend": backend}
    return common | {"beta": 0.02, "tol": tol, "random_state": 0} | more


def in_standard_units(network, mean, std):
    return network.hidden_weights * std, network.hidden_bias + network.hidden_weights @ mean


@biases
@both
@pytest.mark.parametrize("sample_weight", [None, weights], ids=["equal", "weighted"])
def test_same_as_standardised_data(model, bias, sample_weight, backend):
    mean, std = moments(bias, sample_weight)
    common = settings(model, bias, backend, sample_weight=sample_weight)
    expected = fit((X - mean) / std, y, **common)
    result = fit(X, y, standardize=True, **common)
    assert (result.status, result.certificate) == ("optimal", expected.certificate)
    assert result.objective == pytest.approx(expected.objective, rel=1e-9)
    np.testing.assert_allclose(result.predict(X), expected.predict((X - mean) / std), atol=1e-7)
    if model == "gated_relu":  # the gates see the same rows, in other units
        assert result.patterns == expected.patterns
        assert PatternSet.from_gates(X if bias == "none" else oracles.ones(X),
                                     result.patterns.gates) == result.patterns  # fmt: skip


@biases
@both
def test_objective_is_that_of_the_network_in_standardised_units(model, bias, backend):
    result = fit(X, y, standardize=True, sample_weight=weights, **settings(model, bias, backend))
    W, b = in_standard_units(result.network, *moments(bias, weights))
    heights = result.network.output_weights
    decayed = bias == "decayed" or (bias == "free" and model == "gated_relu")
    squares = (W**2).sum() + (heights**2).sum() + decayed * (b**2).sum()
    errors = y - oracles.predict(result.network, X)
    expected = 0.5 * np.average(errors**2, weights=weights) + 0.01 * squares
    assert result.objective == pytest.approx(expected, rel=1e-10)
    sizes = np.sqrt((W**2).sum(axis=1) + decayed * b**2)
    np.testing.assert_allclose(sizes, np.abs(heights), rtol=1e-9)  # balanced


@biases
@both
def test_units_do_not_matter(model, bias, backend):
    common = settings(model, bias, backend, standardize=True)
    result, scaled = fit(X, y, **common), fit(1000.0 * X, y, **common)
    assert scaled.objective == pytest.approx(result.objective, rel=1e-9)
    np.testing.assert_allclose(scaled.predict(1000.0 * X), result.predict(X), atol=1e-7)
    if bias != "none":
        there = X + np.array([40.0, 7.0])
        np.testing.assert_allclose(
            fit(there, y, **common).predict(there), result.predict(X), atol=1e-7
        )


@biases
@both
def test_beta_max_and_path(model, bias, backend):
    mean, std = moments(bias)
    common = settings(model, bias, backend)
    for name in ("beta", "tol", "random_state"):
        del common[name]
    limit = beta_max((X - mean) / std, y, **common)
    assert beta_max(X, y, standardize=True, **common) == pytest.approx(limit, rel=1e-9)
    common |= {"n_betas": 3, "random_state": 0}
    points, expected = path(X, y, standardize=True, **common), path((X - mean) / std, y, **common)
    np.testing.assert_allclose(points.objectives, expected.objectives, rtol=2e-6)
    # outputs differ from the best by no more than sqrt(2 gap objective) in the mean square
    np.testing.assert_allclose(points.predict(X), expected.predict((X - mean) / std), atol=2e-3)


@biases
def test_given_patterns_are_those_of_both(bias, backend):
    """A gate of X is one of the standardised features with other numbers: the same patterns."""
    mean, std = moments(bias)
    rows = X if bias == "none" else oracles.ones(X)
    gates = sample_patterns(rows, 20, random_state=3)
    for model in MODELS:
        common = settings(model, bias, backend, patterns=gates)
        result = fit(X, y, standardize=True, **common)
        assert result.patterns is gates
        scaled = (X - mean) / std
        other = gates.gates * np.append(std, 1.0)[: len(gates.gates), np.newaxis]
        if bias != "none":
            other[-1] += mean @ gates.gates[:-1]
        common["patterns"] = PatternSet.from_gates(
            scaled if bias == "none" else oracles.ones(scaled), other
        )
        assert common["patterns"] == gates
        assert result.objective == pytest.approx(fit(scaled, y, **common).objective, rel=1e-8)
        if model == "gated_relu":
            used = result.network.gates
            known = gates.gates.T[:, : X.shape[1]]
            assert (used[:, np.newaxis] == known).all(axis=2).any(axis=1).all()


@biases
@both
def test_warm_start(model, bias, backend):
    common = settings(model, bias, backend, standardize=True)
    result = fit(X, y, **common)
    again = fit(X, y, warm_start=result.network, max_iter=0, **common)
    assert again.objective == pytest.approx(result.objective, rel=1e-9)
    assert again.network.n_neurons == result.network.n_neurons


@both
@pytest.mark.parametrize("bias", ["free", "decayed"])
def test_minimal(model, bias, backend):
    """The pruned network costs no more in standardised units, where it is balanced."""
    common = settings(model, bias, backend, tol=1e-3, standardize=True, minimal=True)
    full = fit(X, y, **common | {"minimal": False})
    fewer = fit(X, y, **common)
    assert fewer.network.n_neurons <= full.network.n_neurons
    assert fewer.objective <= full.objective * (1 + 1e-12)
    W, b = in_standard_units(fewer.network, *moments(bias))
    sizes = np.sqrt((W**2).sum(axis=1) + (b**2 if bias == "decayed" or model != "relu" else 0.0))
    np.testing.assert_allclose(sizes, np.abs(fewer.network.output_weights), rtol=1e-9)
    np.testing.assert_allclose(fewer.predict(X), full.predict(X), atol=1e-9)


@biases
def test_constant_columns_are_divided_by_one(bias, backend):
    """Also where rounding makes them vary; a column that is nearly constant is no such column."""
    constant, noise, nearly = np.full(14, 0.7), 3.0 + 1e-16 * Z[:, 0], 3.0 + 1e-9 * Z[:, 1]
    wide = np.column_stack([X, constant, noise, nearly])
    scale = Coordinates.of(wide, bias, centred=False, standardize=True).scale
    np.testing.assert_allclose(scale[2:], [1.0, 1.0, nearly.std()])
    result = fit(wide, y, beta=0.02, bias=bias, standardize=True, random_state=0, backend=backend)
    assert result.status == "optimal"


@biases
def test_more_features_than_samples(bias, backend):
    """The rotation to the rank of the rows comes after the scales."""
    rng = np.random.default_rng(2)
    wide, target = rng.standard_normal((6, 9)) * np.geomspace(1e-3, 1e3, 9) + 2.0, y[:6]
    scaled = (wide - wide.mean(axis=0) * (bias != "none")) / wide.std(axis=0)
    common = settings("relu", bias, backend, certificate="local")
    expected, result = fit(scaled, target, **common), fit(wide, target, standardize=True, **common)
    assert result.objective == pytest.approx(expected.objective, rel=1e-9)
    again = fit(wide, target, standardize=True, warm_start=result, max_iter=0, **common)
    assert again.objective == pytest.approx(result.objective, rel=1e-9)


def test_extreme_units(backend):
    """Squares of the features would overflow or vanish."""
    common = settings("relu", "decayed", backend, standardize=True)
    result = fit(Z, y, **common)
    for unit in (1e170, 1e-170):
        assert fit(Z * unit, y, **common).objective == pytest.approx(result.objective, rel=1e-9)


def test_standardize_is_a_bool():
    for function in (fit, path, beta_max):
        with pytest.raises(TypeError, match="standardize must be a bool, got str"):
            function(X, y, standardize="yes")
