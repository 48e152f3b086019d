"""What the scikit-learn estimators share: checks of data, coding of targets, predictions."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pyconvex.data import check_sample_weight
from pyconvex.device_estimators import (
    code_classes,
    exponential,
    labels_of,
    log_probabilities,
    space_of,
)
from pyconvex.fitted import Fit
from pyconvex.losses import Array
from pyconvex.namespaces import is_device_array
from pyconvex.program import Status

_PROBABILITIES = ("logistic", "softmax")  # losses that model class probabilities
# Parameters that go to `pyconvex.fit` as they are; beta, loss and warm_start do not.
_SETTINGS = (
    "model", "bias", "skip", "patterns", "tol", "certificate", "minimal", "standardize", "max_iter",
    "time_limit", "random_state", "n_threads", "backend", "device", "verbose",
)  # fmt: skip


class ConvexReLU(BaseEstimator):
    """An estimator around a fitted network: its settings, figures and raw outputs."""

    classes_: NDArray[Any]  # of classifiers

    def _settings(self) -> dict[str, Any]:
        """Return the keywords of `pyconvex.fit` that are parameters of every estimator."""
        return {name: getattr(self, name) for name in _SETTINGS}

    def _prepare(
        self, X: Any, y: Any, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array, Any, Array | None]:
        """Check the data; return X, the targets of the program, its loss and its weights."""
        raise NotImplementedError

    def _take(self, result: Fit) -> None:
        """Adopt a fit: its network makes the predictions from now on."""
        self.fit_ = result
        self.network_ = result.network
        self.n_neurons_ = result.network.n_neurons
        self.gap_ = result.gap
        self.objective_ = result.objective
        self.dual_objective_ = result.dual_objective
        self.lower_bound_ = result.lower_bound
        self.certificate_ = result.certificate
        self.status_ = result.status
        self.beta_ = result.beta
        self.n_iter_ = result.n_iter

    def _warn(self) -> None:
        """Warn, in the name of the caller of ``fit``, if the result is not optimal."""
        if self.status_ is not Status.OPTIMAL:
            warnings.warn(
                f"the fit ended with status {self.status_.value!r} at a relative gap of "
                f"{self.gap_:.1e}: raise max_iter, time_limit or tol, or scale the data "
                "(standardize=True)",
                ConvergenceWarning,
                stacklevel=3,
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def _output(self, X: ArrayLike) -> Array:
        """Return the network's raw output for checked X."""
        check_is_fitted(self, "network_")
        if is_device_array(X):
            validate_data(self, X, skip_check_array=True, reset=False)
            return self.network_.predict(X)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        return self.network_.predict(X)


class Regression(RegressorMixin, ConvexReLU):
    """An estimator of real targets, one or several per sample."""

    def predict(self, X: ArrayLike) -> Array:
        """Return the predicted targets.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data.

        Returns
        -------
        array, shape (n_samples,) or (n_samples, n_outputs)
            The network's output f(x); exp f(x) for ``loss="poisson"``, the expected count.
        """
        output = self._output(X)
        if name_of(self.loss) != "poisson":
            return output
        means: Array = exponential(output) if is_device_array(output) else np.exp(output)
        return means

    def _prepare(
        self, X: Any, y: Any, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array, Any, Array | None]:
        if is_device_array(X):
            space_of(X, y, sample_weight)
            validate_data(self, X, skip_check_array=True)
            weights: Any = sample_weight
            return X, y, self.loss, weights
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float64, multi_output=True, y_numeric=True
        )
        return X, np.asarray(y, np.float64), self.loss, check_sample_weight(sample_weight, len(y))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = name_of(self.loss) == "poisson"
        return tags


def _has_probabilities(estimator: Any) -> bool:
    if name_of(estimator.loss) not in _PROBABILITIES:
        raise AttributeError(
            f"loss={estimator.loss!r} does not model probabilities: pass loss='logistic', or use "
            "decision_function or CalibratedClassifierCV"
        )
    return True


