"""Markdown tables of group lassos over fixed gates: python bench/report_group_lasso.py.

One thread unless said. Seconds are CPU seconds, medians of --repeats runs after one that does not
count, of one run where that takes more than ten seconds; peak memory is that of a process of its
own, Python and its libraries included. Rivals run in processes of their own with ever smaller
tolerances until their weights prove the gap asked for, or --rival-seconds are over: "reached" is
the best gap that they got to. Gaps of rivals are computed from their weights by our formula.
"""

import argparse
import importlib
import multiprocessing
import time
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

import pyconvex
from pyconvex import backends

import group_lasso_peers
import problems
from report import NOT_INSTALLED, SLOW, in_new_process, peak, print_head, print_row, timed

# (n, d, gates, fraction of beta_max): seconds to beat.
GOALS = {
    (200, 10, 100, 0.1): 0.01, (200, 10, 100, 0.01): 0.03, (1000, 20, 500, 0.1): 0.15,
    (1000, 20, 500, 0.01): 0.5, (5000, 50, 1000, 0.1): 3, (5000, 50, 1000, 0.01): 20,
    (2000, 100, 2000, 0.1): 2, (2000, 100, 2000, 0.01): 4,
}  # fmt: skip
CONES = {  # what adelie with linear constraints reached in an earlier run of ours, seconds
    (200, 10, 100, 0.1): (0.20225149, 0.12), (200, 10, 100, 0.01): (0.055042, 2.1),
    (1000, 20, 500, 0.1): (0.0644870, 3.8), (1000, 20, 500, 0.01): (0.0210, 53.0),
}  # fmt: skip
GAP = 1e-8
RIVALS = list(group_lasso_peers.SOLVERS)
TOLERANCES = [10.0**-k for k in (6, 8, 10, 12, 14, 16)]
LARGE = (5000, 50, 100_000, 0.1)


def settings_of(arguments):
    return {"n_threads": 1, "backend": arguments.backend}


def certified(arguments):
    """The eight problems to a certified gap."""
    print_head(
        "n, d, gates, beta / beta_max", "seed", "objective", "gap", "active", "s", "peak MB",
        "goal s", *[f"{name}: s (reached)" for name in arguments.rivals],
        "fastest rival / ours",
    )  # fmt: skip
    for seed in arguments.seeds:
        for size, goal in GOALS.items():
            objective, gap, active, seconds, memory = in_new_process(
                solve, size, seed, settings_of(arguments), arguments.repeats
            )
            rivals = [rival(name, size, seed, arguments) for name in arguments.rivals]
            done = [s for s, reached in rivals if reached is not None and reached <= GAP]
            ratio = f"{min(done) / seconds:.1f}" if done else "none gets there" if rivals else ""
            print_row(
                size, seed, f"{objective:.12g}", f"{gap:.0e}", active, f"{seconds:.3f}",
                f"{memory / 1e6:.0f}", goal, *map(describe, rivals),
                ratio,
            )  # fmt: skip


def solve(size, seed, settings, repeats, **keywords):
    X, y, G, beta = problems.group_lasso(*size, seed=seed)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    settings = {"beta": beta, "tol": GAP} | settings | keywords
    with threadpool_limits(1):
        pyconvex.solve_group_lasso(X, y, patterns, **settings | {"tol": 0.5})  # numba compiles
        result, _, cpu = timed(
            lambda: pyconvex.solve_group_lasso(X, y, patterns, **settings), repeats, SLOW
        )
    if result.gap > settings["tol"]:
        raise RuntimeError(f"{size}: {result.status}, gap {result.gap:.1e}")
    return result.objective, result.gap, len(result.active), cpu, peak()


