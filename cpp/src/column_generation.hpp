// Column generation: solve over few neurons, price all others, add the best, repeat. Private.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "columns.hpp"
#include "course.hpp"

namespace pyconvex {

constexpr double kNoProgress = 1e-15;  // relative changes of the objective below say nothing

/// The state of a solve: the neurons in use and what they predict on the rows.
struct State {
  RowMatrix U;
  Eigen::VectorXd signs;
  TightRows tight;
  std::vector<Index> pattern;  // -1 where patterns are not fixed
  double intercept = 0.0;
  Eigen::VectorXd prediction;

  static State none(const Problem& problem);
  Index size() const { return U.rows(); }
  /// The neurons `from` of another state, with weights, tight rows and prediction of their own.
  State with(const std::vector<Index>& from, RowMatrix weights, TightRows rows, double shift,
             Eigen::VectorXd outputs) const;
};

/// What a solve found: the state, the dual objective, the multiplier that proves it, the end.
struct Solution {
  State state;
  double dual_objective = 0.0;
  Eigen::VectorXd multiplier = {};
  Status status = Status::optimal;
  bool sure = true;  // whether the dual objective may stand in a certificate
};

/// The main loop. `real` is the problem whose objective and gap count: `problem` itself unless its
/// loss is a smoothed one. `packed` holds the patterns (none in Mode::crossing).
class Solver {
 public:
  Solver(const Problem& problem, const Problem& real, Pricer& pricing, Mode mode,
         const std::vector<std::uint64_t>& packed, const Limits& limits, Course& course);
  /// With a smoothed loss "optimal" means that its own gap is small beside the real one.
  Solution solve(const State& start);

 private:
  double objective(const State& state) const;
  double dual_objective(const Problem& problem, const Eigen::VectorXd& z, double norm,
                        const Columns& columns) const;
  double ready() const;
  double price(const Eigen::VectorXd& z, const State& state, double objective, bool stuck,
               Columns& columns, bool& sure);
  void recompute(State& state) const;
  Eigen::VectorXd output(const Eigen::VectorXd& u, Index pattern) const;
  void advance(State& state, const Columns& columns, double gap, std::vector<double>& gaps,
               int& idle);
  void add(State& state, const Columns& columns) const;
  void append(State& state, const Columns& columns, Index k, double size) const;
  double safe(const State& state, Index before, const Eigen::VectorXd& step) const;
  bool in_use(const State& state, Index before, const Columns& columns, Index k) const;
  void improve(State& state, double objective, double gap, std::vector<double>& gaps, int idle);
  bool sweeps_pay(const std::vector<double>& gaps) const;
  void sweep(State& state);
  void refine(State& state, double target) const;
  void refine_models(State& state, double target) const;
  double lower_model(State& state, double damping, double target) const;
  Eigen::VectorXd betas(const State& state) const;
  std::vector<std::uint64_t> bits(const State& state) const;

  const Problem& problem_;
  const Problem& real_;
  Pricer& pricing_;
  Mode mode_;
  const std::vector<std::uint64_t>& packed_;
  const Limits& limits_;
  Course& course_;
  std::map<Index, Eigen::MatrixXd> grams_;  // X^T D_g diag(s) X of groups once used
};

}  // namespace pyconvex
