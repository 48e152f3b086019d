"""What a benchmark ran on: machine, versions, threads, commit."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from measure import POOLS, cores

PACKAGES = (
    "pyconvex", "numpy", "scipy", "numba", "scikit-learn", "adelie", "skglm", "celer", "pyscnn",
    "torch", "cvxpy", "clarabel", "highspy",
)  # fmt: skip


def describe():
    """Return the facts as a dictionary that JSON can hold."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": cores(),
        "memory_gb": _memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "backends": _backends(),
        "threads": {name: os.environ[name] for name in POOLS if name in os.environ},
        "commit": commit(),
    }


def version(package):
    """Version of an installed package, None where it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def commit():
    """The commit of the working tree with "+" where it has changes, None outside of git."""
    root = Path(__file__).parent
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        commands = ("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "-uno")
        head, changes = (
            subprocess.run(
                ["git", "-C", root, *command], check=True, capture_output=True, text=True
            ).stdout.strip()
            for command in commands
        )
        return head + "+" * bool(changes)
    return None


def _backends():
    from pyconvex import backends

    return backends.available()


def _field(path, name):
    with contextlib.suppress(OSError), open(path) as lines:
        for line in lines:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return None


def _memory():
    size = _field("/proc/meminfo", "MemTotal")
    return round(int(size.split()[0]) * 1024 / 1e9, 1) if size else None
