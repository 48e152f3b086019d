"""Predictions of networks and of the estimators around them."""

import numpy as np
import pytest

import pyconvex

import problems
import sizes


@pytest.mark.sizes(sizes.PREDICT)
def test_network_predict(size, clock, benchmark):
    X, network = problems.network(*size)
    outputs = clock(network.predict, X, rounds=5)
    few = X[:100]
    hidden = np.maximum(few @ network.hidden_weights.T + network.hidden_bias, 0.0)
    np.testing.assert_allclose(outputs[:100], hidden @ network.output_weights, rtol=1e-10)
    if benchmark.enabled:
        benchmark.extra_info["rows_per_second"] = len(X) / benchmark.stats["median"]


def test_estimator_predict(clock):
    X, y, settings = problems.breast_cancer()
    model = pyconvex.ConvexReLUClassifier(beta=settings["beta"], random_state=0, n_threads=1)
    model.fit(X, y > 0)
    assert model.gap_ <= model.tol
    rows = np.tile(X, (20, 1))
    labels = clock(model.predict, rows, rounds=5)
    assert np.mean(labels[: len(y)] == (y > 0)) > 0.95


@pytest.mark.sizes(sizes.PREDICT)
def test_patterns_from_gates(size, clock):
    n, d, count = size
    rng = np.random.default_rng(0)
    X, G = rng.standard_normal((n, d)), rng.standard_normal((d, count))
    patterns = clock(pyconvex.PatternSet.from_gates, X, G, rounds=5)
    assert np.array_equal(patterns[:5].to_dense(), (X @ G[:, :5] >= 0.0).T)
