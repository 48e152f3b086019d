"""Training networks: pytest bench/bench_fit.py."""

import pytest

import pyconvex
from pyconvex import backends

import problems

# Objectives that the best known runs reach: a benchmark of a worse network is void.
BEST = {"breast_cancer": 0.17216249, "s1": 0.09799018, "diabetes": 99.6095138 / 442}
# Proved optima, by independent solvers where there are any.
CERTIFIED = {
    "golden": 0.73284603 / 8, "spirals": 0.8068657 / 320, "60x3": None, "300x4": None,
    "1000x3": None,
}  # fmt: skip


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
    note(fit, benchmark)


@pytest.mark.parametrize("backend", backends.available())
@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_fit(name, backend, benchmark):
    X, y, settings, _ = problems.CERTIFIED[name]()
    if "beta" not in settings:
        beta_max = pyconvex.beta_max(X, y, bias="none", n_threads=1, backend=backend)
        settings["beta"] = 0.01 * beta_max
    settings |= {"certificate": "global", "random_state": 0, "n_threads": 1, "backend": backend}
    pyconvex.fit(X[:100], y[:100], **settings | {"tol": 1e-2})  # numba compiles
    fit = benchmark.pedantic(pyconvex.fit, (X, y), settings, rounds=3)
    assert (fit.status, fit.certificate) == ("optimal", "global")
    assert fit.gap <= settings["tol"]
    if CERTIFIED[name] is not None:
        assert fit.objective == pytest.approx(CERTIFIED[name], rel=1e-7)
    note(fit, benchmark)


def note(fit, benchmark):
    benchmark.extra_info.update(
        objective=fit.objective, gap=fit.gap, certificate=fit.certificate,
        neurons=fit.network.n_neurons,
    )  # fmt: skip
