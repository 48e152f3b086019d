#include "bounded_pricing.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "zonotopes.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kAutoRank = 6;        // up to which "auto" tries branch and bound
constexpr double kVertices = 20'000;  // up to so many exact pricing is as fast
constexpr double kLost = 1e-9;        // a walk may lower a point's value by this much, relative
constexpr double kMargin = 0.999;  // of the gap to be proved: rounding has a say in the final one
constexpr double kLoose = 1e-3;    // relative accuracy of the bound of an unfinished solve
constexpr double kSmall = 1e-12;   // singular values below this, relative, are zero
constexpr double kTiny = 1e-9;     // of beta: a norm below may be 0
constexpr int kDoublings = 60;     // of the norm in the search for the one that a proof needs
constexpr int kBisections = 50;

// Orthonormal coordinates (p x rank) of the rows. A free bias keeps its own, the last: neurons of
// the same output and of least norm lie in the span, so that the dual norm stays.
MatrixXd principal_basis(const Problem& problem) {
  const Index p = problem.X.cols(), d = problem.free_bias ? p - 1 : p;
  const Eigen::BDCSVD<MatrixXd> svd(problem.X.leftCols(d), Eigen::ComputeThinV);
  const VectorXd& sizes = svd.singularValues();
  const double least = kSmall * std::max(sizes.size() > 0 ? sizes[0] : 0.0, 1e-300);
  const Index rank = std::max<Index>((sizes.array() > least).count(), 1);
  MatrixXd basis = MatrixXd::Zero(p, problem.free_bias ? rank + 1 : rank);
  basis.topLeftCorner(d, rank) = svd.matrixV().leftCols(rank);
  if (problem.free_bias) {
    basis(d, rank) = 1.0;
  }
  return basis;
}

// Vertices that exact pricing looks at where half of the multiplier is positive.
double n_vertices(Index n_samples, Index rank) {
  const auto m = static_cast<double>(std::max<Index>(n_samples / 2 - 1, 0));
  double sum = 0.0, binomial = 1.0;
  for (Index k = 0; k < rank; ++k) {
    sum += binomial;
    binomial *= std::max(m - static_cast<double>(k), 0.0) / static_cast<double>(k + 1);
  }
  return 4.0 * sum;
}

// All vertices instead of cones.
NormBound exact_bracket(const Problem& problem, const VectorXd& z, double target, int n_threads) {
  const ExactNorm exact = exact_norm(problem.rows(), z.data(), problem.free_bias, n_threads);
  NormBound found;
  found.value = exact.value;
  found.bound = exact.bound;
  const Index count = exact.value > target ? 1 : 0;
  found.points.resize(count, problem.X.cols());
  found.signs.resize(count);
  if (count > 0) {
    found.points.row(0) = exact.point;
    found.signs[0] = exact.sign;
  }
  return found;
}

// The largest norm that would still leave a relative gap of `tol`; `norm` is one that does, below
// `tiny` it may be 0.
double provable_norm(double norm, double tiny, const GapOf& gap_of, double tol) {
  const auto proves = [&](double bound) { return gap_of(bound) <= tol; };
  double low = std::max(norm, tiny), high = 2.0 * low;
  int doublings = 0;
  while (proves(high)) {
    if (++doublings == kDoublings) {
      return kInfinity;
    }
    low = high;
    high *= 2.0;
  }
  for (int k = 0; k < kBisections; ++k) {
    const double middle = 0.5 * (low + high);
    (proves(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace

Index rank_of(const Problem& problem) {
  return principal_basis(problem).cols();
}

bool is_provable(const Problem& problem) {
  const Index rank = rank_of(problem);
  return rank <= kAutoRank || n_vertices(problem.X.rows(), rank) <= kVertices;
}

NormBound bracket_norm(const Problem& problem, const VectorXd& z, const BracketSettings& settings) {
  const MatrixXd basis = principal_basis(problem);
  const bool few = n_vertices(problem.X.rows(), basis.cols()) <= kVertices;
  if (settings.exact || (few && !settings.bounded)) {
    try {
      return exact_bracket(problem, z, settings.target, settings.n_threads);
    } catch (const std::runtime_error&) {  // cells too thin for doubles
      if (settings.exact) {
        throw;
      }
    }
  }
  const RowMatrix rows = problem.X * basis;
  NormBound found =
      bound_norm({rows.data(), rows.rows(), rows.cols()}, z.data(), problem.free_bias, settings);
  found.points = found.points * basis.transpose();
  return found;
}

double BoundedPricing::price(const Problem& problem, const VectorXd& z, const RowMatrix& U,
                             const VectorXd& signs, int effort, const GapOf& gap_of,
                             Columns& columns) {
  if (effort == 1) {
    return search_.price(problem, z, U, signs, effort, gap_of, columns);
  }
  const double norm = search_.walk_from(problem, z, U, signs, columns);
  if (gap_of(norm) > settings_.tol) {
    return norm;  // the search has found better columns
  }
  const double target = provable_norm(norm, problem.beta * kTiny, gap_of, kMargin * settings_.tol);
  const NormBound found = bracket(problem, z, target, 0.0, true);
  if (found.bound <= target) {
    return found.bound;
  }
  return found.value > target ? this->columns(problem, z, found, columns) : norm;
}

// The points of a proof, each walked to a local maximum unless that loses it: the walk starts in
// the cell that a point's signs name, and on many rows rounding may name one that is not there.
double BoundedPricing::columns(const Problem& problem, const VectorXd& z, const NormBound& found,
                               Columns& columns) const {
  const double norm = search_.walk_from(problem, z, found.points, found.signs, columns);
  if (norm >= found.value * (1.0 - kLost)) {
    return norm;
  }
  const Index k = found.points.rows(), p = found.points.cols();
  const RowMatrix outputs = (found.points * problem.X.transpose()).cwiseMax(0.0);
  columns = {found.points, found.signs, TightRows::Constant(k, p, -1),
             std::vector<Index>(static_cast<std::size_t>(k), -1),
             found.signs.cwiseProduct(outputs * z)};
  return found.value;
}

double BoundedPricing::dual_norm(const Problem& problem, const VectorXd& z) {
  constexpr double tol = 1e-8;
  Columns columns;
  const double norm =
      search_.price(problem, z, RowMatrix(0, problem.X.cols()), VectorXd(0), 4, {}, columns);
  const NormBound found = bracket(problem, z, norm, tol, false);
  const double value = std::max(norm, found.value);
  return found.bound <= value * (1.0 + 2.0 * tol) ? found.bound : value;
}

double BoundedPricing::bound(const Problem& problem, const VectorXd& z) {
  const auto known = [&] { return proved_z_.size() == z.size() && proved_z_ == z; };
  if (!known() && !settings_.limited && std::chrono::steady_clock::now() < settings_.deadline) {
    settings_.limited = true;
    bracket(problem, z, problem.beta, kLoose, false);
    settings_.limited = false;
  }
  return known() ? proved_bound_ : kInfinity;
}

NormBound BoundedPricing::bracket(const Problem& problem, const VectorXd& z, double target,
                                  double tol, bool first) {
  BracketSettings rules;
  rules.target = target;
  rules.tol = tol;
  rules.first = first;
  rules.max_nodes = settings_.limited ? kAutoNodes : 0;
  rules.n_threads = settings_.n_threads;
  rules.deadline = settings_.deadline;
  NormBound found = bracket_norm(problem, z, rules);
  proved_z_ = z;
  proved_bound_ = found.bound;
  return found;
}

}  // namespace pyconvex
