"""The backends: twin implementations of every kernel, chosen by name.

A backend is a module of functions on raw arrays: float64, C-contiguous, already validated. All
backends have the same functions with the same signatures; their twins are compared in the tests.
"""

from functools import cache
from importlib import import_module
from types import ModuleType

# In order of preference: "auto" takes the first that is there.
_BACKENDS = {
    "native": "The compiled core is missing: install a C++17 compiler, then reinstall with "
    "PYCONVEX_REQUIRE_NATIVE=1 pip install --force-reinstall --no-deps pyconvex",
    "jit": "numba cannot be imported: pip install numba",
}

NAMES = tuple(_BACKENDS)


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
    if not isinstance(name, str) or name not in ("auto", *NAMES):
        choices = ", ".join(repr(choice) for choice in ("auto", *NAMES))
        raise ValueError(f"backend must be one of {choices}, got {name!r}")
    candidates = NAMES if name == "auto" else (name,)
    for candidate in candidates:
        module = _load(candidate)
        if isinstance(module, ModuleType):
            return module
    reasons = "; ".join(f"{why_unavailable(candidate)}" for candidate in candidates)
    raise ImportError(f"backend={name!r} is not available. {reasons}")


def why_unavailable(name: str) -> str | None:
    """Say why a backend cannot be used and how to get it; None where it can be used."""
    module = _load(name)
    return f"{_BACKENDS[name]} ({module})" if isinstance(module, ImportError) else None


def available() -> list[str]:
    """Names of the backends that can be used here, best first."""
    return [name for name in NAMES if why_unavailable(name) is None]
