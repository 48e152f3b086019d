"""Loss functions, by name or as objects that carry a parameter.

A new loss is a small class over `Loss`: say l, its derivatives and its conjugate. The certificate
rests on the conjugate.
"""

from pyconvex.losses.base import Array, Loss
from pyconvex.losses.kinked import Hinge, Kinked, Quantile, Smoothed
from pyconvex.losses.smooth import Huber, Logistic, Poisson, Squared, SquaredHinge
from pyconvex.losses.softmax import Softmax

__all__ = [
    "Array", "Hinge", "Huber", "Kinked", "Logistic", "Loss", "Poisson", "Quantile", "Smoothed",
    "Softmax", "Squared", "SquaredHinge", "check_columns", "check_loss",
]  # fmt: skip

_LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (Squared, Huber, Quantile, Poisson, Logistic, SquaredHinge, Hinge, Softmax)
}


def check_loss(loss: object) -> Loss:
    """Return the loss object that a name stands for."""
    if isinstance(loss, Loss) and not isinstance(loss, Smoothed):
        return loss
    if isinstance(loss, str) and loss in _LOSSES:
        return _LOSSES[loss]()
    names = ", ".join(repr(name) for name in _LOSSES)
    raise ValueError(
        f"loss must be one of {names} or an object of pyconvex.losses such as Huber(delta=1.0), "
        f"got {loss!r}"
    )


def check_columns(loss: Loss, Y: Array, *, intercept: bool) -> None:
    """Raise ValueError unless a loss takes targets of several outputs, (n_samples, n_outputs)."""
    for y in [Y] if isinstance(loss, Softmax) else Y.T:
        loss.check_targets(y, intercept=intercept)
