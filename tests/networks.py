"""Random networks of every kind, and their outputs neuron by neuron."""

import itertools

import numpy as np

from pyconvex import Network

FIELDS = (
    "hidden_weights", "hidden_bias", "output_weights", "output_bias", "gates", "gate_bias", "skip",
)  # fmt: skip


def draw(m, d, n_outputs=None, gated=False, skip=False, seed=0):
    normal = np.random.default_rng(seed).standard_normal
    outer = () if n_outputs is None else (n_outputs,)
    return Network(
        normal((m, d)), normal(m), normal((m, *outer)), normal(outer),
        *((normal((m, d)), normal(m)) if gated else (None, None)),
        skip=normal((d, *outer)) if skip else None,
    )  # fmt: skip


def only(network, j):
    """The network of neuron j alone."""
    rows = slice(j, j + 1)
    gates = (None, None)
    if network.gates is not None:
        gates = network.gates[rows], network.gate_bias[rows]
    return Network(
        network.hidden_weights[rows], network.hidden_bias[rows], network.output_weights[rows],
        0.0, *gates,
    )  # fmt: skip


def rows_for(network, n=20):
    return np.random.default_rng(9).standard_normal((n, network.n_features))


def output(network, x):
    """f(x) of one row, (n_outputs,), from its definition."""
    total = np.zeros(network.n_outputs) + network.output_bias
    for j in range(network.n_neurons):
        size = network.hidden_weights[j] @ x + network.hidden_bias[j]
        on = size > 0.0
        if network.gates is not None:
            on = network.gates[j] @ x + network.gate_bias[j] >= 0.0
        if on:
            total += size * network.output_weights[j]
    if network.skip is not None:
        for i in range(network.n_features):
            total += x[i] * network.skip[i]
    return total


def outputs(network, X):
    """f(x) of all rows, in the shape of `predict`."""
    rows = np.array([output(network, x) for x in X])
    return rows[:, 0] if network.output_weights.ndim == 1 else rows


def assert_same(one, other):
    for name in FIELDS:
        a, b = getattr(one, name), getattr(other, name)
        assert type(a) is type(b), name
        np.testing.assert_array_equal(a, b, err_msg=name)


def assert_close(found, expected, atol):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=atol)


def _every_kind():
    kinds = itertools.product((5, 0), (3, 1), (None, 1, 2), (False, True), (False, True))
    for m, d, c, gated, skip in kinds:
        name = f"{m}-{d}-{c}" + "-gated" * gated + "-skip" * skip
        yield name, draw(m, d, c, gated, skip, seed=len(name))


# Neurons, features, outputs, gates and skip of each network are in its name.
KINDS = dict(_every_kind())
