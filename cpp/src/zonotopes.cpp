#include "zonotopes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "dispatch.hpp"
#include "parallel.hpp"
#include "pyconvex/arrangement.hpp"
#include "pyconvex/pricing.hpp"
#include "zonotope.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr Index kGroup = 32;       // vertices that a thread takes at once
constexpr Index kMinBatch = 32;    // vertices between two updates of pool and value
constexpr Index kMaxBatch = 4096;  // the same
constexpr Index kParallel = 512;   // vertices that are worth more than one thread
constexpr Index kFewRuns = 16;     // a batch with fewer searches is followed by a larger one
constexpr Index kManyRuns = 64;    // with more, by a smaller one
constexpr Index kBlock = 16384;    // cells turned into vertices at once

// Goes through vertices in batches: within one, pool and value stay as they are, so that the
// result does not depend on the number of threads.
class Search {
 public:
  Search(MatrixView X, const double* weights, bool free_bias, double value, int n_threads,
         StopFlag stop)
      : B_(X, weights, free_bias),
        p_(X.cols),
        pool_(B_),
        runs_(one_per_thread(kMaxBatch / kGroup, n_threads, NearestPoint(B_, X.cols))),
        points_(kMaxBatch, B_.sum.size()),
        directions_(kMaxBatch, X.cols),
        stop_(stop) {
    found.value = value;
    found.bound = value;
    found.direction.setZero(X.cols);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  void look(MatrixView V) {
    for (Index first = 0; first < V.rows;) {
      if (stop_.is_set()) {
        found.bound = std::numeric_limits<double>::infinity();
        break;
      }
      const Index count = std::min(batch_, V.rows - first);
      const MatrixView part{V.row(first), count, p_};
      look_at(part);
      merge(part, first);
      first += count;
    }
    seen_ += V.rows;
    found.bound = std::max(found.bound, found.value);
  }

  Farthest found;

 private:
  void look_at(MatrixView V);
  void look_at(MatrixView V, Index k, NearestPoint& run);
  void merge(MatrixView V, Index first);
  double height(const double* v) const {
    return B_.free_bias ? std::clamp(v[p_ - 1], 0.0, B_.top) : 0.0;
  }

  Zonotope B_;
  Index p_;
  Pool pool_;
  std::vector<NearestPoint> runs_;  // one per thread
  RowMatrix points_, directions_;   // of the batch, by vertex
  std::array<double, kMaxBatch> upper_{}, lower_{};
  std::array<bool, kMaxBatch> ran_{};
  StopFlag stop_;
  Index batch_ = kMinBatch;
  Index seen_ = 0;
};

void Search::look_at(MatrixView V) {
  const Index n_groups = (V.rows + kGroup - 1) / kGroup;
  const auto body = [&](Index group, NearestPoint& run) {
    for (Index k = group * kGroup; k < std::min(V.rows, (group + 1) * kGroup); ++k) {
      look_at(V, k, run);
    }
  };
  if (V.rows >= kParallel) {
    parallel_for(n_groups, runs_, body);
    return;
  }
  for (Index group = 0; group < n_groups; ++group) {
    body(group, runs_.front());
  }
}

void Search::look_at(MatrixView V, Index k, NearestPoint& run) {
  const auto at = static_cast<std::size_t>(k);
  ran_[at] = run(V.row(k), height(V.row(k)), pool_, found.value * (1.0 + kSame));
  upper_[at] = run.upper;
  lower_[at] = run.lower;
  if (ran_[at]) {
    points_.row(k) = run.point;
    directions_.row(k) = run.direction;
  }
}

void Search::merge(MatrixView V, Index first) {
  Index n_runs = 0;
  for (Index k = 0; k < V.rows; ++k) {
    const auto at = static_cast<std::size_t>(k);
    found.bound = std::max(found.bound, upper_[at]);
    if (!ran_[at]) {
      continue;
    }
    ++n_runs;
    pool_.add(points_.row(k).transpose(), height(V.row(k)));
    if (lower_[at] > found.value) {
      found.value = lower_[at];
      found.index = seen_ + first + k;
      found.direction = directions_.row(k);
    }
  }
  if (n_runs < kFewRuns) {
    batch_ = std::min(2 * batch_, kMaxBatch);
  } else if (n_runs > kManyRuns) {
    batch_ = std::max(batch_ / 2, kMinBatch);
  }
}

// The rows of one sign of z, with |z_i|.
struct Side {
  Side(MatrixView X, const double* z, double sign) {
    std::vector<Index> kept;
    for (Index i = 0; i < X.rows; ++i) {
      if (sign * z[i] > 0.0 &&
          std::any_of(X.row(i), X.row(i) + X.cols, [](double x) { return x != 0.0; })) {
        kept.push_back(i);
      }
    }
    rows.resize(static_cast<Index>(kept.size()), X.cols);
    for (Index j = 0; j < rows.rows(); ++j) {
      const Index i = kept[static_cast<std::size_t>(j)];
      rows.row(j) = as_rows(X).row(i);
      weights.push_back(sign * z[i]);
    }
  }

