"""What more threads gain, by wall seconds."""

import numpy as np
from threadpoolctl import threadpool_limits

import charts
import problems
import sizes
from measure import cores, in_new_process, timed
from tables import Claim, Table, digits, seconds_of

TITLE = "Threads"
ASKED = {"cells": 1.7}  # two threads over one


def measure(plan):
    for job in JOBS:
        for n_threads in (t for t in sizes.THREADS if t <= cores()):
            yield in_new_process(_run, job, n_threads, plan.quick, plan.repeats)


def _run(job, n_threads, quick, repeats):
    function, few = JOBS[job](n_threads, quick)
    with threadpool_limits(1):  # of BLAS
        few()
        timing = timed(function, repeats)
    return {"kind": job, "threads": n_threads, "wall": timing.wall, "cpu": timing.cpu}


def _cells(n_threads, quick):
    import pyconvex

    X = problems.gaussian(40 if quick else 60, 6)

    def stream(rows):
        return sum(map(len, pyconvex.iter_patterns(rows, n_threads=n_threads)))

    return lambda: stream(X), lambda: stream(X[:10])


def _gradient(n_threads, quick):
    import pyconvex
    from pyconvex import backends

    X, _, G, _ = problems.group_lasso(5000, 50, 2000 if quick else 10_000, 1.0)
    packed = pyconvex.PatternSet.from_gates(X, G).packed
    kernel, z = backends.get_backend("auto").gate_gradients, np.ones(len(X))
    return lambda: kernel(X, packed, z, n_threads), lambda: kernel(X, packed[:99], z, n_threads)


def _price(n_threads, quick):
    import pyconvex

    X, z = problems.pricing(300 if quick else 1000, 4)
    settings = {"method": "bounded", "tol": 1e-4, "random_state": 0, "n_threads": n_threads}
    few = X[:30], z[:30]
    return lambda: pyconvex.price(X, z, **settings), lambda: pyconvex.price(*few, **settings)


def _certified(n_threads, quick):
    import pyconvex

    X, y, settings, _ = problems.CERTIFIED["300x4" if quick else "300x5"]()
    settings["beta"] = 0.01 * pyconvex.beta_max(X, y, bias="none")
    settings |= {"certificate": "global", "random_state": 0, "n_threads": n_threads}
    few = X[:50], y[:50]
    return lambda: pyconvex.fit(X, y, **settings), lambda: pyconvex.fit(*few, **settings)


def _group_lasso(n_threads, quick):
    import pyconvex

    X, y, G, beta = problems.group_lasso(*((1000, 20, 500) if quick else (2000, 100, 2000)), 0.1)
    patterns = pyconvex.PatternSet.from_gates(X, G)

    def solve(tol):
        return pyconvex.solve_group_lasso(X, y, patterns, beta=beta, tol=tol, n_threads=n_threads)

    return lambda: solve(1e-6), lambda: solve(0.5)


JOBS = {
    "cells": _cells, "gradient": _gradient, "bounded pricing": _price,
    "certified fit": _certified, "group lasso": _group_lasso,
}  # fmt: skip


def _gains(records):
    one = {r["kind"]: r["wall"] for r in records if r["threads"] == 1}
    return [(r, one[r["kind"]] / r["wall"]) for r in records if r["kind"] in one]


def tables(records):
    rows = [
        (r["kind"], r["threads"], seconds_of(r["wall"]), seconds_of(r["cpu"]), digits(gain))
        for r, gain in _gains(records)
    ]
    yield Table("Wall seconds", ("job", "threads", "wall", "CPU", "times one thread"), rows)


def claims(records):
    for r, gain in _gains(records):
        if r["threads"] == 2:
            asked = ASKED.get(r["kind"])
            yield Claim(f"two threads / one: {r['kind']}", str(asked or ""), digits(gain),
                        gain >= asked if asked else None)  # fmt: skip


def draw(records, folder):
    series = {}
    for r, gain in _gains(records):
        series.setdefault(r["kind"], []).append((r["threads"], gain))
    with charts.chart(folder, "threads") as (axis,):
        most = max((r["threads"] for r in records), default=1)
        axis.plot([1, most], [1, most], color="black", lw=0.8, ls=":")
        for name, points in series.items():
            axis.plot(*zip(*points, strict=True), "o-", label=name)
        axis.set(title="Times as fast as one thread", xlabel="threads")
        axis.legend(fontsize=7, frameon=False)
    return ["threads"]
