#include "dual_newton.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense_kernels.hpp"
#include "dual_system.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/pricing.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// The same numbers as in pyconvex/dual_newton.py; a test compares them.
constexpr double kStart = 0.3;  // of the number of samples: the first penalty sigma
constexpr double kGrowth = 3.0;
constexpr double kFastGrowth = 10.0;  // where the last subproblem took few Newton steps
constexpr Index kFew = 3;
constexpr double kInexact = 0.1;  // error of a subproblem, relative to the update it leads to
constexpr double kArmijo = 1e-4;
constexpr double kShortest = 1e-8;  // step lengths below this are rounding
constexpr double kFlat = 1e-14;     // relative changes of psi below this are rounding
constexpr Index kMaxSteps = 50;     // Newton steps between two updates of the weights
constexpr Index kPatience = 10;     // updates without a better gap until a solve is called stalled
constexpr double kIterate = 1e-2;   // relative residual of iterative solutions
constexpr Index kDirectSamples = 12'000;  // up to which a direct solution is an option

}  // namespace

DualNewton::DualNewton(const Problem& problem, const std::vector<std::uint64_t>& packed,
                       const Limits& limits)
    : problem_(problem),
      packed_(packed),
      limits_(limits),
      course_(limits),
      samples_(problem.rows()),
      n_patterns_(static_cast<Index>(packed.size()) / words_per_pattern(problem.X.rows())),
      thresholds_(VectorXd::Constant(n_patterns_, problem.beta)) {
  for (Index g = 0; g < n_patterns_; ++g) {
    thresholds_[g] *= problem.weight_of(g);
  }
}

Solution DualNewton::solve() {
  Solution solution;
  Report& report = solution.report;
  Iterate at;
  at.U = RowMatrix::Zero(n_patterns_, problem_.X.cols());
  at.sigma = kStart * static_cast<double>(problem_.X.rows());
  VectorXd rest;
  residual(MatrixXd(problem_.X.rows(), 0), rest);
  VectorXd z = problem_.multiplier(rest);
  RowMatrix slopes = gradients(z);
  Best best{{},
            RowMatrix(0, problem_.X.cols()),
            problem_.objective(rest, at.U.topRows(0)),
            bound(z, slopes),
            z};
  const double norm = slopes.rowwise().norm().cwiseQuotient(thresholds_).maxCoeff();
  const double shrink = norm > 1.0 ? 1.0 / norm : 1.0;
  move(at, shrink * z, shrink * slopes);
  report.status = Status::stalled;
  descend(at, best, report);
  solution.state = state_of(best);
  report.objective = best.objective;
  const VectorXd last = problem_.multiplier(solution.state.residual);
  const double by_weights = bound(last, gradients(last));
  report.dual_objective = std::max(best.dual, by_weights);
  solution.multiplier = by_weights >= best.dual ? last : best.multiplier;
  report.n_iter = static_cast<Index>(report.history.size());
  report.seconds = course_.seconds();
  return solution;
}

// The main loop: minimise psi over z as well as the next update of the weights deserves, update.
void DualNewton::descend(Iterate& at, Best& best, Report& report) {
  double last = std::numeric_limits<double>::infinity();
  for (Index idle = 0; idle < kPatience;) {
    Index step = 0;
    for (; step < kMaxSteps; ++step) {
      improve(best, at);
      const double gap = relative_gap(best.objective, best.dual);
      const bool go_on =
          course_.record(report, best.objective, best.dual, static_cast<Index>(best.active.size()));
      if (gap <= limits_.tol) {
        report.status = Status::optimal;
        return;
      }
      if (!go_on) {
        return;
      }
      if ((step > 0 && solved(at)) || !newton(at)) {
        break;
      }
    }
    update(at, step);
    const double gap = relative_gap(best.objective, best.dual);
    idle = gap < 0.9 * last ? 0 : idle + 1;
    last = gap;
  }
  report.status = Status::stalled;
}

