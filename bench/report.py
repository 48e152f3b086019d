"""Markdown tables of training problems, beside rivals: python bench/report.py.

"certified": problems with a proof of global optimality, each fitted anew in a new process.
"training": the job that users have, beside rivals. One thread. Wall and CPU seconds of pyconvex
are medians of --repeats runs after a short one that does not count, of one run where that takes
more than ten seconds. Objectives are computed from the weights, by one formula; beta_max is not
part of the time. A neuron counts above 1e-6 of the largest.

Rivals run once, for at most --steps steps. Adam's row is its best rate's: its seconds are of that
run alone. "s to 1e-3": until the objective is within 1e-3 of the one that the run ends with.
"""

import argparse
import multiprocessing
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

import pyconvex

import peers
import problems

SLOW = 10.0
FEW_CELLS = 600  # where a conic solver takes the full program
NOT_INSTALLED = "not installed"


def print_row(*cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def print_head(*columns):
    print()
    print_row(*columns)
    print("|" + "---|" * len(columns))


def timed(function, repeats, slow=np.inf):
    """Return the last result and the median wall and CPU seconds; stop after a slow run."""
    walls, cpus = [], []
    while len(walls) < repeats and (not walls or walls[-1] <= slow):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return result, statistics.median(walls), statistics.median(cpus)


def n_neurons(network):
    sizes = np.linalg.norm(network.hidden_weights, axis=1) * np.abs(network.output_weights)
    return int((sizes > 1e-6 * sizes.max(initial=0.0)).sum())


def peak():
    """Peak memory of this process in bytes."""
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux


def in_new_process(function, *arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def certified(arguments):
    """Proofs of global optimality."""
    print_head(
        "problem", "n", "rank", "tol", "objective", "lower bound", "gap", "certificate", "status",
        "neurons", "wall s", "CPU s", "peak MB", "goal s",
    )  # fmt: skip
    for name in chosen(arguments, problems.CERTIFIED):
        n, rank, beta, cells = in_new_process(describe, name, arguments.backend)
        row = in_new_process(certify, name, beta, arguments.backend, arguments.repeats)
        print_row(name, n, rank, *row)
        if cells <= FEW_CELLS:
            row = in_new_process(by_conic_solver, name, beta)
            print_row(f"{name}, all {cells} cells by Clarabel", n, rank, *row)


def describe(name, backend):
    """Return samples, rank with the ones column, beta and the largest number of cells."""
    X, y, settings, _ = problems.CERTIFIED[name]()
    ones = [np.ones(len(X))] * (settings["bias"] != "none")
    rank = np.linalg.matrix_rank(np.column_stack([X, *ones]))
    beta = settings.get("beta")
    if beta is None:
        beta = 0.01 * pyconvex.beta_max(X, y, bias=settings["bias"], n_threads=1, backend=backend)
    return len(X), int(rank), beta, problems.n_cells(len(X), int(rank))


def certify(name, beta, backend, repeats):
    X, y, settings, goal = problems.CERTIFIED[name]()
    settings |= {"beta": beta, "certificate": "global", "backend": backend}
    settings |= {"n_threads": 1, "random_state": 0}
    with threadpool_limits(1):
        few = settings | {"tol": 1e-2, "time_limit": 10}
        pyconvex.fit(X[:100], y[:100], **few)  # numba compiles
        fit, wall, cpu = timed(lambda: pyconvex.fit(X, y, **settings), repeats, SLOW)
    value = peers.objective(fit.network, X, y, beta, settings["bias"])
    return (
        f"{settings['tol']:.0e}", f"{value:.10f}", f"{fit.lower_bound:.10f}", f"{fit.gap:.1e}",
        fit.certificate, fit.status, n_neurons(fit.network), f"{wall:.4f}", f"{cpu:.4f}",
        f"{peak() / 1e6:.0f}", goal,
    )  # fmt: skip


def by_conic_solver(name, beta):
    X, y, settings, _ = problems.CERTIFIED[name]()
    try:
        run, wall, cpu = timed(lambda: peers.full_program(X, y, beta), 1)
    except ImportError:
        return "", NOT_INSTALLED, *[""] * 9
    value = f"{peers.objective(run.network, X, y, beta, settings['bias']):.10f}"
    size = f"{peak() / 1e6:.0f}"
    times = f"{wall:.4f}", f"{cpu:.4f}"
    return "1e-10", value, "", "", "none", "", n_neurons(run.network), *times, size, ""


def training(arguments):
    """Networks beside those of rivals."""
    print_head(
        "problem", "method", "objective", "certificate", "gap", "neurons", "wall s", "CPU s",
        "s to 1e-3",
    )  # fmt: skip
    for name in chosen(arguments, problems.TRAINING):
        X, y, settings = problems.TRAINING[name]()
        settings["bias"] = arguments.bias or settings["bias"]
        print_row(name, "pyconvex", *ours(X, y, settings, arguments))
        for method, train in peers.TRAINERS.items():
            sizes = {"width": problems.WIDTHS[name], "steps": arguments.steps}
            print_row(name, *rival(method, train, X, y, settings, sizes))


def ours(X, y, settings, arguments):
    control = {"random_state": 0, "n_threads": 1, "backend": arguments.backend, "time_limit": 120}
    pyconvex.fit(X[:20], y[:20], **settings, **control)  # numba compiles
    fit, wall, cpu = timed(
        lambda: pyconvex.fit(X, y, **settings, **control), arguments.repeats, SLOW
    )
    end = fit.objective * (1 + peers.CLOSE)
    close = next((r.seconds for r in fit.history if r.objective <= end), fit.seconds)
    value = f"{peers.objective(fit.network, X, y, **settings):.8f}"
    times = (f"{t:.3f}" for t in (wall, cpu, close))
    return value, fit.certificate, f"{fit.gap:.0e}", n_neurons(fit.network), *times


def rival(method, train, X, y, settings, sizes):
    try:
        run = train(X, y, **settings, **sizes)
    except (ImportError, NotImplementedError) as error:
        absent = NOT_INSTALLED if isinstance(error, ImportError) else error
        return method, absent, *[""] * 6
    value = f"{peers.objective(run.network, X, y, **settings):.8f}"
    close = "" if np.isnan(run.close) else f"{run.close:.3f}"
    name = f"{method}, {run.detail}" if run.detail else method
    return name, value, "none", "", n_neurons(run.network), f"{run.seconds:.3f}", "", close


def chosen(arguments, table):
    return [name for name in table if name in (arguments.problems or table)]


# New processes inherit the peak memory of the one that starts them: certified comes first.
TABLES = ((certified, problems.CERTIFIED), (training, problems.TRAINING))


def main():
    names = [*problems.CERTIFIED, *problems.TRAINING]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--problems", nargs="+", choices=names, metavar="NAME", help=str(names))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000, help="of rivals")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--bias", choices=("free", "decayed", "none"), help="of training problems")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        for table, recipes in TABLES:
            if chosen(arguments, recipes):
                table(arguments)


if __name__ == "__main__":
    main()
