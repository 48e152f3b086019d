"""Numba kernels for many neurons: block coordinate descent and joint Newton on their faces."""

import numpy as np
from numba import njit

from .jit_neuron import (
    CROSSING,
    FIXED,
    GATED,
    MOVING,
    count_tight,
    descend,
    face_basis,
    masked_gram,
    norm_slope,
    penalised_dot,
    row_norms,
    unpack_bits,
)


@njit(cache=True, nogil=True)
def neuron_output(X, u, on, mode):
    """Output on the rows: (X u)_+ where bits may change, else X u masked by the fixed bits."""
    a = np.dot(X, u)
    for i in range(a.shape[0]):
        if (a[i] <= 0.0) if mode == CROSSING else not on[i]:
            a[i] = 0.0
    return a


@njit(cache=True, nogil=True)
def norms_slope(beta, uu, up, pp, t):
    """d/dt of the sum of beta ||u_j + t p_j||."""
    total = 0.0
    for j in range(uu.shape[0]):
        total += norm_slope(beta, uu[j], up[j], pp[j], t)
    return total


@njit(cache=True, nogil=True)
def objective(residual, sample_weight, U, beta, free_bias):
    """Weighted half squared residual plus beta times the group norms."""
    value = 0.5 * np.dot(sample_weight * residual, residual)
    for j in range(U.shape[0]):
        value += beta * np.sqrt(penalised_dot(U[j], U[j], free_bias))
    return value


@njit(cache=True, nogil=True)
def centre(residual, sample_weight, intercept):
    """Refit the intercept exactly: take the weighted mean off the residual and return it."""
    if not intercept:
        return 0.0
    mean = np.dot(sample_weight, residual)
    residual -= mean
    return mean


@njit(cache=True, nogil=True)
def sweep(X, norms, sample_weight, residual, U, signs, on, tight, beta, intercept, free_bias, mode):
    """One pass of exact block updates; changes residual, U, on and tight; returns the shift."""
    p = X.shape[1]
    shift = 0.0
    for j in range(U.shape[0]):
        residual += signs[j] * neuron_output(X, U[j], on[j], mode)
        H = masked_gram(X, on[j], tight[j], sample_weight)
        slopes = signs[j] * sample_weight * residual
        descend(X, norms, H, sample_weight, slopes, 0.0, beta, free_bias, mode,
                U[j], on[j], tight[j], 50 * p)
        if penalised_dot(U[j], U[j], free_bias) == 0.0:
            U[j] = 0.0  # a constant neuron is the intercept's business
            tight[j] = -1
        residual -= signs[j] * neuron_output(X, U[j], on[j], mode)
        shift += centre(residual, sample_weight, intercept)
    return shift


@njit(cache=True, nogil=True)
def newton_direction(X, sample_weight, residual, U, signs, on, tight, beta, intercept, free_bias):
    """Newton direction of all neurons in the coordinates of their faces.

    Returns the directions (m, p), the intercept's, and the decrement -gradient . step. The
    Hessian is Z^T W Z / 1 + block diagonal of beta (I - w w^T) / ||u_j||, Z = [s_j D_j X B_j, 1].
    """
    n, p = X.shape
    m = U.shape[0]
    offsets = np.zeros(m + 1, np.int64)
    bases = np.zeros((m, p, p))
    for j in range(m):
        B, _, _ = face_basis(X, tight[j], count_tight(tight[j]), free_bias)
        bases[j, :, : B.shape[1]] = B
        offsets[j + 1] = offsets[j] + B.shape[1]
    K = offsets[m] + (1 if intercept else 0)
    Z = np.zeros((n, K))
    gradient = np.zeros(K)
    hessian = np.zeros((K, K))
    for j in range(m):
        low, high = offsets[j], offsets[j + 1]
        B = np.ascontiguousarray(bases[j, :, : high - low])
        XB = np.dot(X, B)
        for i in range(n):
            if on[j, i]:
                Z[i, low:high] = signs[j] * XB[i]
        size = np.sqrt(penalised_dot(U[j], U[j], free_bias))
        w = U[j] / size
        unit = np.eye(high - low)
        if free_bias:
            w[p - 1] = 0.0
            if tight[j, 0] < 0:
                unit[high - low - 1, high - low - 1] = 0.0
        wB = np.dot(w, B)
        gradient[low:high] = beta * wB
        hessian[low:high, low:high] = (beta / size) * (unit - np.outer(wB, wB))
    if intercept:
        Z[:, K - 1] = 1.0
    gradient -= np.dot(Z.T, sample_weight * residual)
    root = np.sqrt(sample_weight)
    Z *= root.reshape(n, 1)
    hessian += np.dot(Z.T, Z)
    damping = 1e-13 * np.trace(hessian) / K
    for k in range(K):
        hessian[k, k] += damping  # collinear neurons make it singular
    step = -np.linalg.solve(hessian, gradient)
    directions = np.zeros((m, p))
    for j in range(m):
        low, high = offsets[j], offsets[j + 1]
        B = np.ascontiguousarray(bases[j, :, : high - low])
        directions[j] = np.dot(B, step[low:high])
    return directions, step[K - 1] if intercept else 0.0, -np.dot(gradient, step)


