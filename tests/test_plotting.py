import sys

import numpy as np
import pytest

import pyconvex
from pyconvex import Network
from pyconvex.plotting import plot_arrangement

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
LineCollection = pytest.importorskip("matplotlib.collections").LineCollection
Quiver = pytest.importorskip("matplotlib.quiver").Quiver

rng = np.random.default_rng(0)
X = rng.standard_normal((8, 2))
y = X[:, 0] ** 2
signs = np.where(X[:, 1] > 0.0, 1.0, -1.0)
W, b, a = rng.standard_normal((5, 2)), 0.3 * rng.standard_normal(5), rng.standard_normal(5)
NETWORK = Network(W, b, a)
ONE = [[1.0, 0.0]]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def lines(ax):
    """Ends or vertices of all lines, one array each."""
    (collection,) = (c for c in ax.collections if isinstance(c, LineCollection))
    return collection.get_segments()


def points(ax):
    """The distinct points that are drawn, one per row, sorted."""
    drawn = [c for c in ax.collections if not isinstance(c, LineCollection | Quiver)]
    return np.unique(np.concatenate([c.get_offsets() for c in drawn]), axis=0)


def test_the_samples_are_points_and_curves():
    data, cells = plot_arrangement(X)
    np.testing.assert_allclose(points(data), np.unique(X, axis=0))
    curves = lines(cells)
    assert len(curves) == len(X)
    for x, curve in zip(X, curves, strict=True):
        theta, offset = curve.T
        np.testing.assert_allclose(offset, x[0] * np.cos(theta) + x[1] * np.sin(theta))
        assert (theta[0], theta[-1]) == pytest.approx((0.0, 2.0 * np.pi))
        assert np.abs(offset).max() < cells.get_ylim()[1]
    assert cells.get_title() == "58 cells of 8 samples"
    assert data.get_legend() is None


def test_the_neurons_are_points_of_the_cells():
    _, cells = plot_arrangement(X, network=NETWORK)
    theta = np.angle(W[:, 0] + 1j * W[:, 1]) % (2.0 * np.pi)
    expected = np.column_stack([theta, -b / np.sqrt((W**2).sum(axis=1))])
    np.testing.assert_allclose(points(cells), expected[np.argsort(theta)])


def test_a_neuron_sees_the_samples_whose_curves_are_above_it():
    for w, bias in zip(W, b, strict=True):
        _, cells = plot_arrangement(X, network=Network([w], [bias], [1.0]))
        ((theta, offset),) = points(cells)
        above = [np.interp(theta, *curve.T) >= offset for curve in lines(cells)]
        np.testing.assert_array_equal(above, X @ w + bias >= 0.0)


def test_kink_lines_cross_the_frame_and_arrows_point_to_the_active_side():
    data, _ = plot_arrangement(X, network=NETWORK)
    (low, high), (bottom, top) = data.get_xlim(), data.get_ylim()
    ends = np.array(lines(data))
    np.testing.assert_allclose(np.einsum("jed,jd->je", ends, W), -np.stack([b, b], axis=1))
    to_frame = np.abs(ends[:, :, :, np.newaxis] - [[low, high], [bottom, top]]).min(axis=(2, 3))
    np.testing.assert_allclose(to_frame, 0.0, atol=1e-12)
    (arrows,) = (c for c in data.collections if isinstance(c, Quiver))
    assert (np.column_stack([arrows.U, arrows.V]) * W).sum(axis=1).min() > 0.0
    labels = [text.get_text() for text in data.get_legend().get_texts()]
    assert labels == ["output weight < 0", "output weight > 0"]


def test_lines_along_the_axes_and_past_the_frame():
    network = Network([[2.0, 0.0], [0.0, -1.0], [1.0, 0.0]], [0.0, 0.1, -90.0], np.ones(3))
    data, _ = plot_arrangement(X, network=network)
    vertical, horizontal = lines(data)
    np.testing.assert_allclose(vertical, [[0.0, data.get_ylim()[k]] for k in (0, 1)], atol=1e-12)
    np.testing.assert_allclose(horizontal, [[data.get_xlim()[k], 0.1] for k in (0, 1)], atol=1e-12)


def test_width_follows_size_and_dashes_follow_sign():
    data, _ = plot_arrangement(X, network=NETWORK)
    (drawn,) = (c for c in data.collections if isinstance(c, LineCollection))
    order = np.argsort(np.abs(a) * np.linalg.norm(W, axis=1))
    assert (np.argsort(drawn.get_linewidths()) == order).all()
    dashed = [dashes is not None for _, dashes in drawn.get_linestyles()]
    np.testing.assert_array_equal(dashed, a < 0.0)


def test_gates_replace_the_weights():
    gates, gate_bias = rng.standard_normal((5, 2)), 0.1 * rng.standard_normal(5)
    of_gates = plot_arrangement(X, network=Network(W, b, a, 0.0, gates, gate_bias))
    as_weights = plot_arrangement(X, network=Network(gates, gate_bias, a))
    for one, other in zip(of_gates, as_weights, strict=True):
        np.testing.assert_allclose(lines(one), lines(other))
        np.testing.assert_allclose(points(one), points(other))


def test_far_neurons_extend_the_range_up_to_twice_the_data():
    reach = np.linalg.norm(X, axis=1).max()
    _, cells = plot_arrangement(X, network=Network(ONE, [-1.5 * reach], [1.0]))
    assert 1.5 * reach < cells.get_ylim()[1] < 2.0 * reach
    np.testing.assert_allclose(points(cells), [[0.0, 1.5 * reach]])
    _, cells = plot_arrangement(
        X, network=Network(ONE * 2, [-9.0 * reach, 9.0 * reach], [1.0, 2.0])
    )
    assert cells.get_ylim() == pytest.approx((-2.0 * reach, 2.0 * reach))
    np.testing.assert_allclose(points(cells), [[0.0, -2.0 * reach], [0.0, 2.0 * reach]])


