"""ReLU networks on a device: column generation, from a checked request to a certified fit."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyconvex.array_coordinates import ArrayCoordinates
from pyconvex.array_descent import State, added, improved
from pyconvex.array_losses import array_loss, check_smooth, check_targets
from pyconvex.array_pricing import Maxima, Search, estimate_norm
from pyconvex.array_problem import check_weights
from pyconvex.array_training import Training
from pyconvex.backends import array as kernels
from pyconvex.column_generation import CONFIRM, LOOSE
from pyconvex.data import check_bool
from pyconvex.device_network import predict_on
from pyconvex.fitted import Fit, fit_of
from pyconvex.monitor import Monitor
from pyconvex.namespaces import DeviceArray, Space, check_vector
from pyconvex.network import Network
from pyconvex.patterns import PatternSet
from pyconvex.program import Status, relative_gap

_NO_PROGRESS = 1e-15  # relative changes of the objective below this say nothing
_PATIENCE = 3  # rounds without progress until a solve is called stalled
# Times the usual starts, Gaussian ones and those beside neurons, before a local certificate.
_EFFORTS = (0, 4), (CONFIRM, 8), (CONFIRM, 32)
_BETA_MAX = 4  # times the usual starts for the largest useful weight decay


@dataclass(frozen=True)
class Solved:
    """What a solve found: neurons, the estimated dual value, the multiplier, how it ended."""

    state: State
    dual_objective: float
    multiplier: DeviceArray
    status: Status


@dataclass(frozen=True)
class ReluArrayTask:
    """A checked request for a ReLU network on a device.

    Attributes
    ----------
    X : array, shape (n_samples, n_features)
        The user's rows of positive weight, in double.
    coordinates : ArrayCoordinates
        From them to the solver's.
    problem : Training
        The program.
    search : Search
        Finds the dual norm and new neurons.
    tol : float
        Relative gap to reach.
    home : Space
        Where results go.
    """

    X: DeviceArray
    coordinates: ArrayCoordinates
    problem: Training
    search: Search
    tol: float
    home: Space

    @classmethod
    def of(
        cls,
        space: Space,
        home: Space,
        X: DeviceArray,
        y: Any,
        beta: float,
        loss: Any,
        bias: str,
        sample_weight: Any,
        standardize: bool,
        tol: float,
        rng: np.random.Generator,
    ) -> "ReluArrayTask":
        """Check what remains and put the task together."""
        n = int(X.shape[0])
        if not space.exact:
            raise ValueError(
                f"model='relu' needs double precision, which device {space.device} has not: pass "
                "X on another device, e.g. X.cpu()"
            )
        spec, kind = array_loss(loss)
        check_smooth(spec, "model='relu'")
        y = check_vector(space, y, "y", n)
        weights, kept = check_weights(space, sample_weight, n)
        X, y = space.to_double(kept.of(X)), kept.of(y)
        check_targets(space, spec, y, intercept=bias == "free")
        coordinates = ArrayCoordinates.of_neurons(
            space, X, bias, check_bool(standardize, "standardize"), weights
        )
        free = bias == "free"
        problem = Training(
            space, coordinates.rows(X), kind(space, spec, y, weights), beta, free, free
        )
        return cls(X, coordinates, problem, Search(problem, rng), tol, home)

    def at(self, beta: float) -> "ReluArrayTask":
        """Return the same task at another weight decay."""
        return replace(self, problem=self.problem.at(beta))

    def beta_max(self) -> float:
        """Return a lower estimate of N(z) at the best constant prediction."""
        return estimate_norm(self.search, self.problem.constant_multiplier(), _BETA_MAX)

    def start(self, network: Network | None) -> State:
        """Return the neurons to start from."""
        if network is None:
            return State.none(self.problem)
        space, xp = self.problem.space, self.problem.space.xp
        if network.gates is not None or network.n_features != self.X.shape[1]:
            raise ValueError(
                "warm_start is of another model or other features: pass a fit of the same model"
            )
        if network.space not in (None, space, self.home):
            raise ValueError("warm_start lives on another device: pass warm_start.to_device(X)")
        network = network.to_device(self.X)
        alpha: Any = network.output_weights
        U = self.coordinates.to_solver(network.hidden_weights, network.hidden_bias)
        U = U * xp.abs(alpha)[:, None]
        signs = xp.where(alpha < 0.0, -xp.ones_like(alpha), xp.ones_like(alpha))
        used = space.where_true(self.problem.norms(U) > 0.0)
        return State.of(self.problem, space.take(U, used), space.take(signs, used))

    def solve(self, state: State, minimal: bool, monitor: Monitor) -> tuple[Fit, State]:
        """Solve from given neurons; return the certified fit and the neurons it ended with."""
        if minimal:
            raise ValueError(
                "minimal=True is not available on device arrays: prune afterwards, "
                "fit.network.to_host().prune(X) with a NumPy X"
            )
        with np.errstate(all="ignore"):
            solved = self.solved(state.at(self.problem), monitor)
            return self._certified(solved, monitor), solved.state

    def solved(self, state: State, monitor: Monitor) -> Solved:
        """Generate columns: price the multiplier, add the best neurons, descend, repeat."""
        problem, idle, dual = self.problem, 0, 0.0
        while True:
            z = problem.loss.multiplier(state.prediction)
            norm, columns, sure = self._price(z, state, idle > 0, monitor)
            complete = not monitor.out_of_time()
            if complete:  # else the dual stays that of the last round
                dual = problem.dual_objective(z, norm)
            elif dual > state.objective:  # an estimate that the objective has passed says nothing
                dual = 0.0
            gap = relative_gap(state.objective, dual)
            status = monitor.record(state.objective, dual, len(state))
            if complete and sure and gap <= self.tol:
                return Solved(state, dual, z, Status.OPTIMAL)
            if status is not None:
                return Solved(state, dual, z, status)
            if idle == _PATIENCE:
                return Solved(state, dual, z, Status.STALLED)
            stop, sharp = monitor.out_of_time, idle > 0
            moved = improved(problem, added(problem, state, columns), gap, stop, sharp=sharp)
            progress = state.objective - moved.objective
            idle = 0 if progress > _NO_PROGRESS * state.objective else idle + 1
            if progress > 0.0:
                state = moved

    def _price(
        self, z: DeviceArray, state: State, stuck: bool, monitor: Monitor
    ) -> tuple[float, Maxima, bool]:
        """Return N(z), new columns, and whether enough starts were tried for a certificate."""
        problem, stop = self.problem, monitor.out_of_time
        neurons, signs, beta = state.U, state.signs, problem.beta
        norm, columns = self.search(beta, z, neurons, signs, stop)
        gap = relative_gap(state.objective, problem.dual_objective(z, norm))
        harder = stuck or gap <= self.tol
        if harder and (self.tol < LOOSE or stuck):
            for effort in _EFFORTS:
                norm, columns = self.search(beta, z, neurons, signs, stop, *effort)
                gap = relative_gap(state.objective, problem.dual_objective(z, norm))
                if gap > self.tol or stop():
                    break
        return norm, columns, harder

    def _certified(self, solved: Solved, monitor: Monitor) -> Fit:
        """Decode the network and certify it: all figures come from its own predictions."""
        problem, state = self.problem, solved.state
        network = self._decode(state)
        objective = self._objective(network)
        dual = min(solved.dual_objective, objective)  # where rounding has the last word
        bound = problem.dual_objective(solved.multiplier, problem.norm_bound(solved.multiplier))
        bound = min(max(bound, 0.0), objective)
        level = "local"
        if relative_gap(objective, bound) <= self.tol:
            level, dual = "global", bound
        home = self.home.zeros(0)
        return fit_of(
            monitor, network.to_device(home), problem.beta, objective, dual, bound, level,
            solved.status, self._patterns(network).to_device(home),
        )  # fmt: skip

    def _decode(self, state: State) -> Network:
        """Return the balanced network: w = u / sqrt(norm), alpha = sign sqrt(norm)."""
        xp = self.problem.space.xp
        roots = xp.sqrt(self.problem.norms(state.U))
        weights, bias = self.coordinates.to_user(state.U / roots[:, None])
        return Network(weights, bias, state.signs * roots, state.shift)

    def _objective(self, network: Network) -> float:
        """Return the loss of the network's own predictions plus its weight decay."""
        problem, space = self.problem, self.problem.space
        weights: Any = network.hidden_weights
        alpha: Any = network.output_weights
        weights, bias = self.coordinates.standardized(weights, network.hidden_bias)
        squares = space.total(weights * weights) + space.total(alpha * alpha)
        if self.coordinates.ones and not problem.free_bias:
            squares += space.total(bias * bias)
        loss = problem.loss.sample_loss(predict_on(network, self.X))
        return loss + 0.5 * problem.beta * squares

    def _patterns(self, network: Network) -> PatternSet:
        """Return the patterns of a network's neurons on the samples."""
        space, xp = self.problem.space, self.problem.space.xp
        weights: Any = network.hidden_weights
        bias: Any = network.hidden_bias
        on = xp.matmul(weights, xp.matrix_transpose(self.X)) + bias[:, None] > 0.0
        return PatternSet.of_bytes(space, kernels.pack(space, on), int(self.X.shape[0]))
