"""Group lassos and predictions on device arrays beside the native core.

Sizes for a GPU run where torch sees one. Extra columns of the table: objective, gap, and on the CPU
the native core's seconds of the same call with the ratio to them.
"""

import time

import numpy as np
import pytest

import pyconvex

import problems
import sizes

torch = pytest.importorskip("torch")
pytest.importorskip("array_api_compat")

GAP = 1e-4


def device_problem(size, device, dtype="float64"):
    """Return X, y, patterns as tensors, and beta."""
    X, y, G, beta = problems.group_lasso(*size)
    X = torch.tensor(X, dtype=getattr(torch, dtype), device=device)
    y, G = torch.tensor(y, device=device), torch.tensor(G, device=device)
    return X, y, pyconvex.PatternSet.from_gates(X, G), beta


def solve(X, y, patterns, beta, **settings):
    result = pyconvex.solve_group_lasso(X, y, patterns, beta=beta, tol=GAP, **settings)
    if not isinstance(X, np.ndarray) and X.is_cuda:
        torch.cuda.synchronize()
    return result


def check(result, benchmark):
    assert (result.status, result.certificate) == ("optimal", "restricted")
    assert result.gap <= GAP
    benchmark.extra_info.update(objective=result.objective, gap=result.gap)


@pytest.mark.sizes(sizes.ARRAY)
def test_cpu(size, n_threads, clock, benchmark):
    torch.set_num_threads(n_threads)
    arguments = device_problem(size, "cpu")
    start = time.process_time()
    result = clock(solve, *arguments, rounds=1)
    seconds = (time.process_time() - start) / 2  # with the warm-up
    check(result, benchmark)
    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    start = time.process_time()
    expected = solve(X, y, patterns, beta, n_threads=n_threads)
    native = time.process_time() - start
    assert result.objective == pytest.approx(expected.objective, rel=2 * GAP)
    benchmark.extra_info.update(native_seconds=native, ratio=seconds / native)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.sizes(sizes.ARRAY_GPU)
def test_gpu(size, dtype, clock, benchmark):
    """To be compared with test_native of the same size."""
    result = clock(solve, *device_problem(size, "cuda", dtype), rounds=1)
    check(result, benchmark)
    benchmark.extra_info.update(
        device=torch.cuda.get_device_name(), peak_bytes=torch.cuda.max_memory_allocated()
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.sizes(sizes.ARRAY_GPU)
def test_native(size, n_threads, clock, benchmark):
    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    check(clock(solve, X, y, patterns, beta, n_threads=n_threads, rounds=1), benchmark)


@pytest.mark.sizes(sizes.PREDICT)
def test_predict(size, clock):
    """A network of NumPy weights on tensors: output where the tensors live."""
    n, d, m = size
    rng = np.random.default_rng(0)
    network = pyconvex.Network(
        rng.standard_normal((m, d)), rng.standard_normal(m), rng.standard_normal(m)
    )
    X = torch.tensor(
        rng.standard_normal((n, d)), device="cuda" if torch.cuda.is_available() else "cpu"
    )
    assert clock(network.predict, X).device == X.device