// The weights become the proximal point and the penalty grows.
void DualNewton::update(Iterate& at, Index steps) const {
  at.U.setZero();
  for (Index j = 0; j < at.next.rows(); ++j) {
    at.U.row(at.active[static_cast<std::size_t>(j)]) = at.next.row(j);
  }
  at.intercept = at.next_intercept;
  at.sigma *= steps <= kFew ? kFastGrowth : kGrowth;
  move(at, at.z, gradients(at.z));  // afresh: sums of steps drift
}

// Go to z with its gradients: proximal point and error afresh.
void DualNewton::move(Iterate& at, const VectorXd& z, const RowMatrix& slopes) const {
  const Index n = problem_.X.rows(), p = problem_.X.cols();
  at.z = z;
  at.gradients = slopes;
  at.active.clear();
  const RowMatrix target = at.U + at.sigma * slopes;
  for (Index g = 0; g < n_patterns_; ++g) {
    if (target.row(g).norm() > at.sigma * thresholds_[g]) {
      at.active.push_back(g);
    }
  }
  const auto k = static_cast<Index>(at.active.size());
  at.scale.resize(k);
  at.next.resize(k, p);
  at.masks.resize(n, k);
  Eigen::Array<bool, Eigen::Dynamic, 1> on(n);
  for (Index j = 0; j < k; ++j) {
    const Index g = at.active[static_cast<std::size_t>(j)];
    at.scale[j] = 1.0 - at.sigma * thresholds_[g] / target.row(g).norm();
    at.next.row(j) = at.scale[j] / (1.0 + at.sigma * problem_.ridge) * target.row(g);
    unpack_bits(packed_.data() + g * words_per_pattern(n), n, on.data());
    at.masks.col(j) = on.cast<double>();
  }
  at.outputs.resize(n, k);
  const MatrixXd weights = at.next.transpose();
  dense().multiply(samples_.features.data(), weights.data(), n, p, k, at.outputs.data());
  at.outputs.array() *= at.masks.array();
  at.error = z.cwiseQuotient(problem_.sample_weight) - problem_.y + at.outputs.rowwise().sum();
  if (problem_.intercept) {
    at.next_intercept = at.intercept + at.sigma * z.sum();
    at.error.array() += at.next_intercept;
  }
}

// A Newton step with Armijo's rule; false where no step lowers psi.
bool DualNewton::newton(Iterate& at) {
  const VectorXd step = direction(at);
  const double slope = at.error.dot(step);
  if (!(slope < 0.0)) {
    return false;
  }
  const RowMatrix change = gradients(step);
  const double start = psi(at, step, change, 0.0);
  double t = 1.0;
  while (!(psi(at, step, change, t) <= start + kArmijo * t * slope + kFlat * std::abs(start))) {
    t *= 0.5;
    if (t < kShortest) {
      return false;
    }
  }
  move(at, at.z + t * step, at.gradients + t * change);
  return at.error.allFinite();
}

// The Newton direction: iteratively until that costs more than directly.
VectorXd DualNewton::direction(Iterate& at) {
  const Index n = problem_.X.rows(), k = at.next.rows();
  const double softening = 1.0 + at.sigma * problem_.ridge;
  const VectorXd shares = ((1.0 - at.scale.array()).sqrt() / at.next.rowwise().norm().array());
  MatrixXd borders(n, k + (problem_.intercept ? 1 : 0));
  borders.leftCols(k) = at.outputs * shares.asDiagonal();
  if (problem_.intercept) {
    borders.col(k).setConstant(std::sqrt(softening));
  }
  DualSystem system(samples_, at.masks * at.scale.cwiseSqrt().asDiagonal(), borders,
                    problem_.sample_weight.cwiseInverse(), at.sigma / softening);
  if (!at.direct) {
    const double most =
        n <= kDirectSamples ? system.factor_work() : std::numeric_limits<double>::infinity();
    if (auto found = system.iterate(-at.error, kIterate, most)) {
      return *found;
    }
    at.direct = true;
  }
  if (gram_.size() == 0) {
    gram_ = MatrixXd::Zero(n, n);
    dense().add_outer(samples_.features.data(), n, problem_.X.cols(), gram_.data());
  }
  return system.factorise(-at.error, gram_);
}

