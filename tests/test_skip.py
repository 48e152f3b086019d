"""Linear skip connections, against a conic solver; certificates by the formulas of `oracles`."""

from functools import lru_cache

import numpy as np
import pytest

import pyconvex
from pyconvex import (
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    PatternSet,
    fit,
    sample_patterns,
)
from pyconvex.linear import Skip, best_coefficients
from pyconvex.losses import Huber, Logistic, Poisson, Quantile, Squared, SquaredHinge

import oracles

X, f = oracles.teacher(12, 2, 5)
weights = np.array([1, 2, 3, 1, 2, 1, 0, 3, 1, 2, 1, 2])
BETA = 0.02
BIASES, SKIPS = ("free", "decayed", "none"), ("free", "decayed")
SMOOTH = ("squared", "logistic", "poisson", "huber")


def targets(name):
    """Targets of the loss; no linear function separates the classes."""
    if name == "squared":
        return f
    y = oracles.targets(name, f)
    if name in ("logistic", "hinge"):
        y[:4] *= -1.0
    return y


def rows_of(bias):
    return X if bias == "none" else oracles.ones(X)


@lru_cache
def patterns_of(model, bias):
    """All cells, or a dozen gates."""
    if model == "gated_relu":
        return sample_patterns(rows_of(bias), 12, random_state=1)
    return oracles.all_cells(rows_of(bias))


@lru_cache
def optimum(model, name, bias, skip, weighted=False):
    free = bias == "free"
    return oracles.conic_optimum(
        rows_of(bias), targets(name), patterns_of(model, bias).to_dense(), BETA, model == "relu",
        free, free and model == "relu", loss=name, skip=skip, skip_columns=X,
        weights=weights if weighted else None,
    )  # fmt: skip


def solve(model, name, bias, skip, **settings):
    if model == "gated_relu":
        settings["patterns"] = patterns_of(model, bias)
    settings = {"tol": 2e-7, "random_state": 0} | settings
    return fit(
        X, targets(name), beta=BETA, model=model, loss=oracles.loss_object(name), bias=bias,
        skip=skip, **settings,
    )  # fmt: skip


def check(result, model, name, bias, skip, s):
    """Recompute objective and dual bound from the network's weights."""
    network, y = result.network, targets(name)
    prediction = oracles.predict(network, X)
    np.testing.assert_allclose(result.predict(X), prediction, atol=1e-12)
    penalty = 0.5 * result.beta * oracles.squares(network, bias, model == "gated_relu")
    penalty += result.beta * np.linalg.norm(network.skip) * (skip == "decayed")
    loss = s @ oracles.losses(name, prediction, y)
    assert result.objective == pytest.approx(loss + penalty, rel=1e-9)
    assert network.output_bias == 0.0 or bias == "free"
    if name not in SMOOTH:
        return
    z = -s * slopes(name, prediction, y)
    size = np.abs(z).sum() * np.abs(X).max()
    if skip == "free":
        np.testing.assert_allclose(X.T @ z, 0.0, atol=1e-12 * size)
    if bias == "free":
        assert abs(z.sum()) <= 1e-12 * size
    kept = s > 0
    dense = patterns_of(model, bias).to_dense()[:, kept]
    free = bias == "free" and model == "relu"
    norm = oracles.dual_norm(rows_of(bias)[kept], z[kept], dense, model == "relu", free)
    norm = max(norm, np.linalg.norm(X.T @ z) if skip == "decayed" else 0.0)
    t = min(1.0, result.beta / norm)
    dual = oracles.dual_value(name, t * z[kept], y[kept], s[kept])
    assert result.dual_objective <= dual + 1e-6 * result.objective
    assert 1 - dual / result.objective <= 1e-6


