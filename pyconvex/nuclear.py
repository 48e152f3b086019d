"""Gated networks with several outputs: from a checked request to a certified fit."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pyconvex.decode import check_outputs
from pyconvex.fitted import Fit, fewest, fit_of, gated_level, weight_decay
from pyconvex.losses import Array, Kinked, Loss, Smoothed
from pyconvex.monitor import Monitor
from pyconvex.network import Network
from pyconvex.nuclear_newton import NuclearNewton, NuclearState
from pyconvex.nuclear_problem import NuclearProblem
from pyconvex.program import SHARP, STAGE, Status, relative_gap
from pyconvex.stages import WIDTH, Stage, in_stages
from pyconvex.task import Task

State = NuclearState | None


@dataclass(frozen=True)
class NuclearTask:
    """A checked request for a gated network with several outputs.

    Parameters
    ----------
    first : Task
        The task of one output over the same data.
    problem : NuclearProblem
        The program.
    """

    first: Task
    problem: NuclearProblem

    @classmethod
    def of(cls, first: Task, Y: Array, loss: Loss) -> "NuclearTask":
        """Put the task together from that of any output, given targets (n_samples, n_outputs)."""
        return cls(first, NuclearProblem(first.solver.problem, Y, loss))

    @property
    def engine(self) -> NuclearNewton:
        """What solves the program."""
        solver = self.first.solver
        return NuclearNewton(
            self.problem, solver.packed, solver.kernels, solver.tol, solver.n_threads
        )

    def at(self, beta: float) -> "NuclearTask":
        """Return the same task at another weight decay."""
        first = self.first.at(beta)
        return NuclearTask(first, replace(self.problem, one=first.solver.problem))

    def beta_max(self) -> float:
        """Return the dual norm at the best free prediction."""
        problem = self.problem
        smooth = replace(problem, loss=problem.loss.smooth(problem.Y, SHARP))
        return self.engine.norm(smooth.multiplier(smooth.shifted(np.zeros_like(problem.Y))))

    def start(self, network: Network | None) -> State:
        """Return the weights to start from: those of neurons whose gates are in the program."""
        if network is None:
            return None
        one, c = self.problem.one, self.problem.Y.shape[1]
        check_outputs(network, c)
        parts = [self.first.start(_part(network, k)) for k in range(c)]
        U = np.zeros((len(self.engine.packed), one.X.shape[1], c))
        for k, neurons in enumerate(parts):
            np.add.at(U[:, :, k], neurons.pattern, neurons.U * neurons.signs[:, np.newaxis])
        active = np.flatnonzero(U.any(axis=(1, 2)))
        skips = np.zeros((one.decayed.shape[1], c))
        if len(skips):
            skips = np.column_stack([neurons.skip for neurons in parts])
        return NuclearState(active, U[active], np.zeros((one.free.shape[1], c)), skips, math.inf, 0)

    def solve(self, state: State, minimal: bool, monitor: Monitor) -> tuple[Fit, State]:
        """Solve from a given state; return the certified fit and the state it ended with."""
        best, dual, status = self._solved(state, monitor)
        network = self._network(best)
        objective = self._objective(network)
        if minimal:
            network, objective = fewest(self.first, network, self._objective)
        dual = min(dual, objective)
        assert self.first.patterns is not None
        result = fit_of(
            monitor, network, self.problem.one.beta, objective, dual, dual, gated_level(self.first),
            status, self.first.patterns,
        )  # fmt: skip
        return result, best

    def _solved(self, state: State, monitor: Monitor) -> tuple[NuclearState, float, Status]:
        """Solve; a loss with kinks by smoothed ones."""
        problem, tol, loss = self.problem, self.engine.tol, self.problem.loss
        if not isinstance(loss, Kinked):
            found, dual, _, status = self.engine.solve(state, monitor)
            return found, dual, status
        best: NuclearState | None = None
        dual = 0.0

        def solve_smoothed(smoothed: Smoothed, gap: float) -> Stage:
            nonlocal state, best, dual
            share = min(STAGE * max(gap, tol), 0.1)
            engine = replace(self.engine, problem=replace(problem, loss=smoothed), tol=share)
            state, _, Z, status = engine.solve(state, monitor)
            F = engine.outputs(state.U, state.active, state.skips) + problem.one.free @ state.shifts
            nuclear = float(np.linalg.norm(state.U, "nuc", axis=(1, 2)).sum())
            shifts = problem.best_shifts(F)
            true = problem.value(F + problem.one.free @ shifts)
            true += problem.penalty(nuclear, state.skips)
            if best is None or true < best.objective:
                best = replace(state, objective=true, shifts=state.shifts + shifts)
            dual = max(dual, problem.dual_objective(Z, engine.norm(Z)))
            return Stage(F, relative_gap(best.objective, dual), True, status)

        status = in_stages(
            loss.smooth(problem.Y, WIDTH), partial(Smoothed.around, y=problem.Y), tol,
            solve_smoothed,
        )  # fmt: skip
        assert best is not None
        return best, dual, status

    def _network(self, state: NuclearState) -> Network:
        """Return the balanced network: a neuron for each singular value of a gate's weights."""
        left, sizes, right = np.linalg.svd(state.U, full_matrices=False)
        gate, place = np.nonzero(sizes > 1e-12 * sizes.max(initial=0.0))
        roots = np.sqrt(sizes[gate, place])[:, np.newaxis]
        assert self.first.patterns is not None and self.first.patterns.gates is not None  # noqa: PT018
        coordinates = self.first.coordinates
        weights, bias = coordinates.to_user(roots * left[gate, :, place])
        constants, skips = self._linear(state)
        chosen = self.first.patterns.gates[:, state.active[gate]].T
        return Network(
            weights,
            bias,
            roots * right[gate, place],
            constants,
            chosen[:, : weights.shape[1]],
            chosen[:, -1] if coordinates.ones else np.zeros(len(chosen)),
            skips,
        )

    def _linear(self, state: NuclearState) -> tuple[Array, Array | None]:
        """Return the constants (c,) and skip connections (n_features, c), None without them."""
        one = self.problem.one
        constants = state.shifts[0] if one.intercept else np.zeros(self.problem.Y.shape[1])
        if one.skip is None:
            return constants, None
        coef = state.shifts[int(one.intercept) :] if one.skip.free else state.skips
        weights, lost = one.skip.to_features(coef)
        skips, moved = self.first.coordinates.skips_to_user(weights)
        return constants - lost + moved, skips

    def _objective(self, network: Network) -> float:
        """Return loss plus weight decay of a network."""
        loss = self.problem.value(network.predict(self.first.X))
        return loss + weight_decay(self.first, network)


def _part(network: Network, k: int) -> Network:
    """Return the network of one output: all neurons with their weights for it."""
    return replace(
        network,
        output_weights=network.output_weights[:, k],
        output_bias=0.0,
        skip=None if network.skip is None else network.skip[:, k],
    )
