#include "local_pricing.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "collector.hpp"
#include "pyconvex/pricing.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr Index kStarts = 32;  // Gaussian starts of the first search
constexpr Index kFresh = 8;    // of those that have maxima to start from
constexpr Index kBeside = 96;  // starts beside neurons before a certificate, per unit of effort
constexpr double kFar = 0.5;   // how far away at most, relative to the length of the neuron
constexpr Index kPool = 64;  // maxima that the next search starts from, beyond those at the neurons
constexpr double kNear = 0.5;  // of beta: a maximum above may soon exceed beta

MatrixView view(const RowMatrix& matrix) {
  return {matrix.data(), matrix.rows(), matrix.cols()};
}

// Unit neurons of value > `above` into `found`; returns the best value.
double collect(const Problem& problem, const VectorXd& target, double sign, double above,
               RowMatrix& points, const TightRows& tight, Collector& found) {
  const VectorXd norms = problem.norms(points);
  const Index p = points.cols();
  const double radius = problem.free_bias ? problem.radius() : 0.0;
  double best = 0.0;
  for (Index k = 0; k < points.rows(); ++k) {
    if (norms[k] == 0.0) {
      continue;
    }
    points.row(k) /= norms[k];
    if (problem.free_bias) {  // beyond the data the value is flat but for rounding
      points(k, p - 1) = std::clamp(points(k, p - 1), -radius, radius);
    }
    const VectorXd output = (problem.X * points.row(k).transpose()).cwiseMax(0.0);
    const double value = target.dot(output);
    best = std::max(best, value);
    if (value > above) {
      found.add(points.row(k), sign, value, tight.row(k).data(), -1);
    }
  }
  return best;
}

// The best column of each sign and pattern.
Columns distinct(const Problem& problem, const Columns& columns) {
  std::set<std::vector<bool>> seen;
  Collector found;
  for (Index k = 0; k < columns.size(); ++k) {
    const VectorXd a = problem.X * columns.points.row(k).transpose();
    std::vector<bool> key(static_cast<std::size_t>(a.size()) + 1);
    for (Index i = 0; i < a.size(); ++i) {
      key[static_cast<std::size_t>(i)] = a[i] > 0.0;
    }
    key.back() = columns.signs[k] > 0.0;
    if (seen.insert(key).second) {
      found.add(columns.points.row(k), columns.signs[k], columns.values[k],
                columns.tight.row(k).data(), -1);
    }
  }
  return found.sorted(problem.X.cols());
}

RowMatrix rows_of_sign(const RowMatrix& points, const VectorXd& signs, double sign) {
  RowMatrix chosen((signs.array() == sign).count(), points.cols());
  Index next = 0;
  for (Index k = 0; k < points.rows(); ++k) {
    if (signs[k] == sign) {
      chosen.row(next++) = points.row(k);
    }
  }
  return chosen;
}

}  // namespace

double LocalPricing::price(const Problem& problem, const VectorXd& z, const RowMatrix& U,
                           const VectorXd& signs, int effort, const GapOf&, Columns& columns) {
  const bool first = effort > 1 || std::exchange(first_, false);
  const RowMatrix fresh = starts(problem, z, first ? effort * kStarts : kFresh);
  const Index k = fresh.rows();
  VectorXd their_signs;
  const RowMatrix near = beside(problem, U, signs, effort, their_signs);
  maxima_.points.conservativeResize(Eigen::NoChange, fresh.cols());  // at first there are none
  RowMatrix both(2 * k + U.rows() + near.rows() + maxima_.size(), fresh.cols());
  both << fresh, fresh, U, near, maxima_.points;
  VectorXd sides(both.rows());
  sides << VectorXd::Ones(k), -VectorXd::Ones(k), signs, their_signs, maxima_.signs;
  const double norm = climb(problem, z, both, sides, kNear * problem.beta, columns);
  maxima_ = columns.best(std::min(columns.size(), kPool + U.rows()));
  columns = columns.best((columns.values.array() > problem.beta).count());
  return norm;
}

double LocalPricing::walk_from(const Problem& problem, const VectorXd& z, const RowMatrix& starts,
                               const VectorXd& signs, Columns& columns) const {
  return climb(problem, z, starts, signs, problem.beta, columns);
}

double LocalPricing::climb(const Problem& problem, const VectorXd& z, const RowMatrix& starts,
                           const VectorXd& signs, double above, Columns& columns) const {
  TightRows tight[2];
  Collector found;
  double norm = 0.0;
  for (const int side : {0, 1}) {
    const double sign = side == 0 ? 1.0 : -1.0;
    const RowMatrix from = rows_of_sign(starts, signs, sign);
    const VectorXd target = sign * z;
    RowMatrix points(from.rows(), from.cols());
    tight[side].resize(from.rows(), from.cols());
    walk(problem.rows(), target.data(), view(from), problem.free_bias, points.data(),
         tight[side].data(), n_threads_);
    norm = std::max(norm, collect(problem, target, sign, above, points, tight[side], found));
  }
  columns = distinct(problem, found.sorted(problem.X.cols()));
  return norm;
}

// Gaussian directions, data points, the gradient of the linear part.
RowMatrix LocalPricing::starts(const Problem& problem, const VectorXd& z, Index n_starts) {
  const Index n = problem.X.rows(), p = problem.X.cols();
  RowMatrix all(n_starts + n_starts / 2 + 1, p);
  for (Index k = 0; k < n_starts; ++k) {
    for (Index j = 0; j < p; ++j) {
      all(k, j) = random_.gaussian();
    }
  }
  for (Index k = n_starts; k + 1 < all.rows(); ++k) {
    all.row(k) = problem.X.row(random_.below(n));
  }
  all.row(all.rows() - 1) = z.transpose() * problem.X;
  for (Index k = 0; k < all.rows() && problem.free_bias; ++k) {  // a kink on a random sample
    all(k, p - 1) = -problem.X.row(random_.below(n)).head(p - 1).dot(all.row(k).head(p - 1));
  }
  return all;
}

// Directions beside those of neurons where `effort` exceeds 1, and their signs. They find small
// basins ten times as often as Gaussian starts.
RowMatrix LocalPricing::beside(const Problem& problem, const RowMatrix& U, const VectorXd& signs,
                               int effort, VectorXd& their_signs) {
  const Index p = U.cols(), n = effort > 1 && U.rows() > 0 ? effort * kBeside : 0;
  const double bias_length = n > 0 && problem.free_bias ? problem.radius() : 1.0;  // as rows
  const VectorXd norms = problem.norms(U);
  RowMatrix points(n, p);
  their_signs.resize(n);
  for (Index k = 0; k < n; ++k) {
    const Index j = random_.below(U.rows());
    const double length = random_.uniform() * kFar / std::sqrt(static_cast<double>(p));
    for (Index i = 0; i < p; ++i) {
      points(k, i) = length * random_.gaussian();
    }
    points(k, p - 1) *= bias_length;
    points.row(k) += U.row(j) / norms[j];
    their_signs[k] = signs[j];
  }
  return points;
}

}  // namespace pyconvex
