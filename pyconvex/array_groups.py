"""Groups in use of a cone program on a device, and what a solve found."""

from dataclasses import dataclass

from pyconvex.array_problem import ArrayProblem
from pyconvex.namespaces import DeviceArray, Space
from pyconvex.program import Status


@dataclass(frozen=True)
class Groups:
    """Groups in use.

    Attributes
    ----------
    U : array, shape (m, p)
        Weights in their closed cells.
    signs : array, shape (m,)
        Output signs.
    pattern : array of int, shape (m,)
        Their patterns.
    intercept : float
        The free constant.
    """

    U: DeviceArray
    signs: DeviceArray
    pattern: DeviceArray
    intercept: float = 0.0

    @classmethod
    def none(cls, problem: ArrayProblem) -> "Groups":
        """Return no groups."""
        space = problem.space
        return cls(space.zeros(0, problem.X.shape[1]), space.zeros(0), space.arange(0))

    def take(self, space: Space, chosen: DeviceArray) -> "Groups":
        """Return some of the groups."""
        take = space.take
        return Groups(
            take(self.U, chosen), take(self.signs, chosen), take(self.pattern, chosen),
            self.intercept,
        )  # fmt: skip

    def __len__(self) -> int:
        return int(self.U.shape[0])


@dataclass(frozen=True)
class FoundGroups:
    """What a solve found: the groups, and the multiplier that proves the dual objective."""

    groups: Groups
    objective: float
    dual_objective: float
    multiplier: DeviceArray
    status: Status
