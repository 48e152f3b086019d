"""The weight decay by cross-validation: a path per fold, a path of all data, a fit."""

import warnings
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed

from pyconvex.data import check_choice, check_int, check_random_state
from pyconvex.estimator_base import ConvexReLU
from pyconvex.fit import beta_max, fit
from pyconvex.fitted import Fit
from pyconvex.grid import Grid
from pyconvex.losses import Array, check_loss
from pyconvex.namespaces import is_device_array
from pyconvex.path import Path, path
from pyconvex.patterns import PatternSet
from pyconvex.program import Status
from pyconvex.rows import Rows, check_rows, with_ones

Estimator = TypeVar("Estimator", bound="CrossValidated")
_OF_BETA_MAX = (
    "model", "bias", "skip", "patterns", "standardize", "n_threads", "backend", "device",
)  # fmt: skip


class CrossValidated(ConvexReLU):
    """An estimator that is trained by a path per fold, a path of all data and a fit."""

    def fit(
        self: Estimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Estimator:
        """Choose the weight decay, then train the network on all data.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data; sparse as in `pyconvex.fit`.
        y : array, shape (n_samples,) or (n_samples, n_outputs)
            Targets; labels for a classifier.
        sample_weight : array, shape (n_samples,), optional
            Relative weights, >= 0, for training and in the default score. Scorers that are passed
            as ``scoring`` do not get them.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is wrong; the message names it.
        """
        if is_device_array(X):
            raise ValueError(
                "cross-validation splits NumPy arrays: pass X and y as such and device=... to "
                "compute elsewhere"
            )
        check_choice(self.selection, "selection", ("best", "one_std_error"))
        if self.patience is not None:
            check_int(self.patience, "patience")
        grid = Grid.of(self.betas, self.n_betas, self.beta_min_ratio)
        data = self._prepare(X, y, sample_weight)
        labels = np.asarray(y).ravel() if is_classifier(self) else data[1]
        settings = self._settings() | {"random_state": self._seed()}
        self.betas_ = grid.betas(lambda: _beta_max(data, settings))
        rows = data[0], labels, sample_weight
        self._cross_validate(rows, settings)
        self.best_index_ = _choose(self.scores_, self.selection)
        self._refit(data, settings)
        self._warn()
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags

    def _seed(self) -> int:
        """Return one seed for all paths: gates that are drawn are the same everywhere."""
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).integers(2**31))

    def _cross_validate(self, rows: Any, settings: dict[str, Any]) -> None:
        """Solve a path per fold and score its points on the rows left out."""
        X, y, _ = rows
        scorer = check_scoring(self, scoring=self.scoring)
        splits = check_cv(self.cv, y, classifier=is_classifier(self)).split(X, y)
        results = Parallel(n_jobs=self.n_jobs)(
            delayed(_fold_scores)(clone(self), rows, fold, self.betas_, scorer, settings)
            for fold in splits
        )
        self.scores_ = np.column_stack([scores for scores, _ in results])
        self.mean_scores_ = self.scores_.mean(axis=1)
        n_ended = sum(not optimal for _, optimal in results)
        if n_ended:
            warnings.warn(
                f"{n_ended} of {len(results)} paths of the cross-validation have points that did "
                f"not reach path_tol={self.path_tol}: raise path_tol, max_iter or time_limit",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _refit(self, data: Any, settings: dict[str, Any]) -> None:
        """Follow the path of all data to the chosen weight decay, where it is solved to tol."""
        X, targets, loss, weights = data
        *before, beta = self.betas_[: self.best_index_ + 1]
        common = settings | {"loss": loss, "sample_weight": weights}
        points: list[Any] = []
        if before:
            quick = {"betas": before, "tol": self.path_tol, "certificate": "local"}
            found = path(X, targets, **common | quick)
            if found.status is Status.INTERRUPTED:
                raise KeyboardInterrupt
            points = list(found)
        start = points[-1] if points else None
        self._take(fit(X, targets, beta=float(beta), warm_start=start, **common))
        self.path_ = Path.of([*points, self.fit_], check_loss(loss))


def _beta_max(data: Any, settings: dict[str, Any]) -> float:
    X, targets, loss, weights = data
    some = {name: settings[name] for name in _OF_BETA_MAX}
    return beta_max(X, targets, loss=loss, sample_weight=weights, **some)


def _fold_scores(
    model: Any, rows: Any, fold: Any, betas: Array, scorer: Any, settings: dict[str, Any]
) -> tuple[Array, bool]:
    """Return the scores at each beta, nan where a limit came first; and if all are optimal."""
    (X, y, weights), (train, test) = rows, fold
    weights = None if weights is None else np.asarray(weights)
    inside = None if weights is None else weights[train]
    X_train, targets, loss, inside = model._prepare(X[train], y[train], inside)
    quick = {"tol": model.path_tol, "certificate": "local", "minimal": False, "verbose": False}
    quick["patterns"] = _patterns_of(train, X, settings)
    weighted = {}
    if weights is not None and model.scoring is None:
        weighted["sample_weight"] = weights[test]
    scores: list[float] = []

    def enough(point: Fit) -> bool:
        model._take(point)
        scores.append(scorer(model, X[test], y[test], **weighted))
        return _is_past_best(scores, model.patience)

    points = path(
        X_train, targets, betas=betas, loss=loss, sample_weight=inside, until=enough,
        **settings | quick,
    )  # fmt: skip
    if points.status is Status.INTERRUPTED:  # no weight decay can be chosen from half the scores
        raise KeyboardInterrupt
    missing = np.full(len(betas) - len(scores), np.nan)
    return np.concatenate([scores, missing]), points.status is Status.OPTIMAL


def _is_past_best(scores: list[float], patience: int | None) -> bool:
    """Tell whether the last ``patience`` scores are no better than one before them.

    Not while no score is better than the first, of (nearly) constant predictions: weak weight decay
    may be the first to show anything.
    """
    if patience is None or len(scores) <= patience:
        return False
    before = max(scores[:-patience])
    return before > scores[0] and max(scores[-patience:]) <= before


def _patterns_of(rows: NDArray[np.intp], X: Rows, settings: dict[str, Any]) -> Any:
    """Return given patterns of all samples as patterns of some of them."""
    patterns = settings["patterns"]
    if not isinstance(patterns, PatternSet):
        return patterns
    if settings["model"] != "gated_relu" or patterns.gates is None:
        return PatternSet.from_dense(patterns.to_dense()[:, rows])
    data = check_rows(X[rows])
    if settings["bias"] != "none":
        data = with_ones(data)
    return PatternSet.from_gates(data, patterns.gates)


def _choose(scores: Array, selection: str) -> int:
    """Return the best row of scores (n_betas, n_folds); of equals the first, the simplest."""
    means = scores.mean(axis=1)
    if np.isnan(means).all():
        raise ValueError(
            "scoring gave nan on some fold for every beta: pass another scoring (R^2 needs two "
            "samples per fold), or a longer time_limit"
        )
    best = int(np.nanargmax(means))
    if selection == "best":
        return best
    error = scores[best].std(ddof=1) / np.sqrt(scores.shape[1]) if scores.shape[1] > 1 else 0.0
    return int(np.flatnonzero(means >= means[best] - error)[0])
