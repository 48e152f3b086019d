"""A Markdown table of training problems, beside rivals: python bench/report.py [problem ...].

Single-threaded. Wall and CPU seconds are medians of five runs, of one for rivals. The objective
is computed from each network's weights by the same formula. scikit-learn has free biases only: it
takes part under --bias free.
"""

import argparse
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

import pyconvex

import peers
import problems

COLUMNS = ("problem", "method", "objective", "certificate", "gap", "neurons", "wall s", "CPU s")


def timed(function, repeats):
    """Return the last result and the median wall and CPU seconds."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return result, statistics.median(walls), statistics.median(cpus)


def objective(network, X, y, beta, bias):
    loss = 0.5 * np.mean((y - network.predict(X)) ** 2)
    squares = (network.hidden_weights**2).sum() + (network.output_weights**2).sum()
    if bias == "decayed":
        squares += (network.hidden_bias**2).sum()
    return loss + 0.5 * beta * squares


def n_neurons(network):
    sizes = np.linalg.norm(network.hidden_weights, axis=1) * np.abs(network.output_weights)
    return int((sizes > 1e-6 * sizes.max(initial=0.0)).sum())


def rows(name, bias, backend):
    """Yield the cells of one problem: ours, then the rivals."""
    X, y, settings = problems.TRAINING[name]()
    settings["bias"] = bias or settings["bias"]
    ours = settings | {"random_state": 0, "n_threads": 1, "backend": backend, "time_limit": 120}
    pyconvex.fit(X[:20], y[:20], **ours)  # numba compiles
    fit, wall, cpu = timed(lambda: pyconvex.fit(X, y, **ours), 5)
    value = objective(fit.network, X, y, **settings)
    yield "pyconvex", value, fit.certificate, f"{fit.gap:.0e}", n_neurons(fit.network), wall, cpu
    for method, train in peers.TRAINERS.items():
        network, wall, cpu = timed(lambda train=train: train(X, y, **settings), 1)
        if network is not None:
            value = objective(network, X, y, **settings)
            yield method, value, "none", "", n_neurons(network), wall, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem", nargs="*", default=["breast_cancer", "s1"])
    parser.add_argument("--backend", default="auto")
    parser.add_argument(
        "--bias", choices=("free", "decayed", "none"), help="default: as the recipe"
    )
    arguments = parser.parse_args()
    for name in arguments.problem:
        if name not in problems.TRAINING:
            parser.error(f"unknown problem {name!r}: choose from {', '.join(problems.TRAINING)}")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with threadpool_limits(1):
        for name in arguments.problem:
            for method, value, *middle, wall, cpu in rows(name, arguments.bias, arguments.backend):
                cells = (name, method, f"{value:.8f}", *middle, f"{wall:.3f}", f"{cpu:.3f}")
                print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
