"""Pictures of how solves went: gaps and objectives over time."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvex.canvas import NEGATIVE, PLAIN, axes, check_axes, legend_below, need_matplotlib
from pyconvex.data import check_choice
from pyconvex.fitted import Fit
from pyconvex.losses import Array
from pyconvex.program import relative_gap
from pyconvex.solver import GroupLassoResult

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_DUAL = NEGATIVE
_MEANINGS = {  # of the mark at the end of a line
    "global": "proved",
    "restricted": "proved for the given patterns",
    "local": "an estimate",
}
_LISTED = 8  # more lines than that get a colour scale in place of a legend


def plot_history(
    fit: Any,
    ax: Any = None,
    *,
    quantity: str = "gap",
    labels: Sequence[str] | None = None,
) -> "Axes":
    """Draw how the gap, or objective and dual objective, went over the seconds of a solve.

    A mark ends each line at the figures of the result: full where they are proved ("global",
    "restricted"), hollow where they are estimates ("local"). While `pyconvex.fit` generates
    columns of ReLU networks, dual objectives come from local search, whatever is proved
    afterwards: such lines are dashed and labelled as estimates.

    Parameters
    ----------
    fit : Fit, GroupLassoResult, or a sequence of them such as a Path
        What to draw, a line for each. Seconds count from the start of each one's own solve.
    ax : matplotlib Axes, optional
        Where to draw. Default: a new figure.
    quantity : {"gap", "objectives"}
        "gap": the relative gap, on a logarithmic axis; a gap of 0 becomes a triangle at its lower
        end. "objectives": objective and dual objective.
    labels : sequence of str, optional
        Names of the lines. Default: their beta; more than 8 get a colour scale instead.

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
    >>> pyconvex.plot_history(fit).get_yscale()
    'log'
    """
    need_matplotlib("plot_history")
    check_choice(quantity, "quantity", ("gap", "objectives"))
    single = isinstance(fit, Fit | GroupLassoResult)
    fits = [fit] if single else _check_fits(fit)
    names = _check_labels(labels, fits)
    check_axes(ax)
    drawn = axes(ax)
    colours = [PLAIN] if single and labels is None else _colours(fits)
    draw = _draw_gaps if quantity == "gap" else _draw_objectives
    draw(drawn, fits, colours)
    drawn.set_xlabel("seconds")
    drawn.set_xlim(left=0.0)
    _explain(drawn, fits, colours, names, quantity)
    return drawn


def _check_fits(fits: Any) -> list[Any]:
    found = list(fits) if isinstance(fits, Iterable) else [fits]
    for one in found:
        if not isinstance(one, Fit | GroupLassoResult):
            raise TypeError(
                "fit must be a Fit, a GroupLassoResult or a sequence of them, got "
                f"{type(one).__name__}: pass what fit, path or solve_group_lasso returned"
            )
    if not found:
        raise ValueError("fit is an empty sequence: pass at least one result")
    return found


def _check_labels(labels: Sequence[str] | None, fits: list[Any]) -> list[str] | None:
    """Return the names of all lines; None where a colour scale or nothing names them."""
    if labels is not None:
        names = [labels] if isinstance(labels, str) else [str(label) for label in labels]
        if len(names) != len(fits):
            raise ValueError(
                f"labels has {len(names)} entries but there are {len(fits)} fits: pass one per fit"
            )
        return names
    if not 1 < len(fits) <= _LISTED:
        return None
    names = [f"beta = {one.beta:.3g}" for one in fits]
    return names if len(set(names)) == len(names) else [f"fit {k}" for k in range(len(names))]


def _estimated(fit: Any) -> bool:
    """Tell whether the dual objectives of the rounds come from local search."""
    return fit.certificate != "restricted" and not _gated(fit)


def _gated(fit: Any) -> bool:
    return isinstance(fit, GroupLassoResult) or fit.network.gates is not None


def _colours(fits: list[Any]) -> list[Any]:
    from matplotlib import colormaps

    if len(fits) <= _LISTED:
        return [f"C{k}" for k in range(len(fits))]
    scale = _scale(fits)
    if scale is not None:
        return list(scale.to_rgba([one.beta for one in fits]))
    return list(colormaps["viridis"](np.linspace(0.0, 1.0, len(fits))))


def _scale(fits: list[Any]) -> Any:
    """Return a colour scale of betas, None where they do not differ."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    betas = [one.beta for one in fits]
    if min(betas) == max(betas):
        return None
    return ScalarMappable(LogNorm(min(betas), max(betas)), "viridis")


