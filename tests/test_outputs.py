"""Several outputs: ReLU networks with one output per neuron, gated ones with nuclear norms."""

import pickle

import numpy as np
import pytest
from scipy.special import entr

import pyconvex
from pyconvex import fit
from pyconvex.dual_linear import DualLinear
from pyconvex.losses import Softmax
from pyconvex.spectral import shrink

import oracles

X, f = oracles.teacher(14, 2, 5)
F = np.column_stack([f, np.abs(X[:, 0]) - 0.5, X[:, 1]])
rows = oracles.ones(X)
cells = oracles.all_cells(rows)
gates = pyconvex.sample_patterns(rows, 8, random_state=0)
weights = np.random.default_rng(3).integers(1, 4, 14)
LOSSES = ("squared", *oracles.LOSSES)


def targets(name):
    if name == "softmax":
        return np.eye(3)[np.argmax(F + 0.5 * np.random.default_rng(1).standard_normal(F.shape), 1)]
    return np.column_stack([oracles.targets(name, column, k) for k, column in enumerate(F.T)])


def loss_value(name, prediction, Y, s):
    if name != "softmax":
        return s @ oracles.losses(name, prediction, Y).sum(axis=1)
    return s @ (np.log(np.exp(prediction).sum(axis=1)) - (Y * prediction).sum(axis=1))


def network_output(network, X):
    hidden = X @ network.hidden_weights.T + network.hidden_bias
    on = hidden > 0 if network.gates is None else X @ network.gates.T + network.gate_bias >= 0
    skip = 0.0 if network.skip is None else X @ network.skip
    return (hidden * on) @ network.output_weights + network.output_bias + skip


def check(result, name, Y, bias, gated, s=None, skip="none"):
    """Recompute the objective from the weights; ReLU neurons serve one output each."""
    network, s = result.network, np.full(len(X), 1 / len(X)) if s is None else s
    penalty = 0.5 * result.beta * oracles.squares(network, bias, gated)
    if skip == "decayed":
        penalty += result.beta * np.linalg.norm(network.skip, axis=0).sum()
    value = loss_value(name, network_output(network, X), Y, s)
    assert result.objective == pytest.approx(value + penalty, rel=1e-9)
    assert result.gap == pytest.approx(1 - result.dual_objective / result.objective, abs=1e-12)
    assert (result.status, result.gap <= 1e-7) == ("optimal", True)
    if not gated:
        assert ((network.output_weights != 0).sum(axis=1) == 1).all()


def conic_optimum(name, Y, dense, beta, bias, gated, s=None, skip="none"):
    import cvxpy as cp

    s = np.full(len(X), 1 / len(X)) if s is None else s
    data, c = (X if bias == "none" else rows), Y.shape[1]
    b = cp.Variable(c) if bias == "free" else np.zeros(c)
    prediction, penalty, constraints = np.ones((len(X), 1)) @ cp.reshape(b, (1, c), "C"), 0.0, []
    if skip != "none":
        linear = cp.Variable((X.shape[1], c))
        prediction = prediction + X @ linear
        penalty = beta * cp.sum(cp.norm(linear, axis=0)) if skip == "decayed" else 0.0
    for pattern in dense:
        masked = pattern[:, np.newaxis] * data
        if gated:
            U = cp.Variable((data.shape[1], c))
            prediction, penalty = prediction + masked @ U, penalty + beta * cp.normNuc(U)
            continue
        for sign in (1, -1):
            U = cp.Variable((data.shape[1], c))
            prediction = prediction + sign * masked @ U
            counted = U[:-1] if bias == "free" else U
            penalty = penalty + beta * cp.sum(cp.norm(counted, axis=0))
            constraints.append((np.where(pattern, 1.0, -1.0)[:, np.newaxis] * data) @ U >= 0)
    if name == "softmax":
        values = cp.log_sum_exp(prediction, axis=1) - cp.sum(cp.multiply(Y, prediction), axis=1)
    else:
        values = cp.sum(oracles.conic_losses(name, prediction, Y), axis=1)
    accuracy = {f"tol_{key}": 1e-8 for key in ("gap_abs", "gap_rel", "feas")}
    problem = cp.Problem(cp.Minimize(s @ values + penalty), constraints)
    return problem.solve("CLARABEL", **accuracy)


