"""Peak memory, each in a process of its own."""

import contextlib

from threadpoolctl import threadpool_limits

import charts
import goals
import peers
import peers_group_lasso
import problems
import sizes
from measure import Worker, in_new_process, peak
from sections.certified import describe
from tables import Claim, Table, bytes_of, size_of

TITLE = "Memory"
RIVALS = ("adelie", "skglm", "celer")
LOOSE = 1e-2  # a rival's own tolerance: its memory does not depend on it


def measure(plan):
    for size in plan.chosen(sizes.STREAM):
        yield in_new_process(_stream, size)
    for size in plan.chosen(sizes.MEMORY_LASSO):
        record = in_new_process(_lasso, size)
        for name in RIVALS:
            record[name] = _peak_of_rival(name, size, plan.rival_seconds)
        yield record
    for name in plan.chosen(sizes.MEMORY_FIT):
        beta = in_new_process(describe, name)["beta"]
        yield in_new_process(_fit, name, beta)


def _stream(size):
    import pyconvex

    X = problems.gaussian(*size)
    sum(map(len, pyconvex.iter_patterns(X[:10], n_threads=1)))  # loads all modules
    before = peak()
    count = sum(map(len, pyconvex.iter_patterns(X, n_threads=1)))
    listed = count * 8 * -(-size[0] // 64)
    return {"kind": "stream", "size": size, "cells": count, "before": before, "after": peak(),
            "listed": listed}  # fmt: skip


def _lasso(size):
    import pyconvex

    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    few = pyconvex.PatternSet.from_gates(X[:60], G[:, :5])
    pyconvex.solve_group_lasso(X[:60], y[:60], few, beta=beta, n_threads=1)
    before = peak()
    with threadpool_limits(1):
        result = pyconvex.solve_group_lasso(X, y, patterns, beta=beta, tol=1e-8, n_threads=1)
    expanded = 8 * size[0] * size[1] * size[2]
    return {"kind": "lasso", "size": size, "before": before, "after": peak(), "gap": result.gap,
            "expanded": expanded}  # fmt: skip


def _peak_of_rival(name, size, seconds):
    """Peak bytes before and after a solve, or when its time is over: the design exists by then."""
    if peers.machine.version(peers.PEERS[name].package) is None:
        return "not installed"
    with Worker() as worker:
        before = worker.run(_warm_up, name, seconds=peers.COMPILE)
        with contextlib.suppress(TimeoutError):
            worker.run(_rival, name, size, seconds=seconds)
        return before, peak(worker.pid)


def _warm_up(name):
    X, y, G, beta = problems.group_lasso(60, 3, 5, 0.1)
    peers_group_lasso.SOLVERS[name](X, y, G, beta, LOOSE)
    return peak()


def _rival(name, size):
    X, y, G, beta = problems.group_lasso(*size)
    with threadpool_limits(1):
        peers_group_lasso.SOLVERS[name](X, y, G, beta, LOOSE)


def _fit(name, beta):
    import pyconvex

    X, y, settings, _ = problems.CERTIFIED[name]()
    settings |= {"certificate": "global", "n_threads": 1, "random_state": 0}
    pyconvex.fit(X[:100], y[:100], **settings | {"tol": 0.1, "beta": 0.1})
    before = peak()
    fit = pyconvex.fit(X, y, beta=beta, **settings)
    return {"kind": "fit", "size": name, "before": before, "after": peak(), "gap": fit.gap,
            "certificate": fit.certificate}  # fmt: skip


NAMES = {"stream": "cells streamed", "lasso": "group lasso to 1e-8", "fit": "certified fit"}


def tables(records):
    rows = []
    for r in records:
        other = ""
        if r["kind"] == "stream":
            other = f"all patterns {bytes_of(r['listed'])}"
        elif r["kind"] == "lasso":
            other = f"expanded design {bytes_of(r['expanded'])}"
        runs = (r.get(name, "") for name in RIVALS)
        rivals = (run if isinstance(run, str) else bytes_of(run[1]) for run in runs)
        rows.append((NAMES[r["kind"]], size_of(r["size"]), bytes_of(r["before"]),
                     bytes_of(r["after"]), other, *rivals))  # fmt: skip
    yield Table(
        "Peak memory of a process, Python and libraries included",
        ("job", "size", "before", "peak", "for comparison", *RIVALS), rows,
        f"Rivals run to a loose tolerance of their own ({LOOSE:g}) or until their time is over.",
    )  # fmt: skip


def claims(records):
    for r in records:
        what = f"memory, {NAMES[r['kind']]} {size_of(r['size'])}"
        if r["kind"] == "lasso":
            runs = {n: r[n][1] for n in RIVALS if isinstance(r[n], list)}
            best = min(runs, key=runs.get, default=None)
            rival = f"{best} {bytes_of(runs[best])}" if best else "none installed"
            ratio = runs[best] / r["after"] if best else None
            yield Claim(what, "", bytes_of(r["after"]), None, rival, ratio)
        elif r["kind"] == "fit":
            limit = goals.CERTIFIED_MEMORY.get(r["size"])
            met = None if limit is None else r["after"] <= limit
            yield Claim(what, bytes_of(limit), bytes_of(r["after"]), met)


def draw(records, folder):
    groups = {}
    for r in records:
        values = {"pyconvex": r["after"] / 1e6}
        values |= {n: r[n][1] / 1e6 for n in RIVALS if isinstance(r.get(n), list)}
        groups[f"{NAMES[r['kind']]} {size_of(r['size'])}"] = values
    with charts.chart(folder, "memory", size=(5.5, 3.8)) as (axis,):
        charts.bars(axis, groups, "Peak memory", "MB")
    return ["memory"]
