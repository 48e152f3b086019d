#include <cmath>
#include <vector>

#include "dense_kernels.hpp"
#include "newton.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Keep a Gram matrix regular: collinear neurons make it singular, a dead column empty. Relative to
// each entry, since the curvatures beta / ||u_j|| have no common scale.
void damp(Eigen::Ref<MatrixXd> matrix) {
  for (double& entry : matrix.diagonal()) {
    entry = entry > 0.0 ? entry * (1.0 + 1e-13) : 1.0;
  }
}

// Solution of a system whose matrix is positive definite but for rounding; its lower triangle is
// read. Where Cholesky fails pivots help.
VectorXd solve(const Eigen::Ref<const MatrixXd>& matrix, const VectorXd& right, Buffer& buffer) {
  auto factor = buffer.as<MatrixXd>(matrix.rows(), matrix.cols());
  factor = matrix;
  VectorXd solution = right;
  if (dense().factor(factor.data(), factor.rows())) {
    dense().solve_factor(factor.data(), factor.rows(), solution.data(), 1);
    return solution;
  }
  return matrix.ldlt().solve(right);
}

// The system in the coordinates of the faces. The Hessian is Z^T W Z plus the blocks
// beta_j (I - w w^T) / ||u_j|| + ridge I, with Z = [s_j D_j X B_j, decayed columns, basis of the
// free ones]; only its lower triangle is filled. Decayed columns that are not in use stay so.
struct FaceSystem {
  VectorXd gradient;
  Eigen::Map<MatrixXd> hessian;

  explicit FaceSystem(Refinement& state);

 private:
  void add_penalty(const Refinement& state, Index j);
  void add_linear(const Linear& linear);
};

FaceSystem::FaceSystem(Refinement& state)
    : gradient(VectorXd::Zero(state.faces.size())),
      hessian(state.buffers.hessian.as<MatrixXd>(gradient.size(), gradient.size())) {
  hessian.triangularView<Eigen::Lower>() = state.faces.gram();
  for (Index j = 0; j < state.neurons.size(); ++j) {
    add_penalty(state, j);
  }
  const VectorXd weighted = state.sample_weight.cwiseSqrt().cwiseProduct(state.residual);
  gradient.noalias() -= state.faces.columns().transpose() * weighted;
  add_linear(state.linear);
  damp(hessian);
}

void FaceSystem::add_penalty(const Refinement& state, Index j) {
  const MatrixXd& B = state.faces.basis(j);
  const Index p = B.rows(), f = B.cols(), low = state.faces.offset(j);
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
  const double beta = state.neurons.betas[j];
  gradient.segment(low, f) = beta * wB + state.ridge * (B.transpose() * u);
  auto block = hessian.block(low, low, f, f);
  block -= (beta / size) * wB * wB.transpose();
  block.diagonal() += (beta / size) * unit;
  block.diagonal().array() += state.ridge;
}

// The penalty of the decayed columns; zeros where those are not in use.
void FaceSystem::add_linear(const Linear& linear) {
  const Index q = linear.n_decayed(), low = gradient.size() - linear.size();
  if (q == 0) {
    return;
  }
  if (!linear.used()) {
    hessian.middleRows(low, q).leftCols(low + q).setZero();
    hessian.middleCols(low, q).bottomRows(linear.n_free()).setZero();
    gradient.segment(low, q).setZero();
    return;
  }
  const double size = linear.coef.norm(), curvature = linear.beta / size;
  const VectorXd w = linear.coef / size;
  gradient.segment(low, q) += linear.beta * w;
  auto block = hessian.block(low, low, q, q);
  block -= curvature * w * w.transpose();
  block.diagonal().array() += curvature;
}

}  // namespace

Direction face_direction(Refinement& state) {
  state.faces.update(state);
  FaceSystem system(state);
  const VectorXd step = solve(system.hessian, -system.gradient, state.buffers.factor);
  Direction direction;
  direction.U.resize(state.neurons.size(), state.X.cols());
  for (Index j = 0; j < state.neurons.size(); ++j) {
    const MatrixXd& B = state.faces.basis(j);
    direction.U.row(j) = B * step.segment(state.faces.offset(j), B.cols());
  }
  direction.decayed = step.tail(state.linear.size()).head(state.linear.n_decayed());
  direction.free = step.tail(state.linear.n_free());
  direction.decrement = -system.gradient.dot(step);
  return direction;
}

namespace {

// Gated neurons as `sample_direction` sees them.
struct Masks {
  RowMatrix rows;  // masks times sign and root of the weight (m x n)
  RowMatrix w;     // u_j / ||u_j|| (m x p)
  VectorXd b;      // beta_j / ||u_j||
  VectorXd c;      // b_j + ridge
  VectorXd root;   // of the sample weights

