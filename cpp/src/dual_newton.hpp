// Dual augmented Lagrangian with semismooth Newton steps for group lassos on masked rows. Private.
#pragma once

#include <cstdint>
#include <vector>

#include "column_generation.hpp"
#include "dual_box.hpp"
#include "dual_system.hpp"

namespace pyconvex {

/// The program over given patterns without cones, by Newton's method on the dual; see the Python
/// class of that name for the formulas.
class DualNewton {
 public:
  /// `real`: see Solver.
  DualNewton(const Problem& problem, const Problem& real, const std::vector<std::uint64_t>& packed,
             const Limits& limits, Course& course);
  Solution solve(const State& start);

 private:
  // The multiplier, the weights, and all that follows from them. The proximal point (`active`,
  // `next`, `next_intercept`) is what the weights become at the next update.
  struct Iterate {
    Eigen::VectorXd z;
    RowMatrix gradients, U;  // of all groups (P x p)
    double intercept = 0.0, sigma = 1.0;
    std::vector<Index> active;
    Eigen::VectorXd scale;
    RowMatrix next;           // k x p
    Eigen::MatrixXd masks;    // of the active groups, n x k
    Eigen::MatrixXd outputs;  // n x k
    double next_intercept = 0.0;
    Eigen::VectorXd error;  // the gradient of psi
    bool direct = false;    // whether iterative solutions no longer pay
  };
  // The best weights and the best bound so far: what is returned, whatever ends the solve.
  struct Best {
    std::vector<Index> active;
    RowMatrix U;
    double objective, dual;
    Eigen::VectorXd multiplier;      // what proves the bound
    double own_objective, own_dual;  // with the loss that is minimised, which may be a smoothed one

    double gap() const { return relative_gap(objective, dual); }
    double own_gap() const {
      return objective == 0.0 ? 0.0 : (own_objective - own_dual) / objective;
    }
  };

  Best begin(const State& start, Iterate& at) const;
  Status descend(Iterate& at, Best& best);
  void update(Iterate& at, Index steps) const;
  void move(Iterate& at, const Eigen::VectorXd& z, const RowMatrix& gradients) const;
  bool newton(Iterate& at);
  Eigen::VectorXd direction(Iterate& at);
  Eigen::VectorXd solution(Iterate& at, DualSystem& system, const Eigen::VectorXd& right);
  Eigen::VectorXd curvatures(const Eigen::VectorXd& z) const;
  double psi(const Iterate& at, const Eigen::VectorXd& z, const RowMatrix& gradients) const;
  bool solved(const Iterate& at) const;
  void improve(Best& best, const Iterate& at) const;
  double bound(const Problem& problem, const Eigen::VectorXd& z, const RowMatrix& gradients) const;
  RowMatrix gradients(const Eigen::VectorXd& z) const;
  double predict(const Eigen::MatrixXd& outputs, Eigen::VectorXd& prediction) const;
  Eigen::MatrixXd outputs(const RowMatrix& U, const std::vector<Index>& groups) const;
  State state_of(const Best& best) const;

  const Problem& problem_;
  const Problem& real_;
  const std::vector<std::uint64_t>& packed_;
  const Limits& limits_;
  Course& course_;
  Samples samples_;
  Index n_patterns_;
  Eigen::VectorXd thresholds_;  // beta omega_g
  DualBox box_;
  double size_;  // root mean square of the entries of X: penalties sigma suit it
};

}  // namespace pyconvex
