"""The gated program on a device: data, objective, and the duality gap of a multiplier."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pyconvex.array_loss_base import ArrayLoss
from pyconvex.array_losses import array_loss, check_targets
from pyconvex.backends.array import Masks, pack, rows_of, unpack
from pyconvex.data import check_group_weights
from pyconvex.namespaces import DeviceArray, Space, check_floats, check_vector
from pyconvex.program import SHARP


@dataclass(frozen=True)
class ArrayProblem:
    r"""A group lasso over activation patterns, on a device.

    .. math:: \min_u \sum_i s_i \ell(\hat y_i, y_i)
              + \sum_g (\beta\omega_g \|u_g\| + \tfrac\rho2 \|u_g\|^2),
              \quad \hat y = \sum_g D_g X u_g + b

    Attributes
    ----------
    space : Space
        Where all arrays live.
    X : array, shape (n_samples, p)
        Data, float32 too.
    loss : ArrayLoss
        The loss with targets and weights.
    masks : Masks
        The patterns.
    beta : float
        Penalty.
    intercept : bool
        Whether a free constant b is added; then the dual needs sum(z) = 0.
    ridge : float
        rho >= 0.
    group_weights : array, shape (n_groups,)
        omega > 0.
    """

    space: Space
    X: DeviceArray
    loss: ArrayLoss
    masks: Masks
    beta: float
    intercept: bool
    ridge: float
    group_weights: DeviceArray

    def at(self, beta: float) -> "ArrayProblem":
        """Return the same problem at another penalty."""
        return replace(self, beta=beta)

    @cached_property
    def row_squares(self) -> DeviceArray:
        """Squared norms of the rows of X."""
        xp, parts = self.space.xp, []
        for part in rows_of(self.space, *self.X.shape):
            rows = self.space.to_double(self.X[part, :])
            parts.append(xp.sum(rows * rows, axis=1))
        return xp.concat(parts)

    @cached_property
    def size(self) -> float:
        """The root mean square of the entries of X."""
        n, p = self.X.shape
        return math.sqrt(self.space.total(self.row_squares) / (n * p)) or 1.0

    def gradients(self, z: DeviceArray) -> DeviceArray:
        """Return X^T D_g z for all groups, (n_groups, p)."""
        return self.masks.pull(self.X, z)

    def group_norms(self, gradients: DeviceArray) -> DeviceArray:
        """Return ||X^T D_g z|| / omega_g of all groups."""
        return row_norms(self.space, gradients) / self.group_weights

    def dual_norm(self, z: DeviceArray) -> float:
        """Return N(z)."""
        return self.space.largest(self.group_norms(self.gradients(z)))

    def bound(self, z: DeviceArray, gradients: DeviceArray) -> float:
        """Return the best dual objective among multiples of z, which sums to 0 where it must.

        With a ridge z itself is feasible too, at a cost.
        """
        values = self.group_norms(gradients)
        norm = self.space.largest(values)
        value = self.loss.dual_objective(z, self.beta / norm if norm > 0.0 else math.inf)
        if self.ridge > 0.0:
            over = self.group_weights * (values - self.beta)
            over = self.space.xp.where(over > 0.0, over, self.space.xp.zeros_like(over))
            excess = self.space.dot(over, over) / (2.0 * self.ridge)
            value = max(value, self.loss.dual_value(z) - excess)
        return value

    def best_shift(self, f: DeviceArray) -> float:
        """Return the constant that improves a prediction most; 0 without an intercept."""
        return self.loss.best_shift(f) if self.intercept else 0.0

    def objective(self, f: DeviceArray, U: DeviceArray, active: DeviceArray) -> float:
        """Return loss plus penalty of weights (k, p) of the groups ``active``."""
        sizes = row_norms(self.space, U) * self.space.take(self.group_weights, active)
        ridge = 0.5 * self.ridge * self.space.total(U * U) if self.ridge else 0.0
        return self.loss.sample_loss(f) + self.beta * self.space.total(sizes) + ridge

    def constant_multiplier(self) -> DeviceArray:
        """Return the multiplier z at the best constant, where no neuron is in use."""
        problem = replace(self, loss=self.loss.smooth(SHARP))
        nothing = self.space.xp.zeros_like(self.loss.y)
        return problem.loss.multiplier(nothing + problem.best_shift(nothing))

    def beta_max(self) -> float:
        """Return the smallest penalty without neurons; 0 where it is rounding."""
        z, xp = self.constant_multiplier(), self.space.xp
        norm = self.dual_norm(z)
        scale = xp.abs(z) + self.loss.s * xp.abs(self.loss.y)
        rounding = 64.0 * self.space.eps * self.space.dot(scale, xp.sqrt(self.row_squares))
        return norm if norm > rounding else 0.0


def row_norms(space: Space, A: DeviceArray) -> DeviceArray:
    """Return the norms of rows, block by block."""
    xp, (n, p) = space.xp, A.shape
    norms = [xp.sqrt(xp.sum(A[k, :] * A[k, :], axis=1)) for k in rows_of(space, n, p)]
    return xp.concat(norms) if norms else space.zeros(0)


@dataclass(frozen=True)
class Kept:
    """The samples of positive weight.

    Attributes
    ----------
    mask : array of bool, shape (n_samples,), or None
        None where all samples are kept.
    """

    space: Space
    mask: DeviceArray | None

    @cached_property
    def rows(self) -> DeviceArray:
        """Their indices."""
        return self.space.where_true(self.mask)

    def of(self, array: DeviceArray) -> DeviceArray:
        """Return the rows of an array that are kept."""
        return array if self.mask is None else self.space.take(array, self.rows)

    def back(self, z: DeviceArray) -> DeviceArray:
        """Return a vector over all samples: 0 where they are left out."""
        if self.mask is None:
            return z
        xp = self.space.xp
        place = xp.cumulative_sum(xp.astype(self.mask, self.space.integer)) - 1
        place = xp.clip(place, 0, z.shape[0] - 1)
        spread = self.space.take(z, place)
        return xp.where(self.mask, spread, xp.zeros_like(spread))

    def masks(self, masks: Masks) -> Masks:
        """Return patterns of the kept samples only."""
        if self.mask is None:
            return masks
        space, parts = self.space, []
        for groups in rows_of(space, len(masks), masks.n_samples):
            bits = unpack(space, masks.packed[groups, :], masks.n_samples)
            parts.append(pack(space, space.xp.take(bits, self.rows, axis=1)))
        return Masks(space, space.xp.concat(parts, axis=0), int(self.rows.shape[0]))


def make_problem(
    space: Space,
    X: DeviceArray,
    y: Any,
    masks: Masks,
    beta: float,
    sample_weight: Any,
    loss: Any,
    *,
    intercept: bool,
    ridge: float = 0.0,
    group_weights: Any = None,
) -> tuple[ArrayProblem, Kept]:
    """Check targets, weights and loss; return the problem and the samples it keeps."""
    n = X.shape[0]
    spec, kind = array_loss(loss)
    y = check_vector(space, y, "y", n)
    weights, kept = check_weights(space, sample_weight, n)
    y = kept.of(y)
    check_targets(space, spec, y, intercept=intercept)
    omega = space.full(len(masks), 1.0)
    if group_weights is not None:
        omega = _check_group_weights(space, group_weights, len(masks))
    problem = ArrayProblem(
        space, kept.of(X), kind(space, spec, y, weights), kept.masks(masks), beta, intercept,
        ridge, omega,
    )  # fmt: skip
    return problem, kept


def check_weights(space: Space, sample_weight: Any, n: int) -> tuple[DeviceArray, Kept]:
    """Return the positive sample weights, of sum 1, and the samples that have them."""
    if sample_weight is None:
        return space.full(n, 1.0 / n), Kept(space, None)
    weights = check_vector(space, sample_weight, "sample_weight", n)
    if space.any(weights < 0.0):
        raise ValueError("sample_weight has negative entries: use weights >= 0 (0 ignores a row)")
    if not space.any(weights > 0.0):
        raise ValueError(
            "sample_weight is zero everywhere: give at least one row a positive weight"
        )
    mask = weights > 0.0
    kept = Kept(space, None if bool(space.xp.all(mask)) else mask)
    weights = kept.of(weights)
    return weights / space.total(weights), kept


def _check_group_weights(space: Space, group_weights: Any, n_patterns: int) -> DeviceArray:
    """Return weights (n_patterns,), all > 0; those on the host are copied to the device."""
    if not space.holds(group_weights):
        host = check_group_weights(group_weights, n_patterns)
        return space.upload(np.asarray(host))
    weights = check_floats(space, group_weights, "group_weights")
    if tuple(weights.shape) != (n_patterns,):
        raise ValueError(
            f"group_weights has shape {tuple(weights.shape)} but patterns has {n_patterns} "
            "patterns: pass one weight per pattern"
        )
    if not bool(space.xp.all(weights > 0.0)):
        raise ValueError("group_weights must be > 0: leave out patterns that may not be used")
    return weights
