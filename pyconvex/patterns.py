"""Activation patterns: which samples a neuron lets through, one bit per sample."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvex.backends import array as array_kernels
from pyconvex.backends import get_backend, on_arrays
from pyconvex.data import check_int, check_matrix, check_n_threads
from pyconvex.device_choice import find_space
from pyconvex.namespaces import DeviceArray, Space, is_device_array, to_device, to_host
from pyconvex.namespaces import check_matrix as check_on_device
from pyconvex.rows import check_rows, pack_gates
from pyconvex.witnesses import inside, interior_points

_CHECKED = 4096  # witnesses checked at once
_MISFIT = "G has {} rows but X has {} columns: pass one gate per column (G.T if gates are its rows)"


def _freeze(array: NDArray[Any]) -> NDArray[Any]:
    """Make an array read-only; one that somebody could still write to is copied first."""
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


class PatternSet:
    """An immutable list of activation patterns of the same samples, bit-packed.

    Pattern g is the 0/1 diagonal of D_g = diag(1[X h_g >= 0]). Usually made by `from_gates`,
    `from_dense` or `pyconvex.sample_patterns`; these keep the order and drop repeated patterns
    (the first stays). ``patterns[3]`` is one pattern (bool, n_samples), ``patterns[2:5]``,
    ``patterns[indices]`` and ``patterns[mask]`` are sets again. Two sets are equal if they hold
    the same patterns, in whatever order.

    Sets that are made from arrays of another library, such as torch or CuPy, live on their device:
    ``packed`` then holds bytes, (n_patterns, ceil(n_samples / 8)) of dtype uint8, with sample i in
    bit ``i % 8`` of byte ``i // 8``. `to_host` and `to_device` move them.

    Parameters
    ----------
    packed : array of uint64, shape (n_patterns, ceil(n_samples / 64))
        Sample i in bit ``i % 64`` of word ``i // 64``; bits past the last sample are 0.
        Repeats are kept.
    n_samples : int
        Number of samples.
    gates : array, shape (n_features, n_patterns), optional
        The gate h_g of each pattern, one per column.
    X : array, shape (n_samples, n_features), optional
        The data, from which `witnesses` finds gates where none are given.
    cells, numbers
        Used by `pyconvex.enumerate_patterns`: what finds vectors inside the patterns, by number.

    Raises
    ------
    ValueError, TypeError
        If shapes, dtype or padding are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvex import PatternSet
    >>> patterns = PatternSet.from_gates(np.eye(2), np.array([[1, -1, 2], [1, 1, 3]]))
    >>> patterns
    PatternSet(n_patterns=2, n_samples=2, gates=True)
    >>> patterns.to_dense().astype(int)
    array([[1, 1],
           [0, 1]])
    """

    __slots__ = ("_X", "_cells", "_gates", "_n_samples", "_numbers", "_packed", "_space")

    def __init__(
        self,
        packed: NDArray[np.uint64],
        n_samples: int,
        gates: ArrayLike | None = None,
        X: ArrayLike | None = None,
        cells: Any = None,
        numbers: range | NDArray[np.int64] = range(0),
    ) -> None:
        self._n_samples = check_int(n_samples, "n_samples")
        self._space: Space | None = None
        packed = np.ascontiguousarray(packed)
        if packed.dtype != np.uint64:
            raise TypeError(f"packed must have dtype uint64, got {packed.dtype}: use from_dense")
        shape = (len(packed) if packed.ndim else 0, (self._n_samples + 63) // 64)
        if packed.shape != shape:
            raise ValueError(
                f"packed has shape {packed.shape} but {self._n_samples} samples fill "
                f"{shape[1]} words: use from_dense"
            )
        used = self._n_samples % 64
        if used and (packed[:, -1] >> np.uint64(used)).any():
            raise ValueError("packed has bits past the last sample: use from_dense")
        self._packed = _freeze(packed)
        self._gates = None if gates is None else _freeze(_check_gates(gates, len(packed)))
        self._X = None if X is None else _freeze(_check_rows(X, self._n_samples))
        self._cells, self._numbers = cells, numbers

    @classmethod
    def of_cells(
        cls, packed: NDArray[np.uint64], X: NDArray[np.float64], cells: Any, first: int
    ) -> "PatternSet":
        """Return patterns first, first + 1, ... of an enumeration, without a copy or a check.

        Used by `pyconvex.enumerate_patterns`: ``cells`` finds vectors inside them, by number.
        """
        patterns = cls.__new__(cls)
        patterns._n_samples, patterns._packed, patterns._gates = len(X), packed, None
        patterns._X, patterns._cells, patterns._space = X, cells, None
        patterns._numbers = range(first, first + len(packed))
        packed.flags.writeable = False
        return patterns

    @classmethod
    def of_bytes(
        cls, space: Space, packed: DeviceArray, n_samples: int, gates: DeviceArray | None = None
    ) -> "PatternSet":
        """Return patterns that live on a device, given their bytes, without a copy or a check."""
        patterns = cls.__new__(cls)
        patterns._space, patterns._packed, patterns._n_samples = space, packed, n_samples
        patterns._gates, patterns._X, patterns._cells = gates, None, None
        patterns._numbers = range(0)
        return patterns

    @classmethod
    def from_gates(
        cls, X: ArrayLike, G: ArrayLike, *, backend: str = "auto", n_threads: int | None = None
    ) -> "PatternSet":
        """Return the distinct patterns 1[X G >= 0], each with the first gate that shows it.

        Every backend and every number of threads gives the same bits. They live where X does: X
        and G of another library than NumPy must be on one device.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Data. Append a column of ones for gates with a bias.
        G : array, shape (n_features, n_gates)
            One gate per column.
        backend, n_threads
            As in `pyconvex.sample_patterns`.

        Returns
        -------
        PatternSet

        Raises
        ------
        ValueError, TypeError
            If an argument is no finite real matrix, or G does not fit X.
        """
        if on_arrays(X, backend):
            return _on_device(X, G).to_device(X)
        rows = check_rows(X, single=True)
        G = check_matrix(G, "G")
        if G.shape[0] != rows.shape[1]:
            raise ValueError(_MISFIT.format(G.shape[0], rows.shape[1]))
        kernels = get_backend(backend)
        packed = pack_gates(kernels, rows, G, check_n_threads(n_threads))
        return _distinct(cls(packed, len(rows), G), kernels)

    @classmethod
    def from_dense(
        cls, D: ArrayLike, X: ArrayLike | None = None, *, backend: str = "auto"
    ) -> "PatternSet":
        """Return the distinct rows of a matrix of zeros and ones.

        Parameters
        ----------
        D : array of bool or of 0 and 1, shape (n_patterns, n_samples)
            One pattern per row.
        X : array, shape (n_samples, n_features), optional
            Data, needed only for `witnesses`.
        backend
            As in `pyconvex.sample_patterns`.

        Returns
        -------
        PatternSet

        Raises
        ------
        ValueError, TypeError
            If D holds anything but zeros and ones, or X does not fit D.
        """
        if on_arrays(D, backend):
            return _from_bools(D).to_device(D)
        dense = _check_dense(D)
        kernels = get_backend(backend)
        packed = kernels.pack_dense(dense)
        return _distinct(cls(packed, dense.shape[1], X=X), kernels)

    @property
    def n_samples(self) -> int:
        """Number of samples: the length of each pattern."""
        return self._n_samples

    @property
    def space(self) -> Space | None:
        """Where the patterns live; None on the host, as NumPy arrays of 64-bit words."""
        return self._space

    @property
    def packed(self) -> Any:
        """Bits (n_patterns, ceil(n_samples / 64)), read-only; on a device its bytes."""
        return self._packed

    def to_host(self) -> "PatternSet":
        """Return a copy with NumPy arrays; the set itself where it is on the host."""
        if self._space is None:
            return self
        gates = None if self._gates is None else to_host(self._gates)
        return PatternSet(array_kernels.to_words(to_host(self._packed)), self._n_samples, gates)

    def to_device(self, like: Any) -> "PatternSet":
        """Return a copy of bits and gates, without data, that lives where an array does.

        Parameters
        ----------
        like : array
            Of the library and on the device to go to. A NumPy array stands for the host.
        """
        return self.to_host() if not is_device_array(like) else self.to_space(Space.of(like))

    def to_space(self, space: Space) -> "PatternSet":
        """Return the patterns in a space: themselves where they live there."""
        if self._space is not None and self._space == space:
            return self
        host = self.to_host()
        packed = array_kernels.upload_words(space, host.packed, self._n_samples)
        gates = None if host.gates is None else to_device(host.gates, space)
        return PatternSet.of_bytes(space, packed, self._n_samples, gates)

    @property
    def gates(self) -> Any:
        """Gates (n_features, n_patterns), read-only; None where only the bits are known.

        The gates of an enumeration are its `witnesses`, found when first asked for.
        """
        if self._gates is None and self._cells is not None:
            self._gates = _freeze(np.ascontiguousarray(self.witnesses().T))
        return self._gates

    def to_dense(self) -> NDArray[np.bool_]:
        """Return the patterns as bools (n_patterns, n_samples), where they live."""
        if self._space is not None:
            bits = array_kernels.unpack(self._space, self._packed, self._n_samples)
            on_device: NDArray[np.bool_] = self._space.xp.astype(bits, self._space.xp.bool)
            return on_device
        dense: NDArray[np.bool_] = get_backend().unpack(self._packed, self._n_samples)
        return dense

    def witnesses(self) -> NDArray[np.float64]:
        """Return one vector per pattern that shows it, (n_patterns, n_features).

        Where gates are known these are the gates: a gate that is orthogonal to a row of X lies
        on the boundary of its cell and is returned as it is. Patterns of an enumeration come with
        a recipe for a vector strictly inside; it is checked on all nonzero rows of X. Otherwise,
        and where that check fails, a linear program per pattern finds one.

        Raises
        ------
        ValueError
            If neither gates nor X are known, or if some pattern is no cell of X.
        """
        if self._space is not None and self._gates is not None:
            points: NDArray[np.float64] = self._space.xp.matrix_transpose(self._gates)
            return points
        if self._gates is not None:
            return np.ascontiguousarray(self._gates.T)
        if self._X is None:
            raise ValueError("witnesses need gates or data: use from_gates, or from_dense(D, X)")
        if self._cells is None:
            return interior_points(self._X, self.to_dense())
        points = self._cells.points(np.asarray(self._numbers, np.int64))
        for first in range(0, len(points), _CHECKED):
            block = slice(first, first + _CHECKED)
            dense = get_backend().unpack(self._packed[block], self._n_samples)
            outside = np.flatnonzero(~inside(self._X, dense, points[block]))
            if len(outside):
                points[first + outside] = interior_points(self._X, dense[outside])
        return points

    def margins(self) -> NDArray[np.float64]:
        """Return how far inside its cell each witness lies, (n_patterns,).

        The smallest |x_i . h| / (‖x_i‖ ‖h‖) over the nonzero rows of X: the sine of the angle
        between the witness h and the nearest hyperplane.

        Raises
        ------
        ValueError
            If X is not known, or as in `witnesses`.
        """
        if self._X is None:
            raise ValueError("margins need data: use from_dense(D, X) or enumerate_patterns(X)")
        norms = np.linalg.norm(self._X, axis=1)
        rows = self._X[norms > 0] / norms[norms > 0, np.newaxis]
        points = self.witnesses()
        points /= np.linalg.norm(points, axis=1)[:, np.newaxis]
        blocks = range(0, len(points), _CHECKED)
        nearest = [
            np.abs(rows @ points[k : k + _CHECKED].T).min(axis=0, initial=1.0) for k in blocks
        ]
        return np.concatenate([*nearest, np.zeros(0)])

    def __len__(self) -> int:
        return int(self._packed.shape[0])

    def __getitem__(self, key: Any) -> Any:
        if self._space is not None:
            return self._on_device(self._space, key)
        if isinstance(key, (int, np.integer)):
            row = self._packed[key][np.newaxis]
            return get_backend().unpack(row, self._n_samples)[0]
        gates = None if self._gates is None else self._gates[:, key]
        numbers: Any = self._numbers
        if self._cells is not None:
            numbers = numbers[key] if isinstance(key, slice) else np.asarray(numbers)[key]
        packed = self._packed[key]
        return PatternSet(packed, self._n_samples, gates, self._X, self._cells, numbers)

    def _on_device(self, space: Space, key: Any) -> Any:
        if isinstance(key, (int, np.integer)):
            row = self._packed[int(key), :][None, :]
            return space.xp.astype(
                array_kernels.unpack(space, row, self._n_samples)[0, :], space.xp.bool
            )
        chosen = np.arange(len(self))[to_host(key) if is_device_array(key) else key]
        places = space.upload(chosen)
        gates = self._gates if self._gates is None else space.xp.take(self._gates, places, axis=1)
        packed = space.take(self._packed, places)
        return PatternSet.of_bytes(space, packed, self._n_samples, gates)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PatternSet):
            return NotImplemented
        return self._n_samples == other._n_samples and self._rows() == other._rows()

    __hash__ = None  # type: ignore[assignment]  # equality as sets is too slow for a hash

    def _rows(self) -> set[bytes]:
        return {row.tobytes() for row in self.to_host().packed}

    def __reduce__(self) -> tuple[Any, ...]:
        if self._space is not None:
            return PatternSet.of_bytes, (self._space, self._packed, self._n_samples, self._gates)
        known = (self._gates, self._X, self._cells, self._numbers)
        return PatternSet, (self._packed, self._n_samples, *known)

    def __repr__(self) -> str:
        return (
            f"PatternSet(n_patterns={len(self)}, n_samples={self.n_samples}, "
            f"gates={self._gates is not None or self._cells is not None})"
        )


def _on_device(X: Any, G: Any) -> PatternSet:
    """Return the distinct patterns of gates where X and G live."""
    space = find_space(X, {"G": G})
    rows, gates = check_on_device(space, X), check_on_device(space, G, "G", single=False)
    if gates.shape[0] != rows.shape[1]:
        raise ValueError(_MISFIT.format(gates.shape[0], rows.shape[1]))
    return device_patterns(space, rows, gates)


def _from_bools(D: Any) -> PatternSet:
    """Return the distinct rows of zeros and ones where they live."""
    space = Space.of(D if is_device_array(D) else np.asarray(D))
    dense = check_on_device(space, D, "D")
    if space.any((dense != 0.0) & (dense != 1.0)):
        raise ValueError("D must hold only 0 and 1: use D > 0 for pre-activations")
    return _distinct_on(space, array_kernels.pack(space, dense != 0.0), int(dense.shape[1]), None)


def device_patterns(
    space: Space, X: DeviceArray, G: DeviceArray, *, unique: bool = True
) -> PatternSet:
    """Return the patterns 1[X G >= 0] of checked arrays that live in a space."""
    packed = array_kernels.pack_gates(space, X, G)
    if not unique:
        return PatternSet.of_bytes(space, packed, int(X.shape[0]), G)
    return _distinct_on(space, packed, int(X.shape[0]), G)


def _distinct_on(
    space: Space, packed: DeviceArray, n_samples: int, gates: DeviceArray | None
) -> PatternSet:
    patterns = PatternSet.of_bytes(space, packed, n_samples, gates)
    kept = array_kernels.unique(space, packed)
    distinct: PatternSet = patterns if kept is None else patterns[kept]
    return distinct


def _distinct(patterns: PatternSet, kernels: Any) -> PatternSet:
    kept = kernels.unique(patterns.packed)
    return patterns if len(kept) == len(patterns) else patterns[kept]


def _check_gates(gates: ArrayLike, n_patterns: int) -> NDArray[np.float64]:
    array = np.ascontiguousarray(gates, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != n_patterns:
        raise ValueError(
            f"gates must have one column per pattern ({n_patterns}), got shape {array.shape}: "
            "transpose it if gates are its rows"
        )
    return array


def _check_dense(D: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(D)
    if array.dtype == np.bool_ and array.ndim == 2 and array.size:  # no detour over float64
        return np.ascontiguousarray(array)
    values = check_matrix(D, "D")
    if not np.isin(values, (0.0, 1.0)).all():
        raise ValueError("D must hold only 0 and 1: use D > 0 for pre-activations")
    return values.astype(np.bool_)


def _check_rows(X: ArrayLike, n_samples: int) -> NDArray[np.float64]:
    X = check_matrix(X)
    if len(X) != n_samples:
        raise ValueError(
            f"X has {len(X)} rows but the patterns have {n_samples} samples: "
            "pass the data the patterns belong to"
        )
    return X


def check_patterns(
    patterns: Any, n_samples: int, name: str = "patterns", *, on_device: bool = False
) -> PatternSet:
    """Return patterns if it is a non-empty PatternSet of n_samples samples.

    ``on_device``: it may live on a device.
    """
    if not isinstance(patterns, PatternSet):
        raise TypeError(
            f"{name} must be a PatternSet, got {type(patterns).__name__}: "
            "use PatternSet.from_gates, PatternSet.from_dense or sample_patterns"
        )
    if patterns.n_samples != n_samples:
        raise ValueError(
            f"{name} has n_samples={patterns.n_samples} but X has {n_samples} rows: "
            "make the patterns from the same X"
        )
    if patterns.space is not None and not on_device:
        raise ValueError(
            f"{name} live on a device of {patterns.space.name} but X is a NumPy array: pass "
            f"{name}.to_host()"
        )
    if len(patterns) == 0:
        raise ValueError(f"{name} is empty: pass at least one pattern")
    return patterns
