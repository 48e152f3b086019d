import copy
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import pyconvex
from pyconvex import PatternSet, backends, sample_patterns
from pyconvex.backends import get_backend
from pyconvex.patterns import check_patterns

dense_matrices = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=140))
integers = st.integers(-3, 3).map(float)
relaxed = settings(deadline=None)  # the first call compiles


def first_of_each(dense):
    """Brute force: distinct rows in the order of their first appearance."""
    return np.array(list(dict.fromkeys(map(tuple, dense.tolist()))), dtype=bool)


@relaxed
@given(dense=dense_matrices)
def test_dense_round_trip(dense):
    for name in backends.available():
        patterns = PatternSet.from_dense(dense, backend=name)
        np.testing.assert_array_equal(patterns.to_dense(), first_of_each(dense))


@relaxed
@given(data=st.data(), n=st.integers(1, 70), d=st.integers(1, 4), n_gates=st.integers(1, 70))
def test_gates_give_the_definition(data, n, d, n_gates):
    X = data.draw(arrays(np.float64, (n, d), elements=integers))  # small integers: exact sums
    G = data.draw(arrays(np.float64, (d, n_gates), elements=integers))
    expected = first_of_each((X @ G >= 0).T)
    for name in backends.available():
        patterns = PatternSet.from_gates(X, G, backend=name)
        np.testing.assert_array_equal(patterns.to_dense(), expected)
        np.testing.assert_array_equal((X @ patterns.gates >= 0).T, expected)


def test_backends_agree_bit_by_bit(backend):
    rng = np.random.default_rng(0)
    X, G = rng.standard_normal((150, 7)), rng.standard_normal((7, 333))
    X[0] = 0.0
    X[1] = X[2] * 3.0
    kernels, other = get_backend(backend), get_backend("jit")
    packed = kernels.pack_gates(X, G, 0)
    np.testing.assert_array_equal(packed, other.pack_gates(X, G, 0))
    np.testing.assert_array_equal(packed, kernels.pack_gates(X, G, 3))
    np.testing.assert_array_equal(kernels.unpack(packed, 150), (X @ G >= 0).T)
    repeated = packed[rng.integers(0, 333, 1000)]
    np.testing.assert_array_equal(kernels.unique(repeated), other.unique(repeated))


def test_layout_of_the_bits(backend):
    dense = np.zeros((1, 130), dtype=bool)
    dense[0, [0, 63, 64, 129]] = True
    packed = PatternSet.from_dense(dense, backend=backend).packed
    assert packed.shape == (1, 3)
    assert packed.tolist() == [[1 | 1 << 63, 1, 1 << 1]]


def test_a_zero_product_is_active(backend):
    patterns = PatternSet.from_gates([[0.0, 0.0], [1.0, -1.0]], [[1.0], [1.0]], backend=backend)
    assert patterns.to_dense().all()


def test_sampling(backend):
    X = np.random.default_rng(1).standard_normal((20, 3))
    patterns = sample_patterns(X, 500, random_state=0, backend=backend)
    G = np.random.default_rng(0).standard_normal((3, 500))
    assert patterns == PatternSet.from_gates(X, G)
    assert len(patterns) == len({row.tobytes() for row in patterns.to_dense()})
    every = sample_patterns(X, 500, unique=False, random_state=0, backend=backend)
    assert len(every) == 500
    np.testing.assert_array_equal(every.gates, G)
    one = sample_patterns(X, 500, random_state=0, backend=backend, n_threads=1)
    np.testing.assert_array_equal(one.packed, patterns.packed)


def test_sampling_in_threads(backend):
    X = np.random.default_rng(1).standard_normal((50, 4))
    with ThreadPoolExecutor(4) as pool:
        draws = pool.map(lambda s: sample_patterns(X, 99, random_state=s, backend=backend), [7] * 8)
    assert all(draw == sample_patterns(X, 99, random_state=7) for draw in draws)


def test_all_cells_of_a_small_arrangement():
    """The 58 cells of 8 rows in general position in R^3: 2 (C(7,0) + C(7,1) + C(7,2))."""
    X = np.random.default_rng(0).standard_normal((8, 3))
    assert len(sample_patterns(X, 100_000, random_state=0)) == 58


