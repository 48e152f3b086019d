"""The program of ReLU networks over all patterns, on a device."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

from pyconvex.array_loss_base import ArrayLoss
from pyconvex.namespaces import DeviceArray, Space


@dataclass(frozen=True)
class Training:
    r"""Two-layer ReLU networks with weight decay, neurons u with one output sign s each.

    .. math:: \min \sum_i \omega_i \ell(f_i, y_i) + \beta \sum_j \|u_j\|, \qquad
              f = \sum_j s_j (X u_j)_+ + b

    Attributes
    ----------
    space : Space
        Where all arrays live.
    X : array, shape (n_samples, p)
        Rows in double, with the ones column last where neurons have a bias.
    loss : ArrayLoss
        The loss with targets and weights.
    beta : float
        Weight decay.
    intercept : bool
        Whether a free constant b is added.
    free_bias : bool
        Whether the last coordinate of a neuron is left out of the norm.
    """

    space: Space
    X: DeviceArray
    loss: ArrayLoss
    beta: float
    intercept: bool = False
    free_bias: bool = False

    def at(self, beta: float) -> "Training":
        """Return the same problem at another weight decay."""
        return replace(self, beta=beta)

    @cached_property
    def radius(self) -> float:
        """The largest norm of a row without its last coordinate."""
        xp, rows = self.space.xp, self.X[:, :-1]
        return math.sqrt(self.space.largest(xp.sum(rows * rows, axis=1)))

    def norms(self, U: DeviceArray) -> DeviceArray:
        """Return the penalised norms of neurons (m, p)."""
        W = U[:, :-1] if self.free_bias else U
        return self.space.xp.sqrt(self.space.xp.sum(W * W, axis=1))

    def bounded(self, U: DeviceArray) -> DeviceArray:
        """Return neurons with free biases cut off at R ||w||, where all rows are on or all off.

        What is cut off was a constant, which the intercept takes over.
        """
        if not self.free_bias:
            return U
        xp, reach = self.space.xp, self.radius * self.norms(U)[:, None]
        ends = xp.minimum(xp.maximum(U[:, -1:], -reach), reach)
        return xp.concat([U[:, :-1], ends], axis=1)

    def activations(self, U: DeviceArray) -> DeviceArray:
        """Return U X^T, (m, n_samples)."""
        return self.space.xp.matmul(U, self.space.xp.matrix_transpose(self.X))

    def outputs(self, U: DeviceArray) -> DeviceArray:
        """Return (X u_j)_+, (m, n_samples)."""
        A = self.activations(U)
        return self.space.xp.where(A > 0.0, A, self.space.xp.zeros_like(A))

    def prediction(self, U: DeviceArray, signs: DeviceArray) -> tuple[DeviceArray, float]:
        """Return f with the best constant, and that."""
        f = self.space.xp.matmul(signs[None, :], self.outputs(U))[0, :]
        shift = self.loss.best_shift(f) if self.intercept else 0.0
        return f + shift, shift

    def objective(self, f: DeviceArray, U: DeviceArray) -> float:
        """Return loss plus weight decay."""
        return self.loss.sample_loss(f) + self.beta * self.space.total(self.norms(U))

    def dual_objective(self, z: DeviceArray, norm: float) -> float:
        """Return the best dual objective among multiples of z, given N(z) or a bound of it."""
        return self.loss.dual_objective(z, self.beta / norm if norm > 0.0 else math.inf)

    def constant_multiplier(self) -> DeviceArray:
        """Return the multiplier z at the best constant, where no neuron is in use."""
        nothing = self.space.xp.zeros_like(self.loss.y)
        shift = self.loss.best_shift(nothing) if self.intercept else 0.0
        return self.loss.multiplier(nothing + shift)

    def norm_bound(self, z: DeviceArray) -> float:
        """Return a rigorous upper bound of N(z) from two eigenvalue problems.

        See `Problem.norm_bound`.
        """
        xp, X, factor = self.space.xp, self.X, 1.0
        if self.free_bias:
            ends = self.space.full((X.shape[0], 1), self.radius)
            X, factor = xp.concat([X[:, :-1], ends], axis=1), math.sqrt(2.0)
        bounds = []
        for side in (z, -z):
            part = xp.where(side > 0.0, side, xp.zeros_like(side))
            gram = xp.matmul(xp.matrix_transpose(X) * part[None, :], X)
            largest = self.space.largest(xp.linalg.eigvalsh(gram))
            bounds.append(math.sqrt(self.space.total(part) * max(largest, 0.0)))
        return factor * max(bounds) * (1.0 + 1e-12)
