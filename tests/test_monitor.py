import signal
import threading

import pytest

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


def test_progress_bar_only_where_asked(capfd):
    with monitor() as watch:
        watch.record(1.0, 0.5, 2)
    assert capfd.readouterr() == ("", "")
    with monitor(verbose=True) as watch:
        watch.record(1.0, 0.5, 2)
    out, err = capfd.readouterr()
    assert out == ""
    assert "pyconvex" in err
    assert "gap=5.0e-01" in err


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
