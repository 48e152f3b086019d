"""Where device arrays live in the tests: NumPy, torch on the CPU, pretended devices."""

from typing import Any, NamedTuple

import numpy as np
import pytest

# Arrays of array_api_strict on another device than its first refuse to become NumPy arrays and to
# meet arrays of other devices: a hidden transfer is an error.
PLACES = ("numpy", "torch", "strict-device1")
STRICT = ("strict-device1", "strict-device2")


class Place(NamedTuple):
    """An array library and a device in it."""

    name: str
    xp: Any
    device: Any

    @property
    def keywords(self):
        """What makes NumPy arrays take the array backend; other arrays do by themselves."""
        return {"backend": "array"} if self.name == "numpy" else {}

    def array(self, values, dtype=None):
        """Copy to the device: float64 unless told."""
        host = np.asarray(values)
        if dtype is None and host.dtype.kind == "f":
            dtype = "float64"
        dtype = dtype or host.dtype.name
        return self.xp.asarray(np.array(host), dtype=getattr(self.xp, dtype), device=self.device)

    def holds(self, array):
        """Whether an array lives here."""
        from array_api_compat import array_namespace, device, is_numpy_array

        if self.name == "numpy":
            return is_numpy_array(array)
        return array_namespace(array) is self.xp and device(array) == self.device

    def host(self, array):
        """Copy from the device; fails unless the array lives there."""
        from pyconvex.namespaces import to_host

        assert self.holds(array)
        return to_host(array)


def place(name):
    pytest.importorskip("array_api_compat")
    if name == "numpy":
        import array_api_compat.numpy as xp

        return Place(name, xp, "cpu")
    if name == "torch":
        torch = pytest.importorskip("torch")
        import array_api_compat.torch as xp

        return Place(name, xp, torch.device("cpu"))
    strict = pytest.importorskip("array_api_strict")
    return Place(name, strict, strict.Device(name.partition("-")[2]))


NETWORK_FIELDS = (
    "hidden_weights", "hidden_bias", "output_weights", "output_bias", "gates", "gate_bias", "skip",
)  # fmt: skip
