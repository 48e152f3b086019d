import signal
import threading

import numpy as np
import pytest

import pyconvex
from pyconvex.monitor import Monitor
from pyconvex.program import Status


def monitor(max_iter=10, time_limit=None, callback=None, verbose=False):
    return Monitor(max_iter, time_limit, callback, verbose)


def test_history_and_the_limit_on_rounds():
    with monitor(max_iter=1) as watch:
        assert watch.record(2.0, 1.0, 3) is None
        assert watch.record(1.5, 1.2, 4) is Status.MAX_ITER
    assert [(r.objective, r.dual_objective, r.n_neurons) for r in watch.history] == [
        (2.0, 1.0, 3),
        (1.5, 1.2, 4),
    ]
    assert 0.0 <= watch.history[0].seconds <= watch.history[1].seconds <= watch.seconds


def test_time_limit():
    watch = monitor(time_limit=1e-9)
    assert watch.out_of_time()
    assert watch.record(1.0, 0.0, 0) is Status.TIME_LIMIT
    assert not monitor(time_limit=1e9).out_of_time()


@pytest.mark.parametrize(
    ("answer", "status"), [(True, Status.INTERRUPTED), (None, None), (1, None)]
)
def test_callback_stops_by_returning_true(answer, status):
    seen = []

    def callback(record):
        seen.append(record.n_neurons)
        return answer

    assert monitor(callback=callback).record(1.0, 0.0, 7) is status
    assert seen == [7]


def test_first_ctrl_c_stops_and_the_second_raises():
    before = signal.getsignal(signal.SIGINT)
    with monitor() as watch:
        signal.raise_signal(signal.SIGINT)
        assert watch.out_of_time()
        assert watch.record(1.0, 0.0, 0) is Status.INTERRUPTED
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_handler_is_restored_after_an_error():
    before = signal.getsignal(signal.SIGINT)

    def fail(record):
        assert signal.getsignal(signal.SIGINT) is not before
        raise ZeroDivisionError

    def run():
        with monitor(callback=fail) as watch:
            watch.record(1.0, 0.0, 0)

    with pytest.raises(ZeroDivisionError):
        run()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_foreign_handler_stays():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with monitor():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_signals_alone():
    errors = []

    def work():
        try:
            with monitor() as watch:
                watch.record(1.0, 0.0, 0)
        except ValueError as error:  # "signal only works in main thread"
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


def last_line(text):
    """What a terminal shows in the end."""
    return text.rstrip("\n").split("\r")[-1]


def test_progress_bar_only_where_asked(capfd):
    with monitor() as watch:
        watch.record(1.0, 0.5, 2)
    assert capfd.readouterr() == ("", "")
    with monitor(verbose=True) as watch:
        watch.record(1.0, 0.5, 2)
        watch.record(0.75, 0.6, 31)
    out, err = capfd.readouterr()
    assert out == ""
    assert last_line(err).startswith("pyconvex: round 2 [00:0")
    assert last_line(err).endswith(", objective=0.75, gap=2.0e-01, neurons=31]")
    assert err.endswith("\n")


def test_progress_bar_of_several_solves(capfd):
    with Monitor(10, None, None, True, n_solves=3) as watch:
        watch.record(1.0, 0.5, 2)
        watch.next_solve()
        for _ in range(4):
            watch.record(0.5, 0.4, 7)
    line = last_line(capfd.readouterr().err)
    assert "| 1/3 [" in line
    assert line.endswith("objective=0.5, gap=2.0e-01, neurons=7, round=4]")


def test_rounds_within_a_solve_are_drawn(capfd):
    with Monitor(10, None, None, True, n_solves=3) as watch:
        for k in range(5):
            watch._bar.last_print_t = 0.0  # long ago
            watch.record(1.0, 0.5, k)
    err = capfd.readouterr().err
    assert [f"round={k}]" in err for k in range(1, 6)] == [True] * 5


def boom(*args):
    raise ZeroDivisionError


def open_bars():
    return list(pytest.importorskip("tqdm").tqdm._instances)


