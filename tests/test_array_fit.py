import io
import os
import pickle
import signal

import devices
import numpy as np
import pytest

import pyconvex
from pyconvex import ConvexReLUClassifier, ConvexReLURegressor, Network, PatternSet

import oracles

X, y = oracles.teacher(60, 4)
classes = np.where(y > np.median(y), 1.0, -1.0)
weights = np.random.default_rng(3).integers(0, 4, 60).astype(float)
GATED = {"model": "gated_relu", "patterns": 50, "random_state": 0, "tol": 1e-8}


def fit(place, X=X, y=y, sample_weight=None, **settings):
    if sample_weight is not None:
        sample_weight = place.array(sample_weight)
    return pyconvex.fit(
        place.array(X), place.array(y), sample_weight=sample_weight,
        **GATED | settings, **place.keywords,
    )  # fmt: skip


def host_network(place, network):
    """Its weights, after a check that they are on the device."""
    arrays = {name: getattr(network, name) for name in devices.NETWORK_FIELDS}
    return {
        name: value if value is None or isinstance(value, float) else place.host(value)
        for name, value in arrays.items()
    }


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bias": "decayed"},
        {"bias": "none", "beta": 0.01},
        {"standardize": True},
        {"standardize": True, "bias": "none", "sample_weight": weights},
        {"loss": "logistic", "y": classes, "sample_weight": weights},
        {"patterns": "auto", "beta": 0.1},
        {"loss": "hinge", "y": classes, "tol": 1e-6},
    ],
    ids=lambda settings: "-".join(settings) or "defaults",
)
def test_the_same_network_as_on_the_host(settings, place):
    found = fit(place, **settings)
    expected = pyconvex.fit(X, **GATED | {"y": y} | settings)
    assert (found.status, found.certificate) == ("optimal", "restricted")
    tol = settings.get("tol", 1e-8)
    assert found.gap <= tol
    assert found.beta == pytest.approx(expected.beta, rel=1e-10)
    assert found.objective == pytest.approx(expected.objective, rel=2 * tol)
    assert found.lower_bound == found.dual_objective <= found.objective
    assert found.patterns == expected.patterns
    if "tol" in settings:  # the optimal predictions of a hinge are not unique
        return
    prediction = place.host(found.predict(place.array(X)))
    assert prediction == pytest.approx(expected.predict(X), abs=1e-4)


@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
def test_objective_and_bound_from_the_weights(bias, place):
    found = fit(place, bias=bias, beta=0.02)
    network = Network(**host_network(place, found.network))
    s = np.full(60, 1 / 60)
    residual = y - oracles.predict(network, X)
    squares = oracles.squares(network, bias, gated=True)
    assert found.objective == pytest.approx(0.5 * s @ residual**2 + 0.01 * squares, rel=1e-12)
    z, rows = s * residual, X if bias == "none" else oracles.ones(X)
    assert bias != "free" or abs(z.sum()) < 1e-14
    dense = found.patterns.to_host().to_dense()
    limit = 0.02 / np.linalg.norm((dense * z) @ rows, axis=1).max()
    bound = oracles.dual_objective(z, y, s, limit)
    assert found.dual_objective == pytest.approx(bound, rel=1e-12)


def test_given_patterns(place):
    rows = oracles.ones(X)
    G = np.random.default_rng(0).standard_normal((5, 30))
    there = PatternSet.from_gates(place.array(rows), place.array(G), **place.keywords)
    here = PatternSet.from_gates(rows, G)
    expected = pyconvex.fit(X, y, **GATED | {"patterns": here, "beta": 0.02})
    for patterns in (there, here):
        found = fit(place, patterns=patterns, beta=0.02)
        assert found.objective == pytest.approx(expected.objective, rel=2e-8)
    with pytest.raises(ValueError, match="patterns must carry gates with 5 coordinates"):
        fit(place, patterns=pyconvex.sample_patterns(X, 5, random_state=0))


