"""The group lasso on given patterns: pytest bench/bench_group_lasso.py."""

import pytest

import pyconvex
from pyconvex import backends

import problems

# (n, d, gates, fraction of beta_max): the optimum, by independent solvers.
OPTIMA = {
    (200, 10, 100, 0.1): 0.151419690353,
    (200, 10, 100, 0.01): 0.0233917960822,
    (1000, 20, 500, 0.1): 0.0356328491363,
    (1000, 20, 500, 0.01): 0.0069831422252,
    (2000, 100, 2000, 0.1): 0.372881489886,
    (2000, 100, 2000, 0.01): 0.0507320589734,
    (5000, 50, 1000, 0.1): 0.0909862898947,
    (5000, 50, 1000, 0.01): 0.0197352626589,
}


@pytest.mark.parametrize("backend", backends.available())
@pytest.mark.parametrize("size", OPTIMA)
def test_solve_group_lasso(size, backend, benchmark):
    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    settings = {"beta": beta, "tol": 1e-8, "n_threads": 1, "backend": backend}
    pyconvex.solve_group_lasso(X, y, patterns, **settings)  # numba compiles
    result = benchmark(pyconvex.solve_group_lasso, X, y, patterns, **settings)
    assert result.status == "optimal"
    assert result.gap <= 1e-8
    assert result.objective == pytest.approx(OPTIMA[size], rel=1e-8)
    benchmark.extra_info.update(objective=result.objective, gap=result.gap)
