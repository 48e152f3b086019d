"""Grids of penalties, from strong to weak, and solves along them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.data import check_betas, check_int, check_ratio
from pyconvex.losses import Array
from pyconvex.monitor import Monitor
from pyconvex.program import Status


class Ended(Protocol):
    """A result that says how its solve ended."""

    @property
    def status(self) -> Status:
        """How it ended."""


ROUNDED_UP = 1.0 + 1e-12  # what a dual norm takes to be no less in spite of rounding

Result = TypeVar("Result", bound=Ended)
State = TypeVar("State")  # what the next point starts from


@dataclass(frozen=True)
class Grid:
    """Given penalties, or ``n_points`` in geometric order down to ``ratio`` times the largest."""

    given: Array | None
    n_points: int
    ratio: float

    @classmethod
    def of(cls, betas: ArrayLike | None, n_betas: int, beta_min_ratio: float) -> "Grid":
        """Check the arguments that describe a grid."""
        given = None if betas is None else check_betas(betas)
        n_points = check_int(n_betas, "n_betas") if given is None else len(given)
        return cls(given, n_points, check_ratio(beta_min_ratio, "beta_min_ratio"))

    def betas(self, beta_max: Callable[[], float]) -> Array:
        """Return the penalties in descending order; the largest is only computed if needed."""
        if self.given is not None:
            return self.given
        return np.geomspace(1.0, self.ratio, self.n_points) * (beta_max() or 1.0)


def solve_along(
    betas: Array,
    solve: Callable[[float, State], tuple[Result, State]],
    state: State,
    monitor: Monitor,
    until: Callable[[Result], Any] | None = None,
) -> tuple[list[Result], Status | None]:
    """Solve for each penalty, from the state that the one before ended with.

    Returns the results and what cut them off, None if nothing did; an unfinished one is left
    out unless it is the first. ``until`` is asked after each whether it was the last wanted.
    """
    results: list[Result] = []
    for beta in betas:
        if results and (status := monitor.ended()):  # between two points
            return results, status
        result, state = solve(float(beta), state)
        if results and result.status in (Status.TIME_LIMIT, Status.INTERRUPTED):
            return results, result.status
        results.append(result)
        monitor.next_solve()
        if until is not None and until(result):
            break
    return results, None
