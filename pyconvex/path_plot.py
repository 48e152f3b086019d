"""Pictures of regularisation paths: curves over the weight decay, and neurons followed along it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pyconvex.canvas import NEGATIVE, PLAIN, POSITIVE, axes, need_matplotlib
from pyconvex.losses import Array
from pyconvex.network import Network

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_SHORT = 200.0  # up to this ratio powers of ten alone would leave an axis almost without numbers
_NEAREST = 0.9  # least cosine between two directions that count as one neuron


class Track(NamedTuple):
    """One neuron along the path: its sign, the points it is seen at, its norms there."""

    positive: bool
    points: list[int]
    norms: list[float]

    @classmethod
    def starting(cls, positive: Any, k: int) -> "Track":
        """Return the track of a neuron that point k has and the one before has not."""
        return cls(bool(positive), [k - 1], [0.0]) if k else cls(bool(positive), [], [])

    def add(self, k: int, norm: float) -> None:
        """Go on to point k."""
        self.points.append(k)
        self.norms.append(float(norm))


def plot_curve(
    betas: Array,
    values: NDArray[Any],
    label: str,
    ax: Any,
    *,
    steps: bool = False,
    lowest: bool = False,
) -> "Axes":
    """Draw one value per weight decay, with a mark at the lowest if asked."""
    drawn = _axes(ax, betas)
    style = "steps-mid" if steps else "default"
    drawn.plot(betas, values, ".-", color=PLAIN, drawstyle=style, linewidth=1.2, markersize=4.0)
    if lowest and len(values):
        best = int(np.argmin(values))
        name = f"lowest: {values[best]:.4g} at beta = {betas[best]:.3g}"
        drawn.plot(betas[best], values[best], "o", color=POSITIVE, label=name)
        drawn.legend(frameon=False)
    if steps:  # these are numbers of something
        drawn.locator_params(axis="y", integer=True)
    drawn.set_ylabel(label)
    return drawn


def plot_tracks(betas: Array, networks: Sequence[Network], ax: Any) -> "Axes":
    """Draw the penalised norm of each neuron over the weight decay."""
    drawn = _axes(ax, betas)
    found = tracks(networks)
    largest = max((max(track.norms) for track in found), default=0.0) or 1.0
    for positive, points, norms in found:
        colour, line = (POSITIVE, "-") if positive else (NEGATIVE, "--")
        weight = (
            max(norms) / largest
        ) ** 0.5  # small neurons are many: they stay in the background
        drawn.plot(
            betas[points], norms, color=colour, linestyle=line,
            linewidth=0.5 + weight, alpha=0.3 + 0.6 * weight,
        )  # fmt: skip
    for colour, line, sign in ((POSITIVE, "-", ">"), (NEGATIVE, "--", "<")):
        drawn.plot([], [], color=colour, linestyle=line, label=f"output weight {sign} 0")
    drawn.legend(frameon=False)
    drawn.set_ylabel(r"penalised norm $|\alpha_j|\,\|w_j\|$")
    return drawn


def tracks(networks: Sequence[Network]) -> list[Track]:
    """Follow neurons from network to network.

    A neuron goes on as the one of its sign with the nearest direction, if that is near at all.
    Tracks start and end at norm 0, one network before and after, where there is one.
    """
    done: list[Track] = []
    alive: list[Track] = []
    before = np.zeros((0, 0))
    for k, network in enumerate(networks):
        directions, norms = _directions(network), network.output_weights**2  # balanced
        ancestors = _ancestors(before, directions)
        for j in set(range(len(alive))).difference(ancestors):
            alive[j].add(k, 0.0)
            done.append(alive[j])
        alive = [
            alive[j] if j >= 0 else Track.starting(network.output_weights[i] > 0.0, k)
            for i, j in enumerate(ancestors)
        ]
        for track, norm in zip(alive, norms, strict=True):
            track.add(k, norm)
        before = directions
    return done + alive


def _directions(network: Network) -> Array:
    """Return what tells neurons apart, as unit vectors (m, n_features + 2); the sign comes last."""
    weights, bias = network.gates, network.gate_bias
    if weights is None or bias is None:
        weights, bias = network.hidden_weights, network.hidden_bias
    vectors = np.column_stack([weights, bias])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.column_stack([vectors, np.sign(network.output_weights)])


def _ancestors(before: Array, now: Array) -> list[int]:
    """Return for each neuron the index of the one before that it continues, -1 for none."""
    ancestors = [-1] * len(now)
    if len(before) and len(now):
        cosines = now[:, :-1] @ before[:, :-1].T
        cosines[now[:, -1:] != before[:, -1]] = 0.0
        cosines[cosines < _NEAREST] = 0.0  # else far ones would spoil the matching of near ones
        for i, j in zip(*linear_sum_assignment(-cosines), strict=True):
            if cosines[i, j] > 0.0:
                ancestors[i] = int(j)
    return ancestors


def _axes(given: Any, betas: Array) -> "Axes":
    """Return the axes to draw on, with a logarithmic axis of weight decays."""
    need_matplotlib("Path.plot")
    from matplotlib.ticker import LogLocator

    ax = axes(given)
    ax.set_xscale("log")
    ax.set_xlabel(r"weight decay $\beta$")
    if len(betas) and betas.max() <= _SHORT * betas.min():
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        ax.xaxis.set_minor_formatter("{x:g}")
    return ax
