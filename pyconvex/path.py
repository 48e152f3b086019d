"""The regularisation path: one fit per weight decay, each warm started from the one before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.data import check_choice, check_targets
from pyconvex.fit import make_task, solve_any, start_of
from pyconvex.fitted import Fit
from pyconvex.grid import ROUNDED_UP, Grid, solve_along
from pyconvex.losses import Array, Loss, check_loss
from pyconvex.monitor import Monitor, Record
from pyconvex.namespaces import Space, is_device_array
from pyconvex.network import Network
from pyconvex.path_plot import plot_curve, plot_tracks
from pyconvex.patterns import PatternSet
from pyconvex.program import Status
from pyconvex.rows import check_rows

if TYPE_CHECKING:  # matplotlib is optional: only a call loads it
    from matplotlib.axes import Axes

_QUANTITIES = ("neurons", "objective", "coefficients", "validation")


@dataclass(frozen=True, eq=False)
class Path(Sequence[Fit]):
    """Fits along a grid of weight decays, from the largest to the smallest.

    An immutable sequence: ``len``, iteration and indexing give its fits, a slice gives a `Path`.

    Attributes
    ----------
    fits : tuple of Fit
        The points, each with its own certificate.
    status : Status
        "optimal" if every point is; "time_limit" or "interrupted" if that ended the path before
        its last point; else the status of the last point that is not optimal. Of a slice: the
        same, of its points alone.
    loss : object of pyconvex.losses
        What they minimise beside the weight decay.
    """

    fits: tuple[Fit, ...]
    status: Status
    loss: Loss

    @classmethod
    def of(cls, fits: Sequence[Fit], loss: Loss) -> "Path":
        """Return the path of some fits with the status that they give it."""
        others = [fit.status for fit in fits if fit.status is not Status.OPTIMAL]
        return cls(tuple(fits), others[-1] if others else Status.OPTIMAL, loss)

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    @overload
    def __getitem__(self, key: int) -> Fit: ...
    @overload
    def __getitem__(self, key: slice) -> "Path": ...
    def __getitem__(self, key: int | slice) -> "Fit | Path":
        return Path.of(self.fits[key], self.loss) if isinstance(key, slice) else self.fits[key]

    @property
    def betas(self) -> Array:
        """Weight decays, descending, shape (n_points,)."""
        return np.array([fit.beta for fit in self.fits])

    @property
    def objectives(self) -> Array:
        """Objectives, shape (n_points,)."""
        return np.array([fit.objective for fit in self.fits])

    @property
    def gaps(self) -> Array:
        """Relative gaps, shape (n_points,)."""
        return np.array([fit.gap for fit in self.fits])

    @property
    def n_neurons(self) -> NDArray[np.int64]:
        """Numbers of neurons, shape (n_points,)."""
        return np.array([fit.network.n_neurons for fit in self.fits], dtype=np.int64)

    def predict(self, X: ArrayLike) -> Array:
        """Return the outputs of all networks for each row of X.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data.

        Returns
        -------
        array, shape (n_points, n_samples) or (n_points, n_samples, n_outputs)

        Raises
        ------
        ValueError, TypeError
            If X is no finite real matrix with the networks' features.
        """
        if is_device_array(X):
            stacked: Array = Space.of(X).xp.stack([fit.predict(X) for fit in self.fits])
            return stacked
        rows = check_rows(X)
        shape = self.fits[0].predict(rows).shape if self.fits else (len(rows),)
        return np.array([fit.predict(rows) for fit in self.fits]).reshape(len(self), *shape)

    def plot(
        self,
        quantity: str = "neurons",
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        ax: Any = None,
    ) -> "Axes":
        """Draw a quantity over the weight decay, on a logarithmic axis.

        Parameters
        ----------
        quantity : {"neurons", "objective", "coefficients", "validation"}
            "neurons": their number. "objective". "coefficients": the penalised
            size of output weight times hidden weights of each neuron, followed from point to point
            by the nearest direction (gated networks: by the gate). "validation": the mean loss on
            ``X`` and ``y``, with a mark at its minimum.
        X : array, shape (n_samples, n_features), optional
            Data for "validation".
        y : array, shape (n_samples,) or (n_samples, n_outputs), optional
            Their targets.
        ax : matplotlib Axes, optional
            Where to draw. Default: a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError, TypeError
            If an argument is wrong; the message names it.
        ImportError
            If matplotlib is missing.
        """
        check_choice(quantity, "quantity", _QUANTITIES)
        if quantity == "coefficients":
            return plot_tracks(self.betas, [fit.network for fit in self.fits], ax)
        if quantity == "neurons":
            return plot_curve(self.betas, self.n_neurons, "number of neurons", ax, steps=True)
        if quantity == "objective":
            return plot_curve(self.betas, self.objectives, "objective", ax)
        if X is None or y is None:
            raise ValueError("quantity='validation' needs X and y: pass data held out")
        return plot_curve(self.betas, self._losses(X, y), "validation loss", ax, lowest=True)

    def _losses(self, X: ArrayLike, y: ArrayLike) -> Array:
        """Return the mean loss of each network, (n_points,)."""
        rows = check_rows(X)
        targets, predictions = check_targets(y, len(rows)), self.predict(rows)
        if self.fits and predictions.shape[1:] != targets.shape:
            raise ValueError(f"y has shape {targets.shape}, not {predictions.shape[1:]}")
        self.loss.check_targets(targets, intercept=False)
        return np.array([self.loss.losses(f, targets).sum() / len(rows) for f in predictions])

    def __repr__(self) -> str:
        if not self.fits:
            return f"Path({self.status.value}: 0 points)"
        few, many = self.n_neurons.min(), self.n_neurons.max()
        levels = [level for level in ("global", "restricted", "local") if level in self._levels]
        return (
            f"Path({self.status.value}: {len(self)} points, beta={self.betas[0]:.4g} to "
            f"{self.betas[-1]:.4g}, gap<={self.gaps.max():.1e} ({', '.join(levels)}), "
            f"n_neurons={few} to {many}, seconds={sum(fit.seconds for fit in self.fits):.2f})"
        )

    @property
    def _levels(self) -> set[str]:
        return {fit.certificate for fit in self.fits}


def path(
    X: ArrayLike,
    y: ArrayLike,
    *,
    betas: ArrayLike | None = None,
    n_betas: int = 100,
    beta_min_ratio: float = 0.01,
    model: str = "relu",
    loss: str | Loss = "squared",
    bias: str = "free",
    skip: str = "none",
    patterns: str | int | PatternSet = "auto",
    tol: float = 1e-6,
    certificate: str = "auto",
    sample_weight: ArrayLike | None = None,
    standardize: bool = False,
    warm_start: Fit | Network | None = None,
    minimal: bool = False,
    max_iter: int = 1000,
    time_limit: float | None = None,
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
    device: Any = None,
    callback: Callable[[Record], Any] | None = None,
    until: Callable[[Fit], Any] | None = None,
    verbose: bool = False,
) -> Path:
    """Train networks along a grid of weight decays, from strong to weak.

    The data are checked and patterns enumerated or drawn once; each point starts from the neurons
    of the one before, and has its own certificate.

    Parameters
    ----------
    X : array or sparse matrix, shape (n_samples, n_features)
        Data, also sparse as in `fit`. Weight decay depends on the scale of the features: see
        ``standardize``.
    y : array, shape (n_samples,)
        Targets.
    betas : array, shape (n_points,), optional
        Weight decays, > 0, taken in descending order. Default: a geometric grid of ``n_betas``
        from `beta_max` down to ``beta_min_ratio`` times that.
    n_betas : int
        Points of the default grid.
    beta_min_ratio : float
        Its smallest weight decay over its largest, between 0 and 1.
    model, loss, bias, skip, patterns, tol, certificate, sample_weight, standardize
        As in `fit`, for each point.
    minimal, max_iter
        As in `fit`, for each point.
    warm_start : Fit or Network, optional
        Where the first point starts.
    time_limit : float, optional
        Limit in seconds for the whole path. After it, as after Ctrl-C and a callback's True, the
        path ends with the points solved so far; an unfinished one is left out unless it is the
        first.
    callback : callable, optional
        Called with each `Record` of each point; returning True ends the path.
    until : callable, optional
        Called with each `Fit` once it is solved; returning True makes it the last one. For early
        stopping, as by a score on data held out.
    verbose : bool
        Show a progress bar over the points.
    random_state, n_threads, backend, device
        As in `fit`, for the whole path.

    Returns
    -------
    Path

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> X = np.linspace(-1, 1, 21).reshape(-1, 1)
    >>> path = pyconvex.path(X, np.abs(X[:, 0]), n_betas=5, random_state=0)
    >>> path.n_neurons
    array([0, 2, 2, 2, 2])
    >>> path.status.value, path[-1].certificate
    ('optimal', 'global')
    """
    grid = Grid.of(betas, n_betas, beta_min_ratio)
    with Monitor(max_iter, time_limit, callback, verbose, grid.n_points) as monitor:
        task = make_task(
            X, y, 1.0, model, loss, bias, skip, patterns, tol, certificate, sample_weight,
            standardize, random_state, n_threads, backend, device,
        )  # fmt: skip

        def solve(beta: float, state: Any) -> tuple[Fit, Any]:
            return solve_any(task.at(beta), state, minimal, monitor)

        start = start_of(task, warm_start)
        betas = grid.betas(lambda: task.beta_max() * ROUNDED_UP)
        fits, ended = solve_along(betas, solve, start, monitor, until)
        found = Path.of(fits, check_loss(loss))
        return replace(found, status=ended) if ended else found
