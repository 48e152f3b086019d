"""What a picture shows: the network, features and outputs of whatever a user passes."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.data import check_int
from pyconvex.losses import Array
from pyconvex.network import Network


def find_network(model: Any) -> Network | None:
    """Return the network that a model is or holds (a Fit, a fitted estimator), None without one."""
    for found in (model, getattr(model, "network", None), getattr(model, "network_", None)):
        if isinstance(found, Network):
            return found
    return None


def network_of(model: Any, name: str = "network") -> Network:
    """Return the network that a model is or holds; an error says what to pass instead."""
    network = find_network(model)
    if network is None:
        remedy = "pass what fit returned"
        if isinstance(model, Sequence) and not isinstance(model, str):
            remedy = "pick one, e.g. path[-1]"
        elif hasattr(model, "steps"):
            remedy = "pass the last step of a pipeline, pipeline[-1]"
        elif hasattr(model, "fit"):
            remedy = "call its fit first"
        raise TypeError(
            f"{name} must be a Network or hold one, as a Fit or a fitted estimator does, "
            f"got {type(model).__name__}: {remedy}"
        )
    return network


def n_features_of(model: Any, X: Array | None) -> int | None:
    """Return the number of features that a model takes, None where nothing tells."""
    network = find_network(model)
    if network is not None:
        return network.n_features
    found: int | None = getattr(model, "n_features_in_", None)
    return X.shape[1] if found is None and X is not None else found


def feature_names_of(
    model: Any, X: Any, n_features: int, given: ArrayLike | None = None
) -> list[str]:
    """Return names of features: given, or of the estimator or data frame, else "X[:, 0]" ..."""
    if given is not None:
        names = [str(name) for name in np.asarray(given, dtype=object).ravel()]
        if len(names) != n_features:
            raise ValueError(
                f"feature_names has {len(names)} entries but there are {n_features} features: "
                "pass one name per feature, in the order of the columns of X"
            )
        return names
    for found in (getattr(model, "feature_names_in_", None), getattr(X, "columns", None)):
        if found is not None and len(found) == n_features:
            return [str(name) for name in found]
    return [f"X[:, {k}]" for k in range(n_features)]


def is_classifier(model: Any) -> bool:
    """Tell whether a model has classes and a score for each, as scikit-learn's classifiers do."""
    return hasattr(model, "classes_") and hasattr(model, "decision_function")


def output_of(model: Any, X: Array, output: int) -> Array:
    """Return one output of a model for each row of X; of classifiers the decision function."""
    predict = model.decision_function if is_classifier(model) else model.predict
    with warnings.catch_warnings():  # estimators of data frames warn of arrays
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        values = np.asarray(predict(X))
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"network predicts no numbers but dtype {values.dtype}: "
            "pass a classifier with a decision_function"
        )
    if values.ndim not in (1, 2) or len(values) != len(X):
        raise ValueError(
            f"network predicts an array of shape {values.shape} for {len(X)} rows: pass one model, "
            "e.g. path[-1]"
        )
    columns = values.reshape(len(X), -1)
    return columns[:, check_output(output, columns.shape[1])].astype(np.float64)


def check_output(output: int, n_outputs: int) -> int:
    """Return the index of an output."""
    output = check_int(output, "output", minimum=0)
    if output >= n_outputs:
        raise ValueError(f"output must be below the number of outputs, {n_outputs}, got {output}")
    return output
