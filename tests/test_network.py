import pickle

import numpy as np
import pytest

from pyconvex import Network

import oracles

rng = np.random.default_rng(0)
W, b, a = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(4)
G, g = rng.standard_normal((4, 3)), rng.standard_normal(4)
X = rng.standard_normal((20, 3))


@pytest.mark.parametrize("gates", [(), (G, g)], ids=["relu", "gated"])
def test_predict(gates):
    network = Network(W, b, a, 0.7, *gates)
    np.testing.assert_allclose(network.predict(X), oracles.predict(network, X), rtol=1e-13)
    assert (network.n_neurons, network.n_features) == (4, 3)


def test_a_gate_is_on_at_zero():
    network = Network([[1.0]], [3.0], [1.0], 0.0, [[1.0]], [0.0])
    assert network.predict([[0.0], [-1e-9]]).tolist() == [3.0, 0.0]


def test_no_neurons():
    network = Network(np.zeros((0, 3)), np.zeros(0), np.zeros(0), 0.7)
    assert network.predict(X).tolist() == [0.7] * 20


def test_frozen():
    weights = W.copy()
    network = Network(weights, b, a)
    weights[0, 0] = 99.0
    assert network.hidden_weights[0, 0] == W[0, 0]
    with pytest.raises(AttributeError):
        network.output_bias = 1.0
    with pytest.raises(ValueError, match="read-only"):
        network.output_weights[0] = 1.0


def test_pickle_and_repr():
    network = Network(W, b, a, 0.7, G, g)
    twin = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(twin.predict(X), network.predict(X))
    assert repr(network) == "Network(gated ReLU, n_neurons=4, n_features=3)"
    assert "ReLU, n_neurons=4" in repr(Network(W, b, a))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((W[0], b, a), "hidden_weights must be 2-D"),
        ((W, b[:2], a), r"hidden_bias must have shape \(4,\), got \(2,\)"),
        ((W, b, a[:2]), "output_weights must have shape"),
        ((W, b, a, 0.0, G), "gates and gate_bias belong together"),
        ((W, b, a, 0.0, None, g), "gates and gate_bias belong together"),
        ((W, b, a, 0.0, G[:, :2], g), "gates must have shape"),
    ],
)
def test_bad_weights(parts, message):
    with pytest.raises(ValueError, match=message):
        Network(*parts)


def test_bad_rows():
    network = Network(W, b, a)
    with pytest.raises(ValueError, match="X has 2 columns, expected 3"):
        network.predict(X[:, :2])
    with pytest.raises(ValueError, match="X must be 2-D"):
        network.predict(X[0])
    with pytest.raises(ValueError, match="X contains NaN"):
        network.predict(np.full((1, 3), np.nan))