class Classification(ClassifierMixin, ConvexReLU):
    """An estimator of labels.

    Two classes are coded by -1 and +1, more by one column each: 0 and 1 for softmax, -1 and +1
    for the other losses (one class against the rest).
    """

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the scores of the classes.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data.

        Returns
        -------
        array, shape (n_samples,) or (n_samples, n_classes)
            For two classes positive where ``classes_[1]`` is predicted. Under the logistic loss
            these are log-odds; for more classes logarithms of probabilities up to a constant.
        """
        output = self._output(X)
        if output.ndim == 2 and len(self.classes_) == 2:  # softmax of two classes
            output = output[:, 1] - output[:, 0]
        return output

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the predicted labels.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data.

        Returns
        -------
        array, shape (n_samples,)
            The class with the largest score.
        """
        scores = self.decision_function(X)
        if is_device_array(scores):
            on_device: NDArray[Any] = labels_of(self.classes_, scores)
            return on_device
        codes = np.argmax(scores, axis=1) if scores.ndim == 2 else (scores > 0.0).astype(np.intp)
        labels: NDArray[Any] = self.classes_[codes]
        return labels

    @available_if(_has_probabilities)
    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the probabilities of the classes (losses "logistic" and "softmax").

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data.

        Returns
        -------
        array, shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        scores = self.decision_function(X)
        if is_device_array(scores):
            probabilities: Array = exponential(log_probabilities(scores))
            return probabilities
        if scores.ndim == 1:
            return np.column_stack([expit(-scores), expit(scores)])
        probabilities = softmax(scores, axis=1)
        return probabilities

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Return the logarithms of `predict_proba`, exact also where those are tiny.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data.

        Returns
        -------
        array, shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        scores = self.decision_function(X)
        if is_device_array(scores):
            logarithms: Array = log_probabilities(scores)
            return logarithms
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        logarithms = log_softmax(scores, axis=1)
        return logarithms

    def _prepare(
        self, X: Any, y: Any, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array, Any, Array | None]:
        if is_device_array(X):
            space = space_of(X, y, sample_weight)
            validate_data(self, X, skip_check_array=True)
            if name_of(self.loss) == "softmax":
                raise ValueError(
                    "loss='softmax' is not available on device arrays: pass loss='logistic'"
                )
            self.classes_, on_device, all_weights = code_classes(
                space, y, sample_weight, self.class_weight
            )
            return X, on_device, self.loss, all_weights
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        check_classification_targets(y)
        weights = check_sample_weight(sample_weight, len(y))
        weights = _with_class_weight(self.class_weight, np.asarray(y), weights)
        self.classes_, codes = _classes(np.asarray(y), weights)
        targets, loss = _coded(codes, len(self.classes_), self.loss)
        return X, targets, loss, weights


def name_of(loss: Any) -> Any:
    """Return the name of a loss that may be an object of `pyconvex.losses`."""
    return getattr(loss, "name", loss)


def _with_class_weight(class_weight: Any, y: NDArray[Any], weights: Array | None) -> Array | None:
    """Multiply weights by those of the classes.

    "balanced": every class has the same total weight. Counts are sums of the sample weights, so
    that an integer weight equals that many copies of the row.
    """
    if class_weight is None:
        return weights
    ones = np.ones(len(y)) if weights is None else weights
    if isinstance(class_weight, str) and class_weight == "balanced":
        _, codes = np.unique(y, return_inverse=True)
        totals = np.bincount(codes, ones)
        shares = 1.0 / np.where(totals > 0.0, totals, 1.0)
        factors: Array = shares[codes] * (totals.sum() / np.count_nonzero(totals))
    else:
        factors = compute_sample_weight(class_weight, y)
    return check_sample_weight(ones * factors, len(y), "class_weight")


def _classes(y: NDArray[Any], weights: Array | None) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the classes of rows that count, and the number of each row's class."""
    classes = np.unique(y if weights is None else y[weights > 0.0])
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only among rows of positive weight, {classes[0]!r}: pass samples of "
            "at least two classes"
        )
    codes = np.searchsorted(classes, y)  # rows without weight get some number
    return classes, np.minimum(codes, len(classes) - 1)


def _coded(codes: NDArray[np.intp], n_classes: int, loss: Any) -> tuple[Array, Any]:
    """Return the targets of a classification, and the loss of the program."""
    softmax_loss = name_of(loss) == "softmax"
    if n_classes == 2 and not softmax_loss:
        return np.where(codes > 0, 1.0, -1.0), loss
    columns = np.asarray(codes[:, np.newaxis] == np.arange(n_classes), np.float64)
    if softmax_loss:
        return columns, loss
    return (columns, "softmax") if name_of(loss) == "logistic" else (2.0 * columns - 1.0, loss)
