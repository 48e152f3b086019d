"""Filled contours: what a model predicts over two features."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvex.canvas import DARK, axes, legend_below, shrink
from pyconvex.kink_plot import Kinks, clip, draw_lines, sign_styles
from pyconvex.losses import Array
from pyconvex.sample_plot import Targets, draw_samples
from pyconvex.subject import is_classifier, output_of

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_PIXELS = 200  # per side
_LEVELS = 16  # of colour
_PALE = 0.55  # how much white there is in the colours


def draw_fill(
    model: Any,
    X: Array | None,
    targets: Targets,
    kinks: Kinks,
    window: Array,
    output: int,
    given: Any,
) -> "Axes":
    """Draw a model of two features over a window (2, 2), its kinks, its boundary and samples."""
    sides = [np.linspace(side[0], side[1], _PIXELS) for side in window]
    plane = np.stack([part.ravel() for part in np.meshgrid(*sides)], axis=1)
    values = output_of(model, plane, output).reshape(_PIXELS, _PIXELS)
    seen, ends = clip(kinks, window.mean(axis=1), 0.5 * (window[:, 1] - window[:, 0]))
    ax = axes(given)
    fill = _fill(ax, sides, values, targets)
    label = "decision function" if is_classifier(model) else "prediction"
    ax.figure.colorbar(fill, ax=ax, label=label)
    drawn = kinks.take(seen)
    draw_lines(ax, drawn, ends, DARK, 0.7 * shrink(len(drawn), 16))
    styles = sign_styles(drawn, (DARK, DARK))
    boundary = targets.boundary
    if boundary is not None and values.min() < boundary < values.max():
        ax.contour(*sides, values, [boundary], colors="white", linewidths=4.0)
        ax.contour(*sides, values, [boundary], colors="black", linewidths=2.5)
        styles.append({"label": "boundary", "color": "black", "linewidth": 2.5})
    if X is not None and targets.look is not None:
        look = targets.look
        if look.scale is not None:  # the colours of the fill: a good fit hides its samples
            look = look._replace(colours=fill.to_rgba(targets.values))
        draw_samples(ax, X, look, edge=DARK)
        styles += look.styles
    legend_below(ax, styles)
    ax.set(xlim=window[0], ylim=window[1])
    return ax


def _fill(ax: "Axes", sides: list[Array], values: Array, targets: Targets) -> Any:
    """Draw the filled contour: around the boundary of classes, or over all values and targets."""
    from matplotlib.ticker import MaxNLocator

    ends = [values.min(), values.max()]
    if targets.boundary is not None:
        reach = float(np.abs(values - targets.boundary).max()) or 1.0
        ends = [targets.boundary - reach, targets.boundary + reach]
    elif targets.values is not None:
        ends = [min(ends[0], targets.values.min()), max(ends[1], targets.values.max())]
    if ends[1] - ends[0] <= 1e-9 * max(map(abs, ends)):  # constant but for rounding
        ends = [ends[0] - 0.5, ends[1] + 0.5]
    levels = MaxNLocator(_LEVELS).tick_values(*ends)
    colours = _pale(targets.boundary is not None)
    return ax.contourf(*sides, values, levels, cmap=colours, vmin=ends[0], vmax=ends[1])


def _pale(classes: bool) -> Any:
    """Return a colour map on which lines and points stand out."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if classes:
        return LinearSegmentedColormap.from_list("classes", ["#6BA8D6", "#F7F7F7", "#EBA070"])
    colours = colormaps["viridis"](np.linspace(0.0, 1.0, 64))[:, :3]
    return LinearSegmentedColormap.from_list("pale", _PALE * 1.0 + (1.0 - _PALE) * colours)
