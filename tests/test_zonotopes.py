"""The dual norm by zonotopes against projections onto every cell."""

import numpy as np
import pytest

import pyconvex
from pyconvex.backends import get_backend
from pyconvex.pricing import run_whole
from pyconvex.zonotopes import count_vertices, exact_norm

from oracles import dual_norm, ones


def random_case(seed, bias, n=12, d=3):
    rng = np.random.default_rng(seed)
    X, z = rng.standard_normal((n, d)), rng.standard_normal(n)
    return finish(X, z, bias)


def integer_case(seed, bias, n=11, d=3):
    """Rows that repeat, are parallel, opposite or zero; weights with zeros."""
    rng = np.random.default_rng(1000 + seed)
    X = rng.integers(-1, 2, (n, d)).astype(float)
    X[-1], X[-2] = 2.0 * X[0], -X[1]
    return finish(X, rng.integers(-2, 3, n).astype(float), bias)


def finish(X, z, bias):
    if bias != "none":
        X = ones(X[:, :-1])
    return (X, z - z.mean() if bias == "free" else z)


def norm(X, z, free_bias, backend, n_threads=1, **keywords):
    return exact_norm(X, z, free_bias, get_backend(backend), n_threads, run_whole, **keywords)


def expected_norm(X, z, free_bias, backend="jit"):
    """N(z) from the projections onto all cells, by another algorithm of the library."""
    kernels, packed = get_backend(backend), pyconvex.enumerate_patterns(X, backend=backend).packed
    C = kernels.gate_gradients(X, packed, z, 1)
    best = 0.0
    for gradients in (C, -C):
        points, _ = run_whole(
            kernels.project_cells, X, packed, gradients, np.zeros(len(gradients)), free_bias, 1
        )
        best = max(best, np.linalg.norm(points[:, : X.shape[1] - free_bias], axis=1).max())
    return best


def check(X, z, free_bias, found, expected, rtol=1e-9):
    value, bound, point, sign = found
    scale = np.abs(z) @ np.linalg.norm(X, axis=1)
    assert value <= bound <= value * (1 + 1e-9) + 1e-12 * scale
    np.testing.assert_allclose([value, bound], expected, rtol=rtol, atol=1e-12 * scale)
    if value > 0.0:
        np.testing.assert_allclose(np.linalg.norm(point[: len(point) - free_bias]), 1.0)
        np.testing.assert_allclose(sign * z @ np.maximum(X @ point, 0.0), value, atol=1e-13 * scale)


@pytest.mark.parametrize("bias", ["none", "decayed", "free"])
@pytest.mark.parametrize("case", [random_case, integer_case])
@pytest.mark.parametrize("seed", range(6))
def test_bounds_meet_at_the_norm(backend, case, seed, bias):
    X, z = case(seed, bias)
    free = bias == "free"
    found = norm(X, z, free, backend)
    dense = pyconvex.enumerate_patterns(X).to_dense()
    expected = dual_norm(X, z, dense, cones=True, free_bias=free)
    check(
        X, z, free, found, expected, 1e-6 if free else 1e-9
    )  # the oracle's bias is not quite free
    if case is random_case:  # projections of repeated kinks are not to be trusted
        check(X, z, free, found, expected_norm(X, z, free))


@pytest.mark.parametrize("bias", ["none", "free"])
@pytest.mark.parametrize(("n", "d"), [(60, 2), (40, 3), (16, 5), (12, 7), (5, 8)])
def test_other_sizes(backend, n, d, bias):
    X, z = random_case(n, bias, n, d)
    free = bias == "free"
    check(X, z, free, norm(X, z, free, backend), expected_norm(X, z, free))


@pytest.mark.parametrize("free_bias", [False, True])
def test_threads_change_nothing(backend, free_bias):
    X, z = random_case(3, "free" if free_bias else "none", 60, 4)
    one, two = (norm(X, z, free_bias, backend, threads) for threads in (1, 2))
    assert one[:2] == two[:2]
    assert one[3] == two[3]
    np.testing.assert_array_equal(one[2], two[2])


def test_backends_agree():
    if "native" not in pyconvex.backends.available():
        pytest.skip("one backend only")
    for bias in ("none", "free"):
        X, z = random_case(8, bias, 40, 4)
        one, two = (norm(X, z, bias == "free", name) for name in ("native", "jit"))
        np.testing.assert_allclose(one[0], two[0], rtol=1e-12)
        np.testing.assert_allclose(one[2], two[2], rtol=1e-6, atol=1e-8)


