"""Cells of arrangements, one thread: pytest bench/bench_patterns.py."""

import pytest

import pyconvex
from pyconvex import backends

import problems


def measure(benchmark, function, count):
    """Time a function that returns so many patterns."""
    function()  # numba compiles
    assert benchmark(function) == count
    if benchmark.enabled:
        benchmark.extra_info["cells_per_second"] = count / benchmark.stats["median"]


@pytest.mark.parametrize("backend", backends.available())
@pytest.mark.parametrize(("n", "r"), problems.GENERAL)
def test_iter_patterns(n, r, backend, benchmark):
    X = problems.gaussian(n, r)

    def stream():
        return sum(map(len, pyconvex.iter_patterns(X, n_threads=1, backend=backend)))

    measure(benchmark, stream, problems.n_cells(n, r))


@pytest.mark.parametrize("backend", backends.available())
@pytest.mark.parametrize("name", problems.DEGENERATE)
def test_enumerate_patterns(name, backend, benchmark):
    make, count = problems.DEGENERATE[name]
    X = make()

    def enumerate_all():
        return len(pyconvex.enumerate_patterns(X, n_threads=1, backend=backend))

    measure(benchmark, enumerate_all, count)


@pytest.mark.parametrize("backend", backends.available())
def test_sample_patterns_uniform(backend, benchmark):
    X = problems.gaussian(1000, 10)
    settings = {"method": "uniform", "random_state": 0, "n_threads": 1, "backend": backend}

    def sample():
        return len(pyconvex.sample_patterns(X, 1000, **settings))

    measure(benchmark, sample, 1000)