def test_indexing():
    X = np.random.default_rng(2).standard_normal((10, 3))
    patterns = sample_patterns(X, 50, random_state=0)
    dense = patterns.to_dense()
    np.testing.assert_array_equal(patterns[3], dense[3])
    np.testing.assert_array_equal(patterns[-1], dense[-1])
    np.testing.assert_array_equal(np.array(list(patterns)), dense)
    for key in (slice(2, 7), slice(None, None, -1), [4, 1], dense[:, 0]):
        part = patterns[key]
        np.testing.assert_array_equal(part.to_dense(), dense[key])
        np.testing.assert_array_equal((X @ part.gates >= 0).T, dense[key])
    assert len(patterns[:0]) == 0
    with pytest.raises(IndexError):
        patterns[len(patterns)]


def test_equality_is_that_of_sets():
    patterns = PatternSet.from_dense([[1, 0], [0, 1]])
    assert patterns == PatternSet.from_dense([[0, 1], [1, 0], [0, 1]])
    assert patterns != PatternSet.from_dense([[0, 1]])
    assert patterns != PatternSet.from_dense([[1, 0, 0], [0, 1, 0]])
    assert patterns != "patterns"
    with pytest.raises(TypeError, match="unhashable"):
        hash(patterns)


def test_immutable_copies_and_pickles():
    source = np.eye(2)
    patterns = PatternSet.from_gates(np.eye(2), source)
    source[0, 0] = -9.0
    assert patterns.gates[0, 0] == 1.0
    for twin in (patterns, copy.copy(patterns), pickle.loads(pickle.dumps(patterns))):
        assert twin == patterns
        for array in (twin.packed, twin.gates):
            assert not array.flags.writeable
    with pytest.raises(AttributeError):
        patterns.n_samples = 3


def test_repr():
    assert repr(PatternSet.from_dense([[1, 0]])) == (
        "PatternSet(n_patterns=1, n_samples=2, gates=False)"
    )


def test_witnesses_from_gates_and_from_data():
    X = np.random.default_rng(3).standard_normal((12, 3))
    gated = sample_patterns(X, 40, random_state=0)
    np.testing.assert_array_equal(gated.witnesses(), gated.gates.T)
    dense = gated.to_dense()
    found = PatternSet.from_dense(dense, X).witnesses()
    np.testing.assert_array_equal((X @ found.T > 0).T, dense)
    assert (np.abs(X @ found.T) > 0).all()
    with pytest.raises(ValueError, match="witnesses need gates or data"):
        PatternSet.from_dense(dense).witnesses()
    corners = np.array(list(itertools.product([0, 1], repeat=12)))
    with pytest.raises(ValueError, match="is no cell of X"):
        PatternSet.from_dense(corners, X).witnesses()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PatternSet.from_dense([[0, 2]]), ValueError, "D must hold only 0 and 1"),
        (lambda: PatternSet.from_dense([0, 1]), ValueError, "D must be 2-D"),
        (lambda: PatternSet.from_dense([[0, 1]], [[1.0]]), ValueError, "X has 1 rows but the"),
        (lambda: PatternSet.from_gates([[1.0, 2.0]], [[1.0]]), ValueError, "G has 1 rows but X"),
        (lambda: PatternSet.from_gates([1.0], [[1.0]]), ValueError, "X must be 2-D"),
        (lambda: PatternSet(np.zeros((1, 1)), 3), TypeError, "packed must have dtype uint64"),
        (lambda: PatternSet(np.zeros((1, 2), "u8"), 3), ValueError, "packed has shape"),
        (lambda: PatternSet(np.full((1, 1), 8, "u8"), 3), ValueError, "past the last sample"),
        (lambda: PatternSet(np.zeros((1, 1), "u8"), 3, [1.0]), ValueError, "gates must have one"),
        (lambda: sample_patterns([[1.0]], 0), ValueError, "n_patterns must be an integer >= 1"),
        (lambda: sample_patterns([[1.0]], 2.0), TypeError, "n_patterns must be an integer"),
        (lambda: sample_patterns([[1.0]], 2, method="x"), ValueError, "method must be one of"),
        (lambda: sample_patterns([[1.0]], 2, backend="x"), ValueError, "backend must be one of"),
        (lambda: check_patterns([[1]], 1), TypeError, "patterns must be a PatternSet"),
        (
            lambda: check_patterns(PatternSet.from_dense([[0, 1]]), 3),
            ValueError,
            "patterns has n_samples=2 but X has 3 rows",
        ),
        (
            lambda: check_patterns(PatternSet.from_dense([[0, 1]])[:0], 2),
            ValueError,
            "patterns is empty",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_public_names():
    assert pyconvex.PatternSet is PatternSet
    assert pyconvex.sample_patterns is sample_patterns
