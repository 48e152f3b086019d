"""The linear part of an output: columns of a skip connection, and the best free coefficients."""

from dataclasses import dataclass, field

import numpy as np

from pyconvex.losses import Array, Loss, Softmax
from pyconvex.losses.line_search import step_length

_SMALL = 1e-12  # singular values below this, relative, are zero
_STEPS = 100  # of Newton's method
_CALM = 20  # after so many its curvatures are raised more and more
_ROUNDING = 8 * np.finfo(float).eps  # of a sum, relative to the sum of absolute values
_RECEDING = 1e-7  # slopes along a direction that sum up to less are rounding
_VANISHED = 1e-9  # a share of its largest size at which a multiplier may be on its way to zero


@dataclass(frozen=True)
class Skip:
    """Columns ((features - mean) @ transform), and the way back to the features.

    Parameters
    ----------
    columns : array, shape (n_rows, k)
        What the output gets straight from the features.
    transform : array, shape (n_features, k)
        Coefficients of the features that make the columns.
    mean : array, shape (n_features,)
        Subtracted from the features; zero without a free constant.
    free : bool
        Whether the columns are without penalty. Else the norm of their coefficients is penalised.
    """

    columns: Array = field(repr=False)
    transform: Array = field(repr=False)
    mean: Array = field(repr=False)
    free: bool

    @classmethod
    def of(cls, features: Array, *, free: bool, constant: bool) -> "Skip":
        """Return the skip connection of features (n_rows, n_features).

        Centred where there is a free ``constant``. Free columns are orthogonal and span those of
        the features: dependent ones make no trouble.
        """
        n, d = features.shape
        mean = features.mean(axis=0) if constant else np.zeros(d)
        centred = features - mean
        if not free:
            return cls(np.ascontiguousarray(centred), np.eye(d), mean, False)
        sizes = np.linalg.norm(centred, axis=0)
        flat = sizes <= _SMALL * np.linalg.norm(features, axis=0)  # a constant but for rounding
        units = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, sizes))
        U, values, V = np.linalg.svd(centred * units, full_matrices=False)
        kept = values > _SMALL * float(values.max(initial=0.0))
        transform = units[:, np.newaxis] * V[kept].T * (np.sqrt(n) / values[kept])
        columns = np.ascontiguousarray(np.sqrt(n) * U[:, kept])
        return cls(columns, transform, mean, True)

    def to_features(self, coef: Array) -> tuple[Array, Array]:
        """Return the features' coefficients, and what each output loses by the mean.

        ``coef`` has shape (k, n_outputs).
        """
        weights: Array = self.transform @ coef
        return weights, self.mean @ weights


def best_coefficients(loss: Loss, f: Array, y: Array, sample_weight: Array, F: Array) -> Array:
    """Return the a that minimises the smooth weighted loss of f + F a.

    Newton's method; its steps end where the slope along them vanishes, which needs no values of
    the loss: the multiplier becomes orthogonal to the columns to rounding.
    """
    a = np.zeros(F.shape[1])
    sizes = np.abs(F)
    best, least = a, np.inf
    for step in range(_STEPS):
        with np.errstate(over="ignore"):
            at = f + F @ a
            z = loss.multiplier(at, y, sample_weight)
            curvatures = sample_weight * loss.curvatures(at, y)
            dampers = sample_weight * loss.dampers(at, y)
        gradient = z @ F
        noise = _ROUNDING * ((np.abs(z) + curvatures * np.abs(at)) @ sizes)
        excess = float((np.abs(gradient) - noise).max())
        if excess < least:
            best, least = a, excess
        if excess <= 0.0:
            break
        raised = min(1e-10 * 4.0 ** max(step - _CALM, 0), 1.0)
        hessian = (F.T * (curvatures + raised * dampers)) @ F
        try:
            direction = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            direction = gradient
        moved = a + step_length(loss, at, y, sample_weight, F @ direction) * direction
        if (moved == a).all() or not np.isfinite(moved).all():
            break
        a = moved
    return best


