#include "groups.hpp"

#include <algorithm>

#include "dense_kernels.hpp"
#include "face.hpp"
#include "neuron.hpp"
#include "parallel.hpp"
#include "preactivations.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Vectors = Eigen::Map<RowMatrix>;

// One group's update and what it needs.
struct Groups {
  const Samples samples;
  Eigen::Map<const VectorXd> sample_weight;
  const double* grams;
  double ridge;
  Bits on;  // m x n
  Vectors U;
  Eigen::Map<VectorXd> residual;
  VectorXd weighted, pull, output;

  bool update(Index j, double beta);
};

// The minimiser over group j, the others fixed; false where it stays.
bool Groups::update(Index j, double beta) {
  const Index n = samples.X.rows(), p = samples.X.cols();
  weighted = on.row(j).cast<double>().transpose() * sample_weight.array() * residual.array();
  dense().multiply_transposed(samples.features.data(), weighted.data(), n, p, 1, pull.data());
  const VectorXd u = U.row(j);
  const Eigen::Map<const MatrixXd> H(grams + j * p * p, p, p);
  pull.noalias() += H * u;
  MatrixXd M = H;
  M.diagonal().array() += ridge;
  const VectorXd next = shrink(M, pull, beta, u.norm());
  const VectorXd change = next - u;
  if (change.isZero(0.0)) {
    return false;
  }
  U.row(j) = next;
  preactivate(samples.features.data(), n, p, change.data(), output.data());
  add_output(output.data(), on.row(j).data(), -1.0, n, residual.data());
  return true;
}

}  // namespace

void masked_grams(MatrixView X, const std::uint64_t* packed, Index n_patterns,
                  const double* sample_weight, double* grams, int n_threads) {
  const Rows rows = as_rows(X);
  const Index n = X.rows, p = X.cols, n_words = words_per_pattern(n);
  const Eigen::Map<const VectorXd> weights(sample_weight, n);
  const std::vector<std::int64_t> tight(static_cast<std::size_t>(p), -1);
  struct Scratch {
    Eigen::Array<bool, Eigen::Dynamic, 1> on;
    MatrixXd masked, gram;
  };
  auto states = one_per_thread(n_patterns, n_threads, Scratch{{}, MatrixXd(p, n), {}});
  parallel_for(n_patterns, states, [&](Index g, Scratch& scratch) {
    scratch.on.resize(n);
    unpack_bits(packed + g * n_words, n, scratch.on.data());
    masked_gram(rows, scratch.on.data(), tight.data(), weights, scratch.masked, scratch.gram);
    std::copy_n(scratch.gram.data(), p * p, grams + g * p * p);
  });
}

double descend_groups(MatrixView X, const double* sample_weight, const std::uint64_t* packed,
                      const double* grams, Index m, const double* betas, double ridge,
                      const LinearColumns& free, Index n_sweeps, double* U, double* residual,
                      StopFlag stop, double* free_shift) {
  const Index n = X.rows, p = X.cols;
  Groups groups{Samples(X),       {sample_weight, n}, grams,       ridge,       Bits(m, n),
                Vectors(U, m, p), {residual, n},      VectorXd(n), VectorXd(p), VectorXd(n)};
  for (Index j = 0; j < m; ++j) {
    unpack_bits(packed + j * words_per_pattern(n), n, groups.on.row(j).data());
  }
  Linear linear(free, groups.sample_weight);
  for (Index sweep = 0; sweep < n_sweeps; ++sweep) {
    for (Index j = 0; j < m && !stop.is_set(); ++j) {
      if (groups.update(j, betas[j])) {
        linear.centre(groups.residual);
      }
    }
  }
  const VectorXd shift = linear.free_shift();
  if (free_shift != nullptr) {
    std::copy_n(shift.data() + shift.size() - free.free.cols, free.free.cols, free_shift);
  }
  return free.constant ? shift[0] : 0.0;
}

}  // namespace pyconvex
