#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "golden.hpp"
#include "pyconvex/pyconvex.hpp"

using pyconvex::Bias;
using pyconvex::Fit;
using pyconvex::FitSettings;
using pyconvex::Index;
using pyconvex::Matrix;
using pyconvex::MatrixView;
using pyconvex::Model;
using pyconvex::PatternSet;
using pyconvex::Status;

namespace {

double norm(const double* x) {
  return std::sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
}

// All 58 cells: each has a ray where two planes meet, and four cells lie around such a ray.
PatternSet all_cells() {
  const Matrix X = golden::X();
  Matrix gates(3, 8 * 28);
  Index g = 0;
  for (Index i = 0; i < 8; ++i) {
    for (Index j = 0; j < i; ++j) {
      const double *a = X.row(i), *b = X.row(j);
      const double ray[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                             a[0] * b[1] - a[1] * b[0]};
      for (int corner = 0; corner < 8; ++corner, ++g) {
        const double end = (corner & 1) != 0 ? 1.0 : -1.0;
        const double of_a = ((corner & 2) != 0 ? 1e-5 : -1e-5) / norm(a);
        const double of_b = ((corner & 4) != 0 ? 1e-5 : -1e-5) / norm(b);
        for (Index k = 0; k < 3; ++k) {
          gates(k, g) = end * ray[k] + of_a * a[k] + of_b * b[k];
        }
      }
    }
  }
  return PatternSet::from_gates(X, gates);
}

// Mean loss + beta/2 (sum of squares), by hand.
double objective_of(const Fit& fit, MatrixView X, const std::vector<double>& y, bool decayed) {
  const std::vector<double> f = fit.network.predict(X);
  double loss = 0.0, squares = 0.0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    loss += 0.5 * (f[i] - y[i]) * (f[i] - y[i]) / static_cast<double>(y.size());
  }
  for (Index j = 0; j < fit.network.n_neurons(); ++j) {
    const auto k = static_cast<std::size_t>(j);
    squares += std::pow(fit.network.output_weights[k], 2);
    squares += decayed ? std::pow(fit.network.hidden_bias[k], 2) : 0.0;
    for (Index d = 0; d < X.cols; ++d) {
      squares += std::pow(fit.network.hidden_weights(j, d), 2);
    }
  }
  return loss + 0.5 * fit.beta * squares;
}

FitSettings golden_settings(const PatternSet* patterns, Model model) {
  FitSettings settings;
  settings.beta = 0.15 / 8;
  settings.bias = Bias::none;
  settings.model = model;
  settings.patterns = patterns;
  settings.tol = 1e-9;
  return settings;
}

}  // namespace

TEST_CASE("the golden values of the full program") {
  const PatternSet cells = all_cells();
  REQUIRE(cells.size() == 58);
  const Fit relu = pyconvex::fit(golden::X(), golden::y(), golden_settings(&cells, Model::relu));
  CHECK(relu.status == Status::optimal);
  CHECK(relu.certificate == "restricted");
  CHECK(8 * relu.objective == doctest::Approx(0.73284603).epsilon(1e-7));
  const Fit gated =
      pyconvex::fit(golden::X(), golden::y(), golden_settings(&cells, Model::gated_relu));
  CHECK(gated.gap <= 1e-9);
  CHECK(8 * gated.objective == doctest::Approx(0.34868335).epsilon(1e-7));
}

TEST_CASE("the golden values of beta_max") {
  const PatternSet cells = all_cells();
  const auto value = [&](Model model) {
    return 8 * pyconvex::beta_max(golden::X(), golden::y(), golden_settings(&cells, model));
  };
  CHECK(value(Model::relu) == doctest::Approx(1.59799322).epsilon(1e-7));
  CHECK(value(Model::gated_relu) == doctest::Approx(2.73184823).epsilon(1e-7));
}

TEST_CASE("all patterns prove the golden values") {
  for (const Model model : {Model::relu, Model::gated_relu}) {
    FitSettings settings = golden_settings(nullptr, model);
    settings.all_patterns = true;
    const Fit fit = pyconvex::fit(golden::X(), golden::y(), settings);
    CHECK(fit.status == Status::optimal);
    CHECK(fit.certificate == "global");
    CHECK(fit.gap <= 1e-9);
    CHECK(fit.lower_bound <= fit.objective);
    const double expected = model == Model::relu ? 0.73284603 : 0.34868335;
    CHECK(8 * fit.objective == doctest::Approx(expected).epsilon(1e-7));
    CHECK(fit.objective == doctest::Approx(objective_of(fit, golden::X(), golden::y(), false)));
    settings.n_patterns = 10;
    CHECK_THROWS_AS(pyconvex::fit(golden::X(), golden::y(), settings), std::invalid_argument);
  }
}

TEST_CASE("all patterns with every bias: nothing that is found otherwise is better") {
  for (const Bias bias : {Bias::free, Bias::decayed, Bias::none}) {
    FitSettings settings;
    settings.beta = 0.01;
    settings.bias = bias;
    const Fit local = pyconvex::fit(golden::X(), golden::y(), settings);
    settings.all_patterns = true;
    const Fit global = pyconvex::fit(golden::X(), golden::y(), settings);
    CAPTURE(static_cast<int>(bias));
    CHECK(global.status == Status::optimal);
    CHECK(global.certificate == "global");
    CHECK(global.lower_bound <= local.objective * (1 + 1e-12));
    CHECK(global.objective == doctest::Approx(local.objective).epsilon(1e-6));
  }
}

