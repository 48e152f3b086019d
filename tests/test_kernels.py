"""The kernels of each backend against plain NumPy and SciPy, and against each other."""

import numpy as np
import pytest
from scipy.optimize import nnls

from pyconvex import backends
from pyconvex.backends import get_backend

NEVER = np.zeros(1, np.uint8)  # the stop flag that nobody sets


@pytest.fixture
def kernels(backend):
    return get_backend(backend)


@pytest.fixture(params=[False, True], ids=["penalised", "free_bias"])
def free_bias(request):
    return request.param


def data(free_bias=False, n=40, p=5, seed=0):
    """Rows, targets, and a multiplier: it sums to zero where the bias is free."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    if free_bias:
        X[:, -1] = 1.0
        y -= y.mean()
    return X, y, y / n


def patterns(kernels, X, count=30, seed=1):
    gates = np.random.default_rng(seed).standard_normal((X.shape[1], count))
    return kernels.pack_gates(X, gates, 1)


def penalised(U, free_bias):
    return U[..., :-1] if free_bias else U


def unit(U, free_bias):
    return U / np.linalg.norm(penalised(U, free_bias), axis=-1, keepdims=True)


def outputs(kernels, X, U, mode, packed):
    if mode == kernels.CROSSING:
        return np.maximum(U @ X.T, 0.0)
    return (U @ X.T) * kernels.unpack(packed, len(X))


def objective(residual, weights, U, beta, free_bias):
    norms = np.linalg.norm(penalised(U, free_bias), axis=1)
    return 0.5 * weights @ residual**2 + beta * norms.sum()


def test_gate_gradients(kernels):
    X, _, z = data()
    packed = patterns(kernels, X)
    dense = kernels.unpack(packed, len(X))
    np.testing.assert_allclose(
        kernels.gate_gradients(X, packed, z, 1), (dense * z) @ X, rtol=1e-13, atol=1e-15
    )
    assert kernels.gate_gradients(X, packed[:0], z, 1).shape == (0, 5)


def test_projection_is_that_of_nnls(kernels):
    X, _, z = data()
    packed = patterns(kernels, X)
    C = kernels.gate_gradients(X, packed, z, 1)
    points, tight = kernels.project_cells(X, packed, C, np.zeros(len(C)), False, 1, NEVER)
    for c, on, point, rows in zip(C, kernels.unpack(packed, len(X)), points, tight, strict=True):
        A = np.where(on, 1.0, -1.0)[:, None] * X
        mu, distance = nnls(A.T, -c)
        np.testing.assert_allclose(point, c + A.T @ mu, atol=1e-12)
        assert (A @ point >= -1e-12).all()
        np.testing.assert_allclose(X[rows[rows >= 0]] @ point, 0.0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(point), distance, atol=1e-12)


def test_projections_that_stop_early_bound_the_norm(kernels, free_bias):
    X, _, z = data(free_bias)
    packed = patterns(kernels, X)
    C = kernels.gate_gradients(X, packed, z, 1)
    norms, limits = [], np.zeros(len(C))
    for _ in range(2):
        points, _ = kernels.project_cells(X, packed, C, limits, free_bias, 1, NEVER)
        norms.append(np.linalg.norm(penalised(points, free_bias), axis=1))
        limits = np.full(len(C), np.median(norms[0]))
    full, early = norms
    above = full > limits
    assert 0 < above.sum() < len(C)
    np.testing.assert_allclose(early[above], full[above], rtol=1e-12)
    assert (early[~above] >= full[~above] * (1 - 1e-12)).all()
    assert (early[~above] <= limits[~above]).all()
    assert (early[~above] > full[~above] * (1 + 1e-6)).any()


def test_projection_with_a_free_bias(kernels):
    """The conditions of optimality: u = c + A^T mu but for the bias, mu >= 0, mu . A u = 0."""
    X, _, z = data(free_bias=True)
    packed = np.concatenate([patterns(kernels, X), kernels.pack_dense(np.eye(2, 40) < -1.0)])
    C = kernels.gate_gradients(X, packed, z, 1)
    C[-1] = X.T @ z  # no row on: the projection is a dead neuron
    points, tight = kernels.project_cells(X, packed, C, np.zeros(len(C)), True, 1, NEVER)
    for c, on, u, rows in zip(C, kernels.unpack(packed, len(X)), points, tight, strict=True):
        A = np.where(on, 1.0, -1.0)[:, None] * X
        assert (A @ u >= -1e-12).all()
        gap = np.append(u[:-1], 0.0) - c
        assert nnls(A.T, gap)[1] <= 1e-12
        np.testing.assert_allclose(c @ u, u[:-1] @ u[:-1], atol=1e-12)
        np.testing.assert_allclose(X[rows[rows >= 0]] @ u, 0.0, atol=1e-12)


def test_projection_survives_repeated_and_zero_rows(kernels):
    X, _, z = data()
    X = np.ascontiguousarray(np.concatenate([X, X[:20], -2.0 * X[:20], 0.0 * X[:3]]))
    gates = np.random.default_rng(1).standard_normal((X.shape[1], 30))
    dense = (X @ gates > 0.0).T
    packed = kernels.pack_dense(np.ascontiguousarray(dense))
    C = kernels.gate_gradients(X, packed, np.append(z, np.zeros(43)), 1)
    points, _ = kernels.project_cells(X, packed, C, np.zeros(len(C)), False, 1, NEVER)
    for c, on, point in zip(C, dense, points, strict=True):
        A = np.where(on, 1.0, -1.0)[:, None] * X
        np.testing.assert_allclose(point, c + A.T @ nnls(A.T, -c)[0], atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_walks_end_at_local_maxima(kernels, free_bias, seed):
    X, _, z = data(free_bias, seed=seed)
    rng = np.random.default_rng(seed)
    starts = rng.standard_normal((30, X.shape[1]))
    points, tight = kernels.walk(X, z, starts, free_bias, 1, NEVER)
    for point, rows in zip(points, tight, strict=True):
        if not point.any():
            continue
        rows = rows[rows >= 0]
        np.testing.assert_allclose(X[rows] @ point, 0.0, atol=1e-12 * np.abs(point).max())
        u = unit(point, free_bias)
        moves = np.concatenate([rng.standard_normal((200, len(u))), X[rows], -X[rows]])
        nearby = unit(u + 1e-6 * moves, free_bias)
        value = np.maximum(X @ u, 0.0) @ z
        assert (np.maximum(nearby @ X.T, 0.0) @ z).max() <= value + 1e-13


def test_a_walk_without_anything_to_gain_ends_at_zero(kernels, free_bias):
    X, _, z = data(free_bias)
    starts = np.random.default_rng(0).standard_normal((8, X.shape[1]))
    points, _ = kernels.walk(X, -np.abs(z), starts, free_bias, 1, NEVER)
    assert (np.maximum(points @ X.T, 0.0) @ np.abs(z)).max() <= 1e-12


def test_a_walk_ignores_gradients_that_are_rounding(kernels):
    """Least-squares residuals: in the cell where all rows are on nothing pulls."""
    X, y, _ = data(free_bias=True)
    X[:, 0] = np.abs(X[:, 0]) + 1.0
    z = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    starts = np.eye(1, X.shape[1])
    for free in (False, True):
        points, tight = kernels.walk(X, z, starts, free, 1, NEVER)
        assert not points.any()
        assert (tight == -1).all()


def start_of_refine(kernels, mode, free_bias, seed=0):
    """Small feasible neurons along the gradients, and the residual they leave."""
    X, y, z = data(free_bias, seed=seed)
    packed = kernels.unique(patterns(kernels, X, 12, seed))
    packed = patterns(kernels, X, 12, seed)[packed]
    C = kernels.gate_gradients(X, packed, z, 1)
    U, tight = C, np.full(C.shape, -1)
    if mode == kernels.FIXED:
        U, tight = kernels.project_cells(X, packed, C, np.zeros(len(C)), free_bias, 1, NEVER)
    alive = np.linalg.norm(penalised(U, free_bias), axis=1) > 1e-3 * np.linalg.norm(z)
    U, tight, packed = 0.1 * U[alive], tight[alive], packed[alive]
    signs = np.where(np.arange(len(U)) % 3 == 2, -1.0, 1.0)
    if mode == kernels.CROSSING:
        tight = np.full(U.shape, -1)
    residual = y - signs @ outputs(kernels, X, U, mode, packed)
    return X, y, residual, U, signs, packed, tight


def constants(n, free):
    """The free columns: ones, or none."""
    return np.ones((n, int(free)))


def call_refine(
    kernels, start, beta, free_bias, mode, max_sweeps=100, max_size=1000, free=None, columns=None
):
    X, _, residual, U, signs, packed, tight = start
    weights = np.full(len(X), 1.0 / len(X))
    if mode == kernels.CROSSING:
        packed = packed[:0]
    free = constants(len(X), free_bias) if free is None else free
    columns = np.zeros((len(X), 0)) if columns is None else columns
    return kernels.refine(
        X, weights, residual, U, signs, packed, tight, np.full(len(U), beta), 0.0, free, columns,
        np.zeros(columns.shape[1]), beta, free_bias, mode, 1e-13, max_sweeps, max_size, 1e12, NEVER,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["GATED", "FIXED", "CROSSING"])
@pytest.mark.parametrize("seed", range(3))
def test_refine(kernels, mode, free_bias, seed):
    mode = getattr(kernels, mode)
    if mode == kernels.GATED and free_bias:
        pytest.skip("a gate must not leave its bias unpenalised")
    start = start_of_refine(kernels, mode, free_bias, seed)
    X, y, residual, U, signs, packed, _ = start
    weights, beta = np.full(len(X), 1.0 / len(X)), 0.005
    before = [array.copy() for array in start]
    kept, new_U, tight, rest, shift, _, decrease = call_refine(
        kernels, start, beta, free_bias, mode
    )
    shift = float(shift.sum())  # one entry, or none
    for array, copy in zip(start, before, strict=True):
        np.testing.assert_array_equal(array, copy)  # inputs are only read

    assert kept.dtype == np.int64
    assert (np.diff(kept) > 0).all()
    assert new_U.any(axis=1).all()
    prediction = signs[kept] @ outputs(kernels, X, new_U, mode, packed[kept])
    np.testing.assert_allclose(rest, y - prediction - shift, atol=1e-12)
    assert (shift != 0.0) == free_bias
    if free_bias:
        assert abs(rest.mean()) < 1e-14
    first = objective(residual, weights, U, beta, free_bias)
    last = objective(rest, weights, new_U, beta, free_bias)
    assert last < first
    assert decrease <= 1e-13
    for u, rows in zip(new_U, tight, strict=True):
        np.testing.assert_allclose(X[rows[rows >= 0]] @ u, 0.0, atol=1e-12)
    if mode == kernels.FIXED:
        sides = np.where(kernels.unpack(packed[kept], len(X)), 1.0, -1.0)
        assert (sides * (new_U @ X.T) >= -1e-12).all()
    *_, again = call_refine(
        kernels,
        (X, y, rest + shift, new_U, signs[kept], packed[kept], tight),
        beta,
        free_bias,
        mode,
    )
    assert again <= 1e-12 * last  # nothing is left to gain


def test_refine_reaches_the_optimum_of_a_group_lasso(kernels):
    """Optimality conditions of the groups that stayed: D X^T r / n = beta u / ||u||."""
    start = start_of_refine(kernels, kernels.GATED, False)
    X, packed, signs = start[0], start[5], start[4]
    kept, U, _, rest, *_ = call_refine(kernels, start, 0.005, False, kernels.GATED)
    gradients = kernels.gate_gradients(X, packed[kept], rest / len(X), 1) * signs[kept, None]
    np.testing.assert_allclose(gradients, 0.005 * unit(U, False), atol=1e-9)


def test_refine_without_newton_steps(kernels):
    start = start_of_refine(kernels, kernels.GATED, False)
    slow = call_refine(kernels, start, 0.005, False, kernels.GATED, max_sweeps=3000, max_size=0)
    fast = call_refine(kernels, start, 0.005, False, kernels.GATED)
    weights = np.full(len(start[0]), 1.0 / len(start[0]))
    values = [objective(r[3], weights, r[1], 0.005, False) for r in (slow, fast)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-8)


def test_refine_merges_neurons_of_one_cell(kernels, free_bias):
    """The halves of an optimal neuron become one again."""
    X, y, residual, U, _, packed, tight = start_of_refine(kernels, kernels.CROSSING, free_bias)
    one = (X, y, y - np.maximum(X @ U[0], 0.0), U[:1], np.ones(1), packed[:0], tight[:1])
    _, U, tight, residual, *_ = call_refine(kernels, one, 0.05, free_bias, kernels.CROSSING)
    halves, rows = np.repeat(0.5 * U, 2, axis=0), np.repeat(tight, 2, axis=0)
    two = (X, y, residual, halves, np.ones(2), packed[:0], rows)
    kept, merged, *_ = call_refine(kernels, two, 0.05, free_bias, kernels.CROSSING)
    assert len(kept) == 1
    np.testing.assert_allclose(merged, U, atol=1e-8)


@pytest.mark.parametrize("mode", ["GATED", "FIXED", "CROSSING"])
def test_refine_of_nothing(kernels, mode):
    X, y, _ = data()
    none = np.zeros((0, X.shape[1]))
    start = (X, y, y, none, np.zeros(0), np.zeros((0, 1), np.uint64), none.astype(np.int64))
    kept, U, tight, rest, shift, _, _ = call_refine(
        kernels, start, 0.1, True, getattr(kernels, mode)
    )
    assert len(kept) == len(U) == len(tight) == 0
    np.testing.assert_allclose(rest, y - y.mean(), atol=1e-15)
    np.testing.assert_allclose(shift, [y.mean()])


def test_threads_do_not_change_results(kernels, free_bias):
    X, _, z = data(free_bias, n=100)
    packed = patterns(kernels, X, 50)
    starts = np.random.default_rng(2).standard_normal((50, X.shape[1]))
    C = kernels.gate_gradients(X, packed, z, 1)
    calls = [
        lambda threads: (kernels.gate_gradients(X, packed, z, threads),),
        lambda threads: kernels.project_cells(
            X, packed, C, np.zeros(len(C)), free_bias, threads, NEVER
        ),
        lambda threads: kernels.walk(X, z, starts, free_bias, threads, NEVER),
    ]
    for call in calls:
        for one, many in zip(call(1), call(4), strict=True):
            np.testing.assert_array_equal(one, many)
        for one, automatic in zip(call(1), call(0), strict=True):
            np.testing.assert_array_equal(one, automatic)


def test_read_only_input_is_accepted(kernels, free_bias):
    start = start_of_refine(kernels, kernels.CROSSING, free_bias)
    for array in start:
        array.flags.writeable = False
    call_refine(kernels, start, 0.005, free_bias, kernels.CROSSING)
    X, _, z = data(free_bias)
    packed = patterns(kernels, X)
    for array in (X, z, packed):
        array.flags.writeable = False
    C = kernels.gate_gradients(X, packed, z, 1)
    kernels.project_cells(X, packed, C, np.zeros(len(C)), free_bias, 1, NEVER)
    kernels.walk(X, z, C, free_bias, 1, NEVER)


def test_backends_agree(free_bias):
    if len(backends.available()) < 2:
        pytest.skip("needs two backends")
    native, jit = get_backend("native"), get_backend("jit")
    X, _, z = data(free_bias)
    packed = patterns(native, X)
    C = native.gate_gradients(X, packed, z, 1)
    np.testing.assert_allclose(C, jit.gate_gradients(X, packed, z, 1), atol=1e-15)
    for ours, theirs in zip(
        native.project_cells(X, packed, C, np.zeros(len(C)), free_bias, 1, NEVER),
        jit.project_cells(X, packed, C, np.zeros(len(C)), free_bias, 1, NEVER),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-13)
    for ours, theirs in zip(
        native.walk(X, z, C, free_bias, 1, NEVER),
        jit.walk(X, z, C, free_bias, 1, NEVER),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)
    for mode in (native.GATED, native.FIXED, native.CROSSING):
        start = start_of_refine(native, mode, free_bias)
        sweeps = 1 if mode == native.CROSSING else 100  # later ones may end in other local minima
        size = 0 if mode == native.CROSSING else 1000
        if mode == native.GATED and free_bias:
            continue
        for ours, theirs in zip(
            call_refine(native, start, 0.005, free_bias, mode, sweeps, size)[:-1],
            call_refine(jit, start, 0.005, free_bias, mode, sweeps, size)[:-1],
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_native_refuses_wrong_shapes():
    if "native" not in backends.available():
        pytest.skip("needs the compiled core")
    kernels = get_backend("native")
    X, _, z = data()
    packed = patterns(kernels, X)
    with pytest.raises(ValueError, match="z has the wrong shape"):
        kernels.walk(X, z[:-1], X, False, 1, NEVER)
    with pytest.raises(ValueError, match="packed has the wrong shape"):
        kernels.gate_gradients(X, np.concatenate([packed, packed], axis=1), z, 1)
    start = start_of_refine(kernels, kernels.FIXED, False)
    with pytest.raises(ValueError, match="mode must be"):
        call_refine(kernels, start, 0.1, False, 3)
    with pytest.raises(ValueError, match="columns has the wrong shape"):
        call_refine(kernels, start, 0.1, False, kernels.FIXED, columns=X[:-1])
    with pytest.raises(ValueError, match="free has the wrong shape"):
        call_refine(kernels, start, 0.1, False, kernels.FIXED, free=np.eye(len(X))[:-1])


def test_masked_grams(kernels):
    X, _, z = data()
    packed, weights = patterns(kernels, X), np.abs(z) / np.abs(z).sum()
    grams = kernels.masked_grams(X, packed, weights, 2)
    for on, gram in zip(kernels.unpack(packed, len(X)), grams, strict=True):
        np.testing.assert_allclose(gram, (X * (on * weights)[:, np.newaxis]).T @ X, atol=1e-15)
    assert kernels.masked_grams(X, packed[:0], weights, 1).shape == (0, X.shape[1], X.shape[1])


@pytest.mark.parametrize("n_free", [0, 1, 2])
@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_sweeps_over_groups_end_where_each_is_optimal(kernels, ridge, n_free):
    X, y, _ = data()
    packed, n = patterns(kernels, X)[:9], len(X)
    weights, U = np.full(n, 1.0 / n), np.zeros((9, X.shape[1]))
    on, betas = kernels.unpack(packed, n), np.linspace(0.02, 0.2, 9)
    grams = kernels.masked_grams(X, packed, weights, 1)
    free = np.column_stack([np.ones(n), X[:, 0] ** 2 + 3.0])[:, :n_free].copy()
    arguments = (packed, grams, betas, ridge, free)
    for array in (X, weights, y, U, packed, grams, betas):
        array.flags.writeable = False
    U, residual, shift = kernels.descend_groups(X, weights, y, U, *arguments, 3000, NEVER)
    prediction = (on * (U @ X.T)).sum(axis=0)
    np.testing.assert_allclose(residual, y - prediction - free @ shift, atol=1e-12)
    np.testing.assert_allclose((weights * residual) @ free, 0.0, atol=1e-12)
    sizes = np.linalg.norm(U, axis=1)
    assert 0 < (sizes > 0).sum() < 9
    for u, size, bits, beta in zip(U, sizes, on, betas, strict=True):
        pull = X.T @ (bits * weights * residual) - ridge * u
        if size == 0.0:
            assert np.linalg.norm(pull) <= beta * (1 + 1e-9)
        else:
            np.testing.assert_allclose(pull, beta * u / size, atol=1e-8)


def test_sweeps_over_groups_agree_and_stop():
    if len(backends.available()) < 2:
        pytest.skip("needs two backends")
    native, jit = get_backend("native"), get_backend("jit")
    X, _, z = data()
    packed, weights = patterns(native, X)[:9], np.full(len(X), 1.0 / len(X))
    grams = native.masked_grams(X, packed, weights, 1)
    np.testing.assert_allclose(jit.masked_grams(X, packed, weights, 2), grams, atol=1e-15)
    start = X, weights, z, np.zeros((9, X.shape[1])), packed, grams, np.full(9, 0.02), 0.0
    start += (constants(len(X), True),)
    one, two = (kernels.descend_groups(*start, 5, NEVER) for kernels in (native, jit))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-13)
    for kernels in (native, jit):
        U, residual, shift = kernels.descend_groups(*start, 5, np.ones(1, np.uint8))
        assert not U.any()
        assert not shift.any()
        np.testing.assert_array_equal(residual, z)


@pytest.mark.parametrize("mode", ["GATED", "FIXED", "CROSSING"])
@pytest.mark.parametrize("n_neurons", [0, 2, None])
def test_refine_with_a_linear_part(kernels, mode, n_neurons):
    """The residual is orthogonal to free columns; decayed ones meet their optimality condition."""
    mode = getattr(kernels, mode)
    X, y, _, U, signs, packed, tight = start_of_refine(kernels, mode, False)
    U, signs, packed, tight = (part[:n_neurons].copy() for part in (U, signs, packed, tight))
    rng, n = np.random.default_rng(5), len(X)
    free = np.column_stack([np.ones(n), np.full(n, 2.0), X[:, 0]])  # one depends on another
    columns = rng.standard_normal((n, 3))
    residual = y - signs @ outputs(kernels, X, U, mode, packed)
    start = X, y, residual, U, signs, packed, tight
    kept, new_U, _, rest, shift, coef, _ = call_refine(
        kernels, start, 0.005, False, mode, 300, free=free, columns=columns
    )
    prediction = signs[kept] @ outputs(kernels, X, new_U, mode, packed[kept])
    prediction += free @ shift + columns @ coef
    np.testing.assert_allclose(rest, y - prediction, atol=1e-12)
    np.testing.assert_allclose(free.T @ rest, 0.0, atol=1e-12)
    pull = columns.T @ rest / n
    np.testing.assert_allclose(pull, 0.005 * coef / np.linalg.norm(coef), atol=1e-8)
    if mode == kernels.GATED:
        gradients = kernels.gate_gradients(X, packed[kept], rest / n, 1) * signs[kept, None]
        np.testing.assert_allclose(gradients, 0.005 * unit(new_U, False), atol=1e-8)
    strong = (*start[:2], 1e-3 * residual, *start[3:])
    *_, coef, _ = call_refine(kernels, strong, 10.0, False, mode, free=free, columns=columns)
    assert not coef.any()  # not worth their penalty
