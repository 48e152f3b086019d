"""Branch and bound: brackets of the dual norm that hold, and certificates made of them."""

import numpy as np
import pytest

from pyconvex import backends, beta_max, enumerate_patterns, fit
from pyconvex.bounded import bracket_norm, provable_norm
from pyconvex.pricing import run_whole
from pyconvex.program import Problem, relative_gap

import oracles

BIASES = ("free", "decayed", "none")
MAX_CELLS = 600  # up to which the full program is solved by cvxpy


def instance(seed, max_n=40, bias=None):
    """A random problem of rank at most 4; a quarter of them have integer data."""
    rng = np.random.default_rng(seed)
    bias = bias or BIASES[seed % 3]
    n, d = int(rng.integers(2, max_n + 1)), int(rng.integers(1, 4)) + (bias == "none")
    X = rng.integers(-2, 3, (n, d)).astype(float) if seed % 4 == 0 else rng.standard_normal((n, d))
    return X, rng.standard_normal(n), bias, float(10 ** rng.uniform(-3, np.log10(0.9)))


def solver_rows(X, bias):
    if bias == "free":
        X = X - X.mean(axis=0)
    return np.ascontiguousarray(X if bias == "none" else oracles.ones(X))


def problem_of(X, bias):
    n = len(X)
    free = bias == "free"
    return Problem(
        solver_rows(X, bias), np.zeros(n), np.full(n, 1 / n), 0.0, intercept=free, free_bias=free
    )


def bracket(X, z, bias, backend, target=0.0, tol=1e-7, n_threads=1, method="bounded", **keywords):
    kernels = backends.get_backend(backend)
    return bracket_norm(
        problem_of(X, bias),
        z,
        target,
        tol,
        kernels,
        n_threads,
        run_whole,
        method=method,
        **keywords,
    )


@pytest.mark.parametrize("seed", range(24))
def test_brackets_hold_and_are_tight(seed, backend):
    X, z, bias, _ = instance(seed, max_n=16)
    rows = solver_rows(X, bias)
    if bias == "free":
        z -= z.mean()
    cells = enumerate_patterns(oracles.ones(X) if bias != "none" else X).to_dense()
    norm = oracles.dual_norm(rows, z, cells, True, bias == "free")
    found = bracket(X, z, bias, backend)
    assert found.value <= norm * (1 + 1e-7)
    assert norm * (1 - 1e-7) <= found.bound <= found.value * (1 + 1e-7) + 1e-12
    exact = bracket(X, z, bias, backend, method="exact")
    assert exact.bound == pytest.approx(norm, rel=1e-6 if bias == "free" else 1e-9)
    assert exact.bound * (1 - 1e-9) <= found.bound * (1 + 1e-12)
    assert found.value <= exact.bound * (1 + 1e-9)
    if len(found.points):  # the first point attains the value
        point, features = found.points[0], found.points[0][: -1 if bias == "free" else None]
        attained = found.signs[0] * z @ np.maximum(rows @ point, 0.0)
        assert attained == pytest.approx(found.value, rel=1e-9)
        assert np.linalg.norm(features) == pytest.approx(1.0, rel=1e-9)


def test_threads_and_targets_and_limits(backend):
    X, z, bias, _ = instance(9, bias="free")
    z -= z.mean()
    one = bracket(X, z, bias, backend)
    two = bracket(X, z, bias, backend, n_threads=2)
    assert (one.value, one.bound, one.n_nodes) == (two.value, two.bound, two.n_nodes)
    np.testing.assert_array_equal(one.points, two.points)
    early = bracket(X, z, bias, backend, target=0.5 * one.value, first=True)
    assert early.value > 0.5 * one.value
    assert early.n_nodes <= one.n_nodes
    loose = bracket(X, z, bias, backend, target=2.0 * one.value)
    assert one.value <= loose.bound <= 2.0 * one.value * (1 + 1e-7)
    short = bracket(X, z, bias, backend, max_nodes=30)
    assert short.n_nodes < one.n_nodes
    assert short.value <= one.value * (1 + 1e-7)
    assert short.bound >= one.value * (1 - 1e-12)


def test_the_proofs_agree_at_an_optimum(backend):
    for bias in BIASES:
        X, y = oracles.teacher(30, 2, seed=3)
        result = fit(X, y, beta=5e-3, bias=bias, tol=1e-10, random_state=0, backend=backend)
        z = (y - result.predict(X)) / len(y)
        bounded, exact = (bracket(X, z, bias, backend, method=m) for m in ("bounded", "exact"))
        assert exact.bound == pytest.approx(5e-3, rel=1e-8)
        assert 5e-3 * (1 - 1e-8) <= bounded.bound <= 5e-3 * (1 + 2e-7)


