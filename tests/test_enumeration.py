"""Cells of arrangements: counts that are known, witnesses, order, streaming, exactness."""

import itertools
import pickle
import signal
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import pyconvex
from pyconvex import (
    PatternSet,
    backends,
    count_patterns,
    enumerate_patterns,
    iter_patterns,
)

from arrangements import KNOWN, block_diagonal, braid, grid, n_cells_general, nbc_count
from oracles import all_cells

FEW = 20_000  # cells whose witnesses are all checked


def check(X, count, backend, witnesses=True, **keywords):
    """Return the enumeration after checking that it is one: cells of X, distinct, in pairs."""
    patterns = enumerate_patterns(X, backend=backend, max_patterns=10**8, **keywords)
    assert len(patterns) == count
    assert count_patterns(X, backend=backend) == count
    assert count_patterns(X, backend=backend, bound=True) >= count
    assert len(np.unique(patterns.packed, axis=0)) == count
    if witnesses and count <= FEW:
        check_witnesses(patterns, X)
        dense, nonzero = patterns.to_dense(), np.asarray(X).any(axis=1)
        if nonzero.any():
            np.testing.assert_array_equal(dense[1::2, nonzero], ~dense[::2, nonzero])
    return patterns


def check_witnesses(patterns, X):
    X, dense, points = np.asarray(X, float), patterns.to_dense(), patterns.witnesses()
    nonzero = X.any(axis=1)
    values = points @ X[nonzero].T
    assert np.where(dense[:, nonzero], values > 0, values < 0).all()
    assert dense[:, ~nonzero].all()
    assert (patterns.margins() > 0).all()


def random_sizes():
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (2, 2), (63, 2), (64, 3), (65, 3), (128, 2), (129, 3), (5, 9), (11, 10)]
    while len(sizes) < 30:
        r = int(rng.integers(2, 8))
        n = int(rng.integers(1, {2: 300, 3: 90, 4: 40, 5: 24, 6: 18, 7: 15}[r]))
        sizes.append((n, r))
    return sizes


@pytest.mark.parametrize("size", random_sizes(), ids=str)
def test_general_position(size, backend):
    n, r = size
    X = np.random.default_rng(n + 1000 * r).standard_normal((n, r))
    count = n_cells_general(n, min(n, r))
    check(X, count, backend)
    assert count_patterns(X, bound=True) == count


@pytest.mark.parametrize(("name", "make", "count"), KNOWN, ids=[name for name, _, _ in KNOWN])
def test_known_arrangements(name, make, count, backend):
    check(make(), count, backend)


@pytest.mark.skipif(len(backends.available()) < 2, reason="the numba twin would take minutes")
def test_threshold_functions_of_six_inputs():
    cube = np.array(list(itertools.product([-1.0, 1.0], repeat=6)))
    assert count_patterns(np.column_stack([cube, np.ones(64)])) == 15_028_134


@pytest.mark.parametrize("make", [lambda: grid(5, 2), lambda: grid(3, 3), lambda: grid(2, 4)])
def test_grids_with_an_intercept(make, backend):
    check(make(), nbc_count(make()), backend)


def test_products_multiply(backend):
    check(block_diagonal(braid(4), grid(2, 2)), 24 * 14, backend)


@pytest.mark.parametrize("seed", range(200))
def test_random_integers_against_broken_circuits(seed):
    """Entries up to 5, rank up to 5, up to 40 rows; every invariance on each."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 6))
    n = int(rng.integers(1, {5: 24}.get(d, 41)))
    high = int(rng.integers(1, 6))
    X = rng.integers(-high, high + 1, (n, d)).astype(float)
    count = nbc_count(X)
    for name in backends.available():
        check(X, count, name, witnesses=seed < 50)
        for changed in variants(X, rng):
            patterns = check(changed, count, name, witnesses=False)
            assert patterns.n_samples == len(changed)


def variants(X, rng):
    """The same arrangement up to the order and the number of its rows."""
    n, d = X.shape
    yield X[rng.permutation(n)]
    yield X * rng.choice([-2.0, -1.0, 0.5, 3.0], (n, 1))  # still integers, up to a power of two
    yield X * rng.uniform(-2.0, 2.0, (n, 1))
    yield X @ rng.standard_normal((d, d + 1))
    yield np.concatenate([np.zeros((1, d)), X, X[:3], -2.0 * X[:2], 0.3 * X[:2], np.zeros((2, d))])
    yield 1e-9 * X * 10.0 ** rng.integers(-6, 6, d)


@pytest.mark.parametrize("seed", range(6))
def test_patterns_follow_the_rows(seed, backend):
    """Not only as many: the same cells after permuting, scaling, mixing and repeating rows."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (12, 3)).astype(float) if seed % 2 else rng.standard_normal((12, 3))
    dense = enumerate_patterns(X, backend=backend).to_dense()
    order = rng.permutation(12)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    scale = rng.uniform(0.5, 2.0, (12, 1))
    for changed, expected in [
        (X[order], dense[:, order]),
        (X * scale, dense),
        (X @ turn, dense),
        (np.concatenate([X, X[:2]]), np.column_stack([dense, dense[:, :2]])),
    ]:
        found = enumerate_patterns(changed, backend=backend)
        assert found == PatternSet.from_dense(expected)
    opposite = X.copy()
    opposite[0] *= -1.0
    flipped = dense.copy()
    flipped[:, 0] ^= X[0].any()
    assert enumerate_patterns(opposite, backend=backend) == PatternSet.from_dense(flipped)


