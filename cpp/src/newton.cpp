#include "newton.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kLongest = 2.0;  // no step goes further than twice the Newton step

struct Direction {
  RowMatrix U;  // m x p
  double intercept = 0.0;
  double decrement = 0.0;
};

// The Newton system in the coordinates of the faces. The Hessian is Z^T W Z plus the blocks
// beta (I - w w^T) / ||u_j||, with Z = [s_j D_j X B_j, 1]; only its lower triangle is filled.
struct NewtonSystem {
  std::vector<MatrixXd> bases;  // B_j
  std::vector<Index> offsets;   // where each face's coordinates begin
  MatrixXd Z;                   // rows scaled by the root of their weights
  VectorXd gradient;
  MatrixXd hessian;

  explicit NewtonSystem(const Refinement& state);
  VectorXd solve();

 private:
  void find_bases(const Refinement& state);
  void add_neuron(const Refinement& state, Index j, const VectorXd& root);
};

NewtonSystem::NewtonSystem(const Refinement& state) {
  find_bases(state);
  const Index K = offsets.back() + (state.intercept ? 1 : 0);
  const VectorXd root = state.sample_weight.cwiseSqrt();
  Z.resize(state.X.rows(), K);
  gradient.setZero(K);
  hessian.setZero(K, K);
  for (Index j = 0; j < state.neurons.size(); ++j) {
    add_neuron(state, j, root);
  }
  if (state.intercept) {
    Z.col(K - 1) = root;
  }
  gradient.noalias() -= Z.transpose() * root.cwiseProduct(state.residual);
  hessian.selfadjointView<Eigen::Lower>().rankUpdate(Z.transpose());
  hessian.diagonal().array() += 1e-13 * hessian.trace() / static_cast<double>(K);
}

void NewtonSystem::find_bases(const Refinement& state) {
  const Index p = state.X.cols();
  Face face;
  offsets.push_back(0);
  for (Index j = 0; j < state.neurons.size(); ++j) {
    const std::int64_t* tight = state.neurons.tight.row(j).data();
    face_basis(state.X, tight, count_tight(tight, p), state.free_bias, face);
    offsets.push_back(offsets.back() + face.basis.cols());
    bases.push_back(face.basis);
  }
}

void NewtonSystem::add_neuron(const Refinement& state, Index j, const VectorXd& root) {
  const MatrixXd& B = bases[static_cast<std::size_t>(j)];
  const Index p = B.rows(), f = B.cols(), low = offsets[static_cast<std::size_t>(j)];
  const auto on = state.neurons.on.row(j).transpose();
  const VectorXd scale = state.neurons.signs[j] * root.array() * on.cast<double>();
  Z.middleCols(low, f).noalias() = state.X * B;
  Z.middleCols(low, f).array().colwise() *= scale.array();

  const VectorXd u = state.neurons.U.row(j);
  const double size = std::sqrt(penalised_dot(u, u, state.free_bias));
  VectorXd w = u / size;
  VectorXd unit = VectorXd::Ones(f);
  if (state.free_bias) {
    w[p - 1] = 0.0;
    if (f == p) {
      unit[f - 1] = 0.0;  // the unpenalised axis
    }
  }
  const VectorXd wB = B.transpose() * w;
  gradient.segment(low, f) = state.beta * wB;
  auto block = hessian.block(low, low, f, f);
  block = (-state.beta / size) * wB * wB.transpose();
  block.diagonal() += (state.beta / size) * unit;
}

// Collinear neurons make the Hessian nearly singular: then Cholesky needs pivots.
VectorXd NewtonSystem::solve() {
  const Eigen::LLT<MatrixXd> factor(hessian);
  if (factor.info() == Eigen::Success) {
    return factor.solve(-gradient);
  }
  return hessian.ldlt().solve(-gradient);
}

// Newton direction of all neurons and of the intercept.
Direction newton_direction(const Refinement& state) {
  NewtonSystem system(state);
  const VectorXd step = system.solve();
  Direction direction;
  direction.U.resize(state.neurons.size(), state.X.cols());
  for (Index j = 0; j < state.neurons.size(); ++j) {
    const MatrixXd& B = system.bases[static_cast<std::size_t>(j)];
    const Index low = system.offsets[static_cast<std::size_t>(j)];
    direction.U.row(j) = B * step.segment(low, B.cols());
  }
  direction.intercept = state.intercept ? step[step.size() - 1] : 0.0;
  direction.decrement = -system.gradient.dot(step);
  return direction;
}

// A search along all directions together: t = 0 .. kLongest.
struct JointLine {
  Refinement& state;
  const RowMatrix& directions;
  RowMatrix a, b;            // preactivations of U and of the directions (m x n)
  VectorXd fit;              // derivative of the prediction
  VectorXd rest;             // residual at t = 0 of the linear piece that t is in
  VectorXd uu, up, pp;       // penalised inner products
  double slope = 0.0, curve = 0.0;
  Kinks kinks;               // a heap; the second part is j * n + i

  struct Stop {
    double t;
    Index neuron, row;
  };

  JointLine(Refinement& state_, const Direction& direction);
  void collect_kinks(Index j);
  double slope_at(double t) const;
  double first_zero(double low, double high) const;
  Stop search();
  bool cross(double t, Index j, Index i);
};

