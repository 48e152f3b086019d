"""The backends: twin implementations of every kernel, chosen by name.

A backend is a module of functions on raw arrays: float64, C-contiguous, already validated. Both
have the same functions with the same signatures; their twins are compared in the tests. Arrays of
other libraries, on their devices, have kernels of their own: `pyconvex.backends.array`.
"""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from pyconvex.namespaces import compat, describe, is_device_array

# In order of preference: "auto" takes the first that is there.
_BACKENDS = {
    "native": "The compiled core is missing: install a C++17 compiler, then reinstall with "
    "PYCONVEX_REQUIRE_NATIVE=1 pip install --force-reinstall --no-deps pyconvex",
    "jit": "numba cannot be imported: pip install numba",
}

NAMES = tuple(_BACKENDS)
ARRAY = "array"


@cache
def _load(name: str) -> ModuleType | ImportError:
    try:
        return import_module(f"pyconvex.backends.{name}")
    except ImportError as error:
        return error


def get_backend(name: str = "auto") -> ModuleType:
    """Return the module that holds the kernels of a backend; it is imported on first use.

    Parameters
    ----------
    name : {"auto", "native", "jit"}
        "native" is compiled C++, "jit" is numba, "auto" the first of them that is installed.

    Returns
    -------
    module
        Functions on raw arrays.

    Raises
    ------
    ValueError
        If the name is unknown.
    ImportError
        If the named backend is not installed; the message says how to get it.

    Examples
    --------
    >>> from pyconvex.backends import get_backend
    >>> get_backend("jit").__name__
    'pyconvex.backends.jit'
    """
    _check_name(name)
    if name == ARRAY:
        raise ValueError(
            "backend='array' is not available here: pass NumPy arrays and backend='auto'"
        )
    candidates = NAMES if name == "auto" else (name,)
    for candidate in candidates:
        module = _load(candidate)
        if isinstance(module, ModuleType):
            return module
    reasons = "; ".join(f"{why_unavailable(candidate)}" for candidate in candidates)
    raise ImportError(f"backend={name!r} is not available. {reasons}")


def on_arrays(X: Any, backend: str = "auto", device: Any = None) -> bool:
    """Tell whether to compute by `pyconvex.backends.array`: where X lives, or as it is asked for.

    Parameters
    ----------
    X : array
        Data.
    backend : {"auto", "native", "jit", "array"}
        "auto" follows X: arrays of another library than NumPy are computed on their device.
    device : object, optional
        Where to compute; "cpu" changes nothing for NumPy arrays.

    Raises
    ------
    ValueError
        If the backend is unknown, or takes NumPy arrays only and X or device say otherwise.
    ImportError
        If array-api-compat is needed and missing; the message says how to get it.
    """
    _check_name(backend)
    elsewhere = is_device_array(X) or (device is not None and str(device) != "cpu")
    if elsewhere and backend in NAMES:
        found = f"X is {describe(X)}" if is_device_array(X) else f"device={device!r} was asked for"
        raise ValueError(
            f"backend={backend!r} computes on NumPy arrays but {found}: pass backend='auto'"
        )
    chosen = elsewhere or backend == ARRAY
    if chosen:
        compat()
    return chosen


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or name not in ("auto", *NAMES, ARRAY):
        choices = ", ".join(repr(choice) for choice in ("auto", *NAMES, ARRAY))
        raise ValueError(f"backend must be one of {choices}, got {name!r}")


def why_unavailable(name: str) -> str | None:
    """Say why a backend cannot be used and how to get it; None where it can be used."""
    module = _load(name)
    return f"{_BACKENDS[name]} ({module})" if isinstance(module, ImportError) else None


def available() -> list[str]:
    """Names of the backends that can be used here, best first."""
    return [name for name in NAMES if why_unavailable(name) is None]
