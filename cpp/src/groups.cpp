#include "groups.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

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
template <class T>
using RowMatrixOf = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Index kRows = 1024;  // gathered at a time: they stay in the cache

// One group's update and what it needs.
template <class T>
struct Groups {
  const RowMatrixOf<T> features;  // X^T: each feature in one piece (p x n)
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
template <class T>
bool Groups<T>::update(Index j, double beta) {
  const Index n = features.cols(), p = features.rows();
  weighted =
      on.row(j).template cast<double>().transpose() * sample_weight.array() * residual.array();
  if constexpr (std::is_same_v<T, double>) {
    dense().multiply_transposed(features.data(), weighted.data(), n, p, 1, pull.data());
  } else {
    pull_back(features.data(), n, p, weighted.data(), pull.data());
  }
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
  preactivate(features.data(), n, p, change.data(), output.data());
  add_output(output.data(), on.row(j).data(), -1.0, n, residual.data());
  return true;
}

template <class T>
double sweep(View<T> X, const double* sample_weight, const std::uint64_t* packed,
             const double* grams, Index m, const double* betas, double ridge,
             const LinearColumns& free, Index n_sweeps, double* U, double* residual, StopFlag stop,
             double* free_shift) {
  const Index n = X.rows, p = X.cols;
  Groups<T> groups{Eigen::Map<const RowMatrixOf<T>>(X.data, n, p).transpose(),
                   {sample_weight, n},
                   grams,
                   ridge,
                   Bits(m, n),
                   Vectors(U, m, p),
                   {residual, n},
                   VectorXd(n),
                   VectorXd(p),
                   VectorXd(n)};
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

// The Gram of one pattern: its rows are gathered in `rows` (p x kRows), a part of them at a time.
template <class T>
void fill_gram(View<T> X, const std::uint64_t* pattern, const double* sample_weight, MatrixXd& rows,
               double* gram) {
  const Index p = X.cols;
  Eigen::Map<MatrixXd> H(gram, p, p);
  H.setZero();
  Index count = 0;
  for (Index i = 0; i < X.rows; ++i) {
    if (((pattern[i / 64] >> (i % 64)) & 1U) == 0) {
      continue;
    }
    const Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>> row(X.row(i), p);
    rows.col(count++) = std::sqrt(sample_weight[i]) * row.template cast<double>();
    if (count == kRows) {
      dense().add_outer(rows.data(), p, count, gram);
      count = 0;
    }
  }
  dense().add_outer(rows.data(), p, count, gram);
  H.template triangularView<Eigen::StrictlyUpper>() = H.transpose();
}

template <class T>
void fill_grams(View<T> X, const std::uint64_t* packed, Index n_patterns,
                const double* sample_weight, double* grams, int n_threads) {
  const Index p = X.cols, n_words = words_per_pattern(X.rows);
  auto states = one_per_thread(n_patterns, n_threads, MatrixXd(p, std::min(kRows, X.rows)));
  parallel_for(n_patterns, states, [&](Index g, MatrixXd& rows) {
    fill_gram(X, packed + g * n_words, sample_weight, rows, grams + g * p * p);
  });
}

}  // namespace

void masked_grams(MatrixView X, const std::uint64_t* packed, Index n_patterns,
                  const double* sample_weight, double* grams, int n_threads) {
  fill_grams(X, packed, n_patterns, sample_weight, grams, n_threads);
}

void masked_grams(FloatView X, const std::uint64_t* packed, Index n_patterns,
                  const double* sample_weight, double* grams, int n_threads) {
  fill_grams(X, packed, n_patterns, sample_weight, grams, n_threads);
}

double descend_groups(MatrixView X, const double* sample_weight, const std::uint64_t* packed,
                      const double* grams, Index m, const double* betas, double ridge,
                      const LinearColumns& free, Index n_sweeps, double* U, double* residual,
                      StopFlag stop, double* free_shift) {
  return sweep(X, sample_weight, packed, grams, m, betas, ridge, free, n_sweeps, U, residual, stop,
               free_shift);
}

double descend_groups(FloatView X, const double* sample_weight, const std::uint64_t* packed,
                      const double* grams, Index m, const double* betas, double ridge,
                      const LinearColumns& free, Index n_sweeps, double* U, double* residual,
                      StopFlag stop, double* free_shift) {
  return sweep(X, sample_weight, packed, grams, m, betas, ridge, free, n_sweeps, U, residual, stop,
               free_shift);
}

}  // namespace pyconvex