@pytest.mark.parametrize("seed", range(6))
def test_the_norm_does_not_depend_on_coordinates_or_copies(seed, backend):
    X, z, bias, _ = instance(seed, max_n=15)
    if bias == "free":
        z -= z.mean()
    norm = bracket(X, z, bias, backend).bound
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((X.shape[1], X.shape[1])))[0]
    order = rng.permutation(len(X))
    wider = np.column_stack([X, np.zeros(len(X))])
    for changed, dual in [
        (X @ turn, z),
        (X[order], z[order]),
        (X, -z),
        (wider, z),
        (np.concatenate([X, X]), np.concatenate([0.25 * z, 0.75 * z])),
    ]:
        assert bracket(changed, dual, bias, backend).bound == pytest.approx(norm, rel=1e-6)


def test_nothing_to_find(backend):
    X = np.random.default_rng(0).standard_normal((5, 2))
    for bias in BIASES:
        assert bracket(X, np.zeros(5), bias, backend).bound == 0.0
    same = np.ones((4, 2))
    z = np.array([1.0, -1.0, 2.0, -2.0])
    assert bracket(same, z, "free", backend).bound == 0.0


def test_provable_norm():
    X, y, _, _ = instance(1)
    n = len(y)
    problem = Problem(X, y, np.full(n, 1 / n), 0.05)
    z = 0.9 * y / n
    objective = problem.dual_objective(z, 0.05) * 1.001

    def gap_of(norm):
        return relative_gap(objective, problem.dual_objective(z, norm))

    norm = provable_norm(0.05, 1e-9, gap_of, 0.01)
    assert norm > 0.05
    assert gap_of(norm) <= 0.01 < gap_of(norm * 1.000001)
    assert provable_norm(0.05, 1e-9, lambda norm: 0.0, 0.01) == np.inf


@pytest.mark.parametrize("seed", range(50))
def test_global_optima_of_random_problems(seed, backend):
    """Gap 1e-8 everywhere; the full convex program agrees where it is small."""
    X, y, bias, share = instance(seed)
    beta = share * beta_max(X, y, bias=bias, backend=backend)
    result = fit(
        X, y, beta=beta, bias=bias, tol=1e-8, certificate="global", random_state=0,
        n_threads=1 + seed % 2, backend=backend,
    )  # fmt: skip
    assert (result.certificate, result.status) == ("global", "optimal")
    assert result.gap <= 1e-8
    assert result.objective == pytest.approx(oracles.objective(result, X, y, bias), rel=1e-12)
    assert result.lower_bound == result.dual_objective
    rows = solver_rows(X, bias)
    cells = enumerate_patterns(rows).to_dense()
    if len(cells) <= MAX_CELLS and seed % 2 == 0:
        optimum = oracles.conic_optimum(rows, y, cells, beta, True, bias == "free", bias == "free")
        assert result.objective == pytest.approx(optimum, rel=1e-7)
        assert result.dual_objective <= optimum * (1 + 1e-8)


@pytest.mark.parametrize(("seed", "random_state"), [(55, 2), (66, 5), (124, 6), (138, 0), (140, 2)])
def test_multipliers_have_more_digits_than_the_objective(seed, random_state, backend):
    """Neurons on dependent rows, near zero and at the resolution of the objective."""
    X, y, bias, share = instance(seed)
    beta = share * beta_max(X, y, bias=bias, backend=backend)
    result = fit(
        X, y, beta=beta, bias=bias, tol=1e-10, certificate="global",
        random_state=random_state, n_threads=1, backend=backend,
    )  # fmt: skip
    assert (result.certificate, result.status) == ("global", "optimal")
    assert result.gap <= 1e-10


def test_backends_find_the_same_optimum():
    if len(backends.available()) < 2:
        pytest.skip("one backend")
    for seed in range(12):
        X, y, bias, share = instance(seed)
        native, jit = (
            fit(X, y, beta=share, bias=bias, tol=1e-9, random_state=0, backend=name).objective
            for name in ("native", "jit")
        )
        assert native == pytest.approx(jit, rel=2e-9)


def test_local_certificates_that_a_proof_corrects(backend):
    """Search from one start stops early; the proof finds the neurons that it missed."""
    X, y = oracles.teacher(40, 2, seed=4)
    proved = fit(X, y, beta=2e-3, certificate="global", random_state=0, backend=backend)
    assert proved.certificate == "global"
    for seed in range(3):
        searched = fit(X, y, beta=2e-3, certificate="local", random_state=seed, backend=backend)
        assert searched.certificate == "local"
        assert searched.objective >= proved.dual_objective
        assert searched.lower_bound <= proved.objective


def test_limits_leave_a_valid_bound(backend):
    X, y = oracles.teacher(60, 2, seed=1)
    done = fit(X, y, beta=1e-3, certificate="global", random_state=0, backend=backend)
    assert done.status == "optimal"
    short = fit(X, y, beta=1e-3, certificate="global", max_iter=2, random_state=0, backend=backend)
    assert (short.certificate, short.status) == ("global", "max_iter")
    assert 1e-6 < short.gap < 0.99  # proved for the network that two rounds gave
    assert short.dual_objective <= done.objective <= short.objective * (1 + 1e-6)
