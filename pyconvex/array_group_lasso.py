"""Group lassos over given patterns on a device: from a checked request to certified figures."""

from dataclasses import dataclass, replace
from typing import Any

from pyconvex.array_cones import ArrayCones
from pyconvex.array_groups import FoundGroups, Groups
from pyconvex.array_losses import check_smooth
from pyconvex.array_newton import ArrayNewton, Found, State
from pyconvex.array_problem import ArrayProblem, Kept, make_problem
from pyconvex.array_stages import solve_in_stages
from pyconvex.backends.array import Masks
from pyconvex.data import (
    check_choice,
    check_positive,
    check_sample_weight,
    check_targets,
    check_tol,
    is_sparse,
)
from pyconvex.data import check_matrix as check_host_matrix
from pyconvex.device_choice import find_space
from pyconvex.grid import ROUNDED_UP
from pyconvex.monitor import Monitor
from pyconvex.namespaces import (
    DeviceArray,
    Space,
    check_matrix,
    describe,
    is_device_array,
    to_device,
)
from pyconvex.patterns import PatternSet, check_patterns
from pyconvex.program import relative_gap


@dataclass(frozen=True)
class ArrayProgram:
    """A checked request for a group lasso on a device.

    Attributes
    ----------
    engine : ArrayNewton
        What solves it.
    kept : Kept
        The samples with weight.
    home : Space
        Where results go: to the user's arrays.
    """

    engine: ArrayNewton | ArrayCones
    kept: Kept
    home: Space

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any,
        patterns: Any,
        beta: float,
        *,
        cones: bool,
        engine: str,
        loss: Any,
        tol: float,
        intercept: bool,
        ridge: float,
        group_weights: Any,
        sample_weight: Any,
        device: Any,
    ) -> "ArrayProgram":
        """Check the arguments of `pyconvex.solve_group_lasso` and put the program together."""
        space, home, X, y, sample_weight = placed(X, y, sample_weight, device)
        check_choice(engine, "engine", ("auto", "cd", "newton"))
        if engine == "cd" and not cones:
            raise ValueError(
                "engine='cd' is not available on device arrays: pass engine='auto', or NumPy arrays"
            )
        masks = uploaded(patterns, int(X.shape[0]), space, home)
        problem, kept = make_problem(
            space, X, y, Masks(space, masks.packed, masks.n_samples), check_positive(beta, "beta"),
            sample_weight, loss, intercept=bool(intercept),
            ridge=check_positive(ridge, "ridge", allow_zero=True), group_weights=group_weights,
        )  # fmt: skip
        if cones:
            return cls(_cones(problem, check_tol(tol), engine), kept, home)
        return cls(ArrayNewton(problem, check_tol(tol)), kept, home)

    def at(self, beta: float) -> "ArrayProgram":
        """Return the same program at another penalty."""
        engine = replace(self.engine, problem=self.engine.problem.at(beta))
        return replace(self, engine=engine)

    def beta_max(self) -> float:
        """Return the smallest penalty without active groups, rounded up."""
        problem = self.engine.problem
        if isinstance(self.engine, ArrayCones):
            return self.engine.dual_norm(problem.constant_multiplier()) * ROUNDED_UP
        return problem.beta_max() * ROUNDED_UP

    def start(self, warm_start: Any) -> State | Groups:
        """Return the weights of a result or of all groups to start from."""
        problem, space = self.engine.problem, self.engine.space
        cones = isinstance(self.engine, ArrayCones)
        shape = len(problem.masks), problem.X.shape[1]
        if warm_start is None:
            return Groups.none(problem) if cones else State.none(problem)
        coef = getattr(warm_start, "coef", warm_start)
        allowed = space.holds(coef) or (self.home.name == "numpy" and not is_device_array(coef))
        if not (allowed or self.home.holds(coef)):
            raise ValueError(f"warm_start is {describe(coef)}: pass one from arrays like X")
        U = check_matrix(space, to_device(coef, space), "warm_start", single=False)
        if coef is not warm_start:
            active = to_device(warm_start.active, space)
            if U.shape[1] != shape[1] or (warm_start.signs is not None) != cones:
                raise ValueError(
                    "warm_start does not fit: it must come from the same columns of X and cones"
                )
            if cones:
                signs = space.to_double(to_device(warm_start.signs, space))
                return Groups(U, signs, active, float(warm_start.intercept))
            return State(active, U, float(warm_start.intercept))
        if cones or tuple(U.shape) != shape:
            raise ValueError(
                f"warm_start has shape {tuple(U.shape)}: pass a GroupLassoResult, or without cones "
                f"an array of shape {shape}, a row of weights for each pattern"
            )
        active = space.where_true(space.xp.any(U != 0.0, axis=1))
        return State(active, space.take(U, active))

    def solve(self, start: Any, monitor: Monitor) -> tuple[dict[str, Any], Any]:
        """Solve; return the fields of a `GroupLassoResult` and the weights it ended with."""
        if isinstance(self.engine, ArrayCones):
            found = self.engine.solve(start, monitor)
            groups = found.groups
            weights = groups.U, groups.pattern, groups.signs, groups.intercept
            return self._fields(found, monitor, *weights), groups
        solved = solve_in_stages(self.engine, start, monitor)
        state = solved.state
        return self._fields(solved, monitor, state.U, state.active, None, state.intercept), state

    def _fields(
        self,
        found: Found | FoundGroups,
        monitor: Monitor,
        coef: DeviceArray,
        active: DeviceArray,
        signs: DeviceArray | None,
        intercept: float,
    ) -> dict[str, Any]:
        return {
            "coef": to_device(coef, self.home),
            "active": to_device(active, self.home),
            "signs": None if signs is None else to_device(signs, self.home),
            "intercept": intercept,
            "multiplier": to_device(self.kept.back(found.multiplier), self.home),
            "beta": self.engine.problem.beta,
            "objective": found.objective,
            "dual_objective": found.dual_objective,
            "gap": relative_gap(found.objective, found.dual_objective),
            "lower_bound": found.dual_objective,
            "certificate": "restricted",
            "status": found.status,
            "n_iter": len(monitor.history),
            "seconds": monitor.seconds,
            "history": tuple(monitor.history),
        }