@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
@pytest.mark.parametrize("name", ["squared", "hinge"])
def test_relu_networks_against_a_conic_solver(name, bias, backend):
    Y = targets(name)
    result = fit(
        X, Y, beta=0.02, loss=oracles.loss_object(name), bias=bias, random_state=0, tol=1e-7,
        backend=backend,
    )  # fmt: skip
    check(result, name, Y, bias, False)
    assert result.certificate == "global"
    dense = oracles.all_cells(X if bias == "none" else rows).to_dense()
    optimum = conic_optimum(name, Y, dense, 0.02, bias, False)
    assert result.objective == pytest.approx(optimum, rel=1e-6)
    assert result.dual_objective <= optimum * (1 + 1e-7)


def test_softmax_over_given_patterns(backend):
    """Neurons stay in their cells: the network has the objective of the program."""
    for beta in (0.1, 0.02, 0.002):
        result = fit(
            X, targets("softmax"), beta=beta, loss="softmax", patterns=gates, bias="decayed",
            tol=1e-7, backend=backend,
        )  # fmt: skip
        check(result, "softmax", targets("softmax"), "decayed", False)
        assert result.certificate == "restricted"
        assert result.history[-1].objective == pytest.approx(result.objective, rel=1e-9)
        optimum = conic_optimum(
            "softmax", targets("softmax"), gates.to_dense(), beta, "decayed", False
        )
        assert result.objective == pytest.approx(optimum, rel=2e-6)


@pytest.mark.parametrize("skip", ["free", "decayed"])
@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
def test_softmax_with_a_skip_connection(bias, skip, backend):
    data, Y = X if bias == "none" else rows, 0.7 * targets("softmax") + 0.1  # else separable
    few = pyconvex.sample_patterns(data, 8, random_state=0)
    settings = {"beta": 0.02, "loss": "softmax", "bias": bias, "skip": skip, "tol": 1e-7}
    settings |= {"random_state": 0, "backend": backend}
    given = fit(X, Y, patterns=few, **settings)
    optimum = conic_optimum("softmax", Y, few.to_dense(), 0.02, bias, False, skip=skip)
    assert given.objective == pytest.approx(optimum, rel=2e-6)
    result = fit(X, Y, **settings)
    for found in (given, result):
        check(found, "softmax", Y, bias, False, skip=skip)
    assert result.certificate == "global"
    scores, dense = network_output(result.network, X), oracles.all_cells(data).to_dense()
    z = (Y - np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)) / 14
    norm = max(oracles.dual_norm(data, column, dense, True, bias == "free") for column in z.T)
    if skip == "decayed":
        norm = max(norm, np.linalg.norm(X.T @ z, axis=0).max())
    else:
        np.testing.assert_allclose(X.T @ z, 0.0, atol=1e-13)
    z *= min(1.0, result.beta / norm)
    assert result.objective - entr(Y - 14 * z).sum() / 14 <= 1e-6 * result.objective
    settings |= {"beta": 1.001 * pyconvex.beta_max(X, Y, loss="softmax", bias=bias, skip=skip)}
    assert fit(X, Y, **settings).network.n_neurons == 0


def test_free_skip_connections_of_separated_classes_are_refused():
    far = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    labels = np.arange(12) % 3
    data = far[labels] + np.random.default_rng(0).uniform(-1, 1, (12, 2))
    apart = np.eye(3)[labels]
    one_apart = np.eye(3)[np.where(labels == 2, labels, np.arange(12) % 2)]
    message = "skip='free' has no finite optimum for loss="
    for Y in (apart, one_apart, 0.8 * one_apart + 0.2 * one_apart[:, [1, 0, 2]]):
        with pytest.raises(ValueError, match=message + "'softmax'"):
            fit(data, Y, loss="softmax", skip="free")
    assert fit(data, 0.9 * apart + 0.1 / 3, loss="softmax", skip="free").status == "optimal"
    with pytest.raises(ValueError, match=message + "'logistic'"):
        fit(data, 2.0 * apart[:, :2] - 1.0, loss="logistic", skip="free")


