// Eigen's products and Cholesky factors behind plain functions. CMakeLists.txt compiles this file
// once per x86-64 level, and dense.cpp picks one while the program runs.
//
// PYCONVEX_LEVEL names the level. Eigen's templates are weak symbols, of which a linker keeps any
// one copy: each level has Eigen in a namespace of its own, so that none is lent to an older
// machine. For the same reason nothing here may instantiate templates of the standard library.
#define PYCONVEX_JOIN_(a, b) a##b
#define PYCONVEX_JOIN(a, b) PYCONVEX_JOIN_(a, b)
// Small products too go the way of large ones, in which no sum depends on where the data lie: equal
// input gives equal bits.
#define EIGEN_GEMM_TO_COEFFBASED_THRESHOLD 1
#define Eigen PYCONVEX_JOIN(Eigen_, PYCONVEX_LEVEL)
#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "dense_kernels.hpp"

namespace pyconvex {
namespace PYCONVEX_LEVEL {
namespace {

using Matrix = Eigen::Map<Eigen::MatrixXd>;
using ConstMatrix = Eigen::Map<const Eigen::MatrixXd>;

void multiply(const double* A, const double* B, Index n, Index k, Index m, double* C) {
  Matrix(C, n, m).noalias() = ConstMatrix(A, n, k) * ConstMatrix(B, k, m);
}

void multiply_transposed(const double* A, const double* B, Index n, Index k, Index m, double* C) {
  Matrix(C, k, m).noalias() = ConstMatrix(A, n, k).transpose() * ConstMatrix(B, n, m);
}

void add_gram(const double* A, Index n, Index k, double* C) {
  if (n > 0) {  // Eigen divides by the depth of the product
    Matrix(C, k, k).selfadjointView<Eigen::Lower>().rankUpdate(ConstMatrix(A, n, k).transpose());
  }
}

void add_outer(const double* A, Index k, Index n, double* C) {
  if (n > 0) {
    Matrix(C, k, k).selfadjointView<Eigen::Lower>().rankUpdate(ConstMatrix(A, k, n));
  }
}

bool factor(double* A, Index k) {
  Matrix matrix(A, k, k);
  const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> llt(matrix);
  return llt.info() == Eigen::Success;
}

void solve_factor(const double* L, Index k, double* B, Index columns) {
  const auto lower = ConstMatrix(L, k, k).triangularView<Eigen::Lower>();
  if (columns == 0) {
    return;
  }
  Matrix right(B, k, columns);
  lower.solveInPlace(right);
  lower.transpose().solveInPlace(right);
}

}  // namespace

const DenseKernels kernels = {multiply, multiply_transposed, add_gram, add_outer,
                              factor,   solve_factor};

}  // namespace PYCONVEX_LEVEL
}  // namespace pyconvex
