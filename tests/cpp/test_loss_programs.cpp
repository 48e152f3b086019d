#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "golden.hpp"
#include "pyconvex/pyconvex.hpp"

using pyconvex::Bias;
using pyconvex::Engine;
using pyconvex::Fit;
using pyconvex::FitSettings;
using pyconvex::GroupLassoResult;
using pyconvex::GroupLassoSettings;
using pyconvex::Index;
using pyconvex::Matrix;
using pyconvex::PatternSet;
using pyconvex::Status;

namespace {

constexpr Index kSamples = 24;

// Objectives that the Python package finds on the data below, with huber's delta 0.2, quantile's
// tau 0.7 and tol=1e-9 or, for `fit`, 1e-8 (the kinked ones stalled a little above that):
//   solve_group_lasso(X, y, gates, beta=0.01, cones=..., intercept=True, sample_weight=weights)
//   and the same with ridge=0.01, group_weights=omega; with cones, then without;
//   fit(X, y, beta=0.01, bias=...) for "free", "decayed" and "none"; beta_max(X, y).
struct Expected {
  std::string name;
  double cones, soft_cones, gated, soft_gated, networks[3], beta_max;
};

const Expected kExpected[] = {{"squared",
                               0.04309875214305338,
                               0.05584835463811015,
                               0.037155314855527824,
                               0.04035644843911779,
                               {0.039597268315732556, 0.04089232899578889, 0.04663340967377089},
                               0.5661690624266027},
                              {"huber",
                               0.04024528848472257,
                               0.050688196010516086,
                               0.03530018525644075,
                               0.03565536375606145,
                               {0.038023648675158186, 0.03911832784947407, 0.041996771383581696},
                               0.1188273937364135},
                              {"quantile",
                               0.08204796284336709,
                               0.09793983648693166,
                               0.06876574793538401,
                               0.07412467344139474,
                               {0.07823280259775993, 0.07890584659863496, 0.08858878796772039},
                               0.25019234369650195},
                              {"poisson",
                               0.1947869369429016,
                               0.22566876625003043,
                               0.16536912940831955,
                               0.1894881792022597,
                               {0.1535269480087218, 0.15737434556379104, 0.18464196375193453},
                               0.7425322667596767},
                              {"logistic",
                               0.31262483628964,
                               0.41397125224439324,
                               0.2950655807180064,
                               0.3607345418088003,
                               {0.23457146627630948, 0.24170368822482496, 0.26875636020154076},
                               0.3081888455956322},
                              {"squared_hinge",
                               0.15325201880713657,
                               0.18312522594829883,
                               0.1314859854195359,
                               0.16638310498905656,
                               {0.11611682334701637, 0.1175170941173041, 0.12892660104941522},
                               0.6163776911912644},
                              {"hinge",
                               0.2242179746838572,
                               0.3099453313256201,
                               0.20599876470571724,
                               0.27240741955419806,
                               {0.16356207483184215, 0.17362441061127964, 0.20946888386823048},
                               0.6163776911912644}};

std::shared_ptr<const pyconvex::Loss> loss_of(const std::string& name) {
  if (name == "huber") {
    return std::make_shared<pyconvex::Huber>(0.2);
  }
  if (name == "quantile") {
    return std::make_shared<pyconvex::Quantile>(0.7);
  }
  return pyconvex::make_loss(name);
}

// X[i, j] = sin(3 + 1.7 i + 2.9 j + 0.31 i j), gates[j, k] = sin(1 + 2.3 k + 1.1 j (k + 1)),
// f = (x0 - x1 / 2)_+ - (x1 + 0.3)_+ + 0.3 sin(5 i); y = f, or f > -0.1, or round(exp(f)).
struct Data {
  Matrix X{kSamples, 2};
  std::vector<double> y, weights, omega;
  PatternSet gates;

