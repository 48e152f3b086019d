"""How numba compiles kernels, and how long what it keeps on disk is good."""

import hashlib
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

import numba


def _fingerprint() -> str:
    """Return a hash of the sources of all kernels."""
    digest = hashlib.sha256()
    for file in sorted(files("pyconvex.backends").iterdir(), key=lambda file: file.name):
        if file.name.startswith("jit_") and file.name.endswith(".py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


FINGERPRINT = _fingerprint()


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function that needs no Python and no GIL, and keep the result on disk.

    numba takes it from there until the function's file changes. But what the function calls, from
    other files too, was compiled into it: here any change of a kernel ends the use of all.
    """
    if function is None:
        return partial(kernel, **options)
    dispatcher = numba.njit(cache=True, nogil=True, **options)(function)
    try:
        index = dispatcher._cache._cache_file
        index._source_stamp = index._source_stamp, FINGERPRINT
    except AttributeError:  # a numba that is otherwise inside: rather slow than out of date
        return numba.njit(nogil=True, **options)(function)
    return dispatcher