def test_warm_starts(place):
    before = fit(place, beta=0.02)
    again = fit(place, beta=0.02, tol=1e-6, warm_start=before)
    assert (again.n_iter, again.status) == (1, "optimal")
    assert again.objective == pytest.approx(before.objective, rel=1e-10)
    host = before.network.to_host()  # a few weights of the host are copied
    assert fit(place, beta=0.02, tol=1e-6, warm_start=host).n_iter == 1
    halves = {  # two neurons per gate
        name: np.concatenate([array, array])
        for name, array in host_network(place, before.network).items()
        if name not in ("output_bias", "skip")
    }
    halves["output_weights"] /= 2
    halves = Network(**halves, output_bias=host.output_bias)
    assert fit(place, beta=0.02, tol=1e-6, warm_start=halves).n_iter == 1
    with pytest.raises(ValueError, match="warm_start is of another model or other features"):
        fit(place, X=X[:, :2], warm_start=before)


def test_paths(place):
    x, t = place.array(X), place.array(y)
    found = pyconvex.path(x, t, n_betas=4, **GATED, **place.keywords)
    expected = pyconvex.path(X, y, n_betas=4, **GATED)
    assert found.betas == pytest.approx(expected.betas, rel=1e-10)
    assert found.objectives == pytest.approx(expected.objectives, rel=2e-8)
    assert (found[0].network.n_neurons, found.status) == (0, "optimal")
    assert place.host(found.predict(x)) == pytest.approx(expected.predict(X), abs=1e-3)


def test_beta_max(place):
    settings = {"model": "gated_relu", "patterns": 50}
    found = pyconvex.beta_max(place.array(X), place.array(y), **settings, **place.keywords)
    assert found == pytest.approx(pyconvex.beta_max(X, y, **settings), rel=1e-12)
    zero = pyconvex.beta_max(place.array(X), place.array(0 * y), **settings, **place.keywords)
    assert zero == 0.0


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("outputs", [None, 2])
def test_predictions_live_where_the_data_do(outputs, gated, place):
    rng = np.random.default_rng(0)
    shape = (3,) if outputs is None else (3, outputs)
    skip = rng.standard_normal((shape[1:] and (4, outputs)) or 4)
    gates = (rng.standard_normal((3, 4)), rng.standard_normal(3)) if gated else (None, None)
    network = Network(
        rng.standard_normal((3, 4)), rng.standard_normal(3), rng.standard_normal(shape), 0.5,
        *gates, skip,
    )  # fmt: skip
    x = place.array(X)
    moved = network.to_device(x)
    assert (moved.n_neurons, moved.n_features, moved.n_outputs) == (3, 4, outputs or 1)
    for predictor in (network, moved):
        assert place.host(predictor.predict(x)) == pytest.approx(network.predict(X), rel=1e-12)
    single = place.host(moved.predict(place.array(X.astype(np.float32), "float32")))
    assert single == pytest.approx(network.predict(X.astype(np.float32)), rel=1e-12)
    with pytest.raises(ValueError, match="X has 2 columns, expected 4"):
        moved.predict(x[:, :2])


def test_networks_move_when_told():
    first, second = (devices.place(name) for name in devices.STRICT)
    network = fit(first, beta=0.05).network
    x = second.array(X)
    with pytest.raises(ValueError, match=r"X is on device .*device2.*network.to_device"):
        network.predict(x)
    with pytest.raises(ValueError, match=r"X is on the host \(ndarray\).*network.to_host"):
        network.predict(X)
    expected = network.to_host().predict(X)
    assert second.host(network.to_device(x).predict(x)) == pytest.approx(expected, rel=1e-12)
    assert network.to_device(first.array(X)) is network
    with pytest.raises(ValueError, match=r"network\.to_host"):
        network.prune(first.array(X))
    with pytest.raises(ValueError, match="hidden_bias is on the host"):
        Network(first.array(X), np.zeros(60), first.array(y))
    with pytest.raises(ValueError, match="hidden_bias must have shape"):
        Network(first.array(X), first.array(y[:3]), first.array(y))
    with pytest.raises(ValueError, match="hidden_weights contains NaN"):
        Network(first.array(X * np.nan), first.array(y), first.array(y))


