"""Decoding is tested through `fit` in test_fit; here: what a fit rarely shows."""

import numpy as np

from pyconvex import fit
from pyconvex.backends import get_backend
from pyconvex.coordinates import Coordinates
from pyconvex.decode import decode
from pyconvex.neurons import Neurons
from pyconvex.program import Problem

import oracles

X, y = oracles.teacher(12, 2)
coordinates = Coordinates.of(X, "decayed", centred=False)
problem = Problem(coordinates.rows(X), y, np.full(12, 1 / 12), 0.1)


def neurons(U, signs):
    m = len(U)
    tight, pattern = np.full((m, 3), -1), np.full(m, -1)
    return Neurons(np.array(U, float), np.array(signs, float), tight, pattern, 0.5, y)


def test_neurons_of_one_direction_and_sign_are_merged():
    U = [[1, 2, 3], [2, 4, 6], [1, 2, 3], [1, 2, -3]]
    network = decode(neurons(U, [1, 1, -1, 1]), problem, coordinates, None)
    assert network.n_neurons == 3
    outputs = np.maximum(oracles.ones(X) @ np.array(U).T, 0.0) @ [1, 1, -1, 1]
    np.testing.assert_allclose(network.predict(X), outputs + 0.5)


def test_balance():
    network = decode(neurons([[1, 2, 3], [-1, 0, 1]], [1, -1]), problem, coordinates, None)
    norms = np.hypot(np.linalg.norm(network.hidden_weights, axis=1), network.hidden_bias)
    np.testing.assert_allclose(norms, np.abs(network.output_weights))


def test_gated_neurons_keep_their_gates():
    gates = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 3.0]])  # two gates with a bias
    start = neurons([[1, 2, 3], [1, 2, 3]], [1, 1])
    start.pattern[:] = [1, 0]
    network = decode(start, problem, coordinates, gates)
    np.testing.assert_array_equal(network.gates, [[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(network.gate_bias, [3.0, 2.0])


def test_a_warm_start_is_the_same_network(backend):
    """Encoding and decoding again changes nothing that a solve could see."""
    assert get_backend(backend)
    for bias in ("free", "decayed", "none"):
        first = fit(X, y, beta=0.01, bias=bias, random_state=0, backend=backend)
        again = fit(X, y, beta=0.01, bias=bias, warm_start=first, max_iter=0, backend=backend)
        np.testing.assert_allclose(again.predict(X), first.predict(X), atol=1e-10)
        assert again.history[0].objective <= first.objective * (1 + 1e-10)
