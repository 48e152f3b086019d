import tracemalloc

import devices
import numpy as np
import pytest
from scipy.sparse import csr_array

import pyconvex
from pyconvex import PatternSet, group_lasso_path, sample_patterns, solve_group_lasso
from pyconvex.backends import array as kernels

import oracles
import problems

OPTIMA = {  # by independent solvers
    (200, 10, 100, 0.1): 0.151419690353,
    (200, 10, 100, 0.01): 0.0233917960822,
    (1000, 20, 500, 0.1): 0.0356328491363,
    (1000, 20, 500, 0.01): 0.0069831422252,
}
X, y = oracles.teacher(60, 4)
classes = np.where(y > np.median(y), 1.0, -1.0)
counts = np.round(np.exp(0.15 * (y - y.min())))
gates = sample_patterns(X, 40, random_state=0)
weights = np.random.default_rng(3).integers(0, 4, 60).astype(float)
omega = np.random.default_rng(7).uniform(0.3, 3.0, len(gates))


def solve(place, y=y, patterns=gates, X=X, dtype=None, **settings):
    arrays = {k: place.array(v) for k, v in settings.items() if isinstance(v, np.ndarray)}
    x = place.array(X, dtype)
    return solve_group_lasso(x, place.array(y), patterns, **settings | arrays, **place.keywords)


def check(place, result, X=X, y=y, patterns=gates, beta=0.01):
    """Recompute objective and bound of half the squared error from what was returned."""
    masks = patterns.to_dense()
    U, active = place.host(result.coef), place.host(result.active)
    f = (masks[active] * (U @ X.T)).sum(axis=0) + result.intercept
    objective = 0.5 * np.mean((y - f) ** 2) + beta * np.linalg.norm(U, axis=1).sum()
    assert result.objective == pytest.approx(objective, rel=1e-12)
    z = place.host(result.multiplier)
    bound = oracles.dual_objective(
        z, y, np.full(len(y), 1 / len(y)), beta / np.linalg.norm((masks * z) @ X, axis=1).max()
    )
    assert result.dual_objective == pytest.approx(bound, rel=1e-9)
    assert result.lower_bound == result.dual_objective <= result.objective
    assert result.gap == pytest.approx(1 - result.dual_objective / result.objective, abs=1e-12)
    assert (result.certificate, result.signs) == ("restricted", None)


@pytest.mark.parametrize("size", OPTIMA)
def test_optima_of_independent_solvers(size, place):
    X, y, G, beta = problems.group_lasso(*size)
    x = place.array(X)
    patterns = PatternSet.from_gates(x, place.array(G), **place.keywords)
    settings = {"beta": beta, "tol": 1e-8} | place.keywords
    result = solve_group_lasso(x, place.array(y), patterns, **settings)
    assert result.gap <= 1e-8
    assert result.status == "optimal"
    assert result.objective == pytest.approx(OPTIMA[size], rel=1e-8)
    check(place, result, X, y, PatternSet.from_gates(X, G), beta)


PROGRAMS = {
    "plain": {},
    "intercept": {"intercept": True},
    "ridge": {"ridge": 0.1},
    "weights": {"group_weights": omega, "sample_weight": weights},
    "all": {"intercept": True, "ridge": 0.003, "group_weights": omega, "sample_weight": weights},
    "logistic": {"loss": "logistic", "y": classes, "intercept": True},
    "logistic, weights": {"loss": "logistic", "y": classes, "sample_weight": weights},
    "huber": {"loss": pyconvex.losses.Huber(delta=0.3), "intercept": True},
    "squared_hinge": {"loss": "squared_hinge", "y": classes, "intercept": True},
    "poisson": {"loss": "poisson", "y": counts, "intercept": True},
}
KINKED = {
    "hinge": {"loss": "hinge", "y": classes},
    "hinge, all": {"loss": "hinge", "y": classes} | PROGRAMS["all"],
    "quantile": {"loss": pyconvex.losses.Quantile(tau=0.7), "intercept": True},
}


