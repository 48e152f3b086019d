"""The group lasso over given patterns, without and with cones, and its gradient."""

import numpy as np
import pytest

import pyconvex
from pyconvex import backends

import goals
import problems
import sizes


def solve_on_the_clock(size, clock, benchmark, **settings):
    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    result = clock(
        pyconvex.solve_group_lasso, X, y, patterns, beta=beta, **settings,
        warm_up=lambda: pyconvex.solve_group_lasso(
            X, y, patterns, beta=beta, **settings | {"tol": 0.5}
        ),
    )  # fmt: skip
    assert (result.status, result.certificate) == ("optimal", "restricted")
    assert result.gap <= settings["tol"]
    benchmark.extra_info.update(objective=result.objective, gap=result.gap)
    return X, y, beta, result


@pytest.mark.sizes(sizes.GROUP_LASSO)
def test_solve_group_lasso(size, backend, n_threads, clock, benchmark):
    *_, result = solve_on_the_clock(
        size, clock, benchmark, tol=goals.GROUP_LASSO_GAP, n_threads=n_threads, backend=backend
    )
    assert result.objective == pytest.approx(goals.GROUP_LASSO[size][1], rel=1e-8)


@pytest.mark.sizes(sizes.CONES)
def test_solve_group_lasso_with_cones(size, backend, n_threads, clock, benchmark):
    X, y, beta, result = solve_on_the_clock(
        size, clock, benchmark, cones=True, tol=goals.CONES_GAP, n_threads=n_threads,
        backend=backend,
    )  # fmt: skip
    value = problems.cone_network_objective(X, y, beta, result)  # of the ReLU network itself
    assert value == pytest.approx(result.objective, rel=goals.CONES_SAME)


@pytest.mark.sizes(sizes.GRADIENT)
def test_gate_gradients(size, backend, n_threads, clock):
    X, _, G, _ = problems.group_lasso(*size, 1.0)
    z = np.random.default_rng(0).standard_normal(len(X))
    packed = pyconvex.PatternSet.from_gates(X, G).packed
    kernel = backends.get_backend(backend).gate_gradients
    gradients = clock(kernel, X, packed, z, n_threads)
    few = slice(None, None, len(packed) // 50)
    expected = ((X @ G[:, few] >= 0.0) * z[:, np.newaxis]).T @ X
    np.testing.assert_allclose(gradients[few], expected, rtol=1e-9, atol=1e-9)
