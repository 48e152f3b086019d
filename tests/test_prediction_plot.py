import sys
from types import SimpleNamespace

import numpy as np
import pytest

import pyconvex
from pyconvex import Network, plot_prediction

rng = np.random.default_rng(0)
x = np.linspace(-1.0, 1.0, 11)[:, np.newaxis]
LINE = Network([[2.0], [-1.0], [0.5]], [1.0, 0.5, -5.0], [1.0, -3.0, 0.1], 0.25)  # -0.5, 0.5, 10
X = rng.standard_normal((12, 2))
W, b, a = rng.standard_normal((5, 2)), 0.3 * rng.standard_normal(5), rng.standard_normal(5)
PLANE = Network(W, b, a)


@pytest.fixture(autouse=True)
def figures(plt):
    return plt


def scattered(ax):
    """The distinct points that are drawn, one per row, sorted."""
    kinds = pytest.importorskip("matplotlib.collections")
    drawn = [c for c in ax.collections if isinstance(c, kinds.PathCollection)]
    return np.unique(np.concatenate([c.get_offsets() for c in drawn]), axis=0)


def kink_lines(ax):
    """The collection of kink lines."""
    kinds = pytest.importorskip("matplotlib.collections")
    (lines,) = (c for c in ax.collections if type(c) is kinds.LineCollection)
    return lines


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# --- One feature ---------------------------------------------------------------------------


