"""Gated group lassos on device arrays beside the native core: pytest bench/bench_array.py.

One thread on the CPU: `OMP_NUM_THREADS=1`. Sizes for a GPU run where torch sees one. Each of them
is a pair of rows of the report: native on all cores against torch on the device, to the same gap.
"""

import time

import numpy as np
import pytest

import pyconvex
from pyconvex import backends

import problems

torch = pytest.importorskip("torch")
pytest.importorskip("array_api_compat")

# (n, d, gates, fraction of beta_max), and the gap to reach
SMALL = ((1000, 20, 500, 0.1), 1e-6)
ONE_THREAD = ((5000, 50, 1000, 0.1), 1e-4)
ON_GPU = [
    ((10_000, 100, 1000, 0.1), 1e-4),
    ((10_000, 1000, 1000, 0.1), 1e-4),
    ((30_000, 300, 3000, 0.1), 1e-4),
    ((100_000, 100, 1000, 0.1), 1e-4),
    ((100_000, 100, 10_000, 0.1), 1e-4),
]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
NATIVE = "native" if "native" in backends.available() else "jit"


class Solver:
    """One problem on one device; "native" is the compiled core on NumPy arrays."""

    def __init__(self, size, tol, device, dtype="float64"):
        X, y, G, beta = problems.group_lasso(*size)
        self.device, self.settings = device, {"beta": beta, "tol": tol}
        if device == NATIVE:
            self.X, self.y = X, y
            self.settings["backend"] = NATIVE
            self.patterns = pyconvex.PatternSet.from_gates(X, G)
            return
        place = {"device": device}
        self.X = torch.tensor(X, dtype=getattr(torch, dtype), **place)
        self.y, gates = torch.tensor(y, **place), torch.tensor(G, **place)
        self.patterns = pyconvex.PatternSet.from_gates(self.X, gates)

    def __call__(self, **more):
        result = pyconvex.solve_group_lasso(self.X, self.y, self.patterns, **self.settings, **more)
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        assert result.status == "optimal"
        return result


def run(benchmark, solver, rounds=3):
    result = benchmark.pedantic(solver, rounds=rounds, warmup_rounds=1)
    info = {"objective": result.objective, "gap": result.gap, "n_active": len(result.active)}
    if solver.device.startswith("cuda"):
        info["device"] = torch.cuda.get_device_name()
        info["peak_bytes"] = torch.cuda.max_memory_allocated()
    benchmark.extra_info.update(info)
    return result


@pytest.mark.parametrize("device", [NATIVE, *DEVICES])
def test_small(device, benchmark):
    run(benchmark, Solver(*SMALL, device))


def test_one_thread(benchmark):
    """CPU seconds of torch over those of the native core, both on one thread, in one run."""
    torch.set_num_threads(1)
    native, there = Solver(*ONE_THREAD, NATIVE), Solver(*ONE_THREAD, "cpu")
    start = time.process_time()
    expected = native(n_threads=1)
    native_seconds = time.process_time() - start
    start = time.process_time()
    result = run(benchmark, there, rounds=1)
    seconds = (time.process_time() - start) / 2  # with the round that warms up
    assert result.objective == pytest.approx(expected.objective, rel=1e-4)
    assert seconds <= 5.0 * native_seconds
    benchmark.extra_info.update(native=native_seconds, ratio=seconds / native_seconds)


@pytest.mark.skipif("cuda" not in DEVICES, reason="torch sees no GPU")
@pytest.mark.parametrize("device", [NATIVE, "cuda"])
@pytest.mark.parametrize(("size", "tol"), ON_GPU, ids=lambda value: str(value))
def test_gpu(size, tol, device, benchmark):
    run(benchmark, Solver(size, tol, device), rounds=1)


@pytest.mark.skipif("cuda" not in DEVICES, reason="torch sees no GPU")
@pytest.mark.parametrize(("size", "tol"), ON_GPU[:2], ids=lambda value: str(value))
def test_gpu_float32(size, tol, benchmark):
    run(benchmark, Solver(size, tol, "cuda", "float32"), rounds=1)


def test_predictions(benchmark):
    """A network of NumPy weights on tensors: output where the tensors live."""
    rng = np.random.default_rng(0)
    network = pyconvex.Network(
        rng.standard_normal((200, 100)), rng.standard_normal(200), rng.standard_normal(200)
    )
    X = torch.tensor(rng.standard_normal((20_000, 100)), device=DEVICES[-1])
    output = benchmark(network.predict, X)
    assert output.device == X.device
