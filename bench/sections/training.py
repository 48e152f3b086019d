"""Training the network itself: the job that users have."""

import numpy as np
from threadpoolctl import threadpool_limits

import charts
import goals
import peers
import peers_training
import problems
import sizes
from measure import in_new_process, timed
from tables import Claim, Table, digits, seconds_of

TITLE = "Training networks"
TIME_LIMIT = 120  # seconds of pyconvex


def measure(plan):
    for name in plan.chosen(sizes.TRAINING):
        record = in_new_process(_ours, name, plan.repeats)
        for method in peers_training.TRAINERS:
            runs = len(peers_training.RATES) if method == "Adam" else 1
            arguments = method, name, plan.steps, 2 * plan.rival_seconds
            limit = 30.0 + (runs + 1) * 3 * plan.rival_seconds
            record[method] = peers.limited(
                peers.PEERS[method].package, peers.train, *arguments, seconds=limit
            )
        yield record


def _ours(name, repeats):
    import pyconvex

    X, y, settings = problems.TRAINING[name]()
    control = {"random_state": 0, "n_threads": 1, "time_limit": TIME_LIMIT}
    with threadpool_limits(1):
        pyconvex.fit(X[:20], y[:20], **settings, **control)  # numba compiles
        timing = timed(lambda: pyconvex.fit(X, y, **settings, **control), repeats)
    fit = timing.result
    return {
        "kind": "training", "size": name, "n": X.shape[0], "d": X.shape[1], "wall": timing.wall,
        "cpu": timing.cpu, "gap": fit.gap, "certificate": fit.certificate,
        "objective": float(peers_training.objective(fit.network, X, y, **settings)),
        "dual": fit.dual_objective, "lower_bound": fit.lower_bound,
        "neurons": peers.n_neurons(fit.network), "status": str(fit.status),
        "curve": [*((h.seconds, h.objective) for h in fit.history), (timing.wall, fit.objective)],
    }  # fmt: skip


def until(curve, value):
    """The first seconds at which an objective is down to a value, None if never."""
    return next((seconds for seconds, objective in curve if objective <= value), None)


def _close(run):
    """Seconds until within CLOSE of the objective that a run ends with."""
    return until(run["curve"], run["curve"][-1][1] * (1 + peers_training.CLOSE))


def _methods(record):
    return {m: record[m] for m in peers_training.TRAINERS if isinstance(record.get(m), dict)}


def tables(records):
    rows = []
    for r in records:
        rows.append((
            r["size"], f"{r['n']:,} x {r['d']}", "pyconvex", f"{r['objective']:.8f}",
            f"{r['gap']:.0e} ({r['certificate']})", r["neurons"], seconds_of(r["wall"]),
            seconds_of(r["cpu"]), seconds_of(_close(r)), "",
        ))  # fmt: skip
        for method in peers_training.TRAINERS:
            rows.append((r["size"], "", *_rival_row(method, r[method], r["dual"])))
    yield Table(
        "Networks beside those of rivals",
        ("problem", "n x d", "method", "objective", "gap", "neurons", "wall", "CPU",
         "wall to 1e-3 of its end", "run"),
        rows,
        "Objectives from the weights, by one formula. Gaps of rivals are over the dual objective "
        "of pyconvex, an estimate where its certificate is local. A neuron counts above 1e-6 of "
        "the largest. pyscnn starts anew with ever more iterations until its time would be over. "
        "Earlier, with minutes: " + "; ".join(
            f"{name} {value} in {s} s, its program's optimum {optimum}"
            for name, (value, s, optimum) in goals.PYSCNN.items()
        ) + ".",
    )  # fmt: skip


def _rival_row(method, run, dual):
    if not isinstance(run, dict):
        return method, run, *[""] * 6
    gap = f"{1 - dual / run['objective']:.0e}"
    close = seconds_of(_close(run)) if len(run["curve"]) > 5 else ""
    return (
        method, f"{run['objective']:.8f}", gap, run["neurons"], seconds_of(run["wall"]),
        seconds_of(run["cpu"]), close, run["detail"],
    )  # fmt: skip


def claims(records):
    for r in records:
        yield Claim(f"{r['size']}: gap", f"{goals.TRAINING_GAP:.0e}", f"{r['gap']:.0e}",
                    r["gap"] <= goals.TRAINING_GAP)  # fmt: skip
        yield from _beside_adam(r)


def _beside_adam(r):
    adam, earlier = r["Adam"], goals.TRAINING[r["size"]][1]
    if isinstance(adam, dict):
        value, close, note = adam["objective"], _close(adam), ""
    elif earlier:
        value, close, note = earlier, None, " (earlier)"
    else:
        return
    yield Claim(f"{r['size']}: objective", "at most Adam's", f"{r['objective']:.8f}",
                r["objective"] <= value * (1 + 1e-9), f"Adam {value:.8f}{note}")  # fmt: skip
    if close:
        ours = until(r["curve"], value * (1 + peers_training.CLOSE))
        shown = seconds_of(ours) if ours else "not reached"
        yield Claim(f"{r['size']}: wall to 1e-3 of Adam's end", "as fast as Adam", shown,
                    bool(ours and ours <= close), f"Adam {seconds_of(close)}",
                    close / ours if ours else None)  # fmt: skip
        yield Claim(f"{r['size']}: wall to the gap asked", "before Adam is within 1e-3",
                    seconds_of(r["wall"]), r["wall"] <= close, f"Adam {seconds_of(close)}",
                    close / r["wall"])  # fmt: skip
        ratio = adam["neurons"] / max(r["neurons"], 1)
        yield Claim(f"{r['size']}: neurons", f"{goals.FEWER_NEURONS:g} times fewer than Adam's",
                    str(r["neurons"]), ratio >= goals.FEWER_NEURONS,
                    f"Adam {adam['neurons']} ({digits(ratio)} times)")  # fmt: skip


def draw(records, folder):
    rows = -(-len(records) // 2) or 1
    with charts.chart(folder, "training", rows, min(2, len(records)) or 1) as axes:
        for axis, r in zip(axes, records, strict=False):
            runs = {"pyconvex": r} | _methods(r)
            best = min(run["objective"] for run in runs.values())
            series = {
                name: [(s, v / best - 1) for s, v in run["curve"]] for name, run in runs.items()
            }
            every = [v for points in series.values() for _, v in points if np.isfinite(v)]
            charts.curves(axis, series, r["size"], "wall seconds", "objective / best - 1", 1e-8)
            axis.set_ylim(0.5e-8, min(max(every, default=1.0), 10.0) * 2)
    return ["training"]
