"""Pictures of what a model predicts over one or two features."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.canvas import DARK, axes, check_axes, counted, legend_below, need_matplotlib
from pyconvex.data import check_int, check_matrix, check_vector
from pyconvex.fill_plot import draw_fill
from pyconvex.kink_plot import Kinks, draw_points, sign_styles
from pyconvex.losses import Array
from pyconvex.sample_plot import Look, Targets, draw_samples
from pyconvex.subject import (
    check_output,
    feature_names_of,
    find_network,
    is_classifier,
    n_features_of,
    output_of,
)

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_POINTS = 1000  # of a curve, besides the kinks


def plot_prediction(
    network: Any,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    ax: Any = None,
    *,
    output: int = 0,
    limits: ArrayLike | None = None,
    max_kinks: int = 30,
    feature_names: ArrayLike | None = None,
) -> "Axes":
    """Draw what a model of one or two features predicts, and where its neurons switch.

    One feature: the curve, with a dot at the kink x = -b / w of each neuron. Two features: a
    filled contour with the kink line w . x + b = 0 of each neuron, and the boundary between
    classes where there are two. Colour or line style of kinks show the sign of the output weight,
    size or width show |output weight| * ||hidden weights||.

    Parameters
    ----------
    network : Network, Fit, fitted estimator or anything else with ``predict``
        What to draw; classifiers by their ``decision_function``. Kinks are drawn where there is a
        `Network`: the object itself, or its ``network`` or ``network_``; for gated networks those
        of the gates.
    X : array, shape (n_samples, 1 or 2), optional
        Data: its range is drawn.
    y : array, shape (n_samples,) or (n_samples, n_outputs), optional
        Its targets, or the labels of a classifier. Two values count as classes.
    ax : matplotlib Axes, optional
        Where to draw. Default: a new figure.
    output : int
        Which of several outputs, or which class of a classifier of more than two.
    limits : (low, high), or two such pairs for two features, optional
        What to draw. Default: the range of X and 5% on each side; for one feature without X that
        of the kinks.
    max_kinks : int
        Draw no more than that many of the largest; 0 for none.
    feature_names : sequence of str, optional
        Labels of the axes. Default: ``feature_names_in_`` of an estimator, the columns of a data
        frame X, else columns of X.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> X = np.linspace(-1, 1, 21).reshape(-1, 1)
    >>> fit = pyconvex.fit(X, np.abs(X[:, 0]), beta=1e-3, random_state=0)
    >>> pyconvex.plot_prediction(fit, X, np.abs(X[:, 0])).get_title()
    '2 kinks'
    """
    need_matplotlib("plot_prediction")
    if not hasattr(network, "predict"):
        raise TypeError(
            f"network must have predict, got {type(network).__name__}: pass what fit returned"
        )
    data = None if X is None else check_matrix(X)
    n_features = _check_n_features(n_features_of(network, data), data)
    names = feature_names_of(network, X, n_features, feature_names)
    kinks = _kinks(network, n_features, output)
    targets = _targets(network, data, y, output)
    window = _window(limits, data, kinks, n_features)
    shown = kinks.largest(check_int(max_kinks, "max_kinks", minimum=0))
    check_axes(ax)
    if n_features == 1:
        drawn = _draw_curve(network, data, targets, kinks, shown, window[0], output, ax)
    else:
        drawn = draw_fill(network, data, targets, shown, window, output, ax)
        drawn.set_ylabel(names[1])
    drawn.set_xlabel(names[0])
    _entitle(drawn, len(shown), len(kinks), find_network(network) is not None)
    return drawn


def _check_n_features(n_features: int | None, X: Array | None) -> int:
    if n_features is None:
        raise ValueError("X is needed to see how many features there are: pass X")
    if n_features not in (1, 2):
        raise ValueError(
            f"network has {n_features} features but pictures have room for one or two: "
            "fit it to two of them, e.g. X[:, [0, 1]], or see plot_importance"
        )
    if X is not None and X.shape[1] != n_features:
        raise ValueError(
            f"X has {X.shape[1]} columns but the network has {n_features} features: "
            "pass the data it was fitted to"
        )
    return n_features


def _kinks(model: Any, n_features: int, output: int) -> Kinks:
    network = find_network(model)
    if network is None:
        return Kinks.none(n_features)
    weights = network.output_weights
    n_outputs = 1 if weights.ndim == 1 else weights.shape[1]
    if is_classifier(model) and n_outputs == 1:
        output = 0
    return Kinks.of(network, check_output(output, n_outputs))


def _targets(model: Any, X: Array | None, y: ArrayLike | None, output: int) -> Targets:
    """Return targets as numbers on the scale of the prediction."""
    boundary = 0.0 if is_classifier(model) else None
    if y is None:
        return Targets(None, None if X is None else Look.plain(len(X)), boundary)
    if X is None:
        raise ValueError("y needs X: pass the data too, so that the samples have a place")
    if is_classifier(model):
        return _labels(model.classes_, np.asarray(y), len(X), output)
    columns = np.asarray(y)
    if columns.ndim == 2:
        y = columns[:, check_output(output, columns.shape[1])]
    values = check_vector(y, "y", len(X))
    ends = np.unique(values)
    middle = float(ends.mean()) if len(ends) == 2 else None
    return Targets(values, Look.of(values, len(X)), middle)


def _labels(classes: Any, y: NDArray[Any], n_samples: int, output: int) -> Targets:
    """Return +1 for the class that the decision function is for, -1 for others."""
    if y.shape != (n_samples,):
        raise ValueError(f"y has shape {y.shape} but X has {n_samples} rows: pass one label each")
    upper = y == classes[1 if len(classes) == 2 else check_output(output, len(classes))]
    names = tuple(f"y = {name}" for name in classes)
    if len(classes) != 2:
        names = "other classes", names[output]
    return Targets(np.where(upper, 1.0, -1.0), Look.of_classes(upper, names), 0.0)


def _window(limits: ArrayLike | None, X: Array | None, kinks: Kinks, n_features: int) -> Array:
    """Return lowest and highest value to draw of each feature, (n_features, 2)."""
    if limits is not None:
        return _check_limits(limits, n_features)
    ends, margin = X, 0.05
    if ends is None and n_features == 1:
        ends, margin = (kinks.offsets / kinks.normals[:, 0])[:, np.newaxis], 0.25
    if ends is None or len(ends) == 0:
        raise ValueError("limits are needed to know what to draw: pass X or limits")
    low, high = ends.min(axis=0), ends.max(axis=0)
    width = np.where(high > low, margin * (high - low), 1.0)
    return np.column_stack([low - width, high + width])


def _check_limits(limits: ArrayLike, n_features: int) -> Array:
    found = check_matrix(np.atleast_2d(np.asarray(limits)), "limits")
    if found.shape != (n_features, 2) or not (found[:, 0] < found[:, 1]).all():
        form = "(low, high)" if n_features == 1 else "((low, high), (low, high))"
        raise ValueError(f"limits must be {form} with low < high, got {limits!r}")
    return found


def _draw_curve(
    model: Any,
    X: Array | None,
    targets: Targets,
    kinks: Kinks,
    shown: Kinks,
    window: Array,
    output: int,
    given: Any,
) -> "Axes":
    every = _places(kinks, window)[0]
    grid = np.linspace(window[0], window[1], _POINTS)
    # Both sides of every kink: corners are sharp, and so are the jumps of gated networks.
    beside = np.concatenate([every, np.nextafter(every, -np.inf)])
    grid = np.unique(np.clip(np.concatenate([grid, beside]), *window))
    values = output_of(model, grid[:, np.newaxis], output)
    places, seen = _places(shown, window)
    heights = output_of(model, places[:, np.newaxis], output) if len(places) else places
    ax = axes(given)
    if X is not None and targets.values is not None and targets.look is not None:
        look = targets.look if targets.look.labels else Look.plain(len(X))
        draw_samples(ax, np.column_stack([X[:, 0], targets.values]), look, size=35.0)
    ax.plot(grid, values, color=DARK, linewidth=1.5, zorder=3.5)
    drawn = shown.take(seen)
    if len(drawn):
        draw_points(ax, drawn, places, heights)
    look_styles = targets.look.styles if targets.look is not None else []
    legend_below(ax, look_styles + sign_styles(drawn, dots=True))
    ax.set_xlim(*window)
    ax.set_ylabel("decision function" if is_classifier(model) else "prediction")
    return ax


def _places(kinks: Kinks, window: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return the kinks of one feature that are in the window, and their indices."""
    places = kinks.offsets * kinks.normals[:, 0]  # normals are +-1
    seen = np.flatnonzero((places >= window[0]) & (places <= window[1]))
    return places[seen], seen


def _entitle(ax: "Axes", shown: int, total: int, has_network: bool) -> None:
    if has_network:
        part = f"{shown} largest of " if 0 < shown < total else ""
        ax.set_title(part + counted(total, "kink"))
