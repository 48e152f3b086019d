#include "pyconvex/program.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "problem.hpp"

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

std::string to_string(Status status) {
  switch (status) {
    case Status::optimal:
      return "optimal";
    case Status::max_iter:
      return "max_iter";
    case Status::time_limit:
      return "time_limit";
    case Status::interrupted:
      return "interrupted";
    case Status::stalled:
      return "stalled";
  }
  throw std::invalid_argument("status is no Status");
}

VectorXd Problem::norms(const RowMatrix& U) const {
  return U.leftCols(free_bias ? U.cols() - 1 : U.cols()).rowwise().norm();
}

VectorXd Problem::multiplier(const VectorXd& residual) const {
  return sample_weight.cwiseProduct(residual);
}

double Problem::loss(const VectorXd& residual) const {
  return 0.5 * sample_weight.dot(residual.cwiseAbs2());
}

double Problem::objective(const VectorXd& residual, const RowMatrix& U,
                          const std::vector<Index>& pattern) const {
  VectorXd sizes = norms(U);
  for (Index j = 0; j < sizes.size() && !pattern.empty(); ++j) {
    sizes[j] *= weight_of(pattern[static_cast<std::size_t>(j)]);
  }
  return loss(residual) + beta * sizes.sum() + 0.5 * ridge * U.squaredNorm() + offset;
}

double Problem::violation_cost(const VectorXd& values, const std::vector<Index>& pattern) const {
  if (ridge == 0.0) {
    return 0.0;
  }
  double sum = 0.0;
  for (Index k = 0; k < values.size(); ++k) {
    const Index g = pattern.empty() ? k : pattern[static_cast<std::size_t>(k)];
    const double over = weight_of(g) * std::max(values[k] - beta, 0.0);
    sum += over * over;
  }
  return sum / (2.0 * ridge);
}

double Problem::dual_objective(const VectorXd& z, double norm, double excess) const {
  const double linear = z.dot(y), quadratic = z.dot(z.cwiseQuotient(sample_weight));
  if (quadratic == 0.0) {
    return offset;
  }
  const double limit = norm > 0.0 ? beta / norm : std::numeric_limits<double>::infinity();
  const double t = std::clamp(linear / quadratic, -limit, limit);
  const double value = t * linear - 0.5 * t * t * quadratic;
  const double soft = ridge > 0.0 ? linear - 0.5 * quadratic - excess : value;
  return std::max(value, soft) + offset;
}

Problem Problem::merged(std::vector<Index>& first) const {
  std::map<std::vector<double>, Index> seen;
  std::vector<Index> group;
  first.clear();
  for (Index i = 0; i < X.rows(); ++i) {
    const std::vector<double> row(X.row(i).data(), X.row(i).data() + X.cols());
    const auto [place, is_new] = seen.emplace(row, static_cast<Index>(first.size()));
    group.push_back(place->second);
    if (is_new) {
      first.push_back(i);
    }
  }
  const auto n = static_cast<Index>(first.size());
  Problem result{RowMatrix(n, X.cols()),
                 VectorXd::Zero(n),
                 VectorXd::Zero(n),
                 beta,
                 intercept,
                 free_bias,
                 offset};
  for (Index i = 0; i < X.rows(); ++i) {
    const Index g = group[static_cast<std::size_t>(i)];
    result.X.row(g) = X.row(i);
    result.sample_weight[g] += sample_weight[i];
    result.y[g] += sample_weight[i] * y[i];
  }
  result.y = result.y.cwiseQuotient(result.sample_weight);
  for (Index i = 0; i < X.rows(); ++i) {
    const double apart = y[i] - result.y[group[static_cast<std::size_t>(i)]];
    result.offset += 0.5 * sample_weight[i] * apart * apart;
  }
  return result;
}

