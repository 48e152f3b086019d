import numpy as np
import pytest

from pyconvex import PatternSet, sample_patterns, solve_group_lasso

import oracles

X, y = oracles.teacher(20, 3)
gates = sample_patterns(X, 15, random_state=0)
weights = np.random.default_rng(3).integers(0, 4, 20)
GATED = ({"cones": False, "engine": "cd"}, {"cones": False, "engine": "newton"})
PROGRAMS = ({"cones": True}, *GATED)


def prediction(result, X, patterns):
    """The program's own prediction, from coef, active, signs and intercept."""
    masks = patterns.to_dense()[result.active]
    signs = np.ones(len(result.coef)) if result.signs is None else result.signs
    return signs @ (masks * (result.coef @ X.T)) + result.intercept


def check_certificate(result, X, y, patterns, cones, weights=None):
    """Recompute objective and dual bound with the tests' own formulas."""
    s = np.full(len(y), 1 / len(y)) if weights is None else weights / weights.sum()
    residual = y - prediction(result, X, patterns)
    objective = 0.5 * s @ residual**2 + result.beta * np.linalg.norm(result.coef, axis=1).sum()
    assert result.objective == pytest.approx(objective, rel=1e-9)
    kept = s > 0
    z, rows = (s * residual)[kept], patterns.to_dense()[:, kept]
    norm = oracles.dual_norm(X[kept], z, rows, cones)
    dual = oracles.dual_objective(z, y[kept], s[kept], result.beta / norm)
    assert dual <= result.dual_objective * (1 + 1e-9)
    z, rows = result.multiplier, patterns.to_dense()
    assert not z[~kept].any()
    norm = oracles.dual_norm(X[kept], z[kept], rows[:, kept], cones)
    dual = oracles.dual_objective(z[kept], y[kept], s[kept], result.beta / norm)
    assert result.dual_objective == pytest.approx(dual, rel=1e-9)
    assert result.lower_bound == result.dual_objective <= result.objective * (1 + 1e-12)
    assert result.gap == pytest.approx(1 - result.dual_objective / result.objective, abs=1e-12)
    assert (result.certificate, result.status) == ("restricted", "optimal")


@pytest.mark.parametrize("program", PROGRAMS)
def test_golden_values(program, backend):
    X, y, beta = oracles.golden()
    cells = oracles.all_cells(X)
    assert len(cells) == 58
    result = solve_group_lasso(X, y, cells, beta=beta, tol=1e-9, backend=backend, **program)
    optimum = 0.73284603 if program["cones"] else 0.34868335
    assert 8 * result.objective == pytest.approx(optimum, abs=1e-8)
    assert result.gap <= 1e-9
    check_certificate(result, X, y, cells, program["cones"])


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("sample_weight", [None, weights], ids=["equal", "weighted"])
@pytest.mark.parametrize("beta", [0.1, 0.001])
def test_against_a_conic_solver(beta, sample_weight, intercept, program, backend):
    result = solve_group_lasso(
        X, y, gates, beta=beta, intercept=intercept, sample_weight=sample_weight, tol=1e-9,
        backend=backend, **program,
    )  # fmt: skip
    dense, cones = gates.to_dense(), program["cones"]
    optimum = oracles.conic_optimum(X, y, dense, beta, cones, intercept, weights=sample_weight)
    assert result.objective == pytest.approx(optimum, rel=1e-7)
    check_certificate(result, X, y, gates, cones, sample_weight)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.003, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_elastic_nets_and_group_weights(weighted, ridge, intercept, program, backend):
    cones, beta, dense = program["cones"], 0.005, gates.to_dense()
    omega = np.random.default_rng(7).uniform(0.3, 3.0, len(gates)) if weighted else None
    result = solve_group_lasso(
        X, y, gates, beta=beta, ridge=ridge, group_weights=omega, intercept=intercept, tol=1e-9,
        backend=backend, **program,
    )  # fmt: skip
    assert (result.status, result.certificate) == ("optimal", "restricted")
    assert result.gap <= 1e-9
    residual, s = y - prediction(result, X, gates), np.full(20, 1 / 20)
    weights = np.ones(len(gates)) if omega is None else omega
    sizes = np.linalg.norm(result.coef, axis=1)
    penalty = beta * weights[result.active] @ sizes + 0.5 * ridge * sizes @ sizes
    assert result.objective == pytest.approx(0.5 * s @ residual**2 + penalty, rel=1e-12)
    optimum = oracles.conic_optimum(
        X, y, dense, beta, cones, intercept, ridge=ridge, group_weights=omega
    )
    assert result.objective == pytest.approx(optimum, rel=1e-7)
    z = result.multiplier  # proves the bound, by the tests' own formulas
    norms = oracles.dual_norms(X, z, dense, cones) / weights[:, np.newaxis]
    dual = oracles.dual_objective(z, y, s, beta / norms.max())
    if ridge > 0.0:
        over = weights[:, np.newaxis] * np.maximum(norms - beta, 0.0)
        dual = max(dual, z @ y - 0.5 * z @ (z / s) - (over**2).sum() / (2.0 * ridge))
    assert result.dual_objective == pytest.approx(dual, rel=1e-9)
    assert not intercept or abs(z.sum()) <= 1e-12


