"""Enumerate the cells of the arrangement of the hyperplanes x_i . h = 0, exactly."""

import math
import os
from collections.abc import Iterator
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from pyconvex.arrangement import (
    MAX_DRAWS,
    TOO_THIN,
    WORK,
    Arrangement,
    Bits,
    Cells,
    RotationError,
    n_words,
    name_of,
    with_rotation,
)
from pyconvex.backends import get_backend
from pyconvex.data import check_exact_matrix, check_int, check_n_threads
from pyconvex.lines import Array, find_lines
from pyconvex.patterns import PatternSet

_MAX_PATTERNS = 20_000_000
_BLOCK_SIZE = 65_536
_BLOCK_WORDS = 2**22  # 32 MiB
_FETCH_WORDS = 2**18
_MAX_SETS = 2**62  # ranks are 64-bit integers


def enumerate_patterns(
    X: ArrayLike,
    *,
    max_patterns: int = _MAX_PATTERNS,
    verify: bool = False,
    n_threads: int | None = None,
    backend: str = "auto",
) -> PatternSet:
    r"""Return every activation pattern 1[X h >= 0] that an open set of vectors h shows.

    These are the full-dimensional cells of the arrangement of the hyperplanes
    :math:`x_i^\top h = 0`; with r = rank X there are at most
    :math:`2 \sum_{k<r} \binom{n-1}{k}` (Cover 1965), exactly as many where the rows are in
    general position.

    Parameters
    ----------
    X : array, shape (n_samples, n_features)
        Data. Append a column of ones for neurons with a bias. Degenerate data need no care: zero,
        repeated, parallel and opposite rows, dependent columns. Integers (up to 26 bits, and up to
        a power of two per row) and fractions are treated exactly; other rows count as dependent
        where the volume they span is within rounding errors of zero (see Notes).
    max_patterns : int
        Refuse to start if there may be more.
    verify : bool
        Count once more with the rows in another order and other coordinates, and look for repeated
        patterns.
    n_threads : int, optional
        Threads; None takes all cores. The result does not depend on it.
    backend : {"auto", "native", "jit"}
        Who computes. Both give the same patterns in the same order.

    Returns
    -------
    PatternSet
        Cell 2k + 1 is the opposite of cell 2k. `PatternSet.witnesses` finds a vector inside each
        cell when asked.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or if there may be more than ``max_patterns`` patterns or more
        than fit into memory: then use `iter_patterns` or `sample_patterns`.
    RuntimeError
        If ``verify`` finds a difference, or if rounding errors cannot be kept out.

    Notes
    -----
    Cells are found from their bottom vertices, one elimination step each, without linear programs
    (sets without broken circuits: Bjorner & Ziegler 1991). Inexact rows are scaled to unit length
    in coordinates that whiten them; r of them are dependent if the volume of the parallelotope
    they span is below 256 r eps times the condition number of X scaled so.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> X = np.random.default_rng(0).standard_normal((8, 3))
    >>> len(pyconvex.enumerate_patterns(X))
    58
    """
    rows, kernels, threads = _check_rows(X), get_backend(backend), check_n_threads(n_threads)
    limit = check_int(max_patterns, "max_patterns")

    def attempt(draw: int) -> PatternSet:
        arrangement = Arrangement(find_lines(rows, draw), kernels, threads)
        if arrangement.lines.rank == 0:
            return _single(rows, kernels)
        _check_size(arrangement.n_sets, len(rows), limit)
        packed = np.empty((2 * arrangement.n_sets, n_words(len(rows))), np.uint64)
        n_pairs = 0
        for first, last in arrangement.windows(0, arrangement.n_sets):
            n_pairs += arrangement.fill(first, last, packed[2 * n_pairs :][: 2 * (last - first)])
        packed.resize((2 * n_pairs, packed.shape[1]), refcheck=False)
        return PatternSet.of_cells(packed, rows, Cells(rows, draw, name_of(kernels), n_pairs), 0)

    patterns = with_rotation(attempt)
    if verify:
        _verify(patterns, rows, kernels, threads)
    return patterns


