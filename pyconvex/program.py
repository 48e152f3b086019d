"""The convex program: data, objective, and the duality gap of a multiplier."""

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pyconvex.linear import Skip, best_coefficients
from pyconvex.losses import Array, Loss, Smoothed, Squared
from pyconvex.rows import Rows


class Status(str, Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    MAX_ITER = "max_iter"
    TIME_LIMIT = "time_limit"
    INTERRUPTED = "interrupted"
    STALLED = "stalled"

    __str__ = str.__str__


STAGE = 0.2  # a smoothed loss is solved until its gap is this share of the true one
_TINY = 1e-10  # a loss below this share of that of no prediction may be rounding
_ROUNDING = 16 * np.finfo(float).eps  # relative, of a prediction
SHARP = 1e-3  # share of the mean error over which a kink is smoothed for the best constant


@dataclass(frozen=True)
class Problem:
    r"""The program of two-layer networks over the groups g of activation patterns.

    .. math:: \min_u \sum_i s_i \ell(f(x_i), y_i)
              + \sum_g \bigl(\beta \omega_g \|u_g\| + \tfrac\rho2 \|u_g\|^2\bigr)

    With weights omega of 1 and no ridge rho, networks with weight decay (Pilanci & Ergen 2020).

    Parameters
    ----------
    X : array or SparseRows, shape (n_samples, p)
        Rows x_i, with the ones column last where neurons have a bias. Sparse for gated models
        only.
    y : array, shape (n_samples,)
        Targets.
    sample_weight : array, shape (n_samples,)
        Positive, sum 1.
    beta : float
        Weight decay.
    intercept : bool
        Whether a free constant is added to the output; then the dual needs sum(z) = 0.
    free_bias : bool
        Whether the last coordinate of a neuron is left out of the norm. Needs ``intercept``.
    ridge : float
        rho, >= 0; groups of given patterns only.
    group_weights : array, shape (n_patterns,), optional
        omega, > 0; default: 1.
    loss : Loss
        The loss.
    skip : Skip, optional
        Adds columns C c to the output, with C^T z = 0 in the dual where they are free; else
        beta ||c|| to the penalty, with ||C^T z|| <= beta.
    copies : array of int, shape (n_samples,), optional
        The row of X that each sample has, where `merged` took out repeated ones. Arrays called
        ``rows`` below have an entry per row, the others (y, weights, z) one per sample.
    """

    X: Rows
    y: Array
    sample_weight: Array
    beta: float
    intercept: bool = False
    free_bias: bool = False
    ridge: float = 0.0
    group_weights: Array | None = None
    loss: Loss = field(default_factory=Squared)
    skip: Skip | None = None
    copies: NDArray[np.int64] | None = None

    @cached_property
    def true(self) -> "Problem":
        """The problem whose objective and gap count: another one where the loss is smoothed."""
        return replace(self, loss=self.loss.loss) if isinstance(self.loss, Smoothed) else self

    @property
    def radius(self) -> float:
        """R, the largest norm of a row without its bias coordinate."""
        return float(np.linalg.norm(self.X[:, :-1], axis=1).max())

    @cached_property
    def free(self) -> Array:
        """The columns of the output without penalty, on the rows: the constant first."""
        columns = [np.ones((len(self.X), 1))] if self.intercept else []
        if self.skip is not None and self.skip.free:
            columns.append(self.skip.columns)
        return np.hstack([np.zeros((len(self.X), 0)), *columns])

    @cached_property
    def decayed(self) -> Array:
        """The columns of the output whose coefficients are penalised, on the rows."""
        if self.skip is None or self.skip.free:
            return np.zeros((len(self.X), 0))
        return self.skip.columns

    def norms(self, U: Array) -> Array:
        """Return the penalised norms of neurons (m, p)."""
        norms: Array = np.linalg.norm(U[:, :-1] if self.free_bias else U, axis=1)
        return norms

    def weights_of(self, pattern: NDArray[np.int64]) -> Array:
        """Return the weights omega of the groups that neurons belong to."""
        return np.ones(len(pattern)) if self.group_weights is None else self.group_weights[pattern]

    def at_samples(self, rows: Array) -> Array:
        """Return the entry of each sample's row."""
        return rows if self.copies is None else rows[self.copies]

    def at_rows(self, samples: Array) -> Array:
        """Return the sum over the samples of each row."""
        if self.copies is None:
            return samples
        return np.bincount(self.copies, samples, len(self.X)).astype(np.float64)

    def multiplier(self, prediction: Array) -> Array:
        """Return z at a prediction on the rows."""
        return self.loss.multiplier(self.at_samples(prediction), self.y, self.sample_weight)

    def loss_value(self, prediction: Array) -> float:
        """Return the weighted loss of a prediction on the rows."""
        return self.sample_loss(self.at_samples(prediction))

    def sample_loss(self, f: Array) -> float:
        """Return the weighted loss of a prediction of the samples.

        It is 0 where it is no more than what rounding of the prediction may add.
        """
        value = self.loss.value(f, self.y, self.sample_weight)
        if value > _TINY * self._first_loss:
            return value
        step = _ROUNDING * np.abs(f)
        beside = [self.loss.losses(f + sign * step, self.y) for sign in (-1.0, 1.0)]
        noise = float(self.sample_weight @ np.maximum(*beside)) - value
        return 0.0 if value <= noise else value

    @cached_property
    def _first_loss(self) -> float:
        return self.loss.value(np.zeros_like(self.y), self.y, self.sample_weight)

    def best_shift(self, prediction: Array) -> Array:
        """Return the coefficients of the free columns that improve a prediction most."""
        f, y, s = self.at_samples(prediction), self.y, self.sample_weight
        if self.free.shape[1] > self.intercept:
            return best_coefficients(self.loss, f, y, s, self.at_samples(self.free))
        return np.full(1, self.loss.best_shift(f, y, s)) if self.intercept else np.zeros(0)

    def objective(
        self,
        prediction: Array,
        U: Array,
        pattern: NDArray[np.int64] | None = None,
        skip: Array | None = None,
    ) -> float:
        """Return loss plus penalty; neurons of a program with weights need their ``pattern``.

        ``skip``: the coefficients of a decayed skip connection.
        """
        return self.loss_value(prediction) + self.penalty(U, pattern, skip)

    def penalty(
        self, U: Array, pattern: NDArray[np.int64] | None = None, skip: Array | None = None
    ) -> float:
        """Return the penalty; arguments as of `objective`."""
        sizes = self.norms(U) if pattern is None else self.norms(U) * self.weights_of(pattern)
        penalty = self.beta * float(sizes.sum()) + 0.5 * self.ridge * float((U**2).sum())
        if self.decayed.shape[1] and skip is not None:
            penalty += self.beta * float(np.linalg.norm(skip))
        return penalty

    def dual_objective(self, z: Array, norm: float, excess: float = 0.0) -> float:
        r"""Return the best dual objective among multiples of z, given its dual norm N(z).

        A multiple t z is feasible where |t| N(z) <= beta; with a norm that bounds N(z) from
        above, the value is a rigorous lower bound of the objective. With a ridge every z is
        feasible at the cost of ``excess``,
        :math:`\sum_g (\|X^T D_g z\| - \beta \omega_g)_+^2 / 2 \rho`. The norm of a decayed skip
        connection counts by itself.
        """
        norm = max(norm, self.skip_norm(z))
        limit = self.beta / norm if norm > 0.0 else math.inf
        value = self.loss.dual_objective(z, self.y, self.sample_weight, limit)[0]
        if self.ridge > 0.0:
            value = max(value, self.loss.dual_value(z, self.y, self.sample_weight) - excess)
        return value

    def skip_norm(self, z: Array) -> float:
        """Return ||C^T z|| of the columns of a decayed skip connection, 0 without one."""
        if self.decayed.shape[1] == 0:
            return 0.0
        return float(np.linalg.norm(self.at_rows(z) @ self.decayed))

    def violation_cost(self, values: Array, pattern: NDArray[np.int64]) -> float:
        """Return ``excess`` of `dual_objective`, given all ||X^T D_g z|| / omega_g above beta."""
        if self.ridge == 0.0 or len(values) == 0:
            return 0.0
        violations = self.weights_of(pattern) * (values - self.beta)
        return float(violations @ violations) / (2.0 * self.ridge)

    def constant_multiplier(self) -> Array:
        """Return the multiplier z at the best free prediction, where no neuron is in use.

        At a kink of the loss one of many: its norm bounds the smallest beta without neurons.
        """
        problem, nothing = (
            replace(self, loss=self.loss.smooth(self.y, SHARP)),
            np.zeros(len(self.X)),
        )
        return problem.multiplier(problem.free @ problem.best_shift(nothing))

    def merged(self) -> tuple["Problem", NDArray[np.int64]]:
        """Return the same problem with equal rows merged, and where each row first stood.

        Copies of a row share a kink, so the tests on faces, which look at one row at a time, need
        this. Their targets and weights stay apart.
        """
        X, first, group = np.unique(self.X, axis=0, return_index=True, return_inverse=True)
        if len(X) == len(self.X):
            return self, np.arange(len(X))
        order = np.argsort(first)  # rows keep the order in which they first appear
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        copies = place[group.reshape(-1)].astype(np.int64)
        skip = self.skip
        if skip is not None:
            skip = replace(skip, columns=np.ascontiguousarray(skip.columns[first[order]]))
        rows = np.ascontiguousarray(X[order])
        return replace(self, X=rows, skip=skip, copies=copies), first[order]

    def norm_bound(self, z: Array) -> float:
        """Return a rigorous upper bound of N(z), z on the rows, from two eigenvalue problems.

        For one sign, sum_i z_i (x_i u)_+ <= sqrt(sum_i z_i^+) sqrt(sum_i z_i^+ (x_i u)^2) by the
        Cauchy-Schwarz inequality. A free bias obeys |b| <= R ||w||, R = max ||x_i||, where the
        multiplier sums to zero, so that (w, b / R) has norm at most sqrt(2) ||w||.
        """
        X, factor = self.X, 1.0
        if self.free_bias:
            ends = np.full(len(X), self.radius)
            X, factor = np.column_stack([X[:, :-1], ends]), math.sqrt(2.0)
        bounds = []
        for part in (np.maximum(z, 0.0), np.maximum(-z, 0.0)):
            largest = np.linalg.eigvalsh((X.T * part) @ X)[-1]
            bounds.append(math.sqrt(part.sum() * max(largest, 0.0)))
        return factor * max(bounds) * (1.0 + 1e-12)


def relative_gap(objective: float, dual_objective: float) -> float:
    """Return (objective - dual objective) / objective; 0 where the objective is 0."""
    return 0.0 if objective == 0.0 else (objective - dual_objective) / objective
