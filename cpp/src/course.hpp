// How a solve goes: its rounds, its seconds, and whether it must end. Private.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

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

  /// Take down a round; why the solve must end now, if it must.
  std::optional<Status> record(double objective, double dual, Index n_neurons) {
    history_.push_back({objective, dual, n_neurons, seconds()});
    if (limits_.callback && limits_.callback(history_.back())) {
      return Status::interrupted;
    }
    if (out_of_time()) {
      return Status::time_limit;
    }
    if (static_cast<Index>(history_.size()) > limits_.max_iter) {
      return Status::max_iter;
    }
    return std::nullopt;
  }

  /// What there is to report of a solve that ended, without its figures and certificate.
  Report report(Status status) const {
    Report report;
    report.status = status;
    report.n_iter = static_cast<Index>(history_.size());
    report.seconds = seconds();
    report.history = history_;
    return report;
  }

 private:
  const Limits& limits_;
  std::chrono::steady_clock::time_point start_;
  std::vector<Record> history_;
};

}  // namespace pyconvex