// psi(z + t step), whose gradients are those of z plus t `change`.
double DualNewton::psi(const Iterate& at, const VectorXd& step, const RowMatrix& change,
                       double t) const {
  const VectorXd z = at.z + t * step;
  double squares = 0.0;
  for (Index g = 0; g < n_patterns_; ++g) {
    const double norm = (at.U.row(g) + at.sigma * (at.gradients.row(g) + t * change.row(g))).norm();
    const double over = std::max(norm - at.sigma * thresholds_[g], 0.0);
    squares += over * over;
  }
  double value = z.dot(0.5 * z.cwiseQuotient(problem_.sample_weight) - problem_.y);
  value += squares / (2.0 * at.sigma * (1.0 + at.sigma * problem_.ridge));
  if (problem_.intercept) {
    const double shift = at.intercept + at.sigma * z.sum();
    value += shift * shift / (2.0 * at.sigma);
  }
  return value;
}

// Whether psi is minimised as well as the next update of the weights deserves.
bool DualNewton::solved(const Iterate& at) const {
  RowMatrix change = -at.U;
  for (Index j = 0; j < at.next.rows(); ++j) {
    change.row(at.active[static_cast<std::size_t>(j)]) += at.next.row(j);
  }
  const double error = problem_.sample_weight.cwiseProduct(at.error).norm();
  return error <= kInexact * change.norm() / at.sigma;
}

// Keep the proximal point's weights and the multiplier's bound where they are better.
void DualNewton::improve(Best& best, const Iterate& at) const {
  VectorXd rest;
  residual(at.outputs, rest);
  const double objective = problem_.objective(rest, at.next, at.active);
  if (objective < best.objective) {
    best.active = at.active;
    best.U = at.next;
    best.objective = objective;
  }
  VectorXd z = at.z;
  double proved = 0.0;
  if (problem_.intercept) {  // feasible multipliers sum to zero
    z -= problem_.sample_weight * at.z.sum();
    proved = bound(z, gradients(z));
  } else {
    proved = bound(z, at.gradients);
  }
  if (proved > best.dual) {
    best.dual = proved;
    best.multiplier = z;
  }
}

// The dual objective that a multiplier proves; with an intercept it must sum to zero.
double DualNewton::bound(const VectorXd& z, const RowMatrix& slopes) const {
  const VectorXd norms = slopes.rowwise().norm();
  const VectorXd values = problem_.beta * norms.cwiseQuotient(thresholds_);
  return problem_.dual_objective(z, values.maxCoeff(), problem_.violation_cost(values));
}

RowMatrix DualNewton::gradients(const VectorXd& z) const {
  RowMatrix found(n_patterns_, problem_.X.cols());
  gate_gradients(problem_.rows(), packed_.data(), n_patterns_, z.data(), found.data(),
                 limits_.n_threads);
  return found;
}

// What outputs (n x k) leave, with the best intercept, which is returned.
double DualNewton::residual(const MatrixXd& outputs, VectorXd& rest) const {
  rest = problem_.y - outputs.rowwise().sum();
  const double intercept = problem_.intercept ? problem_.sample_weight.dot(rest) : 0.0;
  rest.array() -= intercept;
  return intercept;
}

State DualNewton::state_of(const Best& best) const {
  const Index n = problem_.X.rows(), k = best.U.rows();
  MatrixXd outputs = problem_.X * best.U.transpose();
  Eigen::Array<bool, Eigen::Dynamic, 1> on(n);
  for (Index j = 0; j < k; ++j) {
    const Index g = best.active[static_cast<std::size_t>(j)];
    unpack_bits(packed_.data() + g * words_per_pattern(n), n, on.data());
    outputs.col(j).array() *= on.cast<double>();
  }
  State state{
      best.U, VectorXd::Ones(k), TightRows::Constant(k, best.U.cols(), -1), best.active, 0.0, {}};
  state.intercept = residual(outputs, state.residual);
  return state;
}

}  // namespace pyconvex
