"""Cells of arrangements."""

from threadpoolctl import threadpool_limits

import charts
import goals
import peers
import problems
import sizes
from measure import cores, in_new_process, timed
from tables import Claim, Table, digits, power_of, ratio_of, seconds_of, size_of

TITLE = "Cells of arrangements"


def measure(plan):
    for size in plan.chosen(sizes.GENERAL):
        tree = peers.limited(
            "highspy", peers.tree_speed, size, min(plan.rival_seconds, 5.0), seconds=peers.COMPILE
        )
        yield in_new_process(_general, size, None, plan.repeats) | {"tree": tree}
    for size in plan.chosen(sizes.LARGE):
        yield in_new_process(_general, size, sizes.LARGE_STOP.get(size), plan.repeats)
    for name in plan.chosen(sizes.DEGENERATE):
        yield in_new_process(_degenerate, name, plan.repeats)


def _general(size, stop, repeats):
    import pyconvex
    from pyconvex import backends

    X, count = problems.gaussian(*size), stop or problems.n_cells(*size)

    def stream(backend, n_threads=1):
        blocks = pyconvex.iter_patterns(X, stop=stop, backend=backend, n_threads=n_threads)
        return sum(map(len, blocks))

    def run(*arguments):
        stream(*arguments)  # numba compiles
        timing = timed(lambda: stream(*arguments), repeats)
        return _checked(timing, count, timing.result)

    record = {"kind": "general", "size": size, "cells": count}
    for name in backends.available():
        if name in ("native", "jit"):
            timing = run(name)
            record[name] = {"wall": timing.wall, "cpu": timing.cpu}
    first = backends.available()[0]
    if cores() > 1:
        record["two"] = record[first]["wall"] / run(first, 2).wall
    if stop is None:
        with threadpool_limits(1):
            draw = timed(
                lambda: pyconvex.sample_patterns(X, sizes.N_GATES, random_state=0, n_threads=1),
                repeats,
            )
        record |= {"share": len(draw.result) / count, "share_seconds": draw.wall}
    return record


def _degenerate(name, repeats):
    import pyconvex
    from pyconvex import backends

    make, count = problems.DEGENERATE[name]
    X, record = make(), {"kind": "degenerate", "size": name, "cells": count}
    for backend in backends.available():
        if backend in ("native", "jit"):
            settings = {"backend": backend, "n_threads": 1}
            pyconvex.enumerate_patterns(X, **settings)  # numba compiles
            timing = timed(lambda s=settings: pyconvex.enumerate_patterns(X, **s), repeats)
            _checked(timing, count, len(timing.result))
            record[backend] = {"wall": timing.wall, "cpu": timing.cpu}
    return record | {"rows": len(X)}


def _checked(timing, count, found):
    if found != count:
        raise RuntimeError(f"{found} cells instead of {count}")
    return timing


def _best(record):
    return record.get("native") or record["jit"]


def _speed(record, backend):
    return record["cells"] / record[backend]["cpu"] if backend in record else None


def _power(value):
    return value if isinstance(value, str) else "" if value is None else power_of(value)


def tables(records):
    rows = []
    for r in (r for r in records if r["kind"] == "general"):
        native, jit, tree = _speed(r, "native"), _speed(r, "jit"), r.get("tree")
        goal, earlier = goals.CELLS.get(tuple(r["size"]), (None, None))
        rows.append((
            size_of(r["size"]), f"{r['cells']:,}", _power(goal), _power(native), _power(jit),
            ratio_of(native / jit) if native and jit else "",
            digits(r["two"]) if "two" in r else "",
            _power(tree), _power(earlier), f"{r['share']:.1%}" if "share" in r else "",
        ))  # fmt: skip
    yield Table(
        "Rows in general position, streamed",
        ("n, rank", "cells", "asked, cells/s", "native, cells/s", "numba, cells/s",
         "native / numba", "two threads / one", "HiGHS tree, cells/s", "the same, earlier",
         f"{sizes.N_GATES:,} Gaussian gates find"),
        rows, "By CPU seconds of one thread; two threads by wall seconds.",
    )  # fmt: skip
    rows = []
    for r in (r for r in records if r["kind"] == "degenerate"):
        goal, published = goals.DEGENERATE[r["size"]]
        both = (r.get("native"), r.get("jit"))
        times = (seconds_of(t["wall"]) if t else "" for t in both)
        cpu = seconds_of(_best(r)["cpu"])
        rows.append((r["size"], r["rows"], f"{r['cells']:,}", f"{goal} s", *times, cpu,
                     f"{published} s"))  # fmt: skip
    yield Table(
        "Rows in special position, all cells at once",
        ("arrangement", "rows", "cells", "asked", "native, wall", "numba, wall", "CPU",
         "ISF, published"),
        rows,
        "ISF: Dussault, Gilbert & Plaquevent-Jourdain, Julia with Gurobi, another machine.",
    )  # fmt: skip


def claims(records):
    for r in records:
        if r["kind"] == "degenerate":
            goal, published = goals.DEGENERATE[r["size"]]
            wall = _best(r)["wall"]
            yield Claim(f"all cells of {r['size']}", f"{goal} s", seconds_of(wall), wall <= goal,
                        f"ISF {published} s (published)", published / wall)  # fmt: skip
        elif tuple(r["size"]) in goals.CELLS:
            yield from _general_claims(r)


def _general_claims(r):
    goal, earlier = goals.CELLS[tuple(r["size"])]
    speed, tree = r["cells"] / _best(r)["cpu"], r.get("tree")
    live = isinstance(tree, float)
    rival = f"HiGHS tree {power_of(tree)}" if live else f"HiGHS tree {earlier} (earlier)"
    what = f"cells/s, n, rank = {size_of(r['size'])}"
    yield Claim(what, power_of(goal), power_of(speed), speed >= goal, rival,
                speed / (tree if live else earlier))  # fmt: skip
    if "two" in r:
        yield Claim(f"{what}: two threads / one", str(goals.TWO_THREADS), digits(r["two"]),
                    r["two"] >= goals.TWO_THREADS)  # fmt: skip
    if "native" in r and "jit" in r:
        slower = r["jit"]["cpu"] / r["native"]["cpu"]
        yield Claim(f"{what}: numba twin, times slower", f"{goals.TWIN:g}", digits(slower),
                    slower <= goals.TWIN)  # fmt: skip


def draw(records, folder):
    groups = {}
    for r in (r for r in records if r["kind"] == "general"):
        tree = r.get("tree")
        groups[size_of(r["size"])] = {
            "pyconvex": _speed(r, "native"), "numba": _speed(r, "jit"),
            "HiGHS tree": tree if isinstance(tree, float) else None,
        }  # fmt: skip
    with charts.chart(folder, "patterns", size=(7.5, 3.6)) as (axis,):
        charts.bars(axis, groups, "Cells per second and core", "cells/s")
    return ["patterns"]
