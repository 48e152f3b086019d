import tracemalloc

import devices
import numpy as np
import pytest

from pyconvex.backends import array as kernels
from pyconvex.backends import get_backend
from pyconvex.namespaces import Space, to_device, to_host

rng = np.random.default_rng(0)
X = rng.integers(-3, 4, (203, 5)).astype(float)  # sums are exact, and often zero
X[3] = 0.0
G = rng.integers(-2, 3, (5, 77)).astype(float)
G[:, 40] = G[:, 7]  # a repeated pattern at least
z, U = rng.standard_normal(203), rng.standard_normal((77, 5))
D = (X @ G >= 0.0).T


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(kernels, "CPU_BLOCK", 2**12)
        monkeypatch.setattr(kernels, "MEMORY_BUDGET", 2**12)
        monkeypatch.setattr(kernels, "_ROWS", 16)


def masks(place, X=X, G=G):
    x = place.array(X)
    space = Space.of(x)
    return space, x, kernels.Masks(space, kernels.pack_gates(space, x, place.array(G)), len(X))


def test_bits_are_those_of_the_other_backends(place, blocks):
    _, _, patterns = masks(place)
    words = get_backend("jit").pack_gates(X, G, 1)
    assert (kernels.to_words(place.host(patterns.packed)) == words).all()
    uploaded = kernels.upload_words(patterns.space, words, len(X))
    assert (place.host(uploaded) == place.host(patterns.packed)).all()


def test_signs_that_rounding_decides(place, blocks):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((90, 7))
    gates = rng.standard_normal((7, 60))
    for j in range(60):  # orthogonal to a row but for rounding
        row = X[j]
        gates[:, j] -= row * (row @ gates[:, j]) / (row @ row)
    _, _, patterns = masks(place, X, gates)
    words = get_backend("jit").pack_gates(X, gates, 1)
    assert np.abs((X @ gates)[np.arange(60), np.arange(60)]).max() < 1e-14
    assert (kernels.to_words(place.host(patterns.packed)) == words).all()


def test_packing(place, blocks):
    space, _, patterns = masks(place)
    bits = kernels.unpack(space, patterns.packed, len(X))
    assert (place.host(bits) == D).all()
    assert (place.host(kernels.pack(space, bits != 0)) == place.host(patterns.packed)).all()


@pytest.mark.parametrize("keep", [False, True])
def test_products(place, blocks, keep):
    _, x, patterns = masks(place)
    patterns = patterns.keep() if keep else patterns
    for found, expected in (
        (patterns.pull(x, place.array(z)), (D * z) @ X),
        (patterns.push(x, place.array(U)), (D * (U @ X.T)).sum(axis=0)),
        (patterns.push_squares(x, place.array(U)), (D * (U @ X.T) ** 2).sum(axis=0)),
        (patterns.sum_samples(place.array(z)), D @ z),
        (patterns.sum_groups(place.array(U[:, 0])), U[:, 0] @ D),
    ):
        assert place.host(found) == pytest.approx(expected, abs=1e-12)


def test_float32_data_are_taken_as_their_double_copy(place, blocks):
    single = rng.standard_normal((203, 5)).astype(np.float32)
    x = place.array(single, "float32")
    space, _, patterns = masks(place)
    found = place.host(patterns.pull(x, place.array(z)))
    assert space.to_double(x).dtype == patterns.pull(x, place.array(z)).dtype
    assert found == pytest.approx((D * z) @ single.astype(float), abs=1e-12)
    words = get_backend("jit").pack_gates(single.astype(float), G, 1)
    packed = kernels.pack_gates(space, x, place.array(G))
    assert (kernels.to_words(place.host(packed)) == words).all()


def test_no_groups(place):
    _, x, patterns = masks(place)
    none = kernels.Masks(patterns.space, patterns.packed[:0, :], len(X)).keep()
    assert none.pull(x, place.array(z)).shape == (0, 5)
    assert not place.host(none.push(x, place.array(U[:0]))).any()


def test_repeats_and_places(place, blocks):
    space, _, patterns = masks(place)
    words = get_backend("jit").pack_gates(X, G, 1)
    kept = get_backend("jit").unique(words)
    assert len(kept) < len(words)
    assert (kernels.unique(space, patterns.packed) == kept).all()
    distinct = space.take(patterns.packed, space.upload(kept))
    assert kernels.unique(space, distinct) is None
    assert (kernels.find(space, distinct, distinct) == np.arange(len(kept))).all()
    other = kernels.pack(space, place.array(~D[:3]))
    expected = [next((k for k in kept if (D[k] == ~row).all()), -1) for row in D[:3]]
    found = kernels.find(space, distinct, other)
    assert [kept[k] if k >= 0 else -1 for k in found] == expected


def test_equal_hashes_of_different_patterns_stay_apart(place, monkeypatch):
    space, _, patterns = masks(place)
    monkeypatch.setattr(kernels, "_hashes", lambda space, packed: np.zeros(len(D), np.int64))
    first = [g for g in range(len(D)) if g == 0 or (D[g] != D[0]).any()]
    assert (kernels.unique(space, patterns.packed) == first).all()


def test_memory_stays_within_the_budget(monkeypatch):
    budget = 2**22
    monkeypatch.setattr(kernels, "MEMORY_BUDGET", budget)
    monkeypatch.setattr(kernels, "CPU_BLOCK", budget)
    place = devices.place("numpy")
    X, G = rng.standard_normal((6000, 20)), rng.standard_normal((20, 900))
    space, x, patterns = masks(place, X, G)
    U = rng.standard_normal((900, 20))
    for kernel, result in (
        (lambda: patterns.pull(x, X[:, 0]), 2 * 900 * 20 * 8),
        (lambda: patterns.push(x, U), 2 * 6000 * 8),
        (lambda: patterns.push_squares(x, U), 2 * 6000 * 8),
        (lambda: kernels.pack_gates(space, x, G), 2 * 900 * 6000 // 8),
        (lambda: patterns.keep(), 0),
    ):
        tracemalloc.start()
        kernel()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= budget + result
    assert 5 * budget < 8 * 900 * 6000  # which the masks as a whole would not


def test_sums_without_double_precision():
    strict = pytest.importorskip("array_api_strict")
    space = Space.at(strict, strict.Device("no_float64"))
    assert not space.exact
    values = (rng.standard_normal(100_003) + 1.0).astype(np.float32)
    there = space.upload(values)
    assert space.total(there) == pytest.approx(values.astype(float).sum(), rel=1e-7)


def test_moves():
    first, second = (devices.place(name) for name in devices.STRICT)
    array = first.array(X)
    moved = to_device(array, Space.of(second.array(z)))
    assert (second.host(moved) == X).all()
    assert (to_host(array) == X).all()
    assert to_device(array, Space.of(array)) is array
    back = to_device(moved, Space.of(X))
    assert isinstance(back, np.ndarray)
