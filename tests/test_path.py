import pickle
import signal
import time

import numpy as np
import pytest

import pyconvex
from pyconvex import Network, Path, Status, beta_max, fit, path
from pyconvex.path_plot import tracks

import oracles

X, y = oracles.teacher(12, 2)
MODELS = ("relu", "gated_relu")


def short(backend, **keywords):
    settings = {"n_betas": 5, "beta_min_ratio": 0.05, "random_state": 0, "backend": backend}
    return path(X, y, **(settings | keywords))


# --- What the points are -------------------------------------------------------------------


@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
@pytest.mark.parametrize("model", MODELS)
def test_points_are_fits(model, bias, backend):
    common = {"model": model, "bias": bias}
    if model == "gated_relu":
        rows = X if bias == "none" else oracles.ones(X)
        common["patterns"] = pyconvex.sample_patterns(rows, 30, random_state=0)
    points = short(backend, **common)
    limit = beta_max(X, y, backend=backend, **common)
    assert points.status == "optimal"
    np.testing.assert_allclose(points.betas, limit * np.geomspace(1.0, 0.05, 5), rtol=1e-7)
    assert points.n_neurons[0] == 0
    assert (np.diff(points.objectives) < 0.0).all()
    for point in points:
        cold = fit(X, y, beta=point.beta, random_state=0, backend=backend, **common)
        assert point.certificate == cold.certificate
        assert point.gap <= 1e-6
        assert point.objective == pytest.approx(cold.objective, rel=2e-6)
        expected = oracles.objective(point, X, y, bias, model == "gated_relu")
        assert point.objective == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("patterns", ["auto", "all"])
def test_global_certificates(patterns, backend):
    cells = oracles.all_cells(oracles.ones(X)).to_dense()
    points = short(backend, patterns=patterns)
    for point in points:
        assert point.certificate == "global"
        z = (y - oracles.predict(point.network, X)) / len(y)
        norm = oracles.dual_norm(oracles.ones(X), z, cells, True, True)
        dual = oracles.dual_objective(z, y, np.full(12, 1 / 12), point.beta / norm)
        # the oracle's bound is weaker by its tolerance, ours by the rounds it is the best of
        assert point.objective - dual <= 3e-6 * point.objective
        assert point.dual_objective <= point.objective
    optimum = oracles.conic_optimum(
        oracles.ones(X), y, cells, points[-1].beta, True, intercept=True, free_bias=True
    )
    assert points[-1].dual_objective <= optimum * (1 + 1e-7)
    assert points[-1].objective == pytest.approx(optimum, rel=2e-6)


def test_patterns_are_drawn_once(backend):
    points = short(backend, model="gated_relu", patterns=20)
    assert all(point.patterns is points[0].patterns for point in points)
    assert {point.certificate for point in points} == {"restricted"}


def test_warm_starts_save_rounds(backend):
    X, y = oracles.teacher(60, 4)
    common = {"bias": "decayed", "certificate": "local", "random_state": 0, "backend": backend}
    points = path(X, y, n_betas=15, **common)
    cold = [fit(X, y, beta=beta, **common).n_iter for beta in points.betas]
    assert sum(point.n_iter for point in points) < sum(cold)


def test_own_betas_come_in_descending_order(backend):
    points = short(backend, betas=[0.01, 0.1, 0.03])
    assert points.betas.tolist() == [0.1, 0.03, 0.01]
    start = fit(X, y, beta=0.1, random_state=0, backend=backend)
    assert short(backend, betas=[0.1], warm_start=start)[0].n_iter == 1


def test_beyond_beta_max_there_are_no_neurons(backend):
    limit = beta_max(X, y, backend=backend)
    points = short(backend, betas=[1.001 * limit, 3.0 * limit])
    assert points.n_neurons.tolist() == [0, 0]
    np.testing.assert_allclose(points.predict(X), y.mean())
    assert (points.gaps <= 1e-6).all()


def test_constant_targets(backend):
    points = path(X, np.ones(12), n_betas=3, random_state=0, backend=backend)
    assert points.status == "optimal"
    np.testing.assert_allclose(points.predict(X), 1.0)