@njit(cache=True, nogil=True)
def joint_line_search(norms, sample_weight, residual, fit, U, directions, a, b, signs, on, tight,
                      beta, free_bias, mode):
    """First local minimum of the objective along all directions together, up to t = 2.

    ``fit`` is the derivative of the prediction, ``a`` and ``b`` the preactivations of U and of
    the directions. Kinks are treated as in ``line_search``; returns t and the (neuron, row) of
    the kink that ended the search, or -1, -1.
    """
    m, n = a.shape
    uu, up, pp = np.zeros(m), np.zeros(m), np.zeros(m)
    kinks = np.empty(m * n if mode != GATED else 0)
    where = np.empty(kinks.shape[0], np.int64)
    count = 0
    for j in range(m):
        uu[j] = penalised_dot(U[j], U[j], free_bias)
        up[j] = penalised_dot(U[j], directions[j], free_bias)
        pp[j] = penalised_dot(directions[j], directions[j], free_bias)
        if mode == GATED:
            continue
        moving = MOVING * np.sqrt(np.dot(directions[j], directions[j]))
        is_tight = np.zeros(n, np.bool_)
        for k in range(count_tight(tight[j])):
            is_tight[tight[j, k]] = True
        for i in range(n):
            if is_tight[i] or abs(b[j, i]) <= moving * norms[i] or (b[j, i] < 0.0) != on[j, i]:
                continue
            t = max(a[j, i] if on[j, i] else -a[j, i], 0.0) / abs(b[j, i])
            if t < 2.0:
                kinks[count] = t
                where[count] = j * n + i
                count += 1
    order = np.argsort(kinks[:count])
    slope = -np.dot(sample_weight * residual, fit)
    curve = np.dot(sample_weight * fit, fit)
    rest = residual.copy()
    low = 0.0
    for k in range(count + 1):
        t = kinks[order[k]] if k < count else 2.0
        if slope + t * curve + norms_slope(beta, uu, up, pp, t) >= 0.0 and t > low:
            high = t
            for _ in range(60):
                t = 0.5 * (low + high)
                if slope + t * curve + norms_slope(beta, uu, up, pp, t) >= 0.0:
                    high = t
                else:
                    low = t
            return high, -1, -1
        if k == count:
            return t, -1, -1
        j, i = where[order[k]] // n, where[order[k]] % n
        if mode == FIXED:
            return t, j, i
        change = (-1.0 if on[j, i] else 1.0) * signs[j] * b[j, i]
        old, new = fit[i], fit[i] + change
        new_slope = slope + sample_weight[i] * (rest[i] * old - (rest[i] + t * change) * new)
        new_curve = curve + sample_weight[i] * (new * new - old * old)
        if new_slope + t * new_curve + norms_slope(beta, uu, up, pp, t) >= 0.0:
            return t, j, i
        slope, curve, low = new_slope, new_curve, t
        rest[i] += t * change
        fit[i] = new
        on[j, i] = not on[j, i]
    return 0.0, -1, -1


