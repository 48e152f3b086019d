import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import pyconvex
from pyconvex import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    PatternSet,
    Status,
)

import oracles

X, y = oracles.teacher(30, 2)
signs = np.where(y > np.median(y), 1.0, -1.0)
thirds = np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
names = np.array(["bird", "cat", "dog"])
QUICK = {"beta": 0.02, "tol": 1e-4, "certificate": "local", "random_state": 0}
ESTIMATORS = [
    ConvexReLURegressor,
    ConvexReLUClassifier,
    ConvexReLURegressorCV,
    ConvexReLUClassifierCV,
]

# One check compares predictions of equivalent problems to 1e-7. Where neurons are searched from
# random directions two local optima may tell them apart, and with a free bias rows without weight
# may see different optimal networks, so patterns are drawn and biases decay: those programs are
# strictly convex where rows have weight, and solved to the end, where rounding may stop them (hence
# ConvergenceWarning).
EXACT = {"patterns": 50, "bias": "decayed", "tol": 1e-13, "random_state": 0}


def _not_followed(estimator):
    """Checks of scikit-learn's array API (with SCIPY_ARRAY_API=1) that ask for something else."""
    return {
        "check_array_api_mixed_inputs": "y of another device is an error: nothing moves by itself",
        "check_array_api_same_namespace": "the error is ours: it says how to move the network",
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        ConvexReLURegressor(**EXACT),
        ConvexReLUClassifier(**EXACT, beta=0.01),
        ConvexReLUClassifier(**EXACT, beta=0.01, loss="squared"),
        ConvexReLURegressorCV(**EXACT, n_betas=3, cv=3),
        ConvexReLUClassifierCV(**EXACT, betas=[0.1, 0.01], cv=3, loss="squared"),
    ],
    expected_failed_checks=_not_followed,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameters_are_those_of_fit(estimator):
    """Same names and defaults; what is special to scikit-learn has another way in."""
    own = inspect.signature(estimator).parameters
    other = "X", "y", "sample_weight", "callback", "warm_start"
    if estimator in (ConvexReLURegressorCV, ConvexReLUClassifierCV):
        of_path = inspect.signature(pyconvex.path).parameters
        assert own["beta_min_ratio"].default == of_path["beta_min_ratio"].default
        other += ("beta",)
    for name, parameter in inspect.signature(pyconvex.fit).parameters.items():
        if name not in other:
            default = parameter.default
            if name == "loss" and "Classifier" in estimator.__name__:
                default = "logistic"
            assert own[name].default == default, name


# --- Regression ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["relu", "gated_relu"])
@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
def test_regressor_is_fit(model, bias):
    weights = np.arange(1.0, 31.0)
    common = QUICK | {"model": model, "bias": bias, "standardize": True}
    result = pyconvex.fit(X, y, sample_weight=weights, **common)
    estimator = ConvexReLURegressor(**common).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(estimator.predict(X), result.predict(X))
    assert estimator.network_ is estimator.fit_.network
    assert estimator.n_neurons_ == result.network.n_neurons > 0
    for name in ("objective", "dual_objective", "lower_bound", "gap", "certificate", "status",
                 "beta", "n_iter"):  # fmt: skip
        assert getattr(estimator, f"{name}_") == getattr(result, name)


def test_poisson_predicts_counts():
    """The network models the logarithm of the expected count."""
    estimator = ConvexReLURegressor(**QUICK).fit(X, y)
    raw = estimator.predict(X)
    estimator.loss = "poisson"
    np.testing.assert_allclose(estimator.predict(X), np.exp(raw))
    assert estimator.__sklearn_tags__().target_tags.positive_only


def test_warning_where_the_gap_stays():
    with pytest.warns(ConvergenceWarning, match="'max_iter' at a relative gap of .*raise max_iter"):
        estimator = ConvexReLURegressor(**QUICK | {"max_iter": 1}).fit(X, y)
    assert estimator.status_ is Status.MAX_ITER


def test_warm_start():
    estimator = ConvexReLURegressor(**QUICK, warm_start=True).fit(X, y)
    rounds = estimator.n_iter_
    assert estimator.fit(X, y).n_iter_ < rounds
    assert clone(estimator).fit(X, y).n_iter_ == rounds
    with pytest.raises(ValueError, match="warm_start has 2 features but X has 1"):
        estimator.fit(X[:, :1], y)


def test_errors_name_the_parameter():
    for name, value in {"tol": -1.0, "bias": "some", "standardize": 1, "beta": 0.0}.items():
        with pytest.raises((ValueError, TypeError), match=f"^{name} must be"):
            ConvexReLURegressor(**QUICK | {name: value}).fit(X, y)


# --- Classification ------------------------------------------------------------------------


def test_two_classes_are_minus_and_plus_one():
    labels = np.where(signs > 0, "yes", "no")
    estimator = ConvexReLUClassifier(**QUICK, loss="squared").fit(X, labels)
    result = pyconvex.fit(X, signs, **QUICK)
    assert estimator.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(estimator.decision_function(X), result.predict(X))
    np.testing.assert_array_equal(
        estimator.predict(X), np.where(result.predict(X) > 0, "yes", "no")
    )
    assert estimator.score(X, labels) >= 0.9


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_probabilities_of_two_classes(loss):
    estimator = ConvexReLUClassifier(**QUICK, loss=loss).fit(X, signs)
    scores = estimator.decision_function(X)
    assert scores.shape == (30,)
    np.testing.assert_allclose(estimator.predict_proba(X)[:, 1], expit(scores))
    np.testing.assert_allclose(estimator.predict_proba(X).sum(axis=1), 1.0)
    np.testing.assert_allclose(
        np.exp(estimator.predict_log_proba(X)), estimator.predict_proba(X), atol=1e-12
    )
    np.testing.assert_array_equal(estimator.predict(X), np.where(scores > 0, 1.0, -1.0))