# --- A sequence ----------------------------------------------------------------------------


def test_sequence(backend):
    points = short(backend)
    assert (len(points), len(list(points)), points[-1]) == (5, 5, points.fits[4])
    assert points.index(points[2]) == 2
    part = points[1:4]
    assert isinstance(part, Path)
    assert (part.fits, part.status) == (points.fits[1:4], "optimal")
    assert len(points[5:]) == 0
    assert points[5:].predict(X).shape == (0, 12)
    with pytest.raises(IndexError):
        points[5]
    with pytest.raises(AttributeError):
        points.status = "stalled"
    assert points.predict(X[:3]).shape == (5, 3)
    np.testing.assert_array_equal(points.predict(X)[2], points[2].predict(X))
    assert repr(points).startswith("Path(optimal: 5 points, beta=")
    assert "(global)" in repr(points)


def test_status_names_what_is_not_optimal(backend):
    points = short(backend, max_iter=0)
    assert len(points) == 5
    assert points.status == points[-1].status == "max_iter"
    assert points[:1].status == "optimal"


def test_pickle(backend):
    points = short(backend)
    twin = pickle.loads(pickle.dumps(points))
    assert repr(twin) == repr(points)
    np.testing.assert_array_equal(twin.predict(X), points.predict(X))


# --- How it ends ---------------------------------------------------------------------------


def test_time_limit(backend):
    X, y = oracles.teacher(200, 10)
    short(backend)  # compile
    start = time.perf_counter()
    points = path(X, y, n_betas=1000, tol=1e-9, time_limit=0.5, random_state=0, backend=backend)
    assert time.perf_counter() - start < 5.0
    assert points.status == "time_limit"
    assert 1 <= len(points) < 1000
    assert sum(point.seconds for point in points) <= time.perf_counter() - start
    first = short(backend, betas=[1e-3], time_limit=1e-9)  # never empty
    assert (len(first), first.status, first[0].status) == (1, "time_limit", "time_limit")


@pytest.mark.parametrize("finished", [True, False])
def test_callback_ends_the_path(finished, backend):
    seen = []

    def callback(record):
        begun = len(seen) > 0 and record.seconds < seen[-1].seconds
        seen.append(record)
        if finished:
            return record.n_neurons > 0
        return record.n_neurons > 0 and begun  # not optimal yet where a point starts

    points = short(backend, callback=callback)
    assert points.status == "interrupted"
    assert points[:].status == "optimal"
    assert points.n_neurons[-1] > 0
    assert len(seen) == sum(point.n_iter for point in points) + (not finished)


def test_until_ends_the_path_after_a_point(backend):
    whole = short(backend)
    seen = []

    def until(point):
        seen.append(point)
        return point.network.n_neurons > 0

    points = short(backend, until=until)
    assert list(points) == seen
    assert 1 < len(points) < len(whole)
    assert points.status == "optimal"
    np.testing.assert_array_equal(points.objectives, whole.objectives[: len(points)])


def test_callback_sees_every_round(backend):
    seen = []
    points = short(backend, callback=seen.append)
    assert tuple(seen) == sum((point.history for point in points), ())


@pytest.mark.parametrize("number", [1, 4])
def test_ctrl_c_ends_the_path(number, backend):
    seen = []

    def callback(record):
        seen.append(record)
        if len(seen) == number:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    points = short(backend, callback=callback)
    assert points.status is Status.INTERRUPTED
    assert 1 <= len(points) < 5
    assert signal.getsignal(signal.SIGINT) is before


