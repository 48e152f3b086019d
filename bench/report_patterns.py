"""Markdown tables of cells of arrangements, beside rivals: python bench/report_patterns.py.

Medians of --repeats runs after one that does not count, on one thread unless said. Cells/s are by
CPU seconds and all else by the wall, unless said. The LP tree (lp_tree.py) runs once, for
--rival-seconds, pinned to one core; its first cells come up to 1.4 times faster than the rest.
Seconds of ISF are published ones: Julia and Gurobi, another machine. A wrong number of cells ends
the run.
"""

import argparse
import contextlib
import multiprocessing
import os

import numpy as np
from threadpoolctl import threadpool_limits

import pyconvex

import problems
from lp_tree import lp_tree_patterns
from report import peak, print_head, print_row, timed

N_GATES = 50_000
GOALS = dict(zip(problems.GENERAL, (5e7, 4e7, 4e7, 4e7, 2.5e7, 1.5e7), strict=True))  # cells/s
LARGE = {(100_000, 2): 20_000, (1000, 3): None, (60, 6): None}  # where to stop; no rival
# Seconds: published ones of ISF, goal.
DEGENERATE = {
    "resonance-6": (1323, 1.0),
    "permutahedron-8": (77, 0.5),
    "threshold-5": (58, 0.1),
    "cross-polytope-12": (105, 2.0),
    "demicube-6": (161, 0.5),
}
MEMORY = (3000, 3)


def scientific(number):
    return f"{number:.1e}".replace("e+0", "e").replace("e+", "e")


def stream(X, backend, n_threads, stop=None):
    blocks = pyconvex.iter_patterns(X, stop=stop, backend=backend, n_threads=n_threads)
    return sum(map(len, blocks))


def measure(function, count, repeats):
    """Return the median wall and CPU seconds of a function that returns a number of cells."""
    function()  # numba compiles
    found, wall, cpu = timed(function, repeats)
    if found != count:
        raise RuntimeError(f"{found} cells instead of {count}")
    return wall, cpu


def general(arguments):
    """Rows in general position, streamed."""
    print_head(
        "n, r", "cells", "native cells/s", "by the wall", "numba cells/s", "native / numba",
        "two threads / one", "LP tree cells/s", "native / LP tree",
        f"{N_GATES} Gaussian gates find", "in s", "goal cells/s",
    )  # fmt: skip
    for size, goal in GOALS.items():
        X, count = problems.gaussian(*size), problems.n_cells(*size)
        ours, cells = speeds(X, count, None, arguments.repeats)
        rival = lp_tree_speed(X, arguments.rival_seconds)
        share, seconds = sampled(X, count, arguments.repeats)
        print_row(
            size, count, *cells, *beside(ours, rival), f"{share:.1%}", f"{seconds:.3f}",
            scientific(goal),
        )  # fmt: skip
    for size, stop in LARGE.items():
        count = stop or problems.n_cells(*size)
        _, cells = speeds(problems.gaussian(*size), count, stop, arguments.repeats)
        print_row(size, count, *cells, "", "", "", "", "")


def speeds(X, count, stop, repeats):
    """Return the native cells/s and what the table says of both backends."""
    wall, cpu = measure(lambda: stream(X, "native", 1, stop), count, repeats)
    _, numba = measure(lambda: stream(X, "jit", 1, stop), count, repeats)
    two, _ = measure(lambda: stream(X, "native", 2, stop), count, repeats)
    rates = map(scientific, (count / cpu, count / wall, count / numba))
    return count / cpu, (*rates, f"{numba / cpu:.1f}", f"{wall / two:.2f}")


def lp_tree_speed(X, seconds):
    """Return cells/s, None without HiGHS."""
    if lp_tree_patterns(X[:2]) is None:
        return None
    with one_core():
        (cells, *_), _, cpu = timed(lambda: lp_tree_patterns(X, seconds=seconds), 1)
    return len(cells) / cpu


@contextlib.contextmanager
def one_core():
    """Pin this thread where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def beside(ours, rival):
    if rival is None:
        return "not installed", ""
    return f"{rival:.1f}", scientific(ours / rival) if rival else ""


def sampled(X, count, repeats):
    """Return the share of the cells that Gaussian gates find, and the seconds that it takes."""
    patterns, seconds, _ = timed(
        lambda: pyconvex.sample_patterns(X, N_GATES, random_state=0, n_threads=1), repeats
    )
    return len(patterns) / count, seconds


def degenerate(arguments):
    """Rows in special position, all cells at once."""
    print_head(
        "arrangement", "rows", "rank", "cells", "native s", "CPU s", "numba s", "ISF s", "goal s"
    )
    for name, (published, goal) in DEGENERATE.items():
        make, count = problems.DEGENERATE[name]
        X = make()
        wall, cpu = measure(lambda X=X: list_all(X, "native"), count, arguments.repeats)
        numba, _ = measure(lambda X=X: list_all(X, "jit"), count, arguments.repeats)
        seconds = (f"{t:.3f}" for t in (wall, cpu, numba))
        print_row(name, len(X), np.linalg.matrix_rank(X), count, *seconds, published, goal)


def list_all(X, backend):
    return len(pyconvex.enumerate_patterns(X, backend=backend, n_threads=1))


def memory(_):
    """What streaming adds to the peak memory of a new process."""
    print_head("n, r", "backend", "cells", "peak before, MB", "added, MB", "all patterns, MB")
    count = problems.n_cells(*MEMORY)
    size = count * 8 * -(-MEMORY[0] // 64)
    for backend in ("native", "jit"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found, before, after = pool.apply(peaks, (backend,))
        if found != count:
            raise RuntimeError(f"{found} cells instead of {count}")
        megabytes = (f"{b / 1e6:.0f}" for b in (before, after - before, size))
        print_row(MEMORY, backend, count, *megabytes)


def peaks(backend):
    """Stream and return the number of cells and the peak memory before and after, in bytes."""
    X = problems.gaussian(*MEMORY)
    stream(X[:10], backend, 1)  # loads all modules
    before = peak()
    return stream(X, backend, 1), before, peak()


# Memory comes first: a new process inherits the peak of the one that starts it.
TABLES = {"memory": memory, "general": general, "degenerate": degenerate}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rival-seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    with threadpool_limits(1):
        for name, table in TABLES.items():
            if name in arguments.tables:
                table(arguments)


if __name__ == "__main__":
    main()