def solve_twice(place, settings, beta, tol):
    """Return what the device and the host find, of one objective."""
    found = solve(place, beta=beta, tol=tol, **settings)
    expected = solve_group_lasso(X, patterns=gates, beta=beta, tol=tol, **({"y": y} | settings))
    assert found.status == "optimal"
    assert found.gap <= tol
    assert found.objective == pytest.approx(expected.objective, rel=2 * tol)
    return found, expected


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_as_on_the_host(name, place):
    settings = PROGRAMS[name]
    found, expected = solve_twice(place, settings, beta=0.005, tol=1e-8)
    assert found.intercept == pytest.approx(expected.intercept, abs=1e-3)
    assert place.host(found.multiplier) == pytest.approx(expected.multiplier, abs=1e-5)
    if "sample_weight" in settings:
        assert not place.host(found.multiplier)[weights == 0].any()


@pytest.mark.parametrize("name", KINKED)
def test_losses_with_a_kink(name, place):
    """Their optimum may have many multipliers, and predictions."""
    settings, beta = KINKED[name], 0.02
    found, _ = solve_twice(place, settings, beta, tol=1e-6)
    z, s = place.host(found.multiplier), settings.get("sample_weight", np.ones(60))
    s = s / s.sum()
    share = z / np.where(s > 0.0, s, 1.0) * settings.get("y", 1.0)
    low, high = (0.0, 1.0) if "hinge" in name else (-0.3, 0.7)
    assert share.min() >= low - 1e-9
    assert share.max() <= high + 1e-9
    U, active = place.host(found.coef), place.host(found.active)
    f = (gates.to_dense()[active] * (U @ X.T)).sum(axis=0) + found.intercept
    errors = 1.0 - classes * f if "hinge" in name else y - f
    sizes = np.linalg.norm(U, axis=1) * settings.get("group_weights", np.ones(len(gates)))[active]
    penalty = beta * sizes.sum() + 0.5 * settings.get("ridge", 0.0) * (U**2).sum()
    value = s @ np.maximum(low * errors, high * errors) + penalty
    assert found.objective == pytest.approx(value, rel=1e-9)


def test_conjugate_gradients_alone(place, monkeypatch):
    monkeypatch.setattr("pyconvex.array_system.ArraySystem.fits", False)
    result = solve(place, beta=0.01, tol=1e-8)
    assert result.gap <= 1e-8
    assert result.status == "optimal"
    check(place, result)


def test_many_blocks(place, monkeypatch):
    monkeypatch.setattr(kernels, "CPU_BLOCK", 2**15)
    monkeypatch.setattr(kernels, "MEMORY_BUDGET", 2**15)
    monkeypatch.setattr(kernels, "_ROWS", 32)
    result = solve(place, beta=0.05, tol=1e-6)
    assert result.gap <= 1e-6
    check(place, result, beta=0.05)


def test_a_namespace_without_linear_algebra(monkeypatch):
    place = devices.place("strict-device1")
    monkeypatch.setattr("pyconvex.namespaces.Space.linalg", None)
    result = solve(place, beta=0.01, tol=1e-8)
    assert result.gap <= 1e-8
    check(place, result)


def test_float32_data_solve_the_problem_of_their_double_copy(place):
    single = X.astype(np.float32)
    result = solve(place, X=single, dtype="float32", beta=0.01, tol=1e-9)
    assert result.gap <= 1e-9
    check(place, result, X=single.astype(float), y=y)


def test_integers_are_converted_on_their_device(place):
    whole = np.round(3 * X).astype(int)
    patterns = sample_patterns(whole, 30, random_state=0)
    x, t = place.array(whole), place.array(np.round(y).astype(int))
    found = solve_group_lasso(x, t, patterns, beta=0.1, **place.keywords)
    expected = solve_group_lasso(whole, np.round(y), patterns, beta=0.1)
    assert found.objective == pytest.approx(expected.objective, rel=2e-6)


