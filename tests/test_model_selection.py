from dataclasses import replace

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
from sklearn.model_selection import KFold, LeaveOneOut, StratifiedKFold

import pyconvex
from pyconvex import (
    ConvexReLUClassifierCV,
    ConvexReLURegressorCV,
    Path,
    PatternSet,
    Status,
    cross_validation,
)
from pyconvex.cross_validation import _choose, _is_past_best

import oracles

X, y = oracles.teacher(40, 2)
labels = np.where(y > np.median(y), "high", "low")
weights = np.random.default_rng(1).integers(0, 3, 40).astype(float)
QUICK = {"n_betas": 5, "cv": 3, "tol": 1e-5, "random_state": 0}


@pytest.fixture(scope="module")
def searched():
    return ConvexReLURegressorCV(**QUICK).fit(X, y)


@pytest.mark.parametrize("sample_weight", [None, weights], ids=["equal", "weighted"])
def test_scores_are_those_of_a_path_per_fold(sample_weight):
    settings = {"standardize": True, "bias": "decayed"}
    estimator = ConvexReLURegressorCV(**QUICK, **settings).fit(X, y, sample_weight=sample_weight)
    limit = pyconvex.beta_max(X, y, sample_weight=sample_weight, **settings)
    np.testing.assert_allclose(estimator.betas_, limit * np.geomspace(1.0, 0.01, 5))
    for k, (train, test) in enumerate(KFold(3).split(X)):
        inside = outside = None
        if sample_weight is not None:
            inside, outside = sample_weight[train], sample_weight[test]
        points = pyconvex.path(
            X[train], y[train], betas=estimator.betas_, sample_weight=inside, tol=1e-3,
            certificate="local", random_state=0, **settings,
        )  # fmt: skip
        expected = [r2_score(y[test], f, sample_weight=outside) for f in points.predict(X[test])]
        np.testing.assert_allclose(estimator.scores_[:, k], expected)
    np.testing.assert_allclose(estimator.mean_scores_, estimator.scores_.mean(axis=1))
    assert estimator.best_index_ == estimator.mean_scores_.argmax()


def test_network_is_that_of_all_data(searched):
    assert searched.beta_ == searched.betas_[searched.best_index_]
    alone = pyconvex.fit(X, y, beta=searched.beta_, tol=1e-5, random_state=0)
    assert searched.certificate_ == alone.certificate == "global"
    assert searched.gap_ <= 1e-5
    assert searched.objective_ == pytest.approx(alone.objective, rel=2e-5)
    assert isinstance(searched.path_, Path)
    np.testing.assert_array_equal(searched.path_.betas, searched.betas_[: len(searched.path_)])
    assert searched.path_[-1] is searched.fit_
    assert (searched.path_.gaps <= 1e-3).all()
    np.testing.assert_array_equal(searched.predict(X), searched.fit_.predict(X))


def test_best_and_one_standard_error():
    """Means 0, 5, 6.5, 7, 7 with a standard error of 1 at the first 7."""
    noise = np.array([-1.0, 0.0, 1.0]) * np.sqrt(3.0)
    scores = np.array([0.0, 5.0, 6.5, 7.0, 7.0])[:, np.newaxis] + noise
    assert _choose(scores, "best") == 3
    assert _choose(scores, "one_std_error") == 2
    assert _choose(scores[:3], "one_std_error") == 2
    assert _choose(scores[:, :1], "one_std_error") == 3  # one fold has no standard error
    scores[3:, 1] = np.nan  # a limit came first
    assert _choose(scores, "best") == 2
    with pytest.raises(ValueError, match="scoring gave nan"):
        _choose(scores[3:], "best")


def test_noise_gets_no_neurons():
    noise = np.random.default_rng(3).standard_normal(40)
    estimator = ConvexReLURegressorCV(**QUICK, selection="one_std_error").fit(X, noise)
    assert estimator.best_index_ == 0
    assert estimator.n_neurons_ == 0
    assert len(estimator.path_) == 1


def test_selection_prefers_fewer_neurons(searched):
    simpler = ConvexReLURegressorCV(**QUICK, selection="one_std_error").fit(X, y)
    np.testing.assert_array_equal(simpler.scores_, searched.scores_)
    best = searched.best_index_
    error = searched.scores_[best].std(ddof=1) / np.sqrt(3)
    enough = np.flatnonzero(searched.mean_scores_ >= searched.mean_scores_[best] - error)
    assert simpler.best_index_ == enough[0]


def test_classifier():
    estimator = ConvexReLUClassifierCV(**QUICK, loss="squared").fit(X, labels)
    signs = np.where(labels == "low", 1.0, -1.0)
    train, test = next(StratifiedKFold(3).split(X, labels))
    points = pyconvex.path(
        X[train], signs[train], betas=estimator.betas_, tol=1e-3, certificate="local",
        random_state=0,
    )  # fmt: skip
    expected = [
        accuracy_score(labels[test], np.where(f > 0, "low", "high"))
        for f in points.predict(X[test])
    ]
    np.testing.assert_allclose(estimator.scores_[:, 0], expected)
    assert estimator.classes_.tolist() == ["high", "low"]
    assert estimator.score(X, labels) >= 0.85


def test_probabilities_and_several_classes():
    thirds = np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
    settings = QUICK | {"betas": [0.1, 0.01], "scoring": "neg_log_loss", "tol": 1e-3}
    estimator = ConvexReLUClassifierCV(**settings).fit(X, thirds)
    assert estimator.predict_proba(X).shape == (40, 3)
    assert (estimator.scores_ < 0.0).all()


