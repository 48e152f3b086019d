"""scikit-learn estimators that choose the weight decay by cross-validation."""

from typing import Any

from numpy.typing import ArrayLike

from pyconvex.cross_validation import CrossValidated
from pyconvex.estimator_base import Classification, Regression
from pyconvex.patterns import PatternSet


class ConvexReLURegressorCV(Regression, CrossValidated):
    """Regression by a two-layer ReLU network, with the weight decay from cross-validation.

    Each fold solves a warm-started path along one grid of weight decays, quickly: to ``path_tol``,
    with local certificates. The network is then trained on all data at the weight decay chosen, to
    ``tol`` and with ``certificate``.

    Parameters
    ----------
    betas : array, shape (n_betas,), optional
        Weight decays, > 0. Default: a geometric grid of ``n_betas`` from `pyconvex.beta_max` of
        all data down to ``beta_min_ratio`` times that.
    n_betas : int
        Points of the default grid.
    beta_min_ratio : float
        Its smallest weight decay over its largest.
    cv : int, splitter, iterable of (train, test) or None
        As in scikit-learn: None is 5 folds, stratified for classifiers. For groups pass the
        splits: ``list(GroupKFold().split(X, y, groups))``.
    scoring : str, callable or None
        As in scikit-learn, larger is better; None is R^2, for classifiers the accuracy. Accuracies
        have ties, of which the largest weight decay wins: with probabilities "neg_log_loss" tells
        more.
    selection : {"best", "one_std_error"}
        "best": the best mean score. "one_std_error": the largest weight decay whose mean score
        is within one standard error of that, a simpler network.
    patience : int, optional
        A fold's path ends after so many weight decays without a better score there, once one was
        better than the first; those after it have the score nan and are not chosen. Saves the
        longest solves, those that overfit; too small a number misses scores that fall and rise
        again, as on small or categorical data. None: all are solved.
    path_tol : float
        Relative gap of the paths. At 1e-3 outputs are within sqrt(0.002 objective) of the optimal
        ones in the mean square, little beside the noise of a score.
    n_jobs : int, optional
        Folds solved at once, as in joblib.
    model, loss, bias, skip, patterns, tol, certificate, minimal, standardize, max_iter
        As in `ConvexReLURegressor`. A PatternSet is cut down to the rows of each fold.
    time_limit : float, optional
        Limit in seconds for each path and for the last fit. Weight decays that a fold did not get
        to have the score nan and are not chosen. Ctrl-C raises KeyboardInterrupt in all paths.
    random_state, n_threads, backend, device, verbose
        As in `ConvexReLURegressor`; one seed holds for all folds.

    Attributes
    ----------
    betas_ : array, shape (n_betas,)
        The grid, descending.
    scores_ : array, shape (n_betas, n_folds)
        Scores on the rows left out.
    mean_scores_ : array, shape (n_betas,)
        Their means over the folds.
    best_index_ : int
        Where ``beta_`` stands in ``betas_``.
    path_ : pyconvex.Path
        All data, from the largest weight decay down to ``beta_``; its last point is ``fit_``.
    beta_, fit_, network_, n_neurons_, objective_, dual_objective_, lower_bound_, gap_
        As in `ConvexReLURegressor`, of the network trained on all data.
    certificate_, status_, n_iter_, n_features_in_, feature_names_in_
        As in `ConvexReLURegressor`.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the last fit did not reach ``tol``, or a path ``path_tol``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex import ConvexReLURegressorCV
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> y = np.abs(X[:, 0]) + 0.1 * np.cos(40 * X[:, 0])
    >>> model = ConvexReLURegressorCV(n_betas=10, random_state=0).fit(X[::-1], y[::-1])
    >>> model.scores_.shape, len(model.path_) == model.best_index_ + 1
    ((10, 5), True)
    """

    def __init__(
        self,
        *,
        betas: ArrayLike | None = None,
        n_betas: int = 50,
        beta_min_ratio: float = 0.01,
        cv: Any = None,
        scoring: Any = None,
        selection: str = "best",
        patience: int | None = None,
        path_tol: float = 1e-3,
        n_jobs: int | None = None,
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
    ) -> None:
        self.betas = betas
        self.n_betas = n_betas
        self.beta_min_ratio = beta_min_ratio
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.patience = patience
        self.path_tol = path_tol
        self.n_jobs = n_jobs
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


class ConvexReLUClassifierCV(Classification, CrossValidated):
    """Classification by a two-layer ReLU network, with the weight decay from cross-validation.

    Parameters
    ----------
    betas, n_betas, beta_min_ratio, cv, scoring, selection, patience, path_tol, n_jobs
        As in `ConvexReLURegressorCV`.
    model, loss, bias, skip, patterns, tol, certificate, minimal, standardize
        As in `ConvexReLUClassifier`.
    max_iter, class_weight
        As in `ConvexReLUClassifier`.
    time_limit, random_state, n_threads, backend, device, verbose
        As in `ConvexReLURegressorCV`.

    Attributes
    ----------
    betas_, scores_, mean_scores_, best_index_, path_
        As in `ConvexReLURegressorCV`.
    classes_, beta_, fit_, network_, n_neurons_, objective_, dual_objective_, lower_bound_
        As in `ConvexReLUClassifier`, of the network trained on all data.
    gap_, certificate_, status_, n_iter_, n_features_in_, feature_names_in_
        As in `ConvexReLUClassifier`.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the last fit did not reach ``tol``, or a path ``path_tol``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex import ConvexReLUClassifierCV
    >>> X = np.linspace(-1, 1, 30).reshape(-1, 1)
    >>> y = np.where(np.abs(X[:, 0]) > 0.5, "outside", "inside")
    >>> model = ConvexReLUClassifierCV(loss="squared", n_betas=5, random_state=0).fit(X, y)
    >>> model.predict([[0.0], [0.9]]).tolist()
    ['inside', 'outside']
    """

    def __init__(
        self,
        *,
        betas: ArrayLike | None = None,
        n_betas: int = 50,
        beta_min_ratio: float = 0.01,
        cv: Any = None,
        scoring: Any = None,
        selection: str = "best",
        patience: int | None = None,
        path_tol: float = 1e-3,
        n_jobs: int | None = None,
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
        class_weight: Any = None,
    ) -> None:
        self.betas = betas
        self.n_betas = n_betas
        self.beta_min_ratio = beta_min_ratio
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.patience = patience
        self.path_tol = path_tol
        self.n_jobs = n_jobs
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
        self.class_weight = class_weight
