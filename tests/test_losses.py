"""Losses one by one: against the formulas of `oracles`, differences and brute force."""

import pickle

import numpy as np
import pytest

from pyconvex.losses import (
    Hinge,
    Huber,
    Logistic,
    Poisson,
    Quantile,
    Squared,
    SquaredHinge,
    check_loss,
)

import oracles

rng = np.random.default_rng(0)
weights = rng.uniform(0.5, 1.5, 40)
weights /= weights.sum()
prediction = 1.5 * rng.standard_normal(40)
LOSSES = [Squared(), Huber(0.5), Quantile(0.7), Poisson(), Logistic(), SquaredHinge(), Hinge()]
SMOOTH = [*(loss for loss in LOSSES if np.isfinite(loss.smoothness)), Poisson()]
SMOOTHED = [Hinge().smooth(np.ones(40), 0.4), Quantile(0.7).smooth(np.ones(40), 0.4)]


def targets(loss):
    return oracles.targets(getattr(loss, "loss", loss).name, rng.standard_normal(40), 1)


def named(loss):
    return loss.name


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_values(loss):
    y = targets(loss)
    np.testing.assert_allclose(
        loss.losses(prediction, y), oracles.losses(loss.name, prediction, y), rtol=1e-12, atol=1e-15
    )
    assert (loss.losses(prediction, y) >= 0.0).all()


@pytest.mark.parametrize("loss", [*SMOOTH, *SMOOTHED], ids=named)
def test_derivatives(loss):
    y, h = targets(loss), 1e-6
    up, down = loss.losses(prediction + h, y), loss.losses(prediction - h, y)
    slopes = loss.slopes(prediction, y)
    np.testing.assert_allclose(slopes, (up - down) / (2 * h), atol=1e-5)
    np.testing.assert_allclose(
        loss.multiplier(prediction, y, weights), -weights * slopes, rtol=1e-15
    )
    change = loss.slopes(prediction + h, y) - loss.slopes(prediction - h, y)
    np.testing.assert_allclose(loss.curvatures(prediction, y), change / (2 * h), atol=1e-4)
    assert (loss.curvatures(prediction, y) <= loss.smoothness).all()


@pytest.mark.parametrize("loss", [*LOSSES, *SMOOTHED], ids=named)
def test_conjugates_are_suprema(loss):
    """sup over f of q f - l(f), on a grid, for slopes that are attained inside of it."""
    y, f = targets(loss)[:8], np.linspace(-30, 8, 40_001)
    q = loss.slopes(prediction[:8], y)
    grid = np.array([(a * f - loss.losses(f, b)).max() for a, b in zip(q, y, strict=True)])
    np.testing.assert_allclose(loss.conjugates(q, y), grid, atol=2e-4)
    equality = q * prediction[:8] - loss.losses(prediction[:8], y)
    np.testing.assert_allclose(loss.conjugates(q, y), equality, atol=1e-12)


@pytest.mark.parametrize("loss", [*SMOOTH, *SMOOTHED], ids=named)
def test_derivatives_of_conjugates(loss):
    """Its slope undoes the loss's; inside the domain the curvatures are inverse."""
    y = targets(loss)
    q, curvatures = loss.slopes(prediction, y), loss.curvatures(prediction, y)
    inside = curvatures > 0.0
    low, high = loss.domain(y)
    assert ((low <= q) & (q <= high)).all()
    slopes = loss.conjugate_slopes(q, y)[inside]
    np.testing.assert_allclose(slopes, prediction[inside], rtol=1e-9)
    np.testing.assert_allclose(
        loss.conjugate_curvatures(q, y)[inside], 1.0 / curvatures[inside], rtol=1e-9
    )
    for end, step in ((low, -1.0), (high, 1.0)):
        finite = np.isfinite(end)
        assert np.isfinite(loss.conjugates(end[finite], y[finite])).all()
        beyond = loss.conjugates(end[finite] + step * 1e-6, y[finite])
        assert (beyond == np.inf).all()


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_dual_values(loss):
    y = targets(loss)
    z = loss.multiplier(prediction, y, weights)
    for t in (1.0, 0.3):
        expected = oracles.dual_value(loss.name, t * z, y, weights)
        assert loss.dual_value(t * z, y, weights) == pytest.approx(expected, rel=1e-12)
        assert np.isfinite(expected)


