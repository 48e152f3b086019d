#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "pyconvex/losses.hpp"
#include "smoothed.hpp"

using pyconvex::Loss;
using pyconvex::Values;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
using LossPtr = std::shared_ptr<const Loss>;
using Formula = std::function<double(double, double)>;

// A loss, targets that fit it, and l and l* by formulas of their own (l* where it is finite).
struct Case {
  LossPtr loss;
  Values y;
  Formula value, conjugate;
  std::shared_ptr<const pyconvex::Smoothed> near = nullptr;  // what stands in for a kink
};

const Values kPrediction = {-2.1, -0.9, -0.31, 0.05, 0.4, 0.77, 1.3, 2.6};
const Values kWeights = {0.05, 0.2, 0.1, 0.15, 0.1, 0.15, 0.05, 0.2};

double xlogx(double x) {
  return x == 0.0 ? 0.0 : x * std::log(x);
}

std::vector<Case> cases() {
  const Values real = {-1.5, -1.3, 0.2, 0.0, 1.9, 0.7, 1.4, 1.1};
  const Values classes = {1, -1, -1, 1, -1, 1, 1, -1}, counts = {0, 1, 3, 0, 2, 1, 5, 12};
  std::vector<Case> all = {
      {pyconvex::make_loss("squared"), real,
       [](double f, double y) { return (f - y) * (f - y) / 2; },
       [](double q, double y) { return q * y + q * q / 2; }},
      {std::make_shared<pyconvex::Huber>(0.5), real,
       [](double f, double y) {
         const double r = std::abs(f - y);
         return r < 0.5 ? r * r / 2 : r / 2 - 0.125;
       },
       [](double q, double y) { return q * y + q * q / 2; }},
      {pyconvex::make_loss("logistic"), classes,
       [](double f, double y) { return std::log(1 + std::exp(-y * f)); },
       [](double q, double y) { return xlogx(-q * y) + xlogx(1 + q * y); }},
      {pyconvex::make_loss("squared_hinge"), classes,
       [](double f, double y) { return y * f < 1 ? (1 - y * f) * (1 - y * f) / 2 : 0.0; },
       [](double q, double y) { return q * q / 2 + q * y; }},
      {pyconvex::make_loss("poisson"), counts,
       [](double f, double y) { return std::exp(f) - y * f + xlogx(y) - y; },
       [](double q, double y) { return xlogx(q + y) - q - xlogx(y); }},
      {std::make_shared<pyconvex::Quantile>(0.7), real,
       [](double f, double y) { return f < y ? 0.7 * (y - f) : 0.3 * (f - y); },
       [](double q, double y) { return q * y; }},
      {pyconvex::make_loss("hinge"), classes,
       [](double f, double y) { return y * f < 1 ? 1 - y * f : 0.0; },
       [](double q, double y) { return q * y; }}};
  for (Case& one : all) {
    if (const auto kinked = std::dynamic_pointer_cast<const pyconvex::Kinked>(one.loss)) {
      one.near = pyconvex::smoothed(kinked, one.y, 0.4);
    }
  }
  return all;
}

// Every loss that has derivatives, smoothed ones too.
std::vector<Case> smooth_cases() {
  std::vector<Case> all = cases();
  for (Case& one : all) {
    if (one.near != nullptr) {
      one.loss = one.near;
    }
  }
  return all;
}

Values moved(Values values, double by) {
  for (double& value : values) {
    value += by;
  }
  return values;
}

}  // namespace

