// Random numbers that are the same with every standard library. Private.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// Own transformations: the distributions of the standard differ between libraries.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  double gaussian() {
    constexpr double kPi = 3.14159265358979323846;
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * kPi * uniform());
  }
  /// One of 0 .. n - 1.
  Index below(Index n) {
    return std::min(static_cast<Index>(uniform() * static_cast<double>(n)), n - 1);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace pyconvex
