import sys
from types import SimpleNamespace

import numpy as np
import pytest

import pyconvex
from pyconvex import Network, plot_importance
from pyconvex.importance_plot import feature_sizes, neuron_sizes

W = np.array([[3.0, 4.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 6.0]])
NETWORK = Network(W, np.zeros(3), [1.0, -8.0, 0.5])
# |alpha| ||w||: 5, 8, 3; columns of alpha w: (3, 0, 0), (4, -8, 0), (0, 0, 3).


@pytest.fixture(autouse=True)
def figures(plt):
    return plt


def bars(ax):
    """Name, left end and length of all bars, from top to bottom."""
    low, high = ax.get_ylim()
    assert low > high  # the first one is on top
    names = [text.get_text() for text in ax.get_yticklabels()]
    places = [round(bar.get_y() + bar.get_height() / 2.0) for bar in ax.patches]
    order = np.argsort(places, kind="stable")
    return [
        (names[places[k]], ax.patches[k].get_x(), round(ax.patches[k].get_width(), 9))
        for k in order
    ]


def test_features_by_the_norm_of_what_weighs_them():
    ax = plot_importance(NETWORK)
    root = round(80.0**0.5, 9)
    assert bars(ax) == [("X[:, 1]", 0.0, root), ("X[:, 0]", 0.0, 3.0), ("X[:, 2]", 0.0, 3.0)]
    assert ax.get_title() == "3 features"
    assert ax.get_legend() is None


def test_neurons_by_size_with_colours_of_signs():
    ax = plot_importance(NETWORK, "neurons")
    assert bars(ax) == [("neuron 1", 0.0, 8.0), ("neuron 0", 0.0, 5.0), ("neuron 2", 0.0, 3.0)]
    colours = {bar.get_width(): bar.get_facecolor()[0] for bar in ax.patches}
    assert colours[5.0] == colours[3.0] > 0.5 > colours[8.0]  # red
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["output weight < 0", "output weight > 0"]


def test_the_largest_only():
    ax = plot_importance(NETWORK, "neurons", n_most=2)
    assert [name for name, _, _ in bars(ax)] == ["neuron 1", "neuron 0"]
    assert ax.get_title() == "2 largest of 3 neurons"


def test_names():
    ax = plot_importance(NETWORK, feature_names=np.array(["a", "b", "c"]))
    assert [name for name, _, _ in bars(ax)] == ["b", "a", "c"]
    estimator = SimpleNamespace(network_=NETWORK, feature_names_in_=np.array(["x", "y", "z"]))
    assert [name for name, _, _ in bars(plot_importance(estimator))] == ["y", "x", "z"]
    ax = plot_importance(estimator, feature_names=["a", "b", "c"])
    assert [name for name, _, _ in bars(ax)] == ["b", "a", "c"]


def test_a_fit_is_drawn_like_its_network():
    X = np.random.default_rng(0).standard_normal((20, 3))
    fit = pyconvex.fit(X, X[:, 0] ** 2, beta=0.05, random_state=0)
    assert bars(plot_importance(fit)) == bars(plot_importance(fit.network))
    sizes = neuron_sizes(fit.network)
    np.testing.assert_allclose(sizes, fit.network.output_weights**2)  # balanced


def test_several_outputs_and_a_linear_part():
    network = SimpleNamespace(
        hidden_weights=W, output_weights=np.array([[3.0, 4.0], [0.0, 1.0], [-2.0, 0.0]]),
        skip=np.array([[0.0, 0.0], [3.0, -4.0], [0.0, 2.0]]),
    )  # fmt: skip
    np.testing.assert_allclose(neuron_sizes(network), [25.0, 1.0, 12.0])
    hidden, linear = feature_sizes(network)
    np.testing.assert_allclose(hidden, [15.0, 401.0**0.5, 12.0])
    np.testing.assert_allclose(linear, [0.0, 5.0, 2.0])


def test_a_linear_part_lengthens_the_bars():
    network = Network(W, np.zeros(3), [1.0, -8.0, 0.5])
    object.__setattr__(network, "skip", np.array([-7.0, 0.0, 1.0]))
    ax = plot_importance(network)
    expected = [("X[:, 0]", 0.0, 3.0), ("X[:, 0]", 3.0, 7.0)]
    assert bars(ax)[:2] == expected
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["neurons", "linear part"]


@pytest.mark.parametrize("kind", ["features", "neurons"])
def test_no_neurons(kind):
    ax = plot_importance(Network(np.zeros((0, 2)), [], []), kind)
    assert [width for _, _, width in bars(ax)] == ([0.0, 0.0] if kind == "features" else [])
    ax.figure.canvas.draw()


def test_given_axes_are_used(figures):
    ax = figures.figure().add_subplot()
    assert plot_importance(NETWORK, ax=ax) is ax
    assert len(figures.get_fignums()) == 1


class Unfitted:
    def fit(self, X, y):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"network": W}, TypeError, "network must be a Network or hold one, .* got ndarray"),
        ({"network": Unfitted()}, TypeError, "got Unfitted: call its fit first"),
        ({"network": [NETWORK]}, TypeError, r"got list: pick one, e.g. path\[-1\]"),
        ({"kind": "weights"}, ValueError, "kind must be one of"),
        ({"feature_names": ["a"]}, ValueError, "feature_names has 1 entries but there are 3"),
        ({"n_most": 0}, ValueError, "n_most must be an integer >= 1"),
        ({"ax": 3}, TypeError, "ax must be a matplotlib Axes, got int"),
    ],
)
def test_errors_name_the_argument_and_leave_no_figure(arguments, error, message, figures):
    with pytest.raises(error, match=message):
        plot_importance(**{"network": NETWORK, **arguments})
    assert not figures.get_fignums()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "pyconvex\[plot\]"'):
        plot_importance(NETWORK)
