#include "refine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "newton.hpp"
#include "preactivations.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// The neurons that are not zero close ranks.
void Neurons::drop_zeros() {
  Index stay = 0;
  for (Index j = 0; j < size(); ++j) {
    if (U.row(j).isZero(0.0)) {
      continue;
    }
    if (stay != j) {
      U.row(stay) = U.row(j);
      signs[stay] = signs[j];
      betas[stay] = betas[j];
      on.row(stay) = on.row(j);
      tight.row(stay) = tight.row(j);
      kept[static_cast<std::size_t>(stay)] = kept[static_cast<std::size_t>(j)];
    }
    ++stay;
  }
  U.conservativeResize(stay, Eigen::NoChange);
  signs.conservativeResize(stay);
  betas.conservativeResize(stay);
  on.conservativeResize(stay, Eigen::NoChange);
  tight.conservativeResize(stay, Eigen::NoChange);
  kept.resize(static_cast<std::size_t>(stay));
}

void Refinement::add_output(Index j, double sign) {
  preactivate(features.data(), X.rows(), X.cols(), neurons.U.row(j).data(), work.a.data());
  add_output(j, work.a.data(), sign);
}

void Refinement::add_output(Index j, const double* a, double sign) {
  const bool* mask = mode == Mode::crossing ? nullptr : neurons.on.row(j).data();
  pyconvex::add_output(a, mask, sign * neurons.signs[j], X.rows(), residual.data());
}

double objective(const VectorXd& residual, const ConstVector& sample_weight, const RowMatrix& U,
                 const ConstVector& betas, double ridge, bool free_bias) {
  const Index counted = free_bias ? U.cols() - 1 : U.cols();
  return 0.5 * sample_weight.cwiseProduct(residual).dot(residual) +
         betas.dot(U.leftCols(counted).rowwise().norm()) + 0.5 * ridge * U.squaredNorm();
}

namespace {

// A gated joint step that gains less of what it promised: a neuron shrinks to nothing and stops
// the others short, which a sweep settles. (With walls such a step makes a row tight: progress.)
constexpr double kStuck = 1e-4;

// Joint steps after a sweep of neurons that may cross.
constexpr int kWalls = 100;

constexpr double kRise = 1e-12;  // relative: rounding errors of the objective

struct Budget {
  double tol;
  Index max_size;
  double work_left;  // flops
};

double objective(const Refinement& state) {
  return pyconvex::objective(state.residual, state.sample_weight, state.neurons.U,
                             state.neurons.betas, state.ridge, state.free_bias) +
         state.linear.penalty();
}

// One pass of exact block updates.
void sweep(Refinement& state) {
  Neurons& neurons = state.neurons;
  const Index p = state.X.cols();
  MatrixXd H(p, p);
  VectorXd slopes, u;
  for (Index j = 0; j < neurons.size() && !state.work.stop.is_set(); ++j) {
    bool* on = neurons.on.row(j).data();
    std::int64_t* tight = neurons.tight.row(j).data();
    state.add_output(j, 1.0);
    masked_gram(state.X, on, tight, state.sample_weight, state.work.masked, H);
    H.diagonal().array() += state.ridge;
    slopes = neurons.signs[j] * state.sample_weight.cwiseProduct(state.residual);
    u = neurons.U.row(j);
    descend(state, H, state.sample_weight, slopes, 0.0, neurons.betas[j], state.free_bias,
            state.mode, u, on, tight, 50 * p, state.work);
    if (penalised_dot(u, u, state.free_bias) == 0.0) {
      u.setZero();  // a constant neuron is the intercept's business
      std::fill_n(tight, p, -1);
    }
    neurons.U.row(j) = u;
    state.add_output(j, -1.0);
    state.linear.centre(state.residual);
  }
  state.linear.descend(state.residual, state.sample_weight);
  state.linear.centre(state.residual);
}

// Preactivations (m x n), with rounding errors around zero set to zero.
RowMatrix clean_preactivations(const Refinement& state) {
  RowMatrix a = preactivations(state, state.neurons.U);
  for (Index j = 0; j < a.rows(); ++j) {
    const double flat = kMoving * state.neurons.U.row(j).norm();
    a.row(j) =
        (a.row(j).array().abs() <= flat * state.norms.transpose().array()).select(0.0, a.row(j));
  }
  return a;
}

bool mergeable(const Neurons& neurons, const RowMatrix& a, Index i, Index j) {
  return neurons.signs[i] == neurons.signs[j] && !neurons.U.row(i).isZero(0.0) &&
         !neurons.U.row(j).isZero(0.0) && (a.row(i).array() * a.row(j).array() >= 0.0).all();
}

// Add up neurons of one sign that share a closed cell: same output, no larger norm.
void merge(Refinement& state) {
  Neurons& neurons = state.neurons;
  RowMatrix a = clean_preactivations(state);
  for (Index i = 0; i < neurons.size(); ++i) {
    for (Index j = 0; j < i; ++j) {
      if (!mergeable(neurons, a, i, j)) {
        continue;
      }
      state.add_output(i, 1.0);
      state.add_output(j, 1.0);
      neurons.U.row(j) += neurons.U.row(i);
      neurons.U.row(i).setZero();
      a.row(j) += a.row(i);
      neurons.on.row(j) = a.row(j).array() > 0.0;
      neurons.tight.row(j).setConstant(-1);
      state.add_output(j, -1.0);
      break;
    }
  }
}

// What the last sweep lowered the objective by, and its flops.
struct Sweep {
  double gain;
  double work;