  explicit Data(const std::string& name) {
    Matrix G(2, 10);
    for (Index k = 0; k < 10; ++k) {
      for (Index j = 0; j < 2; ++j) {
        const auto a = static_cast<double>(j), b = static_cast<double>(k);
        G(j, k) = std::sin(1 + 2.3 * b + 1.1 * a * (b + 1));
      }
    }
    for (Index i = 0; i < kSamples; ++i) {
      const auto at = static_cast<double>(i);
      X(i, 0) = std::sin(3 + 1.7 * at);
      X(i, 1) = std::sin(3 + 1.7 * at + 2.9 + 0.31 * at);
      const double f = std::max(X(i, 0) - 0.5 * X(i, 1), 0.0) - std::max(X(i, 1) + 0.3, 0.0) +
                       0.3 * std::sin(5 * at);
      y.push_back(target(name, f));
      weights.push_back(static_cast<double>(1 + i % 3));
    }
    gates = PatternSet::from_gates(X, G);
    for (Index g = 0; g < gates.size(); ++g) {
      omega.push_back(0.5 + static_cast<double>(g % 3));
    }
  }

  static double target(const std::string& name, double f) {
    if (name == "poisson") {
      return std::floor(std::exp(f) + 0.5);
    }
    return loss_of(name)->two_classes() ? (f > -0.1 ? 1.0 : -1.0) : f;
  }
};

double norm(const double* u) {
  return std::hypot(u[0], u[1]);
}

// Loss plus penalty of the returned weights, by hand.
double objective_of(const Data& data, const GroupLassoSettings& settings,
                    const GroupLassoResult& result) {
  std::vector<double> f(kSamples, result.intercept);
  double penalty = 0.0;
  for (std::size_t j = 0; j < result.active.size(); ++j) {
    const double* u = result.coef.row(static_cast<Index>(j));
    const Index g = result.active[j];
    for (Index i = 0; i < kSamples; ++i) {
      const double output = data.X(i, 0) * u[0] + data.X(i, 1) * u[1];
      CHECK((!settings.cones || (data.gates.active(g, i) ? output : -output) > -1e-12));
      f[static_cast<std::size_t>(i)] += data.gates.active(g, i) ? result.signs[j] * output : 0.0;
    }
    const double omega =
        settings.group_weights.empty() ? 1.0 : settings.group_weights[static_cast<std::size_t>(g)];
    penalty += settings.beta * omega * norm(u) + 0.5 * settings.ridge * norm(u) * norm(u);
  }
  const std::vector<double> losses = settings.loss->losses(f, data.y);
  const double total = std::accumulate(data.weights.begin(), data.weights.end(), 0.0);
  return std::inner_product(losses.begin(), losses.end(), data.weights.begin(), 0.0) / total +
         penalty;
}

// The bound that the returned multiplier proves without cones and ridge, by hand.
double bound_of(const Data& data, const GroupLassoSettings& settings,
                const GroupLassoResult& result) {
  double largest = 0.0, sum = 0.0, size = 0.0;
  for (Index g = 0; g < data.gates.size(); ++g) {
    double pull[2] = {0.0, 0.0};
    for (Index i = 0; i < kSamples; ++i) {
      for (Index j = 0; j < 2 && data.gates.active(g, i); ++j) {
        pull[j] += result.multiplier[static_cast<std::size_t>(i)] * data.X(i, j);
      }
    }
    largest = std::max(largest, norm(pull));
  }
  for (const double z : result.multiplier) {
    sum += z;
    size += std::abs(z);
  }
  CHECK(std::abs(sum) <= 1e-12 * size);
  std::vector<double> s = data.weights, z = result.multiplier;
  const double total = std::accumulate(s.begin(), s.end(), 0.0);
  for (std::size_t i = 0; i < s.size(); ++i) {
    s[i] /= total;
    z[i] *= std::min(1.0, settings.beta / largest);
  }
  return settings.loss->dual_value(z, data.y, s);
}

GroupLassoSettings program(const Expected& expected, bool cones, Engine engine) {
  GroupLassoSettings settings;
  settings.beta = 0.01;
  settings.loss = loss_of(expected.name);
  settings.cones = cones;
  settings.engine = engine;
  settings.intercept = true;
  settings.tol = 1e-7;
  return settings;
}

}  // namespace

