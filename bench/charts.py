"""Pictures of a report: one call per chart, PNG files without a display."""

import contextlib

import numpy as np

OURS = "#c0392b"
COLOURS = {
    "pyconvex": OURS, "adelie": "#2c7fb8", "skglm": "#31a354", "celer": "#756bb1",
    "pyscnn": "#e6a117", "clarabel": "#7f7f7f", "Adam": "#2c7fb8", "L-BFGS": "#31a354",
    "sklearn MLP": "#756bb1", "HiGHS tree": "#2c7fb8", "numba": "#e6a117",
}  # fmt: skip


@contextlib.contextmanager
def chart(folder, name, rows=1, columns=1, size=(4.6, 3.4)):
    """Axes of a figure that is saved as a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shape = (size[0] * columns, size[1] * rows)
    figure, axes = plt.subplots(rows, columns, figsize=shape, squeeze=False, layout="constrained")
    yield list(axes.flat)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_visible(axis.has_data())
    figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
    plt.close(figure)


def curves(axis, series, title, x, y, floor=None):
    """Lines of (x, y) pairs by name, both axes logarithmic."""
    for name, points in series.items():
        points = np.array(points, dtype=float).reshape(-1, 2)
        points = points[np.isfinite(points).all(axis=1) & (points[:, 0] > 0)]
        if len(points):
            values = points[:, 1] if floor is None else np.maximum(points[:, 1], floor)
            line = {"color": COLOURS.get(name), "lw": 2.2 if name == "pyconvex" else 1.3}
            marker = {"marker": "o", "ms": 3} if len(points) < 40 else {}
            axis.loglog(points[:, 0], values, label=name, **line, **marker)
    axis.set(title=title, xlabel=x, ylabel=y)
    axis.grid(alpha=0.25)
    if axis.has_data():
        axis.legend(fontsize=7, frameon=False)


def laws(axis, series, title, x, y="CPU seconds"):
    """Measured points by label with the power laws fitted through them."""
    from matplotlib.ticker import NullFormatter

    for label, (sizes, seconds, slope) in series.items():
        (line,) = axis.loglog(sizes, seconds, "o", ms=4)
        middle = np.exp(np.mean(np.log(sizes))), np.exp(np.mean(np.log(seconds)))
        fitted = middle[1] * (np.array(sizes) / middle[0]) ** slope
        axis.loglog(sizes, fitted, color=line.get_color(), lw=1, label=f"{label}: {slope:.2f}")
    axis.set(title=title, xlabel=x, ylabel=y)
    axis.grid(alpha=0.25)
    if axis.has_data():
        axis.legend(fontsize=7, frameon=False, title="exponent", title_fontsize=7)
        axis.xaxis.set_minor_formatter(NullFormatter())  # they overlap on short axes


def bars(axis, groups, title, y, log=True):
    """Bars of {group: {name: value}}, one colour per name."""
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    width = 0.8 / max(len(names), 1)
    for k, name in enumerate(names):
        places = [i + (k - (len(names) - 1) / 2) * width for i in range(len(groups))]
        heights = [values.get(name) or np.nan for values in groups.values()]
        if np.isfinite(heights).any():
            axis.bar(places, heights, width, label=name, color=COLOURS.get(name))
    axis.set_xticks(range(len(groups)), list(groups), rotation=30, ha="right", fontsize=7)
    axis.set(title=title, ylabel=y)
    if log and axis.has_data():
        axis.set_yscale("log")
    if axis.has_data():
        axis.legend(fontsize=7, frameon=False)


def ratios(axis, values, title):
    """Horizontal bars of how many times ahead we are; the line is par."""
    names = list(values)[::-1]
    heights = [values[name] for name in names]
    colours = ["#2c7fb8" if value >= 1.0 else OURS for value in heights]
    axis.barh(names, heights, color=colours)
    axis.set_xscale("log")
    axis.axvline(1.0, color="black", lw=1)
    for i, value in enumerate(heights):
        axis.text(value, i, f" {value:.3g}", va="center", fontsize=7)
    axis.tick_params(axis="y", labelsize=7)
    axis.set(title=title, xlabel="rival / pyconvex (right of 1: pyconvex is ahead)")
