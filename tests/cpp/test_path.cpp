#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "golden.hpp"
#include "pyconvex/pyconvex.hpp"

using pyconvex::Bias;
using pyconvex::Fit;
using pyconvex::Index;
using pyconvex::Matrix;
using pyconvex::Network;
using pyconvex::PathSettings;

namespace {

PathSettings short_path(Bias bias) {
  PathSettings settings;
  settings.bias = bias;
  settings.n_betas = 5;
  settings.beta_min_ratio = 0.05;
  return settings;
}

// Rank of the neurons' outputs on X, scaled, with the constant where it may absorb them.
Index rank_of_outputs(const Network& network, const Matrix& X, bool constant) {
  Eigen::MatrixXd outputs(X.rows(), network.n_neurons() + (constant ? 1 : 0));
  for (Index j = 0; j < network.n_neurons(); ++j) {
    for (Index i = 0; i < X.rows(); ++i) {
      double hidden = network.hidden_bias[static_cast<std::size_t>(j)];
      for (Index k = 0; k < X.cols(); ++k) {
        hidden += network.hidden_weights(j, k) * X(i, k);
      }
      outputs(i, j) = std::max(hidden, 0.0);
    }
  }
  if (constant) {
    outputs.rightCols(1).setOnes();
  }
  outputs.colwise().normalize();
  return Eigen::FullPivHouseholderQR<Eigen::MatrixXd>(outputs).setThreshold(1e-10).rank();
}

}  // namespace

TEST_CASE("points of a path are fits") {
  for (const Bias bias : {Bias::free, Bias::decayed, Bias::none}) {
    PathSettings settings = short_path(bias);
    const std::vector<Fit> fits = pyconvex::path(golden::X(), golden::y(), settings);
    REQUIRE(fits.size() == 5);
    CHECK(fits[0].network.n_neurons() == 0);
    CHECK(fits[4].beta == doctest::Approx(0.05 * fits[0].beta));
    for (const Fit& point : fits) {
      settings.beta = point.beta;
      const Fit cold = pyconvex::fit(golden::X(), golden::y(), settings);
      CHECK(point.certificate == "global");
      CHECK(point.gap <= 1e-6);
      CHECK(point.objective == doctest::Approx(cold.objective).epsilon(2e-6));
    }
  }
}

TEST_CASE("a path ends early with the points solved so far") {
  PathSettings settings = short_path(Bias::free);
  settings.callback = [](const pyconvex::Record& record) { return record.n_neurons > 0; };
  const std::vector<Fit> fits = pyconvex::path(golden::X(), golden::y(), settings);
  CHECK(!fits.empty());
  CHECK(fits.size() < 5);
  settings.callback = nullptr;
  settings.time_limit = 1e-9;
  CHECK(pyconvex::path(golden::X(), golden::y(), settings).size() == 1);
}

TEST_CASE("own betas come in descending order") {
  PathSettings settings = short_path(Bias::free);
  settings.betas = {0.01, 0.1};
  const std::vector<Fit> fits = pyconvex::path(golden::X(), golden::y(), settings);
  REQUIRE(fits.size() == 2);
  CHECK(fits[0].beta == 0.1);
  settings.betas = {0.0};
  CHECK_THROWS_AS(pyconvex::path(golden::X(), golden::y(), settings), std::invalid_argument);
  settings.betas.clear();
  settings.beta_min_ratio = 1.0;
  CHECK_THROWS_AS(pyconvex::path(golden::X(), golden::y(), settings), std::invalid_argument);
}

TEST_CASE("pruned networks predict the same with independent neurons") {
  const Matrix X = golden::X();
  const Index m = 20;
  for (const bool free_bias : {false, true}) {
    Network network{Matrix(m, 3), {}, {}, 0.5, false, {}, {}};
    for (Index j = 0; j < m; ++j) {
      const auto t = static_cast<double>(j);
      for (Index k = 0; k < 3; ++k) {
        network.hidden_weights(j, k) = std::sin(3.0 * t + static_cast<double>(k));
      }
      network.hidden_bias.push_back(std::cos(5.0 * t));
      network.output_weights.push_back(std::sin(7.0 * t + 1.0));
    }
    const Network pruned = network.prune(X, free_bias);
    CHECK(pruned.n_neurons() <= 8 - (free_bias ? 1 : 0));
    CHECK(rank_of_outputs(pruned, X, free_bias) == pruned.n_neurons() + (free_bias ? 1 : 0));
    const std::vector<double> before = network.predict(X), after = pruned.predict(X);
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(after[i] == doctest::Approx(before[i]).epsilon(1e-10));
    }
    CHECK(pruned.prune(X, free_bias).n_neurons() == pruned.n_neurons());
  }
}

TEST_CASE("nearly constant neurons do not spoil the predictions of a pruned network") {
  const Matrix X = golden::X();
  const Index m = 60;
  Network network{Matrix(m, 3), {}, {}, 1.0, false, {}, {}};
  for (Index j = 0; j < m; ++j) {
    const auto t = static_cast<double>(j);
    for (Index k = 0; k < 3; ++k) {
      network.hidden_weights(j, k) =
          std::pow(10.0, 8.0 * std::sin(11.0 * t)) * std::sin(3.0 * t + static_cast<double>(k));
    }
    network.hidden_bias.push_back(std::pow(10.0, 8.0 * std::cos(13.0 * t)));
    network.output_weights.push_back(std::sin(7.0 * t + 1.0));
  }
  const Network pruned = network.prune(X);  // an output bias counts as free
  CHECK(pruned.n_neurons() <= 7);
  CHECK_THROWS_AS(network.prune({X.data(), 12, 2}), std::invalid_argument);
  const std::vector<double> before = network.predict(X), after = pruned.predict(X);
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(std::abs(after[i] - before[i]) <= 1e-10 * 1e8 * m);  // of what the neurons add up to
  }
}

TEST_CASE("minimal fits are no worse") {
  pyconvex::FitSettings settings;
  settings.beta = 0.01;
  for (const pyconvex::Model model : {pyconvex::Model::relu, pyconvex::Model::gated_relu}) {
    settings.model = model;
    settings.minimal = false;
    const Fit whole = pyconvex::fit(golden::X(), golden::y(), settings);
    settings.minimal = true;
    const Fit fewer = pyconvex::fit(golden::X(), golden::y(), settings);
    CHECK(fewer.objective <= whole.objective * (1.0 + 1e-12));
    CHECK(fewer.network.n_neurons() <= 7);
  }
}