def slopes(name, prediction, y):
    """Derivatives of the losses by the prediction."""
    return {
        "squared": lambda: prediction - y,
        "huber": lambda: np.clip(prediction - y, -0.5, 0.5),
        "poisson": lambda: np.exp(prediction) - y,
        "logistic": lambda: -y / (1 + np.exp(y * prediction)),
    }[name]()


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("name", [*SMOOTH, "hinge"])
@pytest.mark.parametrize("model", ["relu", "gated_relu"])
def test_against_a_conic_solver(model, name, bias, skip, backend):
    result = solve(model, name, bias, skip, backend=backend)
    level = "global" if model == "relu" else "restricted"
    assert (result.status, result.certificate) == ("optimal", level)
    check(result, model, name, bias, skip, np.full(12, 1 / 12))
    assert result.objective == pytest.approx(optimum(model, name, bias, skip), rel=1e-6)


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("name", ["squared", "logistic"])
@pytest.mark.parametrize("model", ["relu", "gated_relu"])
def test_sample_weights(model, name, skip, backend):
    result = solve(model, name, "free", skip, sample_weight=weights, backend=backend)
    assert result.status == "optimal"
    check(result, model, name, "free", skip, weights / weights.sum())
    assert result.objective == pytest.approx(optimum(model, name, "free", skip, True), rel=1e-6)
    rows = np.repeat(np.arange(12), weights)
    settings = {"beta": BETA, "model": model, "loss": name, "skip": skip, "random_state": 0}
    if model == "gated_relu":
        settings["patterns"] = PatternSet.from_gates(
            oracles.ones(X)[rows], patterns_of(model, "free").gates
        )
    copies = fit(X[rows], targets(name)[rows], tol=2e-7, backend=backend, **settings)
    assert copies.objective == pytest.approx(result.objective, rel=1e-6)


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("engine", ["fixed", "cd", "newton"])
def test_dependent_features(engine, skip, backend, monkeypatch):
    """A one-hot code, which adds up to the constant, a copy of a feature and a constant one."""
    code = np.eye(3)[np.arange(12) % 3]
    data = np.column_stack([code, X[:, 0], -2.0 * X[:, 0], np.full(12, 7.0)])
    gates = sample_patterns(oracles.ones(data), 10, random_state=0)
    if engine == "cd":
        monkeypatch.setattr("pyconvex.solver._NEWTON_SAMPLES", 0)
    cones = engine == "fixed"
    result = fit(
        data, f, beta=BETA, model="relu" if cones else "gated_relu", skip=skip, patterns=gates,
        tol=1e-8, backend=backend,
    )  # fmt: skip
    assert result.status == "optimal"
    assert np.isfinite(result.network.skip).all()
    best = oracles.conic_optimum(
        oracles.ones(data), f, gates.to_dense(), BETA, cones, True, cones, skip=skip,
        skip_columns=data, digits=1e-8,
    )  # fmt: skip
    assert result.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("units", [1e-3, 1e3])
@pytest.mark.parametrize("skip", ["none", *SKIPS])
def test_units_of_gated_features(skip, units, backend):
    """Features in other units with the weight decay in theirs are the same program."""
    data, y = oracles.teacher(40, 5, 1)
    settings = {"model": "gated_relu", "bias": "none", "patterns": 60, "skip": skip}
    settings |= {"random_state": 0, "backend": backend}
    one = fit(data, y, beta=0.01, **settings)
    other = fit(units * data, y, beta=0.01 * units, **settings)
    assert (one.status, other.status) == ("optimal", "optimal")
    assert abs(other.n_iter - one.n_iter) <= 5
    assert other.objective == pytest.approx(one.objective, rel=2e-6)


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("name", ["squared", "logistic"])
def test_the_engine_for_many_samples(name, skip, backend, monkeypatch):
    monkeypatch.setattr("pyconvex.solver._NEWTON_SAMPLES", 0)
    result = solve("gated_relu", name, "free", skip, backend=backend)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(optimum("gated_relu", name, "free", skip), rel=1e-6)


def test_more_features_than_samples(backend):
    """Free weights fit anything; decayed ones stay in the span of the rows."""
    rng = np.random.default_rng(0)
    wide, y = rng.standard_normal((6, 9)), rng.standard_normal(6)
    free = fit(wide, y, beta=0.1, skip="free", backend=backend)
    assert (free.network.n_neurons, free.status) == (0, "optimal")
    np.testing.assert_allclose(free.predict(wide), y, atol=1e-13)
    gates = sample_patterns(wide, 5, random_state=0)
    decayed = fit(
        wide, y, beta=0.1, model="gated_relu", bias="none", skip="decayed", patterns=gates,
        tol=1e-8, backend=backend,
    )  # fmt: skip
    best = oracles.conic_optimum(
        wide, y, gates.to_dense(), 0.1, False, skip="decayed", skip_columns=wide, digits=1e-8
    )
    assert decayed.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("name", SMOOTH)
