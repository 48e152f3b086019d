#include "pyconvex/price.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "bounded_pricing.hpp"
#include "collector.hpp"
#include "coordinates.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr int kEffort = 4;       // times the usual starts of a local search
constexpr double kSum = 1e-9;    // |sum z| above this, relative to sum |z|, is not zero
constexpr double kTiny = 1e-14;  // rounding errors of a norm that is zero, relative

void check_settings(MatrixView X, const std::vector<double>& z, const PriceSettings& settings) {
  check_finite(X, "X");
  if (static_cast<Index>(z.size()) != X.rows ||
      !std::all_of(z.begin(), z.end(), [](double x) { return std::isfinite(x); })) {
    throw std::invalid_argument("z must have one finite entry per row of X");
  }
  const std::string& method = settings.method;
  if (method != "auto" && method != "bounded" && method != "exact" && method != "local") {
    throw std::invalid_argument("method must be \"auto\", \"bounded\", \"exact\" or \"local\"");
  }
  Limits limits;
  limits.tol = settings.tol;
  limits.time_limit = settings.time_limit;
  limits.n_threads = settings.n_threads;
  check_limits(limits);
  if (settings.max_nodes < 0) {
    throw std::invalid_argument("max_nodes must be >= 0");
  }
}

VectorXd checked_multiplier(const std::vector<double>& z, Bias bias) {
  VectorXd multiplier = Eigen::Map<const VectorXd>(z.data(), static_cast<Index>(z.size()));
  if (bias == Bias::free) {
    if (std::abs(multiplier.sum()) > kSum * multiplier.cwiseAbs().sum()) {
      throw std::invalid_argument(
          "z must sum to zero for Bias::free, else its dual norm is infinite: subtract its mean");
    }
    multiplier.array() -= multiplier.mean();
  }
  return multiplier;
}

// The problem of distinct rows that a dual norm needs.
Problem merged_problem(const RowMatrix& rows, const VectorXd& z, Bias bias) {
  const Index n = rows.rows();
  const bool free = bias == Bias::free;
  const Problem problem{rows, z,    VectorXd::Constant(n, 1.0 / static_cast<double>(n)),
                        0.0,  free, free};
  std::vector<Index> first;
  return problem.merged(first);
}

NormBound prove(const Problem& problem, const VectorXd& z, double target,
                const PriceSettings& settings) {
  BracketSettings rules;
  rules.exact = settings.method == "exact";
  rules.bounded = settings.method == "bounded";
  rules.target = target;
  rules.tol = settings.tol;
  rules.max_nodes =
      settings.max_nodes > 0 || settings.method != "auto" ? settings.max_nodes : kAutoNodes;
  rules.n_threads = settings.n_threads;
  rules.deadline = deadline_in(settings.time_limit);
  return bracket_norm(problem, z, rules);
}

// Evaluate neurons again, sort them and take them back to the user's coordinates.
Pricing to_pricing(const Problem& problem, const VectorXd& z, const RowMatrix& points,
                   const VectorXd& signs, double bound, const Coordinates& coordinates,
                   double tol) {
  Collector found;
  for (Index k = 0; k < points.rows(); ++k) {
    const VectorXd output = (problem.X * points.row(k).transpose()).cwiseMax(0.0);
    const double value = signs[k] * z.dot(output);
    if (value > 0.0) {
      found.add(points.row(k), signs[k], value, nullptr, -1);
    }
  }
  const Columns columns = found.sorted(problem.X.cols());
  RowMatrix weights;
  VectorXd biases;
  coordinates.to_user(columns.points, weights, biases);
  Pricing pricing;
  pricing.value = columns.size() > 0 ? columns.values[0] : 0.0;
  pricing.bound = std::max(std::min(bound, problem.norm_bound(z)), pricing.value);
  const double rounding = kTiny * problem.norm_bound(z.cwiseAbs());
  const bool proved = pricing.bound <= (1.0 + tol) * pricing.value + rounding;
  pricing.certificate = proved ? "global" : "local";
  pricing.weights = {weights.rows(), weights.cols(),
                     std::vector<double>(weights.data(), weights.data() + weights.size())};
  pricing.biases.assign(biases.data(), biases.data() + biases.size());
  pricing.signs.assign(columns.signs.data(), columns.signs.data() + columns.size());
  pricing.values.assign(columns.values.data(), columns.values.data() + columns.size());
  return pricing;
}

}  // namespace

Pricing price(MatrixView X, const std::vector<double>& z, const PriceSettings& settings) {
  check_settings(X, z, settings);
  const VectorXd multiplier = checked_multiplier(z, settings.bias);
  const Rows user = as_rows(X);
  const Coordinates coordinates(user, settings.bias, settings.bias == Bias::free);
  const Problem problem = merged_problem(coordinates.rows(user), multiplier, settings.bias);
  const VectorXd total = problem.at_rows(multiplier);  // summed over equal rows
  if (settings.method == "bounded" && rank_of(problem) > kMaxRank) {
    throw std::invalid_argument("method \"bounded\" needs data of rank at most 16: use \"local\"");
  }
  Columns columns = Collector().sorted(problem.X.cols());
  double norm = 0.0, bound = std::numeric_limits<double>::infinity();
  if (settings.method != "exact") {
    LocalPricing search(settings.random_state, settings.n_threads);
    norm = search.price(problem, total, RowMatrix(0, problem.X.cols()), VectorXd(0), kEffort, {},
                        columns);
  }
  RowMatrix points = columns.points;
  VectorXd signs = columns.signs;
  if (settings.method != "local" && (settings.method != "auto" || is_provable(problem))) {
    const NormBound proof = prove(problem, total, norm, settings);
    bound = proof.bound;
    points.resize(columns.size() + proof.points.rows(), problem.X.cols());
    points << proof.points, columns.points;
    signs.resize(points.rows());
    signs << proof.signs, columns.signs;
  }
  return to_pricing(problem, total, points, signs, bound, coordinates, settings.tol);
}

}  // namespace pyconvex
