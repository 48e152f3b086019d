"""Programs with every loss, against a conic solver; certificates by the formulas of `oracles`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyconvex
from pyconvex import fit, sample_patterns, solve_group_lasso

import oracles

X, f = oracles.teacher(20, 3)
gates = sample_patterns(X, 12, random_state=0)
weights = np.random.default_rng(3).integers(0, 4, 20)
PROGRAMS = (
    {"cones": True},
    {"cones": False, "engine": "cd"},
    {"cones": False, "engine": "newton"},
)


def check_result(result, y, name, cones, s):
    """Recompute the objective and the dual bound of the returned weights and multiplier."""
    masks, signs = gates.to_dense()[result.active], result.signs
    signs = np.ones(len(masks)) if signs is None else signs
    prediction = signs @ (masks * (result.coef @ X.T)) + result.intercept
    loss = s @ oracles.losses(name, prediction, y)
    penalty = result.beta * np.linalg.norm(result.coef, axis=1).sum()
    assert result.objective == pytest.approx(loss + penalty, rel=1e-9)
    kept = s > 0
    z, rows = result.multiplier[kept], gates.to_dense()[:, kept]
    t = min(1.0, result.beta / oracles.dual_norm(X[kept], z, rows, cones))
    dual = oracles.dual_value(name, t * z, y[kept], s[kept])
    assert result.dual_objective <= dual * (1 + 1e-9) + 1e-12
    assert result.gap == pytest.approx(1 - result.dual_objective / result.objective, abs=1e-12)
    assert (result.certificate, result.status) == ("restricted", "optimal")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("sample_weight", [None, weights], ids=["equal", "weighted"])
@pytest.mark.parametrize("name", oracles.LOSSES)
def test_against_a_conic_solver(name, sample_weight, intercept, program, backend):
    y, cones = oracles.targets(name, f), program["cones"]
    result = solve_group_lasso(
        X, y, gates, beta=0.01, loss=oracles.loss_object(name), intercept=intercept,
        sample_weight=sample_weight, tol=1e-7, backend=backend, **program,
    )  # fmt: skip
    s = np.full(20, 0.05) if sample_weight is None else sample_weight / sample_weight.sum()
    check_result(result, y, name, cones, s)
    optimum = oracles.conic_optimum(
        X, y, gates.to_dense(), 0.01, cones, intercept, weights=sample_weight, loss=name
    )
    assert result.objective == pytest.approx(optimum, rel=1e-6)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", ["logistic", "hinge", "poisson"])
def test_ridge_and_group_weights(name, program, backend):
    y, omega = oracles.targets(name, f), np.random.default_rng(7).uniform(0.5, 2.0, len(gates))
    result = solve_group_lasso(
        X, y, gates, beta=0.005, ridge=0.003, group_weights=omega, loss=name, intercept=True,
        tol=1e-7, backend=backend, **program,
    )  # fmt: skip
    optimum = oracles.conic_optimum(
        X, y, gates.to_dense(), 0.005, program["cones"], True, ridge=0.003, group_weights=omega,
        loss=name,
    )  # fmt: skip
    assert result.status == "optimal"
    assert result.dual_objective <= optimum * (1 + 1e-8)
    assert result.objective == pytest.approx(optimum, rel=1e-6)


def test_golden_logistic(backend):
    X, y, beta = oracles.golden()
    result = fit(
        X, np.sign(y), beta=beta, loss="logistic", bias="none", patterns="all", tol=1e-9,
        backend=backend,
    )  # fmt: skip
    assert (result.certificate, result.status) == ("global", "optimal")
    assert 8 * result.objective == pytest.approx(2.72340466, abs=1e-7)


@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
@pytest.mark.parametrize("name", oracles.LOSSES)
def test_networks_of_any_width(name, bias, backend):
    """Column generation with its proof reaches the optimum of the full convex program."""
    X, f = oracles.teacher(12, 2, 5)
    rows = X if bias == "none" else oracles.ones(X)
    y, cells = oracles.targets(name, f), oracles.all_cells(rows).to_dense()
    result = fit(
        X, y, beta=0.02, loss=oracles.loss_object(name), bias=bias, random_state=0, tol=1e-7,
        backend=backend,
    )  # fmt: skip
    assert (result.certificate, result.status) == ("global", "optimal")
    assert result.gap <= 1e-7
    loss = oracles.losses(name, oracles.predict(result.network, X), y).mean()
    penalty = 0.5 * result.beta * oracles.squares(result.network, bias, False)
    assert result.objective == pytest.approx(loss + penalty, rel=1e-9)
    free = bias == "free"
    optimum = oracles.conic_optimum(rows, y, cells, 0.02, True, free, free, loss=name)
    assert result.objective == pytest.approx(optimum, rel=1e-6)
    assert result.dual_objective <= optimum * (1 + 1e-8)


@pytest.mark.parametrize("model", ["relu", "gated_relu"])
@pytest.mark.parametrize("name", oracles.LOSSES)
def test_no_neurons_from_beta_max_on(name, model, backend):
    y, loss = oracles.targets(name, f), oracles.loss_object(name)
    settings = {"model": model, "loss": loss, "backend": backend}
    largest = pyconvex.beta_max(X, y, patterns=20 if model == "gated_relu" else "auto", **settings)
    settings |= {"patterns": 20, "random_state": 0} if model == "gated_relu" else {}
    assert fit(X, y, beta=1.001 * largest, **settings).network.n_neurons == 0
    if name not in ("hinge", "quantile"):  # there it is an upper bound
        assert fit(X, y, beta=0.98 * largest, **settings).network.n_neurons > 0


@pytest.mark.parametrize("name", ["logistic", "hinge"])
def test_integer_weights_are_copies(name, backend):
    """Copies of a row with different targets too: they share a kink."""
    y = oracles.targets(name, f)
    rows = np.repeat(np.arange(20), weights)
    twice = np.concatenate([rows, rows[:5]])
    targets = np.concatenate([y[rows], -y[rows[:5]]])
    settings = {"beta": 0.01, "loss": name, "random_state": 0, "tol": 1e-8, "backend": backend}
    many = np.tile(rows, 5)  # as many words of bits for the samples as for more than the rows
    assert fit(X[many], y[many], **settings).objective > 0.0
    copies = fit(X[rows], y[rows], **settings)
    weighted = fit(X, y, sample_weight=weights, **settings)
    assert copies.objective == pytest.approx(weighted.objective, rel=1e-7)
    mixed = fit(X[twice], targets, **settings)
    assert (mixed.status, mixed.certificate) == ("optimal", "global")
    loss = oracles.losses(name, oracles.predict(mixed.network, X[twice]), targets).mean()
    penalty = 0.5 * mixed.beta * oracles.squares(mixed.network, "free", False)
    assert mixed.objective == pytest.approx(loss + penalty, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), name=st.sampled_from(oracles.LOSSES))
def test_rotations_and_permutations(seed, name):
    rng = np.random.default_rng(seed)
    X, f = oracles.teacher(15, 3, seed)
    y, loss = oracles.targets(name, f, seed), oracles.loss_object(name)
    order, rotation = rng.permutation(15), np.linalg.qr(rng.standard_normal((3, 3)))[0]
    one = fit(X, y, beta=0.02, loss=loss, random_state=0)
    other = fit((X @ rotation)[order], y[order], beta=0.02, loss=loss, random_state=1)
    assert one.status == other.status == "optimal"
    assert one.objective == pytest.approx(other.objective, rel=2e-6)


@pytest.mark.parametrize("name", ["hinge", "quantile"])
def test_smoothing_ends_with_a_proof(name, backend):
    """A gap from a short search is no reason to stop: the last one is proved."""
    i, j = np.arange(24.0)[:, np.newaxis], np.arange(2.0)
    X = np.sin(3 + 1.7 * i + 2.9 * j + 0.31 * i * j)
    f = (
        np.maximum(X @ [1.0, -0.5], 0.0)
        - np.maximum(X[:, 1] + 0.3, 0.0)
        + 0.3 * np.sin(5 * i[:, 0])
    )
    y = f if name == "quantile" else np.where(f > -0.1, 1.0, -1.0)
    loss = oracles.loss_object(name)
    one, other = (fit(X, y, beta=0.01, loss=loss, random_state=k, backend=backend) for k in (0, 1))
    assert one.certificate == other.certificate == "global"
    assert one.objective == pytest.approx(other.objective, rel=1e-6)


def test_paths(backend):
    y = oracles.targets("logistic", f)
    path = pyconvex.path(X, y, loss="logistic", n_betas=8, random_state=0, backend=backend)
    assert path.status == "optimal"
    assert path.n_neurons[0] == 0
    assert (np.diff(path.objectives) < 0).all()
    results = pyconvex.group_lasso_path(X, y, gates, loss="hinge", n_betas=5, backend=backend)
    assert [result.status.value for result in results] == ["optimal"] * 5


def test_minimal_networks_keep_their_objective():
    y = oracles.targets("poisson", f)
    plain = fit(X, y, beta=0.001, loss="poisson", random_state=0)
    few = fit(X, y, beta=0.001, loss="poisson", random_state=0, minimal=True)
    assert few.network.n_neurons <= plain.network.n_neurons
    assert few.objective <= plain.objective * (1 + 1e-10)


def test_a_warm_start_is_good(backend):
    y = oracles.targets("logistic", f)
    settings = {"beta": 0.005, "loss": "logistic", "random_state": 0, "backend": backend}
    cold = fit(X, y, **settings)
    warm = fit(X, y, warm_start=cold, **settings)
    assert warm.n_iter < cold.n_iter
    assert warm.objective == pytest.approx(cold.objective, rel=1e-6)


def test_limits_keep_the_best_state():
    y = oracles.targets("hinge", f)
    result = fit(X, y, beta=1e-4, loss="hinge", max_iter=2, random_state=0)
    assert result.status == "max_iter"
    loss = oracles.losses("hinge", oracles.predict(result.network, X), y).mean()
    penalty = 0.5 * result.beta * oracles.squares(result.network, "free", False)
    assert result.objective == pytest.approx(loss + penalty, rel=1e-9)
    assert result.lower_bound <= result.objective


@pytest.mark.parametrize(("name", "seed"), [("huber", 0), ("poisson", 7), ("logistic", 8)])
def test_weights_that_prove_the_last_digits(name, seed, backend):
    """Where objectives differ by rounding alone, other weights prove more than the lowest one's."""
    rng = np.random.default_rng(seed)
    X = rng.random((60, 12)) * (rng.random((60, 12)) < 0.3)
    y = oracles.targets(name, rng.standard_normal(60))
    result = fit(
        X, y, model="gated_relu", loss=name, bias="decayed", patterns=30, beta=0.005, tol=1e-9,
        random_state=0, max_iter=400, backend=backend,
    )  # fmt: skip
    assert result.status == "optimal"