@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
@pytest.mark.parametrize("name", ["softmax", "poisson", "logistic"])
def test_relu_networks_are_proved_optimal(name, bias, backend):
    """Their residual, scaled to the dual norm over all cells, bounds the objective."""
    Y, data = targets(name), X if bias == "none" else rows
    result = fit(X, Y, beta=0.02, loss=name, bias=bias, random_state=0, tol=1e-7, backend=backend)
    check(result, name, Y, bias, False)
    assert result.certificate == "global"
    scores, dense = network_output(result.network, X), oracles.all_cells(data).to_dense()
    if name == "softmax":
        z = (Y - np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)) / 14
    elif name == "poisson":
        z = (Y - np.exp(scores)) / 14
    else:
        z = Y / (1 + np.exp(Y * scores)) / 14
    norm = max(oracles.dual_norm(data, column, dense, True, bias == "free") for column in z.T)
    z *= min(1.0, result.beta / norm)
    if name == "softmax":
        dual = entr(Y - 14 * z).sum() / 14
    else:
        columns = zip(z.T, Y.T, strict=True)
        dual = sum(oracles.dual_value(name, v, y, np.full(14, 1 / 14)) for v, y in columns)
    assert result.objective - dual <= 1e-6 * result.objective


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", ["free", "none"])
@pytest.mark.parametrize("name", [*LOSSES, "softmax"])
def test_gated_networks_against_a_conic_solver(name, bias, weighted, backend):
    Y, sample_weight = targets(name), weights if weighted else None
    chosen = gates if bias == "free" else pyconvex.sample_patterns(X, 8, random_state=0)
    result = fit(
        X, Y, beta=0.02, loss=oracles.loss_object(name), model="gated_relu", patterns=chosen,
        bias=bias, tol=1e-7, sample_weight=sample_weight, backend=backend,
    )  # fmt: skip
    s = weights / weights.sum() if weighted else None
    check(result, name, Y, bias, True, s)
    assert result.certificate == "restricted"
    optimum = conic_optimum(name, Y, chosen.to_dense(), 0.02, bias, True, s)
    assert result.objective == pytest.approx(optimum, rel=1e-6)
    assert result.dual_objective <= optimum * (1 + 1e-7)


def test_a_sum_of_programs():
    """Without coupling each output is that of its own fit."""
    Y = targets("squared")
    together = fit(X, Y, beta=0.01, random_state=0)
    alone = [fit(X, y, beta=0.01, random_state=0) for y in Y.T]
    assert together.objective == pytest.approx(sum(one.objective for one in alone), rel=1e-6)
    assert together.history[-1].n_neurons == together.network.n_neurons
    final = together.history[-1]
    assert final.objective == pytest.approx(together.objective, rel=1e-9)


@pytest.mark.parametrize("model", ["relu", "gated_relu"])
def test_one_column_is_one_output(model, backend):
    settings = {"beta": 0.01, "model": model, "random_state": 0, "backend": backend, "tol": 1e-8}
    one, column = fit(X, f, **settings), fit(X, f[:, np.newaxis], **settings)
    assert column.objective == pytest.approx(one.objective, rel=1e-7)
    assert column.predict(X).shape == (14, 1)
    np.testing.assert_allclose(column.predict(X)[:, 0], one.predict(X), atol=1e-3)


@pytest.mark.parametrize("model", ["relu", "gated_relu"])
@pytest.mark.parametrize("name", ["squared", "softmax", "logistic"])
def test_beta_max_paths_and_warm_starts(name, model, backend):
    Y = targets(name)
    settings = {"loss": name, "model": model, "backend": backend}
    if model == "gated_relu":
        settings["patterns"] = gates
    largest = pyconvex.beta_max(X, Y, **settings)
    settings["random_state"] = 0
    assert fit(X, Y, beta=largest * 1.001, **settings).network.n_neurons == 0
    assert fit(X, Y, beta=largest * 0.98, **settings).network.n_neurons > 0
    path = pyconvex.path(X, Y, n_betas=4, **settings)
    assert path.status == "optimal"
    assert path.predict(X).shape == (4, 14, 3)
    again = fit(X, Y, beta=path[-1].beta, warm_start=path[-1], **settings)
    assert again.objective == pytest.approx(path[-1].objective, rel=2e-6)
    assert again.n_iter <= (1 if model == "gated_relu" else path[-1].n_iter + 2)


def test_skip_connections(backend):
    Y = targets("squared")
    settings = {"beta": 0.02, "skip": "free", "random_state": 0, "backend": backend}
    together = fit(X, Y, **settings)
    alone = [fit(X, y, **settings) for y in Y.T]
    assert together.objective == pytest.approx(sum(one.objective for one in alone), rel=1e-6)
    assert together.network.skip.shape == (2, 3)
    output = network_output(together.network, X)
    expected = loss_value("squared", output, Y, np.full(14, 1 / 14))
    penalty = 0.01 * oracles.squares(together.network, "free", False)
    assert together.objective == pytest.approx(expected + penalty, rel=1e-9)


