"""Numerical traps: degenerate, badly scaled and extreme data, where proofs must hold."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from pyconvex import Network, Status, beta_max, enumerate_patterns, fit

import oracles

BIASES = ("free", "decayed", "none")
MAX_CELLS = 200  # up to which all cells are priced by brute force
MAX_SOLVED = 60  # up to which the full program is solved by cvxpy

pytestmark = pytest.mark.parametrize("bias", BIASES)


def relu(values):
    return np.maximum(values, 0.0)


def grid_targets(X):
    """Made by neurons whose kinks pass through points of the grid."""
    return relu(X[:, 0] - X[:, 1]) - relu(-X[:, 0] - X[:, 1]) + 0.5 * relu(X[:, 1])


def solver_rows(X, bias):
    if bias == "free":
        X = X - X.mean(axis=0)
    return X if bias == "none" else oracles.ones(X)


def few_cells(X, bias):
    """All cells as the solver sees them, None where they are many."""
    rows = solver_rows(X, bias)
    cells = enumerate_patterns(rows).to_dense()
    return (rows, cells) if len(cells) <= MAX_CELLS else (rows, None)


def brute_bound(result, X, y, bias, weights):
    """A lower bound from the network's own multiplier, priced cell by cell; None for many cells."""
    rows, cells = few_cells(X, bias)
    if cells is None:
        return None
    z = weights * (y - oracles.predict(result.network, X))
    if bias == "free":
        assert abs(z.sum()) <= 1e-9 * np.abs(weights * y).sum()
    norm = oracles.dual_norm(rows, z, cells, True, bias == "free")
    if not z.any():
        return 0.0
    return oracles.dual_objective(z, y, weights, result.beta / max(norm, 1e-300))


def check_figures(result, X, y, bias, weights=None, rel=1e-9):
    """What holds of every fit, proved or not."""
    expected = oracles.objective(result, X, y, bias, weights=weights)
    weights = np.ones(len(y)) if weights is None else weights
    scale = weights @ y**2 / weights.sum()
    assert result.objective == pytest.approx(expected, rel=rel, abs=1e-15 * scale)
    assert 0.0 <= result.lower_bound <= result.objective
    assert 0.0 <= result.gap <= 1.0
    assert np.isfinite(result.network.hidden_weights).all()


def check_proof(result, X, y, bias, weights=None, tol=1e-8):
    """A global optimum: figures, certificate, and an independent bound or optimum."""
    check_figures(result, X, y, bias, weights)
    assert (result.certificate, result.status) == ("global", "optimal")
    assert result.gap <= tol
    assert result.lower_bound == result.dual_objective
    weights = np.ones(len(y)) if weights is None else weights
    kept = weights > 0
    X, y, weights = X[kept], y[kept], weights[kept] / weights.sum()
    bound = brute_bound(result, X, y, bias, weights)
    if bound is not None:
        assert bound >= result.objective * (1 - 1e-6)


def solve(X, y, bias, backend, beta, **settings):
    settings = {"tol": 1e-8, "certificate": "global", "random_state": 0} | settings
    return fit(X, y, beta=beta, bias=bias, n_threads=1, backend=backend, **settings)


def limit_of(X, y, bias, backend, **settings):
    return beta_max(X, y, bias=bias, n_threads=1, backend=backend, **settings)


rng = np.random.default_rng(0)
GRID = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=2)))
CUBE = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
RAYS = np.array([[0, 0], [1, 0], [-1, 0], [2, 0], [0, 1], [0, -3], [1, 1], [-2, -2.0]])
SIX, WIDE = rng.standard_normal((6, 2)), rng.standard_normal((6, 12))
NOISE = rng.standard_normal(12)

