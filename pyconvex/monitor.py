"""What watches a solve: clock, history, callback, progress bar and Ctrl-C."""

import math
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from pyconvex.data import check_int, check_time_limit
from pyconvex.program import Status, relative_gap

_TICK = 0.5  # seconds between two looks at a progress bar while a kernel runs


@dataclass(frozen=True)
class Record:
    """One round of a solve.

    Attributes
    ----------
    objective, dual_objective : float
        Before the round's columns are added; "local" certificates estimate the latter.
    n_neurons : int
        Neurons, or active groups.
    seconds : float
        Since the start.
    """

    objective: float
    dual_objective: float
    n_neurons: int
    seconds: float


class Monitor:
    """Decide when to stop, and remember what happened.

    A context manager: inside it the first Ctrl-C asks the solve to end with its best state and
    a second one raises KeyboardInterrupt. Only Python's own handler, in the main thread, is
    replaced. Signal handlers run between two steps of the interpreter, so long kernels run in a
    thread of their own (`run`) while this one waits, and look at ``stop`` now and then.

    Several solves may share one monitor, with `next_solve` after each: clock, callback, Ctrl-C
    and bar go on. Given ``n_solves``, the bar counts solves instead of rounds. It writes to
    stderr, and an error before the first round wipes it away.
    """

    def __init__(
        self,
        max_iter: int,
        time_limit: float | None,
        callback: Callable[[Record], Any] | None,
        verbose: bool,
        n_solves: int | None = None,
    ) -> None:
        self.max_iter = check_int(max_iter, "max_iter", minimum=0)
        self.deadline = check_time_limit(time_limit)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, got {type(callback).__name__}")
        self._callback = callback
        self.stop = np.zeros(1, np.uint8)  # set: kernels end early
        self._interrupted = False
        self._previous: Any = None
        self._pool = ThreadPoolExecutor(1)
        self._start = time.perf_counter()
        self._verbose, self._n_solves = bool(verbose), n_solves
        self._bar: Any = None
        self.history: list[Record] = []
        # objective, dual objective and neurons of the other outputs, where several are solved
        self.rest: tuple[float, float, int] = (0.0, 0.0, 0)
        self._recorded = False

    def __enter__(self) -> "Monitor":
        self._bar = _progress_bar(self._n_solves) if self._verbose else None
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop[0] = 1
        try:
            self._pool.shutdown()
        finally:  # whatever comes while kernels end
            if self._previous is not None:
                signal.signal(signal.SIGINT, self._previous)
            if self._bar is not None:
                self._bar.leave = error is None or self._recorded
                self._bar.close()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        self.stop[0] = 1

    def run(self, kernel: Callable[..., Any], *args: Any) -> Any:
        """Call kernel(*args, stop); Ctrl-C and the time limit set stop while it runs."""
        task = self._pool.submit(kernel, *args, self.stop)
        while True:
            left = max(self.deadline - self.seconds, 0.0)
            wait = left if self._bar is None else min(left, _TICK)
            try:
                return task.result(None if math.isinf(wait) else wait)
            except FutureTimeoutError:
                if wait == left:
                    self.stop[0] = 1
                    return task.result()
                self._bar.refresh()  # its clock goes on

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def out_of_time(self) -> bool:
        """Tell whether work should stop; what kernels return from now on may be incomplete."""
        return bool(self.stop[0]) or self.seconds >= self.deadline

    def record(self, objective: float, dual_objective: float, n_neurons: int) -> Status | None:
        """Take down a round; return why the solve must end now, None if it may go on."""
        more, dual_more, n_more = self.rest
        record = Record(
            objective + more, dual_objective + dual_more, n_neurons + n_more, self.seconds
        )
        self.history.append(record)
        self._recorded = True
        if self._bar is not None:
            self._show(record)
        if self._callback is not None and self._callback(record) is True:
            self._interrupted = True
        too_many = Status.MAX_ITER if len(self.history) > self.max_iter else None
        return self.ended() or too_many

    def _show(self, record: Record) -> None:
        """Tell the bar; it is drawn ten times a second at most."""
        shown: dict[str, Any] = {"objective": f"{record.objective:.6g}"}
        shown["gap"] = f"{relative_gap(record.objective, record.dual_objective):.1e}"
        shown["neurons"] = record.n_neurons
        if self._n_solves is not None:
            shown["round"] = len(self.history)
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(self._n_solves is None)

    def ended(self) -> Status | None:
        """Tell whether callback, Ctrl-C or the time limit end all solves."""
        if self._interrupted:
            return Status.INTERRUPTED
        return Status.TIME_LIMIT if self.seconds >= self.deadline else None

    def next_solve(self) -> None:
        """Start history and seconds anew; the time that is left goes on running out."""
        if self._bar is not None:
            self._bar.update()
        self.history = []
        now = time.perf_counter()
        self.deadline -= now - self._start
        self._start = now


def _progress_bar(n_solves: int | None) -> Any:
    from tqdm.auto import tqdm

    # How many rounds are left nobody knows. miniters: else tqdm would skip rounds within a point,
    # which leave the count as it is.
    style = "{desc}: round {n} [{elapsed}{postfix}]" if n_solves is None else None
    return tqdm(desc="pyconvex", unit="point", total=n_solves, bar_format=style, miniters=0)
