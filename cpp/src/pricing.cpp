#include "pyconvex/pricing.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "dispatch.hpp"
#include "neuron.hpp"
#include "parallel.hpp"
#include "preactivations.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Projection of c onto {u : A u >= 0}: min over mu >= 0 of ||c + A^T mu||, by the active set method
// of Lawson and Hanson (1974). With a free bias the norm is over the other coordinates and the
// bias coordinate of c + A^T mu is zero. The penalised norm of the point bounds the support of
// the cone in direction c from above: so does every earlier one, of which none is smaller. One
// object serves one thread, cell after cell. A is X with the signs of the cell's sides.
struct Projection {
  const Samples& samples;
  bool free_bias;

  const Rows& X = samples.X;
  const VectorXd& norms = samples.norms;
  Index p = X.cols();
  VectorXd sides = VectorXd(X.rows());
  VectorXd c = VectorXd(p), margins = VectorXd(X.rows()), mu = VectorXd(p), point = VectorXd(p);
  VectorXd trial = {}, trial_point = VectorXd(p);  // of the passive rows without the signs of mu
  std::int64_t* passive = nullptr;
  Index count = 0;

  void operator()(const std::uint64_t* pattern, const double* gradient, double enough,
                  std::int64_t* tight);
  void find_margins();
  bool start_free();
  Index most_violated() const;
  bool minimise_passive();
  bool solve_passive();
  void leave(Index j);
};

// Ends early at a point of norm `enough`.
void Projection::operator()(const std::uint64_t* pattern, const double* gradient, double enough,
                            std::int64_t* tight) {
  for (Index i = 0; i < X.rows(); ++i) {
    sides[i] = ((pattern[i / 64] >> (i % 64)) & 1U) != 0 ? 1.0 : -1.0;
  }
  c = point = Eigen::Map<const VectorXd>(gradient, p);
  passive = tight;
  std::fill_n(passive, p, -1);
  count = 0;
  if (free_bias && !start_free()) {
    return;
  }
  for (Index k = 0; k < 30 * p; ++k) {
    if (penalised_dot(point, point, free_bias) <= enough * enough) {
      break;
    }
    find_margins();
    const Index row = most_violated();
    if (row < 0 || count == p) {
      break;
    }
    passive[count] = row;
    mu[count++] = 0.0;
    if (!minimise_passive()) {
      break;
    }
  }
  if (count == p) {
    point.setZero();
  }
}

void Projection::find_margins() {
  preactivate(samples.features.data(), X.rows(), p, point.data(), margins.data());
  margins.array() *= sides.array();
}

// The first passive row where the bias is free: one whose multiplier can cancel the bias of c.
bool Projection::start_free() {
  const VectorXd bias = X.col(p - 1).cwiseProduct(sides);
  for (Index i = 0; i < bias.size(); ++i) {
    if (bias[i] * c[p - 1] < 0.0 || (c[p - 1] == 0.0 && bias[i] != 0.0)) {
      passive[0] = i;
      mu[0] = std::abs(c[p - 1] / bias[i]);
      count = 1;
      solve_passive();
      point = trial_point;
      return true;
    }
  }
  point[p - 1] = 0.0;  // all rows on one side: a linear neuron, or a dead one
  find_margins();
  point[p - 1] = std::max(0.0, -margins.minCoeff()) * bias[0];
  return false;
}

// The row of A u >= 0 that the point violates most, relative to its norm; -1 where none does.
Index Projection::most_violated() const {
  Index row = -1;
  double worst = -1e-13 * c.norm();
  for (Index i = 0; i < norms.size(); ++i) {
    if (norms[i] > 0.0 && margins[i] < worst * norms[i]) {
      row = i;
      worst = margins[i] / norms[i];
    }
  }
  return row;
}

