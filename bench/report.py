"""The report: python bench/report.py measures everything beside rivals, on one thread unless said.

Writes a page per section, index.md with the summary, charts (PNG) and results.json. Every record is
saved as it comes: an interrupted run keeps what it has, --redraw makes pages of it without
measuring, and --sections measures some sections anew beside those that are there.
"""

import argparse
import importlib
import shlex
import sys
from pathlib import Path

import pages
from measure import pin_threads
from results import Plan, Results

SECTIONS = (
    "patterns", "group_lasso", "cones", "path", "training", "certified", "memory", "scaling",
    "threads", "kernels",
)  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="smallest sizes, five minutes")
    parser.add_argument("--redraw", action="store_true", help="tables and charts of what there is")
    parser.add_argument("--output", type=Path, help="default: docs/benchmarks, build/benchmarks "
                        "with --quick")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=3, help="medians of so many (default: 3)")
    parser.add_argument("--rival-seconds", type=float, help="for each run of a rival (default: 10, "
                        "5 with --quick)")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments=None):
    chosen = parse(arguments)
    output = chosen.output or ROOT / ("build" if chosen.quick else "docs") / "benchmarks"
    pin_threads()
    results = Results(output)
    command = "python bench/report.py " + shlex.join(
        sys.argv[1:] if arguments is None else arguments
    )
    plan = Plan(
        chosen.quick, chosen.repeats, chosen.rival_seconds or (5.0 if chosen.quick else 10.0),
        1000 if chosen.quick else 3000,
    )  # fmt: skip
    modules = {name: importlib.import_module(f"sections.{name}") for name in SECTIONS}
    try:
        for name in () if chosen.redraw else chosen.sections:
            print(f"{name} ...", file=sys.stderr, flush=True)
            results.measure(name, modules[name].measure(plan), command.strip())
            print(f"{name}: {results.sections[name]['seconds']} s", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted: what there is becomes a report", file=sys.stderr)
    summary = pages.write(results, modules, output)
    if output == ROOT / "docs" / "benchmarks":
        pages.update_readme(ROOT / "README.md", summary, results)


if __name__ == "__main__":
    main()
