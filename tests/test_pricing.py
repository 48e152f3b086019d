"""The dual norm over patterns, with its pruning, against all cells projected one by one."""

from dataclasses import replace

import numpy as np
import pytest

from pyconvex.backends import get_backend
from pyconvex.pricing import LocalPricing, PatternPricing, run_whole
from pyconvex.program import Problem


def problem_with(seed, free_bias):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.standard_normal((25, 2)), np.ones(25)])
    y = rng.standard_normal(25)
    problem = Problem(X, y, np.full(25, 1 / 25), 1e-3, free_bias, free_bias)
    residual = y - y.mean() if free_bias else y
    return problem, residual / 25


@pytest.mark.parametrize("free_bias", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_pruning_loses_no_cell(backend, seed, free_bias, monkeypatch):
    monkeypatch.setattr("pyconvex.pricing._CHUNK", 1)  # prune as early as can be
    kernels = get_backend(backend)
    problem, z = problem_with(seed, free_bias)
    gates = np.random.default_rng(100 + seed).standard_normal((3, 2000))
    packed = kernels.pack_gates(problem.X, gates, 1)
    packed = packed[kernels.unique(packed)]
    C = kernels.gate_gradients(problem.X, packed, z, 1)
    norms = []
    for gradients in (C, -C):
        points, _ = run_whole(
            kernels.project_cells,
            problem.X,
            packed,
            gradients,
            np.zeros(len(gradients)),
            free_bias,
            1,
        )
        norms.append(problem.norms(points).max())
    nothing = np.zeros((0, 3))
    pricing = PatternPricing(packed, True, kernels, 1)
    norm, columns = pricing(problem, z, nothing, np.zeros(0), run_whole)
    assert norm == max(norms)
    assert columns.values[0] == norm
    attained = columns.signs[0] * z @ np.maximum(problem.X @ columns.points[0], 0.0)
    np.testing.assert_allclose(attained, norm, rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))  # cells that cut the data
def test_the_norm_with_a_free_bias_is_free_of_the_origin(backend, seed, monkeypatch):
    monkeypatch.setattr("pyconvex.pricing._CHUNK", 1)
    kernels = get_backend(backend)
    problem, z = problem_with(seed, True)
    gates = np.random.default_rng(100 + seed).standard_normal((3, 2000))
    packed = kernels.pack_gates(problem.X, gates, 1)
    packed = packed[kernels.unique(packed)]
    pricing = PatternPricing(packed, True, kernels, 1)
    nothing, signs = np.zeros((0, 3)), np.zeros(0)
    norm, columns = pricing(problem, z, nothing, signs, run_whole)
    best = kernels.gate_gradients(problem.X, packed[columns.pattern[:1]], z, 1)[0]
    X = problem.X.copy()
    X[:, :2] -= best[:2] / best[2]  # now the best cell's gradient has a bias coordinate only
    moved, _ = pricing(replace(problem, X=X), z, nothing, signs, run_whole)
    np.testing.assert_allclose(moved, norm, rtol=1e-9)


@pytest.mark.parametrize("free_bias", [False, True])
def test_local_search_finds_the_norm_of_a_small_problem(backend, free_bias):
    kernels = get_backend(backend)
    problem, z = problem_with(0, free_bias)
    gates = np.random.default_rng(7).standard_normal((3, 50_000))
    packed = kernels.pack_gates(problem.X, gates, 1)
    packed = packed[kernels.unique(packed)]
    nothing, signs = np.zeros((0, 3)), np.zeros(0)
    exact, _ = PatternPricing(packed, True, kernels, 1)(problem, z, nothing, signs, run_whole)
    local = LocalPricing(kernels, 1, np.random.default_rng(0))
    found, columns = local(problem, z, nothing, signs, run_whole)
    assert found >= exact * (1 - 1e-9)  # sampled patterns may miss the best cell
    assert found <= problem.norm_bound(z)
    np.testing.assert_allclose(problem.norms(columns.points), 1.0)
