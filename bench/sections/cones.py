"""The program of true ReLU networks over fixed patterns: a cone for every neuron."""

from threadpoolctl import threadpool_limits

import charts
import goals
import peers
import problems
import sizes
from measure import in_new_process, timed
from tables import Claim, Table, seconds_of, size_of

TITLE = "Cones: ReLU networks on fixed patterns"
ADELIE_TOLERANCES = (1e-8, 1e-6)  # tighter ones leave larger gaps or abort
CLARABEL = 200  # rows up to which it ends within a minute


def measure(plan):
    for size in plan.chosen(sizes.CONES):
        record = in_new_process(_ours, size, plan.repeats)
        limit = plan.rival_seconds + 5.0  # for imports
        for tol in ADELIE_TOLERANCES:
            record["adelie"] = peers.limited(
                "adelie", peers.cones, "adelie", size, tol, seconds=limit
            )
            if not isinstance(record["adelie"], str):
                break
        if size[0] <= CLARABEL:
            record["clarabel"] = peers.limited(
                "clarabel", peers.cones, "clarabel", size, 1e-9, seconds=limit
            )
        yield record


def _ours(size, repeats):
    import pyconvex

    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)

    def solve(tol):
        settings = {"beta": beta, "cones": True, "tol": tol, "n_threads": 1}
        return pyconvex.solve_group_lasso(X, y, patterns, **settings)

    with threadpool_limits(1):
        solve(0.5)  # numba compiles
        timing = timed(lambda: solve(goals.CONES_GAP), repeats)
    result = timing.result
    return {
        "kind": "cones", "size": size, "wall": timing.wall, "cpu": timing.cpu,
        "objective": result.objective, "gap": result.gap, "dual": result.dual_objective,
        "active": len(result.active),
        "network": float(problems.cone_network_objective(X, y, beta, result)),
    }  # fmt: skip


def _rival(run, dual):
    """Seconds, gap of its network over our dual objective, and its violation of the cones."""
    if run is None or isinstance(run, str):
        return run or "not run", "", ""
    seconds, _, violation, network = run
    return seconds_of(seconds), f"{1 - dual / network:.0e}", f"{violation:.0e}"


def tables(records):
    rows = []
    for r in records:
        value, seconds = goals.CONES[tuple(r["size"])]
        same = abs(r["network"] / r["objective"] - 1)
        rows.append((
            size_of(r["size"]), f"{r['objective']:.10g}", f"{r['gap']:.0e}", f"{same:.0e}",
            r["active"], seconds_of(r["cpu"]), seconds_of(r["wall"]),
            *_rival(r["adelie"], r["dual"]), *_rival(r.get("clarabel"), r["dual"]), value,
            f"{seconds} s",
        ))  # fmt: skip
    yield Table(
        f"Seconds to a gap of {goals.CONES_GAP:.0e}",
        ("n, d, gates, β / β_max", "objective", "gap", "network's objective differs by", "active",
         "pyconvex, CPU", "wall", "adelie, CPU", "gap", "violation", "clarabel, CPU", "gap",
         "violation", "adelie's objective, earlier", "seconds"),
        rows,
        "Gaps of rivals are those of the ReLU network that their weights make, over the dual "
        "objective proved by pyconvex; violations are cosines of angles between rows and weights.",
    )  # fmt: skip


def claims(records):
    for r in records:
        what = f"cones {size_of(r['size'])}"
        earlier = goals.CONES[tuple(r["size"])][1]
        live = isinstance(r["adelie"], list)
        seconds = r["adelie"][0] if live else earlier
        rival = f"adelie {_rival(r['adelie'], r['dual'])[0]}"
        rival += f", gap {_rival(r['adelie'], r['dual'])[1]}" if live else f" ({earlier} s earlier)"
        ratio = seconds / r["cpu"]
        yield Claim(f"{what} to 1e-6", f"{goals.CONES_FASTER:g} times as fast as adelie",
                    seconds_of(r["cpu"]), ratio >= goals.CONES_FASTER, rival, ratio)  # fmt: skip
        same = abs(r["network"] / r["objective"] - 1)
        yield Claim(f"{what}: the network's objective", f"to {goals.CONES_SAME:.0e}",
                    f"{same:.0e}", same <= goals.CONES_SAME)  # fmt: skip


def draw(records, folder):
    groups = {
        size_of(r["size"]): {
            "pyconvex": r["cpu"],
            **{n: r[n][0] for n in ("adelie", "clarabel") if isinstance(r.get(n), list)},
        } for r in records
    }  # fmt: skip
    with charts.chart(folder, "cones") as (axis,):
        charts.bars(axis, groups, "Cones: seconds to a gap of 1e-6 (rivals: as near as they get)",
                    "CPU seconds")  # fmt: skip
    return ["cones"]
