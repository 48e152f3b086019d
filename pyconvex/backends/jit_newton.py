"""Numba kernels of the joint Newton step of many neurons on their faces."""

import numpy as np

from .jit_compile import kernel
from .jit_face import count_tight, face_basis, penalised_dot
from .jit_linear import centre, linear_penalty
from .jit_neuron import CROSSING, FIXED, GATED, norm_slope, resting

VANISHED = 1e-7  # a neuron that a step shrinks by this factor was on its way to zero,
NOTHING = 1e-12  # or one that a step halves and leaves at less, relative to the largest
POLISH = 1e-10  # a smaller decrement, relative to the penalty, hides the slope


@kernel
def neuron_output(X, u, on, mode):
    """Output on the rows: (X u)_+ where bits may change, else X u masked by the fixed bits."""
    a = np.dot(X, u)
    for i in range(a.shape[0]):
        if (a[i] <= 0.0) if mode == CROSSING else not on[i]:
            a[i] = 0.0
    return a


@kernel
def norms_slope(betas, uu, up, pp, t):
    """d/dt of the sum of beta_j ||u_j + t p_j||."""
    total = 0.0
    for j in range(uu.shape[0]):
        total += norm_slope(betas[j], uu[j], up[j], pp[j], t)
    return total


@kernel
def objective(residual, sample_weight, U, betas, ridge, free_bias, linear):
    """Weighted half squared residual plus beta_j ||u_j|| + ridge / 2 ||u_j||^2 over groups.

    And the penalty of decayed columns.
    """
    value = 0.5 * np.dot(sample_weight * residual, residual) + linear_penalty(linear)
    for j in range(U.shape[0]):
        value += betas[j] * np.sqrt(penalised_dot(U[j], U[j], free_bias))
        if ridge > 0.0:
            value += 0.5 * ridge * np.dot(U[j], U[j])
    return value


@kernel
def damp(matrix):
    """Keep a Gram matrix regular: collinear neurons make it singular, a dead column empty.

    Relative to each entry, since curvatures beta / ||u_j|| have no common scale.
    """
    for k in range(matrix.shape[0]):
        matrix[k, k] = matrix[k, k] * (1.0 + 1e-13) if matrix[k, k] > 0.0 else 1.0


@kernel
def face_direction(
    X, sample_weight, residual, U, signs, on, tight, betas, ridge, linear, free_bias
):
    """Newton direction of all neurons in the K coordinates of their faces.

    Returns the directions (m, p), those of the decayed and of the free columns, and the decrement
    -gradient . step. The Hessian is Z^T W Z plus the blocks beta_j (I - w w^T) / ||u_j|| + ridge I,
    with Z = [s_j D_j X B_j, decayed columns, basis of the free ones]. Decayed columns whose
    coefficients are zero stay so.
    """
    n, p = X.shape
    m = U.shape[0]
    offsets = np.zeros(m + 1, np.int64)
    bases = np.zeros((m, p, p))
    for j in range(m):
        B = face_basis(X, tight[j], count_tight(tight[j]), free_bias)
        bases[j, :, : B.shape[1]] = B
        offsets[j + 1] = offsets[j] + B.shape[1]
    rest = offsets[m]
    first_free = rest + linear.coef.shape[0]
    K = first_free + linear.basis.shape[1]
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
        gradient[low:high] = betas[j] * wB + ridge * np.dot(U[j], B)
        hessian[low:high, low:high] = (betas[j] / size) * (unit - np.outer(wB, wB))
        for k in range(low, high):
            hessian[k, k] += ridge
    size = np.sqrt(np.dot(linear.coef, linear.coef))
    if size > 0.0:
        Z[:, rest:first_free] = linear.columns
        w = linear.coef / size
        gradient[rest:first_free] = linear.beta * w
        unit = np.eye(w.shape[0])
        hessian[rest:first_free, rest:first_free] = (linear.beta / size) * (unit - np.outer(w, w))
    Z[:, first_free:] = linear.basis
    gradient -= np.dot(Z.T, sample_weight * residual)
    root = np.sqrt(sample_weight)
    Z *= root.reshape(n, 1)
    hessian += np.dot(Z.T, Z)
    damp(hessian)
    step = -np.linalg.solve(hessian, gradient)
    directions = np.zeros((m, p))
    for j in range(m):
        low, high = offsets[j], offsets[j + 1]
        B = np.ascontiguousarray(bases[j, :, : high - low])
        directions[j] = np.dot(B, step[low:high])
    steps = step[rest:first_free].copy(), step[first_free:].copy()
    return directions, steps[0], steps[1], -np.dot(gradient, step)