TEST_CASE("losses and their conjugates follow their formulas") {
  for (const Case& one : cases()) {
    CAPTURE(one.loss->name());
    const Values values = one.loss->losses(kPrediction, one.y);
    const Values q = one.loss->slopes(kPrediction, one.y);
    const Values conjugates = one.loss->conjugates(q, one.y);
    const Values z = one.loss->multiplier(kPrediction, one.y, kWeights);
    double value = 0.0, dual = 0.0, slope = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      CAPTURE(i);
      CHECK(values[i] == doctest::Approx(one.value(kPrediction[i], one.y[i])).epsilon(1e-13));
      CHECK(values[i] >= 0.0);
      CHECK(conjugates[i] == doctest::Approx(one.conjugate(q[i], one.y[i])).epsilon(1e-12));
      // Fenchel's equality holds at the slope, and nowhere does l* fall below
      CHECK(conjugates[i] == doctest::Approx(q[i] * kPrediction[i] - values[i]).epsilon(1e-12));
      CHECK(z[i] == doctest::Approx(-kWeights[i] * q[i]));
      for (double f = -6.0; f <= 3.0; f += 0.37) {
        CHECK(q[i] * f - one.value(f, one.y[i]) <= conjugates[i] + 1e-12);
      }
      value += kWeights[i] * values[i];
      dual -= kWeights[i] * conjugates[i];
      slope += z[i] * kPrediction[i];
    }
    CHECK(one.loss->value(kPrediction, one.y, kWeights) == doctest::Approx(value));
    CHECK(one.loss->dual_value(z, one.y, kWeights) == doctest::Approx(dual));
    CHECK(dual == doctest::Approx(value + slope));
    CHECK(one.loss->dual_objective(z, one.y, kWeights, 0.5) <= value);
    CHECK(one.loss->dual_objective(z, one.y, kWeights, 0.0) == doctest::Approx(0.0));
  }
}

TEST_CASE("slopes and curvatures are derivatives") {
  constexpr double h = 1e-6;
  for (const Case& one : smooth_cases()) {
    CAPTURE(one.loss->name());
    const Loss& loss = *one.loss;
    const Values up = loss.losses(moved(kPrediction, h), one.y);
    const Values down = loss.losses(moved(kPrediction, -h), one.y);
    const Values steeper = loss.slopes(moved(kPrediction, h), one.y);
    const Values flatter = loss.slopes(moved(kPrediction, -h), one.y);
    const Values slopes = loss.slopes(kPrediction, one.y);
    const Values curvatures = loss.curvatures(kPrediction, one.y);
    const Values dampers = loss.dampers(kPrediction, one.y);
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      CAPTURE(i);
      CHECK(std::abs(slopes[i] - (up[i] - down[i]) / (2 * h)) < 1e-6);
      CHECK(std::abs(curvatures[i] - (steeper[i] - flatter[i]) / (2 * h)) < 1e-6);
      CHECK(curvatures[i] <= loss.smoothness());
      CHECK(curvatures[i] <= dampers[i]);
    }
  }
}

TEST_CASE("derivatives of conjugates undo those of losses") {
  for (const Case& one : smooth_cases()) {
    CAPTURE(one.loss->name());
    const Loss& loss = *one.loss;
    const Values q = loss.slopes(kPrediction, one.y);
    const Values curvatures = loss.curvatures(kPrediction, one.y);
    const Values back = loss.conjugate_slopes(q, one.y);
    const Values inverse = loss.conjugate_curvatures(q, one.y);
    const pyconvex::Intervals domain = loss.domain(one.y);
    int inside = 0;
    for (std::size_t i = 0; i < q.size(); ++i) {
      CHECK(domain.low[i] <= q[i]);
      CHECK(q[i] <= domain.high[i]);
      if (curvatures[i] > 0.0) {
        ++inside;
        CHECK(back[i] == doctest::Approx(kPrediction[i]).epsilon(1e-9));
        CHECK(inverse[i] == doctest::Approx(1.0 / curvatures[i]).epsilon(1e-9));
      }
    }
    CHECK(inside > 0);
  }
}

TEST_CASE("conjugates are infinite outside their domain") {
  for (const Case& one : cases()) {
    CAPTURE(one.loss->name());
    const pyconvex::Intervals domain = one.loss->domain(one.y);
    for (const bool low : {true, false}) {
      const Values ends = low ? domain.low : domain.high;
      const Values beyond = one.loss->conjugates(moved(ends, low ? -1e-6 : 1e-6), one.y);
      for (std::size_t i = 0; i < ends.size(); ++i) {
        if (std::isfinite(ends[i])) {
          CHECK(one.loss->conjugates(ends, one.y)[i] < kInfinity);
          CHECK(beyond[i] == kInfinity);
        }
      }
    }
    const Values far(8, one.loss->two_classes() ? 0.0 : -1e3);
    if (std::isfinite(domain.low[0]) && !one.loss->two_classes()) {
      CHECK(one.loss->dual_value(moved(far, 2e3), one.y, kWeights) == -kInfinity);
    }
  }
}

