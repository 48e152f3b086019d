#include "pyconvex/program.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "problem.hpp"
#include "smoothed.hpp"

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Share of the mean error over which a kink is smoothed for the best constant.
constexpr double kSharp = 1e-3;

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

VectorXd Problem::at_samples(const VectorXd& rows) const {
  if (copies.empty()) {
    return rows;
  }
  VectorXd samples(y.size());
  for (Index i = 0; i < y.size(); ++i) {
    samples[i] = rows[copies[static_cast<std::size_t>(i)]];
  }
  return samples;
}

VectorXd Problem::at_rows(const VectorXd& samples) const {
  if (copies.empty()) {
    return samples;
  }
  VectorXd rows = VectorXd::Zero(X.rows());
  for (Index i = 0; i < y.size(); ++i) {
    rows[copies[static_cast<std::size_t>(i)]] += samples[i];
  }
  return rows;
}

VectorXd Problem::multiplier(const VectorXd& prediction) const {
  return to_eigen(loss->multiplier(view(at_samples(prediction)), view(y), view(sample_weight)));
}

double Problem::loss_value(const VectorXd& prediction) const {
  return loss->value(view(at_samples(prediction)), view(y), view(sample_weight));
}

double Problem::best_shift(const VectorXd& prediction) const {
  return intercept ? loss->best_shift(view(at_samples(prediction)), view(y), view(sample_weight))
                   : 0.0;
}

double Problem::objective(const VectorXd& prediction, const RowMatrix& U,
                          const std::vector<Index>& pattern) const {
  return loss_value(prediction) + penalty(U, pattern);
}

double Problem::penalty(const RowMatrix& U, const std::vector<Index>& pattern) const {
  VectorXd sizes = norms(U);
  for (Index j = 0; j < sizes.size() && !pattern.empty(); ++j) {
    sizes[j] *= weight_of(pattern[static_cast<std::size_t>(j)]);
  }
  return beta * sizes.sum() + 0.5 * ridge * U.squaredNorm();
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
  const double limit = norm > 0.0 ? beta / norm : std::numeric_limits<double>::infinity();
  const double value = loss->dual_objective(view(z), view(y), view(sample_weight), limit);
  return ridge > 0.0
             ? std::max(value, loss->dual_value(view(z), view(y), view(sample_weight)) - excess)
             : value;
}

VectorXd Problem::constant_multiplier() const {
  std::shared_ptr<const Loss> smooth = loss;
  if (const auto kinked = std::dynamic_pointer_cast<const Kinked>(loss)) {
    smooth = smoothed(kinked, view(y), kSharp);
  }
  VectorXd constant = VectorXd::Zero(y.size());
  if (intercept) {
    constant.setConstant(smooth->best_shift(view(constant), view(y), view(sample_weight)));
  }
  return to_eigen(smooth->multiplier(view(constant), view(y), view(sample_weight)));
}

Problem Problem::merged(std::vector<Index>& first) const {
  std::map<std::vector<double>, Index> seen;
  std::vector<Index> row_of;
  first.clear();
  for (Index i = 0; i < X.rows(); ++i) {
    const std::vector<double> row(X.row(i).data(), X.row(i).data() + X.cols());
    const auto [place, is_new] = seen.emplace(row, static_cast<Index>(first.size()));
    row_of.push_back(place->second);
    if (is_new) {
      first.push_back(i);
    }
  }
  Problem result = *this;
  if (static_cast<Index>(first.size()) < X.rows()) {
    result.X = X(first, Eigen::all);
    result.copies = row_of;
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
                     const std::vector<double>& sample_weight, double beta,
                     const std::shared_ptr<const Loss>& loss, bool intercept, bool free_bias,
                     std::vector<Index>& kept) {
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
  Problem problem{RowMatrix(n, X.cols()), VectorXd(n), VectorXd(n), beta, intercept, free_bias};
  if (loss != nullptr) {
    problem.loss = loss;
  }
  for (Index i = 0; i < n; ++i) {
    const Index from = kept[static_cast<std::size_t>(i)];
    problem.X.row(i) = X.row(from);
    problem.y[i] = y[static_cast<std::size_t>(from)];
    problem.sample_weight[i] = weights[static_cast<std::size_t>(from)] / total;
  }
  problem.loss->check_targets(view(problem.y), intercept);
  return problem;
}

}  // namespace pyconvex
