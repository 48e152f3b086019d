#include "pyconvex/pricing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "golden.hpp"
#include "pyconvex/patterns.hpp"

using pyconvex::Index;
using pyconvex::Matrix;
using pyconvex::PatternSet;

namespace {

// All 58 cells of the golden problem.
PatternSet all_cells() {
  std::mt19937 engine(0);
  std::normal_distribution<double> normal;
  Matrix gates(3, 100000);
  std::generate_n(gates.data(), 300000, [&] { return normal(engine); });
  return PatternSet::from_gates(golden::X(), gates);
}

double norm(const double* row) {
  return std::sqrt(row[0] * row[0] + row[1] * row[1] + row[2] * row[2]);
}

double largest_norm(const Matrix& rows) {
  double largest = 0.0;
  for (Index g = 0; g < rows.rows(); ++g) {
    largest = std::max(largest, norm(rows.row(g)));
  }
  return largest;
}

// Value of z . (X u)_+ at u / ||u||.
double value(const double* u) {
  const Matrix X = golden::X();
  const std::vector<double> z = golden::y();
  double total = 0.0;
  for (Index i = 0; i < 8; ++i) {
    const double* x = X.row(i);
    total +=
        z[static_cast<std::size_t>(i)] * std::max(x[0] * u[0] + x[1] * u[1] + x[2] * u[2], 0.0);
  }
  return norm(u) > 0.0 ? total / norm(u) : 0.0;
}

}  // namespace

TEST_CASE("beta_max of the golden problem: gated by gradients, ReLU by projections") {
  const PatternSet cells = all_cells();
  REQUIRE(cells.size() == 58);
  const Matrix X = golden::X();
  const std::vector<double> y = golden::y();
  Matrix gradients(58, 3), points(58, 3);
  std::vector<std::int64_t> tight(58 * 3);
  const std::vector<double> none(58, 0.0);
  double relu = 0.0;
  for (const double sign : {1.0, -1.0}) {
    std::vector<double> z = y;
    std::transform(z.begin(), z.end(), z.begin(), [&](double v) { return sign * v; });
    pyconvex::gate_gradients(X, cells.packed().data(), 58, z.data(), gradients.data(), 1);
    CHECK(largest_norm(gradients) == doctest::Approx(2.73184823).epsilon(1e-8));
    pyconvex::project_cells(X, cells.packed().data(), gradients, none.data(), false, points.data(),
                            tight.data(), 2);
    relu = std::max(relu, largest_norm(points));
  }
  CHECK(relu == doctest::Approx(1.59799322).epsilon(1e-8));
}

TEST_CASE("single precision: each number becomes a double as it is loaded") {
  const PatternSet cells = all_cells();
  const Matrix X = golden::X();
  std::vector<float> single(X.data(), X.data() + 24);
  const Matrix rounded(8, 3, std::vector<double>(single.begin(), single.end()));
  const std::vector<double> y = golden::y();
  Matrix expected(58, 3), gradients(58, 3);
  pyconvex::gate_gradients(rounded, cells.packed().data(), 58, y.data(), expected.data(), 1);
  pyconvex::gate_gradients(pyconvex::FloatView{single.data(), 8, 3}, cells.packed().data(), 58,
                           y.data(), gradients.data(), 2);
  CHECK(std::equal(gradients.data(), gradients.data() + 58 * 3, expected.data()));
}

TEST_CASE("the best walk finds the best cell, on any number of threads") {
  std::mt19937 engine(1);
  std::normal_distribution<double> normal;
  Matrix starts(50, 3), points(50, 3), again(50, 3);
  std::generate_n(starts.data(), 150, [&] { return normal(engine); });
  std::vector<std::int64_t> tight(150);
  double best = 0.0;
  for (const double sign : {1.0, -1.0}) {
    std::vector<double> z = golden::y();
    std::transform(z.begin(), z.end(), z.begin(), [&](double v) { return sign * v; });
    pyconvex::walk(golden::X(), z.data(), starts, false, points.data(), tight.data(), 1);
    pyconvex::walk(golden::X(), z.data(), starts, false, again.data(), tight.data(), 4);
    CHECK(std::equal(points.data(), points.data() + 150, again.data()));
    for (Index k = 0; k < 50; ++k) {
      best = std::max(best, sign * value(points.row(k)));
    }
  }
  CHECK(best == doctest::Approx(1.59799322).epsilon(1e-8));
}
