"""Pruned networks: the same predictions on X, no larger penalty, independent neurons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconvex import Network, fit, path, sample_patterns

import networks
import oracles

MODELS = ("relu", "gated_relu")
BIASES = ("free", "decayed", "none")
X, y = oracles.teacher(12, 2)


def outputs(network, X):
    """What each neuron adds to the predictions, scaled to norm 1."""
    hidden = X @ network.hidden_weights.T + network.hidden_bias
    on = hidden > 0.0
    if network.gates is not None:
        on = X @ network.gates.T + network.gate_bias >= 0.0
    columns = hidden * on * network.output_weights
    return columns / np.linalg.norm(columns, axis=0)


def independent(network, X, bias):
    columns = outputs(network, X)
    if bias == "free":
        columns = np.column_stack([columns, np.full(len(X), len(X) ** -0.5)])
    return columns.shape[1] == 0 or np.linalg.matrix_rank(columns) == columns.shape[1]


def draw(m, d, bias, gated, seed):
    rng = np.random.default_rng(seed)
    hidden_bias = np.zeros(m) if bias == "none" else rng.standard_normal(m)
    gates = (rng.standard_normal((m, d)), rng.standard_normal(m)) if gated else (None, None)
    W, alpha = rng.standard_normal((m, d)), rng.standard_normal(m)
    return Network(W, hidden_bias, alpha, 0.5 if bias == "free" else 0.0, *gates)


def check_pruned(network, pruned, X, bias):
    gated, size = network.gates is not None, np.abs(outputs_of(network, X)).max()
    np.testing.assert_allclose(pruned.predict(X), network.predict(X), atol=1e-10 * (1.0 + size))
    before, after = (oracles.squares(one, bias, gated) for one in (network, pruned))
    assert after <= before * (1.0 + 1e-12)
    assert independent(pruned, X, bias)
    assert pruned.n_neurons <= len(X) - (bias == "free")


def outputs_of(network, X):
    return network.predict(X) - network.output_bias


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    st.integers(0, 40), st.integers(1, 3), st.integers(2, 12), st.sampled_from(BIASES),
    st.booleans(), st.integers(0, 10**6),
)  # fmt: skip
def test_any_network(m, d, n, bias, gated, seed):
    network = draw(m, d, bias, gated, seed)
    X = np.random.default_rng(seed + 1).standard_normal((n, d))
    pruned = network.prune(X, free_bias=bias == "free")
    check_pruned(network, pruned, X, bias)
    assert pruned.prune(X, free_bias=bias == "free") is pruned


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("bias", BIASES)
def test_split_neurons_become_one(bias, gated):
    rng = np.random.default_rng(0)
    whole = draw(4, 3, bias, gated, 3)
    X = rng.standard_normal((30, 3))
    parts = rng.dirichlet(np.ones(5), 4)  # each neuron five times, with the same total output
    rows = np.repeat(np.arange(4), 5)
    roots = np.sqrt(parts.ravel())
    split = Network(
        whole.hidden_weights[rows] * roots[:, np.newaxis], whole.hidden_bias[rows] * roots,
        whole.output_weights[rows] * roots, whole.output_bias,
        *((whole.gates[rows], whole.gate_bias[rows]) if gated else ()),
    )  # fmt: skip
    pruned = split.prune(X)
    check_pruned(split, pruned, X, bias)
    assert pruned.n_neurons == 4
    elsewhere = rng.standard_normal((50, 3))  # the same function, since the copies were parallel
    np.testing.assert_allclose(pruned.predict(elsewhere), whole.predict(elsewhere), atol=1e-12)


def test_neurons_that_do_nothing_go():
    network = Network([[1.0], [-1.0], [1.0], [0.0]], [0.0, 0.0, 0.0, 0.0], [2.0, 1.0, 0.0, 3.0])
    pruned = network.prune([[1.0], [2.0]])
    assert pruned.n_neurons == 1
    np.testing.assert_allclose(pruned.predict([[1.0], [2.0]]), [2.0, 4.0])


def test_a_constant_goes_into_the_free_output_bias():
    network = Network([[0.0], [1.0]], [2.0, 0.5], [3.0, 1.0], 1.0)
    pruned = network.prune([[1.0], [2.0], [-1.0]])
    assert (pruned.n_neurons, pruned.output_bias) == (1, pytest.approx(7.0))
    kept = network.prune([[1.0], [2.0], [-1.0]], free_bias=False)
    assert kept is network


def test_no_neurons():
    empty = Network(np.zeros((0, 2)), np.zeros(0), np.zeros(0), 1.0)
    assert empty.prune(X) is empty


def test_badly_scaled_neurons():
    scales = 10.0 ** np.arange(-6, 7, 3)
    whole = draw(5, 2, "decayed", False, 1)
    split = Network(
        np.concatenate([whole.hidden_weights * scales[:, np.newaxis]] * 2),
        np.concatenate([whole.hidden_bias * scales] * 2),
        np.tile(whole.output_weights, 2),
    )
    rows = np.random.default_rng(2).standard_normal((30, 2))
    pruned = split.prune(rows)
    assert pruned.n_neurons == 5
    check_pruned(split, pruned, rows, "decayed")


def test_nearly_constant_neurons_stay_small():
    # their weight decay is tiny, so nothing but rounding is lost where they grow
    rng = np.random.default_rng(5)
    for _ in range(50):
        n, d = rng.integers(5, 50), rng.integers(1, 4)
        rows, m = rng.standard_normal((n, d)), 100
        W = rng.standard_normal((m, d)) * 10.0 ** rng.uniform(-8, 8, (m, 1))
        b = rng.standard_normal(m) * 10.0 ** rng.uniform(-8, 8, m)
        network = Network(W, b, rng.standard_normal(m), 1.0)
        pruned = network.prune(rows)
        size = (np.maximum(rows @ W.T + b, 0.0) @ np.abs(network.output_weights)).max()
        error = np.abs(pruned.predict(rows) - network.predict(rows)).max()
        assert error <= 1e-10 * size
        assert pruned.n_neurons <= n - 1
        assert pruned.prune(rows) is pruned


def stacked(network, X):
    """The outputs of each neuron as one vector of norm 1, and one constant vector per output."""
    n, c = len(X), network.n_outputs
    columns = []
    for j in range(network.n_neurons):
        alone = networks.only(network, j)
        columns.append(networks.outputs(alone, X).ravel())
    columns = np.array(columns).reshape(-1, n * c).T
    return columns / np.linalg.norm(columns, axis=0), np.tile(np.eye(c), (n, 1))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    st.integers(0, 40), st.integers(1, 3), st.integers(2, 8), st.integers(1, 3),
    st.booleans(), st.booleans(), st.booleans(), st.integers(0, 10**6),
)  # fmt: skip
def test_several_outputs(m, d, n, c, gated, skip, free, seed):
    network = networks.draw(m, d, c, gated, skip, seed)
    X = np.random.default_rng(seed + 1).standard_normal((n, d))
    pruned = network.prune(X, free_bias=free)
    size = 1.0 + np.abs(network.predict(X)).max()
    np.testing.assert_allclose(pruned.predict(X), network.predict(X), atol=1e-10 * size)
    bias = "free" if free else "decayed"
    before, after = (oracles.squares(one, bias, gated) for one in (network, pruned))
    assert after <= before * (1.0 + 1e-12)
    neurons, constants = stacked(pruned, X)
    columns = np.hstack([neurons, constants]) if free else neurons
    assert columns.size == 0 or np.linalg.matrix_rank(columns) == columns.shape[1] <= n * c
    if not free:
        np.testing.assert_array_equal(pruned.output_bias, network.output_bias)
    if skip:
        np.testing.assert_array_equal(pruned.skip, network.skip)
    assert pruned.prune(X, free_bias=free) is pruned


def test_neurons_of_several_outputs_depend_only_together():
    # twice the same hidden neuron, but for outputs that are not parallel: nothing to drop
    W, rows = [[1.0], [1.0]], [[1.0], [2.0]]
    apart = Network(W, [0.0, 0.0], [[1.0, 0.0], [1.0, 1.0]])
    assert apart.prune(rows) is apart
    pruned = Network(W, [0.0, 0.0], [[1.0, 2.0], [2.0, 4.0]]).prune(rows)
    assert pruned.n_neurons == 1
    np.testing.assert_allclose(pruned.predict(rows), [[3.0, 6.0], [6.0, 12.0]])
    assert np.linalg.norm(pruned.hidden_weights) == pytest.approx(np.sqrt(3.0 * 5.0**0.5))
    assert np.linalg.norm(pruned.output_weights) == pytest.approx(np.sqrt(3.0 * 5.0**0.5))


def test_constants_go_into_the_free_output_biases():
    network = Network([[0.0]], [2.0], [[3.0, -1.0]], [1.0, 0.0])
    pruned = network.prune([[1.0], [2.0]])
    assert (pruned.n_neurons, pruned.output_bias.tolist()) == (0, pytest.approx([7.0, -2.0]))


def test_wrong_arguments():
    network = draw(3, 2, "free", False, 0)
    with pytest.raises(TypeError, match="free_bias must be a bool"):
        network.prune(X, free_bias="free")
    with pytest.raises(ValueError, match="expected 2"):
        network.prune(X[:, :1])


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("model", MODELS)
def test_minimal_fits(model, bias, backend):
    rows = X if bias == "none" else oracles.ones(X)
    patterns = sample_patterns(rows, 60, random_state=1)
    common = {"model": model, "bias": bias, "patterns": patterns, "backend": backend}
    start = fit(X, y, beta=0.01, **common)
    result = fit(X, y, beta=0.01, minimal=True, **common)
    assert (result.status, result.certificate) == (start.status, start.certificate)
    assert result.objective <= start.objective * (1.0 + 1e-12)
    expected = oracles.objective(result, X, y, bias, model == "gated_relu")
    assert result.objective == pytest.approx(expected, rel=1e-9)
    assert result.gap <= 1e-6
    assert independent(result.network, X, bias)
    sizes = (result.network.hidden_weights**2).sum(axis=1)
    if bias == "decayed" or (model == "gated_relu" and bias == "free"):
        sizes += result.network.hidden_bias**2
    np.testing.assert_allclose(np.sqrt(sizes), np.abs(result.network.output_weights), rtol=1e-9)


def test_one_sample_needs_one_neuron(backend):
    X = np.array([[1.0, 2.0]])
    gates = sample_patterns(X, 10, random_state=0)
    split = Network(np.tile(X, (6, 1)), np.zeros(6), np.full(6, 0.1))
    common = {"beta": 0.1, "bias": "none", "patterns": gates, "backend": backend}
    result = fit(X, [1.0], warm_start=split, minimal=True, **common)
    assert result.network.n_neurons == 1


def test_minimal_paths(backend):
    common = {"n_betas": 4, "beta_min_ratio": 0.05, "random_state": 0, "backend": backend}
    points, smaller = (path(X, y, minimal=minimal, **common) for minimal in (False, True))
    assert (smaller.n_neurons <= points.n_neurons).all()
    np.testing.assert_allclose(smaller.objectives, points.objectives, rtol=1e-9)
    assert all(independent(point.network, X, "free") for point in smaller)
