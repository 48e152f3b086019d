"""Scaling laws: measured exponents beside those of the theory."""

import numpy as np
from threadpoolctl import threadpool_limits

import charts
import problems
import sizes
from exponents import exponent
from measure import in_new_process, timed
from tables import Claim, Table, seconds_of

TITLE = "Scaling laws"
# What the theory says of each law's exponent, and why.
THEORY = {
    "fit, n": ("1 at a fixed number of rounds", "every pass over the rows costs n d"),
    "fit, d": ("1 to 2", "passes cost n d, joint Newton steps (neurons x d)² n"),
    "gated, P": ("1", "gradients of all gates; only active ones cost more"),
    "gradient, n": ("1", "n d P additions, a quarter of them by tables of four rows"),
    "gradient, d": ("1", "the same"),
    "gradient, P": ("1", "the same; the tables do not depend on P"),
}
AXES = {"n": "rows", "d": "features", "P": "gates", "cells": "rows"}


def measure(plan):
    for rank, these in sizes.SCALING_CELLS.items():
        for n in plan.chosen(these):
            yield in_new_process(_cells, n, rank, plan.repeats)
    for law, these, run in (
        ("fit, n", sizes.SCALING_FIT_N, lambda n: _fit_size(n, 10)),
        ("fit, d", sizes.SCALING_FIT_D, lambda d: _fit_size(500, d)),
        ("gated, P", sizes.SCALING_GATED_P, lambda P: (_gated, 1000, 20, P)),
        ("gradient, n", sizes.SCALING_GRADIENT_N, lambda n: (_gradient, n, 50, 1000)),
        ("gradient, d", sizes.SCALING_GRADIENT_D, lambda d: (_gradient, 4000, d, 1000)),
        ("gradient, P", sizes.SCALING_GRADIENT_P, lambda P: (_gradient, 4000, 50, P)),
    ):
        for size in plan.chosen(these):
            record = in_new_process(*run(size), plan.repeats)
            yield {"kind": law, "size": size} | record


def _fit_size(n, d):
    return _fit, n, d


def _cells(n, rank, repeats):
    import pyconvex

    X = problems.gaussian(n, rank)

    def stream(rows):
        return sum(map(len, pyconvex.iter_patterns(rows, n_threads=1)))

    stream(X[:20])
    timing = timed(lambda: stream(X), repeats)
    count = problems.n_cells(n, rank)
    if timing.result != count:
        raise RuntimeError(f"{timing.result} cells instead of {count}")
    return {"kind": f"cells, rank {rank}", "size": n, "cpu": timing.cpu, "wall": timing.wall,
            "cells": count}  # fmt: skip


def _fit(n, d, repeats):
    """A teacher of five neurons to a local gap of 1e-3, at about a tenth of beta_max."""
    import pyconvex

    X, y, _, beta = problems.group_lasso(n, d, 200, 0.1)
    settings = {"bias": "none", "certificate": "local", "tol": 1e-3, "random_state": 0}
    settings |= {"beta": beta, "n_threads": 1, "time_limit": 60}
    with threadpool_limits(1):
        pyconvex.fit(X[:20], y[:20], **settings)
        timing = timed(lambda: pyconvex.fit(X, y, **settings), repeats)
    fit = timing.result
    return {"cpu": timing.cpu, "wall": timing.wall, "gap": fit.gap, "rounds": fit.n_iter,
            "neurons": fit.network.n_neurons}  # fmt: skip


def _gated(n, d, n_gates, repeats):
    import pyconvex

    X, y, G, beta = problems.group_lasso(n, d, n_gates, 0.1)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    settings = {"beta": beta, "tol": 1e-6, "n_threads": 1}
    with threadpool_limits(1):
        pyconvex.solve_group_lasso(X, y, patterns, **settings | {"tol": 0.5})
        timing = timed(lambda: pyconvex.solve_group_lasso(X, y, patterns, **settings), repeats)
    result = timing.result
    return {"cpu": timing.cpu, "wall": timing.wall, "gap": result.gap, "active": len(result.active)}


def _gradient(n, d, n_gates, repeats):
    import pyconvex
    from pyconvex import backends

    X, _, G, _ = problems.group_lasso(n, d, n_gates, 1.0)
    packed = pyconvex.PatternSet.from_gates(X, G).packed
    kernel, z = backends.get_backend("auto").gate_gradients, np.ones(n)
    kernel(X, packed[:100], z, 1)
    timing = timed(lambda: kernel(X, packed, z, 1), max(repeats, 5))
    return {"cpu": timing.cpu, "wall": timing.wall}


def _laws(records):
    """Exponent and error of each law: seconds in the size, for cells also the exact count."""
    laws = {}
    for kind in dict.fromkeys(r["kind"] for r in records):
        some = [r for r in records if r["kind"] == kind]
        points = [r["size"] for r in some], [r["cpu"] for r in some]
        laws[kind] = (*points, *exponent(*points), some)
    return laws


def _theory(kind, some):
    if not kind.startswith("cells"):
        return THEORY[kind]
    rank = int(kind.rpartition(" ")[2])
    exact = exponent([r["size"] for r in some], [r["cells"] for r in some])[0]
    return (
        f"{rank - 1} to {rank}",
        f"2 Σ C(n-1, k) cells, k < {rank}: {exact:.2f} at these sizes, and n signs each",
    )


def tables(records):
    rows = []
    for kind, (ns, seconds, slope, error, some) in _laws(records).items():
        shown = f"{slope:.2f} ± {error:.2f}" if np.isfinite(error) else f"{slope:.2f}"
        span = f"{seconds_of(seconds[0])} to {seconds_of(seconds[-1])}"
        rows.append((kind, f"{ns[0]:,} to {ns[-1]:,}", span, shown, *_theory(kind, some)))
    yield Table(
        "Exponents of CPU seconds, by least squares through the logarithms",
        ("law", "sizes", "seconds", "exponent", "theory", "why"), rows,
        "A fixed cost of about half a millisecond per call flattens the smallest sizes.",
    )  # fmt: skip
    names = {"rounds": "rounds", "neurons": "neurons", "active": "active", "gap": "gap"}
    rows = [
        (r["kind"], r["size"], seconds_of(r["cpu"]), seconds_of(r["wall"]),
         *(f"{r[k]:.0e}" if k == "gap" and k in r else r.get(k, "") for k in names))
        for r in records
    ]  # fmt: skip
    yield Table("Every point", ("law", "size", "CPU", "wall", *names.values()), rows)


def claims(records):
    for kind, (_, _, slope, _, some) in _laws(records).items():
        yield Claim(f"exponent: {kind}", _theory(kind, some)[0], f"{slope:.2f}", None)


def draw(records, folder):
    laws = _laws(records)
    groups = {
        "cells": [k for k in laws if k.startswith("cells")], "n": ["fit, n", "gradient, n"],
        "d": ["fit, d", "gradient, d"], "P": ["gated, P", "gradient, P"],
    }  # fmt: skip
    with charts.chart(folder, "scaling", 2, 2) as axes:
        for axis, (name, kinds) in zip(axes, groups.items(), strict=True):
            series = {k: laws[k][:3] for k in kinds if k in laws and len(laws[k][0]) > 1}
            title = "cells, by rank" if name == "cells" else f"in the number of {AXES[name]}"
            charts.laws(axis, series, title, AXES[name])
    return ["scaling"]