def test_one_sign_only(backend):
    X, z = random_case(1, "none")
    z = np.abs(z)
    expected = max(np.linalg.norm(X.T @ (z * D)) for D in pyconvex.enumerate_patterns(X).to_dense())
    check(X, z, False, norm(X, z, False, backend), expected)
    assert norm(X, -z, False, backend)[3] == -1.0


@pytest.mark.parametrize("free_bias", [False, True])
def test_nothing_to_gain(backend, free_bias):
    X, _ = random_case(2, "free" if free_bias else "none")
    value, bound, point, _ = norm(X, np.zeros(len(X)), free_bias, backend)
    assert value == bound == 0.0
    assert not point.any()


def test_rows_of_ones_only(backend):
    X, z = np.ones((6, 1)), np.array([1.0, -1.0, 2.0, -2.0, 3.0, -3.0])
    value, bound, _, _ = norm(X, z, True, backend)
    assert value <= bound <= 1e-12
    check(X, z + 1.0, False, norm(X, z + 1.0, False, backend), 6.0)


def test_zero_rows_and_zero_weights_do_nothing(backend):
    X, z = random_case(4, "none")
    padded = np.vstack([np.zeros(3), X, [1.0, 2.0, 3.0]])
    found = norm(padded, np.concatenate([[5.0], z, [0.0]]), False, backend)
    np.testing.assert_allclose(found[0], norm(X, z, False, backend)[0], rtol=1e-12)
    assert norm(np.zeros((4, 2)), np.ones(4), False, backend)[1] == 0.0


def test_parallel_rows_of_opposite_weight_cancel(backend):
    X, z = random_case(5, "none")
    doubled = np.vstack([X, 2.0 * X[:3], X[3:5]])
    weights = np.concatenate([z, -0.5 * z[:3], -z[3:5]])
    rest = np.concatenate([np.zeros(5), z[5:]])
    expected = norm(X, rest, False, backend)[0]
    check(doubled, weights, False, norm(doubled, weights, False, backend), expected)


@pytest.mark.parametrize("free_bias", [False, True])
def test_dependent_columns(backend, free_bias):
    X, z = random_case(6, "free" if free_bias else "none", 20)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0][
        : X.shape[1] - free_bias
    ]
    wide = X[:, : X.shape[1] - free_bias] @ turn
    wide = ones(wide) if free_bias else wide
    expected = norm(X, z, free_bias, backend)[0]
    check(wide, z, free_bias, norm(wide, z, free_bias, backend), expected)


@pytest.mark.parametrize("scale", [1e-120, 1e-8, 1e8, 1e120])
def test_scale(backend, scale):
    X, z = random_case(7, "none")
    expected = scale * norm(X, z, False, backend)[0]
    value, bound, _, _ = norm(scale * X, z, False, backend)
    np.testing.assert_allclose([value, bound], expected, rtol=1e-9)


@pytest.mark.parametrize("free_bias", [False, True])
def test_a_value_that_no_vertex_beats(backend, free_bias):
    X, z = random_case(9, "free" if free_bias else "none", 30)
    value = norm(X, z, free_bias, backend)[0]
    kernels, positive = get_backend(backend), z > 0
    cells = pyconvex.enumerate_patterns(X[positive], backend=backend).packed
    V = kernels.gate_gradients(X[positive], cells, z[positive], 1)
    B, weights = X[~positive], -z[~positive]
    args = (kernels.farthest, V, B, weights, free_bias)
    index, same, bound, direction = run_whole(*args, 2.0 * value, 1)
    assert (index, same, bound) == (-1, 2.0 * value, 2.0 * value)
    assert not direction.any()
    index, best, bound, direction = run_whole(*args, 0.0, 1)
    assert index >= 0
    assert best <= bound <= best * (1 + 1e-9)
    again = run_whole(*args, 0.99 * best, 1)
    assert again[0] == index
    size = np.linalg.norm(direction[: X.shape[1] - free_bias])
    np.testing.assert_allclose(z @ np.maximum(X @ direction, 0.0) / size, best, rtol=1e-9)


def test_a_stopped_search_claims_nothing(backend):
    X, z = random_case(0, "none")

    def stopped(kernel, *args):
        return kernel(*args, np.ones(1, np.uint8))

    _, bound, _, _ = exact_norm(X, z, False, get_backend(backend), 1, stopped)
    assert bound == np.inf


def test_too_many_vertices(backend):
    X, z = random_case(0, "none", 40)
    count = count_vertices(X, z)
    assert norm(X, z, False, backend, max_cells=count)[0] > 0.0
    with pytest.raises(ValueError, match="max_cells"):
        norm(X, z, False, backend, max_cells=count - 1)
