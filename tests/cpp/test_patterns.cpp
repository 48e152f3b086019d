#include <doctest/doctest.h>

#include <random>
#include <stdexcept>
#include <vector>

#include "pyconvex/patterns.hpp"

using pyconvex::Index;
using pyconvex::Matrix;
using pyconvex::PatternSet;

namespace {

Matrix gaussian(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  Matrix matrix(rows, cols);
  for (Index i = 0; i < rows * cols; ++i) {
    matrix.data()[i] = normal(engine);
  }
  return matrix;
}

bool brute_force(const Matrix& X, const Matrix& G, Index i, Index g) {
  double sum = 0.0;
  for (Index k = 0; k < X.cols(); ++k) {
    sum += X(i, k) * G(k, g);
  }
  return sum >= 0.0;
}

}  // namespace

TEST_CASE("gates give the bits of the definition, around every word and tile boundary") {
  for (const Index n : {1, 63, 64, 65, 130}) {
    for (const Index n_gates : {1, 31, 32, 33, 100}) {
      const Matrix X = gaussian(n, 3, 1);
      const Matrix G = gaussian(3, n_gates, 2);
      const auto patterns = PatternSet::from_gates(X, G);
      REQUIRE(patterns.n_samples() == n);
      bool same = true;
      for (Index g = 0; g < patterns.size(); ++g) {
        for (Index i = 0; i < n; ++i) {
          const Index source = patterns.kept()[static_cast<std::size_t>(g)];
          same = same && patterns.active(g, i) == brute_force(X, G, i, source);
          same = same && patterns.active(g, i) == brute_force(X, patterns.gates(), i, g);
        }
      }
      CHECK(same);
    }
  }
}

TEST_CASE("threads do not change the bits") {
  const Matrix X = gaussian(200, 5, 3);
  const Matrix G = gaussian(5, 5000, 4);
  const auto one = PatternSet::from_gates(X, G, 1);
  const auto four = PatternSet::from_gates(X, G, 4);
  CHECK(one.packed() == four.packed());
}

TEST_CASE("a row on the hyperplane is active") {
  const auto patterns = PatternSet::from_gates(Matrix(2, 2, {0, 0, 1, -1}), Matrix(2, 1, {1, 1}));
  CHECK(patterns.active(0, 0));
  CHECK(patterns.active(0, 1));
}

TEST_CASE("dense round trip keeps the order and drops repeats") {
  const std::vector<unsigned char> dense = {1, 0, 1, /**/ 0, 0, 1, /**/ 1, 0, 1, /**/ 1, 1, 1};
  const auto patterns = PatternSet::from_dense(dense, 3);
  CHECK(patterns.kept() == std::vector<std::int64_t>{0, 1, 3});
  CHECK(patterns.to_dense() == std::vector<unsigned char>{1, 0, 1, 0, 0, 1, 1, 1, 1});
  CHECK(patterns.gates().empty());
  CHECK(PatternSet::from_dense({}, 3).size() == 0);
}

TEST_CASE("wrong sizes are refused") {
  CHECK_THROWS_AS(PatternSet::from_dense({1, 0, 1}, 2), std::invalid_argument);
  CHECK_THROWS_AS(PatternSet::from_dense({}, 0), std::invalid_argument);
  CHECK_THROWS_AS(PatternSet::from_gates(Matrix(2, 2), Matrix(3, 1)), std::invalid_argument);
  CHECK_THROWS_AS(PatternSet::from_gates(Matrix(), Matrix(3, 1)), std::invalid_argument);
  CHECK_THROWS_AS(Matrix(2, 2, std::vector<double>{1.0}), std::invalid_argument);
}