@pytest.mark.parametrize("program", PROGRAMS)
def test_group_weights_scale_with_beta(program, backend):
    """A weight of 1e9 forbids a pattern; weights c times as large are a beta c times as large."""
    settings = {"tol": 1e-9, "backend": backend, **program}
    omega = np.where(np.arange(len(gates)) % 2, 1e9, 1.0)
    some = solve_group_lasso(X, y, gates, beta=0.01, group_weights=omega, **settings)
    half = solve_group_lasso(X, y, gates[::2], beta=0.01, **settings)
    assert (some.active % 2 == 0).all()
    assert some.objective == pytest.approx(half.objective, rel=1e-8)
    twice = solve_group_lasso(
        X, y, gates[::2], beta=0.005, group_weights=2 * omega[::2], **settings
    )
    assert twice.objective == pytest.approx(half.objective, rel=1e-8)


@pytest.mark.parametrize("beta", [0.1, 0.001])
def test_cones_hold_to_rounding(beta, backend):
    result = solve_group_lasso(X, y, gates, beta=beta, cones=True, backend=backend)
    margins = (2.0 * gates.to_dense()[result.active] - 1.0) * (result.coef @ X.T)
    sizes = np.linalg.norm(result.coef, axis=1)[:, np.newaxis] * np.linalg.norm(X, axis=1)
    assert len(result.coef) > 0
    assert (margins / sizes).min() >= -1e-12
    assert set(result.signs) <= {-1.0, 1.0}


def test_beta_max(backend):
    """At the dual norm of y/n everything is zero, just below it something is not."""
    dense = gates.to_dense()
    for program in PROGRAMS:
        limit = oracles.dual_norm(X, y / 20, dense, program["cones"])
        above, below = (
            solve_group_lasso(X, y, gates, beta=c * limit, backend=backend, **program)
            for c in (1.000001, 0.99)
        )
        assert len(above.active) == 0
        assert above.gap == 0.0
        assert above.objective == pytest.approx(0.5 * np.mean(y**2))
        assert len(below.active) >= 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_constant_target_is_the_intercept(program, backend):
    result = solve_group_lasso(
        X, np.full(20, 3.0), gates, beta=0.1, intercept=True, backend=backend, **program
    )
    assert (result.intercept, len(result.coef), result.gap) == (3.0, 0, 0.0)


def test_repeated_patterns_and_a_gate_that_is_never_on(backend):
    packed = np.concatenate([gates.packed, gates.packed[:3], np.zeros((1, 1), np.uint64)])
    many = PatternSet(packed, 20)
    for program in PROGRAMS:
        settings = {"beta": 0.01, "tol": 1e-9, "backend": backend, **program}
        one = solve_group_lasso(X, y, gates, **settings)
        two = solve_group_lasso(X, y, many, **settings)
        assert two.objective == pytest.approx(one.objective, rel=1e-8)


def plain_weights(result):
    U = np.zeros((len(gates), 3))
    U[result.active] = result.coef
    return U


@pytest.mark.parametrize(
    ("program", "start"),
    [(program, lambda result: result) for program in PROGRAMS]
    + [(program, plain_weights) for program in GATED],
)
def test_warm_start(program, start, backend):
    settings = {"beta": 0.005, "tol": 1e-8, "backend": backend, **program}
    cold = solve_group_lasso(X, y, gates, **settings)
    warm = solve_group_lasso(X, y, gates, warm_start=start(cold), **settings)
    assert warm.n_iter < cold.n_iter
    assert warm.objective == pytest.approx(cold.objective, rel=1e-7)


@pytest.mark.parametrize("program", PROGRAMS)
def test_limits_and_callback(program, backend):
    settings = {"beta": 0.001, "tol": 1e-12, "backend": backend, **program}
    stops = {
        "max_iter": {"max_iter": 1},
        "time_limit": {"time_limit": 1e-9},
        "interrupted": {"callback": lambda record: True},
    }
    for status, stop in stops.items():
        result = solve_group_lasso(X, y, gates, **settings, **stop)
        assert result.status == status
        assert result.gap > 1e-12
        assert result.n_iter == len(result.history) <= 2


