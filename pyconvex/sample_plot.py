"""How samples look in pictures: a colour per class, or a colour scale."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvex.canvas import NEGATIVE, PLAIN, POSITIVE, shrink
from pyconvex.losses import Array

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes


class Look(NamedTuple):
    """How the samples look: colours, the upper of two classes, their labels, a colour scale."""

    colours: Array  # (n_samples, 4), RGBA
    upper: NDArray[np.bool_]  # (n_samples,)
    labels: tuple[str, ...]  # of the lower and the upper class
    scale: Any  # None where there is nothing to show in a colourbar

    @classmethod
    def of(cls, y: Array | None, n_samples: int) -> "Look":
        """Return two colours for two values of y, a colour scale for more."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        if y is None:
            return cls.plain(n_samples)
        values = np.unique(y)
        if len(values) == 2:
            labels = tuple(f"y = {value:g}" for value in values)
            return cls.of_classes(y == values[1], labels)
        scale = ScalarMappable(Normalize(values[0], values[-1]), "viridis")
        return cls(scale.to_rgba(y), np.full(n_samples, False), (), scale)

    @classmethod
    def plain(cls, n_samples: int) -> "Look":
        """Return one colour for all."""
        from matplotlib.colors import to_rgba

        colours = np.tile(to_rgba(PLAIN), (n_samples, 1))
        return cls(colours, np.full(n_samples, False), (), None)

    @classmethod
    def of_classes(cls, upper: NDArray[np.bool_], labels: tuple[str, ...]) -> "Look":
        """Return a colour for each of two classes."""
        from matplotlib.colors import to_rgba

        colours = np.where(upper[:, np.newaxis], to_rgba(POSITIVE), to_rgba(NEGATIVE))
        return cls(colours, upper, labels, None)

    @property
    def styles(self) -> list[dict[str, Any]]:
        """The legend's entries for classes."""
        return [
            {"label": label, "color": colour, "marker": marker, "linestyle": "none"}
            for label, colour, marker in zip(self.labels, (NEGATIVE, POSITIVE), "os", strict=False)
        ]


class Targets(NamedTuple):
    """Targets as numbers, how their samples look, and where two classes part."""

    values: Array | None  # (n_samples,)
    look: Look | None
    boundary: float | None


def draw_samples(
    ax: "Axes", points: Array, look: Look, *, size: float = 50.0, edge: str = "white"
) -> None:
    """Draw a point per sample, classes with marks of their own."""
    size *= shrink(len(points), 25)
    for mask, marker in ((~look.upper, "o"), (look.upper, "s")):
        if mask.any():
            ax.scatter(
                points[mask, 0], points[mask, 1], s=size, c=look.colours[mask], marker=marker,
                edgecolors=edge, linewidths=0.5, zorder=3,
            )  # fmt: skip


def window(X: Array) -> tuple[Array, float]:
    """Return centre and half the width of a square that holds the data with some margin."""
    low, high = X.min(axis=0), X.max(axis=0)
    half = 0.6 * float((high - low).max())
    return 0.5 * (low + high), half or 1.0
