"""Sparse X: the same results as dense X, without a dense copy where models are gated."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_checks

import pyconvex
from pyconvex import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    PatternSet,
    Status,
    rows,
)
from pyconvex.backends import get_backend
from pyconvex.dual_system import NewtonSystem

import oracles

rng = np.random.default_rng(0)
n, d = 60, 12
X = np.where(rng.random((n, d)) < 0.3, rng.standard_normal((n, d)), 0.0)
X[7] = 0.0
S = sp.csr_array(X)
y = np.maximum(X @ rng.standard_normal((d, 3)), 0.0) @ [1.0, -1.0, 1.0] + 0.1
signs = np.where(y > np.median(y), 1.0, -1.0)
counts = rng.poisson(np.exp(np.clip(y, -1.0, 1.0))).astype(float)
TARGETS = {"logistic": signs, "hinge": signs, "squared_hinge": signs, "poisson": counts}
LOSSES = ["squared", "huber", "quantile", *TARGETS]
GATED = {"model": "gated_relu", "patterns": 30, "random_state": 0, "beta": 0.003}
TIGHT = GATED | {"tol": 1e-9}
TOO_LARGE = sp.csr_array((2**14, 2**14))  # 2 GiB if dense


# --- Input ---------------------------------------------------------------------------------


def with_int64_indices():
    matrix = S.copy()
    matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    return matrix


def with_explicit_zeros():
    matrix = sp.csr_array(np.where(X == 0.0, 1.0, X))
    matrix.data[(X == 0.0).ravel()] = 0.0
    return matrix


def unsorted():
    reverse = np.concatenate([np.arange(a, b)[::-1] for a, b in pairwise(S.indptr)])
    return sp.csr_array((S.data[reverse], S.indices[reverse], S.indptr), shape=S.shape)


def with_duplicates():
    C = S.tocoo()
    twice = [np.r_[C.coords[0], C.coords[0]], np.r_[C.coords[1], C.coords[1]]]
    return sp.coo_array((np.r_[0.5 * C.data, 0.5 * C.data], twice), shape=S.shape)


@pytest.mark.parametrize("container", ["array", "matrix"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
def test_every_format(form, container):
    result = rows.check_rows(getattr(sp, f"{form}_{container}")(X))
    assert isinstance(result, rows.SparseRows)
    np.testing.assert_array_equal(result.toarray(), X)


@pytest.mark.parametrize("make", [with_int64_indices, with_explicit_zeros, unsorted,
                                  with_duplicates, lambda: with_duplicates().tocsc()])  # fmt: skip
def test_untidy_input_is_read_but_never_written(make):
    untidy = make()
    before = [part.copy() for part in untidy.tocoo(copy=True).coords], untidy.data.copy()
    result = rows.check_rows(untidy)
    np.testing.assert_array_equal(result.toarray(), X)
    assert result.matrix.has_canonical_format
    assert result.matrix.nnz == np.count_nonzero(X)
    np.testing.assert_array_equal(untidy.tocoo(copy=True).coords, before[0])
    np.testing.assert_array_equal(untidy.data, before[1])


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64, np.uint8, bool])
def test_every_type_of_number(dtype):
    values = np.round(np.abs(3.0 * X)).astype(dtype)
    result = rows.check_rows(sp.csr_array(values))
    assert result.matrix.dtype == np.float64
    np.testing.assert_array_equal(result.toarray(), values.astype(np.float64))


def test_clean_input_is_not_copied():
    assert np.shares_memory(rows.check_rows(S).matrix.data, S.data)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (sp.csr_array([[0.0, 0.0], [1.0, np.nan]]), ValueError, r"NaN or infinity .*\(1, 1\)"),
        (sp.coo_matrix([[0.0, np.inf]]), ValueError, r"X contains NaN or infinity .*\(0, 1\)"),
        (sp.csr_array((0, 3)), ValueError, r"X is empty \(shape \(0, 3\)\)"),
        (sp.coo_array(np.ones(3)), ValueError, r"X must be 2-D .* got shape \(3,\)"),
        (sp.csr_array([[1j]]), TypeError, "X is complex"),
    ],
)
@pytest.mark.parametrize("check", [rows.check_rows, lambda value: pyconvex.beta_max(value, y)])
def test_bad_input(value, error, message, check):
    with pytest.raises(error, match=message):
        check(value)


def test_only_x_may_be_sparse():
    with pytest.raises(TypeError, match=r"y is sparse, which only X may be: use y.toarray\(\)"):
        pyconvex.fit(S, sp.csr_array(y[:, np.newaxis]), **GATED)
    with pytest.raises(ValueError, match="X has 11 columns, expected 12"):
        pyconvex.fit(S, y, **GATED).predict(S[:, :11])
    with pytest.raises(ValueError, match=r"warm_start has 12 features but X has 11 columns"):
        pyconvex.fit(S[:, :11], y, **GATED, warm_start=pyconvex.fit(S, y, **GATED))


def test_rows_do_not_become_dense_by_accident():
    matrix = rows.check_rows(S)
    with pytest.raises(TypeError, match="X is sparse"):
        np.asarray(matrix)
    with pytest.raises(TypeError):
        np.add(1.0, matrix)


# --- Products ------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 200, 2**18])
def test_products(monkeypatch, block, backend):
    """Cut into blocks or not."""
    monkeypatch.setattr(rows, "_BLOCK", block)
    kernels, matrix = get_backend(backend), rows.check_rows(S)
    G, z = rng.standard_normal((d, 70)), rng.standard_normal(n)
    packed = rows.pack_gates(kernels, matrix, G, 1)
    np.testing.assert_array_equal(kernels.unpack(packed, n), (X @ G >= 0.0).T)
    gradients = rows.gate_gradients(kernels, matrix, packed, z, 1)
    np.testing.assert_allclose(gradients, ((X @ G >= 0.0).T * z) @ X, atol=1e-13)
    some = slice(2, 7)
    np.testing.assert_allclose(rows.inner_products(matrix, some), X[2:7] @ X[2:].T, atol=1e-13)
    np.testing.assert_allclose(rows.row_squares(matrix), (X**2).sum(axis=1), atol=1e-13)
    np.testing.assert_allclose(rows.weighted_gram(matrix, z), X.T @ np.diag(z) @ X, atol=1e-13)
    np.testing.assert_array_equal(rows.with_ones(matrix).toarray(), oracles.ones(X))
    np.testing.assert_array_equal(matrix[np.array([5, 3])].toarray(), X[[5, 3]])


def test_newton_system_preconditioned_by_some_columns(monkeypatch):
    """However few columns the preconditioner knows, the system is solved."""
    monkeypatch.setattr(rows, "_CORE", 3)
    masks, borders = rng.random((8, n)), rng.standard_normal((2, n))
    diagonal = 0.1 + rng.random(n)
    system = NewtonSystem(rows.check_rows(S), masks, borders, diagonal, 2.0)
    largest = np.argsort(-(X**2).sum(axis=0))[:3]
    np.testing.assert_array_equal(system.X.core.toarray(), X[:, np.sort(largest)])
    full = np.diag(diagonal) + 2.0 * ((X @ X.T) * (masks.T @ masks) + borders.T @ borders)
    solution = system.iterate(y, 1e-12, 1e12, lambda: False)
    np.testing.assert_allclose(full @ solution, y, atol=1e-10)
    np.testing.assert_allclose(system.factorise(y), solution, atol=1e-9)


# --- Gated networks ------------------------------------------------------------------------


def test_same_patterns(backend):
    G = rng.standard_normal((d, 50))
    assert PatternSet.from_gates(S, G, backend=backend) == PatternSet.from_gates(X, G)
    for method in ("gaussian", "uniform", "data"):
        drawn = [pyconvex.sample_patterns(Z, 40, method=method, random_state=3, backend=backend)
                 for Z in (S, X)]  # fmt: skip
        np.testing.assert_array_equal(drawn[0].packed, drawn[1].packed)
        np.testing.assert_array_equal(drawn[0].gates, drawn[1].gates)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
def test_fit(loss, bias):
    target = TARGETS.get(loss, y)
    weights = np.arange(n) % 4 / 2.0  # some rows do not count
    common = TIGHT | {"loss": loss, "bias": bias, "sample_weight": weights}
    sparse, dense = (pyconvex.fit(Z, target, **common) for Z in (S, X))
    assert sparse.status is dense.status is Status.OPTIMAL
    assert sparse.gap <= 1e-9
    assert sparse.objective == pytest.approx(dense.objective, rel=1e-9)
    assert sparse.certificate == "restricted"
    assert sparse.network.n_neurons > 0
    np.testing.assert_allclose(sparse.predict(S), sparse.predict(X), atol=1e-13)
    if loss not in ("hinge", "quantile"):  # elsewhere the optimal predictions are unique
        np.testing.assert_allclose(sparse.predict(S)[weights > 0], dense.predict(X)[weights > 0],
                                   atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("skip", ["free", "decayed"])
@pytest.mark.parametrize("target", [y, np.column_stack([y, y**2])], ids=["one", "two"])
def test_skip_connections(target, skip):
    """Their columns are dense."""
    common = GATED | {"tol": 1e-7, "skip": skip}
    sparse, dense = (pyconvex.fit(Z, target, **common) for Z in (S, X))
    assert sparse.status is dense.status is Status.OPTIMAL
    assert sparse.objective == pytest.approx(dense.objective, rel=2e-7)
    np.testing.assert_allclose(sparse.predict(S), sparse.predict(X), atol=1e-13)
    with pytest.raises(ValueError, match=r"X is sparse and would take 2\.0 GiB .*skip='none'"):
        pyconvex.fit(TOO_LARGE, np.ones(2**14), **GATED, skip=skip)


def test_beta_max():
    for options in ({"bias": "none"}, {"loss": "logistic"}, {"sample_weight": np.arange(n)}):
        common = {"model": "gated_relu", "patterns": 50} | options
        found, expected = (pyconvex.beta_max(Z, signs, **common) for Z in (S, X))
        assert found == pytest.approx(expected, rel=1e-12)


def test_path():
    common = TIGHT | {"n_betas": 5}
    del common["beta"]
    sparse, dense = (pyconvex.path(Z, y, **common) for Z in (S, X))
    assert sparse.status is Status.OPTIMAL
    np.testing.assert_allclose(sparse.betas, dense.betas, rtol=1e-12)
    np.testing.assert_allclose(sparse.objectives, dense.objectives, rtol=1e-9)
    np.testing.assert_allclose(sparse.predict(S), dense.predict(X), atol=1e-6)


def test_warm_starts():
    cold = pyconvex.fit(S, y, **TIGHT)
    again = pyconvex.fit(S, y, **TIGHT, warm_start=cold)
    assert again.history[0].objective == pytest.approx(cold.objective, rel=1e-9)
    assert again.status is Status.OPTIMAL
    gates = pyconvex.sample_patterns(S, 30, random_state=0)
    result = pyconvex.solve_group_lasso(S, y, gates, beta=0.003)
    again = pyconvex.solve_group_lasso(S, y, gates, beta=0.003, warm_start=result)
    assert again.history[0].objective == pytest.approx(result.objective, rel=1e-9)
    assert again.status is Status.OPTIMAL


def test_minimal():
    network = pyconvex.fit(S, y, **TIGHT, minimal=True).network
    np.testing.assert_allclose(network.prune(S).predict(S), network.predict(X), atol=1e-10)


def test_patterns_of_an_enumeration():
    few = S[:, :2]
    common = {"model": "gated_relu", "patterns": "all", "beta": 0.01}
    sparse, dense = (pyconvex.fit(Z, y, **common) for Z in (few, few.toarray()))
    assert sparse.certificate == "global"
    assert sparse.objective == pytest.approx(dense.objective, rel=1e-5)


def test_group_lasso():
    gates = pyconvex.sample_patterns(S, 30, random_state=0)
    options = {"ridge": 0.01, "group_weights": np.linspace(1.0, 2.0, len(gates)),
               "intercept": True, "sample_weight": np.arange(n), "tol": 1e-10}  # fmt: skip
    sparse, dense = (pyconvex.solve_group_lasso(Z, y, gates, beta=0.003, **options)
                     for Z in (S, X))  # fmt: skip
    assert sparse.status is Status.OPTIMAL
    assert sparse.objective == pytest.approx(dense.objective, rel=1e-9)
    norm = np.linalg.norm((gates.to_dense() * sparse.multiplier) @ X, axis=1)
    excess = np.maximum(norm - 0.003 * options["group_weights"], 0.0)
    weights = np.arange(n) / np.arange(n).sum()
    z, used = sparse.multiplier, weights > 0.0
    dual = y @ z - 0.5 * (z[used] ** 2 / weights[used]).sum() - (excess**2).sum() / 0.02
    assert sparse.dual_objective == pytest.approx(dual, rel=1e-9)
    paths = [pyconvex.group_lasso_path(Z, y, gates, n_betas=3, **options) for Z in (S, X)]
    for left, right in zip(*paths, strict=True):
        assert left.objective == pytest.approx(right.objective, rel=1e-9)


def test_engine_must_be_newton():
    gates = pyconvex.sample_patterns(S, 30, random_state=0)
    with pytest.raises(
        ValueError, match="engine='cd' does not take sparse X: pass engine='newton'"
    ):
        pyconvex.solve_group_lasso(S, y, gates, beta=0.1, engine="cd")


def test_more_samples_than_the_dense_engine_takes():
    many = sp.random_array((6000, 5), density=0.4, rng=np.random.default_rng(1), format="csr")
    target = np.abs(many.sum(axis=1) - 1.0)
    common = GATED | {"beta": 0.01, "tol": 1e-8}
    sparse, dense = (pyconvex.fit(Z, target, **common) for Z in (many, many.toarray()))
    assert sparse.status is dense.status is Status.OPTIMAL
    assert sparse.objective == pytest.approx(dense.objective, rel=2e-8)


@pytest.mark.parametrize("weights", [None, np.arange(n) % 3])
def test_standardize_divides_without_centring(weights):
    """Without a bias dense features are not centred either; with one StandardScaler tells."""
    wide = X * np.logspace(-3.0, 3.0, d)
    wide[:, 0] = 5.0  # constant: it stays as it is
    common = GATED | {"sample_weight": weights, "bias": "none", "tol": 1e-8}
    sparse, dense = (pyconvex.fit(Z, y, **common, standardize=True)
                     for Z in (sp.csr_array(wide), wide))  # fmt: skip
    assert sparse.status is Status.OPTIMAL
    assert sparse.objective == pytest.approx(dense.objective, rel=1e-8)
    np.testing.assert_allclose(sparse.predict(wide), dense.predict(wide), atol=1e-5)
    scaled = StandardScaler(with_mean=False).fit_transform(wide, sample_weight=weights)
    common["bias"] = "free"
    inside = pyconvex.fit(sp.csr_array(wide), y, **common, standardize=True)
    outside = pyconvex.fit(sp.csr_array(scaled), y, **common)
    assert inside.objective == pytest.approx(outside.objective, rel=1e-8)


def test_memory():
    """A dense copy would take 305 MiB, X X^T takes 31."""
    wide = sp.random_array((2000, 20_000), density=1e-3, rng=np.random.default_rng(0))
    target = np.abs(wide @ np.random.default_rng(1).standard_normal(20_000))
    tracemalloc.start()
    try:
        result = pyconvex.fit(wide, target, model="gated_relu", patterns=10, random_state=0,
                              beta=1e-3, tol=1e-3)  # fmt: skip
        result.predict(wide)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.status is Status.OPTIMAL
    assert result.network.n_neurons > 0
    assert peak < 100 * 2**20


# --- Models that need dense X --------------------------------------------------------------


def test_small_data_become_dense():
    few, common = S[:, :2], {"beta": 0.05, "random_state": 0}
    relu = pyconvex.fit(few, y, **common)
    assert relu.objective == pyconvex.fit(few.toarray(), y, **common).objective
    np.testing.assert_allclose(relu.predict(few), relu.predict(few.toarray()), atol=1e-13)
    cells = pyconvex.enumerate_patterns(few)
    assert cells == pyconvex.enumerate_patterns(few.toarray())
    options = {"beta": 0.05, "cones": True}
    with_cones = pyconvex.solve_group_lasso(few, y, cells, **options)
    assert (
        with_cones.objective
        == pyconvex.solve_group_lasso(few.toarray(), y, cells, **options).objective
    )
    priced = [pyconvex.price(Z, y, random_state=0).value for Z in (few, few.toarray())]
    assert priced[0] == priced[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda Z: pyconvex.fit(Z, np.zeros(len(Z.indptr) - 1)),
        lambda Z: pyconvex.path(Z, np.zeros(len(Z.indptr) - 1)),
        lambda Z: pyconvex.beta_max(Z, np.zeros(len(Z.indptr) - 1)),
        lambda Z: pyconvex.enumerate_patterns(Z),
        lambda Z: pyconvex.sample_patterns(Z, 5, method="uniform"),
        lambda Z: pyconvex.price(Z, np.zeros(len(Z.indptr) - 1)),
    ],
)
def test_large_data_do_not(call):
    with pytest.raises(ValueError, match=r"X .* 2\.0 GiB .*TruncatedSVD.*gated_relu"):
        call(TOO_LARGE)


# --- Estimators ----------------------------------------------------------------------------

ESTIMATORS = [
    ConvexReLURegressor(),
    ConvexReLUClassifier(),
    ConvexReLURegressorCV(n_betas=4, cv=3),
    ConvexReLUClassifierCV(n_betas=4, cv=3),
]
QUICK = {"model": "gated_relu", "patterns": 20, "random_state": 0}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_estimators(estimator):
    target = signs if "Classifier" in type(estimator).__name__ else y
    models = [clone(estimator).set_params(**QUICK, tol=1e-9).fit(Z, target) for Z in (S, X)]
    np.testing.assert_allclose(models[0].objective_, models[1].objective_, rtol=1e-8)
    assert models[0].beta_ == pytest.approx(models[1].beta_, rel=1e-9)
    np.testing.assert_array_equal(models[0].predict(S), models[0].predict(sp.coo_matrix(X)))
    assert models[0].score(S, target) == pytest.approx(models[1].score(X, target), abs=1e-4)


def test_given_patterns_are_cut_down_to_folds():
    gates = pyconvex.sample_patterns(oracles.ones(X), 20, random_state=0)
    model = ConvexReLURegressorCV(model="gated_relu", patterns=gates, n_betas=4, cv=3)
    sparse, dense = (clone(model).fit(Z, y) for Z in (S, X))
    np.testing.assert_allclose(sparse.scores_, dense.scores_, atol=1e-2)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_sparse_array,
        estimator_checks.check_estimator_sparse_matrix,
        estimator_checks.check_estimator_sparse_tag,
    ],
)
@pytest.mark.parametrize("estimator", ESTIMATORS[::2], ids=lambda e: type(e).__name__)
def test_scikit_learn(estimator, check):
    check(type(estimator).__name__, clone(estimator).set_params(**QUICK, tol=1e-3))


def test_pipeline_of_categories():
    table = np.random.default_rng(2).choice(["a", "b", "c"], (80, 4))
    target = (table[:, 0] == table[:, 1]) * 1.0
    pipeline = make_pipeline(OneHotEncoder(), ConvexReLURegressor(model="gated_relu", beta=1e-3))
    assert sp.issparse(pipeline[0].fit_transform(table))
    assert pipeline.fit(table, target).score(table, target) >= 0.9


def test_pipeline_of_texts():
    texts = ["a good film", "good and kind", "a kind, good heart", "so bad", "a bad, bad film",
             "the bad and the sad"]  # fmt: skip
    labels = ["+", "+", "+", "-", "-", "-"]
    pipeline = make_pipeline(
        TfidfVectorizer(), ConvexReLUClassifier(model="gated_relu", random_state=0)
    ).fit(texts, labels)
    assert pipeline.predict(["good heart", "sad and bad"]).tolist() == ["+", "-"]
