import devices
import numpy as np
import pytest

import pyconvex
from pyconvex import PatternSet, array_relu, beta_max, path, sample_patterns

import oracles

X8 = np.random.default_rng(0).standard_normal((8, 3))
y8 = np.random.default_rng(1).standard_normal(8)
X, y = oracles.teacher(40, 3)
classes = np.where(y > np.median(y), 1.0, -1.0)
counts = np.round(np.exp(0.15 * (y - y.min())))
weights = np.random.default_rng(3).integers(0, 4, 40).astype(float)
LOCAL = {"certificate": "local", "random_state": 0, "tol": 1e-7}


@pytest.fixture(autouse=True)
def few_starts(monkeypatch):
    """These problems are small: no basin is missed."""
    monkeypatch.setattr(array_relu, "_EFFORTS", ((2, 2),))


def fit(place, X=X, y=y, **settings):
    arrays = {k: place.array(v) for k, v in settings.items() if isinstance(v, np.ndarray)}
    return pyconvex.fit(
        place.array(X), place.array(y), **LOCAL | settings | arrays, **place.keywords
    )


@pytest.mark.parametrize(
    ("loss", "y", "golden"),
    [("squared", y8, 0.73284603), ("logistic", np.sign(y8), 2.72340466)],
)
def test_golden_values(place, loss, y, golden):
    found = fit(place, X8, y, beta=0.15 / 8, bias="none", loss=loss)
    assert (found.status, found.certificate) == ("optimal", "local")
    assert found.gap <= 1e-7
    assert 8 * found.objective == pytest.approx(golden, rel=1e-7)
    assert 0.0 < found.lower_bound <= found.objective


SETTINGS = {
    "defaults": {},
    "decayed": {"bias": "decayed"},
    "none": {"bias": "none", "sample_weight": weights},
    "logistic": {"loss": "logistic", "y": classes, "beta": 0.01},
    "huber": {"loss": "huber", "bias": "decayed", "beta": 0.01},
    "squared_hinge": {"loss": "squared_hinge", "y": classes, "beta": 0.01},
    "poisson": {"loss": "poisson", "y": counts, "beta": 0.01},  # free biases want to run away
    "standardize": {"standardize": True, "sample_weight": weights, "beta": 0.01},
    "decayed-standardize": {"standardize": True, "bias": "decayed", "beta": 0.02},
}
FEW = "logistic", "standardize"  # on pretended devices


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_network_as_on_the_host(place, name):
    settings = SETTINGS[name]
    if place.name.startswith("strict") and name not in FEW:
        pytest.skip("each call is checked there, which takes long")
    found = fit(place, **settings)
    expected = pyconvex.fit(X, **LOCAL | {"y": y} | settings)
    assert (found.status, found.certificate) == ("optimal", "local")
    assert found.gap <= 1e-7
    assert found.beta == pytest.approx(expected.beta, rel=1e-9)
    assert found.objective == pytest.approx(expected.objective, rel=2e-7)
    assert found.lower_bound == pytest.approx(expected.lower_bound, rel=1e-3)
    prediction = place.host(found.predict(place.array(X)))
    assert prediction == pytest.approx(expected.predict(X), abs=2e-3)
    network = found.network.to_host()
    assert network.predict(X) == pytest.approx(prediction, abs=1e-12)
    assert network.gates is None
    used = X if "sample_weight" not in settings else X[weights > 0.0]
    on = used @ network.hidden_weights.T + network.hidden_bias > 0.0
    assert found.patterns == PatternSet.from_dense(on.T)


def test_the_objective_is_that_of_the_returned_network(place):
    found = fit(place, bias="decayed", beta=0.01)
    network = found.network.to_host()
    hidden = np.linalg.norm(np.column_stack([network.hidden_weights, network.hidden_bias]), axis=1)
    assert hidden == pytest.approx(np.abs(network.output_weights), rel=1e-12)
    loss = 0.5 * np.mean((network.predict(X) - y) ** 2)
    penalty = 0.005 * (hidden**2 + network.output_weights**2).sum()
    assert found.objective == pytest.approx(loss + penalty, rel=1e-12)
    proved = pyconvex.fit(X, y, bias="decayed", beta=0.01, certificate="global", tol=1e-7)
    assert found.objective == pytest.approx(proved.objective, rel=2e-7)


def test_more_features_than_samples(place):
    rng = np.random.default_rng(2)
    wide, target = rng.standard_normal((9, 20)), rng.standard_normal(9)
    found = fit(place, wide, target, beta=0.02)
    expected = pyconvex.fit(wide, target, beta=0.02, **LOCAL)
    assert found.objective == pytest.approx(expected.objective, rel=1e-6)
    assert found.network.hidden_weights.shape[1] == 20


def test_repeated_rows():
    place = devices.place("numpy")
    many = np.arange(1, 41) % 3 + 1
    repeated = np.repeat(np.arange(40), many)
    found = fit(place, X[repeated], y[repeated], beta=0.02)
    once = fit(place, beta=0.02, sample_weight=many.astype(float))
    assert found.status == once.status == "optimal"
    assert found.objective == pytest.approx(once.objective, rel=2e-7)


def test_warm_start_and_beta_max(place):
    x, t = place.array(X), place.array(y)
    found = fit(place, beta=0.01)
    again = fit(place, beta=0.01, warm_start=found)
    assert again.status == "optimal"
    assert again.n_iter <= 2
    largest = beta_max(x, t, **place.keywords)
    assert largest == pytest.approx(beta_max(X, y), rel=1e-6)


def test_paths(place):
    if place.name.startswith("strict"):
        pytest.skip("each call is checked there, which takes long")
    x, t = place.array(X), place.array(y)
    settings = {"n_betas": 3, "beta_min_ratio": 0.05} | LOCAL | {"tol": 1e-3}
    fits = path(x, t, **settings, **place.keywords)
    assert (fits.n_neurons > 0).tolist() == [False, True, True]
    assert fits.objectives == pytest.approx(path(X, y, **settings).objectives, rel=2e-3)


def test_large_beta_is_proved(place):
    found = fit(place, beta=10.0)
    assert found.network.n_neurons == 0
    assert (found.certificate, found.status) == ("global", "optimal")
    assert found.objective == pytest.approx(0.5 * np.var(y))


def test_limits_and_refusals(place):
    assert fit(place, beta=1e-3, max_iter=1).status == "max_iter"
    assert fit(place, beta=1e-3, callback=lambda record: True).status == "interrupted"
    assert fit(place, beta=1e-3, time_limit=1e-6).status == "time_limit"
    with pytest.raises(ValueError, match="certificate='global' is not available on device"):
        fit(place, certificate="global")
    with pytest.raises(ValueError, match="skip='free' is not available"):
        fit(place, skip="free")
    with pytest.raises(ValueError, match="loss='quantile' is not available with model='relu'"):
        fit(place, loss="quantile")
    with pytest.raises(ValueError, match="cones=True"):
        fit(place, patterns=sample_patterns(X, 5, random_state=0))
    with pytest.raises(ValueError, match="prune afterwards"):
        fit(place, beta=10.0, minimal=True)
    gated = pyconvex.fit(
        place.array(X), place.array(y), model="gated_relu", patterns=5, **place.keywords
    )
    with pytest.raises(ValueError, match="another model"):
        fit(place, warm_start=gated)


def test_automatic_certificates_are_local(place):
    found = fit(place, X8, y8, beta=0.15 / 8, bias="none", certificate="auto")
    assert found.certificate == "local"
