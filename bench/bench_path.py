"""Regularisation paths: every point with its own certificate."""

import pytest

import pyconvex

import problems
import sizes


@pytest.mark.sizes(sizes.PATH)
def test_path(size, backend, n_threads, clock, benchmark):
    X, y, settings = problems.TRAINING[size]()
    del settings["beta"]
    settings |= {"n_betas": 30, "tol": 1e-4, "random_state": 0}
    settings |= {"n_threads": n_threads, "backend": backend}
    path = clock(
        pyconvex.path, X, y, **settings,
        warm_up=lambda: pyconvex.path(X[:20], y[:20], **settings | {"n_betas": 3}),
    )  # fmt: skip
    assert len(path) == 30
    assert max(path.gaps) <= 1e-4
    benchmark.extra_info.update(largest_gap=float(max(path.gaps)), neurons=int(path.n_neurons[-1]))


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
@pytest.mark.sizes(sizes.GROUP_PATH)
def test_group_lasso_path(size, tol, backend, n_threads, clock, benchmark):
    X, y, G, _ = problems.group_lasso(*size, 1.0)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    settings = {"tol": tol, "n_threads": n_threads, "backend": backend}
    results = clock(
        pyconvex.group_lasso_path, X, y, patterns, **settings,
        warm_up=lambda: pyconvex.group_lasso_path(X, y, patterns, n_betas=3, **settings),
    )  # fmt: skip
    assert len(results) == 100
    assert max(result.gap for result in results) <= tol