def check_attained(loss: Loss, y: Array, sample_weight: Array, F: Array) -> None:
    """Raise ValueError where no coefficients of free columns F attain the least loss.

    There is a direction along which no sample's loss rises and some fall for ever: with the
    logistic loss columns that separate the classes.
    """
    if not loss.steep:
        return
    start = np.zeros(len(y))
    a = best_coefficients(loss, start, y, sample_weight, F)
    z = np.abs(loss.multiplier(F @ a, y, sample_weight))
    if (z <= _VANISHED * sample_weight).any() and _recedes(loss, y, F):
        raise _not_attained(loss)


def check_all_attained(loss: Loss, Y: Array, sample_weight: Array, F: Array) -> None:
    """Do the same for targets (n_samples, n_outputs)."""
    if isinstance(loss, Softmax):
        _check_attained_by_classes(loss, Y, sample_weight, F)
        return
    for y in np.ascontiguousarray(Y.T):
        check_attained(loss, y, sample_weight, F)


def _check_attained_by_classes(loss: Softmax, Y: Array, sample_weight: Array, F: Array) -> None:
    """Do the same for the softmax, whose targets are shares of the classes."""
    f = F @ loss.best_coefficients(np.zeros_like(Y), Y, sample_weight, F)
    z = loss.multiplier(f, Y, sample_weight)
    shares = Y - z / sample_weight[:, np.newaxis]
    if (shares > _VANISHED).all():
        return
    separated = bool((np.where(Y > 0.0, f, np.inf).min(axis=1) > _others(f, Y)).all())
    if (separated and bool((Y.max(axis=1) == 1.0).all())) or _classes_recede(Y, F):
        raise _not_attained(loss)


def _others(f: Array, Y: Array) -> Array:
    """Return each sample's largest output of a class without share."""
    largest: Array = np.where(Y > 0.0, -np.inf, f).max(axis=1)
    return largest


def _not_attained(loss: Loss) -> ValueError:
    return ValueError(
        f"skip='free' has no finite optimum for loss='{loss.name}' and these data: some linear "
        "function of X lowers the loss for ever, as one that separates two classes does: pass "
        "skip='decayed' or 'none'"
    )


def _classes_recede(Y: Array, F: Array) -> bool:
    """Tell whether some F A prefers no class to one with a share, and some such class to another.

    A has shape (k, n_classes), a column for each class.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack, vstack

    c = Y.shape[1]
    rows = []  # F (A_other - A_label) <= 0
    for label in range(c):
        part = csr_array(F[Y[:, label] > 0.0])
        for other in (k for k in range(c) if k != label):
            blocks = [csr_array(part.shape)] * c
            blocks[label], blocks[other] = -part, part
            rows.append(hstack(blocks))
    inequalities = vstack(rows).tocsr()
    nothing = np.zeros(inequalities.shape[0])
    found = linprog(inequalities.sum(axis=0), A_ub=inequalities, b_ub=nothing, bounds=(-1.0, 1.0))
    return bool(found.status == 0 and -found.fun > _RECEDING)


def _recedes(loss: Loss, y: Array, F: Array) -> bool:
    """Tell whether some F c is nowhere on a side where a loss grows, and not zero everywhere."""
    from scipy.optimize import linprog

    low, high = loss.domain(y)  # of the slopes: the loss grows by high to the right
    side = np.where(high == 0.0, 1.0, -1.0)
    fixed = (high != 0.0) & (low != 0.0)
    inward = side[~fixed, np.newaxis] * F[~fixed]
    found = linprog(
        -inward.sum(axis=0),
        A_ub=-inward,
        b_ub=np.zeros(len(inward)),
        A_eq=F[fixed] if fixed.any() else None,
        b_eq=np.zeros(int(fixed.sum())) if fixed.any() else None,
        bounds=(-1.0, 1.0),
    )
    return bool(found.status == 0 and -found.fun > _RECEDING)