  explicit Masks(const Refinement& state) : root(state.sample_weight.cwiseSqrt()) {
    const Neurons& neurons = state.neurons;
    const VectorXd size = neurons.U.rowwise().norm();
    b = neurons.betas.cwiseQuotient(size);
    c = b.array() + state.ridge;
    w = size.cwiseInverse().asDiagonal() * neurons.U;
    rows = neurons.signs * root.transpose();
    rows.array() *= neurons.on.cast<double>();
  }
};

// Decayed columns in use, as one more group.
struct LinearGroup {
  MatrixXd columns;       // times the roots of the weights (n x q)
  VectorXd unit;          // direction of the coefficients
  VectorXd pull;          // minus the gradient
  double softness = 0.0;  // ||coef|| / beta

  LinearGroup(const Linear& linear, const VectorXd& root, const VectorXd& residual) {
    if (!linear.used()) {
      return;
    }
    const double size = linear.coef.norm();
    columns = root.asDiagonal() * linear.columns;
    unit = linear.coef / size;
    softness = size / linear.beta;
    pull = columns.transpose() * root.cwiseProduct(residual) - linear.beta * unit;
  }
};

// I + (X X^T) o (M^T diag(1 / c) M), the lower triangle.
MatrixXd sample_system(const Refinement& state, const Masks& masks) {
  const Index n = state.X.rows();
  const MatrixXd scaled = masks.c.cwiseInverse().cwiseSqrt().asDiagonal() * masks.rows;
  MatrixXd S = MatrixXd::Zero(n, n), rows = MatrixXd::Zero(n, n);
  dense().add_gram(scaled.data(), scaled.rows(), n, S.data());
  dense().add_gram(state.X.data(), state.X.cols(), n, rows.data());  // X^T column by column
  S.array() *= rows.array();
  S.diagonal().array() += 1.0;
  return S;
}

}  // namespace

// With b_j = beta_j / ||u_j||, c_j = b_j + ridge, w_j = u_j / ||u_j|| the Hessian is the block
// diagonal of c_j I, plus Z^T Z, less sum_j b_j w_j w_j^T. Eliminating the blocks leaves y = Z step
// from S y = ..., S = I + sum_j Z_j Z_j^T / c_j, bordered by the outputs E of the w_j and the
// free columns. The unknowns tau of the border are (b_j / c_j) w_j . step_j. Decayed columns in use
// are one more group, without ridge.
Direction sample_direction(const Refinement& state) {
  const Masks masks(state);
  const Index n = state.X.rows(), m = state.neurons.size();
  const Linear& linear = state.linear;
  const Index used = linear.used() ? 1 : 0, n_border = m + used + linear.n_free();
  RowMatrix pull = masks.rows * masks.root.cwiseProduct(state.residual).asDiagonal() * state.X;
  pull -= state.neurons.betas.asDiagonal() * masks.w;  // minus the gradient
  pull -= state.ridge * state.neurons.U;
  const VectorXd free_pull = linear.weighted.transpose() * state.residual;
  MatrixXd E(n, n_border);
  VectorXd target(n_border);
  E.leftCols(m) = preactivations(state, masks.w).cwiseProduct(masks.rows).transpose();
  target.head(m) = masks.w.cwiseProduct(pull).rowwise().sum();
  E.rightCols(linear.n_free()) = masks.root.asDiagonal() * linear.basis;
  target.tail(linear.n_free()) = free_pull;
  const VectorXd softness = masks.c.cwiseInverse();
  const RowMatrix outputs = preactivations(state, pull).cwiseProduct(masks.rows);
  MatrixXd S = sample_system(state, masks);
  VectorXd along = outputs.transpose() * softness;
  const LinearGroup group(linear, masks.root, state.residual);
  if (used != 0) {
    S.triangularView<Eigen::Lower>() += group.softness * group.columns * group.columns.transpose();
    E.col(m) = group.columns * group.unit;
    target[m] = group.unit.dot(group.pull);
    along += group.softness * (group.columns * group.pull);
  }
  dense().factor(S.data(), n);  // at least the identity
  dense().solve_factor(S.data(), n, along.data(), 1);
  MatrixXd solved = E;
  dense().solve_factor(S.data(), n, solved.data(), n_border);
  MatrixXd border = E.transpose() * solved;
  border.diagonal().head(m) += state.ridge * masks.c.cwiseQuotient(masks.b);
  damp(border);
  Buffer factor;
  const VectorXd tau = solve(border, target - E.transpose() * along, factor);
  const VectorXd y = along + solved * tau;
  Direction direction;
  direction.U = softness.asDiagonal() * (pull - masks.rows * y.asDiagonal() * state.X);
  direction.U += tau.head(m).asDiagonal() * masks.w;
  direction.free = tau.tail(linear.n_free());
  direction.decrement = direction.U.cwiseProduct(pull).sum() + direction.free.dot(free_pull);
  direction.decayed.setZero(linear.n_decayed());
  if (used != 0) {
    direction.decayed = group.softness * (group.pull - group.columns.transpose() * y);
    direction.decayed += tau[m] * group.unit;
    direction.decrement += direction.decayed.dot(group.pull);
  }
  return direction;
}

}  // namespace pyconvex
