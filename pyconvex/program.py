"""The convex program: data, objective, and the duality gap of a multiplier."""

import math
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array, Squared


class Status(str, Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    MAX_ITER = "max_iter"
    TIME_LIMIT = "time_limit"
    INTERRUPTED = "interrupted"
    STALLED = "stalled"

    __str__ = str.__str__


@dataclass(frozen=True)
class Problem:
    r"""The program of two-layer networks over the groups g of activation patterns.

    .. math:: \min_u \sum_i s_i \ell(f(x_i), y_i)
              + \sum_g \bigl(\beta \omega_g \|u_g\| + \tfrac\rho2 \|u_g\|^2\bigr)

    With weights omega of 1 and no ridge rho, networks with weight decay (Pilanci & Ergen 2020).

    Parameters
    ----------
    X : array, shape (n_samples, p)
        Rows x_i, with the ones column last where neurons have a bias.
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
    offset : float
        Loss that no network avoids: what `merged` takes out.
    ridge : float
        rho, >= 0; groups of given patterns only.
    group_weights : array, shape (n_patterns,), optional
        omega, > 0; default: 1.
    loss : Squared
        The loss.
    """

    X: Array
    y: Array
    sample_weight: Array
    beta: float
    intercept: bool = False
    free_bias: bool = False
    offset: float = 0.0
    ridge: float = 0.0
    group_weights: Array | None = None
    loss: Squared = field(default_factory=Squared)

    @property
    def radius(self) -> float:
        """R, the largest norm of a row without its bias coordinate."""
        return float(np.linalg.norm(self.X[:, :-1], axis=1).max())

    def norms(self, U: Array) -> Array:
        """Return the penalised norms of neurons (m, p)."""
        norms: Array = np.linalg.norm(U[:, :-1] if self.free_bias else U, axis=1)
        return norms

    def weights_of(self, pattern: NDArray[np.int64]) -> Array:
        """Return the weights omega of the groups that neurons belong to."""
        return np.ones(len(pattern)) if self.group_weights is None else self.group_weights[pattern]

    def objective(
        self, residual: Array, U: Array, pattern: NDArray[np.int64] | None = None
    ) -> float:
        """Return loss plus penalty; neurons of a program with weights need their ``pattern``."""
        sizes = self.norms(U) if pattern is None else self.norms(U) * self.weights_of(pattern)
        penalty = self.beta * float(sizes.sum()) + 0.5 * self.ridge * float((U**2).sum())
        return self.loss.value(residual, self.sample_weight) + penalty + self.offset

    def dual_objective(self, z: Array, norm: float, excess: float = 0.0) -> float:
        r"""Return the best dual objective among multiples of z, given its dual norm N(z).

        A multiple t z is feasible where |t| N(z) <= beta; with a norm that bounds N(z) from
        above, the value is a rigorous lower bound of the objective. With a ridge every z is
        feasible at the cost of ``excess``,
        :math:`\sum_g (\|X^T D_g z\| - \beta \omega_g)_+^2 / 2 \rho`.
        """
        limit = self.beta / norm if norm > 0.0 else math.inf
        value = self.loss.dual_objective(z, self.y, self.sample_weight, limit)[0]
        if self.ridge > 0.0:
            value = max(value, self.loss.dual_value(z, self.y, self.sample_weight) - excess)
        return value + self.offset

    def violation_cost(self, values: Array, pattern: NDArray[np.int64]) -> float:
        """Return ``excess`` of `dual_objective`, given all ||X^T D_g z|| / omega_g above beta."""
        if self.ridge == 0.0 or len(values) == 0:
            return 0.0
        violations = self.weights_of(pattern) * (values - self.beta)
        return float(violations @ violations) / (2.0 * self.ridge)

    def constant_multiplier(self) -> Array:
        """Return the multiplier z at the best constant prediction, where no neuron is in use."""
        constant = self.sample_weight @ self.y if self.intercept else 0.0
        return self.loss.multiplier(self.y - constant, self.sample_weight)

    def merged(self) -> tuple["Problem", NDArray[np.int64]]:
        """Return the same problem with equal rows merged, and where each row first stood.

        A row has the joint weight of its copies, and their targets' weighted mean, at the cost of
        a constant loss. Copies of a row share a kink, so the tests on faces, which look at one row
        at a time, need this.
        """
        X, first, group = np.unique(self.X, axis=0, return_index=True, return_inverse=True)
        if len(X) == len(self.X):
            return self, np.arange(len(X))
        group = group.reshape(-1)
        weight: Array = np.bincount(group, self.sample_weight).astype(np.float64)
        mean = np.bincount(group, self.sample_weight * self.y) / weight
        order = np.argsort(first)  # rows keep the order in which they first appear
        offset = self.loss.value(self.y - mean[group], self.sample_weight)
        merged = replace(
            self,
            X=np.ascontiguousarray(X[order]),
            y=mean[order],
            sample_weight=weight[order],
            offset=self.offset + offset,
        )
        return merged, first[order]

    def norm_bound(self, z: Array) -> float:
        """Return a rigorous upper bound of N(z) from two eigenvalue problems.

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
