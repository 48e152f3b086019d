#include "pyconvex/pricing.hpp"

#include <algorithm>
#include <cmath>

#include "dispatch.hpp"
#include "neuron.hpp"
#include "parallel.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Buffers of one thread of `project_cells`.
struct Projection {
  Projection(Index n, Index p) : A(n, p), margins(n), mu(p), point(p) {}
  RowMatrix A;
  VectorXd margins, mu, point;
};

// The row of A u >= 0 that `point` violates most, relative to its norm; -1 where none does.
Index most_violated(const Projection& work, const VectorXd& norms, double tolerance) {
  Index row = -1;
  double worst = -tolerance;
  for (Index i = 0; i < norms.size(); ++i) {
    if (norms[i] > 0.0 && work.margins[i] < worst * norms[i]) {
      row = i;
      worst = work.margins[i] / norms[i];
    }
  }
  return row;
}

// The passive rows as columns.
MatrixXd passive_columns(const RowMatrix& A, const std::int64_t* passive, Index count) {
  MatrixXd columns(A.cols(), count);
  for (Index j = 0; j < count; ++j) {
    columns.col(j) = A.row(passive[j]);
  }
  return columns;
}

// Move the multipliers to the minimiser over the passive rows; on the way there rows whose
// multiplier would turn negative leave. False where the newest row depends on the others.
bool minimise_passive(Projection& work, const VectorXd& norms, const VectorXd& c,
                      std::int64_t* passive, Index& count) {
  while (count > 0) {
    const Eigen::HouseholderQR<MatrixXd> qr(passive_columns(work.A, passive, count));
    if (std::abs(qr.matrixQR()(count - 1, count - 1)) <= 1e-12 * norms[passive[count - 1]]) {
      passive[--count] = -1;
      return false;
    }
    const VectorXd trial = -qr.solve(c);
    double step = 1.0;
    Index leave = -1;
    for (Index j = 0; j < count; ++j) {
      if (trial[j] <= 0.0 && work.mu[j] < step * (work.mu[j] - trial[j])) {
        step = work.mu[j] / (work.mu[j] - trial[j]);
        leave = j;
      }
    }
    work.mu.head(count) += step * (trial - work.mu.head(count));
    if (leave < 0) {
      break;
    }
    std::copy(passive + leave + 1, passive + count, passive + leave);
    std::copy(work.mu.data() + leave + 1, work.mu.data() + count, work.mu.data() + leave);
    passive[--count] = -1;
  }
  work.mu = work.mu.cwiseMax(0.0);
  return true;
}

// Projection of c onto {u : A u >= 0}: min over mu >= 0 of ||c + A^T mu||, into work.point.
// Active set method of Lawson and Hanson (1974). Whatever mu >= 0 it ends with, the length of
// the returned point bounds the support of the cone in direction c from above.
void project(Projection& work, const VectorXd& norms, const VectorXd& c, std::int64_t* passive) {
  const Index p = c.size();
  std::fill_n(passive, p, -1);
  Index count = 0;
  work.point = c;
  for (Index k = 0; k < 30 * p; ++k) {
    work.margins.noalias() = work.A * work.point;
    const Index row = most_violated(work, norms, 1e-13 * c.norm());
    if (row < 0 || count == p) {
      break;
    }
    passive[count] = row;
    work.mu[count++] = 0.0;
    if (!minimise_passive(work, norms, c, passive, count)) {
      break;
    }
    work.point = c;
    for (Index j = 0; j < count; ++j) {
      work.point += work.mu[j] * work.A.row(passive[j]).transpose();
    }
  }
  if (count == p) {
    work.point.setZero();
  }
}

PYCONVEX_CLONES void gate_gradient(MatrixView X, const std::uint64_t* pattern, const double* z,
                                   double* gradient) {
  std::fill_n(gradient, X.cols, 0.0);
  for (Index i = 0; i < X.rows; ++i) {
    if (((pattern[i / 64] >> (i % 64)) & 1U) == 0) {
      continue;
    }
    const double* x = X.row(i);
    for (Index k = 0; k < X.cols; ++k) {
      gradient[k] += z[i] * x[k];
    }
  }
}

}  // namespace

// Minimises ||u||^2 / 2 - z . (X u)_+, whose minima are the same up to scale.
void walk(MatrixView X, const double* z, MatrixView starts, bool free_bias, double* points,
          std::int64_t* tight, int n_threads) {
  const Rows rows = as_rows(X);
  const Index p = X.cols;
  const VectorXd norms = row_norms(rows);
  const VectorXd flat = VectorXd::Zero(X.rows);
  const VectorXd slopes = Eigen::Map<const VectorXd>(z, X.rows);
  auto states = one_per_thread(starts.rows, n_threads, Workspace(X.rows, p));
  std::copy_n(starts.data, starts.rows * p, points);
  std::fill_n(tight, starts.rows * p, -1);
  parallel_for(starts.rows, states, [&](Index k, Workspace& work) {
    Eigen::Map<VectorXd> u(points + k * p, p);
    work.on = (rows * u).array() > 0.0;
    MatrixXd H = MatrixXd::Zero(p, p);
    descend(rows, norms, H, flat, slopes, 1.0, 0.0, free_bias, Mode::crossing, u, work.on.data(),
            tight + k * p, 200 * p, work);
  });
}

void project_cells(MatrixView X, const std::uint64_t* packed, MatrixView C, double* points,
                   std::int64_t* tight, int n_threads) {
  const Rows rows = as_rows(X);
  const Index p = X.cols, n_words = words_per_pattern(X.rows);
  const VectorXd norms = row_norms(rows);
  auto states = one_per_thread(C.rows, n_threads, Projection(X.rows, p));
  parallel_for(C.rows, states, [&](Index g, Projection& work) {
    const std::uint64_t* pattern = packed + g * n_words;
    for (Index i = 0; i < X.rows; ++i) {
      const double sign = ((pattern[i / 64] >> (i % 64)) & 1U) != 0 ? 1.0 : -1.0;
      work.A.row(i) = sign * rows.row(i);
    }
    const VectorXd c = Eigen::Map<const VectorXd>(C.row(g), p);
    project(work, norms, c, tight + g * p);
    std::copy_n(work.point.data(), p, points + g * p);
  });
}

void gate_gradients(MatrixView X, const std::uint64_t* packed, Index n_patterns, const double* z,
                    double* gradients, int n_threads) {
  const Index n_words = words_per_pattern(X.rows);
  parallel_for(n_patterns, n_threads, [&](Index g) {
    gate_gradient(X, packed + g * n_words, z, gradients + g * X.cols);
  });
}

}  // namespace pyconvex
