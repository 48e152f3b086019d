r"""A joint Newton step of the neurons of all classes, each on the face it lies on.

Classes that take turns hardly move along what they share: a function added to every output leaves
the softmax as it is. The Hessian couples them,
:math:`\sum_i s_i J_i^T (\mathrm{diag}(p_i) - p_i p_i^T) J_i` plus the penalty's, J the derivative
of the outputs by the coordinates of the faces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyconvex.column_generation import Solver
from pyconvex.losses import Array
from pyconvex.neurons import Neurons
from pyconvex.program import Problem

MAX_SIZE = 1000  # coordinates of all classes together
DAMPINGS = (1e-12, 1e-6, 1e-3, 1e-1)  # of the diagonal, tried in turn


@dataclass(frozen=True)
class _Class:
    """The coordinates of one class: bases (p, r) of its neurons' faces, and the derivatives.

    After those of the neurons come a decayed skip connection in use and the free coefficients.
    """

    problem: Problem
    bases: list[Array]
    jacobian: Array  # of the output on the rows, (n_rows, K)
    gradient: Array  # of the penalty, (K,)
    hessian: Array  # of the penalty, (K, K)

    @classmethod
    def of(cls, solver: Solver, neurons: Neurons) -> "_Class":
        """Return the coordinates of a class."""
        problem = solver.problem
        X, beta = problem.X, problem.beta
        on = solver.outputs(neurons.U, neurons.pattern) > 0.0
        if solver.mode != solver.kernels.CROSSING:
            on = solver.kernels.unpack(solver.packed[neurons.pattern], len(X))
        bases = [_face(X[tight[tight >= 0]], X.shape[1]) for tight in neurons.tight]
        size = sum(basis.shape[1] for basis in bases)
        linear = problem.free
        if problem.decayed.shape[1] and neurons.skip.any():
            linear = np.hstack([problem.decayed, linear])
        jacobian = np.hstack([np.zeros((len(X), size)), linear])
        size += linear.shape[1]
        gradient, hessian, at = np.zeros(size), np.zeros((size, size)), 0
        for j, basis in enumerate(bases):
            part = slice(at, at + basis.shape[1])
            mask = on[j].copy()
            mask[neurons.tight[j][neurons.tight[j] >= 0]] = False
            jacobian[:, part] = neurons.signs[j] * mask[:, np.newaxis] * (X @ basis)
            counted = basis[:-1] if problem.free_bias else basis
            u = neurons.U[j, :-1] if problem.free_bias else neurons.U[j]
            gradient[part], hessian[part, part] = _norm_derivatives(counted, u, beta)
            at += basis.shape[1]
        if linear.shape[1] > problem.free.shape[1]:
            part = slice(at, at + len(neurons.skip))
            unit = np.eye(len(neurons.skip))
            gradient[part], hessian[part, part] = _norm_derivatives(unit, neurons.skip, beta)
        return cls(problem, bases, jacobian, gradient, hessian)

    def moved(self, neurons: Neurons, step: Array) -> Neurons:
        """Return the neurons after a step (K,) in the coordinates."""
        U, at = neurons.U.copy(), 0
        for j, basis in enumerate(self.bases):
            U[j] += basis @ step[at : at + basis.shape[1]]
            at += basis.shape[1]
        skip, n_free = neurons.skip, self.problem.free.shape[1]
        if at < len(step) - n_free:
            skip = skip + step[at : len(step) - n_free]
        moved = replace(neurons, U=U, skip=skip)
        return moved.shifted(self.problem, step[len(step) - n_free :], neurons.prediction)


def _norm_derivatives(basis: Array, u: Array, beta: float) -> tuple[Array, Array]:
    """Return gradient and Hessian of beta ||u|| by coordinates: u moves along basis (p, r)."""
    length = float(np.linalg.norm(u))
    along = basis.T @ (u / length)
    return beta * along, beta / length * (basis.T @ basis - np.outer(along, along))


def newton_steps(
    solvers: Sequence[Solver],
    state: Sequence[Neurons],
    probabilities: Array,
    z: Array,
) -> Iterator[list[Neurons]]:
    """Give the neurons after a Newton step, then after ever more damped ones.

    Along what all outputs share the loss is flat, and an undamped step may be far too long. Gives
    nothing where there are too many coordinates. ``probabilities`` and the multiplier ``z`` have
    shape (n_samples, n_classes).
    """
    problem = solvers[0].problem
    linear = problem.decayed.shape[1] + problem.free.shape[1]
    size = sum(neurons.U.size + linear for neurons in state)
    if size > MAX_SIZE or not any(len(neurons) or neurons.skip.any() for neurons in state):
        return
    classes = [_Class.of(*pair) for pair in zip(solvers, state, strict=True)]
    ends = np.cumsum([0, *(len(one.gradient) for one in classes)])
    hessian, gradient = np.zeros((ends[-1], ends[-1])), np.zeros(ends[-1])
    s = problem.sample_weight
    for k, one in enumerate(classes):
        rows = slice(ends[k], ends[k + 1])
        at_rows = problem.at_rows(np.ascontiguousarray(z[:, k]))
        gradient[rows] = one.gradient - one.jacobian.T @ at_rows
        for j, other in enumerate(classes[: k + 1]):
            weights = s * probabilities[:, k] * (float(j == k) - probabilities[:, j])
            weights = problem.at_rows(weights)
            block = (one.jacobian.T * weights) @ other.jacobian
            hessian[rows, ends[j] : ends[j + 1]] = block
            hessian[ends[j] : ends[j + 1], rows] = block.T
        hessian[rows, rows] += one.hessian
    diagonal = np.diag_indices_from(hessian)
    least = 1e-3 * np.abs(hessian).max()
    heights = np.maximum(hessian[diagonal], least)
    for damping in DAMPINGS:
        damped = hessian.copy()
        damped[diagonal] += damping * heights
        try:
            step = -np.linalg.solve(damped, gradient)
        except np.linalg.LinAlgError:
            continue
        moves = zip(classes, state, np.split(step, ends[1:-1]), strict=True)
        yield [one.moved(neurons, part) for one, neurons, part in moves]


def _face(rows: Array, p: int) -> Array:
    """Return an orthonormal basis (p, r) of what is orthogonal to some rows."""
    if len(rows) == 0:
        return np.eye(p)
    _, sizes, directions = np.linalg.svd(rows)
    rank = int((sizes > 1e-10 * sizes[0]).sum())
    basis: Array = directions[rank:].T
    return basis