def test_beta_max_with_a_free_skip(name, backend):
    """N(z) at the best linear fit."""
    y, settings = targets(name), {"loss": oracles.loss_object(name), "skip": "free"}
    largest = pyconvex.beta_max(X, y, backend=backend, **settings)
    linear = fit(X, y, beta=1.001 * largest, backend=backend, **settings)
    assert linear.network.n_neurons == 0
    z = -slopes(name, linear.predict(X), y) / 12
    cells = patterns_of("relu", "free").to_dense()
    assert largest == pytest.approx(oracles.dual_norm(oracles.ones(X), z, cells, True, True))
    assert fit(X, y, beta=0.98 * largest, backend=backend, **settings).network.n_neurons > 0


@pytest.mark.parametrize("model", ["relu", "gated_relu"])
def test_beta_max_with_a_decayed_skip(model, backend):
    settings = {"model": model, "skip": "decayed", "bias": "none", "backend": backend}
    y = X @ [1.0, -1.0]
    largest = pyconvex.beta_max(X, y, patterns=5 if model == "gated_relu" else "auto", **settings)
    assert largest >= np.linalg.norm(X.T @ y) / 12 * (1 - 1e-12)
    settings |= {"patterns": 5, "random_state": 0} if model == "gated_relu" else {}
    above, below = (fit(X, y, beta=c * largest, **settings) for c in (1.001, 0.99))
    assert not above.network.skip.any()
    assert above.network.n_neurons == 0
    assert below.network.skip.any()


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("loss", ["squared", Huber(0.5)], ids=repr)
def test_linear_data_need_no_neurons(loss, skip, backend):
    y = X @ [1.3, -2.1] + 0.7
    result = fit(X, y, beta=0.01, loss=loss, skip=skip, backend=backend)
    assert (result.network.n_neurons, result.status) == (0, "optimal")
    if skip == "free":
        np.testing.assert_allclose(result.network.skip, [1.3, -2.1])
        assert result.network.output_bias == pytest.approx(0.7)
        assert pyconvex.beta_max(X, y, loss=loss, skip=skip, backend=backend) < 1e-12


def test_a_free_skip_needs_no_opposite_neurons(backend):
    """|t| = (t)_+ + (-t)_+ = 2 (t)_+ - t: one neuron on a line, as good as two."""
    x = np.linspace(-1.0, 1.0, 21)[:, np.newaxis]
    result = fit(x, np.abs(x[:, 0]), beta=1e-3, skip="free", backend=backend)
    assert (result.network.n_neurons, result.certificate) == (1, "global")
    two = fit(x, np.abs(x[:, 0]), beta=1e-3, backend=backend)
    assert two.network.n_neurons == 2
    assert result.objective == pytest.approx(two.objective, rel=1e-9)


