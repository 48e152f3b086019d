#include "minors.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pyconvex {
namespace {

using Residues = std::vector<std::uint64_t>;

bool is_prime(std::uint64_t x) {
  for (std::uint64_t f = 3; f * f <= x; f += 2) {
    if (x % f == 0) {
      return false;
    }
  }
  return true;
}

std::uint64_t determinant_modulo(const std::vector<std::int64_t>& A, Index k, std::uint64_t prime) {
  const auto n = static_cast<std::size_t>(k);
  Residues rows(A.size());
  std::transform(A.begin(), A.end(), rows.begin(),
                 [=](std::int64_t x) { return residue(x, prime); });
  std::uint64_t determinant = 1;
  for (std::size_t c = 0; c < n; ++c) {
    std::size_t pivot = c;
    while (pivot < n && rows[pivot * n + c] == 0) {
      ++pivot;
    }
    if (pivot == n) {
      return 0;
    }
    if (pivot != c) {
      std::swap_ranges(rows.begin() + static_cast<Index>(pivot * n),
                       rows.begin() + static_cast<Index>(pivot * n + n),
                       rows.begin() + static_cast<Index>(c * n));
      determinant = prime - determinant;
    }
    determinant = determinant * rows[c * n + c] % prime;
    const std::uint64_t inverse = inverse_modulo(rows[c * n + c], prime);
    for (std::size_t i = c + 1; i < n; ++i) {
      const std::uint64_t factor = prime - rows[i * n + c] * inverse % prime;
      for (std::size_t j = c; j < n; ++j) {
        rows[i * n + j] = (rows[i * n + j] + factor * rows[c * n + j]) % prime;
      }
    }
  }
  return determinant;
}

// Bits of Hadamard's bound of the determinant: the product of the rows' norms.
double hadamard_bits(const std::vector<std::int64_t>& A, Index k) {
  double bits = 0.0;
  for (Index i = 0; i < k; ++i) {
    double square = 1.0;
    for (Index j = 0; j < k; ++j) {
      const auto x = static_cast<double>(A[static_cast<std::size_t>(i * k + j)]);
      square += x * x;
    }
    bits += 0.5 * std::log2(square);
  }
  return bits;
}

}  // namespace

double volume(double* A, Index k, Index width) {
  double product = 1.0;
  for (Index step = 0; step < k; ++step) {
    Index row = step;
    Index column = step;
    for (Index i = step; i < k; ++i) {
      for (Index j = step; j < width; ++j) {
        if (std::abs(A[i * width + j]) > std::abs(A[row * width + column])) {
          row = i;
          column = j;
        }
      }
    }
    const double pivot = A[row * width + column];
    if (pivot == 0.0) {
      return 0.0;
    }
    if (row != step) {
      std::swap_ranges(A + row * width, A + (row + 1) * width, A + step * width);
      product = -product;
    }
    if (column != step) {
      for (Index i = 0; i < k; ++i) {
        std::swap(A[i * width + column], A[i * width + step]);
      }
      product = -product;
    }
    product *= pivot;
    for (Index i = step + 1; i < k; ++i) {
      const double factor = A[i * width + step] / pivot;
      for (Index j = step + 1; j < width; ++j) {
        A[i * width + j] -= factor * A[step * width + j];
      }
    }
  }
  return product;
}

std::uint64_t inverse_modulo(std::uint64_t x, std::uint64_t prime) {
  std::uint64_t result = 1;
  for (std::uint64_t exponent = prime - 2; exponent > 0; exponent /= 2) {  // Fermat
    if (exponent % 2 == 1) {
      result = result * x % prime;
    }
    x = x * x % prime;
  }
  return result;
}

int exact_sign(const std::vector<std::int64_t>& A, Index k) {
  const double bits = hadamard_bits(A, k) + 2.0;
  Residues primes;
  Residues digits;  // mixed radix: determinant = digits[0] + primes[0] (digits[1] + primes[1] (...
  bool zero = true;
  std::uint64_t candidate = kPrime;
  while (30.9 * static_cast<double>(primes.size()) < bits) {
    while (!is_prime(candidate)) {
      candidate -= 2;
    }
    std::uint64_t digit = determinant_modulo(A, k, candidate);
    zero = zero && digit == 0;
    for (std::size_t j = 0; j < primes.size(); ++j) {
      digit = (digit + candidate - digits[j] % candidate) % candidate;
      digit = digit * inverse_modulo(primes[j] % candidate, candidate) % candidate;
    }
    primes.push_back(candidate);
    digits.push_back(digit);
    candidate -= 2;
  }
  if (zero) {
    return 0;
  }
  for (std::size_t j = primes.size(); j-- > 0;) {  // compare with half the primes' product
    if (digits[j] != primes[j] / 2) {
      return digits[j] > primes[j] / 2 ? -1 : 1;
    }
  }
  return 1;
}

}  // namespace pyconvex
