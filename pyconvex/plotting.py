"""Pictures of activation patterns: samples and neurons of two features, and the cells between."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.canvas import counted, legend_below, need_matplotlib, shrink
from pyconvex.data import check_int, check_matrix, check_vector
from pyconvex.enumeration import count_patterns
from pyconvex.kink_plot import Kinks, clip, draw_arrows, draw_lines, draw_signs, sign_styles
from pyconvex.losses import Array
from pyconvex.sample_plot import Look, draw_samples, window
from pyconvex.subject import feature_names_of, network_of

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_FILLS = ("#BBCCEE", "#CCEEFF", "#CCDDAA", "#EEEEBB", "#FFCCCC", "#DDDDDD")  # Tol's "pale"
_PIXELS = (600, 900)  # of the filled cells: offsets, angles


def plot_arrangement(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    network: Any = None,
    fill: bool = True,
    ax: Any = None,
    max_cells: int = 2000,
    backend: str = "auto",
) -> tuple["Axes", "Axes"]:
    """Draw two features with the kink lines of a network, and the cells of activation patterns.

    Left, the plane of the features: samples, and each neuron's kink line w . x + b = 0 with an
    arrow to its active side. Right, the plane of neurons: a neuron is the point with the
    direction theta of w and the offset -b/||w|| of its kink line. Sample i is the curve
    x_i . (cos theta, sin theta): neurons below it see the sample. The regions between the curves
    are the cells of the arrangement of [X, 1] (left and right edge are the same neurons), so two
    neurons have the same pattern exactly if they lie in the same cell.

    Standardise the features first: curves of samples that lie far from the origin bunch up.

    Parameters
    ----------
    X : array, shape (n_samples, 2)
        Data.
    y : array, shape (n_samples,), optional
        Colours of the samples: two colours for two values, a colour scale for more.
    network : Network, Fit or fitted estimator, optional
        Its neurons are drawn, for gated networks their gates. Colour and line style show the sign
        of the output weight, width the size |output weight| * ||hidden weights||. Neurons without
        a line (w = 0) or with output weight 0 are left out. Offsets beyond twice the range of the
        data become triangles at the border.
    fill : bool
        Colour the cells. Cells with a common edge have different colours; cells far apart may
        share one.
    ax : pair of matplotlib Axes, optional
        Where to draw. Default: a new figure.
    max_cells : int
        Leave the cells white if there are more.
    backend : {"auto", "native", "jit"}
        Who counts the cells.

    Returns
    -------
    tuple of two matplotlib Axes
        Left and right panel.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex.plotting import plot_arrangement
    >>> X = np.random.default_rng(0).standard_normal((12, 2))
    >>> data, cells = plot_arrangement(X, X[:, 0])
    >>> cells.get_title()
    '134 cells of 12 samples'
    """
    need_matplotlib("plot_arrangement")
    names = feature_names_of(network, X, 2)
    X = _check_plane(X)
    look = Look.of(None if y is None else check_vector(y, "y", len(X)), len(X))
    neurons = _neurons(network)
    pair = None if ax is None else _check_pair(ax)
    max_cells = check_int(max_cells, "max_cells")
    n_cells = count_patterns(np.column_stack([X, np.ones(len(X))]), backend=backend)
    data, cells = pair or _new_pair()  # after all checks: an error leaves no empty figure behind
    _draw_plane(data, X, look, names)
    if network is not None:
        _draw_kinks(data, X, neurons)
    limit = _offset_limit(X, neurons)
    if fill and n_cells <= max_cells:
        _fill_cells(cells, X, limit)
    _draw_curves(cells, X, look, limit)
    if len(neurons):
        _draw_points(cells, neurons, limit)
        legend_below(data, look.styles + sign_styles(neurons))
    cells.set_title(f"{counted(n_cells, 'cell')} of {counted(len(X), 'sample')}")
    return data, cells


def _check_plane(X: ArrayLike) -> Array:
    X = check_matrix(X)
    if X.shape[1] != 2:
        raise ValueError(
            f"X must have 2 columns to be drawn, got {X.shape[1]}: "
            "pick two features, e.g. X[:, [0, 1]]"
        )
    return X


def _check_pair(ax: Any) -> tuple["Axes", "Axes"]:
    from matplotlib.axes import Axes

    pair = tuple(np.asarray(ax, dtype=object).ravel())
    if len(pair) != 2 or not all(isinstance(one, Axes) for one in pair):
        raise TypeError(
            f"ax must be a pair of matplotlib Axes, got {ax!r}: use fig, ax = plt.subplots(1, 2)"
        )
    return pair


def _new_pair() -> tuple["Axes", "Axes"]:
    from matplotlib import pyplot

    _, pair = pyplot.subplots(1, 2, figsize=(11.0, 5.0), layout="constrained")
    return pair[0], pair[1]


def _neurons(network: Any) -> Kinks:
    """Return the lines of all neurons that have one and that the output depends on."""
    if network is None:
        return Kinks.none(2)
    network = network_of(network)
    if network.n_features != 2:
        raise ValueError(
            f"network has {network.n_features} features but X has 2: "
            "fit it to the two features that are drawn"
        )
    return Kinks.of(network)


def _draw_plane(ax: "Axes", X: Array, look: Look, names: list[str]) -> None:
    draw_samples(ax, X, look)
    if look.scale is not None:
        ax.figure.colorbar(look.scale, ax=ax, shrink=0.8).ax.set_title("y")
    centre, half = window(X)
    ax.set_aspect("equal")
    ax.set(
        xlim=(centre[0] - half, centre[0] + half), xlabel=names[0],
        ylim=(centre[1] - half, centre[1] + half), ylabel=names[1],
    )  # fmt: skip


def _draw_kinks(ax: "Axes", X: Array, neurons: Kinks) -> None:
    centre, half = window(X)
    seen, ends = clip(neurons, centre, np.full(2, half))
    drawn, size = neurons.take(seen), shrink(len(neurons), 16)
    draw_lines(ax, drawn, ends, list(drawn.colours), size)
    draw_arrows(ax, drawn, ends, list(drawn.colours), size)
    ax.set_title(f"lines of {counted(len(neurons), 'neuron')}")


def _offset_limit(X: Array, neurons: Kinks) -> float:
    """Return the largest offset to show: all curves, and neurons up to twice as far out."""
    reach = float(np.hypot(*X.T).max()) or 1.0
    farthest = float(np.abs(neurons.offsets).max(initial=0.0))
    return min(max(1.1 * reach, 1.05 * farthest), 2.0 * reach)


def _fill_cells(ax: "Axes", X: Array, limit: float) -> None:
    from matplotlib.colors import ListedColormap

    heights, angles = (
        low + (np.arange(count) + 0.5) * (high - low) / count
        for count, low, high in zip(_PIXELS, (-limit, 0.0), (limit, 2.0 * np.pi), strict=True)
    )
    circle = np.stack([np.cos(angles), np.sin(angles)])
    n_colours = len(_FILLS)
    codes = np.zeros(_PIXELS, dtype=np.int64)
    # Each bit of the pattern adds its own step around the palette, never a whole turn: cells on
    # both sides of a curve differ. Equal rows are one curve. One sample at a time to save memory.
    for i, x in enumerate(np.unique(X, axis=0)):
        codes += (x @ circle >= heights[:, np.newaxis]) * (1 + i % (n_colours - 1))
    ax.imshow(
        codes % n_colours, cmap=ListedColormap(_FILLS), vmin=-0.5, vmax=n_colours - 0.5,
        extent=(0.0, 2.0 * np.pi, -limit, limit), origin="lower", aspect="auto",
        interpolation="nearest", zorder=0,
    )  # fmt: skip


def _draw_curves(ax: "Axes", X: Array, look: Look, limit: float) -> None:
    from matplotlib.collections import LineCollection

    angles = np.linspace(0.0, 2.0 * np.pi, 241)
    heights = X @ np.stack([np.cos(angles), np.sin(angles)])
    curves = np.stack([np.broadcast_to(angles, heights.shape), heights], axis=2)
    less = shrink(len(X), 16)
    ax.add_collection(
        LineCollection(
            list(curves), colors=look.colours, zorder=1,
            linewidths=1.4 * less, alpha=np.sqrt(less),
        ),
        autolim=False,
    )  # fmt: skip
    ax.set(
        xlim=(0.0, 2.0 * np.pi), xlabel=r"direction $\theta$ of $w$",
        ylim=(-limit, limit), ylabel=r"offset $-b\,/\,\|w\|$",
    )  # fmt: skip
    ax.set_xticks(np.arange(5) * np.pi / 2, ["0", r"$\pi/2$", r"$\pi$", r"$3\pi/2$", r"$2\pi$"])


def _draw_points(ax: "Axes", neurons: Kinks, limit: float) -> None:
    """Draw a dot with a sign per neuron, or a triangle where its offset is out of range."""
    angles = np.arctan2(neurons.normals[:, 1], neurons.normals[:, 0]) % (2.0 * np.pi)
    offsets = np.clip(neurons.offsets, -limit, limit)
    over, under = neurons.offsets > limit, neurons.offsets < -limit
    size = shrink(len(offsets), 36)
    for mask, marker in ((~over & ~under, "o"), (over, "^"), (under, "v")):
        if mask.any():
            ax.scatter(
                angles[mask], offsets[mask], c=list(neurons.colours[mask]), marker=marker,
                s=size * (40.0 + 60.0 * neurons.sizes[mask]),
                edgecolors="white", linewidths=0.8, clip_on=False, zorder=4,
            )  # fmt: skip
    inside = np.flatnonzero(~over & ~under)
    draw_signs(ax, neurons.take(inside), angles[inside], offsets[inside], size)
