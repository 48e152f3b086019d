"""Cells of arrangements: their known number is the certificate."""

import pytest

import pyconvex

import problems
import sizes


def note(benchmark, count):
    if benchmark.enabled:
        benchmark.extra_info["cells_per_second"] = count / benchmark.stats["median"]


@pytest.mark.sizes(sizes.GENERAL)
def test_iter_patterns(size, backend, n_threads, clock, benchmark):
    X, count = problems.gaussian(*size), problems.n_cells(*size)

    def stream():
        return sum(map(len, pyconvex.iter_patterns(X, n_threads=n_threads, backend=backend)))

    assert clock(stream, rounds=5) == count
    note(benchmark, count)


@pytest.mark.sizes(sizes.DEGENERATE)
def test_enumerate_patterns(size, backend, n_threads, clock, benchmark):
    make, count = problems.DEGENERATE[size]
    patterns = clock(pyconvex.enumerate_patterns, make(), n_threads=n_threads, backend=backend)
    assert len(patterns) == count
    note(benchmark, count)


@pytest.mark.sizes(sizes.DEGENERATE)
def test_count_patterns(size, backend, n_threads, clock):
    make, count = problems.DEGENERATE[size]
    assert clock(pyconvex.count_patterns, make(), n_threads=n_threads, backend=backend) == count


@pytest.mark.sizes(sizes.UNIFORM)
def test_sample_patterns_uniform(size, backend, n_threads, clock):
    n, r, draws = size
    patterns = clock(
        pyconvex.sample_patterns, problems.gaussian(n, r), draws, method="uniform", random_state=0,
        n_threads=n_threads, backend=backend,
    )  # fmt: skip
    assert len(patterns) == draws
