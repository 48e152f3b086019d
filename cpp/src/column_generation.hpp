// Column generation: solve over few neurons, price all others, add the best, repeat. Private.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "columns.hpp"
#include "course.hpp"

namespace pyconvex {

/// The state of a solve: the neurons in use and the residual they leave.
struct State {
  RowMatrix U;
  Eigen::VectorXd signs;
  TightRows tight;
  std::vector<Index> pattern;  // -1 where patterns are not fixed
  double intercept = 0.0;
  Eigen::VectorXd residual;

  static State none(const Problem& problem);
  Index size() const { return U.rows(); }
};

/// What a solve found: the state, the dual objective, and the report without beta and certificate.
struct Solution {
  State state;
  Report report;
  Eigen::VectorXd multiplier = {};  // what proves the dual objective
};

/// The main loop. `packed` holds the patterns (none in Mode::crossing).
class Solver {
 public:
  Solver(const Problem& problem, Pricer& pricing, Mode mode,
         const std::vector<std::uint64_t>& packed, const Limits& limits);
  Solution solve() { return solve(State::none(problem_)); }
  Solution solve(const State& start);

 private:
  void recompute(State& state) const;
  Eigen::VectorXd output(const Eigen::VectorXd& u, Index pattern) const;
  void add(State& state, const Columns& columns) const;
  void append(State& state, const Columns& columns, Index k, double size) const;
  bool in_use(const State& state, const Columns& columns, Index k) const;
  void refine(State& state, double target) const;
  void improve(State& state, double objective, double gap, std::vector<double>& gaps, int idle);
  bool sweeps_pay(const std::vector<double>& gaps) const;
  void sweep(State& state);
  Eigen::VectorXd betas(const State& state) const;
  std::vector<std::uint64_t> bits(const State& state) const;
  double dual_objective(const Eigen::VectorXd& z, double norm, const Columns& columns) const;

  const Problem& problem_;
  Pricer& pricing_;
  Mode mode_;
  const std::vector<std::uint64_t>& packed_;
  const Limits& limits_;
  Course course_;
  std::map<Index, Eigen::MatrixXd> grams_;  // X^T D_g diag(s) X of groups once used
};

}  // namespace pyconvex