def test_scoring(searched):
    def minus_error(estimator, X, y):
        return -mean_absolute_error(y, estimator.predict(X))

    by_name = ConvexReLURegressorCV(**QUICK, scoring="neg_mean_absolute_error").fit(X, y)
    by_function = ConvexReLURegressorCV(**QUICK, scoring=minus_error).fit(X, y)
    np.testing.assert_array_equal(by_name.scores_, by_function.scores_)
    assert (by_name.scores_ < 0.0).all()
    np.testing.assert_array_equal(by_name.betas_, searched.betas_)


def test_folds_at_once(searched):
    with parallel_config(backend="threading"):
        parallel = ConvexReLURegressorCV(**QUICK, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(parallel.scores_, searched.scores_)
    np.testing.assert_array_equal(parallel.predict(X), searched.predict(X))


def test_given_betas_and_splits():
    splits = list(KFold(2, shuffle=True, random_state=0).split(X))
    estimator = ConvexReLURegressorCV(betas=[0.01, 0.1], cv=splits, random_state=0).fit(X, y)
    assert estimator.betas_.tolist() == [0.1, 0.01]
    assert estimator.scores_.shape == (2, 2)


@pytest.mark.parametrize(
    ("model", "gates"), [("relu", True), ("relu", False), ("gated_relu", True)]
)
def test_given_patterns_are_cut_down_to_the_fold(model, gates):
    patterns = pyconvex.sample_patterns(oracles.ones(X), 15, random_state=0)
    if not gates:
        patterns = PatternSet(patterns.packed, 40)
    settings = {"model": model, "betas": [0.1, 0.02], "tol": 1e-5}
    estimator = ConvexReLURegressorCV(patterns=patterns, cv=2, **settings).fit(X, y)
    train, test = next(KFold(2).split(X))
    inside = PatternSet.from_dense(patterns.to_dense()[:, train])
    if gates:
        inside = PatternSet.from_gates(oracles.ones(X)[train], patterns.gates)
    settings["tol"] = 1e-3
    points = pyconvex.path(X[train], y[train], patterns=inside, certificate="local", **settings)
    expected = [r2_score(y[test], f) for f in points.predict(X[test])]
    np.testing.assert_allclose(estimator.scores_[:, 0], expected)
    assert estimator.certificate_ == "restricted"


def test_random_states():
    """A seed, a generator of its own or None: one draw serves all folds."""
    settings = {"betas": [0.1, 0.02], "cv": 2, "model": "gated_relu", "patterns": 10}
    first, again = (
        ConvexReLURegressorCV(random_state=np.random.RandomState(5), **settings).fit(X, y)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.scores_, again.scores_)
    np.testing.assert_array_equal(first.path_[0].patterns.gates, first.fit_.patterns.gates)


def test_warnings():
    settings = QUICK | {"betas": [0.1, 0.01], "max_iter": 1}
    with (
        pytest.warns(ConvergenceWarning, match="3 of 3 paths .* path_tol=0.001: raise"),
        pytest.warns(ConvergenceWarning, match="the fit ended with status 'max_iter'"),
    ):
        ConvexReLURegressorCV(**settings).fit(X, y)


def test_patience_ends_folds_past_their_best():
    settings = QUICK | {"n_betas": 12, "beta_min_ratio": 1e-3}
    whole = ConvexReLURegressorCV(**settings).fit(X, y)
    early = ConvexReLURegressorCV(**settings, patience=2).fit(X, y)
    for scores, kept in zip(whole.scores_.T, early.scores_.T, strict=True):
        n = int(np.isfinite(kept).sum())
        np.testing.assert_array_equal(kept[:n], scores[:n])
        assert n == 12 or scores[: n - 2].max() >= scores[n - 2 : n].max()
        assert not any(_is_past_best(list(scores[:end]), 2) for end in range(n))
    assert np.isnan(early.scores_).any()
    assert np.isfinite(early.mean_scores_[early.best_index_])


def test_patience_waits_for_a_first_improvement():
    assert not _is_past_best([0.5, 0.5, 0.4, 0.5, 0.5], 2)
    assert not _is_past_best([0.5, 0.6, 0.6], None)
    assert not _is_past_best([0.5, 0.6, 0.5], 2)
    assert _is_past_best([0.5, 0.6, 0.5, 0.6], 2)
    assert not _is_past_best([0.5, 0.6, 0.5, 0.7], 2)


def test_bad_parameters():
    with pytest.raises(ValueError, match="patience must be an integer >= 1, got 0"):
        ConvexReLURegressorCV(**QUICK, patience=0).fit(X, y)
    with pytest.raises(ValueError, match="selection must be one of 'best', 'one_std_error'"):
        ConvexReLURegressorCV(**QUICK, selection="worst").fit(X, y)
    with pytest.raises(ValueError, match="betas must be a finite number > 0"):
        ConvexReLURegressorCV(betas=[-1.0]).fit(X, y)
    with pytest.raises(ValueError, match="tol must be a finite number > 0"):
        ConvexReLURegressorCV(path_tol=-1.0, n_betas=2).fit(X, y)
    with (
        pytest.warns(UserWarning, match="less than two samples"),
        pytest.raises(ValueError, match=r"R\^2 needs two samples per fold"),
    ):
        ConvexReLURegressorCV(betas=[0.1], cv=LeaveOneOut()).fit(X[:6], y[:6])


@pytest.mark.parametrize("later", [0, 3])
def test_ctrl_c_ends_the_search(monkeypatch, later):
    """In a fold, or on the path of all data: what is half done is no basis for a choice."""
    calls = []

    def interrupted(*data, **settings):
        calls.append(settings)
        points = pyconvex.path(*data, **settings)
        return replace(points, status=Status.INTERRUPTED) if len(calls) > later else points

    monkeypatch.setattr(cross_validation, "path", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ConvexReLURegressorCV(**QUICK).fit(X, y)
    assert len(calls) == later + 1
