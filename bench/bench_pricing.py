"""The neuron with the largest response to a multiplier, with a proof."""

import numpy as np
import pytest

import pyconvex

import problems
import sizes

TOL = 1e-6


@pytest.mark.parametrize("method", ["bounded", "exact"])
@pytest.mark.sizes(sizes.PRICING)
def test_price(size, method, backend, n_threads, clock, benchmark):
    X, z = problems.pricing(*size)
    settings = {"method": method, "tol": TOL, "random_state": 0, "backend": backend}
    settings["n_threads"] = n_threads
    few = X[:20], z[:20]
    pricing = clock(
        pyconvex.price, X, z, warm_up=lambda: pyconvex.price(*few, **settings), **settings
    )
    w, _, sign = pricing.neuron
    assert sign * (z @ np.maximum(X @ w, 0.0)) / np.linalg.norm(w) == pytest.approx(pricing.value)
    assert pricing.certificate == "global"
    assert pricing.value <= pricing.bound <= pricing.value * (1 + 2 * TOL)
    benchmark.extra_info.update(value=pricing.value, bound=pricing.bound)


@pytest.mark.sizes(sizes.PRICING)
def test_price_local(size, backend, n_threads, clock):
    X, z = problems.pricing(*size)
    settings = {"random_state": 0, "n_threads": n_threads, "backend": backend}
    pricing = clock(pyconvex.price, X, z, method="local", **settings)
    proved = pyconvex.price(X, z, method="exact", **settings)
    assert proved.value * 0.95 <= pricing.value <= proved.bound * (1 + 1e-12)
