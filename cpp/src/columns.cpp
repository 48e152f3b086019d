#include "columns.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "pyconvex/patterns.hpp"
#include "pyconvex/pricing.hpp"
#include "random.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr Index kChunk = 64;   // cells projected between two looks at the best norm so far
constexpr Index kStarts = 32;  // Gaussian starts of a local search

MatrixView view(const RowMatrix& matrix) {
  return {matrix.data(), matrix.rows(), matrix.cols()};
}

// Indices that sort values in falling order; equal ones keep theirs.
std::vector<Index> descending(const VectorXd& values) {
  std::vector<Index> order(static_cast<std::size_t>(values.size()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](Index i, Index j) { return values[i] > values[j]; });
  return order;
}

// Collects columns one by one, in whatever order, and sorts them at the end.
struct Collector {
  std::vector<VectorXd> points;
  std::vector<double> signs, values;
  std::vector<const std::int64_t*> tight;  // rows of an array that outlives this, or null
  std::vector<Index> pattern;

  void add(const VectorXd& point, double sign, double value, const std::int64_t* rows, Index g) {
    points.push_back(point);
    signs.push_back(sign);
    values.push_back(value);
    tight.push_back(rows);
    pattern.push_back(g);
  }

  Columns sorted(Index p) const {
    const auto order =
        descending(Eigen::Map<const VectorXd>(values.data(), static_cast<Index>(values.size())));
    const auto k = static_cast<Index>(order.size());
    Columns columns{RowMatrix(k, p), VectorXd(k), TightRows::Constant(k, p, -1), {}, VectorXd(k)};
    for (Index j = 0; j < k; ++j) {
      const auto from = static_cast<std::size_t>(order[static_cast<std::size_t>(j)]);
      columns.points.row(j) = points[from];
      columns.signs[j] = signs[from];
      columns.values[j] = values[from];
      columns.pattern.push_back(pattern[from]);
      if (tight[from] != nullptr) {
        std::copy_n(tight[from], p, columns.tight.row(j).data());
      }
    }
    return columns;
  }
};

class PatternPricing : public Pricing {
 public:
  PatternPricing(std::vector<std::uint64_t> packed, bool cones, int n_threads)
      : packed_(std::move(packed)), cones_(cones), n_threads_(n_threads) {}

  bool exact() const override { return true; }

  double price(const Problem& problem, const VectorXd& z, const RowMatrix&, const VectorXd&, int,
               Columns& columns) override {
    const Index n_words = words_per_pattern(problem.X.rows());
    RowMatrix C(static_cast<Index>(packed_.size()) / n_words, problem.X.cols());
    gate_gradients(problem.rows(), packed_.data(), C.rows(), z.data(), C.data(), n_threads_);
    return cones_ ? project(problem, C, columns) : gated(problem, C, columns);
  }

 private:
  static double gated(const Problem& problem, const RowMatrix& C, Columns& columns) {
    const VectorXd norms = C.rowwise().norm();
    Collector found;
    for (Index g = 0; g < C.rows(); ++g) {
      if (norms[g] > problem.beta) {
        found.add(C.row(g) / norms[g], 1.0, norms[g], nullptr, g);
      }
    }
    columns = found.sorted(C.cols());
    return norms.maxCoeff();
  }

  // Cells whose cone-free norm cannot win are not projected.
  double project(const Problem& problem, const RowMatrix& C, Columns& columns) const {
    const Index P = C.rows(), p = C.cols(), n_words = words_per_pattern(problem.X.rows());
    VectorXd ceiling = problem.norms(C);
    if (problem.free_bias) {  // where a cell has rows on both sides |b| <= R ||w||
      ceiling += problem.radius() * C.col(p - 1).cwiseAbs();
    }
    VectorXd ceilings(2 * P);
    ceilings << ceiling, ceiling;
    const std::vector<Index> order = descending(ceilings);
    TightRows tight(2 * P, p);
    Collector found;
    double norm = 0.0;
    for (Index start = 0; start < 2 * P; start += kChunk) {
      const Index count = std::min(kChunk, 2 * P - start);
      if (start > 0 && ceilings[order[static_cast<std::size_t>(start)]] <= norm) {
        break;
      }
      RowMatrix gradients(count, p), points(count, p);
      std::vector<std::uint64_t> bits;
      for (Index k = 0; k < count; ++k) {
        const Index g = order[static_cast<std::size_t>(start + k)];
        gradients.row(k) = (g < P ? 1.0 : -1.0) * C.row(g % P);
        const auto* first = packed_.data() + (g % P) * n_words;
        bits.insert(bits.end(), first, first + n_words);
      }
      project_cells(problem.rows(), bits.data(), view(gradients), problem.free_bias, points.data(),
                    tight.row(start).data(), n_threads_);
      const VectorXd values = problem.norms(points);
      norm = std::max(norm, values.maxCoeff());
      for (Index k = 0; k < count; ++k) {
        if (values[k] > problem.beta) {
          const Index g = order[static_cast<std::size_t>(start + k)];
          found.add(points.row(k) / values[k], g < P ? 1.0 : -1.0, values[k],
                    tight.row(start + k).data(), g % P);
        }
      }
    }
    columns = found.sorted(p);
    return norm;
  }

  std::vector<std::uint64_t> packed_;
  bool cones_;
  int n_threads_;
};

class LocalPricing : public Pricing {
 public:
  LocalPricing(std::uint64_t random_state, int n_threads)
      : random_(random_state), n_threads_(n_threads) {}

  bool exact() const override { return false; }