@pytest.mark.parametrize("loss", LOSSES[1:], ids=named)
def test_outside_the_domain_is_no_bound(loss):
    y = targets(loss)
    z = loss.multiplier(prediction, y, weights)
    outside = -2.0 if loss.name == "squared_hinge" else 50.0
    assert loss.dual_value(outside * z, y, weights) == -np.inf
    assert oracles.dual_value(loss.name, outside * z, y, weights) == -np.inf


@pytest.mark.parametrize("loss", [*SMOOTH, *SMOOTHED], ids=named)
@pytest.mark.parametrize("start", [0.0, 300.0, -300.0])
def test_best_shift(loss, start):
    y = targets(loss)
    shift = loss.best_shift(prediction + start, y, weights)
    z = loss.multiplier(prediction + start + shift, y, weights)
    assert abs(z.sum()) <= 1e-12 * np.abs(z).sum()


@pytest.mark.parametrize("loss", [Hinge(), Quantile(0.7)], ids=named)
def test_best_shift_at_a_kink(loss):
    y = targets(loss)
    shift = loss.best_shift(prediction, y, weights)
    values = [loss.value(prediction + c, y, weights) for c in np.linspace(-9, 9, 4001)]
    assert loss.value(prediction + shift, y, weights) <= min(values) + 1e-15


@pytest.mark.parametrize("loss", [Hinge(), Quantile(0.7)], ids=named)
def test_smoothing_lies_just_above(loss):
    y = targets(loss)
    smooth = loss.smooth(y, 0.1)
    above = smooth.losses(prediction, y) - loss.losses(prediction, y)
    assert (above >= -1e-15).all()
    assert (above <= 0.5 * smooth.width).all()


def test_dual_objective_is_the_best_multiple():
    loss, y = Squared(), rng.standard_normal(40)
    z = loss.multiplier(prediction, y, weights)
    for limit in (0.1, 10.0, np.inf):
        value, t = loss.dual_objective(z, y, weights, limit)
        grid = np.linspace(-1.0, 1.0, 2001) * min(limit, 10.0)
        values = grid * (z @ y) - 0.5 * grid**2 * (z @ (z / weights))
        assert abs(t) <= limit
        assert values.max() - 1e-12 <= value <= values.max() + 1e-4
        assert value == pytest.approx(oracles.dual_objective(z, y, weights, limit), rel=1e-12)


def test_dual_objective_of_a_zero_multiplier():
    assert Squared().dual_objective(np.zeros(40), prediction, weights, 1.0) == (0.0, 0.0)


def test_extreme_predictions():
    """No overflow, no NaN: probabilities of 0 and 1, and means far beyond the counts."""
    f, y = np.array([800.0, -800.0]), np.array([1.0, 1.0])
    half = np.full(2, 0.5)
    assert Logistic().value(f, y, half) == 400.0
    assert Logistic().dual_value(Logistic().multiplier(f, y, half), y, half) == 0.0
    assert Poisson().value(f, y, half) == np.inf


@pytest.mark.parametrize("name", ["square", None, 2, Squared])
def test_unknown_loss(name):
    with pytest.raises(ValueError, match="loss must be one of 'squared', 'huber', "):
        check_loss(name)


def test_a_smoothed_loss_is_no_choice():
    with pytest.raises(ValueError, match="loss must be one of"):
        check_loss(SMOOTHED[0])


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_objects_are_taken_as_they_are(loss):
    assert check_loss(loss) is loss
    again = pickle.loads(pickle.dumps(loss))
    assert repr(again) == repr(loss)
    assert type(check_loss(loss.name)) is type(loss)


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="delta must be a finite number > 0"):
        Huber(0.0)
    with pytest.raises(ValueError, match="tau must be below 1"):
        Quantile(1.0)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (Logistic(), [0.0, 1.0], "y must be -1 or \\+1 for loss='logistic'"),
        (Hinge(), [1.0, 2.0], "y must be -1 or \\+1 for loss='hinge'"),
        (Logistic(), [1.0, 1.0], "y holds one class only"),
        (Poisson(), [1.0, -1.0], "y must be >= 0 for loss='poisson'"),
        (Poisson(), [0.0, 0.0], "y is zero everywhere"),
    ],
)
def test_targets_are_checked(loss, y, message):
    with pytest.raises(ValueError, match=message):
        loss.check_targets(np.array(y), intercept=True)
