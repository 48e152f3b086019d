"""Random patterns: true cells, uniform where promised, reproducible, never an endless loop."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import chisquare

from pyconvex import PatternSet, backends, enumerate_patterns, sample_patterns
from pyconvex.witnesses import interior_points

from arrangements import braid, cross_polytope, grid

GENERAL = np.random.default_rng(1).standard_normal((9, 3))
METHODS = ("uniform", "data")


def strictly_inside(patterns, X):
    nonzero = X.any(axis=1)
    values = X[nonzero] @ patterns.gates
    dense = patterns.to_dense()
    return np.where(dense[:, nonzero].T, values > 0, values < 0).all() and dense[:, ~nonzero].all()


def awkward():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((12, 3))
    yield "general", X
    yield "repeated", np.concatenate([X, X[:3], -2.0 * X[:2], np.zeros((2, 3))])
    yield "degenerate", grid(3, 2)
    yield "mixed", braid(5) @ rng.standard_normal((5, 4))
    yield "rank 2", X[:, :2] @ rng.standard_normal((2, 4))
    yield "rank 1", np.array([[1.0, 2.0], [-2.0, -4.0], [0.0, 0.0]])
    yield "one row", np.array([[3.0]])
    yield "zero", np.zeros((2, 2))


AWKWARD = dict(awkward())


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("method", METHODS)
def test_every_pattern_is_a_cell(name, method, backend):
    X = AWKWARD[name]
    cells = {row.tobytes() for row in enumerate_patterns(X).packed}
    patterns = sample_patterns(X, 200, method=method, random_state=0, backend=backend)
    rows = [row.tobytes() for row in patterns.packed]
    assert set(rows) <= cells
    assert len(set(rows)) == len(rows)
    assert strictly_inside(patterns, X)
    assert sample_patterns(X, 7, method=method, unique=False, backend=backend).gates.shape[1] == 7


@pytest.mark.parametrize("name", AWKWARD)
def test_asking_for_more_than_there_are_gives_all(name, backend):
    X = AWKWARD[name]
    every = enumerate_patterns(X)
    for more in (len(every), len(every) + 1, 10 * len(every)):
        assert sample_patterns(X, more, method="uniform", backend=backend) == every
    half = (len(every) + 1) // 2
    assert len(sample_patterns(X, half, method="uniform", backend=backend)) == half


@pytest.mark.parametrize("X", [GENERAL, braid(4), grid(3, 2), cross_polytope(3)], ids=len)
@pytest.mark.parametrize("listed", [True, False])
def test_uniform_is_uniform(X, listed, monkeypatch):
    """A chi-square test over all cells, with cells numbered first and with sets rejected."""
    monkeypatch.setattr("pyconvex.sampling._LIST_ALL", 1e9 if listed else 0)
    monkeypatch.setattr("pyconvex.sampling._RARE", 0.0)
    cells = {row.tobytes(): k for k, row in enumerate(enumerate_patterns(X).packed)}
    n = 100 * len(cells)
    draws = sample_patterns(X, n, method="uniform", unique=False, random_state=3)
    counts = np.bincount([cells[row.tobytes()] for row in draws.packed], minlength=len(cells))
    assert counts.sum() == n
    assert 1e-4 < chisquare(counts).pvalue < 1 - 1e-4


@pytest.mark.parametrize("listed", [True, False])
def test_uniform_without_replacement_is_uniform(listed, monkeypatch):
    monkeypatch.setattr("pyconvex.sampling._LIST_ALL", 1e9 if listed else 0)
    cells = {row.tobytes(): k for k, row in enumerate(enumerate_patterns(GENERAL).packed)}
    counts = np.zeros(len(cells))
    for seed in range(300):
        draws = sample_patterns(GENERAL, 20, method="uniform", random_state=seed)
        assert len(draws) == 20
        counts[[cells[row.tobytes()] for row in draws.packed]] += 1
    assert 1e-4 < chisquare(counts).pvalue < 1 - 1e-4


def test_gaussian_is_not():
    cells = {row.tobytes(): k for k, row in enumerate(enumerate_patterns(GENERAL).packed)}
    draws = sample_patterns(GENERAL, 100 * len(cells), unique=False, random_state=3)
    counts = np.bincount([cells[row.tobytes()] for row in draws.packed], minlength=len(cells))
    assert chisquare(counts).pvalue < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_reproducible_whatever_computes(method):
    for X in (GENERAL, np.random.default_rng(0).standard_normal((300, 6)), grid(3, 2)):
        first = sample_patterns(X, 40, method=method, random_state=5)
        for name, threads in itertools.product(backends.available(), (1, 3)):
            again = sample_patterns(
                X, 40, method=method, random_state=5, backend=name, n_threads=threads
            )
            np.testing.assert_array_equal(again.packed, first.packed)
            np.testing.assert_allclose(again.gates, first.gates, rtol=1e-9, atol=1e-12)
        assert sample_patterns(X, 40, method=method, random_state=6) != first


def test_uniform_beyond_numbering(backend):
    """More cells than 64 bits can number, in general position and not."""
    X = np.random.default_rng(0).standard_normal((400, 20))
    patterns = sample_patterns(X, 50, method="uniform", random_state=0, backend=backend)
    assert len(patterns) == 50
    assert strictly_inside(patterns, X)
    assert len(sample_patterns(X, 50, method="data", random_state=0, backend=backend)) == 50


@pytest.mark.parametrize("method", METHODS)
def test_sampling_in_threads(method):
    with ThreadPoolExecutor(4) as pool:
        draws = pool.map(
            lambda seed: sample_patterns(GENERAL, 30, method=method, random_state=seed), [7] * 8
        )
    assert all(
        draw == sample_patterns(GENERAL, 30, method=method, random_state=7) for draw in draws
    )


def test_data_cells_touch_vertices_of_the_data():
    """With as many rows as features every cell does, and all are found."""
    X = np.random.default_rng(0).standard_normal((4, 4))
    patterns = sample_patterns(X, 2000, method="data", random_state=0)
    assert patterns == enumerate_patterns(X)


def test_gates_serve_as_gates():
    X = np.column_stack([np.random.default_rng(0).standard_normal((20, 2)), np.ones(20)])
    for method in METHODS:
        patterns = sample_patterns(X, 30, method=method, random_state=0)
        assert PatternSet.from_gates(X, patterns.gates) == patterns
        assert interior_points(X, patterns.to_dense()).shape == (len(patterns), 3)
