"""Threads for numba kernels, which release the GIL."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np


def in_chunks(kernel: Callable[[slice], Any], count: int, n_threads: int) -> list[Any]:
    """Return a kernel's results on consecutive parts of 0 .. count, a thread for each."""
    threads = max(1, min(count, n_threads or max_threads()))
    ends = np.linspace(0, count, threads + 1).astype(int)
    parts = [slice(a, b) for a, b in pairwise(ends)]
    if threads == 1:
        return [kernel(parts[0])]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(kernel, parts))


def max_threads() -> int:
    """Return the number of threads that OpenMP would take."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(limit) if limit.isdigit() and int(limit) > 0 else os.cpu_count() or 1
