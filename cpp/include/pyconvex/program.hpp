// What every solve reports: how it ended, and what happened round by round.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// How a solve ended.
enum class Status { optimal, max_iter, time_limit, interrupted, stalled };

/// "optimal", "max_iter", "time_limit", "interrupted" or "stalled".
std::string to_string(Status status);

/// One round of a solve.
struct Record {
  double objective;
  double dual_objective;  // under a "local" certificate an estimate
  Index n_neurons;        // neurons, or active groups
  double seconds;         // since the start
};

/// Called with each record; returning true ends the solve with its best state.
using Callback = std::function<bool(const Record&)>;

/// Limits that every solve has.
struct Limits {
  double tol = 1e-6;                                            // relative gap to reach, in (0, 1)
  Index max_iter = 1000;                                        // pricing rounds
  double time_limit = std::numeric_limits<double>::infinity();  // seconds
  int n_threads = 0;  // 0: what OpenMP would take; results do not depend on it
  Callback callback;
};

/// The certificate and the course of a solve.
struct Report {
  double beta = 0.0;
  double objective = 0.0;       // of the returned weights
  double dual_objective = 0.0;  // lower bound at the level that `certificate` names
  double gap = 0.0;             // (objective - dual_objective) / objective; 0 if objective is 0
  double lower_bound = 0.0;     // rigorous whatever the certificate
  std::string certificate;      // "global", "restricted" or "local"
  Status status = Status::optimal;
  Index n_iter = 0;
  double seconds = 0.0;
  std::vector<Record> history;
};

}  // namespace pyconvex
