#include "zonotopes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "golden.hpp"
#include "pyconvex/arrangement.hpp"
#include "pyconvex/pricing.hpp"

using pyconvex::exact_norm;
using pyconvex::Index;
using pyconvex::Matrix;

namespace {

Matrix gaussian(Index n, Index d, bool with_ones) {
  std::mt19937 engine(static_cast<unsigned>(100 * n + d));
  std::normal_distribution<double> normal;
  Matrix X(n, d);
  std::generate_n(X.data(), n * d, [&] { return normal(engine); });
  for (Index i = 0; i < n && with_ones; ++i) {
    X(i, d - 1) = 1.0;
  }
  return X;
}

std::vector<double> weights(Index n, bool centred) {
  std::mt19937 engine(static_cast<unsigned>(n));
  std::normal_distribution<double> normal;
  std::vector<double> z(static_cast<std::size_t>(n));
  std::generate(z.begin(), z.end(), [&] { return normal(engine); });
  const double mean = std::accumulate(z.begin(), z.end(), 0.0) / static_cast<double>(n);
  std::transform(z.begin(), z.end(), z.begin(), [&](double v) { return centred ? v - mean : v; });
  return z;
}

// The largest projection of a gradient onto its cell, over all cells and both signs.
double by_projections(const Matrix& X, std::vector<double> z, bool free_bias) {
  const auto cells = pyconvex::enumerate_patterns(X);
  const Index d = X.cols(), n_cells = cells.size();
  Matrix gradients(n_cells, d), points(n_cells, d);
  std::vector<std::int64_t> tight(static_cast<std::size_t>(n_cells * d));
  const std::vector<double> none(static_cast<std::size_t>(n_cells), 0.0);
  double best = 0.0;
  for (int side = 0; side < 2; ++side) {
    pyconvex::gate_gradients(X, cells.packed().data(), n_cells, z.data(), gradients.data());
    pyconvex::project_cells(X, cells.packed().data(), gradients, none.data(), free_bias,
                            points.data(), tight.data());
    for (Index g = 0; g < n_cells; ++g) {
      const double* u = points.row(g);
      best = std::max(best, std::inner_product(u, u + d - (free_bias ? 1 : 0), u, 0.0));
    }
    std::transform(z.begin(), z.end(), z.begin(), [](double v) { return -v; });
  }
  return std::sqrt(best);
}

}  // namespace

TEST_CASE("beta_max of the golden problem by zonotopes") {
  const auto norm = exact_norm(golden::X(), golden::y().data(), false);
  CHECK(norm.value == doctest::Approx(1.59799322).epsilon(1e-8));
  CHECK(norm.bound >= norm.value);
  CHECK(norm.bound <= norm.value * (1 + 1e-9));
}

TEST_CASE("the farthest vertex is the best cell, with and without a free bias") {
  for (const bool free_bias : {false, true}) {
    for (const Index d : {2, 3, 5}) {
      const Matrix X = gaussian(18, d, free_bias);
      const std::vector<double> z = weights(18, free_bias);
      const auto norm = exact_norm(X, z.data(), free_bias);
      CHECK(norm.value == doctest::Approx(by_projections(X, z, free_bias)).epsilon(1e-9));
      CHECK(norm.bound == doctest::Approx(norm.value).epsilon(1e-9));
    }
  }
}

TEST_CASE("zonotopes: the number of threads changes nothing") {
  for (const bool free_bias : {false, true}) {
    const Matrix X = gaussian(80, 4, free_bias);
    const std::vector<double> z = weights(80, free_bias);
    const auto one = exact_norm(X, z.data(), free_bias, 1);
    const auto four = exact_norm(X, z.data(), free_bias, 4);
    CHECK(one.value == four.value);
    CHECK(one.bound == four.bound);
    CHECK(one.point == four.point);
  }
}

TEST_CASE("zonotopes of one point, none and too many vertices") {
  const Matrix X = gaussian(10, 3, false);
  const std::vector<double> zero(10, 0.0), ones(10, 1.0);
  CHECK(exact_norm(X, zero.data(), false).bound == 0.0);
  const auto norm = exact_norm(X, ones.data(), false);  // B is the origin
  CHECK(norm.value == doctest::Approx(by_projections(X, ones, false)).epsilon(1e-9));
  CHECK_THROWS_AS(exact_norm(X, ones.data(), false, 1, {}, 10.0), std::invalid_argument);
  const unsigned char set = 1;
  CHECK(std::isinf(exact_norm(X, ones.data(), false, 1, {&set}).bound));
}

TEST_CASE("a value that no vertex beats comes back as the bound") {
  const Matrix X = gaussian(6, 3, false), V = gaussian(9, 3, false);
  const std::vector<double> w(6, 1.0);
  const auto none = pyconvex::farthest(V, X, w.data(), false, 100.0);
  CHECK(none.index == -1);
  CHECK(none.value == 100.0);
  CHECK(none.bound == 100.0);
  const auto some = pyconvex::farthest(V, X, w.data(), false, 0.0);
  CHECK(some.index >= 0);
  CHECK(some.bound == doctest::Approx(some.value).epsilon(1e-9));
}
