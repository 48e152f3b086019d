import numpy as np
import pytest

from pyconvex import array_walk
from pyconvex.array_faces import Faces
from pyconvex.array_pricing import Search, merge_rows
from pyconvex.array_training import Training
from pyconvex.array_walk import walk
from pyconvex.backends import get_backend
from pyconvex.namespaces import Space

STOP = np.zeros(1, np.uint8)


def problem(n=60, p=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)), rng.standard_normal(n), rng.standard_normal((40, p))


def run(place, X, z, starts, signs, tight=None):
    x = place.array(X)
    tight = np.full(starts.shape, -1) if tight is None else tight
    points, rows = walk(
        Space.of(x), x, place.array(z), place.array(starts), place.array(signs),
        place.array(tight), lambda: False,
    )  # fmt: skip
    return place.host(points), place.host(rows)


def values(X, z, points):
    norms = np.linalg.norm(points, axis=1)
    return np.maximum(points @ X.T, 0.0) @ z / np.where(norms > 0.0, norms, 1.0)


@pytest.mark.parametrize("budget", [2**26, 2**14], ids=["one block", "blocks"])
def test_walks_end_at_local_maxima(place, budget, monkeypatch):
    monkeypatch.setattr(array_walk, "_HOST_BUDGET", budget)
    X, z, starts = problem()
    points, rows = run(place, X, z, starts, np.ones(40))
    found = values(X, z, points)
    assert found.max() == pytest.approx(values(X, z, walked(X, z, starts)).max(), rel=1e-12)
    # From there the other backends' search finds nothing better.
    assert values(X, z, walked(X, z, points)) == pytest.approx(found, rel=1e-9)
    tight = rows >= 0
    assert tight.any()  # maxima lie on kinks
    a = np.abs(np.einsum("kp,ktp->kt", points, X[np.where(tight, rows, 0)]))
    assert (a[tight] < 1e-12).all()


def walked(X, z, starts):
    return get_backend("jit").walk(X, z, starts, False, 1, STOP)[0]


def test_both_signs(place):
    X, z, starts = problem()
    points, _ = run(place, X, z, starts, -np.ones(40))
    other, _ = run(place, X, -z, starts, np.ones(40))
    assert points == pytest.approx(other, abs=1e-12)


def test_nothing_to_find_ends_at_zero(place):
    X, z, starts = problem()
    points, _ = run(place, X, -np.abs(z), starts, np.ones(40))
    assert (points == 0.0).all()


def test_a_start_on_its_face_stays_there(place):
    X, z, starts = problem()
    points, rows = run(place, X, z, starts, np.ones(40))
    again, same = run(place, X, z, points, np.ones(40), rows)
    assert again == pytest.approx(points, abs=1e-10)
    assert [set(r) for r in same.tolist()] == [set(r) for r in rows.tolist()]


def test_faces_are_dual_bases(place):
    X, _, starts = problem(p=4)
    x = place.array(X)
    space = Space.of(x)
    index = np.full((3, 4), -1)
    index[0, :3], index[1, :1], index[2, :2] = (0, 5, 9), 7, (3, 3)  # the last depends
    faces = Faces.of(space, x, place.array(index))
    assert place.host(faces.count).tolist() == [3, 1, 1]
    u = place.host(faces.projected(place.array(starts[:3])))
    assert X[[0, 5, 9]] @ u[0] == pytest.approx(np.zeros(3), abs=1e-13)
    mu = place.host(faces.multipliers(place.array(starts[:3])))
    assert X[[0, 5, 9]].T @ mu[0, :3] == pytest.approx(starts[0] - u[0], abs=1e-12)
    faces.remove(place.array(np.array([True, False, False])), place.array(np.array([1, 0, 0])))
    u = place.host(faces.projected(place.array(starts[:3])))
    assert X[[0, 9]] @ u[0] == pytest.approx(np.zeros(2), abs=1e-13)
    assert abs(X[5] @ u[0]) > 0.1


def test_equal_rows_are_merged(place):
    X, z, _ = problem(n=6, p=2)
    repeated = X[[0, 1, 2, 1, 3, 0, 4, 5]]
    z = np.arange(8.0)
    x = place.array(repeated)
    space = Space.of(x)
    rows, order, ends = merge_rows(space, x)
    sums = np.add.reduceat(z[place.host(order)], np.r_[0, place.host(ends)[:-1] + 1])
    found = {tuple(row): total for row, total in zip(place.host(rows).tolist(), sums, strict=True)}
    expected = {tuple(X[k]): t for k, t in enumerate([5.0, 4.0, 2.0, 4.0, 6.0, 7.0])}
    assert found == expected
    search = Search(Training(space, x, loss=None, beta=1.0), np.random.default_rng(0))
    assert np.sort(place.host(search._at_rows(place.array(z)))).tolist() == sorted(sums)
    assert merge_rows(space, place.array(X))[1] is None
