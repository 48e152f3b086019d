r"""Several outputs of ReLU networks: one program per output, coupled by the loss at most.

Weight decay is :math:`\tfrac\beta2 \sum_j (\|w_j\|^2 + \|\alpha_j\|_1^2)`. Then neurons serve one
output each at the optimum, and the program is a sum over the outputs but for the loss. It is a sum
altogether for every loss but the softmax.
"""

from dataclasses import dataclass, replace

import numpy as np

from pyconvex.column_generation import Solver
from pyconvex.decode import check_outputs, decode
from pyconvex.fitted import (
    Fit,
    certified,
    fewest,
    fit_of,
    neuron_patterns,
    solve_task,
    weight_decay,
)
from pyconvex.losses import Array, Loss, Softmax
from pyconvex.monitor import Monitor
from pyconvex.network import Network
from pyconvex.neurons import Neurons
from pyconvex.pricing import Run
from pyconvex.program import Status
from pyconvex.softmax import SoftmaxSolver
from pyconvex.task import Task

State = tuple[Neurons, ...]  # of each output
_ENDS = (Status.INTERRUPTED, Status.TIME_LIMIT, Status.MAX_ITER, Status.STALLED)  # worst first


@dataclass(frozen=True)
class OutputsTask:
    """A checked request with several outputs: a task for each.

    Parameters
    ----------
    tasks : tuple of Task
        With the columns of y as targets.
    loss : Loss
        What couples them: `Softmax`, or any other loss, which does not.
    """

    tasks: tuple[Task, ...]
    loss: Loss

    @classmethod
    def of(cls, first: Task, Y: Array, loss: Loss) -> "OutputsTask":
        """Put the task together from that of any output, given targets (n_samples, n_outputs)."""
        own = None if isinstance(loss, Softmax) else loss
        return cls(tuple(first.for_target(y, own) for y in Y.T.copy()), loss)

    def at(self, beta: float) -> "OutputsTask":
        """Return the same task at another weight decay."""
        return replace(self, tasks=tuple(task.at(beta) for task in self.tasks))

    def beta_max(self) -> float:
        """Return the largest dual norm of an output at the best free prediction."""
        if not isinstance(self.loss, Softmax):
            return max(task.beta_max() for task in self.tasks)
        Y, problem = np.column_stack([task.y for task in self.tasks]), self.tasks[0].solver.problem
        f, s, free = np.zeros_like(Y), problem.sample_weight, problem.at_samples(problem.free)
        f += free @ self.loss.best_coefficients(f, Y, s, free)
        columns = np.ascontiguousarray(self.loss.multiplier(f, Y, s).T)
        return max(task.norm_of(v) for task, v in zip(self.tasks, columns, strict=True))

    def start(self, network: Network | None) -> State:
        """Return the neurons to start from."""
        if network is None:
            return tuple(task.start(None) for task in self.tasks)
        check_outputs(network, len(self.tasks))
        parts = (_part(network, k) for k in range(len(self.tasks)))
        return tuple(task.start(part) for task, part in zip(self.tasks, parts, strict=True))

    def solve(self, state: State, minimal: bool, monitor: Monitor) -> tuple[Fit, State]:
        """Solve from given neurons; return the certified fit and the neurons it ended with."""
        if isinstance(self.loss, Softmax):
            return self._coupled(self.loss, state, minimal, monitor)
        fits, ends = [], []
        figures = [(self._objective(k, state[k]), 0.0, len(n)) for k, n in enumerate(state)]
        for k, task in enumerate(self.tasks):
            others = np.array(figures[:k] + figures[k + 1 :]).reshape(-1, 3).sum(axis=0)
            monitor.rest = float(others[0]), float(others[1]), int(others[2])
            result, neurons = solve_task(task, state[k], minimal, monitor)
            figures[k] = result.objective, result.dual_objective, result.network.n_neurons
            fits.append(result)
            ends.append(neurons)
        monitor.rest = 0.0, 0.0, 0
        return self._together(fits, monitor), tuple(ends)

    def _coupled(
        self, loss: Softmax, state: State, minimal: bool, monitor: Monitor
    ) -> tuple[Fit, State]:
        """Solve for all classes together."""
        first = self.tasks[0]
        solvers = [task.solver for task in self.tasks if isinstance(task.solver, Solver)]
        coupled = SoftmaxSolver(solvers, loss)
        solution = coupled.solve(state, monitor)
        networks = [
            decode(neurons, task.solver.problem, task.coordinates, None)
            for task, neurons in zip(self.tasks, solution.neurons, strict=True)
        ]
        Y = np.column_stack([task.y for task in self.tasks])

        def objective_of(networks: list[Network]) -> float:
            network = stacked(networks)
            value = loss.value(network.predict(first.X), Y, first.sample_weight)
            return value + weight_decay(first, network)

        objective = objective_of(networks)
        for k, task in enumerate(self.tasks if minimal else ()):

            def with_one(one: Network, k: int = k) -> float:
                return objective_of([*networks[:k], one, *networks[k + 1 :]])

            networks[k], objective = fewest(task, networks[k], with_one)
        columns = np.ascontiguousarray(solution.multiplier.T)

        def bound(run: Run | None) -> float:
            parts = zip(self.tasks, solution.neurons, columns, strict=True)
            norm = max(task.global_norm(neurons, z, run) for task, neurons, z in parts)
            return coupled.dual_objective(solution.multiplier, norm)

        result = certified(
            first, monitor, stacked(networks), objective, solution.dual_objective, bound,
            solution.status,
        )  # fmt: skip
        return result, solution.neurons

    def _objective(self, k: int, neurons: Neurons) -> float:
        """Return the objective of output k with the best constant alone."""
        problem = self.tasks[k].solver.problem
        if len(neurons) == 0:
            shift = problem.free @ problem.best_shift(neurons.prediction)
            return problem.loss_value(neurons.prediction + shift)
        return neurons.objective(problem)

    def _together(self, fits: list[Fit], monitor: Monitor) -> Fit:
        """Return the fits of all outputs as one."""
        network = stacked([fit.network for fit in fits])
        levels = {fit.certificate for fit in fits}
        ends = {fit.status for fit in fits}
        return fit_of(
            monitor,
            network,
            fits[0].beta,
            sum(fit.objective for fit in fits),
            sum(fit.dual_objective for fit in fits),
            sum(fit.lower_bound for fit in fits),
            levels.pop() if len(levels) == 1 else "local",
            next((end for end in _ENDS if end in ends), Status.OPTIMAL),
            self.tasks[0].patterns or neuron_patterns(self.tasks[0], network),
        )


