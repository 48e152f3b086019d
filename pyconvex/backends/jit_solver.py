"""Numba kernels for many neurons: block coordinate descent and joint Newton on their faces."""

import numpy as np

from .jit_compile import kernel
from .jit_face import masked_gram, penalised_dot, row_norms, unpack_bits
from .jit_linear import centre, descend_linear, make_linear
from .jit_neuron import CROSSING, GATED, descend
from .jit_newton import neuron_output, newton, newton_work, objective

# A gated joint step that gains less of what it promised: a neuron shrinks to nothing and stops
# the others short, which a sweep settles. (With walls such a step makes a row tight: progress.)
STUCK = 1e-4
WALLS = 100  # joint steps after a sweep of neurons that may cross
RISE = 1e-12  # relative: rounding errors of the objective


@kernel
def sweep(
    X,
    norms,
    sample_weight,
    residual,
    U,
    signs,
    on,
    tight,
    betas,
    ridge,
    linear,
    free_bias,
    mode,
    stop,
):
    """One pass of exact block updates; returns the change of the free columns' coefficients.

    Changes residual, U, on, tight and the coefficients of decayed columns.
    """
    p = X.shape[1]
    shift = np.zeros(linear.basis.shape[1])
    for j in range(U.shape[0]):
        if stop[0]:
            break
        residual += signs[j] * neuron_output(X, U[j], on[j], mode)
        H = masked_gram(X, on[j], tight[j], sample_weight)
        for k in range(p):
            H[k, k] += ridge
        slopes = signs[j] * sample_weight * residual
        descend(
            X,
            norms,
            H,
            sample_weight,
            slopes,
            0.0,
            betas[j],
            free_bias,
            mode,
            U[j],
            on[j],
            tight[j],
            50 * p,
            stop,
        )
        if penalised_dot(U[j], U[j], free_bias) == 0.0:
            U[j] = 0.0  # a constant neuron is the intercept's business
            tight[j] = -1
        residual -= signs[j] * neuron_output(X, U[j], on[j], mode)
        shift += centre(residual, linear)
    descend_linear(residual, sample_weight, linear)
    return shift + centre(residual, linear)


@kernel
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


@kernel
def nonzero(U):
    """Return the indices of the neurons that are not zero."""
    keep = np.zeros(U.shape[0], np.bool_)
    for j in range(U.shape[0]):
        keep[j] = np.any(U[j])
    return np.flatnonzero(keep)


@kernel
def refine(
    X,
    sample_weight,
    residual,
    U,
    signs,
    packed,
    tight,
    betas,
    ridge,
    free,
    columns,
    coef,
    column_beta,
    free_bias,
    mode,
    tol,
    max_sweeps,
    max_size,
    max_work,
    stop,
):
    """Sweeps of exact block updates, each followed by joint Newton steps on the faces.

    Where masks or cones are fixed Newton steps go on while they gain more per flop than the
    sweep did; when they gain less the next sweeps go without them, until sweeps slow down to
    twice that rate, twice again, and so on. Neurons that may cross get up to WALLS steps, most
    of which find tight rows, until a step that costs more than the sweep promised less than that
    gained. Ends when a sweep and its Newton steps lower the objective by less than ``tol``, after
    ``max_sweeps``, when ``max_work`` flops are spent or stop[0] is set. Systems larger than
    ``max_size`` are left out.

    The output has a linear part: columns ``free`` (n, k) without penalty, and ``columns`` (n, q)
    times ``coef`` at the penalty column_beta ||coef||. Returns the indices of the neurons that
    stayed, their weights (m, p) and tight rows (m, p; -1 pads), the residual, the change of the
    coefficients of ``free``, the coefficients of ``columns`` and the last decrease.
    """
    n, p = X.shape
    norms = row_norms(X)
    residual, U, signs, tight = residual.copy(), U.copy(), signs.copy(), tight.copy()
    kept = np.arange(U.shape[0])
    on = np.dot(U, X.T) > 0.0 if mode == CROSSING else unpack_bits(packed, n)
    linear, transform = make_linear(free, columns, coef, column_beta, sample_weight)
    shift = centre(residual, linear)
    value = objective(residual, sample_weight, U, betas, ridge, free_bias, linear)
    decrease, newton_rate, total = np.inf, np.inf, 0.0
    for _ in range(max_sweeps):
        before = value
        sweep_work = U.shape[0] * n * p * (p + 30.0) + 1.0
        shift += sweep(
            X,
            norms,
            sample_weight,
            residual,
            U,
            signs,
            on,
            tight,
            betas,
            ridge,
            linear,
            free_bias,
            mode,
            stop,
        )
        if mode == CROSSING:
            merge(X, norms, residual, U, signs, on, tight)
        after_sweep = value = objective(residual, sample_weight, U, betas, ridge, free_bias, linear)
        sweep_gain = before - value
        sweep_rate = sweep_gain / sweep_work
        skipped = newton_rate < sweep_rate
        total += sweep_work
        work, steps = 0.0, 0
        while not stop[0]:
            stay = nonzero(U)
            kept, U, signs, on, tight = kept[stay], U[stay], signs[stay], on[stay], tight[stay]
            betas = betas[stay]
            step_work, size = newton_work(X, tight, linear, mode)
            if steps == WALLS if mode == CROSSING else newton_rate < sweep_rate:
                break
            nothing = U.shape[0] == 0 and not np.any(linear.coef)
            if nothing or size > max_size or total + work > max_work:
                break
            saved = U.copy(), on.copy(), tight.copy(), residual.copy(), linear.coef.copy()
            decrement, moved = newton(
                X,
                norms,
                sample_weight,
                residual,
                U,
                signs,
                on,
                tight,
                betas,
                ridge,
                linear,
                free_bias,
                mode,
            )
            start, value = (
                value,
                objective(residual, sample_weight, U, betas, ridge, free_bias, linear),
            )
            work, steps = work + step_work, steps + 1
            if value > start * (1.0 + RISE):  # the system was too ill-conditioned
                U, on, tight, residual = saved[:4]
                linear.coef[:] = saved[4]
                value = start
                break
            shift += moved
            stuck = mode == GATED and start - value <= STUCK * decrement
            little = mode == CROSSING and step_work > sweep_work and decrement < sweep_gain
            if decrement <= tol or stuck or little:
                break
            if mode != CROSSING and work > 5.0 * sweep_work:
                newton_rate = (after_sweep - value) / work
        total += work
        decrease = before - value
        if total > max_work or stop[0] or (decrease <= tol and not skipped):
            break
        if skipped:  # Newton gets another chance as sweeps slow down
            newton_rate = np.inf if decrease <= tol else 2.0 * newton_rate
    stay = nonzero(U)
    shift = np.dot(transform, shift)
    return kept[stay], U[stay], tight[stay], residual, shift, linear.coef, decrease
