"""Training networks."""

import pytest

import pyconvex

import goals
import problems
import sizes


def fit_on_the_clock(clock, benchmark, X, y, settings, warm_up):
    fit = clock(pyconvex.fit, X, y, warm_up=warm_up, **settings)
    assert fit.status == "optimal"
    assert fit.gap <= settings.get("tol", 1e-6)
    benchmark.extra_info.update(
        objective=fit.objective, gap=fit.gap, certificate=fit.certificate,
        neurons=fit.network.n_neurons,
    )  # fmt: skip
    return fit


@pytest.mark.sizes(sizes.TRAINING)
def test_fit(size, backend, n_threads, clock, benchmark):
    X, y, settings = problems.TRAINING[size]()
    settings |= {"random_state": 0, "n_threads": n_threads, "backend": backend}
    fit = fit_on_the_clock(
        clock, benchmark, X, y, settings, lambda: pyconvex.fit(X[:20], y[:20], **settings)
    )
    best, adam, _ = goals.TRAINING[size]  # a benchmark of a worse network is void
    if (best or adam) is not None:
        assert fit.objective <= (best or adam) * (1 + 1e-5)


@pytest.mark.sizes(sizes.CERTIFIED)
def test_certified_fit(size, backend, n_threads, clock, benchmark):
    X, y, settings, _ = problems.CERTIFIED[size]()
    control = {"n_threads": n_threads, "backend": backend}
    if "beta" not in settings:
        settings["beta"] = 0.01 * pyconvex.beta_max(X, y, bias="none", **control)
    settings |= {"certificate": "global", "random_state": 0, "time_limit": None} | control
    few = settings | {"tol": 1e-2}
    fit = fit_on_the_clock(
        clock, benchmark, X, y, settings, lambda: pyconvex.fit(X[:100], y[:100], **few)
    )
    assert fit.certificate == "global"
    _, optimum = goals.CERTIFIED[size]
    if optimum is not None:
        assert fit.objective == pytest.approx(optimum, rel=1e-7)
