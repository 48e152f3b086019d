"""Numba: the elimination tableau of the cell search, one level per chosen line.

At level t lines i_1 < ... < i_t are chosen. Column s < t holds the coefficient of y_{i_s} in every
y_j, as far as the first t coordinates go; column c >= t holds y_j . w_c for the w_c = e_c - ...
that is orthogonal to the chosen lines (Gauss-Jordan elimination). Column t thus says on which side
of every line the vertex w_t lies.
"""

import numpy as np

from pyconvex.backends.jit_minors import PRIME, exact_sign, inverse_modulo, residue, volume

from .jit_compile import kernel

AMPLIFY = 32.0  # rounding errors of one elimination step, in units of eps
DOUBT = 1e-13  # determinants of unit rows below this are never trusted
EPSILON = np.finfo(np.float64).eps
ONE = np.uint64(1)
BLOCK = 32

# The tableau is a handful of arrays, passed one by one: numba counts references to the fields of a
# tuple at every access, which costs more than an elimination step.
#
# Y (m, r) unit rows; Z (m, r) integers, or (0, r); tol
# columns (levels, r, lines and padding): SIMD loops over multiples of BLOCK need no remainder
# reals (levels, 2): the determinant of the chosen lines, first t coordinates, and a bound of the
#     rounding errors of the determinants one level on
# numbers (levels, 3): i_t, how many lines lie in the span of the chosen ones, have residues?
# words (levels, 4, n_words): signs of column t; the lines in the span; those that joined it with
#     i_t as positive multiples of y_{i_t} modulo the span before; and as negative ones
# residues (levels, m, r): all lines modulo the span, modulo a prime
# failed (1,): some determinant vanishes though its lines are independent, draw another rotation
MINOR, ERROR = 0, 1
LINE, N_CLOSED, HAS_RESIDUES = 0, 1, 2
BITS, CLOSED, ABOVE, BELOW = 0, 1, 2, 3


