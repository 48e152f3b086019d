"""Group lassos over fixed gates, to a certified gap."""

import numpy as np
from threadpoolctl import threadpool_limits

import charts
import goals
import peers
import problems
import sizes
from measure import in_new_process, peak, timed
from tables import Claim, Table, bytes_of, digits, seconds_of, size_of

TITLE = "Group lassos over fixed gates"
RIVALS = ("adelie", "skglm", "celer", "pyscnn", "clarabel")
SMALL = {"pyscnn": 1000, "clarabel": 200}  # rows up to which a rival has a chance within minutes


def measure(plan):
    for size in plan.chosen(sizes.GROUP_LASSO):
        record = in_new_process(_ours, size, plan.repeats)
        for name in RIVALS:
            if size[0] <= SMALL.get(name, np.inf):
                run = peers.race(name, size, goals.GROUP_LASSO_GAP, plan.rival_seconds)
                record[name] = run._asdict() | {"text": str(run)}
        yield record
    for size in plan.chosen(sizes.MANY_GATES):
        yield in_new_process(_many_gates, size)
    for size in plan.chosen(sizes.GRADIENT):
        yield in_new_process(_gradient, size, plan.repeats)


def _ours(size, repeats):
    import pyconvex

    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)

    def solve(tol):
        return pyconvex.solve_group_lasso(X, y, patterns, beta=beta, tol=tol, n_threads=1)

    with threadpool_limits(1):
        solve(0.5)  # numba compiles
        timing = timed(lambda: solve(goals.GROUP_LASSO_GAP), repeats)
    result, optimum = timing.result, goals.GROUP_LASSO[size][1]
    if result.gap > goals.GROUP_LASSO_GAP or abs(result.objective / optimum - 1) > 1e-7:
        raise RuntimeError(f"{size}: {result.status}, gap {result.gap:.1e}, {result.objective}")
    curve = [(h.seconds, 1 - h.dual_objective / h.objective) for h in result.history]
    return {
        "kind": "solve", "size": size, "wall": timing.wall, "cpu": timing.cpu,
        "gap": result.gap, "objective": result.objective, "active": len(result.active),
        "memory": peak(), "curve": [*curve, (timing.wall, result.gap)],
    }  # fmt: skip


def _many_gates(size):
    import pyconvex
    from pyconvex import backends

    n, d, n_gates, fraction = size
    X, y, _, _ = problems.group_lasso(n, d, 10, 1.0)
    G = np.random.default_rng(1).standard_normal((d, n_gates))
    patterns = pyconvex.PatternSet.from_gates(X, G)
    gradients = backends.get_backend("auto").gate_gradients
    beta = fraction * np.linalg.norm(gradients(X, patterns.packed, y / n, 1), axis=1).max()
    settings = {"beta": beta, "tol": 1e-6, "n_threads": 1}
    with threadpool_limits(1):
        timing = timed(lambda: pyconvex.solve_group_lasso(X, y, patterns, **settings), 1)
    return {
        "kind": "many", "size": size, "wall": timing.wall, "cpu": timing.cpu,
        "gap": timing.result.gap, "active": len(timing.result.active), "memory": peak(),
    }  # fmt: skip


def _gradient(size, repeats):
    import pyconvex
    from pyconvex import backends

    X, _, G, _ = problems.group_lasso(*size, 1.0)
    z = np.random.default_rng(0).standard_normal(len(X))
    packed = pyconvex.PatternSet.from_gates(X, G).packed
    masks = (X @ G >= 0.0).T.astype(float)
    record = {"kind": "gradient", "size": size}
    with threadpool_limits(1):
        record["blas"] = timed(lambda: masks @ (z[:, np.newaxis] * X), repeats)[1:3]
        for name in backends.available():
            if name in ("native", "jit"):
                kernel = backends.get_backend(name).gate_gradients
                for n_threads in (1, 2):
                    kernel(X, packed[:600], z, n_threads)
                    timing = timed(lambda k=kernel, t=n_threads: k(X, packed, z, t), repeats)
                    record[f"{name}{n_threads}"] = timing[1:3]
    with_adelie = peers.machine.version("adelie") is not None
    return record | ({"adelie": adelie_gradient(X, G, z, repeats)} if with_adelie else {})


def adelie_gradient(X, G, z, repeats):
    """Wall and CPU seconds of adelie's product with all masked designs, None where it fails."""
    try:
        import adelie as ad

        masks = np.asfortranarray(X @ G >= 0.0)
        design = ad.matrix.convex_relu(np.asfortranarray(X), masks, gated=True, n_threads=1)
        ones, out = np.ones(len(X)), np.empty(X.shape[1] * G.shape[1])
        return timed(lambda: design.mul(z, ones, out), repeats)[1:3]
    except Exception:  # another version of its interface
        return None