def test_the_curve_and_its_kinks():
    ax = plot_prediction(LINE, x)
    (curve,) = ax.lines
    at, values = curve.get_data()
    expected = np.maximum(2 * at + 1, 0) - 3 * np.maximum(0.5 - at, 0) + 0.25
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert (at[0], at[-1]) == pytest.approx((-1.1, 1.1))
    assert np.isin([-0.5, 0.5], at).all()  # corners are sharp
    np.testing.assert_allclose(scattered(ax), [[-0.5, -2.75], [0.5, 2.25]])
    assert ax.get_title() == "3 kinks"
    assert labels(ax) == ["output weight < 0", "output weight > 0"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("X[:, 0]", "prediction")


def test_samples_are_drawn_where_they_are():
    y = np.sin(x[:, 0])
    ax = plot_prediction(LINE, x, y, max_kinks=0)
    np.testing.assert_allclose(scattered(ax), np.column_stack([x[:, 0], y]))
    assert ax.get_legend() is None


def test_limits_without_data_hold_the_kinks():
    ax = plot_prediction(LINE)
    assert ax.get_xlim() == pytest.approx((-0.5 - 0.25 * 10.5, 10.0 + 0.25 * 10.5))
    ax = plot_prediction(LINE, x, limits=(-3.0, 20.0))
    assert ax.get_xlim() == (-3.0, 20.0)
    assert len(scattered(ax)) == 3


def test_the_largest_kinks_only():
    ax = plot_prediction(LINE, x, max_kinks=1)
    np.testing.assert_allclose(scattered(ax), [[0.5, 2.25]])  # |-3| * 1 > 1 * 2
    assert ax.get_title() == "1 largest of 3 kinks"


def test_gated_networks_jump_at_their_gates():
    gated = Network([[1.0]], [2.0], [1.0], 0.0, [[4.0]], [-1.0])
    at, values = plot_prediction(gated, x).lines[0].get_data()
    np.testing.assert_allclose(values, np.where(at >= 0.25, at + 2.0, 0.0))
    (k,) = np.flatnonzero(np.diff(values) > 1.0)
    assert at[k + 1] - at[k] < 1e-12


def test_neurons_without_a_kink_are_left_out():
    ax = plot_prediction(Network([[0.0], [1.0], [1.0]], [1.0, 0.0, 0.1], [1.0, 0.0, 2.0]), x)
    assert ax.get_title() == "1 kink"


# --- Two features --------------------------------------------------------------------------


def test_lines_of_neurons():
    ax = plot_prediction(PLANE, X)
    lines = kink_lines(ax)
    ends = np.array(lines.get_segments())
    np.testing.assert_allclose(np.einsum("jed,jd->je", ends, W), -np.stack([b, b], axis=1))
    frame = np.array([ax.get_xlim(), ax.get_ylim()])
    assert (frame[:, 1] - frame[:, 0]) == pytest.approx(1.1 * np.ptp(X, axis=0))
    to_frame = np.abs(ends[:, :, :, np.newaxis] - frame).min(axis=(2, 3))
    np.testing.assert_allclose(to_frame, 0.0, atol=1e-12)
    dashed = [dashes is not None for _, dashes in lines.get_linestyles()]
    np.testing.assert_array_equal(dashed, a < 0.0)
    assert labels(ax) == ["output weight < 0", "output weight > 0"]
    np.testing.assert_allclose(scattered(ax), np.unique(X, axis=0))


def test_lines_reach_across_windows_of_any_shape():
    diagonal = Network([[1.0, -1e-3]], [0.0], [1.0])
    ax = plot_prediction(diagonal, limits=[(-1.0, 1.0), (-1000.0, 1000.0)])
    (ends,) = kink_lines(ax).get_segments()
    np.testing.assert_allclose(np.abs(ends), [[1.0, 1000.0]] * 2)


def test_fill_shows_the_prediction():
    linear = SimpleNamespace(predict=lambda X: X @ [1.0, 10.0], n_features_in_=2)
    ax = plot_prediction(linear, limits=[(0.0, 1.0), (0.0, 1.0)])
    _, bar = ax.figure.axes
    assert bar.get_ylabel() == "prediction"
    assert bar.get_ylim() == pytest.approx((0.0, 11.0), abs=1.0)
    assert ax.get_title() == ""


def test_boundary_of_two_classes():
    y = np.where(X[:, 0] > 0.0, 1.0, -1.0)
    ax = plot_prediction(PLANE, X, y)
    assert labels(ax)[2:] == ["boundary", "y = -1", "y = 1"]
    assert "boundary" not in labels(plot_prediction(PLANE, X, X[:, 1]))
    positive = Network(W, b, np.abs(a), 9.0)
    assert "boundary" not in labels(plot_prediction(positive, X, y))


def test_colours_are_centred_on_the_boundary():
    y = np.where(X[:, 0] > 0.0, 1.0, 0.0)  # the boundary is at 0.5
    fill = plot_prediction(PLANE, X, y).figure.axes[1]._colorbar.mappable
    white = np.array(fill.to_rgba(0.5))
    assert white[:3].min() > 0.9
    np.testing.assert_allclose(fill.norm.vmin + fill.norm.vmax, 1.0)


def test_targets_share_the_colours_of_the_fill():
    flat = Network(np.zeros((0, 2)), [], [], 3.0)
    low, high = plot_prediction(flat, X, X[:, 0] * 100.0).figure.axes[1].get_ylim()
    assert low <= 100.0 * X[:, 0].min()
    assert high >= 100.0 * X[:, 0].max()


def test_a_constant_is_drawn():
    ax = plot_prediction(Network(np.zeros((0, 2)), [], [], 3.0), X)
    ax.figure.canvas.draw()
    assert ax.get_title() == "0 kinks"


# --- Other models --------------------------------------------------------------------------


def test_a_fit_is_drawn_like_its_network():
    fit = pyconvex.fit(X, X[:, 0] ** 2, beta=0.01, random_state=0)
    one, other = (kink_lines(plot_prediction(model, X)) for model in (fit, fit.network))
    assert len(one.get_segments()) == fit.network.n_neurons
    np.testing.assert_array_equal(one.get_segments(), other.get_segments())


def test_one_of_several_outputs():
    model = SimpleNamespace(predict=lambda X: np.column_stack([X[:, 0], 5.0 * X[:, 0]]))
    ax = plot_prediction(model, x, np.column_stack([x, x - 1.0]), output=1)
    at, values = ax.lines[0].get_data()
    np.testing.assert_allclose(values, 5.0 * at)
    np.testing.assert_allclose(scattered(ax), np.column_stack([x, x - 1.0]))
    with pytest.raises(ValueError, match="output must be below the number of outputs, 2, got 2"):
        plot_prediction(model, x, output=2)
    with pytest.raises(ValueError, match="output must be below the number of outputs, 1, got 1"):
        plot_prediction(LINE, x, output=1)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifiers_are_drawn_by_their_decision_function(n_classes):
    linear_model = pytest.importorskip("sklearn.linear_model")
    names = np.array(["cat", "dog", "emu"])[:n_classes]
    y = names[np.arange(len(X)) % n_classes]
    model = linear_model.LogisticRegression().fit(X, y)
    ax = plot_prediction(model, X, y, output=n_classes - 2)
    assert ax.figure.axes[1].get_ylabel() == "decision function"
    shown = ["y = cat", "y = dog"] if n_classes == 2 else ["other classes", "y = dog"]
    assert labels(ax)[-2:] == shown


def test_names_of_features():
    pandas = pytest.importorskip("pandas")
    linear_model = pytest.importorskip("sklearn.linear_model")
    frame = pandas.DataFrame(X, columns=["height", "width"])
    model = linear_model.LinearRegression().fit(frame, X[:, 0])
    for ax in (plot_prediction(model, X), plot_prediction(PLANE, frame)):
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "width")
    ax = plot_prediction(model, X, feature_names=["a", "b"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")


def test_given_axes_are_used(figures):
    ax = figures.figure().add_subplot()
    assert plot_prediction(PLANE, X, ax=ax) is ax
    assert plot_prediction(LINE, x, ax=ax) is ax
    assert len(figures.get_fignums()) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"network": W}, TypeError, "network must have predict, got ndarray"),
        (
            {"network": Network(np.eye(3), b[:3], a[:3]), "X": None},
            ValueError,
            "network has 3 features but .* one or two: .*plot_importance",
        ),
        ({"X": x}, ValueError, "X has 1 columns but the network has 2 features"),
        ({"X": X[:, 0]}, ValueError, "X must be 2-D"),
        ({"X": None}, ValueError, "limits are needed .* pass X or limits"),
        ({"X": None, "y": [1.0]}, ValueError, "y needs X"),
        ({"y": [1.0]}, ValueError, "y has 1 entries but X has 12 rows"),
        ({"limits": (0.0, 1.0)}, ValueError, r"limits must be \(\(low, high\), \(low, high\)\)"),
        ({"limits": [(1.0, 0.0), (0.0, 1.0)]}, ValueError, "limits must be .* low < high"),
        ({"limits": [1.0, 2.0, 3.0]}, ValueError, "limits must be"),
        ({"max_kinks": -1}, ValueError, "max_kinks must be an integer >= 0"),
        ({"output": -1}, ValueError, "output must be an integer >= 0"),
        ({"feature_names": ["a"]}, ValueError, "feature_names has 1 entries but there are 2"),
        ({"ax": 3}, TypeError, "ax must be a matplotlib Axes, got int"),
        (
            {"network": SimpleNamespace(predict=lambda X: ["cat"] * len(X))},
            TypeError,
            "network predicts no numbers but dtype",
        ),
        (
            {"network": SimpleNamespace(predict=lambda X: np.ones((3, len(X))))},
            ValueError,
            r"shape \(3, 40000\) for 40000 rows: pass one model, e.g. path\[-1\]",
        ),
        (
            {"network": SimpleNamespace(predict=np.mean), "X": None},
            ValueError,
            "X is needed to see how many features there are",
        ),
    ],
)
def test_errors_name_the_argument_and_leave_no_figure(arguments, error, message, figures):
    with pytest.raises(error, match=message):
        plot_prediction(**{"network": PLANE, "X": X, **arguments})
    assert not figures.get_fignums()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "pyconvex\[plot\]"'):
        plot_prediction(LINE, x)
