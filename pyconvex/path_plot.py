"""Pictures of regularisation paths: curves over the weight decay, and neurons followed along it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pyconvex.losses import Array
from pyconvex.network import Network

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_NEGATIVE, _POSITIVE, _PLAIN = "#0072B2", "#D55E00", "#444444"  # as in plot_arrangement
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
    axes = _axes(ax)
    style = "steps-mid" if steps else "default"
    axes.plot(betas, values, ".-", color=_PLAIN, drawstyle=style, linewidth=1.2, markersize=4.0)
    if lowest and len(values):
        best = int(np.argmin(values))
        name = f"lowest: {values[best]:.4g} at beta = {betas[best]:.3g}"
        axes.plot(betas[best], values[best], "o", color=_POSITIVE, label=name)
        axes.legend(frameon=False)
    axes.set_ylabel(label)
    return axes


def plot_tracks(betas: Array, networks: Sequence[Network], ax: Any) -> "Axes":
    """Draw the penalised norm of each neuron over the weight decay."""
    axes = _axes(ax)
    for positive, points, norms in tracks(networks):
        colour, line = (_POSITIVE, "-") if positive else (_NEGATIVE, "--")
        axes.plot(betas[points], norms, color=colour, linestyle=line, linewidth=1.2, alpha=0.8)
    for colour, line, sign in ((_POSITIVE, "-", ">"), (_NEGATIVE, "--", "<")):
        axes.plot([], [], color=colour, linestyle=line, label=f"output weight {sign} 0")
    axes.legend(frameon=False)
    axes.set_ylabel(r"penalised norm $|\alpha_j|\,\|w_j\|$")
    return axes


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


def _axes(ax: Any) -> "Axes":
    """Return the axes to draw on, with a logarithmic axis of weight decays."""
    try:
        from matplotlib import pyplot
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError('Path.plot needs matplotlib: pip install "pyconvex[plot]"') from error
    if ax is None:
        ax = pyplot.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes, got {type(ax).__name__}")
    ax.set_xscale("log")
    ax.set_xlabel(r"weight decay $\beta$")
    return ax
