#include "pyconvex/config.hpp"

#include "dispatch.hpp"
#include "parallel.hpp"

namespace pyconvex {
namespace {

std::string compiler_name() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#elif defined(_MSC_VER)
  return "MSVC " + std::to_string(_MSC_VER);
#else
  return "unknown";
#endif
}

// The same order as the loader's: the best clone that this processor can run.
std::string simd_level() {
#if PYCONVEX_HAS_CLONES
  if (__builtin_cpu_supports("x86-64-v4")) {
    return "x86-64-v4";
  }
  if (__builtin_cpu_supports("x86-64-v3")) {
    return "x86-64-v3";
  }
#endif
  return "baseline";
}

}  // namespace

Config config() {
#ifdef _OPENMP
  const bool openmp = true;
#else
  const bool openmp = false;
#endif
  return {PYCONVEX_VERSION, compiler_name(), simd_level(), openmp, resolve_threads(0)};
}

}  // namespace pyconvex
