"""The same problems by other solvers: python bench/peers.py runs each on a small one.

Every rival runs in a process of its own, pinned to one thread, with its best known settings, until
its solution proves the gap asked for or its time is over; gaps and objectives are computed here,
from its weights, by our formulas. One that is not installed, or fails, is reported.
"""

import argparse
import time
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

import goals
import machine
import peers_group_lasso
import peers_training
import problems
import sizes
from lp_tree import lp_tree_patterns
from measure import Worker, one_core, peak, pin_threads
from tables import Table, seconds_of

TOLERANCES = [10.0**-k for k in (4, 6, 8, 10, 12, 14, 16)]  # of a rival's own, one after the other
COMPILE = 180.0  # seconds for imports and what is compiled at first, off the clock


class Peer(NamedTuple):
    """A rival: the package it comes from, its settings, and what it can take part in."""

    package: str
    settings: str
    jobs: tuple[str, ...]


PEERS = {
    "adelie": Peer("adelie", "its own operator of masked designs; early exit off, no iteration "
                   "limit, IRLS tolerance 1e-12; tolerance tightened until the gap is reached "
                   "(its default leaves gaps of 4e-3 to 0.3)", ("lasso", "cones", "path")),
    "skglm": Peer("skglm", "GroupBCD with working sets and Anderson acceleration on the expanded "
                  "design in column order", ("lasso",)),
    "celer": Peer("celer", "GroupLasso with dual extrapolation on the expanded design", ("lasso",)),
    "pyscnn": Peer("pyscnn", "R-FISTA (gated), augmented Lagrangian (ReLU, sampled patterns), "
                   "unitize_data=False: with True gated models predict wrongly",
                   ("lasso", "training")),
    "clarabel": Peer("clarabel", "through cvxpy, vectorised, all tolerances equal",
                     ("lasso", "cones", "certified")),
    "Adam": Peer("torch", "full batch, single precision, cosine decay, the best of rates "
                 f"{', '.join(map(str, peers_training.RATES))}: its seconds are of that run alone",
                 ("training",)),
    "L-BFGS": Peer("torch", "strong Wolfe line search, double precision", ("training",)),
    "sklearn MLP": Peer("scikit-learn", "MLPRegressor, L-BFGS, alpha = n beta; free biases only",
                        ("training",)),
    "HiGHS tree": Peer("highspy", "one model for the whole tree, warm primal simplex, no presolve, "
                       "pinned to one core", ("cells",)),
}  # fmt: skip


class Run(NamedTuple):
    """What a rival did: gap and objective by our formulas, CPU and wall seconds, peak bytes.

    `status` is "done", "stopped" (the best gap there was in time), "over" (none), "not installed"
    or the error. `curve` holds CPU seconds and gap of each tolerance.
    """

    status: str
    seconds: float = np.nan
    gap: float = np.nan
    objective: float = np.nan
    memory: float = np.nan
    wall: float = np.nan
    curve: tuple[tuple[float, float], ...] = ()

    def __str__(self):
        if self.curve:
            sign = "" if self.status == "done" else f" (gap {self.gap:.0e})"
            return seconds_of(self.seconds) + sign
        return f"> {seconds_of(self.seconds)}" if self.status == "over" else self.status


def race(name, size, gap, seconds, seed=0):
    """Run a group lasso by a rival to a gap, for at most so many wall seconds."""
    if machine.version(PEERS[name].package) is None:
        return Run("not installed")
    best, curve = Run("over", seconds), []
    with Worker() as worker:
        try:
            worker.run(_warm_up, name, seconds=COMPILE)
            deadline = time.monotonic() + seconds
            for tol in TOLERANCES:
                left = max(deadline - time.monotonic(), 0.0)
                run = worker.run(_solve, name, size, seed, tol, seconds=left)
                cpu, reached, *rest = run
                curve.append((cpu, reached))
                if not best.gap <= reached:
                    status = "done" if reached <= gap else "stopped"
                    best = Run(status, cpu, reached, *rest)
                if reached <= gap:
                    break
        except TimeoutError:
            pass
        except Exception as error:  # whatever a rival raises is a result
            if not curve:
                return Run(f"{type(error).__name__}: {error}"[:60])
    return best._replace(curve=tuple(curve))


def _warm_up(name):
    X, y, G, beta = problems.group_lasso(60, 3, 5, 0.1)
    peers_group_lasso.SOLVERS[name](X, y, G, beta, 1e-3)


def _solve(name, size, seed, tol):
    X, y, G, beta = problems.group_lasso(*size, seed=seed)
    with threadpool_limits(1):
        start, wall = time.process_time(), time.perf_counter()
        weights = peers_group_lasso.SOLVERS[name](X, y, G, beta, tol)
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
    memory = peak()
    value, gap = peers_group_lasso.figures(X, y, G, beta, weights)
    return seconds, float(gap), float(value), memory, wall


def limited(package, function, *arguments, seconds):
    """Return what a rival's function returns in a new process, or a line that says why not."""
    if machine.version(package) is None:
        return "not installed"
    with Worker() as worker:
        try:
            return worker.run(function, *arguments, seconds=seconds)
        except TimeoutError:
            return f"> {seconds:.0f} s"
        except NotImplementedError as error:
            return str(error)
        except Exception as error:  # whatever a rival raises is a result
            return f"{type(error).__name__}: {error}"[:60]


