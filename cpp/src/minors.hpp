// Signs of small determinants, in floating point and exactly. Private.
#pragma once

#include <cstdint>
#include <vector>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// A prime that products of two residues fit below 2^62.
constexpr std::uint64_t kPrime = 2147483647;  // 2^31 - 1

/// Volume spanned by the k rows of A (k x width, k <= width, row-major, destroyed), by Gaussian
/// elimination with complete pivoting; with the determinant's sign where k == width.
double volume(double* A, Index k, Index width);

/// Sign of the determinant of a k x k matrix of integers, by residues modulo enough primes for
/// Hadamard's bound (Chinese remainders in mixed radix).
int exact_sign(const std::vector<std::int64_t>& A, Index k);

/// x^-1 modulo a prime.
std::uint64_t inverse_modulo(std::uint64_t x, std::uint64_t prime);

/// The residue in 0 .. prime - 1.
inline std::uint64_t residue(std::int64_t x, std::uint64_t prime) {
  const auto p = static_cast<std::int64_t>(prime);
  return static_cast<std::uint64_t>((x % p + p) % p);
}

}  // namespace pyconvex
