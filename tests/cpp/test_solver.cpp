#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "golden.hpp"
#include "pyconvex/pyconvex.hpp"

using pyconvex::Engine;
using pyconvex::GroupLassoResult;
using pyconvex::GroupLassoSettings;
using pyconvex::Index;
using pyconvex::Matrix;
using pyconvex::PatternSet;
using pyconvex::Status;

namespace {

struct Problem {
  Matrix X{60, 4};
  std::vector<double> y = std::vector<double>(60);
  PatternSet patterns;

  Problem() {
    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    for (Index i = 0; i < 60; ++i) {
      for (Index k = 0; k < 4; ++k) {
        X(i, k) = normal(random);
      }
      const double hidden = X(i, 0) - 0.5 * X(i, 1);
      y[static_cast<std::size_t>(i)] = (hidden > 0.0 ? hidden : 0.0) + 0.1 * normal(random) + 0.3;
    }
    pyconvex::SamplingSettings draws;
    draws.random_state = 1;
    patterns = pyconvex::sample_patterns(X, 40, draws);
  }
};

// The bound that the returned multiplier proves, by hand.
double bound_of(const Problem& problem, const GroupLassoSettings& settings,
                const GroupLassoResult& result) {
  const std::vector<double>& z = result.multiplier;
  double linear = 0.0, square = 0.0, excess = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < 60; ++i) {
    linear += z[i] * problem.y[i];
    square += 60.0 * z[i] * z[i];
  }
  for (Index g = 0; g < problem.patterns.size(); ++g) {
    double norm = 0.0;
    for (Index k = 0; k < 4; ++k) {
      double pull = 0.0;
      for (Index i = 0; i < 60; ++i) {
        const std::uint64_t word = problem.patterns.packed()[static_cast<std::size_t>(g)];
        pull += ((word >> i) & 1U) != 0 ? z[static_cast<std::size_t>(i)] * problem.X(i, k) : 0.0;
      }
      norm += pull * pull;
    }
    const auto at = static_cast<std::size_t>(g);
    const double weight = settings.group_weights.empty() ? 1.0 : settings.group_weights[at];
    largest = std::max(largest, std::sqrt(norm) / weight);
    excess += std::pow(std::max(std::sqrt(norm) - settings.beta * weight, 0.0), 2);
  }
  const double limit = settings.beta / largest;
  const double t = std::min(std::max(linear / square, -limit), limit);
  const double hard = t * linear - 0.5 * t * t * square;
  return settings.ridge > 0.0
             ? std::max(hard, linear - 0.5 * square - excess / (2.0 * settings.ridge))
             : hard;
}

// Loss plus penalty of the returned weights, by hand.
double objective_of(const Problem& problem, const GroupLassoSettings& settings,
                    const GroupLassoResult& result) {
  double loss = 0.0, penalty = 0.0;
  for (Index i = 0; i < 60; ++i) {
    double rest = problem.y[static_cast<std::size_t>(i)] - result.intercept;
    for (std::size_t j = 0; j < result.active.size(); ++j) {
      const std::uint64_t word =
          problem.patterns.packed()[static_cast<std::size_t>(result.active[j])];
      for (Index k = 0; k < 4 && ((word >> i) & 1U) != 0; ++k) {
        rest -= result.signs[j] * problem.X(i, k) * result.coef(static_cast<Index>(j), k);
      }
    }
    loss += rest * rest / 120.0;
  }
  for (std::size_t j = 0; j < result.active.size(); ++j) {
    double square = 0.0;
    for (Index k = 0; k < 4; ++k) {
      square += std::pow(result.coef(static_cast<Index>(j), k), 2);
    }
    const auto g = static_cast<std::size_t>(result.active[j]);
    const double weight = settings.group_weights.empty() ? 1.0 : settings.group_weights[g];
    penalty += settings.beta * weight * std::sqrt(square) + 0.5 * settings.ridge * square;
  }
  return loss + penalty;
}

}  // namespace

TEST_CASE("both engines solve the group lasso, with ridge, weights and intercept") {
  const Problem problem;
  std::vector<double> weights;
  for (Index g = 0; g < problem.patterns.size(); ++g) {
    weights.push_back(0.5 + static_cast<double>(g % 3));
  }
  for (const double beta : {0.05, 0.001}) {
    for (const double ridge : {0.0, 0.01}) {
      for (const bool extras : {false, true}) {
        GroupLassoSettings settings;
        settings.beta = beta;
        settings.ridge = ridge;
        settings.tol = 1e-9;
        settings.intercept = extras;
        settings.group_weights = extras ? weights : std::vector<double>{};
        double objectives[2];
        for (const Engine engine : {Engine::cd, Engine::newton}) {
          settings.engine = engine;
          const GroupLassoResult result =
              pyconvex::solve_group_lasso(problem.X, problem.y, problem.patterns, settings);
          CHECK(result.status == Status::optimal);
          CHECK(result.gap <= 1e-9);
          CHECK(result.certificate == "restricted");
          CHECK(result.objective ==
                doctest::Approx(objective_of(problem, settings, result)).epsilon(1e-12));
          CHECK(result.dual_objective ==
                doctest::Approx(bound_of(problem, settings, result)).epsilon(1e-10));
          objectives[engine == Engine::cd ? 0 : 1] = result.objective;
        }
        CHECK(objectives[0] == doctest::Approx(objectives[1]).epsilon(3e-9));
      }
    }
  }
}

TEST_CASE("limits leave the best state and a valid bound") {
  const Problem problem;
  GroupLassoSettings settings;
  settings.beta = 0.001;
  settings.engine = Engine::newton;
  const double optimum =
      pyconvex::solve_group_lasso(problem.X, problem.y, problem.patterns, settings).objective;
  for (const Index most : {0, 1, 3, 8}) {
    settings.max_iter = most;
    const GroupLassoResult result =
        pyconvex::solve_group_lasso(problem.X, problem.y, problem.patterns, settings);
    CHECK(result.status == Status::max_iter);
    CHECK(result.dual_objective <= optimum * (1.0 + 1e-9));
    CHECK(result.objective >= optimum * (1.0 - 1e-6));
  }
  settings.callback = [](const pyconvex::Record&) { return true; };
  CHECK(pyconvex::solve_group_lasso(problem.X, problem.y, problem.patterns, settings).status ==
        Status::interrupted);
}

TEST_CASE("a beta without active groups") {
  const Problem problem;
  GroupLassoSettings settings;
  settings.beta = 100.0;
  const GroupLassoResult result =
      pyconvex::solve_group_lasso(problem.X, problem.y, problem.patterns, settings);
  CHECK(result.active.empty());
  CHECK(result.gap == doctest::Approx(0.0));
}

TEST_CASE("wrong extras are named") {
  const Problem problem;
  const auto message = [&](const GroupLassoSettings& settings) {
    try {
      pyconvex::solve_group_lasso(problem.X, problem.y, problem.patterns, settings);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  GroupLassoSettings settings;
  settings.beta = 0.01;
  settings.ridge = -1.0;
  CHECK(message(settings).find("ridge") == 0);
  settings.ridge = 0.0;
  settings.group_weights = {1.0};
  CHECK(message(settings).find("group_weights") == 0);
  settings.group_weights.assign(static_cast<std::size_t>(problem.patterns.size()), 0.0);
  CHECK(message(settings).find("group_weights") == 0);
  settings.group_weights.clear();
  settings.engine = Engine::newton;
  settings.cones = true;
  CHECK(message(settings).find("engine") == 0);
}
