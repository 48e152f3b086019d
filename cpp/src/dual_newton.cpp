#include "dual_newton.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense_kernels.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/pricing.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// The same numbers as in pyconvex/dual_newton.py; a test compares them.
constexpr double kStart = 0.3;      // of the number of samples: the first penalty sigma
constexpr double kWarm = 0.3;       // of that where the weights are good already,
constexpr double kWarmLoose = 0.1;  // and less where a gap
constexpr double kLoose = 1e-3;     // as large as this will do
constexpr double kGrowth = 3.0;
constexpr double kFastGrowth = 10.0;  // where the last subproblem took few Newton steps
constexpr Index kFew = 3;
constexpr Index kMaxSteps = 50;  // Newton steps between two updates of the weights
constexpr Index kPatience = 10;  // updates without a better gap until a solve is called stalled

}  // namespace

DualNewton::DualNewton(const Problem& problem, const Problem& real,
                       const std::vector<std::uint64_t>& packed, const Limits& limits,
                       Course& course)
    : problem_(problem),
      real_(real),
      packed_(packed),
      limits_(limits),
      course_(course),
      samples_(problem.rows()),
      n_patterns_(static_cast<Index>(packed.size()) / words_per_pattern(problem.X.rows())),
      thresholds_(VectorXd::Constant(n_patterns_, problem.beta)),
      box_(problem),
      size_(problem.X.norm() / std::sqrt(static_cast<double>(problem.X.size()))) {
  size_ = size_ > 0.0 ? size_ : 1.0;
  for (Index g = 0; g < n_patterns_; ++g) {
    thresholds_[g] *= problem.weight_of(g);
  }
}

Solution DualNewton::solve(const State& start) {
  Iterate at;
  Best best = begin(start, at);
  Solution solution;
  solution.status = descend(at, best);
  solution.state = state_of(best);
  const VectorXd last = problem_.multiplier(solution.state.prediction);
  const double by_weights = bound(real_, last, gradients(last));
  solution.dual_objective = std::max(best.dual, by_weights);
  solution.multiplier = by_weights >= best.dual ? last : best.multiplier;
  return solution;
}

// The iterate at given neurons, z scaled into the feasible set.
DualNewton::Best DualNewton::begin(const State& start, Iterate& at) const {
  at.U = RowMatrix::Zero(n_patterns_, problem_.X.cols());
  Best best;
  for (Index j = 0; j < start.size(); ++j) {
    at.U.row(start.pattern[static_cast<std::size_t>(j)]) += start.signs[j] * start.U.row(j);
  }
  for (Index g = 0; g < n_patterns_; ++g) {
    if (!at.U.row(g).isZero(0.0)) {
      best.active.push_back(g);
    }
  }
  best.U = at.U(best.active, Eigen::all);
  VectorXd prediction;
  predict(outputs(best.U, best.active), prediction);
  const VectorXd z = problem_.multiplier(prediction);
  const RowMatrix slopes = gradients(z);
  best.objective = real_.objective(prediction, best.U, best.active);
  best.dual = bound(real_, z, slopes);
  best.multiplier = z;
  best.own_objective = problem_.objective(prediction, best.U, best.active);
  best.own_dual = bound(problem_, z, slopes);
  at.intercept = start.intercept;
  at.sigma = kStart * static_cast<double>(problem_.X.rows()) / (size_ * size_);
  if (!best.active.empty()) {
    at.sigma *= limits_.tol < kLoose ? kWarm : kWarmLoose;
  }
  const double norm = slopes.rowwise().norm().cwiseQuotient(thresholds_).maxCoeff();
  const double shrink = norm > 1.0 ? 1.0 / norm : 1.0;
  move(at, box_.inside(shrink * z), shrink * slopes);
  return best;
}

