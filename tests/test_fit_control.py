"""Limits, callbacks, Ctrl-C, threads, repeats: how a fit ends, not what it finds."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pyconvex import Network, fit

import oracles

X, y = oracles.teacher(40, 3)
MODELS = ("relu", "gated_relu")


def check_network(result, X, y, gated=False):
    """Whatever ended the solve, the figures are those of the network that is returned."""
    expected = oracles.objective(result, X, y, "free", gated)
    assert result.objective == pytest.approx(expected, rel=1e-9)
    assert result.lower_bound <= result.objective


def same(first, second):
    assert first.objective == second.objective
    for name in ("hidden_weights", "hidden_bias", "output_weights"):
        np.testing.assert_array_equal(getattr(first.network, name), getattr(second.network, name))


STOPS = [
    ("max_iter", {"max_iter": 0}, 1),
    ("max_iter", {"max_iter": 2}, 3),
    ("time_limit", {"time_limit": 1e-9}, 1),
    ("interrupted", {"callback": lambda record: True}, 1),
    ("interrupted", {"callback": lambda record: record.n_neurons > 0}, None),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("status", "stop", "rounds"), STOPS)
def test_stopped_early(status, stop, rounds, model, backend):
    result = fit(X, y, beta=1e-4, model=model, tol=1e-12, random_state=0, backend=backend, **stop)
    assert result.status == status
    empty = sum(record.n_neurons == 0 for record in result.history)
    assert result.n_iter == len(result.history) == (empty + 1 if rounds is None else rounds)
    assert result.history[-1].n_neurons >= result.network.n_neurons
    assert result.objective <= result.history[0].objective * (1 + 1e-12)
    assert result.gap > 1e-12
    check_network(result, X, y, model == "gated_relu")


@pytest.mark.parametrize("model", MODELS)
def test_history(model, backend):
    seen = []
    result = fit(
        X, y, beta=0.01, model=model, random_state=0, backend=backend, callback=seen.append
    )
    assert tuple(seen) == result.history
    objectives = np.array([record.objective for record in seen])
    assert (np.diff(objectives) <= 1e-12 * objectives[0]).all()
    assert objectives[-1] == pytest.approx(result.objective, rel=1e-9)
    assert (np.diff([record.seconds for record in seen]) >= 0).all()
    assert seen[-1].seconds <= result.seconds


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
def test_warm_start(bias, model, backend):
    common = {"bias": bias, "model": model, "patterns": "auto" if model == "relu" else 60}
    common |= {"random_state": 0, "backend": backend}
    first = fit(X, y, beta=0.02, **common)
    cold = fit(X, y, beta=0.01, **common)
    for start in (first, first.network, cold):
        warm = fit(X, y, beta=0.01, warm_start=start, **common)
        assert warm.status == "optimal"
        assert warm.objective == pytest.approx(cold.objective, rel=3e-6)
    assert warm.n_iter < cold.n_iter  # from the solution itself


def test_warm_start_from_a_dead_neuron_of_many_features(backend):
    X = np.abs(np.random.default_rng(0).standard_normal((100, 60)))
    common = {"beta": 0.2, "bias": "none", "certificate": "local", "random_state": 0}
    dead = Network(np.vstack([-np.ones(60), np.ones(60)]), [0.0, 0.0], [1.0, 1.0])
    warm = fit(X, X[:, 0], warm_start=dead, **common, backend=backend)
    cold = fit(X, X[:, 0], **common, backend=backend)
    assert warm.objective == pytest.approx(cold.objective, rel=3e-6)


@pytest.mark.parametrize("model", MODELS)
def test_threads_and_repeats_change_nothing(model, backend):
    common = {"beta": 0.01, "model": model, "random_state": 7, "backend": backend}
    expected = fit(X, y, n_threads=1, **common)
    for n_threads in (1, 2, None):
        same(fit(X, y, n_threads=n_threads, **common), expected)


def test_fits_in_threads(backend):
    def run(seed):
        return fit(X, y, beta=0.01, random_state=seed, n_threads=1, backend=backend)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, range(4)))
    for seed, result in enumerate(together):
        same(result, run(seed))


@pytest.mark.parametrize("model", MODELS)
def test_pickle(model, backend):
    result = fit(X, y, beta=0.01, model=model, random_state=0, backend=backend)
    twin = pickle.loads(pickle.dumps(result))
    same(twin, result)
    assert repr(twin) == repr(result)
    assert twin.patterns == result.patterns
    np.testing.assert_array_equal(twin.predict(X), result.predict(X))


def test_repr(backend):
    text = repr(fit(X, y, beta=0.01, random_state=0, backend=backend))
    assert text.startswith("Fit(optimal: objective=0.0")
    assert "(global), n_neurons=" in text
    assert "\n" not in text


def test_patterns_are_those_of_the_neurons(backend):
    result = fit(X, y, beta=0.01, random_state=0, backend=backend)
    network = result.network
    on = network.hidden_weights @ X.T + network.hidden_bias[:, np.newaxis] > 0.0
    np.testing.assert_array_equal(result.patterns.to_dense(), on)


def test_nothing_is_printed_unless_asked(backend, capfd):
    fit(X, y, beta=0.01, random_state=0, backend=backend)
    assert capfd.readouterr() == ("", "")
    fit(X, y, beta=0.01, random_state=0, backend=backend, verbose=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "pyconvex" in err


LONG = """
import time
import numpy as np
import pyconvex
rng = np.random.default_rng(0)
X, y = rng.standard_normal((2000, 30)), rng.standard_normal(2000)
kwargs = dict(random_state=0, backend={backend!r})
pyconvex.fit(X[:50, :3], y[:50], beta=0.1, **kwargs)  # compile
start = lambda record: print("started", flush=True) if record.n_neurons else None
result = pyconvex.fit(X, y, beta=1e-6, tol=1e-12, callback=start, **kwargs)
same = abs(result.history[-1].objective / result.objective - 1.0) < 1e-9
print("ended", result.status, result.network.n_neurons > 0, same, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_returns_the_best_state(backend):
    work = subprocess.Popen(
        [sys.executable, "-c", LONG.format(backend=backend)],
        cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(120.0, work.kill)
    watchdog.start()
    try:
        assert work.stdout.readline() == "started\n"
        time.sleep(0.2)  # into the middle of a round
        work.send_signal(signal.SIGINT)
        start = time.perf_counter()
        lines = [line for line in work.stdout if line != "started\n"]
        seconds = time.perf_counter() - start
    finally:
        watchdog.cancel()
        work.kill()
        work.communicate()  # closes the pipe
    assert lines == ["ended interrupted True True\n"]
    assert seconds < 2.0
