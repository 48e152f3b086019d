"""Pictures of what a network relies on: its largest neurons or features."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.canvas import (
    NEGATIVE,
    OTHER,
    PLAIN,
    POSITIVE,
    axes,
    check_axes,
    counted,
    legend_below,
    need_matplotlib,
)
from pyconvex.data import check_choice, check_int
from pyconvex.losses import Array
from pyconvex.network import Network
from pyconvex.subject import feature_names_of, network_of

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_LABEL = 0.75  # inches from the axes to below the formula


def plot_importance(
    network: Any,
    kind: str = "features",
    feature_names: ArrayLike | None = None,
    ax: Any = None,
    n_most: int = 20,
) -> "Axes":
    r"""Draw bars for the features or the neurons that a network relies on most.

    Feature k counts :math:`\sqrt{\sum_j (\alpha_j w_{jk})^2}`, the norm of what its weights
    contribute over all neurons j, plus its weight in the linear part where there is one. Neuron
    j counts :math:`|\alpha_j| \|w_j\|`, its share of the weight decay. With several outputs
    absolute values become norms over the outputs. Weights depend on the scale of the features:
    bars can only be compared if the features are standardised.

    Parameters
    ----------
    network : Network, Fit or fitted estimator
        Whose weights to draw.
    kind : {"features", "neurons"}
        Bars for features or neurons. Neurons bear their index in ``network.hidden_weights``, and
        the colour of the sign of their output weight.
    feature_names : sequence of str, shape (n_features,), optional
        Default: the ``feature_names_in_`` of an estimator, else columns of X.
    ax : matplotlib Axes, optional
        Where to draw. Default: a new figure.
    n_most : int
        Draw that many of the largest.

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
    >>> import pyconvex
    >>> network = pyconvex.Network([[3.0, 4.0], [1.0, 0.0]], [0.0, 0.0], [1.0, -2.0])
    >>> ax = pyconvex.plot_importance(network, feature_names=["height", "width"])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['width', 'height']
    """
    need_matplotlib("plot_importance")
    check_choice(kind, "kind", ("features", "neurons"))
    of = network_of(network)
    names = feature_names_of(network, None, of.n_features, feature_names)
    n_most = check_int(n_most, "n_most")
    check_axes(ax)
    if kind == "features":
        return _draw_features(of, names, n_most, ax)
    return _draw_neurons(of, n_most, ax)


def _draw_features(network: Network, names: list[str], n_most: int, given: Any) -> "Axes":
    hidden, linear = feature_sizes(network)
    skip: Any = network.skip
    shown = _most(hidden + linear, n_most)
    ax = axes(given, _figure_size(len(shown)))
    places = np.arange(len(shown))
    ax.barh(places, hidden[shown], color=PLAIN)
    if skip is not None:
        ax.barh(places, linear[shown], left=hidden[shown], color=OTHER)
        parts = (("neurons", PLAIN), ("linear part", OTHER))
        legend_below(ax, [_square(label, colour) for label, colour in parts], _LABEL)
    label = r"importance $\sqrt{\sum_j (\alpha_j w_{jk})^2}$"
    label += r" $+\ |c_k|$" if skip is not None else ""
    _finish(ax, [names[k] for k in shown], label, len(names), "feature")
    return ax


def _draw_neurons(network: Network, n_most: int, given: Any) -> "Axes":
    sizes = neuron_sizes(network)
    shown = _most(sizes, n_most)
    ax = axes(given, _figure_size(len(shown)))
    if network.output_weights.ndim == 1:
        positive = network.output_weights[shown] > 0.0
        styles = []
        for mask, colour, sign in ((~positive, NEGATIVE, "<"), (positive, POSITIVE, ">")):
            ax.barh(np.flatnonzero(mask), sizes[shown][mask], color=colour)
            if mask.any():
                styles.append(_square(f"output weight {sign} 0", colour))
        legend_below(ax, styles)
    else:
        ax.barh(np.arange(len(shown)), sizes[shown], color=PLAIN)
    names = [f"neuron {j}" for j in shown]
    _finish(ax, names, r"size $|\alpha_j|\,\|w_j\|$", len(sizes), "neuron")
    return ax


def feature_sizes(network: Network) -> tuple[Array, Array]:
    """Return what neurons and the linear part make of each feature, (n_features,) each."""
    heights = _norms(network.output_weights)
    hidden: Array = np.linalg.norm(heights[:, np.newaxis] * network.hidden_weights, axis=0)
    skip: Any = network.skip
    return hidden, np.zeros(len(hidden)) if skip is None else _norms(np.asarray(skip))


def neuron_sizes(network: Network) -> Array:
    """Return |output weight| * ||hidden weights|| of each neuron, (m,)."""
    sizes: Array = _norms(network.output_weights) * np.linalg.norm(network.hidden_weights, axis=1)
    return sizes


def _norms(weights: Array) -> Array:
    """Return the norm over the outputs, (len(weights),)."""
    columns = weights[:, np.newaxis] if weights.ndim == 1 else weights
    norms: Array = np.linalg.norm(columns, axis=1)
    return norms


def _square(label: str, colour: str) -> dict[str, Any]:
    """Return an entry of the legend."""
    return {"label": label, "color": colour, "marker": "s", "markersize": 8.0, "linestyle": "none"}


def _most(sizes: Array, n_most: int) -> Any:
    """Return the indices of the largest, in descending order."""
    return np.argsort(-sizes, kind="stable")[:n_most]


def _figure_size(n_bars: int) -> tuple[float, float]:
    return 6.4, max(2.0, 1.0 + 0.26 * n_bars)


def _finish(ax: "Axes", names: list[str], label: str, total: int, noun: str) -> None:
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)  # the largest on top
    ax.set_xlim(left=0.0)
    ax.set_xlabel(label)
    shown = f"{len(names)} largest of " if len(names) < total else ""
    ax.set_title(shown + counted(total, noun))