// Move the multipliers to the minimiser over the passive rows; on the way there rows whose
// multiplier would turn negative leave. False where the newest row depends on the others: its
// violation was rounding.
bool Projection::minimise_passive() {
  while (count > 0) {
    if (!solve_passive()) {
      passive[--count] = -1;
      return false;
    }
    double step = 1.0;
    Index leaving = -1;
    for (Index j = 0; j < count; ++j) {
      if (trial[j] <= 0.0 && mu[j] < step * (mu[j] - trial[j])) {
        step = mu[j] / (mu[j] - trial[j]);
        leaving = j;
      }
    }
    mu.head(count) += step * (trial - mu.head(count));
    if (leaving < 0) {
      point = trial_point;
      break;
    }
    leave(leaving);
  }
  return true;
}

void Projection::leave(Index j) {
  std::copy(passive + j + 1, passive + count, passive + j);
  std::copy(mu.data() + j + 1, mu.data() + count, mu.data() + j);
  passive[--count] = -1;
}

// Multipliers of least ||c + A^T mu|| over the passive rows alone, and the point they give. With a
// free bias the first row's multiplier is eliminated by the equation of the bias coordinate, and
// the bias is where that row's kink lies. False where the last row depends on the others.
bool Projection::solve_passive() {
  const Index d = free_bias ? p - 1 : p, first = free_bias ? 1 : 0, size = count - first;
  const VectorXd pivot = sides[passive[0]] * X.row(passive[0]);
  VectorXd base = c.head(d), biases(size);
  MatrixXd directions(d, size);
  for (Index j = 0; j < size; ++j) {
    const Index row = passive[first + j];
    directions.col(j) = sides[row] * X.row(row).head(d);
    biases[j] = sides[row] * X(row, p - 1);
  }
  if (free_bias) {
    base -= (c[d] / pivot[d]) * pivot.head(d);
    directions -= pivot.head(d) * (biases / pivot[d]).transpose();
  }
  trial.setZero(count);
  if (size > 0) {
    const Eigen::HouseholderQR<MatrixXd> qr(directions);
    const double corner = qr.matrixQR()(size - 1, size - 1);
    if (std::abs(corner) <= 1e-12 * norms[passive[count - 1]]) {
      return false;
    }
    trial.tail(size) = -qr.solve(base);
  }
  trial_point.head(d) = base + directions * trial.tail(size);
  if (free_bias) {
    trial[0] = -(c[d] + biases.dot(trial.tail(size))) / pivot[d];
    trial_point[d] = -pivot.head(d).dot(trial_point.head(d)) / pivot[d];
  }
  return true;
}

constexpr Index kWidth = 8;    // coordinates summed side by side, for SIMD
constexpr Index kChunk = 512;  // patterns that share a table of sums

// Sums of all subsets of each four of 64 rows: the kWidth entries of the sum number 16 t + s are
// the sum of the rows 4 t + i with bit i in s.
using SubsetSums = std::array<double, 16 * 16 * kWidth>;

template <class T>
void fill_sums(View<T> X, const double* z, Index first_row, Index first_col, SubsetSums& sums) {
  for (Index t = 0; t < 16; ++t) {
    double* at = sums.data() + 16 * t * kWidth;
    std::fill_n(at, kWidth, 0.0);
    for (Index i = 0; i < 4; ++i) {
      const Index row = first_row + 4 * t + i;
      const Index half = kWidth << i;  // the sums so far, and those that get this row too
      std::copy_n(at, half, at + half);
      for (Index k = 0; k < half && row < X.rows; ++k) {
        const Index col = first_col + k % kWidth;
        at[half + k] += col < X.cols ? z[row] * X(row, col) : 0.0;
      }
    }
  }
}

// The kWidth entries as one value: left to itself the compiler spreads them over registers in ways
// that take three times as long.
using Lanes = double __attribute__((vector_size(kWidth * sizeof(double))));