@kernel
def sample_direction(X, sample_weight, residual, U, signs, on, betas, ridge, linear):
    """Newton direction of gated neurons from a system with one unknown per sample.

    With b_j = beta_j / ||u_j||, c_j = b_j + ridge, w_j = u_j / ||u_j|| the Hessian is the block
    diagonal of c_j I, plus Z^T Z, less sum_j b_j w_j w_j^T. Eliminating the blocks leaves
    y = Z step from S y = ..., S = I + sum_j Z_j Z_j^T / c_j = I + (X X^T) o (M^T diag(1 / c) M)
    with masks M, bordered by the outputs E of the w_j and the free columns. The unknowns of the
    border are (b_j / c_j) w_j . step_j. Decayed columns in use are one more group, without ridge.
    """
    n, p = X.shape
    m = U.shape[0]
    length = np.sqrt(np.dot(linear.coef, linear.coef))
    used = 1 if length > 0.0 else 0
    E_cols = m + used + linear.basis.shape[1]
    root = np.sqrt(sample_weight)
    masks = np.zeros((m, n))
    w = np.empty((m, p))
    b, c = np.empty(m), np.empty(m)
    for j in range(m):
        size = np.sqrt(np.dot(U[j], U[j]))
        b[j], c[j], w[j] = betas[j] / size, betas[j] / size + ridge, U[j] / size
        for i in range(n):
            if on[j, i]:
                masks[j, i] = signs[j] * root[i]
    shrunk = masks / c.reshape(m, 1)
    S = np.dot(X, X.T) * np.dot(masks.T, shrunk)
    for i in range(n):
        S[i, i] += 1.0
    pull = np.dot(masks * (root * residual), X)  # minus the gradient
    for j in range(m):
        pull[j] -= betas[j] * w[j] + ridge * U[j]
    free_pull = np.dot(linear.weighted.T, residual)
    E = np.empty((n, E_cols))
    E[:, :m] = (np.dot(w, X.T) * masks).T
    target = np.zeros(E_cols)
    for j in range(m):
        target[j] = np.dot(w[j], pull[j])
    E[:, m + used :] = root.reshape(n, 1) * linear.basis
    target[m + used :] = free_pull
    along = np.zeros(n)
    outputs = np.dot(pull, X.T) * shrunk
    for j in range(m):
        along += outputs[j]
    columns = root.reshape(n, 1) * linear.columns
    linear_pull = np.zeros(linear.coef.shape[0])
    if used:
        unit, softness = linear.coef / length, length / linear.beta
        S += softness * np.dot(columns, columns.T)
        linear_pull += np.dot(columns.T, root * residual) - linear.beta * unit
        E[:, m] = np.dot(columns, unit)
        target[m] = np.dot(unit, linear_pull)
        along += softness * np.dot(columns, linear_pull)
    both = np.empty((n, E_cols + 1))
    both[:, :E_cols] = E
    both[:, E_cols] = along
    solved = np.linalg.solve(S, both)
    border = np.dot(E.T, np.ascontiguousarray(solved[:, :E_cols]))
    for j in range(m):
        border[j, j] += ridge * c[j] / b[j]
    damp(border)
    tau = np.linalg.solve(border, target - np.dot(E.T, solved[:, E_cols].copy()))
    y = solved[:, E_cols] + np.dot(np.ascontiguousarray(solved[:, :E_cols]), tau)
    directions = (pull - np.dot(masks * y, X)) / c.reshape(m, 1) + w * tau[:m].reshape(m, 1)
    linear_step = np.zeros(linear.coef.shape[0])
    if used:
        linear_step += softness * (linear_pull - np.dot(columns.T, y)) + tau[m] * unit
    free_step = tau[m + used :].copy()
    decrement = np.sum(directions * pull) + np.dot(linear_step, linear_pull)
    return directions, linear_step, free_step, decrement + np.dot(free_step, free_pull)


