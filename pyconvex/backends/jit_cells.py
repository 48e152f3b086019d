"""Numba: search of the cells of an arrangement by their bottom vertices; see the C++ twin."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvex.backends.jit_tableau import (
    ABOVE,
    AMPLIFY,
    BELOW,
    BITS,
    CLOSED,
    EPSILON,
    ERROR,
    LINE,
    MINOR,
    N_CLOSED,
    ONE,
    choose,
    get_bit,
    lies_above,
    new_tableau,
    padding,
    write_pattern,
)
from pyconvex.backends.jit_threads import in_chunks, max_threads

from .jit_compile import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bits = NDArray[np.uint64]
Chosen = NDArray[np.int32]

REDRAW = -1  # instead of a number of cells: another rotation is needed
MIN_PART = 512  # ranks that are worth a thread's attention
PARTS_PER_THREAD = 4
LOW = np.uint64(0xFFFFFFFF)


@kernel
def _signs(columns, t, start, n, ratio, threshold):
    """Signs of q_j - p_j ratio for up to 64 lines j, and how many are nearly zero."""
    word, small = np.uint64(0), 0
    for k in range(np.uint64(n)):  # unsigned: SIMD code needs no wrapped indices
        value = columns[t, t + 1, start + k] - columns[t, t, start + k] * ratio
        word |= np.uint64(value >= 0.0) << k
        small += not abs(value) > threshold
    return word, small


@kernel
def set_counts(m, r):
    """Table (e, s): sets of at most s out of e lines."""
    sizes = np.ones((m + 1, r + 1), np.int64)
    for e in range(1, m + 1):
        for s in range(1, r + 1):
            sizes[e, s] = sizes[e - 1, s] + sizes[e - 1, s - 1]
    return sizes


@kernel(inline="always")
def _emit(Y, Z, columns, reals, numbers, words, failed, t, packed, chosen, n_found):
    """Write the pair of cells of the lines chosen at level t."""
    if len(packed):
        write_pattern(Y, Z, columns, reals, numbers, words, failed, t, packed, 2 * n_found)
        _write_opposite(packed, 2 * n_found, len(Y))
    _write_chosen(numbers, t, numbers[t, LINE], chosen, n_found)


@kernel(inline="always")
def _write_chosen(numbers, t, last, chosen, n_found):
    """Levels 1 .. t - 1 and the last line."""
    if not len(chosen):
        return
    for s in range(chosen.shape[1]):
        line = -1
        if s < t:
            line = numbers[s + 1, LINE] if s < t - 1 else last
        chosen[n_found, s] = line


@kernel(inline="always")
def _write_opposite(packed, g, m):
    """Write the pattern of the cell opposite to pattern g after it."""
    n_words = packed.shape[1]
    for w in range(n_words):
        packed[g + 1, w] = ~packed[g, w]
    packed[g + 1, n_words - 1] &= padding(m)


@kernel(error_model="numpy", inline="always")
def _leaves(
    Y, Z, tol, columns, reals, numbers, words, residues, failed, t, start, stop, packed, chosen,
    n_found, pattern,
):  # fmt: skip
    """Handle the sets of level t = r - 2 with one more line, start .. stop - 1.

    Returns the number of pairs found so far.
    """
    m, n_words = len(Y), len(pattern)
    n_rows, scale = columns.shape[2], abs(reals[t, MINOR])
    expected = numbers[t, N_CLOSED] + 1 + n_rows - m  # and padding
    for i in range(start, stop):
        pivot = columns[t, t, i]
        inverse = 1.0 / pivot
        ratio = columns[t, t + 1, i] * inverse
        minor = abs(scale * pivot)
        threshold = (reals[t, ERROR] + AMPLIFY * EPSILON / (scale * minor)) / minor
        n_small = 0
        for w in range(n_words):
            first = np.uint64(64 * w)
            width = min(64, n_rows - 64 * w)
            pattern[w], small = _signs(columns, t, first, width, ratio, threshold)
            n_small += small
        sure = n_small == expected
        if sure and len(packed):
            sure = _complete(columns, words, t, i, inverse, threshold, m, pattern)
        if sure:
            if len(packed):
                for w in range(n_words):
                    packed[2 * n_found, w] = pattern[w]
                _write_opposite(packed, 2 * n_found, m)
            _write_chosen(numbers, t + 1, i, chosen, n_found)
            n_found += 1
        elif choose(
            Y, Z, tol, columns, reals, numbers, words, residues, failed, False, t, i
        ):  # the thorough way
            _emit(Y, Z, columns, reals, numbers, words, failed, t + 1, packed, chosen, n_found)
            n_found += 1
        if failed[0]:
            break
    return n_found


@kernel(inline="always")
def _complete(columns, words, t, i, inverse, threshold, m, pattern):
    """Put in the bits of the chosen lines, of what lies in their span, and of line i.

    False where some sign is within rounding errors.
    """
    n_words = len(pattern)
    infinity = (pattern[n_words - 1] >> np.uint64((m - 1) % 64)) & ONE != np.uint64(0)
    pattern[n_words - 1] &= padding(m)
    for w in range(n_words):
        pattern[w] &= ~words[t, CLOSED, w]
    slope = columns[t, t, m - 1] * inverse
    for s in range(t):
        b = columns[t, s, m - 1] - slope * columns[t, s, i]
        if not abs(b) > threshold:
            return False
        side = ABOVE if (b > 0.0) != infinity else BELOW
        for w in range(n_words):
            pattern[w] |= words[s + 1, side, w]
    same = get_bit(words, t, BITS, m - 1) == get_bit(words, t, BITS, i)
    place = np.uint64(i % 64)
    pattern[i // 64] &= ~(ONE << place)
    pattern[i // 64] |= np.uint64(same != infinity) << place
    return True


@kernel
def _search(Y, Z, tol, sizes, first, last, packed, chosen):
    """Depth first over the sets of lines, skipping what lies before ``first``."""
    columns, reals, numbers, words, residues, failed = new_tableau(Y, Z, tol, False)
    m, r = Y.shape
    pattern = np.zeros(words.shape[2], np.uint64)
    following = np.zeros(r, np.int64)
    rank = n_found = t = 0
    if first == 0:
        _emit(Y, Z, columns, reals, numbers, words, failed, 0, packed, chosen, 0)
        n_found = 1
    rank = 1
    while t >= 0 and rank < last and not failed[0]:
        if t >= r - 2:
            if t == r - 2:
                start = numbers[t, LINE] + 1
                skipped = min(max(first - rank, 0), m - 1 - start)
                rank += skipped
                i = start + skipped
                stop = min(m - 1, i + last - rank)
                n_found = _leaves(
                    Y, Z, tol, columns, reals, numbers, words, residues, failed, t, i, stop,
                    packed, chosen, n_found, pattern,
                )  # fmt: skip
                rank += stop - i
            t -= 1
            continue
        i = following[t]
        following[t] += 1
        if i > m - 2:
            t -= 1
            continue
        size = sizes[m - 2 - i, r - 2 - t]
        if rank + size <= first or not choose(
            Y, Z, tol, columns, reals, numbers, words, residues, failed, False, t, i
        ):
            rank += size
            continue
        t += 1
        following[t] = i + 1
        if rank >= first:
            _emit(Y, Z, columns, reals, numbers, words, failed, t, packed, chosen, n_found)
            n_found += 1
        rank += 1
    return REDRAW if failed[0] else n_found


def _search_all(
    Y: Floats,
    Z: Integers,
    tol: float,
    first: int,
    last: int,
    packed: Bits,
    chosen: Chosen,
    n_threads: int,
) -> int:
    """Share the ranks out to threads; close the gaps that missing cells leave."""
    sizes = set_counts(len(Y) - 1, Y.shape[1] - 1)
    wanted = PARTS_PER_THREAD * (n_threads or max_threads())
    n_parts = min(max((last - first) // MIN_PART, 1), wanted)
    starts = [first + (last - first) * part // n_parts for part in range(n_parts + 1)]

    def search(parts: slice) -> list[int]:
        found = []
        for part in range(parts.start, parts.stop):
            low, high = starts[part] - first, starts[part + 1] - first
            rows = packed[2 * low : 2 * high], chosen[low:high]
            found.append(_search(Y, Z, float(tol), sizes, starts[part], starts[part + 1], *rows))
        return found

    counts = [count for part in in_chunks(search, n_parts, n_threads) for count in part]
    if REDRAW in counts:
        return REDRAW
    total = 0
    for start, count in zip(starts, counts, strict=False):
        low = start - first
        if low != total and len(packed):
            packed[2 * total : 2 * (total + count)] = packed[2 * low : 2 * (low + count)]
        if low != total and len(chosen):
            chosen[total : total + count] = chosen[low : low + count]
        total += count
    return total


def count_cells(Y: Floats, Z: Integers, tol: float, first: int, last: int, n_threads: int) -> int:
    """Count the pairs of opposite cells whose chosen lines have ranks first .. last - 1.

    -1 where rounding had the last word.
    """
    r = Y.shape[1]
    nothing = np.zeros((0, (len(Y) + 63) // 64), np.uint64), np.zeros((0, r - 1), np.int32)
    return _search_all(Y, Z, tol, first, last, *nothing, n_threads)


def fill_cells(
    Y: Floats, Z: Integers, tol: float, first: int, last: int, packed: Bits, n_threads: int
) -> int:
    """Write those pairs to packed (2 (last - first), words) and return their number."""
    nothing = np.zeros((0, Y.shape[1] - 1), np.int32)
    return _search_all(Y, Z, tol, first, last, packed, nothing, n_threads)


def fill_chosen(
    Y: Floats, Z: Integers, tol: float, first: int, last: int, chosen: Chosen, n_threads: int
) -> int:
    """Write their chosen lines to chosen (last - first, r - 1), padded with -1."""
    nothing = np.zeros((0, (len(Y) + 63) // 64), np.uint64)
    return _search_all(Y, Z, tol, first, last, nothing, chosen, n_threads)


@kernel
def _interior_point(Y, Z, columns, reals, numbers, words, failed, t, point):
    """Compute w + eps (v_t + eps (v_{t-1} + ...)), where v_s is dual to the chosen lines.

    Each eps keeps the lines that the longer vector already put on their side.
    """
    m, r = Y.shape
    u = np.zeros(m + r)
    for s in range(t + 1):
        sign = 1.0
        if s < t and not lies_above(Y, Z, columns, reals, numbers, words, failed, t, s):
            sign = -1.0
        room = 2.0
        for j in range(m):
            if s == t:
                decided = not get_bit(words, t, CLOSED, j)
            else:
                decided = get_bit(words, s + 1, ABOVE, j) or get_bit(words, s + 1, BELOW, j)
            step = sign * columns[t, s, j]
            if decided and u[j] * step < 0.0:
                room = min(room, abs(step / u[j]))
        for j in range(m + r):
            u[j] = sign * columns[t, s, j] + 0.5 * room * u[j]
    point[:] = u[m : m + r]


@kernel
def _decode(Y, Z, tol, chosen, packed, points, valid):
    m, r = Y.shape
    columns, reals, numbers, words, residues, failed = new_tableau(Y, Z, tol, True)
    for k in range(len(chosen)):
        t = 0
        valid[k] = True
        while valid[k] and t < r - 1 and chosen[k, t] >= 0:
            i = chosen[k, t]
            later = (t == 0 or i > chosen[k, t - 1]) and i < m - 1
            valid[k] = later and choose(
                Y, Z, tol, columns, reals, numbers, words, residues, failed, True, t, i
            )
            t += 1
        if valid[k]:
            write_pattern(Y, Z, columns, reals, numbers, words, failed, t, packed, k)
            _interior_point(Y, Z, columns, reals, numbers, words, failed, t, points[k])
    return not failed[0]


def decode_cells(
    Y: Floats, Z: Integers, tol: float, chosen: Chosen, n_threads: int
) -> tuple[Bits, Floats, NDArray[np.bool_]] | None:
    """Return the first pattern of each set of lines, a vector inside, and whether it is a cell.

    None where rounding had the last word.
    """
    n = len(chosen)
    packed = np.zeros((n, (len(Y) + 63) // 64), np.uint64)
    points = np.zeros((n, Y.shape[1]))
    valid = np.zeros(n, np.bool_)

    def decode(part: slice) -> bool:
        parts = chosen[part], packed[part], points[part], valid[part]
        return bool(_decode(Y, Z, float(tol), *parts))

    sure: list[Any] = in_chunks(decode, n, n_threads)
    return (packed, points, valid) if all(sure) else None


@kernel
def _sweep(order, start, first, last, packed):
    m = len(order)
    pattern = start.copy()
    for k in range(last):
        if k >= first:
            for w in range(len(pattern)):
                packed[2 * (k - first), w] = pattern[w]
            _write_opposite(packed, 2 * (k - first), m)
        pattern[order[k] // 64] ^= ONE << np.uint64(order[k] % 64)


def sweep_cells(order: Integers, start: Bits, first: int, last: int, packed: Bits) -> None:
    """For rank 2: line after line as a vector turns, ``start`` before the first of ``order``."""
    _sweep(order, start, first, last, packed)


@kernel
def _expand(packed, line, flip, expanded):
    for g in range(len(packed)):
        for i in range(len(line)):
            on = ONE
            if line[i] >= 0:
                on = (packed[g, line[i] // 64] >> np.uint64(line[i] % 64)) & ONE
            expanded[g, i // 64] |= (on ^ np.uint64(flip[i])) << np.uint64(i % 64)


def expand_rows(
    packed: Bits, n_lines: int, line: Integers, flip: NDArray[np.bool_], n_threads: int
) -> Bits:
    """Patterns of rows from those of lines: row i is on where line[i] is, or not if flip[i].

    Rows with line[i] = -1 are always on.
    """
    expanded = np.zeros((len(packed), (len(line) + 63) // 64), np.uint64)
    in_chunks(
        lambda part: _expand(packed[part], line, flip, expanded[part]), len(packed), n_threads
    )
    return expanded
