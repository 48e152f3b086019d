"""Pictures of activation patterns: samples and neurons of two features, and the cells between."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.data import check_int, check_matrix, check_vector
from pyconvex.enumeration import count_patterns
from pyconvex.fit import Fit
from pyconvex.losses import Array
from pyconvex.network import Network

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

# One colour per sign, for classes and output weights alike: a neuron of a colour pulls its active
# side towards the class of that colour. Okabe & Ito's blue and vermilion; fills are Tol's "pale".
_NEGATIVE, _POSITIVE, _PLAIN = "#0072B2", "#D55E00", "#444444"
_FILLS = ("#BBCCEE", "#CCEEFF", "#CCDDAA", "#EEEEBB", "#FFCCCC", "#DDDDDD")
_PIXELS = (600, 900)  # of the filled cells: offsets, angles


class _Neurons(NamedTuple):
    """Kink lines {x : normal . x = offset} of k neurons, active where normal . x >= offset."""

    normals: Array  # (k, 2), unit vectors
    offsets: Array  # (k,)
    positive: NDArray[np.bool_]  # (k,), sign of the output weight
    sizes: Array  # (k,), |output weight| * ||hidden weights||, the largest is 1

    @property
    def angles(self) -> Array:
        angles: Array = np.arctan2(self.normals[:, 1], self.normals[:, 0]) % (2.0 * np.pi)
        return angles

    @property
    def colours(self) -> NDArray[np.str_]:
        return np.where(self.positive, _POSITIVE, _NEGATIVE)


class _Look(NamedTuple):
    """How the samples look: colours, the upper of two classes, their labels, a colour scale."""

    colours: Array  # (n_samples, 4), RGBA
    upper: NDArray[np.bool_]  # (n_samples,)
    labels: tuple[str, ...]  # of the lower and the upper class
    scale: Any  # None where there is nothing to show in a colourbar


def plot_arrangement(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    network: Fit | Network | None = None,
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
    network : Fit or Network, optional
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
    _check_matplotlib()
    X = _check_plane(X)
    look = _look(None if y is None else check_vector(y, "y", len(X)), len(X))
    neurons = _neurons(network)
    pair = None if ax is None else _check_pair(ax)
    max_cells = check_int(max_cells, "max_cells")
    n_cells = count_patterns(np.column_stack([X, np.ones(len(X))]), backend=backend)
    data, cells = pair or _new_pair()  # after all checks: an error leaves no empty figure behind
    _draw_samples(data, X, look)
    if network is not None:
        _draw_kinks(data, X, neurons)
    limit = _offset_limit(X, neurons)
    if fill and n_cells <= max_cells:
        _fill_cells(cells, X, limit)
    _draw_curves(cells, X, look, limit)
    if len(neurons.offsets):
        _draw_points(cells, neurons, limit)
        _draw_legend(data, look, neurons)
    cells.set_title(f"{_count(n_cells, 'cell')} of {_count(len(X), 'sample')}")
    return data, cells


def _check_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'plot_arrangement needs matplotlib: pip install "pyconvex[plot]"'
        ) from error


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


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


def _neurons(network: Fit | Network | None) -> _Neurons:
    """Return the lines of all neurons that have one and that the output depends on."""
    network = network.network if isinstance(network, Fit) else network
    if network is None:
        network = Network(np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    if not isinstance(network, Network):
        raise TypeError(
            f"network must be a Fit or a Network, got {type(network).__name__}: "
            "pass what fit returned"
        )
    if network.n_features != 2:
        raise ValueError(
            f"network has {network.n_features} features but X has 2: "
            "fit it to the two features that are drawn"
        )
    if network.output_weights.ndim != 1:
        raise ValueError(
            "network has output_weights that are 2-D: draw one output at a time, from a Network "
            "with one column of them"
        )
    weights, bias = network.gates, network.gate_bias
    if weights is None or bias is None:
        weights, bias = network.hidden_weights, network.hidden_bias
    norms = np.hypot(*weights.T)
    kept = np.flatnonzero((norms > 0.0) & (network.output_weights != 0.0))
    sizes = np.abs(network.output_weights[kept]) * np.hypot(*network.hidden_weights[kept].T)
    with np.errstate(over="ignore"):  # an infinite offset is drawn at the border
        offsets = -bias[kept] / norms[kept]
    return _Neurons(
        normals=weights[kept] / norms[kept, np.newaxis],
        offsets=offsets,
        positive=network.output_weights[kept] > 0.0,
        sizes=sizes / sizes.max(initial=np.finfo(float).tiny),
    )


def _look(y: Array | None, n_samples: int) -> _Look:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgba

    upper = np.full(n_samples, False)
    if y is None:
        return _Look(np.tile(to_rgba(_PLAIN), (n_samples, 1)), upper, (), None)
    values = np.unique(y)
    if len(values) == 2:
        upper = y == values[1]
        colours = np.where(upper[:, np.newaxis], to_rgba(_POSITIVE), to_rgba(_NEGATIVE))
        return _Look(colours, upper, tuple(f"y = {value:g}" for value in values), None)
    scale = ScalarMappable(Normalize(values[0], values[-1]), "viridis")
    return _Look(scale.to_rgba(y), upper, (), scale)


def _draw_samples(ax: "Axes", X: Array, look: _Look) -> None:
    size = 50.0 * _shrink(len(X), 25)
    for mask, marker in ((~look.upper, "o"), (look.upper, "s")):
        if mask.any():
            ax.scatter(
                X[mask, 0], X[mask, 1], s=size, c=look.colours[mask], marker=marker,
                edgecolors="white", linewidths=0.5, zorder=3,
            )  # fmt: skip
    if look.scale is not None:
        ax.figure.colorbar(look.scale, ax=ax, shrink=0.8).ax.set_title("y")
    centre, half = _window(X)
    ax.set_aspect("equal")
    ax.set(
        xlim=(centre[0] - half, centre[0] + half), xlabel="feature 1",
        ylim=(centre[1] - half, centre[1] + half), ylabel="feature 2",
    )  # fmt: skip


def _shrink(count: int, few: int) -> float:
    """Return the factor for marks that share a panel: 1 for a few of them, less for a crowd."""
    return max(0.3, min(1.0, float(np.sqrt(few / max(count, 1)))))


def _window(X: Array) -> tuple[Array, float]:
    """Return centre and half the width of a square that holds the data with some margin."""
    low, high = X.min(axis=0), X.max(axis=0)
    half = 0.6 * float((high - low).max())
    return 0.5 * (low + high), half or 1.0


def _draw_kinks(ax: "Axes", X: Array, neurons: _Neurons) -> None:
    from matplotlib.collections import LineCollection

    seen, ends = _clip(neurons, *_window(X))
    colours, positive = neurons.colours[seen], neurons.positive[seen]
    ax.set_title(f"lines of {_count(len(neurons.offsets), 'neuron')}")
    shrink = _shrink(len(neurons.offsets), 16)
    ax.add_collection(
        LineCollection(
            list(ends), colors=list(colours), linewidths=shrink * (0.8 + 2.2 * neurons.sizes[seen]),
            linestyles=["solid" if sign else "dashed" for sign in positive], alpha=0.8, zorder=2,
        ),
        autolim=False,
    )  # fmt: skip
    tails = 0.12 * ends[:, 0] + 0.88 * ends[:, 1]  # near the frame, where lines are far apart
    ax.quiver(
        *tails.T, *neurons.normals[seen].T, color=list(colours), angles="xy", units="inches",
        scale_units="inches", scale=5.0 / shrink, width=0.02 * shrink, headwidth=5.0, zorder=2,
    )  # fmt: skip


def _clip(neurons: _Neurons, centre: Array, half: float) -> tuple[NDArray[np.intp], Array]:
    """Return the lines that cross the window (k,) and the ends of what is in it (k, 2, 2)."""
    normals = neurons.normals
    distance = neurons.offsets - normals @ centre
    feet = normals * np.clip(distance, -2.0 * half, 2.0 * half)[:, np.newaxis]  # corner: 1.42 half
    along = np.stack([-normals[:, 1], normals[:, 0]], axis=1)
    steps = np.where(along == 0.0, 1e-16, along)  # parallel to a side: meets it far away
    meets = np.sort(np.stack([(-half - feet) / steps, (half - feet) / steps]), axis=0)
    enter, leave = meets[0].max(axis=1), meets[1].min(axis=1)
    seen = np.flatnonzero(enter < leave)
    t = np.stack([enter, leave], axis=1)[seen, :, np.newaxis]
    return seen, centre + feet[seen, np.newaxis] + t * along[seen, np.newaxis]


def _offset_limit(X: Array, neurons: _Neurons) -> float:
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


def _draw_curves(ax: "Axes", X: Array, look: _Look, limit: float) -> None:
    from matplotlib.collections import LineCollection

    angles = np.linspace(0.0, 2.0 * np.pi, 241)
    heights = X @ np.stack([np.cos(angles), np.sin(angles)])
    curves = np.stack([np.broadcast_to(angles, heights.shape), heights], axis=2)
    shrink = _shrink(len(X), 16)
    ax.add_collection(
        LineCollection(
            list(curves), colors=look.colours, zorder=1,
            linewidths=1.4 * shrink, alpha=np.sqrt(shrink),
        ),
        autolim=False,
    )  # fmt: skip
    ax.set(
        xlim=(0.0, 2.0 * np.pi), xlabel=r"direction $\theta$ of $w$",
        ylim=(-limit, limit), ylabel=r"offset $-b\,/\,\|w\|$",
    )  # fmt: skip
    ax.set_xticks(np.arange(5) * np.pi / 2, ["0", r"$\pi/2$", r"$\pi$", r"$3\pi/2$", r"$2\pi$"])


def _draw_points(ax: "Axes", neurons: _Neurons, limit: float) -> None:
    """Draw a dot with a sign per neuron, or a triangle where its offset is out of range."""
    angles, offsets = neurons.angles, neurons.offsets
    over, under = offsets > limit, offsets < -limit
    shrink = _shrink(len(offsets), 36)
    for mask, marker in ((~over & ~under, "o"), (over, "^"), (under, "v")):
        if mask.any():
            ax.scatter(
                angles[mask], np.clip(offsets[mask], -limit, limit), c=list(neurons.colours[mask]),
                s=shrink * (40.0 + 60.0 * neurons.sizes[mask]), marker=marker,
                edgecolors="white", linewidths=0.8, clip_on=False, zorder=4,
            )  # fmt: skip
    for sign, marker in ((neurons.positive, "+"), (~neurons.positive, "_")):
        inside = sign & ~over & ~under
        ax.scatter(
            angles[inside], offsets[inside], c="white", s=25.0 * shrink, marker=marker,
            linewidths=1.2 * shrink, clip_on=False, zorder=5,
        )  # fmt: skip


def _draw_legend(ax: "Axes", look: _Look, neurons: _Neurons) -> None:
    from matplotlib.lines import Line2D

    styles: list[dict[str, Any]] = [
        {"label": label, "color": colour, "marker": marker, "linestyle": "none"}
        for label, colour, marker in zip(look.labels, (_NEGATIVE, _POSITIVE), "os", strict=False)
    ]
    for sign, colour, line, label in (
        (~neurons.positive, _NEGATIVE, "dashed", "output weight < 0"),
        (neurons.positive, _POSITIVE, "solid", "output weight > 0"),
    ):
        if sign.any():
            styles.append({"label": label, "color": colour, "linestyle": line, "linewidth": 2.0})
    ax.legend(
        handles=[Line2D([], [], **style) for style in styles],
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False,
    )  # fmt: skip