def test_lists_and_frames_take_the_backend_too():
    pandas = pytest.importorskip("pandas")
    expected = solve_group_lasso(X, y, gates, beta=0.1)
    for data in (X.tolist(), pandas.DataFrame(X)):
        found = solve_group_lasso(data, y.tolist(), gates, beta=0.1, backend="array")
        assert found.objective == pytest.approx(expected.objective, rel=1e-6)
    with pytest.raises(TypeError, match="X must hold real numbers"):
        solve_group_lasso([["a"]], [1.0], gates, beta=0.1, backend="array")
    with pytest.raises(ValueError, match="X is ragged"):
        solve_group_lasso([[1.0], [1.0, 2.0]], y, gates, beta=0.1, backend="array")
    with pytest.raises(ValueError, match="X is sparse, which device arrays are not"):
        solve_group_lasso(csr_array(X), y, gates, beta=0.1, backend="array")


def test_a_device_without_double_precision():
    strict = pytest.importorskip("array_api_strict")
    place = devices.Place("strict", strict, strict.Device("no_float64"))
    result = solve_group_lasso(
        place.array(X, "float32"), place.array(y, "float32"), gates, beta=0.01, tol=1e-5
    )
    expected = solve_group_lasso(X, y, gates, beta=0.01, tol=1e-9)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(expected.objective, rel=1e-5)
    assert result.dual_objective == pytest.approx(expected.objective, rel=2e-5)


def test_warm_starts(place):
    before = solve(place, beta=0.01, tol=1e-9)
    again = solve(place, beta=0.01, tol=1e-6, warm_start=before)
    assert (again.n_iter, again.status) == (1, "optimal")
    assert again.objective == pytest.approx(before.objective, rel=1e-12)
    U = np.zeros((len(gates), X.shape[1]))
    U[place.host(before.active)] = place.host(before.coef)
    again = solve(place, beta=0.01, tol=1e-6, warm_start=U)
    assert again.n_iter == 1
    for wrong in (U[:3], U[:, :2]):
        with pytest.raises(ValueError, match="warm_start has shape"):
            solve(place, beta=0.01, warm_start=wrong)


def test_no_active_groups(place):
    result = solve(place, beta=100.0)
    assert place.host(result.coef).shape == (0, X.shape[1])
    assert (result.gap, result.status) == (0.0, "optimal")
    assert result.objective == pytest.approx(0.5 * np.mean(y**2), rel=1e-14)


def test_limits_and_callbacks(place):
    assert solve(place, beta=0.001, tol=1e-9, max_iter=3).status == "max_iter"
    assert solve(place, beta=0.001, tol=1e-9, time_limit=1e-9).status == "time_limit"
    seen = []
    result = solve(place, beta=0.001, tol=1e-9, callback=lambda r: seen.append(r) or len(seen) == 4)
    assert (result.status, result.n_iter) == ("interrupted", 4)
    assert tuple(seen) == result.history
    check(place, result, beta=0.001)


def test_paths(place):
    x, t = place.array(X), place.array(y)
    found = group_lasso_path(x, t, gates, n_betas=5, intercept=True, tol=1e-8, **place.keywords)
    expected = group_lasso_path(X, y, gates, n_betas=5, intercept=True, tol=1e-8)
    assert [r.beta for r in found] == pytest.approx([r.beta for r in expected], rel=1e-10)
    objectives = [r.objective for r in expected]
    assert [r.objective for r in found] == pytest.approx(objectives, rel=2e-8)
    assert len(place.host(found[0].active)) == 0
    assert all(r.gap <= 1e-8 for r in found)