JointLine::JointLine(Refinement& state_, const Direction& direction)
    : state(state_), directions(direction.U), rest(state_.residual) {
  const Neurons& neurons = state.neurons;
  const Index m = neurons.size(), n = state.X.rows(), p = state.X.cols();
  a.noalias() = neurons.U * state.X.transpose();
  b.noalias() = directions * state.X.transpose();
  fit.setConstant(n, direction.intercept);
  for (Index j = 0; j < m; ++j) {
    for (Index k = 0; k < p && neurons.tight(j, k) >= 0; ++k) {
      b(j, neurons.tight(j, k)) = 0.0;
    }
    fit.array() += neurons.signs[j] * (b.row(j).array() * neurons.on.row(j).cast<double>()).transpose();
  }
  const Index counted = state.free_bias ? p - 1 : p;
  const auto W = neurons.U.leftCols(counted);
  const auto D = directions.leftCols(counted);
  uu = W.rowwise().squaredNorm();
  up = W.cwiseProduct(D).rowwise().sum();
  pp = D.rowwise().squaredNorm();
  const VectorXd weighted = state.sample_weight.cwiseProduct(fit);
  slope = -weighted.dot(state.residual);
  curve = weighted.dot(fit);
  for (Index j = 0; j < m && state.mode != Mode::gated; ++j) {
    collect_kinks(j);
  }
  std::make_heap(kinks.begin(), kinks.end(), std::greater<>());
}

// Tight rows have b = 0: they do not move.
void JointLine::collect_kinks(Index j) {
  const Index n = state.X.rows();
  const double moving = kMoving * directions.row(j).norm();
  for (Index i = 0; i < n; ++i) {
    const bool on = state.neurons.on(j, i);
    if (std::abs(b(j, i)) <= moving * state.norms[i] || (b(j, i) < 0.0) != on) {
      continue;
    }
    const double t = std::max(on ? a(j, i) : -a(j, i), 0.0) / std::abs(b(j, i));
    if (t < kLongest) {
      kinks.emplace_back(t, j * n + i);
    }
  }
}

double JointLine::slope_at(double t) const {
  double total = slope + t * curve;
  for (Index j = 0; j < uu.size(); ++j) {
    total += norm_slope(state.beta, uu[j], up[j], pp[j], t);
  }
  return total;
}

double JointLine::first_zero(double low, double high) const {
  for (int k = 0; k < 60; ++k) {
    const double t = 0.5 * (low + high);
    (slope_at(t) >= 0.0 ? high : low) = t;
  }
  return high;
}

// First local minimum; kinks are treated as in one neuron's line search.
JointLine::Stop JointLine::search() {
  const Index n = state.X.rows();
  double low = 0.0;
  while (true) {
    const double t = kinks.empty() ? kLongest : kinks.front().first;
    if (slope_at(t) >= 0.0 && t > low) {
      return {first_zero(low, t), -1, -1};
    }
    if (kinks.empty()) {
      return {t, -1, -1};
    }
    const Index j = kinks.front().second / n, i = kinks.front().second % n;
    if (state.mode == Mode::fixed || !cross(t, j, i)) {
      return {t, j, i};
    }
    low = t;
    std::pop_heap(kinks.begin(), kinks.end(), std::greater<>());
    kinks.pop_back();
  }
}

// Flip the bit of a concave kink; at a convex one, where the slope turns, stay and say false.
bool JointLine::cross(double t, Index j, Index i) {
  bool& on = state.neurons.on(j, i);
  const double weight = state.sample_weight[i];
  const double change = (on ? -1.0 : 1.0) * state.neurons.signs[j] * b(j, i);
  const double old_fit = fit[i], new_fit = old_fit + change;
  const double d_slope = weight * (rest[i] * old_fit - (rest[i] + t * change) * new_fit);
  const double d_curve = weight * (new_fit * new_fit - old_fit * old_fit);
  if (slope_at(t) + d_slope + t * d_curve >= 0.0) {
    return false;
  }
  slope += d_slope;
  curve += d_curve;
  rest[i] += t * change;
  fit[i] = new_fit;
  on = !on;
  return true;
}

// The row at which the search ended becomes tight.
void tighten(Neurons& neurons, Index j, Index row) {
  const Index p = neurons.U.cols(), k = count_tight(neurons.tight.row(j).data(), p);
  if (k == p - 1) {
    neurons.U.row(j).setZero();  // on a ray the only wall is the apex
    neurons.tight.row(j).setConstant(-1);
  } else {
    neurons.tight(j, k) = row;
  }
}

}  // namespace

NewtonStep newton(Refinement& state) {
  const Index m = state.neurons.size();
  const Direction direction = newton_direction(state);
  JointLine line(state, direction);
  for (Index j = 0; j < m; ++j) {
    state.add_output(j, 1.0);
  }
  const JointLine::Stop stop = line.search();
  state.neurons.U += stop.t * direction.U;
  if (stop.neuron >= 0) {
    tighten(state.neurons, stop.neuron, stop.row);
  }
  for (Index j = 0; j < m; ++j) {
    state.add_output(j, -1.0);
  }
  return {direction.decrement, state.centre()};
}

}  // namespace pyconvex