@pytest.mark.parametrize(("n", "r"), [(8, 3), (12, 2), (9, 4)])
def test_all_cells_by_brute_force(n, r, backend):
    X = np.random.default_rng(n).standard_normal((n, r))
    assert enumerate_patterns(X, backend=backend) == all_cells(X)


def test_two_spirals(backend):
    """Sixteen lines hold ten points each: 24,290 cells instead of 25,442."""
    i = np.arange(80)
    angle, radius = i * np.pi / 16, (104 - i) / 104
    half = radius[:, np.newaxis] * np.column_stack([np.cos(angle), np.sin(angle)])
    X = np.column_stack([np.concatenate([half, -half]), np.ones(160)])
    assert count_patterns(X, bound=True) == 25_442
    check(X, 24_290, backend, verify=True)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), n=st.integers(1, 9), d=st.integers(1, 4))
def test_small_integers_against_broken_circuits(data, n, d):
    X = data.draw(arrays(np.float64, (n, d), elements=st.integers(-2, 2).map(float)))
    for name in backends.available():
        check(X, nbc_count(X), name)


def test_backends_and_threads_agree_bit_by_bit():
    rng = np.random.default_rng(3)
    for X in (rng.standard_normal((70, 4)), grid(6, 2), braid(6), rng.standard_normal((200, 2))):
        first = enumerate_patterns(X, n_threads=1)
        for name, threads in itertools.product(backends.available(), (1, 3)):
            other = enumerate_patterns(X, n_threads=threads, backend=name)
            np.testing.assert_array_equal(first.packed, other.packed)