  double price(const Problem& problem, const VectorXd& z, const RowMatrix& U, const VectorXd& signs,
               int effort, Columns& columns) override {
    const RowMatrix fresh = starts(problem, z, effort * kStarts);
    TightRows tight[2];
    Collector found;
    double norm = 0.0;
    for (const int side : {0, 1}) {
      const double sign = side == 0 ? 1.0 : -1.0;
      const RowMatrix from = with_neurons(fresh, U, signs, sign);
      const VectorXd target = sign * z;
      RowMatrix points(from.rows(), from.cols());
      tight[side].resize(from.rows(), from.cols());
      walk(problem.rows(), target.data(), view(from), problem.free_bias, points.data(),
           tight[side].data(), n_threads_);
      norm = std::max(norm, collect(problem, target, sign, points, tight[side], found));
    }
    columns = distinct(problem, found.sorted(problem.X.cols()));
    return norm;
  }

 private:
  static RowMatrix with_neurons(const RowMatrix& fresh, const RowMatrix& U, const VectorXd& signs,
                                double sign) {
    RowMatrix all(fresh.rows() + (signs.array() == sign).count(), fresh.cols());
    all.topRows(fresh.rows()) = fresh;
    Index next = fresh.rows();
    for (Index j = 0; j < U.rows(); ++j) {
      if (signs[j] == sign) {
        all.row(next++) = U.row(j);
      }
    }
    return all;
  }

  // Unit neurons of positive value into `found`; returns the best value.
  static double collect(const Problem& problem, const VectorXd& target, double sign,
                        RowMatrix& points, const TightRows& tight, Collector& found) {
    const VectorXd norms = problem.norms(points);
    const Index p = points.cols();
    const double radius = problem.free_bias ? problem.radius() : 0.0;
    double best = 0.0;
    for (Index k = 0; k < points.rows(); ++k) {
      if (norms[k] == 0.0) {
        continue;
      }
      points.row(k) /= norms[k];
      if (problem.free_bias) {  // beyond the data the value is flat but for rounding
        points(k, p - 1) = std::clamp(points(k, p - 1), -radius, radius);
      }
      const VectorXd output = (problem.X * points.row(k).transpose()).cwiseMax(0.0);
      const double value = target.dot(output);
      best = std::max(best, value);
      if (value > problem.beta) {
        found.add(points.row(k), sign, value, tight.row(k).data(), -1);
      }
    }
    return best;
  }

  // Gaussian directions, data points, the gradient of the linear part.
  RowMatrix starts(const Problem& problem, const VectorXd& z, Index n_starts) {
    const Index n = problem.X.rows(), p = problem.X.cols();
    RowMatrix all(n_starts + n_starts / 2 + 1, p);
    for (Index k = 0; k < n_starts; ++k) {
      for (Index j = 0; j < p; ++j) {
        all(k, j) = random_.gaussian();
      }
    }
    for (Index k = n_starts; k + 1 < all.rows(); ++k) {
      all.row(k) = problem.X.row(random_.below(n));
    }
    all.row(all.rows() - 1) = z.transpose() * problem.X;
    for (Index k = 0; k < all.rows() && problem.free_bias; ++k) {  // a kink on a random sample
      all(k, p - 1) = -problem.X.row(random_.below(n)).head(p - 1).dot(all.row(k).head(p - 1));
    }
    return all;
  }

  // The best column of each sign and pattern.
  static Columns distinct(const Problem& problem, const Columns& columns) {
    std::set<std::vector<bool>> seen;
    Collector found;
    for (Index k = 0; k < columns.size(); ++k) {
      const VectorXd a = problem.X * columns.points.row(k).transpose();
      std::vector<bool> key(static_cast<std::size_t>(a.size()) + 1);
      for (Index i = 0; i < a.size(); ++i) {
        key[static_cast<std::size_t>(i)] = a[i] > 0.0;
      }
      key.back() = columns.signs[k] > 0.0;
      if (seen.insert(key).second) {
        found.add(columns.points.row(k), columns.signs[k], columns.values[k],
                  columns.tight.row(k).data(), -1);
      }
    }
    return found.sorted(problem.X.cols());
  }

  Random random_;
  int n_threads_;
};

class CellPricing : public Pricing {
 public:
  CellPricing(std::vector<std::uint64_t> packed, std::uint64_t random_state, int n_threads)
      : search_(random_state, n_threads), cells_(std::move(packed), true, n_threads) {}

  bool exact() const override { return false; }

  double price(const Problem& problem, const VectorXd& z, const RowMatrix& U, const VectorXd& signs,
               int effort, Columns& columns) override {
    if (effort == 1) {
      return search_.price(problem, z, U, signs, effort, columns);
    }
    const double norm = cells_.price(problem, z, U, signs, effort, columns);
    columns.pattern.assign(columns.pattern.size(), -1);
    return norm;
  }

 private:
  LocalPricing search_;
  PatternPricing cells_;
};

}  // namespace

std::unique_ptr<Pricing> pattern_pricing(std::vector<std::uint64_t> packed, bool cones,
                                         int n_threads) {
  return std::make_unique<PatternPricing>(std::move(packed), cones, n_threads);
}

std::unique_ptr<Pricing> local_pricing(std::uint64_t random_state, int n_threads) {
  return std::make_unique<LocalPricing>(random_state, n_threads);
}

std::unique_ptr<Pricing> cell_pricing(std::vector<std::uint64_t> packed, std::uint64_t random_state,
                                      int n_threads) {
  return std::make_unique<CellPricing>(std::move(packed), random_state, n_threads);
}

}  // namespace pyconvex
