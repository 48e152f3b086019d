"""The dual norm over patterns, with its pruning, against all cells projected one by one."""

import numpy as np
import pytest

from pyconvex.backends import get_backend
from pyconvex.pricing import LocalPricing, PatternPricing, run_whole
from pyconvex.program import Problem


def problem_with(seed, free_bias):
    """Rows far from the origin, so that a free bias matters."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([3.0 + rng.standard_normal((25, 2)), np.ones(25)])
    y = rng.standard_normal(25)
    problem = Problem(X, y, np.full(25, 1 / 25), 1e-3, free_bias, free_bias)
    residual = y - y.mean() if free_bias else y
    return problem, residual / 25


@pytest.mark.parametrize("free_bias", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_pruning_loses_no_cell(backend, seed, free_bias):
    kernels = get_backend(backend)
    problem, z = problem_with(seed, free_bias)
    gates = np.random.default_rng(100 + seed).standard_normal((3, 2000))
    gates[2] -= 3.0 * (gates[0] + gates[1])  # kinks among the data
    packed = kernels.pack_gates(problem.X, gates, 1)
    packed = packed[kernels.unique(packed)]
    assert len(packed) > 128  # several chunks
    C = kernels.gate_gradients(problem.X, packed, z, 1)
    norms = []
    for gradients in (C, -C):
        points, _ = run_whole(kernels.project_cells, problem.X, packed, gradients, free_bias, 1)
        norms.append(problem.norms(points).max())
    nothing = np.zeros((0, 3))
    pricing = PatternPricing(packed, True, kernels, 1)
    norm, columns = pricing(problem, z, nothing, np.zeros(0), run_whole)
    assert norm == max(norms)
    assert columns.values[0] == norm
    attained = columns.signs[0] * z @ np.maximum(problem.X @ columns.points[0], 0.0)
    np.testing.assert_allclose(attained, norm, rtol=1e-9)


@pytest.mark.parametrize("free_bias", [False, True])
def test_local_search_finds_the_norm_of_a_small_problem(backend, free_bias):
    kernels = get_backend(backend)
    problem, z = problem_with(0, free_bias)
    gates = np.random.default_rng(7).standard_normal((3, 50_000))
    gates[2] -= 3.0 * (gates[0] + gates[1])
    packed = kernels.pack_gates(problem.X, gates, 1)
    packed = packed[kernels.unique(packed)]
    nothing, signs = np.zeros((0, 3)), np.zeros(0)
    exact, _ = PatternPricing(packed, True, kernels, 1)(problem, z, nothing, signs, run_whole)
    local = LocalPricing(kernels, 1, np.random.default_rng(0))
    found, columns = local(problem, z, nothing, signs, run_whole)
    assert found >= exact * (1 - 1e-9)  # sampled patterns may miss the best cell
    assert found <= problem.norm_bound(z)
    np.testing.assert_allclose(problem.norms(columns.points), 1.0)