@pytest.mark.parametrize("program", PROGRAMS)
def test_threads_and_repeats_change_nothing(program, backend):
    """But for the rounding of BLAS, which sums in another order."""
    runs = [
        solve_group_lasso(X, y, gates, beta=0.005, n_threads=k, backend=backend, **program)
        for k in (1, 2, None, 1)
    ]
    slack = 1e-12 if program.get("engine") == "newton" else 0.0
    np.testing.assert_array_equal(runs[3].coef, runs[0].coef)
    for run in runs[1:]:
        np.testing.assert_allclose(run.coef, runs[0].coef, rtol=slack, atol=slack)
        np.testing.assert_array_equal(run.active, runs[0].active)


@pytest.mark.parametrize("beta", [0.3, 0.01, 1e-5])
@pytest.mark.parametrize("intercept", [False, True])
def test_engines_agree(intercept, beta, backend):
    """More samples than coordinates and fewer, equal rows, a beta that interpolates.

    At the smallest beta "cd" crawls; its bounds hold all the same.
    """
    for n, d, n_gates in ((60, 3, 40), (15, 6, 60)):
        A, b = oracles.teacher(n, d, seed=n)
        A[1] = A[0]
        patterns = sample_patterns(A, n_gates, random_state=0)
        cd, newton = (
            solve_group_lasso(
                A, b, patterns, beta=beta, intercept=intercept, tol=1e-7, max_iter=400,
                backend=backend, engine=engine,
            )
            for engine in ("cd", "newton")
        )  # fmt: skip
        check_certificate(newton, A, b, patterns, False)
        assert newton.gap <= 1e-7
        assert cd.dual_objective <= newton.objective * (1 + 1e-12)
        assert newton.dual_objective <= cd.objective * (1 + 1e-12)
        assert cd.status == "optimal" or beta == 1e-5


def test_newton_survives_a_hard_stop(backend):
    """The best state so far, whatever stops it: never worse than nothing, its bound valid."""
    optimum = solve_group_lasso(X, y, gates, beta=0.001, tol=1e-10, backend=backend).objective
    for max_iter in (0, 1, 3, 8):
        result = solve_group_lasso(
            X, y, gates, beta=0.001, engine="newton", max_iter=max_iter, backend=backend
        )
        assert result.objective <= 0.5 * np.mean(y**2) * (1 + 1e-12)
        assert result.dual_objective <= optimum * (1 + 1e-12)


def call(*arguments, **keywords):
    return lambda backend: solve_group_lasso(
        *(arguments or (X, y, gates)), **{"beta": 0.1, "backend": backend, **keywords}
    )


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (call(X[0], y, gates), ValueError, "X must be 2-D .*reshape"),
        (call(X, y[1:], gates), ValueError, "y has 19 entries but X has 20 rows: pass one"),
        (call(X[1:], y[1:], gates), ValueError, "patterns has n_samples=20 but X has 19 rows"),
        (call(X, y, gates.to_dense()), TypeError, "patterns must be a PatternSet.*from_dense"),
        (call(X, y, gates[:0]), ValueError, "patterns is empty"),
        (call(beta=0), ValueError, "beta must be a finite number > 0"),
        (call(engine="admm"), ValueError, "engine must be one of 'auto', 'cd', 'newton'"),
        (call(engine="newton", cones=True), ValueError, "engine='newton' does not know cones"),
        (call(loss="l1"), ValueError, "loss must be one of 'squared'"),
        (call(ridge=-1), ValueError, "ridge must be a finite number >= 0"),
        (call(group_weights=[1.0]), ValueError, r"group_weights has shape .*13 patterns: pass"),
        (call(group_weights=np.zeros(13)), ValueError, "group_weights must be > 0: leave out"),
        (call(tol=2), ValueError, "tol must be a relative tolerance"),
        (call(sample_weight=-(y**2)), ValueError, "sample_weight has negative entries"),
        (call(warm_start=np.ones((13, 2))), ValueError, r"warm_start has shape .*\(13, 3\)"),
        (call(warm_start=np.ones((13, 3)), cones=True), ValueError, "pass a GroupLassoResult"),
        (call(warm_start="cold"), (TypeError, ValueError), "warm_start"),
        (call(max_iter=0.5), TypeError, "max_iter must be an integer"),
        (call(n_threads=0), ValueError, "n_threads must be an integer >= 1"),
    ],
)
def test_bad_input(bad, error, message, backend):
    with pytest.raises(error, match=message):
        bad(backend)


def test_warm_start_of_another_program(backend):
    gated = solve_group_lasso(X, y, gates, beta=0.01, backend=backend)
    with pytest.raises(ValueError, match=r"warm_start does not fit: .*cones"):
        solve_group_lasso(X, y, gates, beta=0.01, cones=True, warm_start=gated, backend=backend)
    with pytest.raises(ValueError, match="warm_start does not fit"):
        solve_group_lasso(X, y, gates[:1], beta=0.01, warm_start=gated, backend=backend)