TRAPS = {
    "grid": (GRID, NOISE[:9]),
    "kinks through the points of a grid": (GRID, grid_targets(GRID)),
    "cube": (CUBE, NOISE[:8]),
    "kinks through the corners of a cube": (CUBE, grid_targets(CUBE)),
    "rows through the origin": (RAYS, NOISE[:8]),
    "kinks through rows of a ray": (RAYS, grid_targets(RAYS)),
    "opposite rows": (np.concatenate([SIX[:4], -SIX[:4]]), NOISE[:8]),
    "on a line": (np.add([0.0, 1.0], np.outer(np.arange(7.0), [1.0, 2.0])), NOISE[:7]),
    "on a line through the origin": (np.outer(np.arange(-3.0, 4.0), [1.0, 2.0]), NOISE[:7]),
    "on a plane": (SIX @ rng.standard_normal((2, 3)), NOISE[:6]),
    "n = 1": (SIX[:1], NOISE[:1]),
    "n = d = 1": (SIX[:1, :1], NOISE[:1]),
    "n = 2": (SIX[:2], NOISE[:2]),
    "n = 2, d = 1": (SIX[:2, :1], NOISE[:2]),
    "d = 1": (np.arange(12.0).reshape(-1, 1) - 5.0, NOISE),
    "constant feature": (np.column_stack([SIX, np.full(6, 3.0)]), NOISE[:6]),
    "more features than samples": (WIDE, NOISE[:6]),
    "all rows equal": (np.tile([[1.0, -2.0]], (5, 1)), NOISE[:5]),
    "all rows zero": (np.zeros((4, 2)), NOISE[:4]),
    "contradicting rows": (GRID[[0, 0, 1, 1, 5, 5]], NOISE[:6]),
    "nearly equal rows": (np.concatenate([SIX[:4], SIX[:4] + 1e-9]), NOISE[:8]),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_degenerate_data(trap, bias, backend):
    X, y = TRAPS[trap]
    limit = limit_of(X, y, bias, backend)
    for share in (0.3, 0.01):
        result = solve(X, y, bias, backend, share * limit or 1.0)
        check_proof(result, X, y, bias)
        if limit > 0.0:
            assert result.network.n_neurons > 0


SOLVED = ("kinks through rows of a ray", "on a line", "n = 2", "n = d = 1", "all rows equal")


@pytest.mark.parametrize("trap", SOLVED)
def test_the_full_program_agrees(trap, bias, backend):
    X, y = TRAPS[trap]
    rows, cells = few_cells(X, bias)
    assert len(cells) <= MAX_SOLVED
    result = solve(X, y, bias, backend, 0.02)
    free = bias == "free"
    optimum = oracles.conic_optimum(rows, y, cells, 0.02, True, free, free)
    assert result.objective == pytest.approx(optimum, rel=1e-6)
    assert result.lower_bound <= optimum * (1 + 1e-7)


# --- Copies and weights --------------------------------------------------------------------


def test_copies_equal_weights(bias, backend):
    counts = np.array([1, 2, 3, 1, 4, 2, 1, 1, 3])
    X, y = GRID.repeat(counts, axis=0), NOISE[:9].repeat(counts)
    copies = solve(X, y, bias, backend, 0.02, tol=1e-9)
    weights = counts.astype(float)
    weighted = solve(GRID, NOISE[:9], bias, backend, 0.02, tol=1e-9, sample_weight=weights)
    check_proof(copies, X, y, bias)
    check_proof(weighted, GRID, NOISE[:9], bias, weights)
    assert copies.objective == pytest.approx(weighted.objective, rel=1e-8)


def test_weights_of_zero(bias, backend):
    X = np.concatenate([GRID, [[1e3, -1e3], [0.3, 0.1]]])
    y = np.append(NOISE[:9], [1e6, -5.0])
    weights = np.append(np.ones(9), [0.0, 0.0])
    weighted = solve(X, y, bias, backend, 0.02, sample_weight=weights)
    dropped = solve(GRID, NOISE[:9], bias, backend, 0.02)
    check_proof(weighted, X, y, bias, weights)
    assert weighted.objective == pytest.approx(dropped.objective, rel=2e-8)


def test_one_weight_is_not_zero(bias, backend):
    weights = np.append(np.zeros(8), 2.0)
    result = solve(GRID, NOISE[:9], bias, backend, 0.02, sample_weight=weights)
    check_proof(result, GRID, NOISE[:9], bias, weights)


# --- Targets -------------------------------------------------------------------------------


def test_zero_targets(bias, backend):
    for X in (GRID, SIX[:1], WIDE, np.zeros((3, 2))):
        result = solve(X, np.zeros(len(X)), bias, backend, 0.01)
        assert (result.certificate, result.status) == ("global", "optimal")
        assert (result.objective, result.gap, result.lower_bound) == (0.0, 0.0, 0.0)
        assert result.network.n_neurons == 0
        assert result.network.output_bias == 0.0


@pytest.mark.parametrize("X", [GRID, SIX, WIDE[:3]], ids=["grid", "plane", "wide"])
def test_constant_targets(X, bias, backend):
    y = np.full(len(X), -1.7)
    result = solve(X, y, bias, backend, 0.01)
    if bias == "free":
        assert result.network.n_neurons == 0
        assert result.network.output_bias == pytest.approx(-1.7, rel=1e-14)
        assert result.objective <= 1e-28
        assert result.status == "optimal"
    else:
        check_proof(result, X, y, bias)


@pytest.mark.parametrize("share", [1e-2, 1e-4, 1e-6])
def test_targets_in_the_span_of_few_neurons(share, bias, backend):
    X = np.concatenate([GRID, SIX])
    y = grid_targets(X)
    beta = share * limit_of(X, y, bias, backend)
    result = solve(X, y, bias, backend, beta, tol=1e-6)
    check_figures(result, X, y, bias, rel=1e-6)
    norm = 1.5 * np.sqrt(2.0) + 2.0  # of the three neurons: |w| |alpha| is sqrt(2), sqrt(2), 1/2
    assert result.objective <= beta * norm
    residual = y - result.predict(X)
    assert 0.5 * np.mean(residual**2) <= beta * norm
    check_proof(result, X, y, bias, tol=1e-6)
    assert 0.5 * np.mean(residual**2) <= 10.0 * beta**2 * norm**2 / limit_of(X, y, bias, backend)


@pytest.mark.parametrize("scale", [1e8, 1e-8])
def test_the_scale_of_targets(scale, bias, backend):
    X, y = oracles.teacher(10, 2, seed=5)
    expected = solve(X, y, bias, backend, 0.01)
    result = solve(X, scale * y, bias, backend, scale * 0.01)
    check_proof(result, X, scale * y, bias)
    assert result.objective / scale**2 == pytest.approx(expected.objective, rel=1e-6)
    limit = limit_of(X, y, bias, backend)
    assert limit_of(X, scale * y, bias, backend) / scale == pytest.approx(limit, rel=1e-6)


# --- Weight decay --------------------------------------------------------------------------


@pytest.mark.parametrize("trap", ["grid", "rows through the origin", "d = 1", "n = 2"])
def test_tiny_beta(trap, bias, backend):
    X, y = TRAPS[trap]
    limit = limit_of(X, y, bias, backend)
    beta = 1e-6 * limit
    cheap = solve(X, y, bias, backend, 0.01 * limit)
    feasible = oracles.objective(SimpleNamespace(network=cheap.network, beta=beta), X, y, bias)
    result = solve(X, y, bias, backend, beta, tol=1e-6, max_iter=200)
    check_figures(result, X, y, bias, rel=1e-6)
    assert result.status in tuple(Status)
    assert result.certificate == "global"
    assert (result.status == "optimal") == (result.gap <= 1e-6)
    assert result.objective <= feasible * (1 + 1e-9)
    bound = brute_bound(result, X, y, bias, np.full(len(y), 1 / len(y)))
    assert bound <= result.objective * (1 + 1e-9)


@pytest.mark.parametrize("share", [1.0 + 1e-7, 2.0, 1e6])
def test_large_beta(share, bias, backend):
    for X, y in (TRAPS["grid"], TRAPS["n = 2"], TRAPS["more features than samples"]):
        beta = share * limit_of(X, y, bias, backend)
        result = solve(X, y, bias, backend, beta)
        check_proof(result, X, y, bias)
        assert result.network.n_neurons == 0
        mean = y.mean() if bias == "free" else 0.0
        assert result.network.output_bias == pytest.approx(mean, rel=1e-14)
        assert result.objective == pytest.approx(0.5 * np.mean((y - mean) ** 2), rel=1e-14)


# --- Neurons -------------------------------------------------------------------------------


def split(network):
    """The same network with every neuron in two parts, 0.3 and 0.7."""
    roots = np.sqrt([0.3, 0.7])
    return Network(
        np.concatenate([root * network.hidden_weights for root in roots]),
        np.concatenate([root * network.hidden_bias for root in roots]),
        np.concatenate([root * network.output_weights for root in roots]),
        network.output_bias,
    )


def doubled(network):
    """Another network, with every neuron twice and once more with the opposite sign."""
    output = network.output_weights
    return Network(
        np.tile(network.hidden_weights, (3, 1)),
        np.tile(network.hidden_bias, 3),
        np.concatenate([output, output, -output]),
        network.output_bias,
    )


@pytest.mark.parametrize("change", [split, doubled])
@pytest.mark.parametrize("trap", ["grid", "kinks through rows of a ray", "d = 1"])
def test_collinear_neurons(trap, change, bias, backend):
    X, y = TRAPS[trap]
    first = solve(X, y, bias, backend, 0.02)
    start = change(first.network)
    assert start.n_neurons > first.network.n_neurons
    result = solve(X, y, bias, backend, 0.02, warm_start=start)
    check_proof(result, X, y, bias)
    assert result.objective == pytest.approx(first.objective, rel=2e-8)
    other = solve(X, y, bias, backend, 0.01, warm_start=start)
    check_proof(other, X, y, bias)


# --- Features ------------------------------------------------------------------------------


@pytest.mark.parametrize("scales", [(1e-6, 1.0), (1.0, 1e6), (1e-6, 1e6)])
def test_features_of_different_scales(scales, bias, backend):
    X, y = oracles.teacher(8, 2, seed=2)
    X = X * scales
    beta = 0.01 * limit_of(X, y, bias, backend)
    result = solve(X, y, bias, backend, beta, tol=1e-6)
    check_figures(result, X, y, bias, rel=1e-7)
    assert (result.certificate, result.status) == ("global", "optimal")
    alone = X * (np.array(scales) == max(scales))  # the small feature hardly matters
    largest = solve(alone, y, bias, backend, beta, tol=1e-6)
    assert result.lower_bound <= largest.objective * (1 + 1e-9)
    assert result.objective == pytest.approx(largest.objective, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_features(scale, bias, backend):
    """With c X and c beta the optimum is that of X and beta, unless a bias is decayed."""
    X, y = oracles.teacher(10, 2, seed=5)
    # a decayed bias of 1e6 times the weights: multipliers are good to 1e-6 or so there
    accuracy = {"tol": 1e-5} if bias == "decayed" else {}
    result = solve(scale * X, y, bias, backend, scale * 0.01, **accuracy)
    check_figures(result, scale * X, y, bias, rel=1e-7)
    assert (result.certificate, result.status) == ("global", "optimal")
    if bias != "decayed":
        expected = solve(X, y, bias, backend, 0.01)
        assert result.objective == pytest.approx(expected.objective, rel=1e-6)


def test_a_constant_feature_changes_nothing_where_a_bias_is_free(bias, backend):
    X, y = oracles.teacher(10, 2, seed=5)
    wider = np.column_stack([X, np.full(10, 4.0)])
    result = solve(wider, y, bias, backend, 0.01)
    check_proof(result, wider, y, bias)
    plain = solve(X, y, bias, backend, 0.01)
    if bias == "free":
        assert result.objective == pytest.approx(plain.objective, rel=2e-8)
    else:  # zero weights are allowed
        assert result.lower_bound <= plain.objective * (1 + 1e-9)
