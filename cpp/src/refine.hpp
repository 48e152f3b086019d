// Many neurons: block coordinate descent and joint Newton steps on their faces. Private.
#pragma once

#include <cstdint>
#include <vector>

#include "linear.hpp"
#include "neuron.hpp"

namespace pyconvex {

using TightRows = Eigen::Matrix<std::int64_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Neurons in work: row j of each field belongs to neuron j.
struct Neurons {
  RowMatrix U;  // m x p
  Eigen::VectorXd signs;
  Eigen::VectorXd betas;           // of ||u_j||
  Bits on;                         // m x n
  TightRows tight;                 // m x p
  std::vector<std::int64_t> kept;  // where each stood in the input

  Index size() const { return U.rows(); }
  void drop_zeros();
};

/// What `refine` returns.
struct Refined {
  std::vector<std::int64_t> kept;  // indices of the neurons that stayed
  RowMatrix U;                     // their weights (m x p)
  TightRows tight;                 // their tight rows (m x p; -1 pads)
  Eigen::VectorXd residual;
  double shift;          // change of the intercept
  Eigen::VectorXd free;  // change of the coefficients of the free columns
  Eigen::VectorXd coef;  // coefficients of the decayed ones
  double decrease;       // of the objective in the last round
};

/// Sweeps of exact block updates, each followed by joint Newton steps on the faces. Where masks or
/// cones are fixed Newton steps go on while they gain more per flop than the sweep did; when they
/// gain less the next sweeps go without them, until sweeps slow down to twice that rate, twice
/// again, and so on. Neurons that may cross get up to kWalls steps, most of which find tight rows,
/// until a step that costs more than the sweep promised less than that gained. Ends when a sweep
/// and its Newton steps lower the objective by less than `tol`, after `max_sweeps`, when `max_work`
/// flops are spent or `stop` is set. Systems larger than `max_size` are left out. `betas` holds
/// each neuron's weight of ||u_j||. `packed` is not read in Mode::crossing, where all betas are
/// equal and there is no ridge. `linear`: what else the output consists of, or whether it has an
/// intercept.
Refined refine(MatrixView X, const double* sample_weight, const double* residual, MatrixView U,
               const double* signs, const std::uint64_t* packed, const std::int64_t* tight,
               const double* betas, double ridge, const LinearColumns& linear, bool free_bias,
               Mode mode, double tol, Index max_sweeps, Index max_size, double max_work,
               StopFlag stop = {});

/// Weighted half squared residual plus sum_j (beta_j ||u_j|| + ridge / 2 ||u_j||^2).
double objective(const Eigen::VectorXd& residual, const ConstVector& sample_weight,
                 const RowMatrix& U, const ConstVector& betas, double ridge, bool free_bias);

}  // namespace pyconvex
