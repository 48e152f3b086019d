import numpy as np
import pytest

from pyconvex import group_lasso_path, sample_patterns, solve_group_lasso

import oracles

X, y = oracles.teacher(30, 3)
gates = sample_patterns(X, 20, random_state=0)
PROGRAMS = ({"cones": True}, {"engine": "cd"}, {"engine": "newton"})


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("intercept", [False, True])
def test_each_point_is_the_optimum_of_its_penalty(intercept, program, backend):
    settings = {"intercept": intercept, "tol": 1e-8, "backend": backend, **program}
    results = group_lasso_path(X, y, gates, n_betas=5, **settings)
    betas = np.array([result.beta for result in results])
    np.testing.assert_allclose(betas[1:] / betas[:-1], 0.01**0.25)
    assert len(results[0].active) == 0 < len(results[1].active)
    for result in results:
        alone = solve_group_lasso(X, y, gates, beta=result.beta, **settings)
        assert (result.status, result.certificate) == ("optimal", "restricted")
        assert result.gap <= 1e-8
        assert result.objective == pytest.approx(alone.objective, rel=2e-8)


def test_given_penalties_are_sorted_and_warm_starts_help(backend):
    betas = 0.05 * 0.9 ** np.arange(10)
    results = group_lasso_path(X, y, gates, betas=betas[::-1], engine="newton", backend=backend)
    assert [result.beta for result in results] == betas.tolist()
    cold = solve_group_lasso(X, y, gates, beta=betas[-1], engine="newton", backend=backend)
    assert results[-1].n_iter < cold.n_iter


def test_limits_end_the_path(backend):
    seen = []

    def stop_at_the_third(record):
        seen.append(record)
        return len(seen) == 3

    settings = {"n_betas": 50, "backend": backend}
    results = group_lasso_path(X, y, gates, callback=stop_at_the_third, **settings)
    assert 1 <= len(results) <= 3
    assert len(group_lasso_path(X, y, gates, time_limit=1e-9, **settings)) == 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"betas": []}, "betas must be a non-empty 1-D array"),
        ({"betas": [0.1, -1.0]}, "betas must be a finite number > 0"),
        ({"beta_min_ratio": 1.0}, "beta_min_ratio must be below 1"),
        ({"engine": "fast"}, "engine must be one of"),
    ],
)
def test_bad_input(bad, message):
    with pytest.raises(ValueError, match=message):
        group_lasso_path(X, y, gates, **bad)
