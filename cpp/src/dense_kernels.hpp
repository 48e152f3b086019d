// What dense_kernels.cpp offers at each x86-64 level. Private.
#pragma once

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// Matrices are column-major without gaps.
struct DenseKernels {
  /// C = A B; A is n x k, B is k x m.
  void (*multiply)(const double* A, const double* B, Index n, Index k, Index m, double* C);
  /// C = A^T B; A is n x k, B is n x m.
  void (*multiply_transposed)(const double* A, const double* B, Index n, Index k, Index m,
                              double* C);
  /// C += A^T A, the lower triangle; A is n x k.
  void (*add_gram)(const double* A, Index n, Index k, double* C);
  /// C += A A^T, the lower triangle; A is k x n.
  void (*add_outer)(const double* A, Index k, Index n, double* C);
  /// Overwrite the lower triangle of A (k x k) by its Cholesky factor; false where A is not
  /// positive definite.
  bool (*factor)(double* A, Index k);
  /// B = (L L^T)^-1 B for B of k x columns.
  void (*solve_factor)(const double* L, Index k, double* B, Index columns);
};

/// Those of this machine.
const DenseKernels& dense();

namespace v1 {  // any x86-64 machine, or any other
extern const DenseKernels kernels;
}
namespace v3 {
extern const DenseKernels kernels;
}
namespace v4 {
extern const DenseKernels kernels;
}

}  // namespace pyconvex
