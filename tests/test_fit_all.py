"""Training over every pattern: the certificate is global, and it is right."""

import numpy as np
import pytest

from pyconvex import Network, beta_max, enumerate_patterns, fit

import oracles
from arrangements import grid

MODELS = ("relu", "gated_relu")
BIASES = ("free", "decayed", "none")


def problem(seed, degenerate):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (14, 2)).astype(float) if degenerate else rng.standard_normal((10, 2))
    return X, rng.standard_normal(len(X))


def rows(X, bias):
    return X if bias == "none" else oracles.ones(X)


def recomputed_bound(result, X, y, bias, gated):
    """The dual objective from the network's residual, every cell priced by NNLS."""
    residual = y - oracles.predict(result.network, X)
    z, free = residual / len(X), bias == "free"
    if free:
        z = z - z.mean()
    cells = enumerate_patterns(rows(X, bias)).to_dense()
    norm = oracles.dual_norm(rows(X, bias), z, cells, not gated, free and not gated)
    return oracles.dual_objective(z, y, np.full(len(y), 1 / len(y)), result.beta / norm)


@pytest.mark.parametrize(
    ("model", "optimum", "limit"),
    [("relu", 0.73284603, 1.59799322), ("gated_relu", 0.34868335, 2.73184823)],
)
def test_golden_values(model, optimum, limit, backend):
    X, y, beta = oracles.golden()
    common = {"model": model, "bias": "none", "patterns": "all", "backend": backend}
    result = fit(X, y, beta=beta, tol=1e-8, random_state=0, **common)
    assert (result.certificate, result.status) == ("global", "optimal")
    assert result.gap <= 1e-8
    assert 8 * result.objective == pytest.approx(optimum, abs=1e-7)
    assert 8 * beta_max(X, y, **common) == pytest.approx(limit, abs=1e-7)
    assert len(result.patterns) == 58


@pytest.mark.parametrize("degenerate", [False, True])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("bias", BIASES)
def test_the_optimum_of_the_full_program(model, bias, degenerate, backend):
    for seed in range(2):
        X, y = problem(seed, degenerate)
        gated = model == "gated_relu"
        common = {"model": model, "bias": bias, "patterns": "all", "backend": backend}
        # gates of neighbouring cells are nearly the same: hard to tell apart at a small beta
        tol, share = (1e-6, 0.05) if gated else (1e-8, 0.01)
        result = fit(
            X, y, beta=share * beta_max(X, y, **common), tol=tol, certificate="global",
            random_state=0, **common,
        )  # fmt: skip
        assert (result.certificate, result.status) == ("global", "optimal")
        assert result.gap <= tol
        cells = enumerate_patterns(rows(X, bias)).to_dense()
        free = bias == "free"
        optimum = oracles.conic_optimum(
            rows(X, bias), y, cells, result.beta, not gated, free, free and not gated
        )
        assert optimum * (1 - 1e-7) <= result.objective <= optimum * (1 + tol + 1e-7)
        assert result.lower_bound == result.dual_objective <= optimum * (1 + 1e-7)
        bound = recomputed_bound(result, X, y, bias, gated)
        assert result.dual_objective <= bound * (1 + 1e-6)
        assert result.objective == pytest.approx(oracles.objective(result, X, y, bias, gated))


def test_weights_count_as_copies(backend):
    X, y = problem(3, degenerate=True)
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    common = {"patterns": "all", "beta": 0.01, "tol": 1e-9, "random_state": 0, "backend": backend}
    weighted = fit(X, y, sample_weight=weights, **common)
    copied = fit(np.repeat(X, weights, axis=0), np.repeat(y, weights), **common)
    assert weighted.certificate == copied.certificate == "global"
    assert weighted.objective == pytest.approx(copied.objective, rel=1e-8)


def test_grid_data(backend):
    """Points of a grid: 25 samples on a few dozen lines of three and more."""
    X = grid(5, 2)[:, :2]
    y = np.abs(X[:, 0] - 2.0) - 0.5 * X[:, 1]
    result = fit(X, y, patterns="all", beta=1e-3, random_state=0, backend=backend)
    assert (result.certificate, result.status) == ("global", "optimal")


def test_an_unfinished_solve_is_certified_for_what_it_is(backend):
    X, y = problem(1, degenerate=False)
    whole = fit(X, y, patterns="all", beta=1e-3, random_state=0, backend=backend)
    short = fit(X, y, patterns="all", beta=1e-3, max_iter=1, random_state=0, backend=backend)
    assert short.status == "max_iter"
    assert short.certificate == "global"
    assert short.gap > 1e-6
    assert short.dual_objective <= whole.objective <= short.objective
    again = fit(X, y, patterns="all", beta=1e-3, warm_start=whole, backend=backend)
    assert again.n_iter <= 2
    assert again.objective == pytest.approx(whole.objective, rel=1e-6)


def test_beta_max_leaves_no_neuron(backend):
    for bias in BIASES:
        X, y = problem(2, degenerate=False)
        limit = beta_max(X, y, bias=bias, patterns="all", backend=backend)
        result = fit(X, y, bias=bias, patterns="all", beta=limit * (1 + 1e-9), backend=backend)
        assert result.network.n_neurons == 0
        below = fit(X, y, bias=bias, patterns="all", beta=0.99 * limit, tol=1e-9, backend=backend)
        assert below.network.n_neurons > 0


def test_too_many_patterns_are_refused_with_a_remedy():
    X = np.random.default_rng(0).standard_normal((500, 8))
    with pytest.raises(ValueError, match=r"X may have .* patterns"):
        fit(X, X[:, 0], patterns="all")
    start = Network(np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    assert fit(X[:10, :2], X[:10, 0], patterns="all", warm_start=start).certificate == "global"
