#include "minors.hpp"

#include <doctest/doctest.h>

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "face.hpp"

using pyconvex::exact_sign;
using pyconvex::Index;
using pyconvex::kPrime;
using pyconvex::RowMatrix;

namespace {

using Integers = std::vector<std::int64_t>;

std::size_t at(Index k, Index i, Index j) {
  return static_cast<std::size_t>(i * k + j);
}

Integers swap_rows(Integers A, Index k, Index a, Index b) {
  std::swap_ranges(A.begin() + a * k, A.begin() + (a + 1) * k, A.begin() + b * k);
  return A;
}

// Adds multiples of rows to others, and of columns: the determinant stays.
void shear(Integers& A, Index k, int n_steps, unsigned seed) {
  std::mt19937 engine(seed);
  const auto below = [&](Index n) {
    return static_cast<Index>(engine() % static_cast<unsigned>(n));
  };
  for (int step = 0; step < n_steps; ++step) {
    const Index a = below(k);
    const Index b = (a + 1 + below(k - 1)) % k;
    const std::int64_t factor = below(7) - 3;
    for (Index j = 0; j < k; ++j) {
      if (step % 2 == 0) {
        A[at(k, a, j)] += factor * A[at(k, b, j)];
      } else {
        A[at(k, j, a)] += factor * A[at(k, j, b)];
      }
    }
  }
}

// The Hilbert matrix times a common multiple: positive definite, but hardly.
Integers hilbert(Index k) {
  Integers A;
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < k; ++j) {
      A.push_back(360360 / (i + j + 1));  // lcm(1 .. 13) at most
    }
  }
  return A;
}

RowMatrix gaussian(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  RowMatrix A(rows, cols);
  std::generate_n(A.data(), A.size(), [&] { return normal(engine); });
  return A;
}

double volume(RowMatrix A) {
  return pyconvex::volume(A.data(), A.rows(), A.cols());
}

}  // namespace

TEST_CASE("signs of small determinants") {
  CHECK(exact_sign({5}, 1) == 1);
  CHECK(exact_sign({-5}, 1) == -1);
  CHECK(exact_sign({0}, 1) == 0);
  CHECK(exact_sign({2, 3, 3, 4}, 2) == -1);
  CHECK(exact_sign({0, 1, 0, /**/ 0, 0, 1, /**/ 1, 0, 0}, 3) == 1);  // pivots need swaps
  CHECK(exact_sign({0, 1, 0, /**/ 1, 0, 0, /**/ 0, 0, 1}, 3) == -1);
}

TEST_CASE("signs of Hilbert's determinants, with rows swapped and made dependent") {
  for (Index k = 2; k <= 7; ++k) {
    CAPTURE(k);
    Integers A = hilbert(k);
    CHECK(exact_sign(A, k) == 1);
    CHECK(exact_sign(swap_rows(A, k, 0, k - 1), k) == -1);
    for (Index j = 0; j < k; ++j) {  // 3 times the first row less twice the one before the last
      A[at(k, k - 1, j)] = 3 * A[at(k, 0, j)] - 2 * A[at(k, k - 2, j)];
    }
    CHECK(exact_sign(A, k) == 0);
    A[at(k, k - 1, k - 1)] += 1;  // now it is the determinant of one row and column fewer
    CHECK(exact_sign(A, k) == 1);
  }
}

TEST_CASE("signs of determinants far beyond 64 bits") {
  for (Index k = 3; k <= 8; ++k) {
    for (int n_negative = 0; n_negative < 3; ++n_negative) {
      Integers A(static_cast<std::size_t>(k * k), 0);
      for (Index i = 0; i < k; ++i) {
        A[at(k, i, i)] = (i < n_negative ? -1 : 1) * ((std::int64_t{1} << 40) + 3 * i);
      }
      shear(A, k, 6, static_cast<unsigned>(k));
      CAPTURE(k);
      CAPTURE(n_negative);
      CHECK(exact_sign(A, k) == (n_negative % 2 == 1 ? -1 : 1));
      CHECK(exact_sign(swap_rows(A, k, 0, 2), k) == (n_negative % 2 == 1 ? 1 : -1));
    }
  }
}

TEST_CASE("a determinant of one amid entries near 2^61") {
  const std::int64_t x = std::int64_t{1} << 61;
  CHECK(exact_sign({x, x - 1, x + 1, x}, 2) == 1);  // x^2 - (x^2 - 1)
  CHECK(exact_sign({x + 1, x, x, x - 1}, 2) == -1);
  CHECK(exact_sign({x, x, x, x}, 2) == 0);
  CHECK(exact_sign({-x, x - 1, -x - 1, x}, 2) == -1);
}

TEST_CASE("a multiple of the first prime is not zero") {
  CHECK(exact_sign({65536, 1, 1, 32768}, 2) == 1);  // the prime itself
  CHECK(exact_sign({1, 32768, 65536, 1}, 2) == -1);
  const auto prime = static_cast<std::int64_t>(kPrime);
  CHECK(exact_sign({prime, 0, 0, -prime}, 2) == -1);
  CHECK(exact_sign({prime, 5, 0, /**/ 0, prime, 7, /**/ 0, 0, prime}, 3) == 1);
}

TEST_CASE("inverses and residues modulo a prime") {
  for (const std::uint64_t prime : {kPrime, std::uint64_t{2147483629}, std::uint64_t{7}}) {
    for (const std::uint64_t x : {std::uint64_t{1}, std::uint64_t{2},
                                  std::uint64_t{1000000007} % prime, prime / 2, prime - 1}) {
      CAPTURE(x);
      CHECK(pyconvex::inverse_modulo(x, prime) * x % prime == 1);
    }
  }
  CHECK(pyconvex::residue(-1, 7) == 6);
  CHECK(pyconvex::residue(-14, 7) == 0);
  CHECK(pyconvex::residue(15, 7) == 1);
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  CHECK(pyconvex::residue(kLeast, kPrime) == kPrime - 2);  // 2^63 = 2 modulo 2^31 - 1
}

TEST_CASE("the volume of a square matrix is its determinant") {
  for (Index k = 1; k <= 8; ++k) {
    for (unsigned seed = 0; seed < 10; ++seed) {
      const RowMatrix A = gaussian(k, k, seed);
      CHECK(volume(A) == doctest::Approx(A.determinant()).epsilon(1e-10));
    }
  }
}

TEST_CASE("the volume of fewer rows lies below Gram's and vanishes where they are dependent") {
  for (const Index k : {1, 2, 3, 4}) {
    const RowMatrix A = gaussian(k, 6, static_cast<unsigned>(k));
    const double gram = std::sqrt((A * A.transpose()).determinant());
    CHECK(std::abs(volume(A)) <= gram * (1 + 1e-12));
    CHECK(std::abs(volume(A)) >= 0.1 * gram);
  }
  RowMatrix A(3, 4);
  A << 1, 2, 3, 4, /**/ 0, 1, 1, 0, /**/ 2, 6, 8, 8;  // twice the first and twice the second
  CHECK(volume(A) == 0.0);
  RowMatrix B = gaussian(3, 5, 9);
  B.row(2) = 0.3 * B.row(0) - 0.7 * B.row(1);
  CHECK(std::abs(volume(B)) <= 1e-14);
}
