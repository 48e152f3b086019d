"""Data in single precision: the same results as on their double copy, without that copy."""

import tracemalloc

import numpy as np
import pytest

from pyconvex import (
    PatternSet,
    data,
    doubles,
    group_lasso_path,
    rows,
    sample_patterns,
    solve_group_lasso,
)
from pyconvex.backends import get_backend

import oracles

NEVER = np.zeros(1, np.uint8)


def problem(n, p, count, seed=0):
    """Rows in single precision, the same in double, targets, and packed Gaussian gates."""
    X, y = oracles.teacher(n, p, seed)
    X = X.astype(np.float32)
    gates = np.random.default_rng(seed).standard_normal((p, count))
    return X, X.astype(np.float64), y, PatternSet.from_gates(X, gates)


def assert_same(single, double):
    assert single.dtype == double.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-12 * np.abs(double).max())


def test_kernels_load_single_precision(backend):
    kernels = get_backend(backend)
    X, X64, y, patterns = problem(2100, 9, 20)
    packed, weights = patterns.packed, np.linspace(0.5, 1.5, 2100) / 2100
    packed = np.concatenate([packed[:11], np.zeros_like(packed[:1])])  # one gate is always off
    for array in (X, X64):
        array.flags.writeable = False
    for n_threads in (1, 2):
        arguments = packed, weights * y, n_threads
        assert_same(kernels.gate_gradients(X, *arguments), kernels.gate_gradients(X64, *arguments))
        arguments = packed, weights, n_threads
        grams = kernels.masked_grams(X64, *arguments)
        assert_same(kernels.masked_grams(X, *arguments), grams)
    start = (
        np.zeros((12, 9)),
        packed,
        grams,
        np.full(12, 0.02),
        0.01,
        np.ones((len(X), 1)),
        7,
        NEVER,
    )
    one, two = (kernels.descend_groups(A, weights, y, *start) for A in (X, X64))
    assert one[0].any(axis=1).sum() > 3
    assert_same(one[0], two[0])
    assert_same(one[1], two[1])
    assert one[2] == pytest.approx(two[2], rel=1e-12)


def test_products_are_double_whatever_the_parts(monkeypatch):
    X, X64, y, _ = problem(150, 4, 1)
    monkeypatch.setattr(doubles, "_ENTRIES", 1)  # parts of 64 rows
    rng = np.random.default_rng(1)
    for shape in ((), (3,)):
        U, V = rng.standard_normal((*shape, 4)), rng.standard_normal((*shape, 150))
        assert_same(doubles.preactivations(U, X), U @ X64.T)
        assert_same(doubles.pull_back(V, X), V @ X64)
    assert_same(doubles.weighted_gram(X, y), (X64.T * y) @ X64)
    some = slice(3, 9)
    assert_same(rows.inner_products(X, some), X64[3:9] @ X64[3:].T)
    assert_same(doubles.squared_norms(X), (X64**2).sum(axis=1))
    gates = rng.standard_normal((4, 20))
    assert PatternSet.from_gates(X, gates) == PatternSet.from_gates(X64, gates)
    one, two = (sample_patterns(A, 20, random_state=0) for A in (X, X64))
    np.testing.assert_array_equal(one.packed, two.packed)


@pytest.mark.parametrize("engine", ["cd", "newton"])
@pytest.mark.parametrize("intercept", [False, True])
def test_solutions_agree(engine, intercept, backend):
    X, X64, y, patterns = problem(60, 4, 40)
    keywords = {"beta": 0.01, "tol": 1e-9, "intercept": intercept, "engine": engine}
    one, two = (solve_group_lasso(A, y, patterns, backend=backend, **keywords) for A in (X, X64))
    assert one.status == "optimal"
    assert one.objective == pytest.approx(two.objective, rel=3e-9)
    # objective and proof, from the rows in double precision
    masks, weights = patterns.to_dense(), np.full(60, 1 / 60)
    outputs = masks[one.active] * (one.coef @ X64.T)
    residual = y - outputs.sum(axis=0) - one.intercept
    value = 0.5 * np.mean(residual**2) + 0.01 * np.linalg.norm(one.coef, axis=1).sum()
    assert one.objective == pytest.approx(value, rel=1e-12)
    norm = oracles.dual_norm(X64, one.multiplier, masks, False)
    bound = oracles.dual_objective(one.multiplier, y, weights, 0.01 / norm)
    assert one.dual_objective == pytest.approx(bound, rel=1e-12)


def test_paths_and_cones_take_single_precision(backend):
    X, X64, y, patterns = problem(40, 3, 12)
    for keywords in ({"engine": "cd"}, {"engine": "newton"}, {"cones": True}):
        one, two = (
            group_lasso_path(A, y, patterns, n_betas=4, backend=backend, **keywords)
            for A in (X, X64)
        )
        for first, second in zip(one, two, strict=True):
            assert first.gap <= 1e-6
            assert first.objective == pytest.approx(second.objective, rel=2e-6)


def test_rows_without_weight_are_left_out_in_single_precision(backend):
    X, X64, y, patterns = problem(40, 3, 12)
    weights = np.arange(40) % 3
    one, two = (
        solve_group_lasso(
            A, y, patterns, beta=0.01, tol=1e-8, sample_weight=weights, backend=backend
        )
        for A in (X, X64)
    )
    assert one.objective == pytest.approx(two.objective, rel=2e-8)


def test_no_copy_in_double_precision():
    X, _, y, _ = problem(10_000, 200, 1)
    tracemalloc.start()
    patterns = sample_patterns(X, 4, random_state=0)
    result = solve_group_lasso(X, y, patterns, beta=0.05, tol=1e-3, engine="newton")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.status == "optimal"
    assert len(result.active) > 0
    assert peak < X.nbytes  # the copy would take twice that


def test_check_keeps_single_precision_only_where_asked():
    X = np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(3, 2))
    kept = data.check_matrix(X, single=True)
    assert kept.dtype == np.float32
    assert kept.flags.c_contiguous
    assert data.check_matrix(kept, single=True) is kept
    for other in (X.astype(np.float16), X.astype(">f4"), X.tolist()):
        assert data.check_matrix(other, single=True).dtype == np.float64
    with pytest.raises(ValueError, match="X contains NaN"):
        data.check_matrix(np.full((2, 2), np.nan, np.float32), single=True)