def _finished(record):
    """CPU seconds of the rivals that reached the gap."""
    runs = {name: record[name] for name in RIVALS if name in record}
    return {name: run["seconds"] for name, run in runs.items() if run["status"] == "done"}


def tables(records):
    rows = []
    for r in (r for r in records if r["kind"] == "solve"):
        goal, _, earlier = goals.GROUP_LASSO[tuple(r["size"])]
        rivals = (r[name]["text"] if name in r else "not run" for name in RIVALS)
        known = ", ".join("-" if e is None else digits(e) for e in earlier)
        rows.append((
            size_of(r["size"]), f"{r['objective']:.10g}", r["active"], f"{r['gap']:.0e}",
            f"{goal} s", seconds_of(r["cpu"]), seconds_of(r["wall"]), bytes_of(r["memory"]),
            *rivals, known,
        ))  # fmt: skip
    yield Table(
        f"Seconds to a gap of {goals.GROUP_LASSO_GAP:.0e}",
        ("n, d, gates, β / β_max", "objective", "active", "gap", "asked", "pyconvex, CPU", "wall",
         "peak", *RIVALS, "adelie, skglm, celer earlier, s"),
        rows,
        "CPU seconds of one thread unless said; in brackets the gap that a rival reached in its "
        "time where that is larger, > where it returned nothing. Peaks are of a process of its "
        "own, libraries included.",
    )  # fmt: skip
    rows = [
        (size_of(r["size"]), f"{r['gap']:.0e}", r["active"], seconds_of(r["cpu"]),
         bytes_of(r["memory"])) for r in records if r["kind"] == "many"
    ]  # fmt: skip
    if rows:
        columns = ("n, d, gates, β / β_max", "gap", "active", "CPU", "peak")
        yield Table("Many gates", columns, rows)
    rows = []
    for r in (r for r in records if r["kind"] == "gradient"):
        names = ("native1", "native2", "jit1", "jit2", "blas", "adelie")
        walls = (seconds_of(r[n][0]) if r.get(n) else "not run" for n in names)
        goal = goals.GRADIENT.get(tuple(r["size"]))
        rows.append((size_of(r["size"]), f"{goal[0] * 1e3:g} ms" if goal else "", *walls))
    columns = ("n, d, gates", "asked", "native", "two threads", "numba", "two threads",
               "BLAS, masks in doubles", "adelie")  # fmt: skip
    yield Table("Gradients XᵀD_g z of all gates, wall seconds", columns, rows)


def claims(records):
    for r in records:
        if r["kind"] == "solve":
            goal = goals.GROUP_LASSO[tuple(r["size"])][0]
            rival, ratio = _fastest(r)
            yield Claim(f"group lasso {size_of(r['size'])} to 1e-8", f"{goal} s",
                        seconds_of(r["cpu"]), r["cpu"] <= goal, rival, ratio)  # fmt: skip
        elif r["kind"] == "gradient":
            ours = min(r[name][0] for name in ("native1", "jit1") if name in r)
            goal = goals.GRADIENT.get(tuple(r["size"]), (None,))[0]
            yield Claim(f"all gradients {size_of(r['size'])}", f"{goal} s" if goal else "",
                        seconds_of(ours), ours <= goal if goal else None,
                        f"BLAS {seconds_of(r['blas'][0])}", r["blas"][0] / ours)  # fmt: skip


def _fastest(r):
    done = _finished(r)
    if done:
        name = min(done, key=done.get)
        return f"{name} {seconds_of(done[name])}", done[name] / r["cpu"]
    ran = {name: r[name] for name in RIVALS if name in r}
    reached = [(run["gap"], name) for name, run in ran.items() if run["status"] == "stopped"]
    if reached:
        gap, name = min(reached)
        return f"{name} {seconds_of(ran[name]['seconds'])}, gap {gap:.0e}", None
    earlier = [e for e in goals.GROUP_LASSO[tuple(r["size"])][2] if e]
    if earlier:
        return f"{seconds_of(min(earlier))} (earlier)", min(earlier) / r["cpu"]
    return "none gets there", None


def draw(records, folder):
    solved = [r for r in records if r["kind"] == "solve"]
    rows = -(-len(solved) // 2) or 1
    with charts.chart(folder, "group_lasso", rows, min(2, len(solved)) or 1) as axes:
        for axis, r in zip(axes, solved, strict=False):
            series = {"pyconvex": r["curve"]}
            series |= {name: r[name]["curve"] for name in RIVALS if name in r}
            title = f"n, d, gates, β / β_max = {size_of(r['size'])}"
            charts.curves(axis, series, title, "seconds", "relative gap", floor=1e-12)
    return ["group_lasso"]
