#include "dual_system.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dense_kernels.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int kPowers = 2;     // power iterations towards the masks' mean
constexpr Index kBlock = 128;  // columns of X X^T at a time

}  // namespace

DualSystem::DualSystem(const Samples& samples, MatrixXd masks, MatrixXd borders, VectorXd diagonal,
                       double sigma)
    : samples_(samples),
      masks_(std::move(masks)),
      borders_(std::move(borders)),
      diagonal_(std::move(diagonal)),
      sigma_(sigma) {}

double DualSystem::factor_work() const {
  const auto n = static_cast<double>(masks_.rows()), k = static_cast<double>(masks_.cols());
  return n * n * (k + n / 3.0);
}

VectorXd DualSystem::times(const VectorXd& v) {
  const Index n = masks_.rows(), k = masks_.cols(), p = samples_.X.cols();
  masked_ = masks_.array().colwise() * v.array();
  pulled_.resize(p, k);
  dense().multiply(samples_.X.data(), masked_.data(), p, n, k, pulled_.data());
  spread_.resize(n, k);
  dense().multiply(samples_.features.data(), pulled_.data(), n, p, k, spread_.data());
  VectorXd product = spread_.cwiseProduct(masks_).rowwise().sum();
  product.noalias() += borders_ * (borders_.transpose() * v);
  return sigma_ * product + diagonal_.cwiseProduct(v);
}

// Masks overlap: M^T M of many is near the a a^T of their mean, which leaves diag + sigma Y Y^T
// with Y = diag(a) X, inverted through p x p matrices.
void DualSystem::prepare() {
  const Index k = masks_.cols();
  VectorXd across =
      VectorXd::Constant(k, 1.0 / std::sqrt(static_cast<double>(std::max<Index>(1, k))));
  for (int step = 0; step < kPowers; ++step) {
    across = masks_.transpose() * (masks_ * across).eval();
    const double length = across.norm();
    across /= length > 0.0 ? length : 1.0;
  }
  const VectorXd a = masks_ * across;  // a_i^2 is at most the diagonal entry
  VectorXd heights = masks_.rowwise().squaredNorm() - a.cwiseAbs2();
  heights = heights.cwiseProduct(samples_.norms.cwiseAbs2()) + borders_.rowwise().squaredNorm();
  inverse_ = (diagonal_ + sigma_ * heights.cwiseMax(0.0)).cwiseInverse();
  Y_ = a.asDiagonal() * samples_.X;
  MatrixXd inner = Y_.transpose() * inverse_.asDiagonal() * Y_;
  inner.diagonal().array() += 1.0 / sigma_;
  small_.compute(inner);
}

VectorXd DualSystem::precondition(const VectorXd& v) const {
  const VectorXd scaled = inverse_.cwiseProduct(v);
  return scaled - inverse_.cwiseProduct(Y_ * small_.solve(Y_.transpose() * scaled));
}

std::optional<VectorXd> DualSystem::iterate(const VectorXd& right, double tol, double max_work) {
  const auto n = static_cast<double>(masks_.rows()), k = static_cast<double>(masks_.cols());
  const double work = k * n * (4.0 * static_cast<double>(samples_.X.cols()) + 40.0) + 1.0;
  const auto most = static_cast<Index>(std::min(max_work / work, 10.0 * n));
  prepare();
  VectorXd solution = VectorXd::Zero(right.size()), residual = right;
  VectorXd scaled = precondition(residual), direction = scaled;
  double product = residual.dot(scaled);
  const double goal = tol * right.norm();
  for (Index step = 0; step < most; ++step) {
    const VectorXd image = times(direction);
    const double length = product / direction.dot(image);
    solution += length * direction;
    residual -= length * image;
    if (residual.norm() <= goal) {
      return solution;
    }
    scaled = precondition(residual);
    const double previous = std::exchange(product, residual.dot(scaled));
    direction = scaled + (product / previous) * direction;
  }
  return std::nullopt;
}

VectorXd DualSystem::factorise(const VectorXd& right) const {
  const Index n = masks_.rows(), p = samples_.X.cols();
  MatrixXd matrix = MatrixXd::Zero(n, n), block;
  dense().add_outer(masks_.data(), n, masks_.cols(), matrix.data());
  for (Index first = 0; first < n; first += kBlock) {  // X X^T part by part: it is never held
    const Index count = std::min(kBlock, n - first);
    block.resize(n, count);
    dense().multiply(samples_.features.data(), samples_.X.data() + first * p, n, p, count,
                     block.data());
    matrix.middleCols(first, count).array() *= block.array();
  }
  dense().add_outer(borders_.data(), n, borders_.cols(), matrix.data());
  matrix *= sigma_;
  matrix.diagonal() += diagonal_;
  dense().factor(matrix.data(), n);  // at least the diagonal
  VectorXd solution = right;
  dense().solve_factor(matrix.data(), n, solution.data(), 1);
  return solution;
}

}  // namespace pyconvex
