"""Array libraries beside NumPy (torch, CuPy, any array-API namespace) and their devices.

The one module that knows array-api-compat, which it imports on first use: whoever passes NumPy
arrays needs neither that nor torch. What is called a *device array* here is an array of another
library than NumPy, wherever it lives. Nothing in here moves one unless its name says so:
`Space.upload`, `to_host` and `to_device`. `device_choice` finds the devices that users ask for.
"""

import math
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

DeviceArray: TypeAlias = Any  # an array of any namespace

_RUN = 256  # numbers added up in single precision before the sums go on in double


def library_of(value: Any) -> str | None:
    """Return the top-level module of a device array's type; None for NumPy and all else."""
    if isinstance(value, (np.ndarray, np.generic)):
        return None
    for library, kind in (("torch", "Tensor"), ("cupy", "ndarray")):
        module = sys.modules.get(library)  # whose arrays nobody has before it is imported
        if module is not None and isinstance(value, getattr(module, kind, ())):
            return library
    if not hasattr(value, "__array_namespace__"):
        return None
    return type(value).__module__.partition(".")[0]


def is_device_array(value: Any) -> bool:
    """Tell whether a value is an array of another library than NumPy."""
    return library_of(value) is not None


def compat() -> ModuleType:
    """Return array-api-compat.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to get it.
    """
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError(
            "arrays of other libraries than NumPy, backend='array' and device=... need "
            'array-api-compat: pip install "pyconvex[array]"'
        ) from error
    module: ModuleType = array_api_compat
    return module


def describe(value: Any) -> str:
    """Say in a message where an array lives."""
    library = library_of(value)
    if library is None:
        return f"on the host ({type(value).__name__})"
    return f"on device {compat().device(value)} of {library}"


@dataclass(frozen=True)
class Space:
    """Where arrays live: a namespace, a device in it, and the numbers that sums are made of.

    Attributes
    ----------
    xp : module
        The namespace, by way of array-api-compat.
    device : object
        The device, as the namespace calls it.
    double : dtype
        float64; float32 on devices without it, such as Apple's MPS.
    """

    xp: Any
    device: Any
    double: Any

    @classmethod
    def of(cls, array: DeviceArray) -> "Space":
        """Return the space of an array, also of a NumPy array."""
        xp = compat().array_namespace(array)
        return cls.at(xp, compat().device(array))

    @classmethod
    def at(cls, xp: Any, device: Any) -> "Space":
        """Return the space of a device."""
        return cls(xp, device, xp.float64 if _has_double(xp, device) else xp.float32)

    def __reduce__(self) -> tuple[Any, ...]:
        return _space_named, (self.xp.__name__, self.device)  # modules cannot be pickled

    @property
    def name(self) -> str:
        """Name of the library."""
        name: str = self.xp.__name__
        return name.removeprefix("array_api_compat.").partition(".")[0]

    @property
    def is_host(self) -> bool:
        """Whether arrays live in the memory of the CPU, whose caches make small blocks faster."""
        return self.name == "numpy" or "cpu" in str(self.device).lower()

    @property
    def exact(self) -> bool:
        """Whether there is double precision."""
        return bool(self.double == self.xp.float64)

    @property
    def eps(self) -> float:
        """Rounding of ``double``."""
        return float(self.xp.finfo(self.double).eps)

    @cached_property
    def linalg(self) -> Any:
        """The linear algebra extension, None where the namespace has none."""
        return getattr(self.xp, "linalg", None)

    def holds(self, array: Any) -> bool:
        """Tell whether an array lives here."""
        if isinstance(array, np.ndarray):
            return self.name == "numpy"
        if not is_device_array(array):
            return False
        return bool(
            compat().array_namespace(array) is self.xp and compat().device(array) == self.device
        )

    def zeros(self, *shape: int) -> DeviceArray:
        """Return zeros."""
        return self.xp.zeros(shape, dtype=self.double, device=self.device)

    def full(self, shape: int | tuple[int, ...], value: float) -> DeviceArray:
        """Return an array of one number."""
        return self.xp.full(shape, value, dtype=self.double, device=self.device)

    def arange(self, *ends: int) -> DeviceArray:
        """Return integers."""
        return self.xp.arange(*ends, dtype=self.integer, device=self.device)

    @property
    def integer(self) -> Any:
        """The type of indices."""
        return self.xp.int64

    def to_double(self, array: DeviceArray) -> DeviceArray:
        """Return an array in ``double``; the same where it is that already."""
        return self.xp.astype(array, self.double, copy=False)

    def upload(self, array: Any, dtype: Any = None) -> DeviceArray:
        """Copy an array of the host (NumPy or numbers) here; floats become ``double``."""
        host = np.asarray(array)
        if dtype is None and host.dtype.kind == "f":
            dtype = self.double
        if dtype is None and host.dtype.kind in "iu" and host.dtype.itemsize > 1:
            dtype = self.integer
        if self.name == "torch":  # which cannot share read-only memory
            host = np.array(host)
        return self.xp.asarray(host, dtype=dtype, device=self.device)

    def total(self, array: DeviceArray) -> float:
        """Return the sum of all entries, as a float.

        In double precision where the device has it. Elsewhere short runs are added up there in
        single precision and these sums exactly on the host, so that the error does not grow with
        the number of entries.
        """
        if self.exact:
            return float(self.xp.sum(array, dtype=self.double))
        flat = self.xp.reshape(array, (-1,))
        whole = flat.shape[0] // _RUN * _RUN
        runs = self.xp.sum(self.xp.reshape(flat[:whole], (-1, _RUN)), axis=1)
        rest = self.xp.sum(flat[whole:])
        return math.fsum([*map(float, to_host(runs)), float(rest)])

    def dot(self, a: DeviceArray, b: DeviceArray) -> float:
        """Return the inner product of two vectors, as a float."""
        return self.total(self.to_double(a) * self.to_double(b))

    def norm(self, a: DeviceArray) -> float:
        """Return the norm of a vector, as a float."""
        return math.sqrt(self.dot(a, a))

    def largest(self, array: DeviceArray) -> float:
        """Return the largest entry, as a float; 0 where there are none."""
        return float(self.xp.max(array)) if math.prod(array.shape) else 0.0

    def any(self, array: DeviceArray) -> bool:
        """Tell whether any entry is true."""
        return bool(self.xp.any(array))

    def take(self, array: DeviceArray, indices: DeviceArray) -> DeviceArray:
        """Return some rows, or entries of a vector."""
        return self.xp.take(array, indices, axis=0)

    def where_true(self, mask: DeviceArray) -> DeviceArray:
        """Return the indices of the true entries of a vector."""
        return self.xp.nonzero(mask)[0]


