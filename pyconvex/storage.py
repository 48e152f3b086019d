"""Named arrays in a file: NumPy's npz format with a kind, a version and no pickled objects."""

import os
import zipfile
import zlib
from contextlib import AbstractContextManager, nullcontext
from io import TextIOBase
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyconvex.losses import Array

File: TypeAlias = str | os.PathLike[str] | IO[bytes]

# What NumPy and zipfile raise on files that are cut off, damaged or of another kind.
_UNREADABLE = (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def write_arrays(file: File, kind: str, version: int, arrays: dict[str, Array]) -> None:
    """Write arrays so that `read_arrays` finds them under the same path.

    Parameters
    ----------
    file : path or binary file object
        Where to write. NumPy would append ".npz" to a path; here it stays as it is.
    kind : str
        What the arrays are.
    version : int
        Version of the format of this kind.
    arrays : dict
        The arrays; their names must not be "kind" or "version".
    """
    with _opened(file, "wb") as stream:
        np.savez(stream, kind=np.array(kind), version=np.array(version), **arrays)  # type: ignore[arg-type]


def read_arrays(file: File, kind: str, version: int) -> dict[str, Array]:
    """Return the arrays that `write_arrays` wrote.

    Parameters
    ----------
    file : path or binary file object, seekable
        Where to read.
    kind : str
        What the file must hold.
    version : int
        The newest version that can be read.

    Raises
    ------
    ValueError
        If the file is damaged, holds something else or is of a newer version.
    OSError
        If it cannot be opened.
    """
    name = file if isinstance(file, (str, os.PathLike)) else "the file"
    with _opened(file, "rb") as stream:
        try:
            arrays = _arrays(stream)
        except _UNREADABLE as error:
            raise ValueError(f"{name} does not hold a {kind}, or it is damaged") from error
    found, written = arrays.pop("kind", None), arrays.pop("version", None)
    if found is None or written is None or str(found) != kind:
        raise ValueError(f"{name} does not hold a {kind}: pass a file that {kind}.save wrote")
    if int(written) > version:
        raise ValueError(
            f"{name} has format version {int(written)}, but this pyconvex reads up to {version}: "
            "upgrade pyconvex, or save the file with an older version"
        )
    return arrays


def _arrays(stream: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return what an npz file holds; objects, which only pickle could restore, are refused."""
    loaded = np.load(stream, allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise ValueError("a single array, not an npz file")
    with loaded:
        return {name: loaded[name] for name in loaded.files}


def _opened(file: Any, mode: str) -> AbstractContextManager[IO[bytes]]:
    """Return a context that closes what it opened, but no file object of the caller."""
    if isinstance(file, (str, os.PathLike)):
        return open(file, mode)
    if isinstance(file, TextIOBase):
        raise TypeError(f'path is a text file: open it in binary mode, "{mode}"')
    if not hasattr(file, "read" if mode == "rb" else "write"):
        raise TypeError(f"path must be a path or a binary file, got {type(file).__name__}")
    return nullcontext(file)