// For one sign, sum_i z_i (x_i u)_+ <= sqrt(sum_i z_i^+) sqrt(sum_i z_i^+ (x_i u)^2). A free bias
// obeys |b| <= R ||w||, R = max ||x_i||, so that (w, b / R) has norm at most sqrt(2) ||w||.
double Problem::norm_bound(const VectorXd& z) const {
  RowMatrix scaled = X;
  if (free_bias) {
    scaled.col(X.cols() - 1).setConstant(radius());
  }
  double bound = 0.0;
  for (const double sign : {1.0, -1.0}) {
    const VectorXd part = (sign * z).cwiseMax(0.0);
    const MatrixXd gram = scaled.transpose() * part.asDiagonal() * scaled;
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(gram, Eigen::EigenvaluesOnly);
    const double largest = std::max(eigen.eigenvalues().maxCoeff(), 0.0);
    bound = std::max(bound, std::sqrt(part.sum() * largest));
  }
  return (free_bias ? std::sqrt(2.0) : 1.0) * bound * (1.0 + 1e-12);
}

double relative_gap(double objective, double dual_objective) {
  return objective == 0.0 ? 0.0 : (objective - dual_objective) / objective;
}

void check_finite(MatrixView X, const char* name) {
  if (X.empty()) {
    throw std::invalid_argument(std::string(name) + " is empty: pass at least one row and column");
  }
  for (Index i = 0; i < X.rows * X.cols; ++i) {
    if (!std::isfinite(X.data[i])) {
      throw std::invalid_argument(std::string(name) +
                                  " contains NaN or infinity: drop or impute such entries first");
    }
  }
}

void check_limits(const Limits& limits) {
  if (!(limits.tol > 0.0 && limits.tol < 1.0)) {
    throw std::invalid_argument("tol must be a relative tolerance in (0, 1), e.g. 1e-6");
  }
  if (limits.max_iter < 0 || !(limits.time_limit > 0.0) || limits.n_threads < 0) {
    throw std::invalid_argument("max_iter and n_threads must be >= 0, time_limit > 0");
  }
}

namespace {

void check_vector(const std::vector<double>& values, Index n, const char* name) {
  if (static_cast<Index>(values.size()) != n) {
    throw std::invalid_argument(std::string(name) + " must have one entry per row of X");
  }
  check_finite({values.data(), n, 1}, name);
}

}  // namespace

Problem make_problem(const RowMatrix& X, const std::vector<double>& y,
                     const std::vector<double>& sample_weight, double beta, bool intercept,
                     bool free_bias, std::vector<Index>& kept) {
  check_vector(y, X.rows(), "y");
  if (!(beta > 0.0) || !std::isfinite(beta)) {
    throw std::invalid_argument("beta must be a finite number > 0");
  }
  std::vector<double> weights(y.size(), 1.0);
  if (!sample_weight.empty()) {
    check_vector(sample_weight, X.rows(), "sample_weight");
    weights = sample_weight;
  }
  double total = 0.0;
  kept.clear();
  for (Index i = 0; i < X.rows(); ++i) {
    const double weight = weights[static_cast<std::size_t>(i)];
    if (weight < 0.0) {
      throw std::invalid_argument("sample_weight has negative entries: use weights >= 0");
    }
    if (weight > 0.0) {
      kept.push_back(i);
      total += weight;
    }
  }
  if (kept.empty()) {
    throw std::invalid_argument("sample_weight is zero everywhere");
  }
  const auto n = static_cast<Index>(kept.size());
  Problem problem{
      RowMatrix(n, X.cols()), VectorXd(n), VectorXd(n), beta, intercept, free_bias, 0.0};
  for (Index i = 0; i < n; ++i) {
    const Index from = kept[static_cast<std::size_t>(i)];
    problem.X.row(i) = X.row(from);
    problem.y[i] = y[static_cast<std::size_t>(from)];
    problem.sample_weight[i] = weights[static_cast<std::size_t>(from)] / total;
  }
  return problem;
}

}  // namespace pyconvex
