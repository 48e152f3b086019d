"""What scikit-learn estimators do with device arrays: checks, coding of labels, probabilities."""

from typing import Any

import numpy as np

from pyconvex.device_choice import check_same_space
from pyconvex.namespaces import DeviceArray, Space, check_vector, is_device_array, to_host

_HOST = "pass NumPy arrays, e.g. X.cpu().numpy()"


def space_of(X: Any, y: Any, sample_weight: Any) -> Space:
    """Return where X, y and weights live together."""
    space = Space.of(X)
    check_same_space(space, X, {"y": y, "sample_weight": sample_weight})
    return space


def code_classes(
    space: Space, y: DeviceArray, sample_weight: Any, class_weight: Any
) -> tuple[DeviceArray, DeviceArray, DeviceArray | None]:
    """Return the two classes, targets -1 and +1, and the weights with those of the classes.

    Raises
    ------
    ValueError
        If y is not 1-D, or there are not two classes among rows of positive weight.
    """
    xp = space.xp
    if y.ndim != 1:
        raise ValueError(f"y must be 1-D, got shape {tuple(y.shape)}: pass one label per row of X")
    weights = None
    if sample_weight is not None:
        weights = check_vector(space, sample_weight, "sample_weight", y.shape[0])
    counted = y if weights is None else space.take(y, space.where_true(weights > 0.0))
    classes = xp.unique_values(counted)
    if classes.shape[0] != 2:
        raise ValueError(
            f"y has {classes.shape[0]} classes among rows of positive weight, but classifiers of "
            f"device arrays take two: {_HOST}"
        )
    second = space.to_double(y == classes[1])
    if class_weight is not None:
        ones = space.full(y.shape[0], 1.0) if weights is None else weights
        low, high = _factors(space, class_weight, classes, ones, second)
        weights = ones * (low + (high - low) * second)
    return classes, 2.0 * second - 1.0, weights


def _factors(
    space: Space, class_weight: Any, classes: DeviceArray, ones: DeviceArray, second: DeviceArray
) -> tuple[float, float]:
    """Return the factors of the two classes' weights."""
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight must be 'balanced', a dict or None: {class_weight!r}")
        whole, high = space.total(ones), space.dot(ones, second)
        return whole / (2.0 * (whole - high)), whole / (2.0 * high)
    low, high = (float(class_weight.get(label, 1.0)) for label in to_host(classes).tolist())
    return low, high


def labels_of(classes: DeviceArray, scores: DeviceArray) -> DeviceArray:
    """Return the class of each score."""
    space = Space.of(scores)
    if not is_device_array(classes):
        classes = space.upload(np.asarray(classes))
    return space.take(classes, space.xp.astype(scores > 0.0, space.integer))


def log_probabilities(scores: DeviceArray) -> DeviceArray:
    """Return the logarithms of the probabilities of two classes, (n_samples, 2)."""
    space = Space.of(scores)
    xp = space.xp
    sides = xp.stack([-scores, scores], axis=1)  # log_expit of both
    below = xp.where(sides < 0.0, sides, xp.zeros_like(sides))
    return below - xp.log1p(xp.exp(-xp.abs(sides)))


def exponential(output: DeviceArray) -> DeviceArray:
    """Return exp of an output, where it lives."""
    return Space.of(output).xp.exp(output)
