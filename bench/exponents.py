"""Scaling laws: the exponent of a power law through measured points."""

import numpy as np


def exponent(sizes, seconds):
    """Slope of log seconds over log size, by least squares, and its standard error.

    The error is infinite for two points, and both are NaN for fewer.
    """
    if len(sizes) < 2:
        return np.nan, np.nan
    x, y = np.log(sizes), np.log(seconds)
    x, y = x - x.mean(), y - y.mean()
    slope = (x @ y) / (x @ x)
    if len(sizes) == 2:
        return float(slope), np.inf
    residual = y - slope * x
    return float(slope), float(np.sqrt(residual @ residual / (len(x) - 2) / (x @ x)))