def test_patterns_on_devices(place):
    x, G = place.array(X), np.random.default_rng(0).standard_normal((4, 40))
    there = sample_patterns(x, 40, random_state=0, **place.keywords)
    assert there == gates
    assert PatternSet.from_gates(x, place.array(G), **place.keywords) == gates
    assert (place.host(there.to_dense()) == gates.to_dense()).all()
    assert place.host(there.gates) == pytest.approx(gates.gates)
    assert (place.host(there[5]) == gates[5]).all()
    assert there[2:9] == gates[2:9]
    assert len(there[np.array([3, 1])]) == 2
    dense = place.array(gates.to_dense())
    assert PatternSet.from_dense(dense, **place.keywords) == gates
    moved = gates.to_device(x)
    assert moved == gates
    assert moved.to_device(x) is moved
    home = moved.to_host()
    assert isinstance(home.packed, np.ndarray)
    assert (home.packed == gates.packed).all()
    assert solve(place, patterns=there, beta=0.1).objective == pytest.approx(
        solve(place, patterns=gates, beta=0.1).objective, rel=1e-12
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "cd"}, "engine='cd'"),
        (
            {"loss": "hinge", "y": classes, "cones": True},
            "loss='hinge' is not available with cones=True on device arrays",
        ),
        ({"loss": "softmax"}, "loss='softmax' is not available on device arrays"),
        ({"loss": "logistic"}, "y must be -1 or \\+1"),
        ({"y": y[:5]}, "y has 5 entries but X has 60 rows"),
        ({"y": y[:, np.newaxis]}, "y must be 1-D"),
        ({"X": X[:, 0]}, "X must be 2-D"),
        ({"X": X[:0]}, "X is empty"),
        ({"X": np.where(X > 2, np.nan, X)}, "X contains NaN"),
        ({"sample_weight": -weights}, "sample_weight has negative"),
        ({"sample_weight": 0 * weights}, "sample_weight is zero everywhere"),
        ({"group_weights": omega[:3]}, "group_weights has shape"),
        ({"group_weights": 0 * omega}, "group_weights must be > 0"),
        ({"beta": -1.0}, "beta must be"),
        ({"ridge": -1.0}, "ridge must be"),
        ({"tol": 2.0}, "tol must be"),
        ({"patterns": gates[:0]}, "patterns is empty"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, message, place):
    with pytest.raises(ValueError, match=message):
        solve(place, **{"beta": 0.01} | settings)


def test_several_devices_are_errors():
    first, second = (devices.place(name) for name in devices.STRICT)
    x, t = first.array(X), first.array(y)
    elsewhere = sample_patterns(second.array(X), 5, random_state=0)
    for arguments, message in (
        ((x, second.array(y), gates), "y is on device .*device2.* but X on device .*device1"),
        ((x, y, gates), "y is on the host"),
        ((x, t, elsewhere), "patterns live on device .*device2.*pass patterns.to_device"),
        ((X, y, elsewhere), "patterns live on a device .*pass patterns.to_host"),
    ):
        with pytest.raises(ValueError, match=message):
            solve_group_lasso(*arguments, beta=0.1)
    with pytest.raises(ValueError, match="sample_weight is on the host"):
        solve_group_lasso(x, t, gates, beta=0.1, sample_weight=weights)
    with pytest.raises(ValueError, match="backend='jit' computes on NumPy arrays but X is on"):
        solve_group_lasso(x, t, gates, beta=0.1, backend="jit")
    with pytest.raises(ValueError, match="warm_start is on the host"):
        solve_group_lasso(x, t, gates, beta=0.1, warm_start=np.zeros((40, 4)))


def test_a_device_that_is_asked_for():
    first, second = (devices.place(name) for name in devices.STRICT)
    there = solve_group_lasso(
        first.array(X), first.array(y), gates, beta=0.01, device=second.device, tol=1e-9
    )
    check(first, there)
    with pytest.raises(ValueError, match="device='nowhere' is not available in array_api_strict"):
        solve_group_lasso(first.array(X), first.array(y), gates, beta=0.01, device="nowhere")


def test_a_device_that_is_absent():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match=r"device='cuda' is not available in torch.*'cpu'"):
        solve_group_lasso(X, y, gates, beta=0.01, device="cuda")


def test_peak_memory(monkeypatch):
    budget = 2**22
    monkeypatch.setattr(kernels, "MEMORY_BUDGET", budget)
    monkeypatch.setattr(kernels, "CPU_BLOCK", budget)
    X, y, G, beta = problems.group_lasso(3000, 30, 2000, 0.3)
    patterns = PatternSet.from_gates(X, G)
    tracemalloc.start()
    result = solve_group_lasso(X, y, patterns, beta=beta, tol=1e-4, backend="array")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.gap <= 1e-4
    per_group = 8 * 2000 * 30  # bytes of an array of weights
    packed = 2000 * 3000 // 8
    assert peak <= budget + 6 * per_group + 2 * packed + 40 * 8 * 3000
    assert 3 * peak < 8 * 2000 * 3000  # the masks in doubles