@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared"])
def test_several_classes(loss):
    estimator = ConvexReLUClassifier(**QUICK | {"loss": loss}).fit(X, names[thirds])
    scores = estimator.decision_function(X)
    assert scores.shape == (30, 3)
    np.testing.assert_array_equal(estimator.predict(X), names[scores.argmax(axis=1)])
    assert estimator.score(X, names[thirds]) >= 0.8
    if loss == "squared":
        columns = 2.0 * (thirds[:, np.newaxis] == np.arange(3)) - 1.0
        expected = pyconvex.fit(X, columns, **QUICK).predict(X)
        np.testing.assert_array_equal(scores, expected)
    else:
        odds = np.exp(scores)
        np.testing.assert_allclose(
            estimator.predict_proba(X), odds / odds.sum(axis=1, keepdims=True)
        )
        np.testing.assert_allclose(
            np.exp(estimator.predict_log_proba(X)), estimator.predict_proba(X), atol=1e-12
        )


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "squared"])
def test_no_probabilities_without_a_model_of_them(loss):
    estimator = ConvexReLUClassifier(loss=loss)
    for name in ("predict_proba", "predict_log_proba"):
        assert not hasattr(estimator, name)
        with pytest.raises(AttributeError) as caught:
            getattr(estimator, name)
        assert f"loss='{loss}' does not model probabilities" in str(caught.value.__cause__)


def test_class_weights_multiply_sample_weights():
    base = ConvexReLUClassifier(**QUICK, loss="squared")
    counts = np.where(np.arange(30) % 3 == 0, 2, 1)
    by_dict = clone(base).set_params(class_weight={-1.0: 3.0}).fit(X, signs, counts)
    expected = clone(base).fit(X, signs, counts * np.where(signs < 0, 3.0, 1.0))
    np.testing.assert_array_equal(by_dict.predict(X), expected.predict(X))
    few = np.r_[np.flatnonzero(signs > 0)[:4], np.flatnonzero(signs < 0)]
    balanced = clone(base).set_params(class_weight="balanced").fit(X[few], signs[few], counts[few])
    totals = {sign: counts[few][signs[few] == sign].sum() for sign in (-1.0, 1.0)}
    shares = counts[few] / np.array([totals[sign] for sign in signs[few]])
    expected = pyconvex.fit(X[few], signs[few], sample_weight=shares, **QUICK)
    assert balanced.objective_ == pytest.approx(expected.objective, rel=1e-4)
    with pytest.raises(ValueError, match="class_weight"):
        clone(base).set_params(class_weight="even").fit(X, signs)


def test_classes_are_those_of_rows_that_count():
    weights = np.where(thirds == 1, 0.0, 1.0)
    base = ConvexReLUClassifier(**QUICK, loss="squared")
    estimator = clone(base).fit(X, names[thirds], sample_weight=weights)
    assert estimator.classes_.tolist() == ["bird", "dog"]
    kept = thirds != 1
    fewer = clone(base).fit(X[kept], names[thirds][kept])
    assert estimator.objective_ == pytest.approx(fewer.objective_, rel=1e-3)
    with pytest.raises(ValueError, match=r"y has one class only .*'cat'"):
        clone(base).fit(X, names[thirds], sample_weight=1.0 - weights)


def test_warm_start_needs_the_same_classes():
    estimator = ConvexReLUClassifier(**QUICK, loss="squared", warm_start=True).fit(X, signs)
    before = estimator.predict(X)
    with pytest.raises(ValueError, match="warm_start=True needs the classes of the previous fit"):
        estimator.fit(X, signs + 1.0)
    np.testing.assert_array_equal(estimator.predict(X), before)


# --- In company ----------------------------------------------------------------------------


def test_pipeline_grid_search_and_frames():
    frame = pd.DataFrame(X, columns=["left", "right"])
    pipeline = make_pipeline(StandardScaler(), ConvexReLURegressor(**QUICK))
    pipeline.set_output(transform="pandas")
    grid = {"convexreluregressor__beta": [1.0, 0.02]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(frame, y)
    best = search.best_estimator_[-1]
    assert best.beta_ == 0.02
    assert best.feature_names_in_.tolist() == ["left", "right"]
    inside = ConvexReLURegressor(**QUICK, standardize=True).fit(frame, y)
    assert inside.objective_ == pytest.approx(best.objective_, rel=1e-3)
    assert cross_val_score(inside, frame, y, cv=3).min() > 0.5


@pytest.mark.parametrize("copy", [clone, lambda estimator: pickle.loads(pickle.dumps(estimator))])
def test_copies(copy):
    gates = pyconvex.sample_patterns(oracles.ones(X), 20, random_state=0)
    estimator = ConvexReLURegressor(model="gated_relu", patterns=gates, beta=0.02).fit(X, y)
    again = copy(estimator)
    assert isinstance(again.patterns, PatternSet)
    assert again.patterns == gates
    if copy is clone:
        again.fit(X, y)
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))


def test_iris():
    data, species = load_iris(return_X_y=True)
    estimator = ConvexReLUClassifier(**QUICK | {"tol": 1e-2}, standardize=True)
    assert cross_val_score(estimator, data, species, cv=3).mean() >= 0.93
