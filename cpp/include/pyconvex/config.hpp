// What this build of the library is and what it found on this machine.
#pragma once

#include <string>

namespace pyconvex {

struct Config {
  std::string version;   // "0.1.0"
  std::string compiler;  // "GCC 12.2.0"
  std::string simd;      // instruction set that run-time dispatch chooses: "x86-64-v3", "baseline"
  bool openmp = false;   // built with OpenMP?
  int max_threads = 1;   // what n_threads = 0 stands for
};

Config config();

}  // namespace pyconvex
