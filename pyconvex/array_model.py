r"""The convex model of a two-layer network near given weights, on a device.

Near weights U the loss is quadratic in the outputs, every neuron keeps its pattern, and a row k
that leaves neuron j's cell costs c_jk per unit of its preactivation,

.. math:: \tfrac12 \sum_i h_i \Bigl(\sum_j s_j D_j x_i \cdot (v_j - u_j) + b - z_i / h_i\Bigr)^2
          + \sum_j \bigl(\beta_j \|v_j\| + \tfrac\rho2 \|v_j\|^2\bigr)
          + \sum_{jk} c_{jk} (-a_{jk})_+ , \qquad a_{jk} = \pm x_k \cdot v_j \ge 0 \text{ inside}.

c = infinity makes the side of a cell a wall; c_jk = -s_j z_k is what crossing a convex kink costs
the loss, to first order.
"""

from dataclasses import dataclass

from pyconvex.backends import array as kernels
from pyconvex.backends.array import blocks
from pyconvex.namespaces import DeviceArray, Space


@dataclass(frozen=True)
class Model:
    """The convex model near U; see above.

    Attributes
    ----------
    space : Space
        Where the arrays live.
    X : array, shape (n, p)
        Rows in double.
    U : array, shape (m, p)
        Weights.
    signs : array, shape (m,)
        s.
    on : array, shape (m, n)
        Patterns, 1.0 or 0.0.
    cost : array, shape (m, n)
        c; 0 where a side costs nothing.
    z, curvature : array, shape (n,)
        Multiplier of the loss at U and h > 0.
    betas : array, shape (m,)
        Penalties.
    free_bias : bool
        Whether the last coordinate is left out of the norm.
    intercept : bool
        Whether a free constant is part of the output.
    ridge : float
        rho.
    """

    space: Space
    X: DeviceArray
    U: DeviceArray
    signs: DeviceArray
    on: DeviceArray
    cost: DeviceArray
    z: DeviceArray
    curvature: DeviceArray
    betas: DeviceArray
    free_bias: bool = False
    intercept: bool = False
    ridge: float = 0.0

    def decayed(self, V: DeviceArray) -> DeviceArray:
        """Return V with zeros where coordinates are left out of the norm."""
        if not self.free_bias:
            return V
        xp = self.space.xp
        last = xp.arange(V.shape[1], device=V.device) == V.shape[1] - 1
        return xp.where(last[None, :], xp.zeros_like(V), V)

    def gram(self) -> DeviceArray:
        """Return the Hessian of the loss, (K, K) with K = m p and one more for an intercept."""
        space, xp = self.space, self.space.xp
        (m, n), p = self.on.shape, self.X.shape[1]
        K = m * p + int(self.intercept)
        total = space.zeros(K, K)
        factor = xp.matrix_transpose(self.signs[:, None] * self.on)  # (n, m)
        for part in blocks(n, max(1, kernels.MEMORY_BUDGET // (24 * K))):
            J = factor[part, :, None] * self.X[part, None, :]
            J = xp.reshape(J, (J.shape[0], m * p))
            if self.intercept:
                J = xp.concat([J, space.full((J.shape[0], 1), 1.0)], axis=1)
            J = J * xp.sqrt(self.curvature[part])[:, None]
            total = total + xp.matmul(xp.matrix_transpose(J), J)
        return total

    def pull(self, weights: DeviceArray) -> DeviceArray:
        """Return X^T weights_j for every neuron, (m, p), given (m, n)."""
        return self.space.xp.matmul(weights, self.X)

    def grams_of(self, weights: DeviceArray) -> DeviceArray:
        """Return X^T diag(weights_j) X for every neuron, (m, p, p), given (m, n)."""
        space, xp = self.space, self.space.xp
        (m, n), p = weights.shape, self.X.shape[1]
        columns = xp.matrix_transpose(self.X)
        parts = []
        for part in blocks(m, max(1, kernels.MEMORY_BUDGET // (16 * n * p))):
            parts.append(xp.matmul(columns[None, :, :] * weights[part, None, :], self.X))
        return xp.concat(parts, axis=0) if parts else space.zeros(0, p, p)
