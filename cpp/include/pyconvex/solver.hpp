// The convex program of two-layer networks over given activation patterns.
#pragma once

#include <memory>
#include <vector>

#include "pyconvex/losses.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/program.hpp"

namespace pyconvex {

/// How to solve: column generation, or a dual augmented Lagrangian with Newton steps.
enum class Engine { automatic, cd, newton };

struct GroupLassoSettings : Limits {
  double beta = 0.0;                  // > 0, on the scale of the mean loss
  bool cones = false;                 // neurons stay in their cells: a true ReLU network
  Engine engine = Engine::automatic;  // newton without cones up to 20,000 samples, else cd
  bool intercept = false;             // add a free constant to the prediction
  double ridge = 0.0;                 // >= 0; half of it times ||u_g||^2 is added
  std::vector<double> group_weights;  // of beta ||u_g||, > 0; empty: 1
  std::vector<double> sample_weight;  // relative; empty: equal
  std::shared_ptr<const Loss> loss;   // see losses.hpp; none: squared
};

/// Solution with its certificate, which is "restricted": optimal among these patterns.
struct GroupLassoResult : Report {
  Matrix coef;                // n_active x p
  std::vector<Index> active;  // indices of the patterns; with cones one per sign
  std::vector<double> signs;  // +1 or -1, all +1 without cones
  double intercept = 0.0;
  std::vector<double> multiplier;  // z, one per sample: proves dual_objective, see the Python docs
};

/// min sum_i s_i l(f_i, y_i) + sum_g (beta omega_g ||u_g|| + ridge / 2 ||u_g||^2) with
/// f = sum_g D_g X u_g; with cones
/// f = sum +-D_g X u_g, (2 D_g - I) X u_g >= 0 (Pilanci & Ergen 2020; Mishkin et al. 2022).
/// Wrong input throws std::invalid_argument that names the argument.
GroupLassoResult solve_group_lasso(MatrixView X, const std::vector<double>& y,
                                   const PatternSet& patterns, const GroupLassoSettings& settings);

}  // namespace pyconvex
