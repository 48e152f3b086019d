"""Regularisation paths: 100 penalties, every point with its certificate."""

from threadpoolctl import threadpool_limits

import charts
import goals
import peers
import problems
import sizes
from measure import in_new_process, timed
from tables import Claim, Table, seconds_of, size_of

TITLE = "Regularisation paths"
FULL = (1000, 20, 500)  # what the goals are about


def measure(plan):
    for size in plan.chosen(sizes.GROUP_PATH):
        for tol, rival_tol, *_ in goals.PATHS:
            record = in_new_process(_group_lasso, size, tol)
            limit = 2 * plan.rival_seconds + 10.0
            record["adelie"] = peers.limited(
                "adelie", peers.adelie_path, size, rival_tol, seconds=limit
            )
            yield record
    for name in plan.chosen(sizes.PATH):
        yield in_new_process(_network, name)


def _group_lasso(size, tol):
    import pyconvex

    X, y, G, _ = problems.group_lasso(*size, 1.0)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    with threadpool_limits(1):
        pyconvex.group_lasso_path(X, y, patterns, n_betas=2, tol=0.5, n_threads=1)
        timing = timed(lambda: pyconvex.group_lasso_path(X, y, patterns, tol=tol, n_threads=1), 1)
    results = timing.result
    return {
        "kind": "lasso", "size": size, "tol": tol, "wall": timing.wall, "cpu": timing.cpu,
        "gap": max(r.gap for r in results), "points": len(results),
    }  # fmt: skip


def _network(name):
    """A path of networks, beside one fit at its last penalty."""
    import pyconvex

    X, y, settings = problems.TRAINING[name]()
    del settings["beta"]
    settings |= {"tol": 1e-4, "random_state": 0, "n_threads": 1, "time_limit": 60}
    with threadpool_limits(1):
        pyconvex.path(X[:20], y[:20], **settings | {"n_betas": 3})
        timing = timed(lambda: pyconvex.path(X, y, n_betas=30, **settings), 1)
        path = timing.result
        last = float(path.betas[-1])
        one = timed(lambda: pyconvex.fit(X, y, beta=last, **settings), 1)
    return {
        "kind": "network", "size": name, "wall": timing.wall, "cpu": timing.cpu,
        "gap": float(max(path.gaps)), "points": len(path), "one": one.cpu,
        "neurons": int(path.n_neurons[-1]),
    }  # fmt: skip


def _goal(record):
    if tuple(record["size"]) != FULL:
        return None
    return next(g for g in goals.PATHS if g[0] == record["tol"])


def _adelie(record):
    run, goal = record["adelie"], _goal(record)
    text = run if isinstance(run, str) else f"{seconds_of(run[0])}, gap {run[1]:.0e}"
    return text, (f"{goal[3]} s, gap {goal[4]:.0e}" if goal else "")


def tables(records):
    rows = []
    for r in (r for r in records if r["kind"] == "lasso"):
        goal = _goal(r)
        asked = (f"{goal[2]} s" if goal[2] else "adelie's") if goal else ""
        rows.append((size_of(r["size"]), f"{r['tol']:.0e}", asked, seconds_of(r["cpu"]),
                     seconds_of(r["wall"]), r["points"], f"{r['gap']:.0e}",
                     *_adelie(r)))  # fmt: skip
    yield Table(
        "Group lassos, β_max to 0.01 β_max",
        ("n, d, gates", "tolerance", "asked", "pyconvex, CPU", "wall", "points", "largest gap",
         "adelie, CPU", "earlier"), rows,
    )  # fmt: skip
    rows = [
        (r["size"], seconds_of(r["cpu"]), seconds_of(r["wall"]), r["points"], f"{r['gap']:.0e}",
         r["neurons"], seconds_of(r["one"])) for r in records if r["kind"] == "network"
    ]  # fmt: skip
    yield Table(
        "Networks, 30 penalties, tolerance 1e-4",
        ("problem", "path, CPU", "wall", "points", "largest gap", "neurons at the end",
         "one cold fit there, CPU"), rows,
    )  # fmt: skip


def claims(records):
    for r in (r for r in records if r["kind"] == "lasso"):
        goal, run = _goal(r), r["adelie"]
        live = isinstance(run, list)
        theirs = run[0] if live else goal[3] if goal else None
        ratio = theirs / r["cpu"] if theirs else None
        asked = goal[2] if goal else None
        met = None if not goal else r["cpu"] <= (asked or theirs)
        text = "" if not goal else f"{asked} s" if asked else "as fast as adelie"
        rival = f"adelie {_adelie(r)[0]}" + ("" if live or not goal else f" ({goal[3]} s earlier)")
        yield Claim(f"path {size_of(r['size'])}, every point to {r['tol']:.0e}", text,
                    seconds_of(r["cpu"]), met, rival, ratio)  # fmt: skip


def draw(records, folder):
    groups = {}
    for r in (r for r in records if r["kind"] == "lasso"):
        adelie = r["adelie"][0] if isinstance(r["adelie"], list) else None
        name = f"{size_of(r['size'])}, to {r['tol']:.0e}"
        groups[name] = {"pyconvex": r["cpu"], "adelie": adelie}
    with charts.chart(folder, "path") as (axis,):
        charts.bars(axis, groups, "Paths of 100 penalties", "CPU seconds")
    return ["path"]