TEST_CASE("programs over given patterns with every loss: objectives of the Python package") {
  for (const Expected& expected : kExpected) {
    const Data data(expected.name);
    REQUIRE(data.gates.size() == 9);
    for (const Engine engine : {Engine::cd, Engine::newton}) {
      for (const bool cones : {false, true}) {
        for (const bool soft : {false, true}) {
          if (cones && engine == Engine::newton) {
            continue;
          }
          CAPTURE(expected.name);
          CAPTURE(cones);
          CAPTURE(soft);
          CAPTURE(static_cast<int>(engine));
          GroupLassoSettings settings = program(expected, cones, engine);
          settings.sample_weight = data.weights;
          settings.ridge = soft ? 0.01 : 0.0;
          settings.group_weights = soft ? data.omega : std::vector<double>();
          const GroupLassoResult result =
              pyconvex::solve_group_lasso(data.X, data.y, data.gates, settings);
          const double hard = cones ? expected.cones : expected.gated;
          const double optimum = soft ? (cones ? expected.soft_cones : expected.soft_gated) : hard;
          CHECK(result.status == Status::optimal);
          CHECK(result.certificate == "restricted");
          CHECK(result.gap <= 1e-7);
          CHECK(result.objective == doctest::Approx(optimum).epsilon(1e-6));
          CHECK(result.dual_objective <= optimum * (1 + 2e-9));
          CHECK(result.objective ==
                doctest::Approx(objective_of(data, settings, result)).epsilon(1e-9));
          if (!cones && !soft && settings.loss->name() != std::string("squared")) {
            CHECK(result.dual_objective <= bound_of(data, settings, result) * (1 + 1e-9));
          }
        }
      }
    }
  }
}

TEST_CASE("networks of any width with every loss: objectives of the Python package") {
  for (const Expected& expected : kExpected) {
    const Data data(expected.name);
    for (const Bias bias : {Bias::free, Bias::decayed, Bias::none}) {
      CAPTURE(expected.name);
      CAPTURE(static_cast<int>(bias));
      FitSettings settings;
      settings.beta = 0.01;
      settings.loss = loss_of(expected.name);
      settings.bias = bias;
      const Fit fit = pyconvex::fit(data.X, data.y, settings);
      const double optimum = expected.networks[static_cast<int>(bias)];
      CHECK(fit.status == Status::optimal);
      CHECK(fit.certificate == "global");
      CHECK(fit.gap <= 1e-6);
      CHECK(fit.objective == doctest::Approx(optimum).epsilon(2e-6));
      CHECK(fit.lower_bound <= optimum * (1 + 1e-7));
      const std::vector<double> f = fit.network.predict(data.X);
      double squares = 0.0;
      for (Index j = 0; j < fit.network.n_neurons(); ++j) {
        const auto k = static_cast<std::size_t>(j);
        squares += std::pow(norm(fit.network.hidden_weights.row(j)), 2) +
                   std::pow(fit.network.output_weights[k], 2) +
                   (bias == Bias::decayed ? std::pow(fit.network.hidden_bias[k], 2) : 0.0);
      }
      const std::vector<double> equal(kSamples, 1.0 / kSamples);
      const double own = settings.loss->value(f, data.y, equal) + 0.5 * fit.beta * squares;
      CHECK(fit.objective == doctest::Approx(own).epsilon(1e-9));
    }
  }
}

TEST_CASE("the golden value of the logistic loss") {
  std::vector<double> y = golden::y();
  std::transform(y.begin(), y.end(), y.begin(), [](double t) { return t > 0.0 ? 1.0 : -1.0; });
  FitSettings settings;
  settings.beta = golden::beta;
  settings.bias = Bias::none;
  settings.loss = pyconvex::make_loss("logistic");
  settings.tol = 1e-9;
  for (const bool all : {true, false}) {
    settings.all_patterns = all;
    const Fit fit = pyconvex::fit(golden::X(), y, settings);
    CHECK(fit.status == Status::optimal);
    CHECK(fit.certificate == "global");
    CHECK(fit.gap <= 1e-9);
    CHECK(8 * fit.objective == doctest::Approx(2.72340466).epsilon(1e-8));
  }
}

TEST_CASE("beta_max of every loss") {
  for (const Expected& expected : kExpected) {
    CAPTURE(expected.name);
    const Data data(expected.name);
    FitSettings settings;
    settings.loss = loss_of(expected.name);
    const double largest = pyconvex::beta_max(data.X, data.y, settings);
    CHECK(largest == doctest::Approx(expected.beta_max).epsilon(1e-7));
    settings.beta = 1.001 * largest;
    CHECK(pyconvex::fit(data.X, data.y, settings).network.n_neurons() == 0);
  }
}

