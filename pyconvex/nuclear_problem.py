r"""The program of gated networks with several outputs: a sum of nuclear norms.

.. math:: \min_U \sum_i s_i \ell(F_i, Y_i) + \beta \sum_g \|U_g\|_*, \quad F = \sum_g D_g X U_g,

U_g of shape p x c, has the same optimum as weight decay on networks whose neurons serve all outputs
(Sahiner et al. 2021). The dual norm is :math:`\max_g \|X^T D_g Z\|_2`, the largest singular value.
Every output may have a linear part of its own, as in `Problem`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pyconvex.dual_box import MARGIN, SHARE, DualBox
from pyconvex.losses import Array, Kinked, Loss, Smoothed, Softmax
from pyconvex.program import Problem


@dataclass(frozen=True)
class NuclearProblem:
    """Data, loss and dual of the program; arrays F, Y and Z have shape (n_samples, c).

    Parameters
    ----------
    one : Problem
        That of one output: rows, sample weights, weight decay and linear part.
    Y : array, shape (n_samples, c)
        Targets.
    loss : Loss
        `Softmax`, or a loss of one output, summed over the outputs.
    """

    one: Problem
    Y: Array
    loss: Loss

    @property
    def column(self) -> Array:
        """Sample weights as a column."""
        return self.one.sample_weight[:, np.newaxis]

    @property
    def coupled(self) -> bool:
        """Whether rows of Z sum to zero."""
        return isinstance(self.loss, Softmax)

    def value(self, F: Array) -> float:
        """Return the weighted loss."""
        if self.coupled:
            return self.loss.value(F, self.Y, self.one.sample_weight)
        with np.errstate(over="ignore"):
            return float((self.column * self.loss.losses(F, self.Y)).sum())

    def multiplier(self, F: Array) -> Array:
        """Return Z at a prediction."""
        if self.coupled:
            return self.loss.multiplier(F, self.Y, self.one.sample_weight)
        return -self.column * self.loss.slopes(F, self.Y)

    def penalty(self, nuclear: float, skips: Array) -> float:
        """Return that of weights, given their nuclear norms' sum, and of decayed skips (q, c)."""
        return self.one.beta * (nuclear + float(np.linalg.norm(skips, axis=0).sum()))

    def best_shifts(self, F: Array) -> Array:
        """Return the coefficients (k, c) of the free columns that improve a prediction most.

        Those of a loss with a kink are left as they are where there is more than a constant.
        """
        one, Y = self.one, self.Y
        if isinstance(self.loss, Softmax):
            return self.loss.best_coefficients(F, Y, one.sample_weight, one.free)
        if isinstance(self.loss, Kinked) and one.free.shape[1] > 1:
            return np.zeros((one.free.shape[1], F.shape[1]))
        columns = zip(np.ascontiguousarray(F.T), np.ascontiguousarray(Y.T), strict=True)
        shifts = [
            replace(one, y=y, loss=_column(self.loss, k)).best_shift(f)
            for k, (f, y) in enumerate(columns)
        ]
        return np.column_stack(shifts)

    def shifted(self, F: Array) -> Array:
        """Return a prediction with the best free columns added."""
        prediction: Array = F + self.one.free @ self.best_shifts(F)
        return prediction

    def skip_norm(self, Z: Array) -> float:
        """Return the largest ||C^T z|| of the columns of decayed skips, 0 without them."""
        return float(np.linalg.norm(self.one.decayed.T @ Z, axis=0).max(initial=0.0))

    def dual_value(self, Z: Array) -> float:
        """Return D(Z), minus infinity outside the domain."""
        if self.coupled:
            return self.loss.dual_value(Z, self.Y, self.one.sample_weight)
        return -float((self.column * self.loss.conjugates(-Z / self.column, self.Y)).sum())

    def dual_objective(self, Z: Array, norm: float) -> float:
        """Return the dual objective of the largest feasible multiple of Z up to Z itself."""
        t = min(1.0, self.one.beta / norm) if norm > 0.0 else 1.0
        return self.dual_value(t * Z)

    def conjugate_slopes(self, Z: Array) -> Array:
        """Return the F whose multiplier is Z; of softmax up to constants of rows."""
        if self.coupled:
            logs: Array = np.log(self._shares(Z))
            return logs
        return self.loss.conjugate_slopes(-Z / self.column, self.Y)

    def curvatures(self, Z: Array) -> Array:
        """Return the diagonal of the Hessian of -D(Z)."""
        if self.coupled:
            return 1.0 / (self.column * self._shares(Z))
        return self.loss.conjugate_curvatures(-Z / self.column, self.Y) / self.column

    def projected(self, V: Array) -> Array:
        """Return the part of V along which multipliers may move."""
        return V - V.mean(axis=1, keepdims=True) if self.coupled else V

    def scaled(self, diagonal: Array, V: Array) -> Array:
        """Return V divided by a diagonal, within the directions that multipliers may move."""
        inverse = 1.0 / diagonal
        if self.coupled:
            centre = (inverse * V).sum(axis=1, keepdims=True) / inverse.sum(axis=1, keepdims=True)
            V = V - centre
        return inverse * V

    def held(self, Z: Array, slopes: Array) -> Array:
        """Return 0 for entries at an end of the domain that a descent would push out, else 1."""
        if self.coupled:
            return np.ones_like(Z)
        return np.where(self._box.held(Z, slopes), 0.0, 1.0)

    def stop(self, Z: Array, step: Array) -> Array:
        """Return where a step from Z ends that is cut off at the domain."""
        if not self.coupled:
            return self._box.stop(Z, step)
        # whole rows are shortened, so that they sum to zero
        room = np.where(step > 0.0, SHARE * (self.column * self.Y - Z), np.inf)
        factors = np.where(step > room, room / np.where(step > 0.0, step, 1.0), 1.0)
        moved: Array = Z + step * factors.min(axis=1, keepdims=True)
        return moved

    def inside(self, Z: Array) -> Array:
        """Return the nearest multiplier where the dual objective has a slope."""
        if not self.coupled:
            return self._box.inside(Z)
        shares = np.maximum(self.Y - Z / self.column, MARGIN)
        inside: Array = self.column * (self.Y - shares / shares.sum(axis=1, keepdims=True))
        return inside

    def _shares(self, Z: Array) -> Array:
        return np.maximum(self.Y - Z / self.column, 1e-300)

    @cached_property
    def _box(self) -> DualBox:
        return DualBox.around(self.loss, self.Y, self.column)


def _column(loss: Loss, k: int) -> Loss:
    """Return the loss of output k: a smoothed one has a centre per output."""
    if isinstance(loss, Smoothed) and isinstance(loss.centre, np.ndarray):
        return Smoothed(loss.loss, np.ascontiguousarray(loss.centre[:, k]), loss.width)
    return loss