def test_neurons_without_a_line_are_left_out():
    network = Network([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 0.0, 0.0], [1.0, 0.0, -1.0])
    data, cells = plot_arrangement(X, network=network)
    np.testing.assert_allclose(points(cells), [[np.pi / 2.0, 0.0]])
    assert data.get_title() == "lines of 1 neuron"
    data, cells = plot_arrangement(X, network=Network(np.zeros((0, 2)), [], []))
    assert data.get_title() == "lines of 0 neurons"
    assert not lines(data)
    assert data.get_legend() is None


def test_a_fit_is_drawn_like_its_network():
    result = pyconvex.fit(X, y, beta=0.01, random_state=0)
    _, of_fit = plot_arrangement(X, network=result)
    _, of_network = plot_arrangement(X, network=result.network)
    assert len(points(of_fit)) == result.network.n_neurons
    np.testing.assert_array_equal(points(of_fit), points(of_network))


def test_cells_with_a_common_edge_differ_in_colour():
    twice = np.concatenate([X, X[:3]])
    _, cells = plot_arrangement(twice)
    (image,) = cells.images
    colours, (left, right, low, high) = np.asarray(image.get_array()), image.get_extent()
    assert len(np.unique(colours)) > 3
    n_heights, n_angles = colours.shape
    theta = left + (np.arange(n_angles) + 0.5) * (right - left) / n_angles
    offset = low + (np.arange(n_heights) + 0.5) * (high - low) / n_heights
    curves = X @ np.stack([np.cos(theta), np.sin(theta)])
    on = curves[:, np.newaxis] >= offset[:, np.newaxis]
    flips = (on[:, 1:] != on[:, :-1]).sum(axis=0)  # between a pixel and the one above
    np.testing.assert_array_equal(
        (colours[1:] != colours[:-1])[flips <= 1], (flips == 1)[flips <= 1]
    )
    assert cells.get_title() == "58 cells of 11 samples"
    assert len(lines(cells)) == 11


def test_colours_do_not_depend_on_the_order_of_the_samples():
    (image,), (other,) = (plot_arrangement(rows)[1].images for rows in (X, X[::-1]))
    np.testing.assert_array_equal(image.get_array(), other.get_array())


def test_too_many_cells_stay_white():
    assert len(plot_arrangement(X, max_cells=58)[1].images) == 1
    assert not plot_arrangement(X, max_cells=57)[1].images
    assert not plot_arrangement(X, fill=False)[1].images


def test_colours_of_two_classes():
    data, cells = plot_arrangement(X, signs, network=NETWORK)
    assert len(data.figure.axes) == 2
    labels = [text.get_text() for text in data.get_legend().get_texts()]
    assert labels[:2] == ["y = -1", "y = 1"]
    (curves,) = (c for c in cells.collections if isinstance(c, LineCollection))
    red = np.array(curves.get_colors())[:, 0]
    np.testing.assert_array_equal(red > 0.5, signs > 0.0)


@pytest.mark.parametrize("targets", [y, np.zeros(8), np.arange(8)], ids=["real", "one", "int"])
def test_other_targets_get_a_colourbar(targets):
    data, _ = plot_arrangement(X, targets)
    data.figure.canvas.draw()
    assert len(data.figure.axes) == 3


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[0.0, 0.0]] * 3], ids=["one", "origin"])
def test_one_place_only(rows):
    data, cells = plot_arrangement(rows, network=NETWORK)
    data.figure.canvas.draw()
    assert cells.get_title().startswith("2 cells of ")
    assert data.get_xlim()[0] < rows[0][0] < data.get_xlim()[1]


def test_given_axes_are_used():
    figure, pair = plt.subplots(2, 1)
    assert plot_arrangement(X, y, ax=pair) == tuple(pair)
    assert plot_arrangement(X, ax=list(pair)) == tuple(pair)
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("n_samples", [5, 300])
def test_draws_without_warnings(n_samples):
    crowd = rng.standard_normal((n_samples, 2))
    data, _ = plot_arrangement(crowd, crowd[:, 0], network=NETWORK)
    data.figure.canvas.draw()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X": np.ones((4, 3))}, ValueError, r"X must have 2 columns .* X\[:, \[0, 1\]\]"),
        ({"X": X[:, 0]}, ValueError, "X must be 2-D"),
        ({"y": y[:5]}, ValueError, "y has 5 entries but X has 8 rows"),
        ({"network": W}, TypeError, "network must be a Network or hold one, .* got ndarray"),
        ({"network": Network(np.eye(3), b[:3], a[:3])}, ValueError, "network has 3 features"),
        ({"ax": 3}, TypeError, "ax must be a pair of matplotlib Axes"),
        ({"ax": (1, 2)}, TypeError, "ax must be a pair of matplotlib Axes"),
        ({"max_cells": 0}, ValueError, "max_cells must be an integer >= 1"),
        ({"backend": "gpu"}, ValueError, "backend must be"),
    ],
)
def test_errors_name_the_argument_and_leave_no_figure(arguments, error, message):
    with pytest.raises(error, match=message):
        plot_arrangement(**{"X": X, **arguments})
    assert not plt.get_fignums()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "pyconvex\[plot\]"'):
        plot_arrangement(X)
