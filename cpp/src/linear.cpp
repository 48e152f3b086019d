#include "linear.hpp"

#include <cmath>

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

constexpr double kDependent = 1e-12;  // a column that leaves less of itself depends on the others

MatrixXd free_columns(const LinearColumns& given, Index n) {
  const Index first = given.constant ? 1 : 0;
  MatrixXd free(n, first + given.free.cols);
  if (given.constant) {
    free.col(0).setOnes();
  }
  if (!given.free.empty()) {
    free.rightCols(given.free.cols) = as_rows(given.free);
  }
  return free;
}

// R^-1 of the QR of the weighted columns. A dependent column gets a basis vector of zeros.
MatrixXd inverse_factor(const MatrixXd& weighted) {
  const Index k = weighted.cols();
  const MatrixXd R = weighted.householderQr().matrixQR().topRows(k);
  MatrixXd inverse = MatrixXd::Zero(k, k);
  for (Index j = 0; j < k; ++j) {
    if (std::abs(R(j, j)) <= kDependent * R.col(j).head(j + 1).norm()) {
      continue;
    }
    inverse(j, j) = 1.0 / R(j, j);
    for (Index i = j - 1; i >= 0; --i) {
      const double product = inverse.row(i).segment(i, j - i).dot(R.col(j).segment(i, j - i));
      inverse(i, j) = -product * inverse(j, j);
    }
  }
  return inverse;
}

}  // namespace

Linear::Linear(const LinearColumns& given, const ConstVector& sample_weight) : beta(given.beta) {
  const Index n = sample_weight.size();
  basis = free_columns(given, n);
  if (basis.cols() > 0) {
    inverse_ = inverse_factor(sample_weight.cwiseSqrt().asDiagonal() * basis);
    basis = (basis * inverse_).eval();
  }
  weighted = sample_weight.asDiagonal() * basis;
  shift.setZero(basis.cols());
  columns.resize(n, given.decayed.cols);
  coef.resize(given.decayed.cols);
  if (!given.decayed.empty()) {
    columns = as_rows(given.decayed);
    coef = Eigen::Map<const VectorXd>(given.coef, given.decayed.cols);
    gram_ = columns.transpose() * sample_weight.asDiagonal() * columns;
  }
}

void Linear::centre(VectorRef residual) {
  if (n_free() == 0) {
    return;
  }
  const VectorXd change = weighted.transpose() * residual;
  residual.noalias() -= basis * change;
  shift += change;
}

void Linear::descend(VectorRef residual, const ConstVector& sample_weight) {
  if (n_decayed() == 0) {
    return;
  }
  VectorXd pull = columns.transpose() * sample_weight.cwiseProduct(residual);
  pull.noalias() += gram_ * coef;
  const VectorXd change = shrink(gram_, pull, beta, coef.norm()) - coef;
  residual.noalias() -= columns * change;
  coef += change;
}

}  // namespace pyconvex