def _space_named(module: str, device: Any) -> Space:
    return Space.at(import_module(module), device)


def _has_double(xp: Any, device: Any) -> bool:
    """Tell whether a device has double precision."""
    if str(device).startswith("mps"):
        return False
    inspect = getattr(xp, "__array_namespace_info__", None)
    if inspect is None or xp.__name__.endswith("torch"):
        return True
    try:
        return "float64" in inspect().dtypes(device=device, kind="real floating")
    except (TypeError, ValueError, NotImplementedError):
        return True


def to_host(array: DeviceArray) -> NDArray[Any]:
    """Copy an array to NumPy, wherever it lives: an explicit move.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex.namespaces import to_host
    >>> to_host(np.ones(2))
    array([1., 1.])
    """
    library = library_of(array)
    if library is None:
        return np.asarray(array)
    if library == "torch":
        host: NDArray[Any] = array.detach().cpu().numpy()
        return host
    if library == "cupy":
        host = array.get()
        return host
    xp = compat().array_namespace(array)
    home = xp.__array_namespace_info__().default_device()
    return np.asarray(array if home is None else compat().to_device(array, home))


def to_device(array: Any, space: Space) -> DeviceArray:
    """Copy an array to a space, wherever it lives: an explicit move. Numbers keep their type."""
    if space.holds(array):
        return array
    library = library_of(array)
    if library is not None and library == space.name:
        moved = compat().to_device(array, space.device)
        return moved
    host = to_host(array)
    return space.upload(host, _same_type(host, space))


def _same_type(host: NDArray[Any], space: Space) -> Any:
    """Return the space's name of a NumPy type, None where the space has none."""
    if host.dtype == np.float64:
        return space.double
    return getattr(space.xp, host.dtype.name, None)


def check_floats(space: Space, value: Any, name: str, *, single: bool = False) -> DeviceArray:
    """Return finite real numbers in ``double``, converted where they live.

    ``single``: keep float32. Tensors that record gradients are detached.
    """
    xp = space.xp
    if not is_device_array(value):
        value = np.asarray(value) if space.name == "numpy" else value
    if getattr(value, "requires_grad", False):
        value = value.detach()
    if xp.isdtype(value.dtype, "complex floating"):
        raise TypeError(
            f"{name} is complex: pass real numbers, e.g. real and imaginary parts as two columns"
        )
    half = getattr(value, "is_floating_point", bool)()  # torch's bfloat16 is not in the standard
    if not (half or xp.isdtype(value.dtype, ("bool", "integral", "real floating"))):
        raise TypeError(f"{name} must hold real numbers, got dtype {value.dtype}")
    if not (single and value.dtype == xp.float32):
        value = xp.astype(value, space.double, copy=False)
    if math.prod(value.shape) and not bool(xp.all(xp.isfinite(value))):
        raise ValueError(f"{name} contains NaN or infinity: drop or impute such entries first")
    return value


def check_matrix(
    space: Space, X: Any, name: str = "X", *, n_features: int | None = None, single: bool = True
) -> DeviceArray:
    """Return a non-empty, finite matrix (n_samples, n_features) that lives in a space.

    ``single``: keep float32.
    """
    array = check_floats(space, X, name, single=single)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be 2-D (n_samples, n_features), got shape {tuple(array.shape)}: "
            f"use {name}.reshape(-1, 1) for one feature"
        )
    if 0 in array.shape:
        raise ValueError(
            f"{name} is empty (shape {tuple(array.shape)}): pass at least one row and one column"
        )
    if n_features is not None and array.shape[1] != n_features:
        raise ValueError(
            f"{name} has {array.shape[1]} columns, expected {n_features}: "
            "pass the same features in the same order"
        )
    return array


def check_vector(space: Space, value: Any, name: str, n_samples: int) -> DeviceArray:
    """Return a finite vector (n_samples,) that lives in a space."""
    array = check_floats(space, value, name)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be 1-D (n_samples,), got shape {tuple(array.shape)}: "
            f"use {name}.reshape(-1) if it holds one number per row of X"
        )
    if array.shape[0] != n_samples:
        raise ValueError(
            f"{name} has {array.shape[0]} entries but X has {n_samples} rows: "
            "pass one entry per row"
        )
    return array