// The main loop: minimise psi over z as well as the next update of the weights deserves, update.
Status DualNewton::descend(Iterate& at, Best& best) {
  double last = std::numeric_limits<double>::infinity();
  for (Index idle = 0; idle < kPatience;) {
    Index step = 0;
    for (; step < kMaxSteps; ++step) {
      improve(best, at);
      const auto stopped =
          course_.record(best.objective, best.dual, static_cast<Index>(best.active.size()));
      if (best.gap() <= limits_.tol) {
        return Status::optimal;
      }
      if (stopped) {
        return *stopped;
      }
      if (&problem_ != &real_ && best.own_gap() <= kStage * best.gap()) {
        return Status::optimal;
      }
      if ((step > 0 && solved(at)) || !newton(at)) {
        break;
      }
    }
    update(at, step);
    idle = best.own_gap() < 0.9 * last ? 0 : idle + 1;
    last = best.own_gap();
  }
  return Status::stalled;
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
  const VectorXd shares = -z.cwiseQuotient(problem_.sample_weight);
  at.error = at.outputs.rowwise().sum();
  at.error -= to_eigen(problem_.loss->conjugate_slopes(view(shares), view(problem_.y)));
  if (problem_.intercept) {
    at.next_intercept = at.intercept + at.sigma * size_ * size_ * z.sum();
    at.error.array() += at.next_intercept;
  }
}

// Keep the proximal point's weights and the multiplier's bound where they are better.
void DualNewton::improve(Best& best, const Iterate& at) const {
  VectorXd prediction;
  predict(at.outputs, prediction);
  const double objective = problem_.objective(prediction, at.next, at.active);
  if (objective < best.own_objective) {
    best.active = at.active;
    best.U = at.next;
    best.own_objective = objective;
    best.objective = real_.objective(prediction, best.U, best.active);
  }
  const auto consider = [&](const VectorXd& z, const RowMatrix& slopes) {
    best.own_dual = std::max(best.own_dual, bound(problem_, z, slopes));
    const double proved = bound(real_, z, slopes);
    if (proved > best.dual) {
      best.dual = proved;
      best.multiplier = z;
    }
  };
  if (!problem_.intercept) {  // else multipliers that prove a bound sum to zero
    consider(at.z, at.gradients);
  } else if (problem_.loss->quadratic()) {
    const VectorXd z = at.z - problem_.sample_weight * at.z.sum();
    consider(z, gradients(z));
  }
  if (!problem_.loss->quadratic()) {
    const VectorXd z = problem_.multiplier(prediction);
    consider(z, gradients(z));
  }
}

// The dual objective that a multiplier proves; with an intercept it must sum to zero.
double DualNewton::bound(const Problem& problem, const VectorXd& z, const RowMatrix& slopes) const {
  const VectorXd norms = slopes.rowwise().norm();
  const VectorXd values = problem.beta * norms.cwiseQuotient(thresholds_);
  return problem.dual_objective(z, values.maxCoeff(), problem.violation_cost(values));
}

RowMatrix DualNewton::gradients(const VectorXd& z) const {
  RowMatrix found(n_patterns_, problem_.X.cols());
  gate_gradients(problem_.rows(), packed_.data(), n_patterns_, z.data(), found.data(),
                 limits_.n_threads);
  return found;
}

// The sum of outputs (n x k) and the best intercept, which is returned.
double DualNewton::predict(const MatrixXd& outputs, VectorXd& prediction) const {
  prediction = outputs.rowwise().sum();
  const double intercept = problem_.best_shift(prediction);
  prediction.array() += intercept;
  return intercept;
}

// D_g X u_g of some groups, n x k.
MatrixXd DualNewton::outputs(const RowMatrix& U, const std::vector<Index>& groups) const {
  const Index n = problem_.X.rows();
  MatrixXd outputs = problem_.X * U.transpose();
  Eigen::Array<bool, Eigen::Dynamic, 1> on(n);
  for (Index j = 0; j < U.rows(); ++j) {
    const Index g = groups[static_cast<std::size_t>(j)];
    unpack_bits(packed_.data() + g * words_per_pattern(n), n, on.data());
    outputs.col(j).array() *= on.cast<double>();
  }
  return outputs;
}

State DualNewton::state_of(const Best& best) const {
  const Index k = best.U.rows();
  State state{
      best.U, VectorXd::Ones(k), TightRows::Constant(k, best.U.cols(), -1), best.active, 0.0, {}};
  state.intercept = predict(outputs(best.U, best.active), state.prediction);
  return state;
}

}  // namespace pyconvex