def cones(name, size, tol):
    """CPU seconds, objective, violation and the network's objective of a program with cones."""
    X, y, G, beta = problems.group_lasso(*size)
    solver = peers_group_lasso.CONE_SOLVERS[name]
    solver(X[:60, :3], y[:60], G[:3, :5], beta, 1e-3)
    with threadpool_limits(1):
        start = time.process_time()
        weights = solver(X, y, G, beta, tol)
        seconds = time.process_time() - start
    return seconds, *map(float, peers_group_lasso.cone_figures(X, y, G, beta, weights))


def adelie_path(size, tol):
    """CPU seconds of adelie's path of 100 penalties, and its largest gap."""
    X, y, G, beta_max = problems.group_lasso(*size, 1.0)
    betas = beta_max * np.geomspace(1.0, 0.01, 100)
    peers_group_lasso.adelie_path(X[:60], y[:60], G[:, :5], betas[:2], 1e-3)  # what loads at first
    with threadpool_limits(1):
        start = time.process_time()
        weights = peers_group_lasso.adelie_path(X, y, G, betas, tol)
        seconds = time.process_time() - start
    pairs = zip(betas, weights, strict=True)
    gaps = [peers_group_lasso.figures(X, y, G, beta, w)[1] for beta, w in pairs]
    return seconds, float(max(gaps))


def train(name, problem, steps, seconds):
    """A network of a rival: its figures as a dictionary."""
    X, y, settings = problems.TRAINING[problem]()
    sizes_ = {"width": problems.WIDTHS[problem], "steps": steps, "seconds": seconds}
    trainer = peers_training.TRAINERS[name]
    with threadpool_limits(1):
        trainer(X[:20], y[:20], **settings, width=5, steps=3, seconds=0.0)  # what loads at first
        run = trainer(X, y, **settings, **sizes_)
    thin = run.curve[:: max(1, len(run.curve) // 200)]
    return {
        "objective": float(peers_training.objective(run.network, X, y, **settings)),
        "neurons": n_neurons(run.network), "wall": run.seconds, "cpu": run.cpu,
        "detail": run.detail, "curve": [*thin, *run.curve[-1:]],
    }  # fmt: skip


def n_neurons(network):
    """Neurons above 1e-6 of the largest."""
    lengths = np.linalg.norm(network.hidden_weights, axis=1) * np.abs(network.output_weights)
    return int((lengths > 1e-6 * lengths.max(initial=0.0)).sum())


def full_program(problem, beta):
    """CPU seconds, objective and peak bytes of Clarabel on all cells, without biases."""
    import pyconvex

    X, y, _, _ = problems.CERTIFIED[problem]()
    masks = pyconvex.enumerate_patterns(X).to_dense().T
    peers_group_lasso.conic(X, y, masks[:, :2], beta, 1e-3, cones=True)  # what loads at first
    start = time.process_time()
    weights = peers_group_lasso.conic(X, y, masks, beta, 1e-10, cones=True)
    seconds, memory = time.process_time() - start, peak()
    hidden, signs = np.maximum(X @ weights.T, 0.0), np.repeat([1.0, -1.0], masks.shape[1])
    penalty = np.linalg.norm(weights, axis=1).sum()
    return seconds, float(0.5 * np.mean((y - hidden @ signs) ** 2) + beta * penalty), memory


def tree_speed(size, seconds):
    """Cells per CPU second of a tree with one linear program per node, or that it finds none."""
    X = problems.gaussian(*size)
    with one_core():
        lp_tree_patterns(X[:8])
        start = time.process_time()
        cells = lp_tree_patterns(X, seconds=seconds)[0]
        return len(cells) / (time.process_time() - start) if len(cells) else "none in time"


def settings_table():
    """Who is installed, and how each is set."""
    rows = [
        (name, peer.package, machine.version(peer.package) or "not installed", peer.settings)
        for name, peer in PEERS.items()
    ]
    return Table("Rivals and their settings", ("rival", "package", "version", "settings"), rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="for each (default: 10)")
    seconds = parser.parse_args().seconds
    pin_threads()
    print(settings_table().markdown(), "\n\nOn the smallest problems:\n")
    size, small = sizes.GROUP_LASSO.quick[0], sizes.GENERAL.quick[0]
    for name, peer in PEERS.items():
        if "lasso" in peer.jobs:
            print(f"{name}, group lasso {size}: {race(name, size, goals.GROUP_LASSO_GAP, seconds)}")
        if "cones" in peer.jobs:
            limit = COMPILE + seconds
            print(f"{name}, cones:", limited(peer.package, cones, name, size, 1e-8, seconds=limit))
        if "training" in peer.jobs:
            problem = "diabetes_free" if name == "sklearn MLP" else "s1"
            limit = COMPILE + 10 * seconds
            run = limited(peer.package, train, name, problem, 300, seconds, seconds=limit)
            shown = run if isinstance(run, str) else (run["objective"], run["wall"], run["detail"])
            print(f"{name}, {problem}:", shown)
        if "cells" in peer.jobs:
            speed = limited(peer.package, tree_speed, small, 2.0, seconds=COMPILE)
            print(f"{name}, cells per second of {small}:", speed, flush=True)


if __name__ == "__main__":
    main()