  MatrixView view() const { return {rows.data(), rows.rows(), rows.cols()}; }
  double n_cells() const { return rows.rows() > 0 ? count_bound(view()) : 0.0; }

  RowMatrix rows;
  std::vector<double> weights;
};

// Vertices of A, block by block. Cells come in opposite pairs, whose vertices sum to that of all
// rows.
void stream(const Side& A, Search& search, int n_threads, StopFlag stop) {
  const Index n_words = words_per_pattern(A.rows.rows()), p = A.rows.cols();
  const VectorXd sum =
      A.rows.transpose() * Eigen::Map<const VectorXd>(A.weights.data(), A.rows.rows());
  std::vector<std::uint64_t> first;
  RowMatrix V(kBlock, p);
  StreamSettings settings;
  settings.block_size = kBlock;
  settings.n_threads = n_threads;
  iter_patterns(
      A.view(),
      [&](const std::uint64_t* packed, Index n_patterns) {
        const Index n = n_patterns / 2;
        first.resize(static_cast<std::size_t>(n * n_words));
        for (Index g = 0; g < n; ++g) {
          std::copy_n(packed + 2 * g * n_words, n_words, first.data() + g * n_words);
        }
        gate_gradients(A.view(), first.data(), n, A.weights.data(), V.data(), n_threads);
        V.middleRows(n, n) = (-V.topRows(n)).rowwise() + sum.transpose();
        search.look({V.data(), 2 * n, p});
        return stop.is_set();
      },
      settings);
}

}  // namespace

Farthest farthest(MatrixView V, MatrixView X, const double* weights, bool free_bias, double value,
                  int n_threads, StopFlag stop) {
  Search search(X, weights, free_bias, value, n_threads, stop);
  search.look(V);
  return search.found;
}

ExactNorm exact_norm(MatrixView X, const double* z, bool free_bias, int n_threads, StopFlag stop,
                     double max_cells) {
  const Side sides[] = {Side(X, z, 1.0), Side(X, z, -1.0)};
  const double n_cells = sides[0].n_cells() + sides[1].n_cells();
  if (n_cells > max_cells) {
    throw std::invalid_argument(
        "X may have " + std::to_string(n_cells) +
        " vertices to price, more than max_cells = " + std::to_string(max_cells));
  }
  ExactNorm norm;
  norm.point.setZero(X.cols);
  for (const int side : {0, 1}) {
    const Side &A = sides[side], &B = sides[1 - side];
    if (A.weights.empty()) {
      continue;
    }
    Search search(B.view(), B.weights.data(), free_bias, norm.value, n_threads, stop);
    stream(A, search, n_threads, stop);
    norm.bound = std::max(norm.bound, search.found.bound);
    if (search.found.index >= 0) {
      norm.value = search.found.value;
      norm.point = search.found.direction;
      norm.sign = side == 0 ? 1.0 : -1.0;
    }
  }
  if (norm.value > 0.0) {  // as the neuron attains it: no rounding errors of the vertex
    norm.point /= norm.point.head(free_bias ? X.cols - 1 : X.cols).norm();
    const VectorXd outputs = (as_rows(X) * norm.point).cwiseMax(0.0);
    norm.value = norm.sign * outputs.dot(Eigen::Map<const VectorXd>(z, X.rows));
    norm.bound = std::max(norm.bound, norm.value);
  }
  return norm;
}

}  // namespace pyconvex
