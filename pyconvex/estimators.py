"""scikit-learn estimators: networks trained to optimality by `pyconvex.fit`."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.estimator_base import Classification, ConvexReLU, Regression
from pyconvex.fit import fit
from pyconvex.namespaces import to_host
from pyconvex.patterns import PatternSet


def _changed(classes: Any, found: Any) -> bool:
    """Tell whether the classes of two fits differ."""
    if classes is None:
        return False
    return not np.array_equal(to_host(classes), to_host(found))


Estimator = TypeVar("Estimator", bound="_OneFit")


class _OneFit(ConvexReLU):
    """An estimator that is trained by one call of `pyconvex.fit`."""

    def fit(
        self: Estimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Estimator:
        """Train the network.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data; sparse as in `pyconvex.fit`. Arrays of another library than NumPy (torch, CuPy)
            stay on their device, with or without scikit-learn's ``array_api_dispatch``, and so do
            predictions.
        y : array, shape (n_samples,) or (n_samples, n_outputs)
            Targets; labels for a classifier.
        sample_weight : array, shape (n_samples,), optional
            Relative weights, >= 0: an integer weight equals that many copies of the row.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is wrong; the message names it.
        """
        before = self.fit_ if self.warm_start and hasattr(self, "fit_") else None
        classes: Any = getattr(self, "classes_", None)
        X, targets, loss, weights = self._prepare(X, y, sample_weight)
        if before is not None and _changed(classes, getattr(self, "classes_", classes)):
            found, self.classes_ = self.classes_, classes
            raise ValueError(
                f"warm_start=True needs the classes of the previous fit, {classes}, got {found}: "
                "pass warm_start=False"
            )
        result = fit(
            X, targets, beta=self.beta, loss=loss, sample_weight=weights, warm_start=before,
            **self._settings(),
        )  # fmt: skip
        self._take(result)
        self._warn()
        return self


class ConvexReLURegressor(Regression, _OneFit):
    """Regression by a two-layer ReLU network that is trained to optimality.

    Parameters
    ----------
    beta : float, optional
        Weight decay, > 0. Default: 0.01 `pyconvex.beta_max`.
    model : {"relu", "gated_relu"}
        As in `pyconvex.fit`.
    loss : str or object of pyconvex.losses
        As in `pyconvex.fit`: "squared" by default. "poisson" models the logarithm of a count;
        then `predict` returns the count. The other losses predict the network's output, e.g. the
        quantile.
    bias, skip, patterns, tol, certificate, minimal, standardize, max_iter, time_limit
        As in `pyconvex.fit`.
    random_state, n_threads, backend, device, verbose
        As in `pyconvex.fit`.
    warm_start : bool
        Start from the network of the previous call of ``fit``. Neurons whose patterns are not
        drawn again are lost: pass ``random_state`` where patterns are drawn.

    Attributes
    ----------
    fit_ : pyconvex.Fit
        The result with all its figures.
    network_ : pyconvex.Network
        The weights, in units of X.
    n_neurons_ : int
        Number of hidden neurons.
    objective_, dual_objective_, lower_bound_, gap_, certificate_, status_, beta_, n_iter_
        As in `pyconvex.Fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array, shape (n_features_in_,)
        Their names, where X has names that are strings.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the gap did not reach ``tol``.

    See Also
    --------
    ConvexReLURegressorCV : Chooses the weight decay by cross-validation.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex import ConvexReLURegressor
    >>> X = np.linspace(-1, 1, 21).reshape(-1, 1)
    >>> model = ConvexReLURegressor(beta=1e-3, random_state=0).fit(X, np.abs(X[:, 0]))
    >>> model.n_neurons_, model.certificate_
    (2, 'global')
    """

    def __init__(
        self,
        *,
        beta: float | None = None,
        model: str = "relu",
        loss: Any = "squared",
        bias: str = "free",
        skip: str = "none",
        patterns: str | int | PatternSet = "auto",
        tol: float = 1e-6,
        certificate: str = "auto",
        minimal: bool = False,
        standardize: bool = False,
        max_iter: int = 1000,
        time_limit: float | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        backend: str = "auto",
        device: Any = None,
        verbose: bool = False,
        warm_start: bool = False,
    ) -> None:
        self.beta = beta
        self.model = model
        self.loss = loss
        self.bias = bias
        self.skip = skip
        self.patterns = patterns
        self.tol = tol
        self.certificate = certificate
        self.minimal = minimal
        self.standardize = standardize
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_threads = n_threads
        self.backend = backend
        self.device = device
        self.verbose = verbose
        self.warm_start = warm_start


class ConvexReLUClassifier(Classification, _OneFit):
    """Classification by a two-layer ReLU network that is trained to optimality.

    Parameters
    ----------
    beta, model, bias, skip, patterns, tol, certificate, minimal, standardize, max_iter, time_limit
        As in `ConvexReLURegressor`.
    loss : {"logistic", "softmax", "hinge", "squared_hinge", "squared"} or object
        "logistic": the log loss, for more than two classes that of the softmax. The others treat
        more than two classes one against the rest, in one network whose neurons they share.
        Probabilities need "logistic" or "softmax".
    random_state, n_threads, backend, device, verbose, warm_start
        As in `ConvexReLURegressor`.
    class_weight : "balanced", dict or None
        Factors of the sample weights by label. "balanced": all classes have the same total weight.

    Attributes
    ----------
    classes_ : array, shape (n_classes,)
        The labels, sorted; those of rows without weight are left out.
    fit_, network_, n_neurons_, objective_, dual_objective_, lower_bound_, gap_, certificate_
        As in `ConvexReLURegressor`.
    status_, beta_, n_iter_, n_features_in_, feature_names_in_
        As in `ConvexReLURegressor`.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the gap did not reach ``tol``.

    See Also
    --------
    ConvexReLUClassifierCV : Chooses the weight decay by cross-validation.

    Examples
    --------
    >>> from pyconvex import ConvexReLUClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
    >>> model = ConvexReLUClassifier(loss="squared", beta=1e-3, random_state=0).fit(X, y)
    >>> model.predict(X).tolist()
    ['even', 'odd', 'odd', 'even']
    """

    def __init__(
        self,
        *,
        beta: float | None = None,
        model: str = "relu",
        loss: Any = "logistic",
        bias: str = "free",
        skip: str = "none",
        patterns: str | int | PatternSet = "auto",
        tol: float = 1e-6,
        certificate: str = "auto",
        minimal: bool = False,
        standardize: bool = False,
        max_iter: int = 1000,
        time_limit: float | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        backend: str = "auto",
        device: Any = None,
        verbose: bool = False,
        warm_start: bool = False,
        class_weight: Any = None,
    ) -> None:
        self.beta = beta
        self.model = model
        self.loss = loss
        self.bias = bias
        self.skip = skip
        self.patterns = patterns
        self.tol = tol
        self.certificate = certificate
        self.minimal = minimal
        self.standardize = standardize
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_threads = n_threads
        self.backend = backend
        self.device = device
        self.verbose = verbose
        self.warm_start = warm_start
        self.class_weight = class_weight