// Add to kWidth entries of each gradient what one word of its pattern selects. Two sums at a time,
// so that no addition waits for the one before.
PYCONVEX_CLONES void add_sums(const double* sums, const std::uint64_t* words, Index n_words,
                              Index n_patterns, double* gradients) {
  Lanes total, even, odd, sum;
  for (Index g = 0; g < n_patterns; ++g) {
    const std::uint64_t word = words[g * n_words];
    std::memset(&even, 0, sizeof even);
    std::memset(&odd, 0, sizeof odd);
    for (Index t = 0; t < 16; t += 2) {
      const auto low = static_cast<Index>((word >> (4 * t)) & 15U);
      const auto high = static_cast<Index>((word >> (4 * t + 4)) & 15U);
      std::memcpy(&sum, sums + kWidth * (16 * t + low), sizeof sum);
      even += sum;
      std::memcpy(&sum, sums + kWidth * (16 * t + 16 + high), sizeof sum);
      odd += sum;
    }
    std::memcpy(&total, gradients + g * kWidth, sizeof total);
    total += even + odd;
    std::memcpy(gradients + g * kWidth, &total, sizeof total);
  }
}

template <class T>
void all_gradients(View<T> X, const std::uint64_t* packed, Index n_patterns, const double* z,
                   double* gradients, int n_threads) {
  const Index n_words = words_per_pattern(X.rows);
  parallel_for((n_patterns + kChunk - 1) / kChunk, n_threads, [&](Index chunk) {
    const Index first = chunk * kChunk, count = std::min(kChunk, n_patterns - first);
    alignas(64) SubsetSums sums;
    alignas(64) std::array<double, kChunk * kWidth> totals;
    for (Index col = 0; col < X.cols; col += kWidth) {
      totals.fill(0.0);
      for (Index word = 0; word < n_words; ++word) {
        fill_sums(X, z, 64 * word, col, sums);
        add_sums(sums.data(), packed + first * n_words + word, n_words, count, totals.data());
      }
      for (Index g = 0; g < count; ++g) {
        std::copy_n(totals.data() + g * kWidth, std::min(kWidth, X.cols - col),
                    gradients + (first + g) * X.cols + col);
      }
    }
  });
}

}  // namespace

// Minimises ||u||^2 / 2 - z . (X u)_+, whose minima are the same up to scale.
void walk(MatrixView X, const double* z, MatrixView starts, bool free_bias, double* points,
          std::int64_t* tight, int n_threads, StopFlag stop) {
  const Samples samples(X);
  const Index p = X.cols;
  const VectorXd flat = VectorXd::Zero(X.rows);
  const VectorXd slopes = Eigen::Map<const VectorXd>(z, X.rows);
  auto states = one_per_thread(starts.rows, n_threads, Workspace(X.rows, p, stop));
  std::copy_n(starts.data, starts.rows * p, points);
  std::fill_n(tight, starts.rows * p, -1);
  parallel_for(starts.rows, states, [&](Index k, Workspace& work) {
    Eigen::Map<VectorXd> u(points + k * p, p);
    preactivate(samples.features.data(), X.rows, p, u.data(), work.a.data());
    work.on = work.a.array() > 0.0;
    MatrixXd H = MatrixXd::Zero(p, p);
    descend(samples, H, flat, slopes, 1.0, 0.0, free_bias, Mode::crossing, u, work.on.data(),
            tight + k * p, 200 * p, work);
  });
}

void project_cells(MatrixView X, const std::uint64_t* packed, MatrixView C, const double* enough,
                   bool free_bias, double* points, std::int64_t* tight, int n_threads,
                   StopFlag stop) {
  const Samples samples(X);
  const Index p = X.cols, n_words = words_per_pattern(X.rows);
  auto states = one_per_thread(C.rows, n_threads, Projection{samples, free_bias});
  parallel_for(C.rows, states, [&](Index g, Projection& project) {
    if (stop.is_set()) {
      std::fill_n(points + g * p, p, 0.0);
      std::fill_n(tight + g * p, p, -1);
      return;
    }
    project(packed + g * n_words, C.row(g), enough[g], tight + g * p);
    std::copy_n(project.point.data(), p, points + g * p);
  });
}

void gate_gradients(MatrixView X, const std::uint64_t* packed, Index n_patterns, const double* z,
                    double* gradients, int n_threads) {
  all_gradients(X, packed, n_patterns, z, gradients, n_threads);
}

void gate_gradients(FloatView X, const std::uint64_t* packed, Index n_patterns, const double* z,
                    double* gradients, int n_threads) {
  all_gradients(X, packed, n_patterns, z, gradients, n_threads);
}

}  // namespace pyconvex