TEST_CASE("the best constant leaves multipliers that sum to zero") {
  for (const Case& one : smooth_cases()) {
    for (const double start : {0.0, 300.0, -300.0}) {
      CAPTURE(one.loss->name());
      CAPTURE(start);
      const Values f = moved(kPrediction, start);
      const double shift = one.loss->best_shift(f, one.y, kWeights);
      const Values z = one.loss->multiplier(moved(f, shift), one.y, kWeights);
      const double size = std::accumulate(
          z.begin(), z.end(), 0.0, [](double sum, double entry) { return sum + std::abs(entry); });
      CHECK(std::abs(std::accumulate(z.begin(), z.end(), 0.0)) <= 1e-12 * size);
    }
  }
}

TEST_CASE("a smoothed loss lies above its kink, by little where its width is small") {
  for (const Case& one : cases()) {
    if (one.near == nullptr) {
      continue;
    }
    const auto kinked = one.near->kinked();
    const Values above = one.near->losses(kPrediction, one.y);
    const Values centre = one.near->maximisers(kPrediction, one.y);
    const pyconvex::Smoothed narrow(kinked, centre, 1e-4);
    const Values close = narrow.losses(kPrediction, one.y);
    const Values exact = kinked->losses(kPrediction, one.y);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      CHECK(above[i] >= exact[i]);
      CHECK(close[i] >= exact[i]);
      CHECK(close[i] <= exact[i] + 1e-4);
    }
    CHECK_THROWS_AS(kinked->curvatures(kPrediction, one.y), std::logic_error);
  }
}

TEST_CASE("large arguments do not overflow") {
  const Values f = {800.0, -800.0}, y = {1.0, 1.0};
  const LossPtr loss = pyconvex::make_loss("logistic");
  CHECK(loss->losses(f, y)[0] == doctest::Approx(0.0));
  CHECK(loss->losses(f, y)[1] == doctest::Approx(800.0));
  CHECK(loss->slopes(f, y)[1] == doctest::Approx(-1.0));
  CHECK(loss->curvatures(f, y)[0] == doctest::Approx(0.0));
}

TEST_CASE("wrong parameters, names and targets are refused") {
  CHECK_THROWS_WITH_AS(pyconvex::Huber(0.0), doctest::Contains("delta"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(pyconvex::Huber{kInfinity}, doctest::Contains("delta"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(pyconvex::Quantile(1.0), doctest::Contains("tau"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(pyconvex::Quantile(std::nan("")), doctest::Contains("tau"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(pyconvex::make_loss("l1"), doctest::Contains("\"squared_hinge\""),
                       std::invalid_argument);
  for (const char* name : {"logistic", "squared_hinge", "hinge"}) {
    CHECK(pyconvex::make_loss(name)->name() == std::string(name));
    CHECK_THROWS_WITH_AS(pyconvex::make_loss(name)->check_targets(Values{0.0, 1.0}, false),
                         doctest::Contains("y must be -1 or +1"), std::invalid_argument);
  }
  const LossPtr logistic = pyconvex::make_loss("logistic"),
                poisson = pyconvex::make_loss("poisson");
  CHECK_THROWS_WITH_AS(logistic->check_targets(Values{1.0, 1.0}, true), doctest::Contains("class"),
                       std::invalid_argument);
  CHECK_NOTHROW(logistic->check_targets(Values{1.0, 1.0}, false));
  CHECK_THROWS_WITH_AS(poisson->check_targets(Values{-1.0, 1.0}, false),
                       doctest::Contains("y must be >= 0"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(poisson->check_targets(Values{0.0, 0.0}, true), doctest::Contains("zero"),
                       std::invalid_argument);
}