  double rate() const { return gain / work; }
};

// Newton steps while they pay, see `refine`; changes `rate`, what they gained per flop, and
// `value`, the objective. Returns the flops spent.
double newton_steps(Refinement& state, const Budget& budget, const Sweep& last, double& rate,
                    double& value) {
  double spent = 0.0;
  const double after_sweep = value;
  for (int steps = 0; !state.work.stop.is_set(); ++steps) {
    state.neurons.drop_zeros();
    const NewtonCost cost = newton_cost(state);
    const bool enough = state.mode == Mode::crossing ? steps == kWalls : rate < last.rate();
    const bool nothing = state.neurons.size() == 0 && !state.linear.used();
    if (enough || nothing || cost.size > budget.max_size || spent > budget.work_left) {
      break;
    }
    const Neurons neurons = state.neurons;
    const VectorXd residual = state.residual, coef = state.linear.coef, shift = state.linear.shift;
    const double decrement = newton(state);
    spent += cost.work;
    const double start = value;
    value = objective(state);
    if (value > start * (1.0 + kRise)) {  // the system was too ill-conditioned
      state.neurons = neurons;
      state.residual = residual;
      state.linear.coef = coef;
      state.linear.shift = shift;
      value = start;
      break;
    }
    const bool stuck = state.mode == Mode::gated && start - value <= kStuck * decrement;
    const bool little =
        state.mode == Mode::crossing && cost.work > last.work && decrement < last.gain;
    if (decrement <= budget.tol || stuck || little) {
      break;
    }
    if (state.mode != Mode::crossing && spent > 5.0 * last.work) {
      rate = (after_sweep - value) / spent;
    }
  }
  return spent;
}

Neurons as_neurons(const Rows& X, MatrixView U, const double* signs, const double* betas,
                   const std::uint64_t* packed, const std::int64_t* tight, Mode mode) {
  Neurons neurons;
  neurons.U = as_rows(U);
  neurons.signs = Eigen::Map<const VectorXd>(signs, U.rows);
  neurons.betas = Eigen::Map<const VectorXd>(betas, U.rows);
  neurons.tight = Eigen::Map<const TightRows>(tight, U.rows, U.cols);
  neurons.kept.resize(static_cast<std::size_t>(U.rows));
  std::iota(neurons.kept.begin(), neurons.kept.end(), 0);
  if (mode == Mode::crossing) {
    neurons.on = (neurons.U * X.transpose()).array() > 0.0;
    return neurons;
  }
  neurons.on.resize(U.rows, X.rows());
  for (Index j = 0; j < U.rows; ++j) {
    unpack_bits(packed + j * words_per_pattern(X.rows()), X.rows(), neurons.on.row(j).data());
  }
  return neurons;
}

}  // namespace

Refined refine(MatrixView X, const double* sample_weight, const double* residual, MatrixView U,
               const double* signs, const std::uint64_t* packed, const std::int64_t* tight,
               const double* betas, double ridge, const LinearColumns& linear, bool free_bias,
               Mode mode, double tol, Index max_sweeps, Index max_size, double max_work,
               StopFlag stop) {
  const Rows rows = as_rows(X);
  Refinement state{Samples(X),
                   Eigen::Map<const VectorXd>(sample_weight, X.rows),
                   ridge,
                   Linear(linear, Eigen::Map<const VectorXd>(sample_weight, X.rows)),
                   free_bias,
                   mode,
                   as_neurons(rows, U, signs, betas, packed, tight, mode),
                   Eigen::Map<const VectorXd>(residual, X.rows),
                   Workspace(X.rows, X.cols, stop)};
  const double n = static_cast<double>(X.rows), p = static_cast<double>(X.cols);
  state.linear.centre(state.residual);
  double value = objective(state);
  double decrease = std::numeric_limits<double>::infinity(), newton_rate = decrease;
  Budget budget{tol, max_size, max_work};
  bool skipped = true;
  for (Index k = 0; k < max_sweeps && (skipped || decrease > tol) && budget.work_left >= 0.0; ++k) {
    if (stop.is_set()) {
      break;
    }
    const double before = value;
    const double sweep_work = static_cast<double>(state.neurons.size()) * n * p * (p + 30.0) + 1.0;
    sweep(state);
    if (mode == Mode::crossing) {
      merge(state);
    }
    value = objective(state);
    budget.work_left -= sweep_work;
    const Sweep last = {before - value, sweep_work};
    skipped = newton_rate < last.rate();
    budget.work_left -= newton_steps(state, budget, last, newton_rate, value);
    decrease = before - value;
    if (skipped) {  // Newton gets another chance as sweeps slow down
      newton_rate = decrease <= tol ? std::numeric_limits<double>::infinity() : 2.0 * newton_rate;
    }
  }
  Neurons& neurons = state.neurons;
  neurons.drop_zeros();
  const VectorXd shift = state.linear.free_shift();
  return {neurons.kept,
          neurons.U,
          neurons.tight,
          state.residual,
          linear.constant ? shift[0] : 0.0,
          shift.tail(linear.free.cols),
          state.linear.coef,
          decrease};
}

}  // namespace pyconvex
