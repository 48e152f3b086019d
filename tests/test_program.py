import numpy as np
import pytest

from pyconvex.program import Problem, Status, relative_gap

import oracles

X, y = oracles.teacher(9, 2)
Xb = oracles.ones(X)
cells = oracles.all_cells(Xb).to_dense()
weights = np.full(9, 1 / 9)


def problem(free_bias):
    return Problem(Xb, y, weights, 0.1, intercept=free_bias, free_bias=free_bias)


@pytest.mark.parametrize("free_bias", [False, True])
def test_norm_bound_is_an_upper_bound(free_bias):
    for seed in range(5):
        z = np.random.default_rng(seed).standard_normal(9)
        z -= z.mean()
        norm = oracles.dual_norm(Xb, z, cells, True, free_bias)
        assert norm * (1 - 1e-9) <= problem(free_bias).norm_bound(z) <= 5 * norm


def test_norm_bound_of_nothing():
    assert problem(False).norm_bound(np.zeros(9)) == 0.0


def test_norms_leave_out_a_free_bias():
    U = np.array([[3.0, 4.0, 12.0]])
    assert problem(False).norms(U) == [13.0]
    assert problem(True).norms(U) == [5.0]


def test_objective():
    U = np.array([[3.0, 0.0, 4.0]])
    assert problem(False).objective(np.zeros(9), U) == pytest.approx(0.5 * np.mean(y**2) + 0.5)


def test_dual_objective_bounds_the_optimum():
    optimum = oracles.conic_optimum(Xb, y, cells, 0.1, cones=True)
    for seed in range(5):
        z = y / 9 + 0.03 * np.random.default_rng(seed).standard_normal(9)
        norm = oracles.dual_norm(Xb, z, cells, True)
        assert problem(False).dual_objective(z, norm) <= optimum * (1 + 1e-9)


def test_relative_gap():
    assert relative_gap(2.0, 1.0) == 0.5
    assert relative_gap(0.0, 0.0) == 0.0


def test_status_is_a_string():
    assert Status.OPTIMAL == "optimal"
    assert f"{Status.TIME_LIMIT}" == "time_limit"