@kernel
def new_tableau(Y, Z, tol, whole):
    """Level 0. ``whole`` keeps every coefficient, and r more lines, the unit vectors."""
    m, r = Y.shape
    n_rows = m + (r if whole else 0)
    columns = np.zeros((r, r, (n_rows + BLOCK - 1) // BLOCK * BLOCK))
    reals = np.ones((r, 2))
    reals[0, ERROR] = max(0.0 if len(Z) else tol, DOUBT)
    failed = np.zeros(1, np.bool_)
    for c in range(r):
        for j in range(m):
            columns[0, c, j] = Y[j, c]
        if whole:
            columns[0, c, m + c] = 1.0
    for j in range(m):
        if abs(Y[j, 0]) <= reals[0, ERROR]:
            failed[0] = True
    numbers = np.zeros((r, 3), np.int64)
    numbers[0, LINE] = -1
    words = np.zeros((r, 4, (m + 63) // 64), np.uint64)
    pack_signs(columns, 0, m, words)
    residues = np.zeros((r if len(Z) else 1, len(Z), r), np.uint64)
    return columns, reals, numbers, words, residues, failed


@kernel
def pack_signs(columns, t, m, words):
    """Bits of level t: 1[column t >= 0]."""
    for w in range(np.uint64(words.shape[2])):
        start = w * np.uint64(64)
        word = np.uint64(0)
        for k in range(min(np.uint64(64), np.uint64(columns.shape[2]) - start)):
            word |= np.uint64(columns[t, t, start + k] >= 0.0) << k
        words[t, BITS, w] = word
    words[t, BITS, words.shape[2] - 1] &= padding(m)


@kernel(inline="always")
def padding(m):
    """Return the bits in use in the last word."""
    return (ONE << np.uint64(m % 64)) - ONE if m % 64 else ~np.uint64(0)


@kernel(inline="always")
def get_bit(words, t, kind, i):
    """Bit i of one kind of words of level t."""
    return (words[t, kind, i // 64] >> np.uint64(i % 64)) & ONE != np.uint64(0)


@kernel(error_model="numpy")
def choose(Y, Z, tol, columns, reals, numbers, words, residues, failed, whole, t, i):
    """Choose line i > i_t after level t.

    False where that is no broken-circuit-free set: i or a later line lies in the span (or where
    the tableau failed). Indices are unsigned where a loop shall become SIMD code.
    """
    m, r = Y.shape
    n_rows = np.uint64(columns.shape[2])
    pivot = columns[t, t, i]
    minor = reals[t, MINOR] * pivot
    reals[t + 1, MINOR] = minor
    reals[t + 1, ERROR] = reals[t, ERROR] + AMPLIFY * EPSILON / abs(reals[t, MINOR] * minor)
    for c in range(t + 1, r):
        factor = columns[t, c, i] / pivot
        for j in range(n_rows):
            columns[t + 1, c, j] = columns[t, c, j] - factor * columns[t, t, j]
        columns[t + 1, c, i] = 0.0
    bit = ONE << np.uint64(i % 64)
    for w in range(words.shape[2]):
        words[t + 1, CLOSED, w] = words[t, CLOSED, w]
        words[t + 1, ABOVE, w] = words[t + 1, BELOW, w] = np.uint64(0)
    words[t + 1, ABOVE, i // 64] = bit
    words[t + 1, CLOSED, i // 64] |= bit
    numbers[t + 1, LINE] = i
    numbers[t + 1, N_CLOSED] = numbers[t, N_CLOSED] + 1
    numbers[t + 1, HAS_RESIDUES] = 0
    threshold = reals[t + 1, ERROR] / abs(minor)
    small = 0
    for j in range(np.uint64(m if whole else n_rows)):
        small += not abs(columns[t + 1, t + 1, j]) > threshold  # also what overflowed
    if not whole:
        small -= columns.shape[2] - m  # the padding is zero
    if small > numbers[t + 1, N_CLOSED] and not close(
        Y, Z, tol, columns, reals, numbers, words, residues, failed, t, i, threshold
    ):
        return False
    pack_signs(columns, t + 1, m, words)
    first = np.uint64(0 if whole else i // BLOCK * BLOCK)  # earlier lines are never chosen again
    inverse = 1.0 / pivot
    for j in range(first, n_rows):
        columns[t + 1, t, j] = columns[t, t, j] * inverse
    for s in range(t):
        factor = columns[t, s, i]
        for j in range(first, n_rows):
            columns[t + 1, s, j] = columns[t, s, j] - factor * columns[t + 1, t, j]
    return True


@kernel
def close(Y, Z, tol, columns, reals, numbers, words, residues, failed, t, i, threshold):
    """Decide about the lines whose values at level t + 1 are within rounding errors of zero."""
    m, r = Y.shape
    for j in range(m - 1, -1, -1):
        if abs(columns[t + 1, t + 1, j]) > threshold or get_bit(words, t + 1, CLOSED, j):
            continue
        small = True
        for c in range(t + 2, r):
            small = small and not abs(columns[t + 1, c, j]) > threshold
        if small and dependent(Y, Z, tol, numbers, residues, t, i, j):
            if j > i:
                return False
            join(columns, numbers, words, t, i, j)
            continue
        rows = chosen_lines(numbers, t, i, j)
        columns[t + 1, t + 1, j] = determinant(Y, Z, failed, rows) / reals[t + 1, MINOR]
        if failed[0]:
            return False
    return True


@kernel
def join(columns, numbers, words, t, i, j):
    """Put line j, a multiple of the newly chosen i modulo the span before, into the span."""
    same = get_bit(words, t, BITS, j) == get_bit(words, t, BITS, i)
    bit = ONE << np.uint64(j % 64)
    words[t + 1, ABOVE if same else BELOW, j // 64] |= bit
    words[t + 1, CLOSED, j // 64] |= bit
    numbers[t + 1, N_CLOSED] += 1
    columns[t + 1, t + 1 :, j] = 0.0


@kernel
def dependent(Y, Z, tol, numbers, residues, t, i, j):
    """Whether line j is in the span of those chosen at level t and line i."""
    r = Y.shape[1]
    if len(Z):
        compute_residues(Z, numbers, residues, t)
        a, b = residues[t, i], residues[t, j]
        c = first_nonzero(a)
        parallel = True
        for k in range(r):
            parallel &= a[c] * b[k] % PRIME == a[k] * b[c] % PRIME
        return parallel
    rows = chosen_lines(numbers, t, i, j)
    return abs(volume(Y[rows])) <= tol


@kernel
def first_nonzero(row):
    """Index of the first entry that is not zero (the last one if all are)."""
    c = 0
    while c < len(row) - 1 and row[c] == np.uint64(0):
        c += 1
    return c


@kernel
def compute_residues(Z, numbers, residues, t):
    """All lines modulo the span of the chosen ones, modulo a prime, at levels 0 .. t."""
    m, r = Z.shape
    for u in range(t + 1):
        if numbers[u, HAS_RESIDUES]:
            continue
        numbers[u, HAS_RESIDUES] = 1
        if u == 0:
            for j in range(m):
                for k in range(r):
                    residues[0, j, k] = residue(Z[j, k], PRIME)
            continue
        pivot = residues[u - 1, numbers[u, LINE]]
        c = first_nonzero(pivot)
        inverse = inverse_modulo(pivot[c], PRIME)
        for j in range(m):
            factor = (PRIME - residues[u - 1, j, c] * inverse % PRIME) % PRIME
            for k in range(r):
                residues[u, j, k] = (residues[u - 1, j, k] + factor * pivot[k]) % PRIME


@kernel
def chosen_lines(numbers, t, i, j):
    """Return the lines chosen at level t, then i, then j."""
    rows = np.empty(t + 2, np.int64)
    rows[:t] = numbers[1 : t + 1, LINE]
    rows[t] = i
    rows[t + 1] = j
    return rows


@kernel
def determinant(Y, Z, failed, rows):
    """Return the determinant of k lines' first k coordinates.

    At least its sign is right, or the tableau failed.
    """
    k = len(rows)
    value = volume(Y[rows][:, :k].copy())
    if abs(value) > DOUBT:
        return value
    sign = 0
    if len(Z):
        sign = exact_sign(Z[rows][:, :k].copy())
    if sign == 0:
        failed[0] = True
    return sign * max(abs(value), EPSILON * EPSILON)


@kernel(inline="always")
def lies_above(Y, Z, columns, reals, numbers, words, failed, t, s):
    """On which side of line i_{s+1} the cell at the vertex of level t lies.

    The sign of that line's coefficient when e_t is written in terms of the chosen lines and the
    last one.
    """
    last = len(Y) - 1
    coefficient = columns[t, s, last]
    if not abs(coefficient * reals[t, MINOR]) > reals[t, ERROR]:
        coefficient = exact_coefficient(Y, Z, reals, numbers, failed, t, s)
    return (coefficient > 0.0) != get_bit(words, t, BITS, last)


@kernel
def exact_coefficient(Y, Z, reals, numbers, failed, t, s):
    """Return the coefficient of i_{s+1} in the last line, with the right sign."""
    rows = numbers[1 : t + 1, LINE].copy()
    rows[s] = len(Y) - 1
    return determinant(Y, Z, failed, rows) / reals[t, MINOR]


@kernel(inline="always")
def write_pattern(Y, Z, columns, reals, numbers, words, failed, t, packed, g):
    """Write one cell of the pair that level t stands for as pattern g."""
    n_words = packed.shape[1]
    for w in range(n_words):
        packed[g, w] = words[t, BITS, w] & ~words[t, CLOSED, w]
    for s in range(t):
        above = lies_above(Y, Z, columns, reals, numbers, words, failed, t, s)
        side = ABOVE if above else BELOW
        for w in range(n_words):
            packed[g, w] |= words[s + 1, side, w]