TEST_CASE("column generation finds the same optimum") {
  FitSettings settings = golden_settings(nullptr, Model::relu);
  for (const char* certificate : {"auto", "global", "local"}) {
    CAPTURE(certificate);
    settings.certificate = certificate;
    const Fit fit = pyconvex::fit(golden::X(), golden::y(), settings);
    CHECK(fit.certificate == (settings.certificate == "local" ? "local" : "global"));
    CHECK(fit.status == Status::optimal);
    CHECK(8 * fit.objective == doctest::Approx(0.73284603).epsilon(1e-7));
    CHECK(fit.gap <= settings.tol);
    CHECK(fit.lower_bound <= fit.objective);
  }
  settings.certificate = "global";
  settings.n_patterns = 5;
  CHECK_THROWS_WITH_AS(pyconvex::fit(golden::X(), golden::y(), settings),
                       doctest::Contains("certificate"), std::invalid_argument);
  settings.certificate = "best";
  CHECK_THROWS_WITH_AS(pyconvex::fit(golden::X(), golden::y(), settings),
                       doctest::Contains("certificate"), std::invalid_argument);
}

TEST_CASE("the objective is the network's own, for every bias and model") {
  for (const Bias bias : {Bias::free, Bias::decayed, Bias::none}) {
    for (const Model model : {Model::relu, Model::gated_relu}) {
      for (const Index n_patterns : {Index{0}, Index{30}}) {
        FitSettings settings;
        settings.beta = 0.01;
        settings.bias = bias;
        settings.model = model;
        settings.n_patterns = n_patterns;
        const Fit fit = pyconvex::fit(golden::X(), golden::y(), settings);
        CAPTURE(static_cast<int>(bias));
        CAPTURE(static_cast<int>(model));
        CAPTURE(n_patterns);
        CAPTURE(fit.gap);
        CHECK(fit.status == Status::optimal);
        const bool decayed = bias == Bias::decayed || model == Model::gated_relu;
        const double expected = objective_of(fit, golden::X(), golden::y(), decayed);
        CHECK(fit.objective == doctest::Approx(expected).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("a large beta leaves no neuron, and that is proved") {
  FitSettings settings;
  settings.beta = 100.0;
  const Fit fit = pyconvex::fit(golden::X(), golden::y(), settings);
  CHECK(fit.network.n_neurons() == 0);
  CHECK(fit.certificate == "global");
  CHECK(fit.gap <= 1e-12);
}

TEST_CASE("a callback ends the solve with a valid state") {
  FitSettings settings;
  settings.beta = 1e-4;
  settings.callback = [](const pyconvex::Record& record) { return record.n_neurons > 0; };
  const Fit fit = pyconvex::fit(golden::X(), golden::y(), settings);
  CHECK(fit.status == Status::interrupted);
  const double expected = objective_of(fit, golden::X(), golden::y(), false);
  CHECK(fit.objective == doctest::Approx(expected).epsilon(1e-9));
}

TEST_CASE("rows of weight zero do not count") {
  std::vector<double> weight(8, 1.0), fewer_y = golden::y();
  fewer_y.resize(6);
  weight[6] = weight[7] = 0.0;
  FitSettings settings;
  settings.beta = 0.01;
  const Matrix X = golden::X();
  const Fit fewer = pyconvex::fit({X.data(), 6, 3}, fewer_y, settings);
  settings.sample_weight = weight;
  const Fit weighted = pyconvex::fit(X, golden::y(), settings);
  CHECK(weighted.objective == doctest::Approx(fewer.objective).epsilon(1e-6));
}

TEST_CASE("copies of rows count like weights") {
  const Matrix X = golden::X();
  Matrix copies(16, 3);
  std::vector<double> y = golden::y();
  for (Index i = 0; i < 16; ++i) {
    std::copy_n(X.row(i % 8), 3, copies.row(i));
  }
  y.insert(y.end(), y.begin(), y.begin() + 8);
  FitSettings settings;
  settings.beta = 0.01;
  const Fit once = pyconvex::fit(X, golden::y(), settings);
  const Fit twice = pyconvex::fit(copies, y, settings);
  CHECK(twice.status == Status::optimal);
  CHECK(twice.objective == doctest::Approx(once.objective).epsilon(1e-6));
}

TEST_CASE("wrong input is refused") {
  const Matrix X = golden::X();
  FitSettings settings;
  settings.beta = -1.0;
  CHECK_THROWS_AS(pyconvex::fit(X, golden::y(), settings), std::invalid_argument);
  CHECK_THROWS_AS(pyconvex::fit(X, {1.0, 2.0}), std::invalid_argument);
  CHECK_THROWS_AS(pyconvex::fit({X.data(), 0, 3}, {}), std::invalid_argument);
  std::vector<double> y = golden::y();
  y[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(pyconvex::fit(X, y), std::invalid_argument);
  CHECK_THROWS_AS(pyconvex::solve_group_lasso(X, golden::y(), PatternSet(), {}),
                  std::invalid_argument);
}

TEST_CASE("fixed patterns with a free bias: the certificate holds against column generation") {
  FitSettings settings;
  settings.beta = 0.01;
  settings.n_patterns = 3000;
  const Fit sampled = pyconvex::fit(golden::X(), golden::y(), settings);
  settings.n_patterns = 0;
  const Fit free = pyconvex::fit(golden::X(), golden::y(), settings);
  CHECK(sampled.certificate == "restricted");
  CHECK(sampled.gap <= 1e-6);
  CHECK(free.objective <= sampled.objective * (1 + 1e-6));
}