def test_one_bar_over_the_points(backend, capfd):
    short(backend)
    assert capfd.readouterr() == ("", "")
    short(backend, verbose=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "5/5" in err


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"betas": []}, ValueError, "betas must be a non-empty 1-D"),
        ({"betas": 0.1}, ValueError, "betas must be a non-empty 1-D"),
        ({"betas": [0.1, 0.0]}, ValueError, "betas must be a finite number > 0"),
        ({"betas": ["a"]}, TypeError, "betas must be a number"),
        ({"n_betas": 0}, ValueError, "n_betas must be an integer"),
        ({"beta_min_ratio": 1.0}, ValueError, "beta_min_ratio must be below 1"),
        ({"beta_min_ratio": 0.0}, ValueError, "beta_min_ratio must be a finite number > 0"),
        ({"warm_start": 3}, TypeError, "warm_start must be a Fit"),
        ({"model": "linear"}, ValueError, "model must be one of"),
        ({"certificate": "global", "patterns": 5}, ValueError, "certificate='global' is about"),
    ],
)
def test_wrong_arguments(wrong, error, message):
    with pytest.raises(error, match=message):
        short("auto", **wrong)


# --- Pictures ------------------------------------------------------------------------------


def network(angles, sizes, signs):
    W = np.column_stack([np.cos(angles), np.sin(angles)]) * np.sqrt(sizes)[:, np.newaxis]
    return Network(W, np.zeros(len(W)), signs * np.sqrt(sizes))


def test_tracks_follow_the_nearest_direction_of_the_same_sign():
    plus, minus = np.array([1.0, 1.0]), np.array([-1.0, 1.0])
    found = tracks(
        [
            network(np.array([0.0, 2.0]), np.array([1.0, 2.0]), plus),
            network(np.array([2.1, 0.1]), np.array([3.0, 1.5]), plus),
            network(np.array([2.1, 0.1]), np.array([4.0, 2.5]), minus),
        ]
    )
    rounded = [(sign, points, np.round(norms, 9).tolist()) for sign, points, norms in found]
    assert sorted(rounded) == [
        (False, [1, 2], [0.0, 4.0]),
        (True, [0, 1, 2], [1.0, 1.5, 2.5]),
        (True, [0, 1, 2], [2.0, 3.0, 0.0]),
    ]


def test_validation_curves_show_the_loss(plt):
    labels = np.where(y > np.median(y), 1.0, -1.0)
    points = pyconvex.path(X, labels, loss="logistic", n_betas=3, tol=1e-3, random_state=0)
    shown = points.plot("validation", X, labels).lines[0].get_ydata()
    np.testing.assert_allclose(
        shown, [np.mean(np.log1p(np.exp(-labels * point.predict(X)))) for point in points]
    )
    assert points[1:].loss is points.loss
    with pytest.raises(ValueError, match="y must be -1 or"):
        points.plot("validation", X, y)
    several = pyconvex.path(X, np.column_stack([y, -y]), n_betas=3, tol=1e-3, random_state=0)
    shown = several.plot("validation", X, np.column_stack([y, -y])).lines[0].get_ydata()
    expected = [0.5 * np.mean((point.predict(X)[:, 0] - y) ** 2) for point in several]
    np.testing.assert_allclose(shown, 2.0 * np.array(expected), rtol=1e-6)
    with pytest.raises(ValueError, match="y has shape"):
        several.plot("validation", X, y)


@pytest.mark.parametrize("model", MODELS)
def test_plots(model):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    points = short("auto", model=model)
    data = {"neurons": points.n_neurons, "objective": points.objectives}
    data["validation"] = [0.5 * np.mean((point.predict(X) - y) ** 2) for point in points]
    for quantity, values in data.items():
        ax = points.plot(quantity, X, y)
        line = ax.lines[0]
        np.testing.assert_array_equal(line.get_xdata(), points.betas)
        np.testing.assert_allclose(line.get_ydata(), values)
        assert ax.get_xscale() == "log"
    ax = plt.figure().add_subplot()
    assert points.plot("coefficients", ax=ax) is ax
    seen = [value for line in ax.lines for value in line.get_ydata() if value > 0.0]
    expected = [a**2 for point in points for a in point.network.output_weights]
    np.testing.assert_allclose(sorted(seen), sorted(expected))
    with pytest.raises(ValueError, match="needs X and y"):
        points.plot("validation")
    with pytest.raises(ValueError, match="quantity must be one of"):
        points.plot("gap")
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        points.plot(ax=3)
    plt.close("all")