def _cones(problem: ArrayProblem, tol: float, engine: str) -> ArrayCones:
    """Return the engine of cone programs, which work in double precision."""
    if engine == "newton":
        raise ValueError("engine='newton' does not know cones: pass engine='auto' or cones=False")
    space = problem.space
    check_smooth(problem.loss.spec, "cones=True")
    if not space.exact:
        raise ValueError(
            f"cones=True needs double precision, which device {space.device} has not: pass X on "
            "another device, e.g. X.cpu()"
        )
    return ArrayCones(replace(problem, X=space.to_double(problem.X)), tol)


def placed(
    X: Any, y: Any, sample_weight: Any, device: Any
) -> tuple[Space, Space, DeviceArray, Any, Any]:
    """Return where to compute, where X lives, and the arguments there, X checked."""
    if is_sparse(X):
        raise ValueError(
            "X is sparse, which device arrays are not: pass it with backend='auto' and no device"
        )
    space = find_space(X, {"y": y, "sample_weight": sample_weight}, device)
    home = find_space(X, {})
    if home.name == "numpy":  # lists, data frames and errors as everywhere
        X = check_host_matrix(X, single=True)
        y, sample_weight = check_targets(y, len(X)), check_sample_weight(sample_weight, len(X))
    X = check_matrix(space, to_device(X, space))
    if sample_weight is not None:
        sample_weight = to_device(sample_weight, space)
    return space, home, X, to_device(y, space), sample_weight


def uploaded(patterns: Any, n_samples: int, space: Space, home: Space) -> PatternSet:
    """Return patterns in a space; bits and gates of those on the host are copied there."""
    checked = check_patterns(patterns, n_samples, on_device=True)
    if checked.space not in (None, space, home):
        raise ValueError(
            f"patterns live on device {checked.space.device} of {checked.space.name} but X on "
            f"{home.device} of {home.name}: pass patterns.to_device(X)"
        )
    return checked.to_space(space)
