"""From rows to lines: what is merged, what is exact, and the determinants behind it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pyconvex.backends import available, get_backend
from pyconvex.backends.jit_minors import exact_sign, volume
from pyconvex.data import check_exact_matrix
from pyconvex.lines import find_lines

GAUSSIAN = np.random.default_rng(0).standard_normal((20, 3))


def determinant(A):
    """Exact, by elimination with fractions."""
    rows, result = [[Fraction(int(x)) for x in row] for row in A], Fraction(1)
    for c in range(len(rows)):
        pivot = next((i for i in range(c, len(rows)) if rows[i][c]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != c:
            rows[c], rows[pivot], result = rows[pivot], rows[c], -result
        result *= rows[c][c]
        for row in rows[c + 1 :]:
            factor = row[c] / rows[c][c]
            row[c:] = [x - factor * y for x, y in zip(row[c:], rows[c][c:], strict=True)]
    return result


def test_rows_are_multiples_of_their_lines():
    X = np.concatenate([GAUSSIAN, -3.0 * GAUSSIAN[:4], np.zeros((2, 3)), 1e-7 * GAUSSIAN[2:3]])
    lines = find_lines(X)
    assert (lines.n_lines, lines.rank) == (20, 3)
    np.testing.assert_array_equal(lines.line, [*range(20), 0, 1, 2, 3, -1, -1, 2])
    np.testing.assert_array_equal(np.flatnonzero(lines.flip), [20, 21, 22, 23])
    assert not lines.is_identity
    assert find_lines(GAUSSIAN).is_identity
    g = np.random.default_rng(1).standard_normal(3)  # a vector in the coordinates of Y
    ours, users = lines.Y @ g, X @ (lines.to_user @ g)
    kept = lines.line >= 0
    signs = np.where(lines.flip[kept], -1.0, 1.0) * ours[lines.line[kept]]
    np.testing.assert_array_equal(np.sign(users[kept]), np.sign(signs))


def test_integers_stay_exact():
    X = np.random.default_rng(0).integers(-9, 10, (15, 4)).astype(float)
    for scaled in (X, X / 1024, X * np.ldexp(1.0, np.arange(15))[:, np.newaxis]):
        lines = find_lines(scaled)
        assert lines.Z.shape == lines.Y.shape
        norms = np.linalg.norm(lines.Z.astype(float), axis=1, keepdims=True)
        np.testing.assert_allclose(lines.Z / norms, lines.Y, rtol=1e-14)
        np.testing.assert_array_equal(lines.Z, find_lines(X).Z)
    assert not len(find_lines(X / 10).Z)
    assert not len(find_lines(X + 2.0**-40).Z)


@pytest.mark.parametrize("mixed", [False, True])
def test_rank(mixed):
    rng = np.random.default_rng(0)
    for rank in range(1, 6):
        X = rng.integers(-3, 4, (12, rank)) @ rng.integers(-3, 4, (rank, 7))
        expected = np.linalg.matrix_rank(X)
        if mixed:
            X = X @ rng.standard_normal((7, 7))
        assert find_lines(X.astype(float)).rank == expected


def test_whitening_is_blind_to_units():
    """The same lines from columns of any scale: in coordinates of condition one."""
    scales = 10.0 ** np.array([-80, 3, 90])
    for X in (GAUSSIAN, GAUSSIAN * scales, GAUSSIAN * 10.0 ** np.arange(-10, 10)[:, np.newaxis]):
        lines = find_lines(X)
        sizes = np.linalg.svd(lines.Y, compute_uv=False)
        assert sizes[0] < 2.0 * sizes[-1]
        assert lines.tol < 1e-12


def test_rotations_differ_but_lines_do_not():
    first, second = find_lines(GAUSSIAN, 0), find_lines(GAUSSIAN, 1)
    assert np.abs(first.Y - second.Y).max() > 0.1
    np.testing.assert_allclose(first.Y @ first.Y.T, second.Y @ second.Y.T, atol=1e-12)


def test_fractions_become_integers():
    X = [[Fraction(1, 3), Fraction(1, 6)], [2, Fraction(-1, 2)]]
    np.testing.assert_array_equal(check_exact_matrix(X), [[2.0, 1.0], [4.0, -1.0]])
    assert X[0][0] == Fraction(1, 3)
    np.testing.assert_array_equal(check_exact_matrix([[1, 2]]), [[1.0, 2.0]])
    with pytest.raises(ValueError, match="X must be 2-D"):
        check_exact_matrix([Fraction(1, 3)])


@settings(deadline=None)
@given(data=st.data(), k=st.integers(1, 5), bits=st.integers(1, 61))
def test_signs_of_determinants_are_exact(data, k, bits):
    entries = st.integers(-(2**bits), 2**bits)
    A = data.draw(arrays(np.int64, (k, k), elements=entries))
    if k > 1 and data.draw(st.booleans()):
        A[-1] = A[0]  # singular, or nearly
        A[-1, 0] += data.draw(st.integers(-1, 1))
    exact = determinant(A)
    assert exact_sign(A) == (exact > 0) - (exact < 0)


def test_volumes():
    rng = np.random.default_rng(0)
    for k in range(1, 7):
        A = rng.standard_normal((k, k))
        np.testing.assert_allclose(volume(A.copy()), np.linalg.det(A), rtol=1e-10)
        B = rng.standard_normal((k, k + 3))
        minors = np.prod(np.linalg.svd(B, compute_uv=False))
        assert 0.01 * minors < abs(volume(B.copy())) <= minors * (1 + 1e-12)
    assert volume(np.zeros((2, 2))) == 0.0


@settings(deadline=None)
@given(data=st.data(), m=st.integers(1, 150), n=st.integers(1, 150))
def test_expanding_lines_to_rows(data, m, n):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    dense = rng.integers(0, 2, (3, m)).astype(bool)
    line = rng.integers(-1, m, n)
    run = np.arange(min(m, n))  # the usual case: long runs of consecutive lines
    line[: len(run)] = run
    flip = (rng.random(n) < data.draw(st.sampled_from([0.0, 0.1, 0.9]))) & (line >= 0)
    expected = np.where(line >= 0, dense[:, line] ^ flip, True)
    for name in available():
        kernels = get_backend(name)
        packed = kernels.expand_rows(kernels.pack_dense(dense), m, line, flip, 2)
        np.testing.assert_array_equal(kernels.unpack(packed, n), expected)
