"""Where to compute: where the data live, or on the device that a user asks for."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from pyconvex.namespaces import Space, compat, describe, is_device_array


def find_space(X: Any, named: dict[str, Any], device: Any = None) -> Space:
    """Return where to compute: on the given device, else where X lives.

    Parameters
    ----------
    X : array
        Data.
    named : dict
        Other arguments by name, e.g. ``{"y": y}``; None stands for an absent one. They must live
        where X does.
    device : object, optional
        What the user asked for.

    Raises
    ------
    ValueError
        If an array lives elsewhere than X, or the device is absent.
    ImportError
        If a library is missing; the message says how to get it.
    """
    home = Space.of(X if is_device_array(X) else np.zeros(0))
    check_same_space(home, X, named)
    return home if device is None else _asked(home, device)


def check_same_space(home: Space, X: Any, named: dict[str, Any]) -> None:
    """Refuse arrays that live elsewhere than X."""
    for name, value in named.items():
        if value is None or home.holds(value):
            continue
        if home.name == "numpy" and not is_device_array(value):
            continue  # lists and data frames are as good as NumPy arrays
        raise ValueError(
            f"{name} is {describe(value)} but X {describe(X)}: move one of them, pyconvex does "
            "not by itself"
        )


def _asked(home: Space, device: Any) -> Space:
    """Return the space of a device that a user asked for."""
    if home.name != "numpy":
        return _checked(home.xp, device)
    if str(device) == "cpu":
        return home
    for library in ("torch", "cupy"):
        if _is_installed(library):
            return _checked(import_module(f"array_api_compat.{library}"), device)
    raise ImportError(
        f"device={device!r} needs PyTorch or CuPy for NumPy arrays: pip install torch"
    )


def _is_installed(library: str) -> bool:
    try:
        import_module(library)
    except ImportError:
        return False
    return True


def _checked(xp: Any, device: Any) -> Space:
    """Return the space of a device after a test that it is there."""
    library = xp.__name__.removeprefix("array_api_compat.").partition(".")[0]
    try:
        found = compat().device(xp.zeros(1, dtype=xp.float32, device=_device(xp, library, device)))
    except Exception as error:  # each library has its own for a device that is not there
        raise ValueError(
            f"device={device!r} is not available in {library}: leave it out to compute where X "
            f"lives, or pass one of {', '.join(map(repr, devices_of(library)))} ({error})"
        ) from error
    return Space.at(xp, found)


def _device(xp: Any, library: str, device: Any) -> Any:
    """Return a device in the words of a library: CuPy knows numbers, others take names."""
    if library == "cupy" and isinstance(device, str):
        kind, _, number = device.partition(":")
        if kind != "cuda":
            raise ValueError("CuPy computes on cuda devices only")
        return xp.cuda.Device(int(number or 0))
    if isinstance(device, str):
        for known in _listed(xp):
            if str(known) == device or getattr(known, "_device", None) == device:
                return known
    return device


def _listed(xp: Any) -> Sequence[Any]:
    inspect = getattr(xp, "__array_namespace_info__", None)
    if inspect is None or xp.__name__.endswith("torch"):  # torch lists by trial, with warnings
        return ()
    return [device for device in inspect().devices() if device is not None]


def version_of(library: str) -> str:
    """Return the version of a library that is installed."""
    return str(import_module(library).__version__)


def devices_of(library: str) -> list[str]:
    """Return the names of the devices of a library that is installed."""
    if library == "torch":
        import torch

        names = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
        return [*names, *(["mps"] if torch.backends.mps.is_available() else [])]
    if library == "cupy":
        import cupy

        try:
            return [f"cuda:{k}" for k in range(cupy.cuda.runtime.getDeviceCount())]
        except Exception:  # no driver
            return []
    module = sys.modules.get(library)
    return [str(device) for device in _listed(module)] if module is not None else []