def test_a_skip_without_finite_optimum_is_an_error():
    y = np.where(X[:, 0] > 0.0, 1.0, -1.0)
    with pytest.raises(ValueError, match="skip='free' has no finite optimum"):
        fit(X, y, loss="logistic", skip="free")
    counts = np.where(X[:, 0] > 0.0, 0.0, 1.0)
    one = np.where(counts[:, np.newaxis] > 0.0, 0.0, X[:, :1])
    with pytest.raises(ValueError, match="pass skip='decayed'"):
        fit(one, counts, loss="poisson", skip="free")
    assert fit(X, y, beta=0.01, loss="logistic", skip="decayed").status == "optimal"
    assert fit(X, y, beta=0.01, loss="squared_hinge", skip="free").network.n_neurons == 0
    with pytest.raises(ValueError, match="skip must be"):
        fit(X, y, skip="linear")


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("bias", BIASES)
def test_standardised_features(bias, skip, backend):
    """The program does not depend on the units of the features."""
    settings = {"bias": bias, "skip": skip, "standardize": True, "tol": 1e-8, "random_state": 0}
    offset = 0.0 if bias == "none" else [3.0, -40.0]
    other = X * [1e-3, 200.0] + offset
    one = fit(X, f, beta=0.05, backend=backend, **settings)
    two = fit(other, f, beta=0.05, backend=backend, **settings)
    assert two.objective == pytest.approx(one.objective, rel=1e-7)
    assert one.gap <= 1e-8
    loss = 0.5 * np.mean((f - two.predict(other)) ** 2)
    assert loss < two.objective


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("model", ["relu", "gated_relu"])
def test_paths_and_warm_starts(model, skip, backend):
    y = targets("logistic")
    settings = {"model": model, "loss": "logistic", "skip": skip, "random_state": 0}
    settings |= {"bias": "none", "backend": backend, "patterns": patterns_of(model, "none")}
    path = pyconvex.path(X, y, n_betas=5, **settings)
    assert path.status == "optimal"
    assert path.n_neurons[0] == 0
    assert (np.diff(path.objectives) < 0).all()
    cold = fit(X, y, beta=path.betas[-1], **settings)
    assert path.objectives[-1] == pytest.approx(cold.objective, rel=2e-6)
    warm = fit(X, y, beta=path.betas[-1], warm_start=cold, **settings)
    assert warm.n_iter < cold.n_iter
    assert warm.objective == pytest.approx(cold.objective, rel=2e-6)


@pytest.mark.parametrize("skip", SKIPS)
def test_minimal_networks_keep_their_objective(skip):
    for standardize in (False, True):
        settings = {"beta": 1e-3, "skip": skip, "standardize": standardize, "random_state": 0}
        plain, few = (fit(X, f, minimal=minimal, **settings) for minimal in (False, True))
        assert few.network.n_neurons <= plain.network.n_neurons
        assert few.objective <= plain.objective * (1 + 1e-10)


@pytest.mark.parametrize("skip", SKIPS)
def test_estimators(skip):
    settings = {"skip": skip, "standardize": True, "bias": "decayed", "random_state": 0}
    model = ConvexReLURegressor(beta=0.05, **settings).fit(X, f)
    result = fit(X, f, beta=0.05, **settings)
    assert model.objective_ == result.objective
    np.testing.assert_array_equal(model.network_.skip, result.network.skip)
    chosen = ConvexReLURegressorCV(cv=2, n_betas=3, **settings).fit(X, f)
    assert (chosen.network_.skip.shape, chosen.status_) == ((2,), "optimal")


LOSSES = (Squared(), Huber(0.3), Logistic(), SquaredHinge(), Poisson(), Quantile(0.3))


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_best_coefficients(loss):
    """The multiplier is orthogonal to the columns, whatever the start and the curvature there."""
    rng = np.random.default_rng(0)
    F, s = oracles.ones(rng.standard_normal((50, 4))), rng.uniform(0.5, 1.5, 50)
    y = np.where(rng.standard_normal(50) > 0.0, 1.0, 0.0 if loss.name == "poisson" else -1.0)
    smooth = loss.smooth(y, 1e-2)
    for size in (0.0, 1.0, 20.0):
        start = size * rng.standard_normal(50)
        a = best_coefficients(smooth, start, y, s, F)
        z = smooth.multiplier(start + F @ a, y, s)
        scale = np.abs(z) @ np.abs(F) + s @ np.abs(F)
        assert (np.abs(z @ F) <= 1e-12 * scale).all()


def test_columns_span_the_features():
    features = np.column_stack([X, X @ [1.0, 2.0], np.full(12, 5.0), 1e-9 * X[:, 0] ** 2])
    for constant, rank in ((True, 3), (False, 4)):
        skip = Skip.of(features, free=True, constant=constant)
        assert skip.columns.shape == (12, rank)
        np.testing.assert_allclose(skip.columns.T @ skip.columns, 12 * np.eye(rank), atol=1e-12)
        weights, lost = skip.to_features(np.arange(1.0, rank + 1.0))
        output = skip.columns @ np.arange(1.0, rank + 1.0)
        np.testing.assert_allclose(features @ weights - lost, output, atol=1e-9)
