import copy
import pickle

import numpy as np
import pytest

from pyconvex import Network

import networks
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


@pytest.mark.parametrize(("name", "network"), networks.KINDS.items())
def test_predict_of_every_kind(name, network):
    X = networks.rows_for(network)
    expected = networks.outputs(network, X)
    networks.assert_close(network.predict(X), expected, 1e-13)
    sizes = (network.n_neurons, network.n_features, network.n_outputs)
    assert "-".join(map(str, sizes)) == "-".join(name.replace("None", "1").split("-")[:3])


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


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("network", networks.KINDS.values(), ids=networks.KINDS)
def test_copies(network, twin_of):
    twin = twin_of(network)
    networks.assert_same(twin, network)
    assert not any(
        getattr(twin, name).flags.writeable for name in ("hidden_bias", "hidden_weights")
    )
    assert twin != network  # networks are equal only to themselves


def test_repr():
    assert repr(Network(W, b, a)) == "Network(ReLU, n_neurons=4, n_features=3)"
    full = networks.draw(4, 3, 2, gated=True, skip=True)
    assert repr(full) == "Network(gated ReLU with skip, n_neurons=4, n_features=3, n_outputs=2)"


def test_output_bias_of_several_outputs():
    network = Network(W, b, np.ones((4, 2)), 3.0)
    assert network.output_bias.tolist() == [3.0, 3.0]
    assert isinstance(Network(W, b, a, np.float32(0.5)).output_bias, float)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((W[0], b, a), "hidden_weights must be 2-D"),
        ((W, b[:2], a), r"hidden_bias must have shape \(4,\), got \(2,\)"),
        ((W, b, a[:2]), "output_weights must have shape"),
        ((W, b, np.ones((3, 2))), "output_weights must have shape"),
        ((W, b, np.ones((4, 0))), "output_weights must have shape"),
        ((W, b, np.ones((4, 1, 1))), "output_weights must have shape"),
        ((W, b, 1.0), "output_weights must have shape"),
        ((W, b, a, [0.5]), r"output_bias must have shape \(\), got \(1,\)"),
        ((W, b, np.ones((4, 2)), np.ones(3)), r"output_bias must have shape \(2,\)"),
        ((W, b, a, np.nan), "output_bias contains NaN"),
        ((W, [0.0, np.inf, 0.0, 0.0], a), r"hidden_bias contains NaN or infinity \(first at 1\)"),
        ((W, b, a, 0.0, None, None, np.ones((3, 1))), r"skip must have shape \(3,\)"),
        ((W, b, np.ones((4, 2)), 0.0, None, None, np.ones(3)), r"skip must have shape \(3, 2\)"),
        ((W, b, a, 0.0, G), "gates and gate_bias belong together"),
        ((W, b, a, 0.0, None, g), "gates and gate_bias belong together"),
        ((W, b, a, 0.0, G[:, :2], g), "gates must have shape"),
    ],
)
def test_bad_weights(parts, message):
    with pytest.raises(ValueError, match=message):
        Network(*parts)


def test_bad_types():
    with pytest.raises(TypeError, match="output_bias must hold real numbers"):
        Network(W, b, a, "0.5")
    with pytest.raises(ValueError, match="hidden_weights is ragged"):
        Network([[1.0], [1.0, 2.0]], b[:2], a[:2])


def test_bad_rows():
    network = Network(W, b, a)
    with pytest.raises(ValueError, match="X has 2 columns, expected 3"):
        network.predict(X[:, :2])
    with pytest.raises(ValueError, match="X must be 2-D"):
        network.predict(X[0])
    with pytest.raises(ValueError, match="X contains NaN"):
        network.predict(np.full((1, 3), np.nan))
