"""Numba: signs of small determinants, in floating point and exactly."""

import numpy as np

from .jit_compile import kernel

PRIME = np.uint64(2147483647)  # 2^31 - 1: products of two residues fit below 2^62


@kernel
def volume(A):
    """Volume spanned by the rows of A (k x width, k <= width, destroyed); signed if square.

    Gaussian elimination with complete pivoting.
    """
    k, width = A.shape
    product = 1.0
    for step in range(k):
        row, column = step, step
        for i in range(step, k):
            for j in range(step, width):
                if abs(A[i, j]) > abs(A[row, column]):
                    row, column = i, j
        pivot = A[row, column]
        if pivot == 0.0:
            return 0.0
        if row != step:
            for j in range(width):
                A[row, j], A[step, j] = A[step, j], A[row, j]
            product = -product
        if column != step:
            for i in range(k):
                A[i, column], A[i, step] = A[i, step], A[i, column]
            product = -product
        product *= pivot
        for i in range(step + 1, k):
            factor = A[i, step] / pivot
            for j in range(step + 1, width):
                A[i, j] -= factor * A[step, j]
    return product


@kernel
def inverse_modulo(x, prime):
    """x^-1 modulo a prime, by Fermat."""
    result = np.uint64(1)
    exponent = prime - np.uint64(2)
    while exponent > np.uint64(0):
        if exponent & np.uint64(1):
            result = result * x % prime
        x = x * x % prime
        exponent = exponent >> np.uint64(1)
    return result


@kernel
def residue(x, prime):
    """Return the residue in 0 .. prime - 1 of a signed integer."""
    return np.uint64(x % np.int64(prime))


@kernel
def _is_prime(x):
    factor = np.uint64(3)
    while factor * factor <= x:
        if x % factor == np.uint64(0):
            return False
        factor += np.uint64(2)
    return True


@kernel
def _determinant_modulo(A, prime):
    k = A.shape[0]
    rows = np.empty((k, k), np.uint64)
    for i in range(k):
        for j in range(k):
            rows[i, j] = residue(A[i, j], prime)
    determinant = np.uint64(1)
    for c in range(k):
        pivot = c
        while pivot < k and rows[pivot, c] == np.uint64(0):
            pivot += 1
        if pivot == k:
            return np.uint64(0)
        if pivot != c:
            for j in range(k):
                rows[pivot, j], rows[c, j] = rows[c, j], rows[pivot, j]
            determinant = prime - determinant
        determinant = determinant * rows[c, c] % prime
        inverse = inverse_modulo(rows[c, c], prime)
        for i in range(c + 1, k):
            factor = prime - rows[i, c] * inverse % prime
            for j in range(c, k):
                rows[i, j] = (rows[i, j] + factor * rows[c, j]) % prime
    return determinant


@kernel
def _hadamard_bits(A):
    """Bits of Hadamard's bound of the determinant: the product of the rows' norms."""
    bits = 0.0
    for i in range(A.shape[0]):
        square = 1.0
        for j in range(A.shape[1]):
            square += float(A[i, j]) ** 2
        bits += 0.5 * np.log2(square)
    return bits


@kernel
def exact_sign(A):
    """Sign of the determinant of a square matrix of int64.

    Residues modulo enough primes for Hadamard's bound, Chinese remainders in mixed radix.
    """
    n_primes = int(np.ceil((_hadamard_bits(A) + 2.0) / 30.9))
    primes = np.empty(n_primes, np.uint64)
    digits = np.empty(n_primes, np.uint64)
    zero = True
    candidate = PRIME
    for n in range(n_primes):
        while not _is_prime(candidate):
            candidate -= np.uint64(2)
        digit = _determinant_modulo(A, candidate)
        zero = zero and digit == np.uint64(0)
        for j in range(n):
            digit = (digit + candidate - digits[j] % candidate) % candidate
            digit = digit * inverse_modulo(primes[j] % candidate, candidate) % candidate
        primes[n] = candidate
        digits[n] = digit
        candidate -= np.uint64(2)
    if zero:
        return 0
    for j in range(n_primes - 1, -1, -1):  # compare with half the primes' product
        half = primes[j] >> np.uint64(1)
        if digits[j] != half:
            return -1 if digits[j] > half else 1
    return 1
