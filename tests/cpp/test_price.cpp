// The public pricing function: every method brackets the same norm.
#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "golden.hpp"
#include "pyconvex/fit.hpp"
#include "pyconvex/price.hpp"

using namespace pyconvex;

namespace {

std::vector<double> centred(std::vector<double> z) {
  double sum = 0.0;
  for (const double x : z) {
    sum += x;
  }
  for (double& x : z) {
    x -= sum / static_cast<double>(z.size());
  }
  return z;
}

// sign z . (X w + b)_+ of the first neuron.
double attained(MatrixView X, const std::vector<double>& z, const Pricing& pricing) {
  double sum = 0.0;
  for (Index i = 0; i < X.rows; ++i) {
    double output = pricing.biases[0];
    for (Index k = 0; k < X.cols; ++k) {
      output += X.data[i * X.cols + k] * pricing.weights(0, k);
    }
    sum += z[static_cast<std::size_t>(i)] * std::max(output, 0.0);
  }
  return pricing.signs[0] * sum;
}

}  // namespace

TEST_CASE("all methods bracket the same norm") {
  for (const Bias bias : {Bias::free, Bias::decayed, Bias::none}) {
    const auto z = bias == Bias::free ? centred(golden::y()) : golden::y();
    PriceSettings settings;
    settings.bias = bias;
    settings.method = "exact";
    const Pricing exact = price(golden::X(), z, settings);
    CHECK(exact.certificate == "global");
    for (const char* method : {"auto", "bounded", "local"}) {
      CAPTURE(method);
      settings.method = method;
      const Pricing pricing = price(golden::X(), z, settings);
      CHECK(pricing.value == doctest::Approx(exact.value).epsilon(1e-6));
      CHECK(pricing.bound >= exact.value * (1 - 1e-9));
      CHECK((settings.method == "local" || pricing.certificate == "global"));
      CHECK(attained(golden::X(), z, pricing) == doctest::Approx(pricing.value).epsilon(1e-9));
    }
  }
}

TEST_CASE("the norm of the targets is beta_max") {
  FitSettings settings;
  settings.bias = Bias::none;
  std::vector<double> z = golden::y();
  for (double& x : z) {
    x /= 8.0;
  }
  CHECK(price(golden::X(), z).value ==
        doctest::Approx(beta_max(golden::X(), golden::y(), settings)).epsilon(1e-7));
}

TEST_CASE("a multiplier that cancels has no neuron") {
  const std::vector<double> X(3, 1.0);
  PriceSettings settings;
  settings.bias = Bias::free;
  const Pricing pricing = price({X.data(), 3, 1}, {1.0, -1.0, 0.0}, settings);
  CHECK(pricing.value == 0.0);
  CHECK(pricing.values.empty());
}

TEST_CASE("bad input of price is named") {
  PriceSettings settings;
  settings.method = "best";
  CHECK_THROWS_WITH_AS(price(golden::X(), golden::y(), settings), doctest::Contains("method"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(price(golden::X(), {1.0}), doctest::Contains("z must"),
                       std::invalid_argument);
  settings.method = "auto";
  settings.bias = Bias::free;
  CHECK_THROWS_WITH_AS(price(golden::X(), std::vector<double>(8, 1.0), settings),
                       doctest::Contains("sum to zero"), std::invalid_argument);
}
