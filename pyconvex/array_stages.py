"""Losses with a kink on a device: gated programs with smoothed losses, one after another."""

from dataclasses import replace

import numpy as np

from pyconvex.array_kinked import ArrayKinked, ArraySmoothed
from pyconvex.array_newton import ArrayNewton, Found, State
from pyconvex.monitor import Monitor
from pyconvex.program import STAGE, relative_gap
from pyconvex.stages import WIDTH, Stage, in_stages


def solve_in_stages(engine: ArrayNewton, state: State, monitor: Monitor) -> Found:
    """Solve the program of an engine from given weights, whatever its loss.

    Objective and bound are those of the loss itself.
    """
    loss, tol = engine.problem.loss, engine.tol
    if not isinstance(loss, ArrayKinked):
        return engine.solve(state, monitor)
    best: Found | None = None

    def solve_smoothed(smoothed: ArraySmoothed, gap: float) -> Stage:
        nonlocal state, best
        share = min(STAGE * max(gap, tol), 0.1)
        part = replace(engine, problem=replace(engine.problem, loss=smoothed), tol=share)
        found = part.solve(state, monitor)
        state = found.state
        best = _better(engine, best, found)
        return Stage(found.prediction, relative_gap(best.objective, best.dual_objective), True,
                     found.status)  # fmt: skip

    status = in_stages(loss.smooth(WIDTH), ArraySmoothed.around, tol, solve_smoothed)
    assert best is not None
    return replace(best, status=status)


def _better(engine: ArrayNewton, best: Found | None, found: Found) -> Found:
    """Return the better weights and the better bound, both of the engine's own loss."""
    with np.errstate(all="ignore"):
        state, f, objective = engine.valued(found.state)
        dual, z = engine.bound(found.multiplier), found.multiplier
    if best is not None and best.objective <= objective:
        state, f, objective = best.state, best.prediction, best.objective
    if best is not None and best.dual_objective >= dual:
        dual, z = best.dual_objective, best.multiplier
    return Found(state, f, objective, min(dual, objective), z, found.status)