def _series(fit: Any) -> tuple[Array, Array, Array]:
    """Return seconds, objectives and dual objectives of all rounds."""
    rounds = [(one.seconds, one.objective, one.dual_objective) for one in fit.history]
    seconds, objectives, duals = np.array(rounds, dtype=float).reshape(-1, 3).T
    return seconds, objectives, duals


def _draw_gaps(ax: "Axes", fits: list[Any], colours: list[Any]) -> None:
    gaps = [
        np.array([relative_gap(one.objective, one.dual_objective) for one in fit.history])
        for fit in fits
    ]
    ends = np.array([fit.gap for fit in fits])
    everything = np.concatenate([*gaps, ends])
    least = everything[everything > 0.0].min(initial=1.0)
    floor = 0.3 * float(least)  # below all that the axis can show
    crowd = len(fits) > _LISTED
    for fit, colour, gap, end in zip(fits, colours, gaps, ends, strict=True):
        ax.plot(
            _series(fit)[0], np.where(gap > 0.0, gap, floor), "--" if _estimated(fit) else "-",
            color=colour, **_line(crowd),
        )  # fmt: skip
        _mark(ax, fit, end if end > 0.0 else floor, colour, crowd, "o" if end > 0.0 else "v")
    ax.set_yscale("log")
    ax.set_ylabel("relative gap")


def _draw_objectives(ax: "Axes", fits: list[Any], colours: list[Any]) -> None:
    crowd = len(fits) > _LISTED
    for fit, colour in zip(fits, colours, strict=True):
        seconds, objectives, duals = _series(fit)
        dual_colour = _DUAL if len(fits) == 1 else colour
        for values, line, shade in (
            (objectives, "-", colour),
            (duals, "--" if _estimated(fit) else "-", dual_colour),
        ):
            ax.plot(seconds, values, line, color=shade, **_line(crowd))
        _mark(ax, fit, fit.dual_objective, dual_colour, crowd, "o")
    ax.set_ylabel("objective (above), dual objective (below)")


def _line(crowd: bool) -> dict[str, Any]:
    """Return the look of a line: rounds are dots where lines are few."""
    return {
        "marker": None if crowd else ".",
        "markersize": 4.0,
        "linewidth": 0.8 + 0.5 * (not crowd),
    }


def _mark(ax: "Axes", fit: Any, value: float, colour: Any, crowd: bool, marker: str) -> None:
    """Mark the end of a line, hollow where the figure is an estimate."""
    face = "white" if fit.certificate == "local" else colour
    size = 4.0 if crowd else 7.0
    ax.plot(fit.seconds, value, marker, color=colour, markerfacecolor=face, markersize=size)


def _explain(
    ax: "Axes", fits: list[Any], colours: list[Any], names: list[str] | None, quantity: str
) -> None:
    """Say which line is which, and which figures are estimates."""
    if names is None and len(fits) > _LISTED and (scale := _scale(fits)) is not None:
        ax.figure.colorbar(scale, ax=ax, label=r"weight decay $\beta$")
    if names is not None:
        styles = [{"color": c, "label": name} for c, name in zip(colours, names, strict=True)]
    elif len(fits) == 1:
        styles = _styles_of_one(fits[0], quantity)
    else:
        styles = []
    if not (len(fits) == 1 and names is None) and any(map(_estimated, fits)):
        styles.append({"color": PLAIN, "linestyle": "--", "label": "estimated by local search"})
    levels = {fit.certificate for fit in fits}
    mark = {"color": _DUAL if (len(fits), quantity) == (1, "objectives") else PLAIN}
    for level, meaning in _MEANINGS.items():
        if level in levels:
            face = "white" if level == "local" else mark["color"]
            dot = {**mark, "marker": "o", "linestyle": "none", "markerfacecolor": face}
            styles.append({**dot, "label": f"{level}: {meaning}"})
    legend_below(ax, styles)


def _styles_of_one(fit: Any, quantity: str) -> list[dict[str, Any]]:
    what, colour = ("relative gap", PLAIN) if quantity == "gap" else ("dual objective", _DUAL)
    style: dict[str, Any] = {"color": colour, "label": what}
    if _estimated(fit):
        style |= {"linestyle": "--", "label": f"{what}, estimated"}
    return [style] if quantity == "gap" else [{"color": PLAIN, "label": "objective"}, style]