def rival(name, size, seed, arguments):
    """Return seconds and the gap reached; None instead of it where the library is missing."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        best, deadline = (np.nan, np.inf), time.monotonic() + arguments.rival_seconds
        for tol in TOLERANCES:
            run = pool.apply_async(rival_run, (name, size, seed, tol))
            try:
                seconds, gap = run.get(max(deadline - time.monotonic(), 0.0))
            except multiprocessing.TimeoutError:
                return best if best[1] < np.inf else (arguments.rival_seconds, np.inf)
            if gap is None:
                return seconds, gap
            if gap < best[1]:
                best = seconds, gap
            if gap <= GAP:
                break
        return best


def rival_run(name, size, seed, tol):
    X, y, G, beta = problems.group_lasso(*size, seed=seed)
    run = group_lasso_peers.SOLVERS[name]
    with threadpool_limits(1):
        try:
            run(X[:60], y[:60], G[:, :5], beta, 1e-3)  # what is compiled at first
        except ImportError:
            return np.nan, None
        start = time.process_time()
        weights = run(X, y, G, beta, tol)
        seconds = time.process_time() - start
    return seconds, group_lasso_peers.figures(X, y, G, beta, weights)[1]


def describe(run):
    seconds, gap = run
    if gap is None:
        return NOT_INSTALLED
    return f"> {seconds:.0f}" if gap == np.inf else f"{seconds:.2f} ({gap:.0e})"


def cones(arguments):
    """The program of true ReLU networks on the same gates."""
    print_head(
        "n, d, gates, beta / beta_max", "objective", "gap", "active", "s", "network's objective",
        "adelie's objective, an earlier run", "its s",
    )  # fmt: skip
    for size, (published, seconds) in CONES.items():
        row = in_new_process(solve_cones, size, settings_of(arguments), arguments.repeats)
        print_row(size, *row, published, seconds)


def solve_cones(size, settings, repeats):
    keywords = {"cones": True, "tol": 1e-6}
    objective, gap, active, cpu, _ = solve(size, 0, settings, repeats, **keywords)
    X, y, G, beta = problems.group_lasso(*size)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    result = pyconvex.solve_group_lasso(X, y, patterns, beta=beta, **settings | keywords)
    outputs = np.maximum(result.coef @ X.T, 0.0)  # no gates: the network itself
    residual = y - result.signs @ outputs
    value = 0.5 * np.mean(residual**2) + beta * np.linalg.norm(result.coef, axis=1).sum()
    return f"{objective:.10g}", f"{gap:.0e}", active, f"{cpu:.2f}", f"{value:.10g}"


def path(arguments):
    """A hundred penalties down to 0.01 beta_max, to two accuracies."""
    print_head("path", "tol", "largest gap", "points", "s", "goal s", "adelie: s", "largest gap")
    for tol, rival_tol, goal in ((1e-4, 1e-12, 3.0), (1e-2, 1e-7, "adelie's")):
        gap, points, seconds = in_new_process(solve_path, tol, settings_of(arguments))
        theirs = in_new_process(adelie_path, rival_tol)
        print_row((1000, 20, 500), tol, f"{gap:.0e}", points, f"{seconds:.2f}", goal, *theirs)


def solve_path(tol, settings):
    X, y, G, _ = problems.group_lasso(1000, 20, 500, 1.0)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    with threadpool_limits(1):
        pyconvex.group_lasso_path(X, y, patterns, n_betas=2, tol=0.5, **settings)
        start = time.process_time()
        results = pyconvex.group_lasso_path(X, y, patterns, tol=tol, **settings)
        seconds = time.process_time() - start
    return max(result.gap for result in results), len(results), seconds


def adelie_path(tol):
    X, y, G, beta_max = problems.group_lasso(1000, 20, 500, 1.0)
    betas = beta_max * np.geomspace(1.0, 0.01, 100)
    try:
        importlib.import_module("adelie")
    except ImportError:
        return NOT_INSTALLED, ""
    with threadpool_limits(1):
        start = time.process_time()
        weights = group_lasso_peers.adelie_path(X, y, G, betas, tol)
        seconds = time.process_time() - start
    gaps = [
        group_lasso_peers.figures(X, y, G, beta, w)[1]
        for beta, w in zip(betas, weights, strict=True)
    ]
    return f"{seconds:.2f}", f"{max(gaps):.0e}"


def gradient(arguments):
    """X^T D_g z of all gates."""
    print_head(
        "n, d, gates", "backend", "ms", "two threads / one", "goal ms", "BLAS, masks in doubles"
    )
    X, _, G, _ = problems.group_lasso(5000, 50, 10_000, 1.0)
    z = np.random.default_rng(0).standard_normal(5000)
    packed = pyconvex.PatternSet.from_gates(X, G).packed
    masks = (X @ G >= 0.0).T.astype(float)
    with threadpool_limits(1):
        _, blas, _ = timed(lambda: masks @ (z[:, np.newaxis] * X), arguments.repeats)
    for name in ("native", "jit"):
        if name not in backends.available():
            continue
        kernel = backends.get_backend(name).gate_gradients
        walls = []
        for n_threads in (1, 2):
            kernel(X, packed[:600], z, n_threads)
            _, wall, _ = timed(partial(kernel, X, packed, z, n_threads), arguments.repeats)
            walls.append(wall)
        ratio = f"{walls[0] / walls[1]:.2f}"
        print_row((5000, 50, 10_000), name, f"{walls[0] * 1e3:.0f}", ratio, 80, f"{blas * 1e3:.0f}")


def large(arguments):
    """Many gates."""
    print_head("n, d, gates, beta / beta_max", "tol", "gap", "active", "s", "peak MB", "goal MB")
    row = in_new_process(solve_large, settings_of(arguments))
    print_row(LARGE, 1e-6, *row, 2000)


def solve_large(settings):
    n, d, n_gates, fraction = LARGE
    X, y, G, _ = problems.group_lasso(n, d, 10, 1.0)
    G = np.random.default_rng(1).standard_normal((d, n_gates))
    patterns = pyconvex.PatternSet.from_gates(X, G)
    gradients = backends.get_backend(settings["backend"]).gate_gradients
    beta = fraction * np.linalg.norm(gradients(X, patterns.packed, y / n, 1), axis=1).max()
    with threadpool_limits(1):
        start = time.process_time()
        result = pyconvex.solve_group_lasso(X, y, patterns, beta=beta, tol=1e-6, **settings)
        seconds = time.process_time() - start
    return f"{result.gap:.0e}", len(result.active), f"{seconds:.1f}", f"{peak() / 1e6:.0f}"


# New processes inherit the peak memory of the one that starts them: gradients come last.
TABLES = {f.__name__: f for f in (certified, cones, path, large, gradient)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=RIVALS)
    parser.add_argument("--rival-seconds", type=float, default=60.0)
    parser.add_argument("--backend", default="auto")
    arguments = parser.parse_args()
    for name in arguments.tables:
        TABLES[name](arguments)


if __name__ == "__main__":
    main()
