// Pricing with a proof: local search, then all vertices or branch and bound. Private.
#pragma once

#include <chrono>

#include "bounded.hpp"
#include "local_pricing.hpp"

namespace pyconvex {

constexpr Index kMaxRank = 16;               // branch and bound starts from 2^rank cones
constexpr std::int64_t kAutoNodes = 50'000;  // cones that a proof under "auto" may take
constexpr double kReady = 0.1;  // of the gap to be proved: a smaller one leaves a proof more room

/// The rank of the rows as branch and bound sees them.
Index rank_of(const Problem& problem);

/// Whether "auto" tries to prove the dual norm of a problem.
bool is_provable(const Problem& problem);

/// Rules for a bracket of N(z).
struct BracketSettings : BoundLimits {
  bool exact = false;    // look at all vertices
  bool bounded = false;  // do not; neither: where they are few
};

/// Bracket N(z) until bound <= (1 + tol) max(value, target), by vertices or by cones. The points
/// are neurons above the target.
NormBound bracket_norm(const Problem& problem, const Eigen::VectorXd& z,
                       const BracketSettings& settings);

/// The same as the Python class of that name.
class BoundedPricing : public Pricer {
 public:
  struct Settings {
    double tol = 1e-6;    // relative gap to be proved
    bool limited = true;  // whether a proof is given up after 50,000 cones
    int n_threads = 0;
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  };

  BoundedPricing(std::uint64_t random_state, const Settings& settings)
      : search_(random_state, settings.n_threads), settings_(settings) {}

  bool exact() const override { return false; }
  double ready() const override { return kReady; }

  /// A proof is tried if `effort` exceeds 1. The norm is an upper bound of N(z) where it went
  /// through, else the best value found.
  double price(const Problem& problem, const Eigen::VectorXd& z, const RowMatrix& U,
               const Eigen::VectorXd& signs, int effort, const GapOf& gap_of,
               Columns& columns) override;

  /// N(z), from above where it is proved, else from below.
  double dual_norm(const Problem& problem, const Eigen::VectorXd& z);

  /// The latest bound if it was of this multiplier. Else, where a proof was asked for and there is
  /// time, what 50,000 cones can prove; else infinity.
  double bound(const Problem& problem, const Eigen::VectorXd& z);

 private:
  double columns(const Problem& problem, const Eigen::VectorXd& z, const NormBound& found,
                 Columns& columns) const;
  NormBound bracket(const Problem& problem, const Eigen::VectorXd& z, double target, double tol,
                    bool first);

  LocalPricing search_;
  Settings settings_;
  Eigen::VectorXd proved_z_;
  double proved_bound_ = 0.0;
};

}  // namespace pyconvex