def test_files_and_exports_copy_to_the_host(place):
    network = fit(place, beta=0.05).network
    file = io.BytesIO()
    network.save(file)
    file.seek(0)
    loaded = Network.load(file)
    assert isinstance(loaded.hidden_weights, np.ndarray)
    assert (loaded.predict(X) == network.to_host().predict(X)).all()
    relu = Network([[1.0, 0.0]], [-1.0], [2.0], 0.5).to_device(place.array(X))
    assert relu.to_sklearn().predict([[3.0, 0.0]]) == pytest.approx([4.5])


def test_pickles_of_tensors():
    place = devices.place("torch")
    result = fit(place, beta=0.05)
    copy = pickle.loads(pickle.dumps(result))
    x = place.array(X)
    assert (copy.predict(x) == result.predict(x)).all()
    assert copy.patterns == result.patterns


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"skip": "free"}, "skip='free' is not available on device arrays"),
        ({"patterns": "all"}, "patterns='all' is not available on device arrays"),
        ({"minimal": True}, "minimal=True is not available on device arrays"),
        ({"loss": "softmax"}, "loss='softmax' is not available on device arrays"),
        ({"y": np.column_stack([y, y])}, "y has several outputs"),
        ({"bias": "some"}, "bias must be one of"),
        ({"beta": 0.0}, "beta must be"),
        ({"certificate": "global"}, "certificate='global'"),
        ({"loss": "logistic", "y": 0 * y + 1}, "y holds one class only"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_not_available_says_so(settings, message, place):
    with pytest.raises(ValueError, match=message):
        fit(place, **settings)


def test_functions_of_the_host_say_so():
    place = devices.place("strict-device1")
    x = place.array(X)
    for call in (
        lambda: pyconvex.enumerate_patterns(x),
        lambda: pyconvex.price(x, y),
        lambda: pyconvex.fit(X, place.array(y)),
    ):
        with pytest.raises(TypeError, match=r"lives on device .*pass a NumPy array"):
            call()
    with pytest.raises(ValueError, match="method='uniform' is not available on device arrays"):
        pyconvex.sample_patterns(x, 5, method="uniform")
    with pytest.raises(ValueError, match="backend='array' is not available here"):
        pyconvex.enumerate_patterns(X, backend="array")


def test_without_array_api_compat(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "array_api_compat", None)
    with pytest.raises(ImportError, match=r'pip install "pyconvex\[array\]"'):
        pyconvex.fit(X, y, backend="array")
    assert not pyconvex.show_config("dict")["backends"]["array"]["available"]
    pyconvex.fit(X, y, model="gated_relu", patterns=5)  # NumPy users need it not


def test_without_an_array_library(monkeypatch):
    pytest.importorskip("array_api_compat")
    monkeypatch.setattr("pyconvex.device_choice._is_installed", lambda library: False)
    with pytest.raises(ImportError, match=r"device=.cuda. needs PyTorch or CuPy"):
        pyconvex.fit(X, y, model="gated_relu", device="cuda")


def test_a_device_of_another_place():
    first, second = (devices.place(name) for name in devices.STRICT)
    found = fit(first, beta=0.05, device=second.device)
    assert found.objective == pytest.approx(fit(first, beta=0.05).objective, rel=1e-10)
    host_network(first, found.network)
    assert found.patterns.space.device == first.device


@pytest.mark.parametrize(
    "settings", [{}, {"loss": "logistic", "y": classes}], ids=["squared", "logistic"]
)
def test_a_device_without_double_precision(settings):
    strict = pytest.importorskip("array_api_strict")
    place = devices.Place("strict", strict, strict.Device("no_float64"))
    settings = {"y": y, "loss": "squared", "beta": 0.02} | settings
    target = settings.pop("y")
    x, t = place.array(X, "float32"), place.array(target, "float32")
    found = pyconvex.fit(x, t, **GATED | settings | {"tol": 1e-5})
    expected = pyconvex.fit(X, target, **GATED | settings)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(expected.objective, rel=1e-5)
    assert found.dual_objective == pytest.approx(expected.objective, rel=2e-5)
    assert place.host(found.network.output_weights).dtype == np.float32


def test_ctrl_c_returns_the_best_state(place):
    seen = []

    def interrupt(record):
        seen.append(record)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    result = fit(place, beta=0.001, callback=interrupt)
    assert (result.status, result.n_iter) == ("interrupted", 3)
    assert 0.0 < result.objective <= 0.5 * np.mean(y**2)


def test_tensors_of_half_precision_and_with_gradients():
    place, torch = devices.place("torch"), pytest.importorskip("torch")
    x, t = place.array(X).to(torch.bfloat16), place.array(y).requires_grad_()
    found = pyconvex.fit(x, t, **GATED | {"beta": 0.02})
    expected = fit(place, X=x.double().numpy(), beta=0.02)
    assert found.objective == pytest.approx(expected.objective, rel=1e-12)
    assert not found.network.output_weights.requires_grad


def test_regressors(place):
    x, t = place.array(X), place.array(y)
    settings = GATED | {"beta": 0.02} | place.keywords
    model = ConvexReLURegressor(**settings).fit(x, t)
    expected = ConvexReLURegressor(**GATED, beta=0.02).fit(X, y)
    assert (model.n_features_in_, model.status_) == (4, "optimal")
    assert place.host(model.predict(x)) == pytest.approx(expected.predict(X), abs=1e-5)
    counts = np.round(np.exp(0.15 * (y - y.min())))
    means = ConvexReLURegressor(loss="poisson", **settings).fit(x, place.array(counts)).predict(x)
    assert np.mean(place.host(means)) == pytest.approx(counts.mean(), rel=1e-6)  # a free constant
    with pytest.raises(ValueError, match="X has 2 features, but ConvexReLURegressor is expecting"):
        model.predict(x[:, :2])


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 3.0}])
def test_classifiers(class_weight, place):
    labels = (classes > 0).astype(np.int64)
    x, t = place.array(X), place.array(labels)
    settings = GATED | {"beta": 0.02, "class_weight": class_weight}
    model = ConvexReLUClassifier(**settings, **place.keywords).fit(x, t, place.array(weights))
    expected = ConvexReLUClassifier(**settings).fit(X, labels, weights)
    assert model.objective_ == pytest.approx(expected.objective_, rel=2e-8)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        found = place.host(getattr(model, name)(x))
        assert found == pytest.approx(getattr(expected, name)(X), abs=1e-4)
    model.set_params(warm_start=True, tol=1e-6).fit(x, t, place.array(weights))
    assert model.n_iter_ == 1


def test_classifiers_of_devices_take_two_classes():
    place = devices.place("strict-device1")
    x, labels = place.array(X), np.arange(60) % 3
    with pytest.raises(ValueError, match="y has 3 classes"):
        ConvexReLUClassifier(**GATED).fit(x, place.array(labels))
    with pytest.raises(ValueError, match="loss='softmax' is not available on device arrays"):
        ConvexReLUClassifier(loss="softmax", **GATED).fit(x, place.array(labels))
    with pytest.raises(ValueError, match="cross-validation splits NumPy arrays"):
        pyconvex.ConvexReLURegressorCV(**GATED).fit(x, place.array(y))


def test_scikit_learn_dispatch(monkeypatch):
    place = devices.place("strict-device1")
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    sklearn = pytest.importorskip("sklearn")
    try:
        context = sklearn.config_context(array_api_dispatch=True)
    except (ImportError, RuntimeError):
        pytest.skip("scipy was imported without SCIPY_ARRAY_API=1")
    with context:
        model = ConvexReLURegressor(beta=0.02, **GATED).fit(place.array(X), place.array(y))
        place.host(model.predict(place.array(X)))