@kernel
def joint_line_search(
    norms,
    sample_weight,
    residual,
    fit,
    U,
    directions,
    a,
    b,
    signs,
    on,
    tight,
    betas,
    ridge,
    linear,
    linear_step,
    free_bias,
    mode,
    decrement,
):
    """First local minimum of the objective along all directions together, up to t = 2.

    ``fit`` is the derivative of the prediction, ``a`` and ``b`` the preactivations of U and of
    the directions. Kinks are treated as in ``line_search``; returns t and the (neuron, row) of
    the kink that ended the search, or -1, -1. Where the slope is all rounding the full step is
    taken: the multiplier needs more digits than the objective has.
    """
    m, n = a.shape
    p = U.shape[1]
    uu, up, pp = np.zeros(m + 1), np.zeros(m + 1), np.zeros(m + 1)
    uu[m], up[m] = np.dot(linear.coef, linear.coef), np.dot(linear.coef, linear_step)
    pp[m] = np.dot(linear_step, linear_step)
    betas = np.append(betas, linear.beta)
    ray = np.zeros(m, np.bool_)
    kinks = np.empty(m * n if mode != GATED else 0)
    where = np.empty(kinks.shape[0], np.int64)
    count = 0
    for j in range(m):
        uu[j] = penalised_dot(U[j], U[j], free_bias)
        up[j] = penalised_dot(U[j], directions[j], free_bias)
        pp[j] = penalised_dot(directions[j], directions[j], free_bias)
        if mode == GATED:
            continue
        if count_tight(tight[j]) == p - 1:  # a ray: its only kink is the apex
            ray[j] = True
            back = -np.dot(U[j], directions[j])
            if 2.0 * back > np.dot(U[j], U[j]):
                kinks[count] = np.dot(U[j], U[j]) / back
                where[count] = j * n
                count += 1
            continue
        length = np.sqrt(np.dot(directions[j], directions[j]))
        moving = resting(length, np.sqrt(np.dot(U[j], U[j])))
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
    wall = count > 0 and kinks[order[0]] <= 1.0
    if not wall and decrement <= POLISH * np.sum(betas * np.sqrt(uu)):
        return 1.0, -1, -1
    slope = -np.dot(sample_weight * residual, fit)
    curve = np.dot(sample_weight * fit, fit)
    if ridge > 0.0:
        slope += ridge * np.sum(U * directions)
        curve += ridge * np.sum(directions * directions)
    rest = residual.copy()
    low = 0.0
    for k in range(count + 1):
        t = kinks[order[k]] if k < count else 2.0
        if slope + t * curve + norms_slope(betas, uu, up, pp, t) >= 0.0 and t > low:
            high = t
            for _ in range(60):
                t = 0.5 * (low + high)
                if slope + t * curve + norms_slope(betas, uu, up, pp, t) >= 0.0:
                    high = t
                else:
                    low = t
            return high, -1, -1
        if k == count:
            return t, -1, -1
        j, i = where[order[k]] // n, where[order[k]] % n
        if mode == FIXED or ray[j]:
            return t, j, i
        change = (-1.0 if on[j, i] else 1.0) * signs[j] * b[j, i]
        old, new = fit[i], fit[i] + change
        new_slope = slope + sample_weight[i] * (rest[i] * old - (rest[i] + t * change) * new)
        new_curve = curve + sample_weight[i] * (new * new - old * old)
        if new_slope + t * new_curve + norms_slope(betas, uu, up, pp, t) >= 0.0:
            return t, j, i
        slope, curve, low = new_slope, new_curve, t
        rest[i] += t * change
        fit[i] = new
        on[j, i] = not on[j, i]
    return 0.0, -1, -1


@kernel
def vanished(now, before, largest):
    """Tell whether a step took a squared norm on its way to zero: what is left is noise."""
    return now <= VANISHED**2 * before or (now <= 0.25 * before and now <= NOTHING**2 * largest)


@kernel
def newton(
    X, norms, sample_weight, residual, U, signs, on, tight, betas, ridge, linear, free_bias, mode
):
    """One joint Newton step; returns its decrement and the coefficients of the free columns.

    Changes residual, U, on, tight and the coefficients of decayed columns.
    """
    n, p = X.shape
    m = U.shape[0]
    if mode == GATED and m * p > n:
        directions, linear_step, free_step, decrement = sample_direction(
            X, sample_weight, residual, U, signs, on, betas, ridge, linear
        )
    else:
        directions, linear_step, free_step, decrement = face_direction(
            X, sample_weight, residual, U, signs, on, tight, betas, ridge, linear, free_bias
        )
    along = np.dot(linear.columns, linear_step)
    fit = along + np.dot(linear.basis, free_step)
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
    t, wall, row = joint_line_search(
        norms,
        sample_weight,
        start,
        fit,
        U,
        directions,
        a,
        b,
        signs,
        on,
        tight,
        betas,
        ridge,
        linear,
        linear_step,
        free_bias,
        mode,
        decrement,
    )
    squared = np.array([penalised_dot(U[j], U[j], free_bias) for j in range(m)])
    length = np.dot(linear.coef, linear.coef)
    largest = max(length, squared.max()) if m > 0 else length
    residual -= t * along
    linear.coef[:] += t * linear_step
    if length > 0.0 and vanished(np.dot(linear.coef, linear.coef), length, largest):
        residual += np.dot(linear.columns, linear.coef)
        linear.coef[:] = 0.0
    for j in range(m):
        U[j] += t * directions[j]
        ray = j == wall and count_tight(tight[j]) == p - 1  # its only wall is the apex
        if ray or vanished(penalised_dot(U[j], U[j], free_bias), squared[j], largest):
            U[j] = 0.0
            tight[j] = -1
        elif j == wall:
            tight[j, count_tight(tight[j])] = row
    for j in range(m):
        residual -= signs[j] * neuron_output(X, U[j], on[j], mode)
    return decrement, centre(residual, linear)


@kernel
def newton_work(X, tight, linear, mode):
    """Flops of a joint Newton step and the side of its system."""
    n, p = X.shape
    m = tight.shape[0]
    size = m * p - np.sum(tight >= 0)
    if mode == GATED and size > n:
        return n * n * (2.0 * (m + p) + 0.7 * n), n + m
    size += linear.coef.shape[0] + linear.basis.shape[1]
    return n * float(size) * size + size * float(size) * size / 3.0, size
