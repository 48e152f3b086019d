"""The Newton systems of `ArrayNewton`: by conjugate gradients, small ones also directly."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from pyconvex.array_cholesky import solve_positive
from pyconvex.array_problem import ArrayProblem
from pyconvex.backends import array as kernels
from pyconvex.namespaces import DeviceArray, Space

_POWERS = 2  # power iterations towards the masks' mean


@dataclass(frozen=True)
class ArraySystem:
    r"""The matrix diag(d) + sigma [(X X^T) o (M^T diag(c) M) + R^T diag(e) R + l^2 1 1^T].

    Rows of M are masks of the active groups, those of R their outputs D_g X w_g. Neither is formed:
    a product with v takes W_g = X^T D_g v, then sum_g D_g X (c_g W_g + e_g (w_g . W_g) w_g).

    Attributes
    ----------
    problem : ArrayProblem
        Data and space.
    masks : Masks
        The active groups.
    weights : array, shape (k, p)
        w_g.
    scale, bend : array, shape (k,)
        c and e.
    diagonal : array, shape (n_samples,)
        d > 0.
    sigma : float
        The penalty.
    constant : float
        l: the size of the intercept's column, 0 without one.
    free : array, shape (n_samples,), or None
        1 for samples whose multiplier may move, else 0; None for all. The rows and columns of the
        others are cut down to their diagonals.
    """

    problem: ArrayProblem
    masks: kernels.Masks
    weights: DeviceArray
    scale: DeviceArray
    bend: DeviceArray
    diagonal: DeviceArray
    sigma: float
    constant: float
    free: DeviceArray | None = None

    @property
    def space(self) -> Space:
        """Where the arrays live."""
        return self.problem.space

    def _cut(self, v: DeviceArray) -> DeviceArray:
        return v if self.free is None else v * self.free

    def times(self, v: DeviceArray) -> DeviceArray:
        """Return the product with v, which is 0 at samples that are not free."""
        X = self.problem.X
        W = self.masks.pull(X, v)
        along = self.bend * self.space.xp.sum(self.weights * W, axis=1)
        product = self.masks.push(X, self.scale[:, None] * W + along[:, None] * self.weights)
        if self.constant:
            product = product + self.constant**2 * self.space.total(v)
        return self._cut(self.sigma * product) + self.diagonal * v

    def iterate(
        self, right: DeviceArray, tol: float, max_work: float, stop: Callable[[], bool]
    ) -> DeviceArray | None:
        """Solve by preconditioned conjugate gradients.

        Stops at ``tol`` times the norm of the right-hand side; None where that takes more than
        ``max_work`` flops, or where ``stop`` says so, or where rounding ends it.
        """
        space = self.space
        precondition = self._preconditioner()
        solution, residual = space.xp.zeros_like(right), right
        direction = scaled = precondition(residual)
        product, goal = space.dot(residual, scaled), tol * space.norm(right)
        for _ in range(int(min(max_work / self.product_work, 10.0 * right.shape[0]))):
            if stop():
                return None
            image = self.times(direction)
            curvature = space.dot(direction, image)
            if not curvature > 0.0:
                return None
            length = product / curvature
            solution = solution + length * direction
            residual = residual - length * image
            if space.norm(residual) <= goal:
                return solution
            scaled = precondition(residual)
            previous, product = product, space.dot(residual, scaled)
            direction = scaled + (product / previous) * direction
        return None

    def _preconditioner(self) -> Callable[[DeviceArray], DeviceArray]:
        """Return the inverse of the matrix with the masks cut down to a diagonal and their mean.

        M^T diag(c) M of many masks is near the a a^T of their mean, which leaves
        diag(h) + sigma Y Y^T with Y = diag(a) X, inverted through a p x p matrix.
        """
        space, xp, X = self.space, self.space.xp, self.problem.X
        heights = self.masks.sum_groups(self.scale) * self.problem.row_squares
        bent = self.weights * xp.sqrt(self.bend)[:, None]
        heights = heights + self.masks.push_squares(X, bent) + self.constant**2
        if space.linalg is None:
            inverse = 1.0 / (self.diagonal + self._cut(self.sigma * heights))
            return lambda v: inverse * v
        a = self._cut(self._mean())
        heights = heights - a * a * self.problem.row_squares
        heights = xp.where(heights > 0.0, heights, xp.zeros_like(heights))
        inverse = 1.0 / (self.diagonal + self._cut(self.sigma * heights))
        inner = self._gram(a * a * inverse)
        inner = inner + xp.eye(X.shape[1], dtype=space.double, device=space.device) / self.sigma
        inner = space.linalg.inv(inner)

        def precondition(v: DeviceArray) -> DeviceArray:
            scaled = inverse * v
            down = xp.matmul(inner, self._pull(a * scaled))
            return scaled - inverse * a * self._push(down)

        return precondition

    def _mean(self) -> DeviceArray:
        """Return a: a_i^2 is at most the diagonal entry of M^T diag(c) M."""
        space, roots = self.space, self.space.xp.sqrt(self.scale)
        across = space.full(len(self.masks), 1.0)
        for _ in range(_POWERS):
            across = roots * self.masks.sum_samples(self.masks.sum_groups(roots * across))
            across = across / (space.norm(across) or 1.0)
        return self.masks.sum_groups(roots * across)

    def _gram(self, weights: DeviceArray) -> DeviceArray:
        """Return X^T diag(weights) X, (p, p)."""
        space, xp, X = self.space, self.space.xp, self.problem.X
        total = space.zeros(X.shape[1], X.shape[1])
        for part in kernels.rows_of(space, *X.shape):
            rows = space.to_double(X[part, :])
            total += xp.matmul(xp.matrix_transpose(rows * weights[part][:, None]), rows)
        return total

    def _pull(self, v: DeviceArray) -> DeviceArray:
        """Return X^T v."""
        space, X = self.space, self.problem.X
        total = space.zeros(X.shape[1])
        for part in self._parts:
            total += space.xp.matmul(v[part], space.to_double(X[part, :]))
        return total

    def _push(self, u: DeviceArray) -> DeviceArray:
        """Return X u."""
        space, X = self.space, self.problem.X
        parts = [space.xp.matmul(space.to_double(X[part, :]), u) for part in self._parts]
        return parts[0] if len(parts) == 1 else space.xp.concat(parts)

    @cached_property
    def _parts(self) -> list[slice]:
        """Blocks of rows: one where X needs no conversion."""
        X = self.problem.X
        if X.dtype == self.space.double:
            return [slice(0, X.shape[0])]
        return list(kernels.rows_of(self.space, *X.shape))

    def factorise(self, right: DeviceArray, gram: DeviceArray) -> DeviceArray:
        """Solve directly, given X X^T."""
        space, xp = self.space, self.space.xp
        bits = kernels.unpack(space, self.masks.packed, right.shape[0])
        masks = space.to_double(bits)
        X = space.to_double(self.problem.X)
        borders = masks * xp.matmul(self.weights, xp.matrix_transpose(X))
        masks = masks * xp.sqrt(self.scale)[:, None]
        borders = borders * xp.sqrt(self.bend)[:, None]
        matrix = xp.matmul(xp.matrix_transpose(masks), masks) * gram
        matrix += xp.matmul(xp.matrix_transpose(borders), borders)
        matrix += self.constant**2
        matrix *= self.sigma
        if self.free is not None:
            matrix *= self.free[:, None] * self.free
        matrix += xp.eye(right.shape[0], dtype=space.double, device=space.device) * self.diagonal
        return solve_positive(space, matrix, right)

    @property
    def product_work(self) -> float:
        """Flops of a product, where passes over the masks count too."""
        n, p = (float(size) for size in self.problem.X.shape)
        return len(self.masks) * n * (4.0 * p + 40.0) + 1.0

    @property
    def factor_work(self) -> float:
        """Flops of the direct solution."""
        n, k = float(self.problem.X.shape[0]), float(len(self.masks))
        return n * n * (2.0 * k + 0.5 * n)

    @property
    def fits(self) -> bool:
        """Whether there is a direct solution, within half the budget of memory."""
        n = self.problem.X.shape[0]
        needed: int = 8 * n * (6 * n + 4 * len(self.masks))  # bytes
        return self.space.linalg is not None and bool(2 * needed <= kernels.MEMORY_BUDGET)