@pytest.mark.parametrize("skip", ["free", "decayed"])
@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
@pytest.mark.parametrize("name", ["squared", "softmax", "poisson", "hinge"])
def test_gated_networks_with_skip_connections(name, bias, skip, backend):
    data, Y = X if bias == "none" else rows, targets(name)
    Y = 0.7 * Y + 0.1 if name == "softmax" else Y  # else separable
    few = pyconvex.sample_patterns(data, 4, random_state=0)
    result = fit(
        X, Y, beta=0.02, loss=oracles.loss_object(name), model="gated_relu", patterns=few,
        bias=bias, skip=skip, tol=1e-7, backend=backend,
    )  # fmt: skip
    check(result, name, Y, bias, True, skip=skip)
    assert np.abs(result.network.skip).max() < 20.0  # hinge: the last output is separable
    optimum = conic_optimum(name, Y, few.to_dense(), 0.02, bias, True, skip=skip)
    assert result.objective == pytest.approx(optimum, rel=1e-6)
    assert result.dual_objective <= optimum * (1 + 1e-7)


@pytest.mark.parametrize("skip", ["free", "decayed"])
@pytest.mark.parametrize("name", ["squared", "softmax"])
def test_gated_paths_and_units_with_skip_connections(name, skip, backend):
    Y = targets(name) if name == "squared" else 0.7 * targets(name) + 0.1
    settings = {"loss": name, "model": "gated_relu", "patterns": gates, "skip": skip}
    settings |= {"backend": backend}
    largest = pyconvex.beta_max(X, Y, **settings)
    nothing = fit(X, Y, beta=1.001 * largest, **settings).network
    assert nothing.n_neurons == 0
    assert np.any(nothing.skip) == (skip == "free")
    some = fit(X, Y, beta=0.98 * largest, **settings).network
    assert some.n_neurons > 0 or (skip == "decayed" and np.any(some.skip))
    path = pyconvex.path(X, Y, n_betas=4, **settings)
    assert path.status == "optimal"
    again = fit(X, Y, beta=path[-1].beta, warm_start=path[-1], **settings)
    assert again.objective == pytest.approx(path[-1].objective, rel=2e-6)
    assert again.n_iter == 1
    settings |= {"beta": 0.02, "tol": 1e-8, "standardize": True, "patterns": 8, "random_state": 0}
    one, other = fit(X, Y, **settings), fit(5.0 + 3.0 * X, Y, **settings)
    assert other.objective == pytest.approx(one.objective, rel=1e-7)


def test_two_classes_of_softmax_are_logistic():
    """Both outputs share the score, so that the penalty is that of half of it each."""
    y = oracles.targets("logistic", f)
    two = np.column_stack([y < 0, y > 0]).astype(float)
    soft = fit(X, two, beta=0.01, loss="softmax", random_state=0)
    one = fit(X, y, beta=0.01, loss="logistic", random_state=0)
    assert soft.objective == pytest.approx(one.objective, rel=2e-6)
    scores = soft.predict(X)
    np.testing.assert_allclose(scores[:, 1] - scores[:, 0], one.predict(X), atol=2e-2)


def test_networks_of_many_classes_travel(tmp_path):
    Y = targets("softmax")
    result = fit(X, Y, beta=0.005, loss="softmax", minimal=True, random_state=0)
    check_again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(check_again.predict(X), result.predict(X))
    result.network.save(tmp_path / "network.npz")
    loaded = pyconvex.Network.load(tmp_path / "network.npz")
    np.testing.assert_array_equal(loaded.predict(X), result.predict(X))


@pytest.mark.parametrize(
    ("y", "loss", "message"),
    [
        (f, "softmax", "y must have shape \\(n_samples, n_classes\\) for loss='softmax'"),
        (np.ones((14, 2)), "softmax", "y must have rows >= 0 of sum 1"),
        (np.eye(2)[[0] * 14], "softmax", "y has a class without samples"),
        (F[:5], "squared", "y has 5 rows but X has 14"),
        (F, "logistic", "y must be -1 or \\+1"),
        (np.zeros((14, 2, 2)), "squared", "y must be 1-D"),
    ],
)
@pytest.mark.parametrize("model", ["relu", "gated_relu"])
def test_bad_targets(y, loss, message, model):
    with pytest.raises(ValueError, match=message):
        fit(X, y, loss=loss, model=model)


