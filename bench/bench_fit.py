"""Training networks: pytest bench/bench_fit.py."""

import pytest

import pyconvex
from pyconvex import backends

import problems

# Objectives that the best known runs reach: a benchmark of a worse network is void.
BEST = {"breast_cancer": 0.17216249, "s1": 0.09799018, "diabetes": 99.6095138 / 442}


@pytest.mark.parametrize("backend", backends.available())
@pytest.mark.parametrize("name", BEST)
def test_fit(name, backend, benchmark):
    X, y, settings = problems.TRAINING[name]()
    settings |= {"random_state": 0, "n_threads": 1, "backend": backend}
    pyconvex.fit(X[:20], y[:20], **settings)  # numba compiles
    fit = benchmark.pedantic(pyconvex.fit, (X, y), settings, rounds=3)
    assert fit.status == "optimal"
    assert fit.gap <= 1e-6
    assert fit.objective <= BEST[name] * (1 + 1e-5)
    benchmark.extra_info.update(
        objective=fit.objective, gap=fit.gap, certificate=fit.certificate,
        neurons=fit.network.n_neurons,
    )  # fmt: skip