@njit(cache=True, nogil=True)
def newton(X, norms, sample_weight, residual, U, signs, on, tight, beta, intercept, free_bias,
           mode):
    """One joint Newton step; changes residual, U, on and tight; returns decrement and shift."""
    n, p = X.shape
    m = U.shape[0]
    directions, step, decrement = newton_direction(
        X, sample_weight, residual, U, signs, on, tight, beta, intercept, free_bias
    )
    fit = np.full(n, step)
    a, b = np.dot(U, X.T), np.dot(directions, X.T)
    for j in range(m):
        for k in range(count_tight(tight[j])):
            b[j, tight[j, k]] = 0.0
        for i in range(n):
            if on[j, i]:
                fit[i] += signs[j] * b[j, i]
    start = residual.copy()
    for j in range(m):
        residual += signs[j] * neuron_output(X, U[j], on[j], mode)
    t, wall, row = joint_line_search(norms, sample_weight, start, fit, U, directions, a, b, signs,
                                     on, tight, beta, free_bias, mode)
    U += t * directions
    if wall >= 0:
        k = count_tight(tight[wall])
        if k == p - 1:
            U[wall] = 0.0  # on a ray the only wall is the apex
            tight[wall] = -1
        else:
            tight[wall, k] = row
    for j in range(m):
        residual -= signs[j] * neuron_output(X, U[j], on[j], mode)
    return decrement, centre(residual, sample_weight, intercept)


@njit(cache=True, nogil=True)
def merge(X, norms, residual, U, signs, on, tight):
    """Add up neurons of one sign that share a closed cell: same output, no larger norm."""
    m, n = on.shape
    a = np.dot(U, X.T)
    for i in range(m):
        flat = 1e-11 * np.sqrt(np.dot(U[i], U[i]))
        for k in range(n):
            if abs(a[i, k]) <= flat * norms[k]:
                a[i, k] = 0.0
    for i in range(m):
        for j in range(i):
            if signs[i] != signs[j] or not np.any(U[j]) or not np.any(U[i]):
                continue
            together = True
            for k in range(n):
                if a[i, k] * a[j, k] < 0.0:
                    together = False
                    break
            if together:
                both = U[i] + U[j]
                residual += signs[i] * (
                    neuron_output(X, U[i], on[i], CROSSING)
                    + neuron_output(X, U[j], on[j], CROSSING)
                )
                U[j] = both
                U[i] = 0.0
                a[j] += a[i]
                on[j] = a[j] > 0.0
                tight[j] = -1
                residual -= signs[j] * neuron_output(X, U[j], on[j], CROSSING)
                break


@njit(cache=True, nogil=True)
def nonzero(U):
    """Indices of the neurons that are not zero."""
    keep = np.zeros(U.shape[0], np.bool_)
    for j in range(U.shape[0]):
        keep[j] = np.any(U[j])
    return np.flatnonzero(keep)


@njit(cache=True, nogil=True)
def refine(X, sample_weight, residual, U, signs, packed, tight, beta, intercept, free_bias, mode,
           tol, max_sweeps, max_newton, max_size):
    """Sweeps of exact block updates, each followed by joint Newton steps on the faces.

    Ends when a round lowers the objective by less than ``tol`` or after ``max_sweeps``. With
    more than ``max_size`` face coordinates the Newton steps are left out. Returns the indices
    of the neurons that stayed, their weights (m, p) and tight rows (m, p; -1 pads), the
    residual, the change of the intercept and the last decrease.
    """
    n, p = X.shape
    norms = row_norms(X)
    residual, U, signs, tight = residual.copy(), U.copy(), signs.copy(), tight.copy()
    kept = np.arange(U.shape[0])
    on = np.dot(U, X.T) > 0.0 if mode == CROSSING else unpack_bits(packed, n)
    shift = centre(residual, sample_weight, intercept)
    before = objective(residual, sample_weight, U, beta, free_bias)
    decrease = np.inf
    for _ in range(max_sweeps):
        shift += sweep(X, norms, sample_weight, residual, U, signs, on, tight, beta, intercept,
                       free_bias, mode)
        if mode == CROSSING:
            merge(X, norms, residual, U, signs, on, tight)
        for _ in range(max_newton):
            stay = nonzero(U)
            kept, U, signs, on, tight = kept[stay], U[stay], signs[stay], on[stay], tight[stay]
            size = U.shape[0] * p - np.sum(tight >= 0)
            if U.shape[0] == 0 or size > max_size:
                break
            decrement, moved = newton(X, norms, sample_weight, residual, U, signs, on, tight,
                                      beta, intercept, free_bias, mode)
            shift += moved
            if decrement <= tol:
                break
        value = objective(residual, sample_weight, U, beta, free_bias)
        decrease, before = before - value, value
        if decrease <= tol:
            break
    stay = nonzero(U)
    return kept[stay], U[stay], tight[stay], residual, shift, decrease