@pytest.mark.parametrize("rounds", [0, 2])
def test_bar_ends_with_an_error(rounds, capfd):
    def run():
        with monitor(verbose=True) as watch:
            assert len(open_bars()) == 1
            for _ in range(rounds):
                watch.record(1.0, 0.5, 2)
            watch.run(boom)

    with pytest.raises(ZeroDivisionError):
        run()
    assert not open_bars()
    line = last_line(capfd.readouterr().err)
    assert line.strip() == "" if rounds == 0 else line.startswith("pyconvex: round 2 ")


@pytest.mark.parametrize("presses", [1, 2])
def test_bar_ends_with_ctrl_c(presses, capfd):
    def run():
        with monitor(verbose=True) as watch:
            watch.record(1.0, 0.5, 2)
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)

    if presses == 2:
        with pytest.raises(KeyboardInterrupt):
            run()
    else:
        run()
    assert not open_bars()
    assert last_line(capfd.readouterr().err).startswith("pyconvex: round 1 ")


def test_clock_of_the_bar_goes_on_in_long_kernels(capfd, monkeypatch):
    monkeypatch.setattr("pyconvex.monitor._TICK", 0.001)
    with monitor(verbose=True) as watch:
        ticks = threading.Semaphore(0)
        monkeypatch.setattr(watch._bar, "refresh", ticks.release)
        # The kernel ends once the bar has been drawn three times.
        assert watch.run(lambda stop: [ticks.acquire(timeout=60.0) for _ in range(3)]) == [True] * 3


def test_time_limit_stops_kernels_under_a_bar(capfd):
    with monitor(time_limit=0.02, verbose=True) as watch:
        stopped = threading.Event()

        def kernel(stop):
            while not stop[0]:
                stopped.wait(0.001)
            return watch.seconds

        assert watch.run(kernel) >= 0.02


X = np.random.default_rng(0).standard_normal((30, 3))
y = np.abs(X[:, 0]) - X[:, 1]
PATTERNS = pyconvex.sample_patterns(X, 40, random_state=0)
SOLVES = {
    "fit": lambda **settings: pyconvex.fit(X, y, beta=0.1, random_state=0, **settings),
    "solve_group_lasso": lambda **settings: pyconvex.solve_group_lasso(
        X, y, PATTERNS, beta=0.01, **settings
    ),
    "cones": lambda **settings: pyconvex.solve_group_lasso(
        X, y, PATTERNS, beta=0.01, cones=True, **settings
    ),
    "path": lambda **settings: pyconvex.path(X, y, n_betas=3, random_state=0, **settings),
    "group_lasso_path": lambda **settings: pyconvex.group_lasso_path(
        X, y, PATTERNS, n_betas=3, **settings
    ),
}


@pytest.mark.parametrize("name", SOLVES)
def test_bars_of_all_solves(name, capfd):
    SOLVES[name]()
    assert capfd.readouterr() == ("", "")
    result = SOLVES[name](verbose=True)
    out, err = capfd.readouterr()
    assert out == ""
    last, line = result, last_line(err)
    if name.endswith("path"):
        assert "| 3/3 [" in line
        last = result[-1]
        assert line.endswith(f", round={last.n_iter}]")
    else:
        assert line.startswith(f"pyconvex: round {last.n_iter} [")
    record = last.history[-1]
    gap = (record.objective - record.dual_objective) / record.objective
    assert f"gap={gap:.1e}, neurons={record.n_neurons}" in line


@pytest.mark.parametrize("name", SOLVES)
def test_errors_of_callbacks_end_the_bar(name, capfd):
    with pytest.raises(ZeroDivisionError):
        SOLVES[name](verbose=True, callback=boom)
    assert not open_bars()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"max_iter": -1}, ValueError, "max_iter must be an integer >= 0"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer"),
        ({"time_limit": 0}, ValueError, "time_limit must be a finite number > 0"),
        ({"callback": 3}, TypeError, "callback must be callable or None, got int"),
    ],
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        monitor(**settings)
