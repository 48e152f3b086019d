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

// A basis of the columns that is orthonormal under the weights, and T: basis = columns T.
struct Orthonormal {
  MatrixXd basis, transform;

  Orthonormal(const MatrixXd& columns, const ConstVector& sample_weight);
};

// Gram-Schmidt, each column twice. One that depends on others gets a basis vector of zeros.
Orthonormal::Orthonormal(const MatrixXd& columns, const ConstVector& sample_weight)
    : basis(MatrixXd::Zero(columns.rows(), columns.cols())),
      transform(MatrixXd::Zero(columns.cols(), columns.cols())) {
  const auto norm = [&](const VectorXd& v) { return std::sqrt(sample_weight.dot(v.cwiseAbs2())); };
  for (Index j = 0; j < columns.cols(); ++j) {
    VectorXd v = columns.col(j), coefficients = VectorXd::Unit(columns.cols(), j);
    for (int pass = 0; pass < 2; ++pass) {
      const VectorXd parts = basis.leftCols(j).transpose() * sample_weight.cwiseProduct(v);
      v -= basis.leftCols(j) * parts;
      coefficients -= transform.leftCols(j) * parts;
    }
    const double size = norm(v);
    if (size > kDependent * norm(columns.col(j))) {
      basis.col(j) = v / size;
      transform.col(j) = coefficients / size;
    }
  }
}

}  // namespace

Linear::Linear(const LinearColumns& given, const ConstVector& sample_weight) : beta(given.beta) {
  const Index n = sample_weight.size();
  const Orthonormal free(free_columns(given, n), sample_weight);
  basis = free.basis;
  transform_ = free.transform;
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
