"""Clocks, peak memory, and processes of their own with a time limit."""

import contextlib
import logging
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from typing import Any, NamedTuple

SLOW = 10.0  # seconds after which a run is not repeated
SHORT, MOST = 0.3, 25  # runs go on for so many seconds, but no more than so often
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


class Timing(NamedTuple):
    """The last result of a function, medians of its wall and CPU seconds, and how many runs."""

    result: Any
    wall: float
    cpu: float
    repeats: int


def timed(function, repeats=3, slow=SLOW):
    """Run a function a few times, a quick one more often; a slow run is the last one."""
    walls, cpus = [], []
    while not walls or (
        walls[-1] <= slow and (len(walls) < repeats or (sum(walls) < SHORT and len(walls) < MOST))
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Timing(result, statistics.median(walls), statistics.median(cpus), len(walls))


def peak(process="self"):
    """Peak memory in bytes of a process, of this one by default, its libraries included."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else 1024 * size


def pin_threads(count=1):
    """Size the thread pools of this process's children and of libraries loaded later."""
    for name in POOLS:
        os.environ[name] = str(count)


@contextlib.contextmanager
def one_core():
    """Pin this thread to a core where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _be_quiet():
    warnings.simplefilter("ignore")  # of rivals that stop early: their gaps are reported
    logging.disable(logging.WARNING)


class Worker:
    """A new process that runs one function after the other, as a context manager.

    `run` raises TimeoutError after so many seconds; the process is of no use then.
    """

    def __enter__(self):
        self.pool = multiprocessing.get_context("spawn").Pool(1, _be_quiet)
        return self

    @property
    def pid(self):
        return self.pool._pool[0].pid

    def __exit__(self, *exception):
        self.pool.terminate()
        self.pool.join()

    def run(self, function, *arguments, seconds=None):
        try:
            return self.pool.apply_async(function, arguments).get(seconds)
        except multiprocessing.TimeoutError:
            raise TimeoutError(f"more than {seconds:.0f} s") from None


def in_new_process(function, *arguments, seconds=None):
    """Return what a function returns in a process of its own."""
    with Worker() as worker:
        return worker.run(function, *arguments, seconds=seconds)
