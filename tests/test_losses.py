import numpy as np
import pytest

from pyconvex.losses import Squared, check_loss

import oracles

rng = np.random.default_rng(0)
weights = rng.uniform(0.5, 1.5, 6)
weights /= weights.sum()
y, prediction = rng.standard_normal((2, 6))
loss = Squared()


def test_multiplier_is_the_negative_gradient():
    def value(f):
        return loss.value(y - f, weights)

    steps = 1e-6 * np.eye(6)
    slopes = [(value(prediction + e) - value(prediction - e)) / 2e-6 for e in steps]
    np.testing.assert_allclose(loss.multiplier(y - prediction, weights), -np.array(slopes), 1e-6)


def test_dual_objective_is_the_best_multiple():
    z = loss.multiplier(y - prediction, weights)
    for limit in (0.1, 10.0, np.inf):
        value, t = loss.dual_objective(z, y, weights, limit)
        grid = np.linspace(-1.0, 1.0, 2001) * min(limit, 10.0)
        values = grid * (z @ y) - 0.5 * grid**2 * (z @ (z / weights))
        assert abs(t) <= limit
        assert values.max() - 1e-12 <= value <= values.max() + 1e-4
        assert value == pytest.approx(oracles.dual_objective(z, y, weights, limit), rel=1e-12)


def test_dual_objective_of_a_zero_multiplier():
    assert loss.dual_objective(np.zeros(6), y, weights, 1.0) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["square", None, 2, Squared])
def test_unknown_loss(name):
    with pytest.raises(ValueError, match="loss must be one of 'squared', got"):
        check_loss(name)
