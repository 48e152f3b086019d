"""Losses with a kink by way of smooth ones, one after another: the proximal point method."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pyconvex.program import Status

WIDTH = 0.3  # of the mean error: the first width of a smoothed kink
NARROWER = 0.5  # each further width over the last,
NARROWEST = 1e-3  # down to this share of the first
STAGES = 60
PATIENCE = 8  # stages without a better gap until a solve is called stalled


@dataclass(frozen=True)
class Stage:
    """What the solve with a smoothed loss came to.

    Attributes
    ----------
    prediction : array, shape (n_samples,) or (n_samples, n_outputs)
        Of the samples, where the loss computes.
    gap : float
        Of the best weights and bound so far, with the loss as it is.
    sure : bool
        Whether that gap may stand in a certificate.
    status : Status
        How the solve ended.
    """

    prediction: Any
    gap: float
    sure: bool
    status: Status


class _Smoothed(Protocol):
    @property
    def width(self) -> float: ...


SmoothedLoss = TypeVar("SmoothedLoss", bound=_Smoothed)


def in_stages(
    smoothed: SmoothedLoss,
    around: Callable[[SmoothedLoss, Any, float], SmoothedLoss],
    tol: float,
    solve_smoothed: Callable[[SmoothedLoss, float], Stage],
) -> Status:
    """Solve with a smoothed loss, smooth around its multiplier, repeat until the gap is ``tol``.

    ``around`` smooths a loss around the multiplier of a prediction, with a width;
    ``solve_smoothed`` takes the smoothed loss and the gap so far.
    """
    narrowest, idle, gap = NARROWEST * smoothed.width, 0, math.inf
    for _ in range(STAGES):
        stage = solve_smoothed(smoothed, gap)
        if stage.gap <= tol and stage.sure:
            return Status.OPTIMAL
        if stage.status not in (Status.OPTIMAL, Status.STALLED):
            return stage.status
        idle = 0 if stage.gap < 0.9 * gap else idle + 1
        if idle == PATIENCE:
            break
        gap = stage.gap
        smoothed = around(smoothed, stage.prediction, max(NARROWER * smoothed.width, narrowest))
    return Status.STALLED