TEST_CASE("copies of a row keep their targets") {
  Data data("logistic");
  std::vector<double> y = data.y;
  Matrix copies(2 * kSamples, 2);
  for (Index i = 0; i < 2 * kSamples; ++i) {
    std::copy_n(data.X.row(i % kSamples), 2, copies.row(i));
  }
  y.insert(y.end(), data.y.begin(), data.y.end());
  y[kSamples] = -y[kSamples];  // the same row, the other class
  FitSettings settings;
  settings.beta = 0.01;
  settings.loss = pyconvex::make_loss("logistic");
  const Fit mixed = pyconvex::fit(copies, y, settings);
  CHECK(mixed.status == Status::optimal);
  CHECK(mixed.certificate == "global");
  y[kSamples] = data.y[0];
  const Fit twice = pyconvex::fit(copies, y, settings);
  CHECK(twice.objective == doctest::Approx(kExpected[4].networks[0]).epsilon(2e-6));
  CHECK(mixed.objective > twice.objective);
  settings.sample_weight.assign(2 * kSamples, 1.0);
  settings.sample_weight[kSamples] = 0.0;  // leaves the row out
  CHECK(pyconvex::fit(copies, y, settings).status == Status::optimal);
}

TEST_CASE("paths, gated networks and limits with other losses") {
  const Data data("logistic");
  pyconvex::PathSettings path;
  path.loss = pyconvex::make_loss("logistic");
  path.n_betas = 5;
  const std::vector<Fit> fits = pyconvex::path(data.X, data.y, path);
  REQUIRE(fits.size() == 5);
  CHECK(fits[0].network.n_neurons() == 0);
  for (std::size_t k = 1; k < fits.size(); ++k) {
    CHECK(fits[k].status == Status::optimal);
    CHECK(fits[k].objective < fits[k - 1].objective);
  }
  for (const char* name : {"poisson", "hinge"}) {
    CAPTURE(name);
    const Data other(name);
    FitSettings settings;
    settings.loss = pyconvex::make_loss(name);
    settings.model = pyconvex::Model::gated_relu;
    settings.n_patterns = 20;
    settings.beta = 0.01;
    const Fit gated = pyconvex::fit(other.X, other.y, settings);
    CHECK(gated.status == Status::optimal);
    CHECK(gated.certificate == "restricted");
    CHECK(gated.gap <= 1e-6);
    settings.max_iter = 2;
    settings.beta = 1e-4;
    const Fit early = pyconvex::fit(other.X, other.y, settings);
    CHECK(early.status == Status::max_iter);
    CHECK(early.history.size() == 3);
    CHECK(early.lower_bound <= early.objective);
  }
}

TEST_CASE("a callback ends a solve in whatever stage it is") {
  const Data data("hinge");
  for (std::size_t last = 1; last <= 12; ++last) {
    CAPTURE(last);
    std::size_t calls = 0;
    const pyconvex::Callback once = [&](const pyconvex::Record&) { return ++calls == last; };
    FitSettings settings;
    settings.beta = 0.01;
    settings.loss = pyconvex::make_loss("hinge");
    settings.callback = once;
    const Fit fit = pyconvex::fit(data.X, data.y, settings);
    CHECK(fit.status == Status::interrupted);
    CHECK(fit.history.size() == last);
    calls = 0;
    GroupLassoSettings gated = program(kExpected[6], false, Engine::newton);
    gated.callback = once;
    const GroupLassoResult result = pyconvex::solve_group_lasso(data.X, data.y, data.gates, gated);
    CHECK(result.status == Status::interrupted);
    CHECK(result.n_iter == static_cast<Index>(last));
  }
}

TEST_CASE("targets that do not fit the loss are refused") {
  const Data data("squared");
  FitSettings settings;
  settings.loss = pyconvex::make_loss("logistic");
  CHECK_THROWS_WITH_AS(pyconvex::fit(data.X, data.y, settings),
                       doctest::Contains("y must be -1 or +1"), std::invalid_argument);
  GroupLassoSettings program;
  program.beta = 0.1;
  program.loss = pyconvex::make_loss("poisson");
  CHECK_THROWS_WITH_AS(pyconvex::solve_group_lasso(data.X, data.y, data.gates, program),
                       doctest::Contains("y must be >= 0"), std::invalid_argument);
}