@pytest.mark.parametrize(
    "X",
    [
        np.random.default_rng(0).standard_normal((70, 3)),
        grid(5, 2),
        braid(5),
        np.eye(2),
        -np.eye(1),
    ],
    ids=["general", "grid", "braid", "plane", "line"],
)
def test_streaming(X, backend):
    whole = enumerate_patterns(X, backend=backend).packed
    n = len(whole)
    for start, stop, size in [
        (0, None, 7), (0, None, 10**6), (1, n - 1, 2), (n // 2 + 1, None, 5), (3, 4, 9), (5, 2, 3),
        (n, None, 4), (n + 5, n + 9, 4), (0, n + 9, 100), (2, n // 2, None),
    ]:  # fmt: skip
        blocks = list(iter_patterns(X, start=start, stop=stop, block_size=size, backend=backend))
        packed = np.concatenate([whole[:0], *(block.packed for block in blocks)])
        np.testing.assert_array_equal(packed, whole[start:stop])
        lengths = [len(block) for block in blocks]
        assert all(length == size for length in lengths[:-1])
        assert 0 not in lengths


def test_blocks_know_their_witnesses(backend):
    for X in (np.random.default_rng(0).standard_normal((30, 3)), grid(4, 2)):
        for block in iter_patterns(X, start=4, block_size=50, backend=backend):
            check_witnesses(block, X)
            check_witnesses(block[10:20:2], X)


def test_a_stream_can_be_abandoned(backend):
    X = np.random.default_rng(0).standard_normal((3000, 3))  # nine million patterns
    start = time.perf_counter()
    blocks = iter_patterns(X, block_size=1000, backend=backend)
    assert len(next(blocks)) == 1000
    blocks.close()
    assert time.perf_counter() - start < 60  # compiling included; all of it would be gigabytes


def test_slices_keep_their_witnesses(backend):
    X = grid(4, 2)
    patterns = enumerate_patterns(X, backend=backend)
    points = patterns.witnesses()
    np.testing.assert_array_equal(patterns[5:50:3].witnesses(), points[5:50:3])
    some = np.array([7, 3, 44, 3])
    np.testing.assert_array_equal(patterns[some].witnesses(), points[some])
    mask = patterns.to_dense()[:, 0]
    np.testing.assert_array_equal(patterns[mask].witnesses(), points[mask])
    twin = pickle.loads(pickle.dumps(patterns[2:9]))
    assert twin == patterns[2:9]
    np.testing.assert_array_equal(twin.witnesses(), points[2:9])
    np.testing.assert_array_equal(patterns.gates, points.T)
    assert PatternSet.from_gates(X, patterns.gates) == patterns


def test_all_rows_zero(backend):
    for X in (np.zeros((3, 2)), np.zeros((1, 1))):
        patterns = check(X, 1, backend, verify=True)
        assert patterns.to_dense().all()
        assert [len(block) for block in iter_patterns(X, backend=backend)] == [1]
        assert list(iter_patterns(X, start=1, backend=backend)) == []


def test_fractions_and_integers_are_exact(backend):
    third = [[Fraction(i, 3), Fraction(j, 7), Fraction(1)] for i in range(4) for j in range(4)]
    exact = nbc_count(grid(4, 2))
    assert count_patterns(third, backend=backend) == exact
    assert count_patterns(grid(4, 2).astype(int), backend=backend) == exact
    assert count_patterns(np.array(third, dtype=float), backend=backend) == exact


def test_determinants_that_floats_cannot_decide(backend):
    """Three rows of 25 bits whose determinant is 1, and the same rows made dependent."""
    for n in (2**13, 2**24):
        a, b, unit = np.array([n, n + 1, n - 7]), np.array([n - 1, n, 5 - n]), np.array([0, 0, 1])
        thin = np.concatenate([[a, b, a + b + unit], np.eye(3)[:2]])
        flat = np.concatenate([[a, b, a + b], np.eye(3)[:2]])
        assert nbc_count(flat) == nbc_count(thin) - 2 == n_cells_general(5, 3) - 2
        for X in (thin, flat):  # the thinnest cell has room for a double at 2^13 only
            check(X, nbc_count(X), backend, witnesses=n == 2**13)
    rng = np.random.default_rng(0)
    for _ in range(20):  # combinations of three rows of four coordinates, and their neighbours
        base = rng.integers(-(2**12), 2**12, (3, 4))
        mixed = rng.integers(-(2**10), 2**10, (4, 3)) @ base
        X = np.concatenate([base, mixed, mixed + rng.integers(-1, 2, mixed.shape)])
        check(X.astype(float), nbc_count(X), backend, witnesses=False)


def test_it_refuses_before_it_allocates(backend):
    X = np.random.default_rng(0).standard_normal((1000, 6))
    with pytest.raises(ValueError, match=r"X may have 1\.65e13 patterns .*iter_patterns"):
        enumerate_patterns(X, backend=backend)
    with pytest.raises(ValueError, match="max_patterns=57: stream them with iter_patterns"):
        enumerate_patterns(X[:8, :3], max_patterns=57, backend=backend)
    assert len(enumerate_patterns(X[:8, :3], max_patterns=58, backend=backend)) == 58
    with pytest.raises(ValueError, match="GiB of memory"):
        enumerate_patterns(X, max_patterns=10**15, backend=backend)
    wide = np.random.default_rng(0).standard_normal((1000, 30))
    for refused in (lambda: iter_patterns(wide), lambda: count_patterns(wide)):
        with pytest.raises(ValueError, match="too many to"):
            refused()
    assert count_patterns(wide, bound=True) == n_cells_general(1000, 30)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: enumerate_patterns([1.0, 2.0]), ValueError, "X must be 2-D"),
        (lambda: enumerate_patterns([[np.nan]]), ValueError, "X contains NaN"),
        (lambda: enumerate_patterns([["a"]]), TypeError, "X must hold real numbers"),
        (lambda: enumerate_patterns([[1.0]], max_patterns=0), ValueError, "max_patterns must be"),
        (lambda: enumerate_patterns([[1.0]], n_threads=0), ValueError, "n_threads must be"),
        (lambda: enumerate_patterns([[1.0]], backend="x"), ValueError, "backend must be one of"),
        (lambda: iter_patterns([[]]), ValueError, "X is empty"),
        (lambda: iter_patterns([[1.0]], start=-1), ValueError, "start must be"),
        (lambda: iter_patterns([[1.0]], stop=1.5), TypeError, "stop must be"),
        (lambda: iter_patterns([[1.0]], block_size=0), ValueError, "block_size must be"),
        (lambda: count_patterns(np.zeros((0, 3))), ValueError, "X is empty"),
        (lambda: PatternSet.from_dense([[0, 1]]).margins(), ValueError, "margins need data"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_input_is_left_alone_and_may_be_read_only(backend):
    X = grid(3, 2)
    X.flags.writeable = False
    enumerate_patterns(X, backend=backend)
    fractions = [[Fraction(1, 3), Fraction(1, 2)], [Fraction(1), Fraction(0)]]
    count_patterns(fractions, backend=backend)
    assert fractions[0][0] == Fraction(1, 3)


def test_verify_notices_a_missing_cell(monkeypatch):
    X = np.random.default_rng(0).standard_normal((8, 3))
    enumerate_patterns(X, verify=True)
    fill = pyconvex.arrangement.Arrangement.fill

    def lossy(self, first, last, packed):
        return fill(self, first, last, packed) - 1

    monkeypatch.setattr("pyconvex.arrangement.Arrangement.fill", lossy)
    with pytest.raises(RuntimeError, match="verification failed: 56 patterns"):
        enumerate_patterns(X, verify=True)


def test_ctrl_c_ends_an_enumeration():
    X = np.random.default_rng(0).standard_normal((3000, 4))  # ten billion patterns
    main = threading.main_thread().ident
    timer = threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        count_patterns(X)
    assert time.perf_counter() - start < 10
