"""Axes to draw on: matplotlib, which is optional, is loaded by the first call."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One colour per sign, for classes and output weights alike: a neuron of a colour pulls its active
# side towards the class of that colour. Okabe & Ito's blue, vermilion and bluish green.
NEGATIVE, POSITIVE, PLAIN, OTHER = "#0072B2", "#D55E00", "#444444", "#009E73"
DARK = "#222222"  # what is drawn over colours


def need_matplotlib(caller: str) -> None:
    """Raise an ImportError that says how to get matplotlib if it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{caller} needs matplotlib: pip install "pyconvex[plot]"') from error


def check_axes(ax: Any) -> None:
    """Raise a TypeError unless ax is a matplotlib Axes or None."""
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(
            f"ax must be a matplotlib Axes, got {type(ax).__name__}: use fig, ax = plt.subplots()"
        )


def axes(ax: Any, size: tuple[float, float] | None = None) -> "Axes":
    """Return ax, or the axes of a new figure of that size in inches.

    Call it after all checks: an error must leave no empty figure behind.
    """
    from matplotlib import pyplot

    check_axes(ax)
    if ax is None:
        ax = pyplot.subplots(layout="constrained", figsize=size)[1]
    found: Axes = ax
    return found


def legend_below(ax: "Axes", styles: list[dict[str, Any]], drop: float = 0.45) -> None:
    """Put a legend of line styles, if there are any, below the axes, where it hides nothing.

    ``drop``: how far below, in inches: room for the ticks and the label of the axis.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    if styles:
        below = ScaledTranslation(0.0, -drop, ax.figure.dpi_scale_trans)
        ax.legend(
            handles=[Line2D([], [], **style) for style in styles], loc="upper center",
            bbox_to_anchor=(0.5, 0.0), bbox_transform=ax.transAxes + below, ncols=2, frameon=False,
        )  # fmt: skip


def shrink(count: int, few: int) -> float:
    """Return the factor for marks that share a panel: 1 for a few of them, less for a crowd."""
    return max(0.3, min(1.0, float(np.sqrt(few / max(count, 1)))))


def counted(number: int, noun: str) -> str:
    """Return "1 line", "2 lines" and so on."""
    return f"{number:,} {noun}" + "s" * (number != 1)
