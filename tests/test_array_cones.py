import numpy as np
import pytest

import pyconvex
from pyconvex import PatternSet, group_lasso_path, sample_patterns, solve_group_lasso
from pyconvex.array_cells import project
from pyconvex.namespaces import Space

import oracles

X8 = np.random.default_rng(0).standard_normal((8, 3))
y8 = np.random.default_rng(1).standard_normal(8)
CELLS = sample_patterns(X8, 100_000, random_state=0)  # all 58
X, y = oracles.teacher(50, 4)
classes = np.where(y > np.median(y), 1.0, -1.0)
weights = np.random.default_rng(3).integers(0, 3, 50).astype(float)
gates = sample_patterns(X, 40, random_state=0)
omega = np.random.default_rng(7).uniform(0.5, 2.0, len(gates))


def solve(place, X=X, y=y, patterns=gates, **settings):
    arrays = {k: place.array(v) for k, v in settings.items() if isinstance(v, np.ndarray)}
    return solve_group_lasso(
        place.array(X), place.array(y), patterns, cones=True,
        **settings | arrays, **place.keywords,
    )  # fmt: skip


def check_cones(place, result, X=X, patterns=gates):
    """Weights lie in their cells, so that the ReLU network predicts what the program does."""
    U, active = place.host(result.coef), place.host(result.active)
    signs = place.host(result.signs)
    masks = patterns.to_dense()[active]
    heights = U @ X.T
    assert (np.where(masks, heights, -heights) > -1e-14 * np.linalg.norm(U, axis=1)[:, None]).all()
    linear = signs @ (masks * heights)
    assert signs @ np.maximum(heights, 0.0) == pytest.approx(linear, abs=1e-13)
    assert set(signs) <= {-1.0, 1.0}
    return U, linear + result.intercept


@pytest.mark.parametrize(
    ("loss", "y", "golden"),
    [("squared", y8, 0.73284603), ("logistic", np.sign(y8), 2.72340466)],
)
def test_golden_values(place, loss, y, golden):
    result = solve(place, X8, y, CELLS, beta=0.15 / 8, loss=loss, tol=1e-9)
    assert (result.status, result.certificate) == ("optimal", "restricted")
    assert result.gap <= 1e-9
    assert 8 * result.objective == pytest.approx(golden, abs=1e-8)
    assert result.lower_bound == result.dual_objective <= result.objective
    check_cones(place, result, X8, CELLS)


PROGRAMS = {
    "plain": {},
    "intercept": {"intercept": True},
    "ridge": {"ridge": 0.05},
    "weights": {"group_weights": omega, "sample_weight": weights},
    "logistic": {"loss": "logistic", "y": classes, "intercept": True},
}


@pytest.mark.parametrize("settings", PROGRAMS.values(), ids=PROGRAMS)
def test_the_same_optimum_as_on_the_host(place, settings):
    found = solve(place, beta=0.02, tol=1e-8, **settings)
    expected = solve_group_lasso(
        X, settings.get("y", y), gates, beta=0.02, cones=True, tol=1e-9,
        **{k: v for k, v in settings.items() if k != "y"},
    )  # fmt: skip
    assert found.status == "optimal"
    assert found.gap <= 1e-8
    assert found.objective == pytest.approx(expected.objective, rel=1e-8)
    assert found.dual_objective <= expected.objective * (1.0 + 1e-12)
    used = np.flatnonzero(weights if "sample_weight" in settings else np.ones(50))
    U, f = check_cones(place, found, X[used], PatternSet.from_dense(gates.to_dense()[:, used]))
    if not settings:
        objective = 0.5 * np.mean((y - f) ** 2) + 0.02 * np.linalg.norm(U, axis=1).sum()
        assert found.objective == pytest.approx(objective, rel=1e-12)


def test_the_multiplier_proves_the_bound(place):
    result = solve(place, X8, y8, CELLS, beta=0.15 / 8)
    z = place.host(result.multiplier)
    norm = pyconvex.price(X8, z, method="exact").bound
    bound = oracles.dual_objective(z, y8, np.full(8, 1 / 8), result.beta / norm)
    assert result.dual_objective <= bound * (1.0 + 1e-9)
    assert result.dual_objective == pytest.approx(bound, rel=1e-6)


def test_warm_starts_and_paths(place):
    x, t = place.array(X), place.array(y)
    settings = {"cones": True, "tol": 1e-6} | place.keywords
    points = group_lasso_path(x, t, gates, n_betas=4, beta_min_ratio=0.05, **settings)
    expected = group_lasso_path(X, y, gates, n_betas=4, beta_min_ratio=0.05, cones=True, tol=1e-8)
    for found, one in zip(points, expected, strict=True):
        assert found.status == "optimal"
        assert found.beta == pytest.approx(one.beta, rel=1e-9)
        assert found.objective == pytest.approx(one.objective, rel=1e-6)
    assert points[0].coef.shape[0] == 0
    last = points[-1]
    again = solve_group_lasso(x, t, gates, beta=last.beta, warm_start=last, **settings)
    assert (again.status, again.n_iter) == ("optimal", 1)


def test_limits_and_errors(place):
    assert solve(place, beta=0.01, max_iter=1, tol=1e-9).status == "max_iter"
    assert solve(place, beta=0.01, callback=lambda record: True).status == "interrupted"
    with pytest.raises(ValueError, match="engine='newton' does not know cones"):
        solve(place, beta=0.01, engine="newton")
    with pytest.raises(ValueError, match="warm_start"):
        solve(place, beta=0.01, warm_start=np.zeros((len(gates), 4)))


def test_projections_onto_cells(place):
    rng = np.random.default_rng(0)
    X, C = rng.standard_normal((30, 4)), rng.standard_normal((25, 4))
    masks = PatternSet.from_gates(X, rng.standard_normal((4, 25))).to_dense().astype(float)
    C[0] = masks[0] @ X * 0.0 + interior(X, masks[0])  # inside its cell
    x = place.array(X)
    settings = Space.of(x), x, place.array(masks), place.array(C)
    points, norms = project(*settings, place.array(np.zeros(25)), lambda: False)
    points, norms = place.host(points), place.host(norms)
    for point, norm, c, mask in zip(points, norms, C, masks, strict=True):
        expected = nnls_projection(X, mask, c)
        assert norm == pytest.approx(np.linalg.norm(expected), abs=1e-12)
        assert point == pytest.approx(expected, abs=1e-6)
    assert points[0] == pytest.approx(C[0], abs=1e-14)
    enough = 0.5 * np.linalg.norm(C, axis=1)
    _, bounds = project(*settings, place.array(enough), lambda: False)
    bounds = place.host(bounds)
    assert (bounds >= norms - 1e-12).all()  # ended early, but above
    assert ((bounds <= enough) == (norms <= enough)).all()
    _, ended = project(*settings, place.array(np.zeros(25)), lambda: True)
    assert place.host(ended) == pytest.approx(np.linalg.norm(C, axis=1))


def interior(X, mask):
    """A point strictly inside a cell, by a linear program."""
    from scipy.optimize import linprog

    A = np.where(mask > 0, 1.0, -1.0)[:, None] * X
    return linprog(np.zeros(4), A_ub=-A, b_ub=-np.ones(len(X)), bounds=(None, None)).x


def nnls_projection(X, mask, c):
    from scipy.optimize import nnls

    A = np.where(mask > 0, 1.0, -1.0)[:, None] * X
    mu, _ = nnls(A.T, -c)
    return c + A.T @ mu
