"""What this installation of pyconvex is: its version, its backends, where its C++ core lies."""

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from pyconvex import backends
from pyconvex.device_choice import devices_of, version_of
from pyconvex.namespaces import compat

_PACKAGES = {"torch": "torch", "cupy": "cupy-cuda12x"}

try:
    __version__ = version("pyconvex")
except PackageNotFoundError:  # a source folder that was never installed
    __version__ = "0+unknown"


def _source_note() -> str | None:
    """Warn about the flat-layout trap: the source folder hides the installed package."""
    package = Path(__file__).parent
    if find_spec("pyconvex._core") is None and (package.parent / "CMakeLists.txt").is_file():
        return (
            f"pyconvex was imported from its source folder {package}, which has no compiled "
            "core: start Python elsewhere to use the installed package"
        )
    return None


def _report() -> dict[str, Any]:
    report: dict[str, Any] = {
        "pyconvex": __version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "location": str(Path(__file__).parent),
        "backends": {},
    }
    for name in backends.NAMES:
        reason = backends.why_unavailable(name)
        if reason is None:
            report["backends"][name] = {"available": True, **backends.get_backend(name).info()}
        else:
            report["backends"][name] = {"available": False, "reason": reason}
    report["backends"]["array"] = _array_report()
    note = _source_note()
    if note is not None:
        report["note"] = note
    return report


def _array_report() -> dict[str, Any]:
    """Tell which array libraries are there, and their devices: this imports them."""
    try:
        report = {"available": True, "array_api_compat": compat().__version__}
    except ImportError as error:
        return {"available": False, "reason": str(error)}
    for library in ("torch", "cupy"):
        if find_spec(library) is None:
            report[library] = f"not installed: pip install {_PACKAGES[library]}"
            continue
        try:
            report[library] = f"{version_of(library)} on {', '.join(devices_of(library)) or 'none'}"
        except Exception as error:  # a broken installation must not hide the rest of the report
            report[library] = f"cannot be imported: {error}"
    return report


def _format(report: dict[str, Any], indent: int = 0) -> str:
    lines = []
    for key, value in report.items():
        nested = isinstance(value, dict)
        text = "\n" + _format(value, indent + 2) if nested else f" {value}"
        lines.append(f"{' ' * indent}{key}:{text}")
    return "\n".join(lines)


@overload
def show_config(mode: Literal["print"] = "print") -> None: ...
@overload
def show_config(mode: Literal["dict"]) -> dict[str, Any]: ...


def show_config(mode: str = "print") -> dict[str, Any] | None:
    """Show version, backends (and why others are missing), compiler, threads and SIMD level.

    Of the array backend also PyTorch and CuPy with their devices; to see them it imports them.

    Parameters
    ----------
    mode : {"print", "dict"}
        "print" writes a report to stdout, "dict" returns it.

    Returns
    -------
    dict or None
        The report where `mode` is "dict".

    Raises
    ------
    ValueError
        If `mode` is neither.

    Examples
    --------
    >>> import pyconvex
    >>> sorted(pyconvex.show_config(mode="dict")["backends"])
    ['array', 'jit', 'native']
    """
    if mode not in ("print", "dict"):
        raise ValueError(f"mode must be 'print' or 'dict', got {mode!r}")
    report = _report()
    if mode == "dict":
        return report
    print(_format(report))
    return None


def _native_dir(subdirectory: str) -> str:
    """Folder of the wheel's native files: next to the extension, also in an editable install."""
    reason = backends.why_unavailable("native")
    if reason is not None:
        raise FileNotFoundError(f"this pyconvex carries no C++ library. {reason}")
    import pyconvex._core

    path = Path(pyconvex._core.__file__).parent / subdirectory
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is missing: reinstall pyconvex")
    return str(path)


def get_include() -> str:
    """Return the folder of the C++ headers: ``-I`` for ``#include <pyconvex/pyconvex.hpp>``.

    Raises
    ------
    FileNotFoundError
        If this is a pure-Python installation.
    """
    return _native_dir("include")


def get_cmake_dir() -> str:
    """Return the folder of the CMake package: ``cmake -Dpyconvex_ROOT=<this folder>``.

    Raises
    ------
    FileNotFoundError
        If this is a pure-Python installation.
    """
    return _native_dir("lib/cmake/pyconvex")
