"""Proofs of global optimality: no network of any width is better."""

import numpy as np
from threadpoolctl import threadpool_limits

import charts
import goals
import peers
import peers_training
import problems
import sizes
from measure import in_new_process, peak, timed
from tables import Claim, Table, bytes_of, seconds_of

TITLE = "Certified global optima"
CLARABEL_CELLS = {True: 600, False: 4000}  # by --quick: full programs that it can end in time


def measure(plan):
    for name in plan.chosen(sizes.CERTIFIED):
        facts = in_new_process(describe, name)
        record = facts | in_new_process(_ours, name, facts["beta"], plan.repeats)
        if facts["cells"] <= CLARABEL_CELLS[plan.quick]:
            limit = 2 * plan.rival_seconds + 10
            record["clarabel"] = peers.limited(
                "clarabel", peers.full_program, name, facts["beta"], seconds=limit
            )
        yield record


def describe(name):
    """Rows, rank with the ones column, beta and the largest number of cells: off the clock."""
    import pyconvex

    X, y, settings, _ = problems.CERTIFIED[name]()
    ones = [np.ones(len(X))] * (settings["bias"] != "none")
    rank = int(np.linalg.matrix_rank(np.column_stack([X, *ones])))
    beta = settings.get("beta")
    if beta is None:
        beta = 0.01 * pyconvex.beta_max(X, y, bias=settings["bias"], n_threads=1)
    cells = problems.n_cells(len(X), rank)
    return {"n": len(X), "rank": rank, "beta": beta, "cells": cells}


def _ours(name, beta, repeats):
    import pyconvex

    X, y, settings, _ = problems.CERTIFIED[name]()
    settings |= {"beta": beta, "certificate": "global", "n_threads": 1, "random_state": 0}
    with threadpool_limits(1):
        few = settings | {"tol": 1e-2, "time_limit": 10}
        pyconvex.fit(X[:100], y[:100], **few)  # numba compiles
        timing = timed(lambda: pyconvex.fit(X, y, **settings), repeats)
    fit = timing.result
    value = peers_training.objective(fit.network, X, y, beta, settings["bias"])
    return {
        "kind": "certified", "size": name, "wall": timing.wall, "cpu": timing.cpu,
        "tol": settings["tol"], "gap": fit.gap, "objective": float(value),
        "lower_bound": fit.lower_bound, "certificate": fit.certificate, "status": str(fit.status),
        "neurons": peers.n_neurons(fit.network), "memory": peak(),
    }  # fmt: skip


def _met(r):
    proved = r["certificate"] == "global" and r["gap"] <= r["tol"]
    return proved and r["wall"] <= goals.CERTIFIED[r["size"]][0]


def tables(records):
    rows = []
    for r in records:
        goal, optimum = goals.CERTIFIED[r["size"]]
        run = r.get("clarabel", "not run")
        text = run if isinstance(run, str) else f"{seconds_of(run[0])}, {run[1]:.10f}"
        rows.append((
            r["size"], f"{r['n']:,}", r["rank"], f"{r['cells']:,}", f"{r['objective']:.10f}",
            f"{optimum:.9f}" if optimum else "", f"{r['lower_bound']:.10f}", f"{r['tol']:.0e}",
            f"{r['gap']:.0e} ({r['certificate']})", r["neurons"], f"{goal} s",
            seconds_of(r["wall"]), seconds_of(r["cpu"]), bytes_of(r["memory"]), text,
        ))  # fmt: skip
    yield Table(
        "Networks with a proof",
        ("problem", "n", "rank", "cells, at most", "objective", "known optimum", "lower bound",
         "tolerance", "gap", "neurons", "asked", "wall", "CPU", "peak",
         "clarabel on all cells: CPU, objective"),
        rows,
        "beta_max is off the clock. Clarabel solves the program over all cells, as far as they are "
        "few; nobody else proves the others.",
    )  # fmt: skip


def claims(records):
    for r in records:
        goal = goals.CERTIFIED[r["size"]][0]
        run = r.get("clarabel")
        live = isinstance(run, list)
        rival = f"clarabel {seconds_of(run[0])}" if live else "nobody"
        yield Claim(f"{r['size']}: proof to {r['tol']:.0e}", f"{goal} s", seconds_of(r["wall"]),
                    _met(r), rival, run[0] / r["cpu"] if live else None)  # fmt: skip


def draw(records, folder):
    groups = {
        r["size"]: {"pyconvex": r["wall"], "asked": goals.CERTIFIED[r["size"]][0]} for r in records
    }
    with charts.chart(folder, "certified", size=(6.0, 3.6)) as (axis,):
        charts.bars(axis, groups, "Seconds to a proof of global optimality", "wall seconds")
    return ["certified"]
