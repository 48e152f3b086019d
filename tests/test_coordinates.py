import numpy as np
import pytest

from pyconvex.coordinates import Coordinates

rng = np.random.default_rng(0)
TALL, WIDE = rng.standard_normal((20, 3)) + 5.0, rng.standard_normal((3, 20)) + 5.0
FLAT = np.outer(rng.standard_normal(3), np.ones(4))  # n < d and rank 1


@pytest.mark.parametrize("bias", ["free", "decayed", "none"])
@pytest.mark.parametrize("X", [TALL, WIDE, FLAT, np.zeros((3, 5)), np.ones((1, 1))])
def test_there_and_back(X, bias):
    """Both sides see the same pre-activations, and the same norms of the weights."""
    coordinates = Coordinates.of(X, bias, centred=bias == "free")
    rows = coordinates.rows(X)
    U = np.random.default_rng(1).standard_normal((4, rows.shape[1]))
    weights, b = coordinates.to_user(U)
    assert weights.shape == (4, X.shape[1])
    np.testing.assert_allclose(X @ weights.T + b, rows @ U.T, atol=1e-12)
    if coordinates.ones:  # without a bias a lone zero column may follow
        U = U[:, :-1]
    width = U.shape[1] if coordinates.rotation is None else coordinates.rotation.shape[1]
    np.testing.assert_allclose((weights**2).sum(axis=1), (U[:, :width] ** 2).sum(axis=1))
    again = coordinates.to_solver(weights, b)
    np.testing.assert_allclose(rows @ again.T, X @ weights.T + b, atol=1e-12)


def test_centring_only_where_the_bias_is_free():
    free = Coordinates.of(TALL, "free", centred=True)
    np.testing.assert_allclose(free.rows(TALL)[:, :-1].mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_array_equal(Coordinates.of(TALL, "none", centred=False).rows(TALL), TALL)


def test_wide_data_shrink_to_their_rank():
    assert Coordinates.of(WIDE, "decayed", centred=False).rows(WIDE).shape == (3, 4)
    assert Coordinates.of(WIDE, "free", centred=True).rows(WIDE).shape == (3, 3)
    assert Coordinates.of(FLAT, "none", centred=False).rows(FLAT).shape == (3, 1)
