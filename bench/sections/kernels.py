"""Micro-benchmarks of the C++ kernels beside what one core can do (a roofline)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import charts
from tables import Claim, Table, digits, power_of, seconds_of

TITLE = "C++ kernels and the limits of a core"
ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
PER = {"cells": "cell", "wolfe_step": "step", "gradients": "call", "forward": "neuron"}


def measure(plan):
    """Build and run cpp/bench; a record that says why where that cannot be done.

    A build takes minutes, so --quick takes one that is there.
    """
    problem = _missing() if plan.quick else _build()
    if problem:
        yield {"kind": "absent", "why": problem}
        return
    command = [
        BUILD / "cpp/bench/pyconvex_benchmarks", "--benchmark_format=json",
        f"--benchmark_repetitions={max(plan.repeats, 3)}",
        "--benchmark_report_aggregates_only=true",
        f"--benchmark_min_time={0.05 if plan.quick else 0.5}",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for run in json.loads(done.stdout)["benchmarks"]:
        if run["aggregate_name"] == "median":
            yield _record(run)


def _record(run):
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[run["time_unit"]]
    name = run["run_name"]
    keys = ("flops", "cache_bytes", "memory_bytes", "cells", "steps")
    return {
        "kind": "limit" if name.startswith("limit") else "kernel", "size": name,
        "cpu": run["cpu_time"] * unit, "wall": run["real_time"] * unit,
        **{key: run[key] for key in keys if key in run},
    }  # fmt: skip


def _build():
    """Configure and build; return why not, in a line, or None."""
    for tool in ("cmake", "g++"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    log = BUILD.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        for command in (
            ["cmake", "--preset", "bench"],
            ["cmake", "--build", "--preset", "bench", "--parallel", str(os.cpu_count())],
        ):
            if subprocess.run(command, cwd=ROOT, stdout=out, stderr=out).returncode:
                return f"the build fails: {log.relative_to(ROOT)}"
    return "Google Benchmark is not installed (Debian: libbenchmark-dev)" if _missing() else None


def _missing():
    if (BUILD / "cpp/bench/pyconvex_benchmarks").exists():
        return None
    return "not built: cmake --preset bench && cmake --build --preset bench"


def _limits(records):
    """Flops, bytes from the first cache and bytes from memory of one core, per second."""
    limits = [r for r in records if r["kind"] == "limit"]
    flops = max(r["flops"] / r["cpu"] for r in limits if not r["cache_bytes"])
    cache = max(r["cache_bytes"] / r["cpu"] for r in limits if not r["memory_bytes"])
    memory = max(r["memory_bytes"] / r["cpu"] for r in limits)
    return flops, cache, memory


def _bounds(r, limits):
    """Seconds that each limit alone would allow. Without multiply-adds half the flops."""
    flops, cache, memory = limits
    name = r["size"].partition("/")[0]
    peak = flops if name in ("forward", "wolfe_step") else flops / 2
    large = r["memory_bytes"] > 32e6  # what is smaller comes from a cache after the first time
    return {
        "flops": r["flops"] / peak, "cache": r["cache_bytes"] / cache,
        "memory": r["memory_bytes"] / memory if large else 0.0,
    }  # fmt: skip


def _parts(r):
    return r.get("cells") or r.get("steps") or 1.0


def tables(records):
    absent = [r["why"] for r in records if r["kind"] == "absent"]
    if absent:
        yield Table("Not measured", ("why",), [(why,) for why in absent])
        return
    limits = _limits(records)
    rows = [("multiply-adds, flops/s", power_of(limits[0])),
            ("loads from the first cache, bytes/s", power_of(limits[1])),
            ("reads from memory, bytes/s", power_of(limits[2]))]  # fmt: skip
    yield Table("What one core of this machine can do", ("limit", "measured"), rows)
    rows = []
    for r in (r for r in records if r["kind"] == "kernel"):
        bounds, parts = _bounds(r, limits), _parts(r)
        binding = max(bounds, key=bounds.get)
        rows.append((
            r["size"], PER[r["size"].partition("/")[0]], seconds_of(r["cpu"]),
            power_of(r["cpu"] / parts), power_of(r["flops"] / parts),
            power_of(r["cache_bytes"] / parts), power_of(r["memory_bytes"] / parts),
            power_of(r["flops"] / r["cpu"]), f"{power_of(bounds[binding] / parts)} ({binding})",
            digits(r["cpu"] / bounds[binding]),
        ))  # fmt: skip
    yield Table(
        "Kernels",
        ("kernel / size", "per", "CPU of a call", "s per part", "flops", "bytes, cache",
         "bytes, memory", "flops/s", "limit, s", "times the limit"),
        rows,
        "Flops, bytes and limits are per part. The limit is the largest of three: flops, bytes "
        "between the first cache and registers, bytes of memory where a call touches more than 32 "
        "MB. Kernels that only add or compare have half the flops of multiply-adds. See "
        "docs/performance.md for what is counted.",
    )  # fmt: skip


def claims(records):
    if any(r["kind"] == "absent" for r in records):
        return
    limits = _limits(records)
    for r in (r for r in records if r["kind"] == "kernel"):
        bound = max(_bounds(r, limits).values())
        reached = f"{seconds_of(r['cpu'])}, {digits(r['cpu'] / bound)} times the limit"
        yield Claim(f"kernel {r['size']}", "", reached, None)


def draw(records, folder):
    if any(r["kind"] == "absent" for r in records):
        return []
    flops, cache, memory = _limits(records)
    with charts.chart(folder, "kernels", size=(6.0, 4.2)) as (axis,):
        intensity = [2.0**k for k in range(-6, 7)]
        for name, bandwidth in (("first cache", cache), ("memory", memory)):
            roof = [min(flops, bandwidth * x) for x in intensity]
            axis.loglog(intensity, roof, lw=1, label=f"{name}: {bandwidth / 1e9:.0f} GB/s")
        for r in (r for r in records if r["kind"] == "kernel"):
            x, y = r["flops"] / r["cache_bytes"], r["flops"] / r["cpu"]
            axis.plot(x, y, "o", ms=4, color=charts.OURS)
            axis.annotate(r["size"], (x, y), fontsize=6, xytext=(3, 2), textcoords="offset points")
        axis.set(title="Kernels and the limits of a core", ylabel="flops/s",
                 xlabel="flops per byte between registers and the first cache")  # fmt: skip
        axis.legend(fontsize=7, frameon=False)
    return ["kernels"]
