// DualNewton's steps: directions, line searches, and when to stop.
#include <algorithm>
#include <cmath>
#include <limits>

#include "dense_kernels.hpp"
#include "dual_newton.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// The same numbers as in pyconvex/dual_newton.py; a test compares them.
constexpr double kInexact = 0.1;  // error of a subproblem, relative to the update it leads to
constexpr double kArmijo = 1e-4;
constexpr double kShortest = 1e-8;        // step lengths below this are rounding
constexpr double kFlat = 1e-14;           // relative changes of psi below this are rounding
constexpr double kIterate = 0.05;         // relative residual of iterative solutions
constexpr Index kDirectSamples = 12'000;  // up to which a direct solution is an option

}  // namespace

// A Newton step with Armijo's rule; false where no step lowers psi.
bool DualNewton::newton(Iterate& at) {
  const VectorXd step = direction(at);
  if (!(at.error.dot(step) < 0.0)) {
    return false;
  }
  RowMatrix change;  // of the gradients along the whole step
  const double start = psi(at, at.z, at.gradients);
  for (double t = 1.0; t >= kShortest; t *= 0.5) {
    const VectorXd z = box_.stop(at.z, t * step);
    RowMatrix moved = at.gradients;
    if (z == at.z + t * step) {
      if (change.size() == 0) {
        change = gradients(step);
      }
      moved += t * change;
    } else {
      moved += gradients(z - at.z);
    }
    const double slope = at.error.dot(z - at.z);
    if (psi(at, z, moved) <= start + kArmijo * slope + kFlat * std::abs(start)) {
      move(at, z, moved);
      return at.error.allFinite();
    }
  }
  return false;
}

// The second derivatives of the conjugates at a multiplier.
VectorXd DualNewton::curvatures(const VectorXd& z) const {
  const VectorXd shares = -z.cwiseQuotient(problem_.sample_weight);
  return to_eigen(problem_.loss->conjugate_curvatures(view(shares), view(problem_.y)));
}

// The Newton direction; entries of z that are held at the ends of their intervals stay.
VectorXd DualNewton::direction(Iterate& at) {
  const Index n = problem_.X.rows(), k = at.next.rows();
  const double softening = 1.0 + at.sigma * problem_.ridge;
  const VectorXd shares = ((1.0 - at.scale.array()).sqrt() / at.next.rowwise().norm().array());
  MatrixXd borders(n, k + (problem_.intercept ? 1 : 0));
  borders.leftCols(k) = at.outputs * shares.asDiagonal();
  if (problem_.intercept) {
    borders.col(k).setConstant(size_ * std::sqrt(softening));
  }
  const MatrixXd masks = at.masks * at.scale.cwiseSqrt().asDiagonal();
  const VectorXd diagonal = curvatures(at.z).cwiseQuotient(problem_.sample_weight);
  const auto free = box_.free(at.z, at.error);
  if (!free) {
    DualSystem system(samples_, masks, borders, diagonal, at.sigma / softening);
    return solution(at, system, -at.error);
  }
  VectorXd direction = VectorXd::Zero(n);
  if (!free->empty()) {
    const RowMatrix rows = problem_.X(*free, Eigen::all);
    const Samples samples({rows.data(), rows.rows(), rows.cols()});
    DualSystem system(samples, masks(*free, Eigen::all), borders(*free, Eigen::all),
                      diagonal(*free), at.sigma / softening);
    direction(*free) = solution(at, system, -at.error(*free));
  }
  return direction;
}

// Solve a Newton system: iteratively until that costs more than directly.
VectorXd DualNewton::solution(Iterate& at, DualSystem& system, const VectorXd& right) {
  if (!at.direct) {
    const double most = right.size() <= kDirectSamples ? system.factor_work()
                                                       : std::numeric_limits<double>::infinity();
    if (auto found = system.iterate(right, kIterate, most)) {
      return *found;
    }
    at.direct = true;
  }
  return system.factorise(right);
}

// psi at a multiplier with given gradients.
double DualNewton::psi(const Iterate& at, const VectorXd& z, const RowMatrix& slopes) const {
  double squares = 0.0;
  for (Index g = 0; g < n_patterns_; ++g) {
    const double norm = (at.U.row(g) + at.sigma * slopes.row(g)).norm();
    const double over = std::max(norm - at.sigma * thresholds_[g], 0.0);
    squares += over * over;
  }
  double value =
      -problem_.loss->dual_value(view(z), view(problem_.y), view(problem_.sample_weight));
  value += squares / (2.0 * at.sigma * (1.0 + at.sigma * problem_.ridge));
  if (problem_.intercept) {
    const double penalty = at.sigma * size_ * size_, shift = at.intercept + penalty * z.sum();
    value += shift * shift / (2.0 * penalty);
  }
  return value;
}

// Whether psi is minimised as well as the next update of the weights deserves.
bool DualNewton::solved(const Iterate& at) const {
  RowMatrix change = -at.U;
  for (Index j = 0; j < at.next.rows(); ++j) {
    change.row(at.active[static_cast<std::size_t>(j)]) += at.next.row(j);
  }
  VectorXd error = problem_.sample_weight.cwiseProduct(at.error).cwiseQuotient(curvatures(at.z));
  if (const auto free = box_.free(at.z, at.error)) {
    error = error(*free).eval();
  }
  return error.norm() <= kInexact * change.norm() / (at.sigma * size_);
}

}  // namespace pyconvex
