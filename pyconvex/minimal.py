"""Minimal networks: sizes of neurons whose outputs are linearly independent."""

import math

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array

_DEPENDENT = 1e-12  # singular values of unit columns below this, relative, are zero
_ROUNDING = 1e-15  # entries of unit vectors below this say nothing
_EVEN = 1e-12  # changes of the penalty below this, relative to its terms, are rounding


def minimal_sizes(outputs: Array, costs: Array, *, constant: bool) -> tuple[Array, float | Array]:
    """Return factors of neurons that keep the sum of their outputs and use few of them.

    With a_j o_j the output of neuron j, ||o_j|| = 1, the sizes a >= 0 of one prediction form a
    polytope, on which the penalty is linear. The walk goes along its faces, never uphill, to a
    vertex: there the neurons in use are linearly independent (Mishkin & Pilanci 2023).

    Parameters
    ----------
    outputs : array, shape (n_samples, m) or (n_samples, n_outputs, m)
        Outputs of the neurons, output weights included. Several outputs count as one long vector.
    costs : array, shape (m,)
        Their penalties, >= 0; a neuron with factor f costs f times as much.
    constant : bool
        Whether a free constant, one per output, may take over what is constant.

    Returns
    -------
    factors : array, shape (m,)
        >= 0; 0 for neurons to drop.
    shift : float or array, shape (n_outputs,)
        What to add to the constant.
    """
    # Centred, a unit of output of a ReLU neuron costs at least 1 / ||centred X||, hidden bias free
    # or not, so that no neuron grows beyond what the penalty allows and rounding stays small.
    m = outputs.shape[-1]
    means = outputs.mean(axis=0) if constant else np.zeros(outputs.shape[1:])
    centred = outputs - means
    lengths = np.linalg.norm(_stacked(centred), axis=0)
    used = np.flatnonzero(lengths > _DEPENDENT * np.linalg.norm(_stacked(outputs), axis=0))
    units = centred[..., used] / lengths[used]
    if constant:  # again: next to a large mean what is left is not orthogonal to constants
        units -= units.mean(axis=0)
    units = _stacked(units)
    sizes, prices = lengths[used], costs[used] / lengths[used]
    left = np.arange(len(used))
    while (null := _null_space(units[:, left])).shape[1]:
        sizes[left] = _walk(sizes[left], prices[left], null)
        if (sizes[left] > 0.0).all():  # not reached but for rounding
            break
        left = left[sizes[left] > 0.0]
    factors = np.zeros(m)
    factors[used] = sizes / lengths[used]
    shift: float | Array = means @ (1.0 - factors)
    return factors, shift


def _stacked(outputs: Array) -> Array:
    """Return one column per neuron."""
    return outputs.reshape(math.prod(outputs.shape[:-1]), outputs.shape[-1])


def _null_space(units: Array) -> Array:
    """Return an orthonormal basis of the dependencies of the columns."""
    if units.shape[1] == 0:
        return np.zeros((0, 0))
    triangle = np.linalg.qr(units, mode="r")  # no more rows than columns: the SVD stays small
    _, values, directions = np.linalg.svd(triangle)
    rank = int((values > _DEPENDENT * values[0]).sum())
    basis: Array = directions[rank:].T
    return basis


def _walk(sizes: Array, prices: Array, null: Array) -> Array:
    """Let one neuron vanish per dependency; return the sizes."""
    while null.shape[1]:
        step = _downhill(null[:, 0], sizes, prices)
        falling = np.flatnonzero(step < -_ROUNDING)
        if len(falling) == 0:
            null = null[:, 1:]
            continue
        ratios = sizes[falling] / -step[falling]
        first = falling[ratios.argmin()]
        sizes = np.maximum(sizes + ratios.min() * step, 0.0)
        sizes[first] = 0.0
        null = _without(null, first)
    return sizes


def _downhill(step: Array, sizes: Array, prices: Array) -> Array:
    """Return the step or its opposite: the one that does not raise the penalty.

    Where neither does, the one along which neurons shrink faster than others grow.
    """
    slopes = prices * step
    if abs(slopes.sum()) > _EVEN * np.abs(slopes).sum():
        return step if slopes.sum() < 0.0 else -step
    rates = np.divide(step, sizes, out=np.zeros(len(sizes)), where=sizes > 0.0)
    return step if -rates.min() >= rates.max() else -step


def _without(null: Array, j: np.int64) -> Array:
    """Return a basis of the dependencies that leave out column j: a Householder reflection."""
    mirror: NDArray[np.float64] = null[j].copy()
    mirror[0] += np.copysign(np.linalg.norm(mirror), mirror[0])
    mirror /= np.linalg.norm(mirror)
    reflected = null - 2.0 * np.outer(null @ mirror, mirror)
    reflected[j] = 0.0
    basis: Array = reflected[:, 1:]
    return basis