def test_a_warm_start_of_other_outputs():
    start = fit(X, F, beta=0.1, random_state=0)
    with pytest.raises(ValueError, match="warm_start has output_weights of shape"):
        fit(X, F[:, :2], beta=0.1, warm_start=start)
    with pytest.raises(ValueError, match="warm_start has output_weights of shape"):
        fit(X, f, beta=0.1, warm_start=start)


def test_limits_return_the_best_state():
    for model in ("relu", "gated_relu"):
        result = fit(
            X, targets("softmax"), beta=1e-4, loss="softmax", model=model, max_iter=1,
            random_state=0, patterns=gates if model == "gated_relu" else "auto",
        )  # fmt: skip
        assert result.status == "max_iter"
        assert 0.0 <= result.lower_bound <= result.objective


@pytest.mark.parametrize(("p", "c"), [(5, 3), (3, 5), (4, 4), (4, 1), (1, 3)])
def test_derivative_of_thresholding(p, c):
    rng = np.random.default_rng(p)
    T, H, h = rng.standard_normal((6, p, c)), rng.standard_normal((6, p, c)), 1e-6

    def values(T):
        shrunk = shrink(T, 0.7)
        result = np.zeros_like(T)
        result[shrunk.active] = shrunk.values
        return result

    shrunk = shrink(T, 0.7)
    np.testing.assert_allclose(
        shrunk.nuclear, np.maximum(np.linalg.svd(T)[1] - 0.7, 0).sum(), rtol=1e-12
    )
    slopes = (values(T + h * H) - values(T - h * H)) / (2 * h)
    np.testing.assert_allclose(shrunk.change(H[shrunk.active]), slopes[shrunk.active], atol=1e-7)


def test_derivative_of_the_linear_part():
    rng = np.random.default_rng(0)
    linear = DualLinear(rng.standard_normal((9, 5)), 2, 0.5)
    coef, Z, V = (
        rng.standard_normal((5, 3)),
        rng.standard_normal((9, 3)),
        rng.standard_normal((9, 3)),
    )
    coef[2:, 0] = -0.7 * linear.columns[:, 2:].T @ Z[:, 0]  # below the threshold

    def slopes(Z):
        return linear.columns @ linear.proximal(coef, 0.7, Z)

    h = 1e-6
    assert not linear.proximal(coef, 0.7, Z)[2:, 0].any()
    change = (slopes(Z + h * V) - slopes(Z - h * V)) / (2 * h)
    np.testing.assert_allclose(0.7 * linear.hessian(coef, 0.7, Z)(V), change, atol=1e-7)
    energies = [linear.energy(coef, 0.7, Z + t * V) for t in (h, -h)]
    assert (energies[0] - energies[1]) / (2 * h) == pytest.approx((slopes(Z) * V).sum(), rel=1e-7)


def test_softmax_coefficients_leave_nothing_to_gain():
    """To rounding, far below what values of the loss could tell: the dual bound rests on it."""
    rng = np.random.default_rng(0)
    s = rng.dirichlet(np.ones(200))
    for size in (1.0, 10.0):
        columns, scores = rng.standard_normal((200, 4)), size * rng.standard_normal((200, 3))
        Y = np.eye(3)[rng.integers(3, size=200)]
        a = Softmax().best_coefficients(scores, Y, s, columns)
        z = Softmax().multiplier(scores + columns @ a, Y, s)
        np.testing.assert_allclose(columns.T @ z, 0.0, atol=2e-15)
        np.testing.assert_allclose(a.sum(axis=1), 0.0, atol=1e-12)


def test_softmax_constants():
    Y, s = targets("softmax"), weights / weights.sum()
    scores = 3 * np.random.default_rng(0).standard_normal((14, 3))
    shifts = Softmax().best_coefficients(scores, Y, s, np.ones((14, 1)))[0]
    z = Softmax().multiplier(scores + shifts, Y, s)
    assert np.abs(z.sum(axis=0)).max() <= 1e-14
    assert shifts.sum() == pytest.approx(0.0, abs=1e-12)


def test_softmax_of_nearly_separable_classes():
    """Undamped joint steps along what the outputs share are far too long here."""
    from sklearn.datasets import load_iris

    data, labels = load_iris(return_X_y=True)
    kept = np.flatnonzero(np.arange(150) % 5)
    result = fit(
        data[kept], np.eye(3)[labels[kept]], loss="softmax", standardize=True, certificate="local",
        beta=0.0075, random_state=0, max_iter=20,
    )  # fmt: skip
    assert result.status == "optimal"
    assert result.network.n_neurons < 10
