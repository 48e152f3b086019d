"""The loss of several classes, whose outputs it couples."""

from dataclasses import dataclass, field

import numpy as np

from pyconvex.losses.base import Array, Loss
from pyconvex.losses.line_search import step_length

_STEPS = 50  # Newton steps towards the best free coefficients
_ROUNDING = 8 * np.finfo(float).eps  # of a sum, relative to the sum of absolute values
_FLAT = 3  # of these steps may pass without a lower value
_DAMPING = 1e-13  # of the Hessian, relative to that of the squared loss
_SIMPLEX = 1e-8  # rows of targets may miss the sum 1 by this much


class Softmax(Loss):
    """l(f, y) = log sum_k exp(f_k) - sum_k y_k f_k over the classes k; rows of y sum to 1.

    Arrays f, y and z have shape (n_samples, n_classes). With r = y - z / s >= 0, rows of sum 1,
    D(z) = -sum_i s_i sum_k r_ik log r_ik.
    """

    name = "softmax"
    smoothness = 0.5

    def losses(self, f: Array, y: Array) -> Array:
        """Return the loss of each sample, (n_samples,)."""
        from scipy.special import logsumexp

        losses: Array = logsumexp(f, axis=1) - np.einsum("ik,ik->i", y, f)
        return losses

    def multiplier(self, f: Array, y: Array, sample_weight: Array) -> Array:
        """Return z = s (y - p), p the probabilities of the classes."""
        from scipy.special import softmax

        multiplier: Array = sample_weight[:, np.newaxis] * (y - softmax(f, axis=1))
        return multiplier

    def dual_value(self, z: Array, y: Array, sample_weight: Array) -> float:
        """Return D(z) for a multiple of a prediction's multiplier."""
        from scipy.special import entr

        shares = np.maximum(y - z / sample_weight[:, np.newaxis], 0.0)
        return float(sample_weight @ entr(shares).sum(axis=1))

    def best_coefficients(self, f: Array, y: Array, sample_weight: Array, F: Array) -> Array:
        """Return the a (k, n_classes) that minimise the weighted loss of f + F a, F (n_samples, k).

        Newton's method until F^T z is rounding: only then a dual objective is a bound. Rows of a
        sum to 0, since what all classes share changes nothing.
        """
        a = np.zeros((F.shape[1], f.shape[1]))
        best, least, value, n_flat, sizes = a, np.inf, np.inf, 0, np.abs(F).T
        for _ in range(_STEPS):
            at = f + F @ a
            z = self.multiplier(at, y, sample_weight)
            p = y - z / sample_weight[:, np.newaxis]
            noise = np.abs(z) + sample_weight[:, np.newaxis] * p * (1.0 - p) * np.abs(at)
            gradient = F.T @ z
            excess = float((np.abs(gradient) - _ROUNDING * (sizes @ noise)).max(initial=-1.0))
            if excess < least:
                best, least = a, excess
            previous, value = value, self.value(at, y, sample_weight)
            n_flat = n_flat + 1 if value >= previous else 0
            if excess <= 0.0 or n_flat == _FLAT:
                break
            step = np.linalg.solve(_hessian(F, p, sample_weight), gradient.T.ravel())
            step = step.reshape(a.T.shape).T
            step -= step.mean(axis=1, keepdims=True)
            a = a + step_length(self, at, y, sample_weight, F @ step) * step
        return best

    def block(self, f: Array, k: int) -> "SoftmaxBlock":
        """Return the loss as a function of the output of class k, the others fixed."""
        from scipy.special import logsumexp

        return SoftmaxBlock(logsumexp(np.delete(f, k, axis=1), axis=1))

    def check_targets(self, y: Array, *, intercept: bool) -> None:
        """Raise ValueError unless rows of y are shares of at least two classes."""
        if y.ndim != 2 or y.shape[1] < 2:
            raise ValueError(
                "y must have shape (n_samples, n_classes) for loss='softmax', with a 1 in the "
                "column of each row's class: code labels so, or use ConvexReLUClassifier"
            )
        if (y < 0.0).any() or np.abs(y.sum(axis=1) - 1.0).max() > _SIMPLEX:
            raise ValueError("y must have rows >= 0 of sum 1 for loss='softmax'")
        if intercept and not y.any(axis=0).all():
            raise ValueError(
                "y has a class without samples, so its best output bias is infinite for "
                "loss='softmax': drop its column, or pass bias='decayed'"
            )


def _hessian(F: Array, p: Array, sample_weight: Array) -> Array:
    """Return that of the loss by coefficients of F, class after class, made regular.

    What all classes share gets a curvature of its own; no gradient has a part along it.
    """
    (n, k), c = F.shape, p.shape[1]
    shared = np.full((c, c), 1.0 / c) + _DAMPING * np.eye(c)
    hessian: Array = np.kron(shared, (F.T * sample_weight) @ F)
    columns = (p[:, :, np.newaxis] * F[:, np.newaxis]).reshape(n, c * k)
    hessian -= (columns.T * sample_weight) @ columns
    for i in range(c):
        part = slice(i * k, (i + 1) * k)
        hessian[part, part] += (F.T * (sample_weight * p[:, i])) @ F
    return hessian


@dataclass(frozen=True, eq=False)
class SoftmaxBlock(Loss):
    """log(exp(rest) + exp(f)) - y f, 0 <= y <= 1: a logistic loss with an offset.

    Parameters
    ----------
    rest : array, shape (n_samples,)
        log sum exp of the other classes' outputs.
    """

    rest: Array = field(repr=False)
    name = "softmax_block"
    smoothness = 0.25

    def losses(self, f: Array, y: Array) -> Array:
        """Return log(exp(rest) + exp(f)) - y f."""
        losses: Array = np.logaddexp(self.rest, f) - y * f
        return losses

    def slopes(self, f: Array, y: Array) -> Array:
        """Return p - y, p the probability of the class."""
        from scipy.special import expit

        slopes: Array = expit(f - self.rest) - y
        return slopes

    def curvatures(self, f: Array, y: Array) -> Array:
        """Return p (1 - p)."""
        from scipy.special import expit

        curvatures: Array = expit(f - self.rest) * expit(self.rest - f)
        return curvatures