def iter_patterns(
    X: ArrayLike,
    *,
    start: int = 0,
    stop: int | None = None,
    block_size: int | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
) -> Iterator[PatternSet]:
    """Yield the patterns of `enumerate_patterns`, in the same order, block by block.

    Parameters
    ----------
    X : array, shape (n_samples, n_features)
        Data, as in `enumerate_patterns`.
    start, stop : int
        Yield the patterns from number ``start`` up to but not including ``stop`` (None: all).
        Patterns before ``start`` are counted, which is faster than listing them.
    block_size : int, optional
        Patterns per block; the last block may be smaller. Memory is proportional to it. Default:
        65,536, or as many as fit into 32 MiB.
    n_threads, backend
        As in `enumerate_patterns`.

    Yields
    ------
    PatternSet

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or if patterns cannot be numbered with 64 bits.
    RuntimeError
        If rounding errors cannot be kept out.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconvex
    >>> X = np.random.default_rng(0).standard_normal((8, 3))
    >>> [len(block) for block in pyconvex.iter_patterns(X, block_size=25)]
    [25, 25, 8]
    """
    rows, kernels, threads = _check_rows(X), get_backend(backend), check_n_threads(n_threads)
    start = check_int(start, "start", minimum=0)
    stop = _MAX_SETS if stop is None else check_int(stop, "stop", minimum=0)
    size = max(1, min(_BLOCK_SIZE, _BLOCK_WORDS // n_words(len(rows))))
    if block_size is not None:
        size = check_int(block_size, "block_size")
    lines = find_lines(rows)
    if 2 * lines.n_sets > _MAX_SETS:
        raise ValueError(
            f"X may have {_readable(2 * lines.n_sets)} patterns, too many to number: "
            "use sample_patterns"
        )
    return _blocks(rows, Arrangement(lines, kernels, threads), start, stop, size)


def _blocks(
    X: Array, arrangement: Arrangement, start: int, stop: int, size: int
) -> Iterator[PatternSet]:
    kernels, threads, begun = arrangement.kernels, arrangement.n_threads, False
    if arrangement.lines.rank == 0:
        if start < 1 <= stop:
            yield _single(X, kernels)
        return
    for draw in range(MAX_DRAWS):
        if draw > 0:
            arrangement = Arrangement(find_lines(X, draw), kernels, threads)
        cells, number = Cells(X, draw, name_of(kernels)), start
        try:
            for packed in _stream(arrangement, start, stop, size):
                begun = True
                yield PatternSet.of_cells(packed, X, cells, number)
                number += len(packed)
            return
        except RotationError:
            if begun:  # another rotation has another order
                raise RuntimeError(TOO_THIN) from None
    raise RuntimeError(TOO_THIN)


def _stream(arrangement: Arrangement, start: int, stop: int, size: int) -> Iterator[Bits]:
    """Yield arrays of ``size`` patterns, the last one smaller."""
    width, n_sets = n_words(len(arrangement.lines.line)), arrangement.n_sets
    fetch = _FETCH_WORDS // width  # several small blocks at once: threads start less often
    first, before = _skip(arrangement, start // 2, n_sets)
    skip, left = start - 2 * before, max(stop - start, 0)  # patterns to drop and to yield
    parts: list[Bits] = []
    ready = 0
    while left > 0 and (first < n_sets or ready):
        wanted = min(size, left)
        while ready < wanted and first < n_sets:
            window = max((wanted - ready + skip + 1) // 2, min(4 * size, fetch))
            last = min(first + max(min(window, WORK // width // 64), 64), n_sets)
            packed = np.empty((2 * (last - first), width), np.uint64)
            packed = packed[: 2 * arrangement.fill(first, last, packed)]
            parts.append(packed[skip:])
            skip, first = max(skip - len(packed), 0), last
            ready += len(parts[-1])
        merged = parts[0] if len(parts) == 1 else np.concatenate(parts)
        yield merged[:wanted]
        parts, left = [merged[wanted:]], left - min(wanted, len(merged))
        ready = len(parts[0])


def _skip(arrangement: Arrangement, pairs: int, n_sets: int) -> tuple[int, int]:
    """Return a set up to which not more than a number of pairs come, and how many come."""
    done = first = 0
    while first < n_sets and done < pairs:
        last = min(first + max(pairs - done, 1), n_sets)
        done += arrangement.count(first, last)
        first = last
    return first, done


def count_patterns(
    X: ArrayLike, *, bound: bool = False, n_threads: int | None = None, backend: str = "auto"
) -> int:
    r"""Return the number of patterns that `enumerate_patterns` lists, without listing them.

    Parameters
    ----------
    X : array, shape (n_samples, n_features)
        Data, as in `enumerate_patterns`.
    bound : bool
        Return the upper bound :math:`2 \sum_{k<r} \binom{m-1}{k}` at once, r = rank X and m the
        number of distinct lines among the rows; exact in general position.
    n_threads, backend
        As in `enumerate_patterns`.

    Returns
    -------
    int

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or if there may be too many to count one by one.
    RuntimeError
        If rounding errors cannot be kept out.

    Examples
    --------
    >>> import itertools
    >>> import numpy as np
    >>> import pyconvex
    >>> cube = np.array(list(itertools.product([-1, 1], repeat=3)))
    >>> pyconvex.count_patterns(cube), pyconvex.count_patterns(cube, bound=True)
    (14, 14)
    """
    rows, kernels, threads = _check_rows(X), get_backend(backend), check_n_threads(n_threads)

    def attempt(draw: int) -> int:
        arrangement = Arrangement(find_lines(rows, draw), kernels, threads)
        if arrangement.lines.rank == 0:
            return 1
        if bound:
            return 2 * arrangement.n_sets
        if 2 * arrangement.n_sets > _MAX_SETS:
            raise ValueError(
                f"X may have {_readable(2 * arrangement.n_sets)} patterns, too many to count: use "
                "bound=True for an upper bound"
            )
        return 2 * arrangement.count(0, arrangement.n_sets)

    return with_rotation(attempt)


def _check_rows(X: ArrayLike) -> Array:
    """Return X as the sets of its patterns keep it: checked, exact, read-only."""
    rows: Array = check_exact_matrix(X).copy()
    rows.flags.writeable = False
    return rows


def _check_size(n_sets: int, n_samples: int, max_patterns: int) -> None:
    count, size = 2 * n_sets, 2 * n_sets * 8 * n_words(n_samples)
    memory = _memory()
    if count <= max_patterns and size <= memory:
        return
    limit = f"max_patterns={max_patterns}"
    if count <= max_patterns:
        limit = f"the {memory / 2**30:.3g} GiB of memory"
    raise ValueError(
        f"X may have {_readable(count)} patterns ({size / 2**30:.3g} GiB), more than {limit}: "
        "stream them with iter_patterns, draw some with sample_patterns, or raise max_patterns "
        "(degenerate data have fewer: count_patterns tells)"
    )


def _memory() -> float:
    """Bytes of memory in this machine; infinity where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _verify(patterns: PatternSet, X: Array, kernels: ModuleType, threads: int) -> None:
    """Compare with a count from other coordinates and another order of the rows."""
    shuffled = X[np.random.default_rng(1).permutation(len(X))]

    def attempt(draw: int) -> int:
        arrangement = Arrangement(find_lines(shuffled, MAX_DRAWS + draw), kernels, threads)
        return 2 * arrangement.count(0, arrangement.n_sets) if arrangement.lines.rank else 1

    count = with_rotation(attempt)
    distinct = len(kernels.unique(patterns.packed))
    if not len(patterns) == distinct == count:
        raise RuntimeError(
            f"verification failed: {len(patterns)} patterns, {distinct} of them distinct, but "
            f"{count} by a second count. {TOO_THIN}"
        )


def _single(X: Array, kernels: ModuleType) -> PatternSet:
    """Return the one cell of zero rows, all of which are on."""
    packed = kernels.pack_dense(np.ones((1, len(X)), np.bool_))
    return PatternSet.of_cells(packed, X, Cells(X, 0, name_of(kernels), 1), 0)


def _readable(count: int) -> str:
    return str(count) if count < 10**12 else f"{count:.2e}".replace("+", "")
