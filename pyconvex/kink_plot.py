"""Kinks of neurons: the points or lines where they switch, as drawn in pictures of features."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyconvex.canvas import NEGATIVE, POSITIVE, shrink
from pyconvex.losses import Array
from pyconvex.network import Network

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Kinks:
    """Kinks {x : normal . x = offset} of k neurons, active where normal . x >= offset."""

    normals: Array  # (k, n_features), unit vectors
    offsets: Array  # (k,)
    positive: NDArray[np.bool_]  # (k,), sign of the output weight
    sizes: Array  # (k,), |output weight| * ||hidden weights||, the largest is 1

    @classmethod
    def of(cls, network: Network, output: int = 0) -> "Kinks":
        """Return the kinks of all neurons that have one and that an output depends on."""
        weights, bias = network.gates, network.gate_bias
        if weights is None or bias is None:
            weights, bias = network.hidden_weights, network.hidden_bias
        heights = network.output_weights
        heights = heights if heights.ndim == 1 else heights[:, output]
        norms = np.linalg.norm(weights, axis=1)
        kept = np.flatnonzero((norms > 0.0) & (heights != 0.0))
        sizes = np.abs(heights[kept]) * np.linalg.norm(network.hidden_weights[kept], axis=1)
        with np.errstate(over="ignore"):  # an infinite offset is drawn at the border or not at all
            offsets = -bias[kept] / norms[kept]
        return cls(
            normals=weights[kept] / norms[kept, np.newaxis],
            offsets=offsets,
            positive=heights[kept] > 0.0,
            sizes=sizes / sizes.max(initial=np.finfo(float).tiny),
        )

    @classmethod
    def none(cls, n_features: int) -> "Kinks":
        """Return no kinks."""
        nothing = np.zeros(0)
        return cls(np.zeros((0, n_features)), nothing, np.zeros(0, np.bool_), nothing)

    def __len__(self) -> int:
        return len(self.offsets)

    def take(self, index: NDArray[Any]) -> "Kinks":
        """Return some of the kinks."""
        return Kinks(
            self.normals[index], self.offsets[index], self.positive[index], self.sizes[index]
        )

    def largest(self, count: int) -> "Kinks":
        """Return the ``count`` largest ones."""
        return self.take(np.sort(np.argsort(-self.sizes, kind="stable")[:count]))

    @property
    def colours(self) -> NDArray[np.str_]:
        """A colour per sign."""
        return np.where(self.positive, POSITIVE, NEGATIVE)


def clip(kinks: Kinks, centre: Array, half: Array) -> tuple[NDArray[np.intp], Array]:
    """Return the lines that cross a window (k,) and the ends of what is in it (k, 2, 2).

    The window is centre +- half in each of two features.
    """
    normals = kinks.normals
    reach = 1.5 * float(np.linalg.norm(half))  # farther than its corners
    distance = np.clip(kinks.offsets - normals @ centre, -reach, reach)
    feet = normals * distance[:, np.newaxis]
    along = np.stack([-normals[:, 1], normals[:, 0]], axis=1)
    steps = np.where(along == 0.0, 1e-16, along)  # parallel to a side: meets it far away
    meets = np.sort(np.stack([(-half - feet) / steps, (half - feet) / steps]), axis=0)
    enter, leave = meets[0].max(axis=1), meets[1].min(axis=1)
    seen = np.flatnonzero(enter < leave)
    t = np.stack([enter, leave], axis=1)[seen, :, np.newaxis]
    return seen, centre + feet[seen, np.newaxis] + t * along[seen, np.newaxis]


def draw_lines(
    ax: "Axes", kinks: Kinks, ends: Array, colours: Any, width: float, zorder: float = 2.0
) -> None:
    """Draw lines from end to end: dashed ones of negative neurons, wide ones of large neurons."""
    from matplotlib.collections import LineCollection

    ax.add_collection(
        LineCollection(
            list(ends), colors=colours, linewidths=width * (0.8 + 2.2 * kinks.sizes),
            linestyles=["solid" if sign else "dashed" for sign in kinks.positive], alpha=0.8,
            zorder=zorder,
        ),
        autolim=False,
    )  # fmt: skip


def draw_arrows(ax: "Axes", kinks: Kinks, ends: Array, colours: Any, size: float) -> None:
    """Draw an arrow from each line to its active side."""
    tails = 0.12 * ends[:, 0] + 0.88 * ends[:, 1]  # near the frame, where lines are far apart
    ax.quiver(
        *tails.T, *kinks.normals.T, color=colours, angles="xy", units="inches",
        scale_units="inches", scale=5.0 / size, width=0.02 * size, headwidth=5.0, zorder=2,
    )  # fmt: skip


def draw_points(ax: "Axes", kinks: Kinks, places: Array, heights: Array) -> None:
    """Draw a dot per neuron with a plus or a minus."""
    size = shrink(len(kinks), 36)
    ax.scatter(
        places, heights, c=list(kinks.colours), s=size * (40.0 + 60.0 * kinks.sizes),
        edgecolors="white", linewidths=0.8, zorder=4,
    )  # fmt: skip
    draw_signs(ax, kinks, places, heights, size)


def draw_signs(ax: "Axes", kinks: Kinks, places: Array, heights: Array, size: float) -> None:
    """Draw a white plus or minus per neuron, on the border too."""
    for sign, marker in ((kinks.positive, "+"), (~kinks.positive, "_")):
        ax.scatter(
            places[sign], heights[sign], c="white", s=25.0 * size, marker=marker,
            linewidths=1.2 * size, clip_on=False, zorder=5,
        )  # fmt: skip


def sign_styles(
    kinks: Kinks, colours: tuple[str, str] = (NEGATIVE, POSITIVE), *, dots: bool = False
) -> list[dict[str, Any]]:
    """Return the legend's entries for the signs that occur."""
    styles: list[dict[str, Any]] = []
    for sign, colour, line, label in (
        (~kinks.positive, colours[0], "dashed", "output weight < 0"),
        (kinks.positive, colours[1], "solid", "output weight > 0"),
    ):
        if sign.any():
            style: dict[str, Any] = {"label": label, "color": colour}
            if dots:
                styles.append({**style, "marker": "o", "linestyle": "none"})
            else:
                styles.append({**style, "linestyle": line, "linewidth": 2.0})
    return styles