def stacked(networks: list[Network]) -> Network:
    """Return the networks of several outputs as one whose neurons serve one output each."""
    sizes = np.cumsum([0, *(network.n_neurons for network in networks)])
    weights = np.zeros((sizes[-1], len(networks)))
    for k, network in enumerate(networks):
        weights[sizes[k] : sizes[k + 1], k] = network.output_weights
    return Network(
        np.concatenate([network.hidden_weights for network in networks]),
        np.concatenate([network.hidden_bias for network in networks]),
        weights,
        np.array([network.output_bias for network in networks], dtype=np.float64),
        skip=_skips(networks),
    )


def _skips(networks: list[Network]) -> Array | None:
    """Return the skip connections of several outputs as columns, None without one."""
    if all(network.skip is None for network in networks):
        return None
    nothing = np.zeros(networks[0].n_features)
    return np.column_stack(
        [nothing if network.skip is None else network.skip for network in networks]
    )


def _part(network: Network, k: int) -> Network:
    """Return the neurons of one output, each at the size that this output needs."""
    used = np.flatnonzero(network.output_weights[:, k])
    return Network(
        network.hidden_weights[used],
        network.hidden_bias[used],
        network.output_weights[used, k],
        float(np.asarray(network.output_bias).reshape(-1)[k]),
        skip=None if network.skip is None else network.skip[:, k],
    )
