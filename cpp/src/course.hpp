// How a solve goes: its rounds, its seconds, and whether it must end. Private.
#pragma once

#include <chrono>

#include "pyconvex/program.hpp"

namespace pyconvex {

/// Takes down the rounds of one solve and watches its limits.
class Course {
 public:
  explicit Course(const Limits& limits)
      : limits_(limits), start_(std::chrono::steady_clock::now()) {}

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  bool out_of_time() const { return seconds() >= limits_.time_limit; }

  /// Take down a round; false where the solve must end now, with the reason in report.status.
  bool record(Report& report, double objective, double dual, Index n_neurons) const {
    report.history.push_back({objective, dual, n_neurons, seconds()});
    if (limits_.callback && limits_.callback(report.history.back())) {
      report.status = Status::interrupted;
      return false;
    }
    if (out_of_time()) {
      report.status = Status::time_limit;
      return false;
    }
    report.status = Status::max_iter;
    return static_cast<Index>(report.history.size()) <= limits_.max_iter;
  }

 private:
  const Limits& limits_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace pyconvex
