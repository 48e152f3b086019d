#include "dense_kernels.hpp"

namespace pyconvex {
namespace {

const DenseKernels& choose() {
#ifdef PYCONVEX_X86_LEVELS
  if (__builtin_cpu_supports("x86-64-v4")) {
    return v4::kernels;
  }
  if (__builtin_cpu_supports("x86-64-v3")) {
    return v3::kernels;
  }
#endif
  return v1::kernels;
}

}  // namespace

const DenseKernels& dense() {
  static const DenseKernels& chosen = choose();
  return chosen;
}

}  // namespace pyconvex
