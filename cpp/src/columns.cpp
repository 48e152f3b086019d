#include "columns.hpp"

#include <algorithm>

#include "collector.hpp"
#include "local_pricing.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/pricing.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr Index kChunk = 64;  // cells projected between two looks at the best norm so far

MatrixView view(const RowMatrix& matrix) {
  return {matrix.data(), matrix.rows(), matrix.cols()};
}

class PatternPricing : public Pricer {
 public:
  PatternPricing(std::vector<std::uint64_t> packed, bool cones, int n_threads)
      : packed_(std::move(packed)), cones_(cones), n_threads_(n_threads) {}

  bool exact() const override { return true; }

  double price(const Problem& problem, const VectorXd& z, const RowMatrix&, const VectorXd&, int,
               const GapOf&, Columns& columns) override {
    const Index n_words = words_per_pattern(problem.X.rows());
    RowMatrix C(static_cast<Index>(packed_.size()) / n_words, problem.X.cols());
    gate_gradients(problem.rows(), packed_.data(), C.rows(), z.data(), C.data(), n_threads_);
    return cones_ ? project(problem, C, columns) : gated(problem, C, columns);
  }

 private:
  static double gated(const Problem& problem, const RowMatrix& C, Columns& columns) {
    Collector found;
    double norm = 0.0;
    for (Index g = 0; g < C.rows(); ++g) {
      const double length = C.row(g).norm(), value = length / problem.weight_of(g);
      norm = std::max(norm, value);
      if (value > problem.beta) {
        found.add(C.row(g) / length, 1.0, value, nullptr, g);
      }
    }
    columns = found.sorted(C.cols());
    return norm;
  }

  // Cells whose cone-free norm cannot win are not projected.
  double project(const Problem& problem, const RowMatrix& C, Columns& columns) const {
    const Index P = C.rows(), p = C.cols(), n_words = words_per_pattern(problem.X.rows());
    VectorXd ceiling = problem.norms(C);
    if (problem.free_bias) {  // where a cell has rows on both sides |b| <= R ||w||
      ceiling += problem.radius() * C.col(p - 1).cwiseAbs();
    }
    for (Index g = 0; g < P; ++g) {
      ceiling[g] /= problem.weight_of(g);
    }
    VectorXd ceilings(2 * P);
    ceilings << ceiling, ceiling;
    const std::vector<Index> order = descending(ceilings);
    TightRows tight(2 * P, p);
    Collector found;
    double norm = 0.0;
    for (Index start = 0; start < 2 * P; start += kChunk) {
      const Index count = std::min(kChunk, 2 * P - start);
      const double ceiling_left = ceilings[order[static_cast<std::size_t>(start)]];
      // a ridge needs all columns above beta, else the best is enough
      const double floor = problem.ridge > 0.0 ? problem.beta : std::max(norm, problem.beta);
      if (start > 0 && ceiling_left <= floor) {
        norm = std::max(norm, ceiling_left);
        break;
      }
      RowMatrix gradients(count, p), points(count, p);
      std::vector<std::uint64_t> bits;
      VectorXd enough(count);
      for (Index k = 0; k < count; ++k) {
        const Index g = order[static_cast<std::size_t>(start + k)];
        enough[k] = problem.beta * problem.weight_of(g % P);
        gradients.row(k) = (g < P ? 1.0 : -1.0) * C.row(g % P);
        const auto* first = packed_.data() + (g % P) * n_words;
        bits.insert(bits.end(), first, first + n_words);
      }
      project_cells(problem.rows(), bits.data(), view(gradients), enough.data(), problem.free_bias,
                    points.data(), tight.row(start).data(), n_threads_);
      const VectorXd lengths = problem.norms(points);
      for (Index k = 0; k < count; ++k) {
        const Index g = order[static_cast<std::size_t>(start + k)];
        const double value = lengths[k] / problem.weight_of(g % P);
        norm = std::max(norm, value);
        if (value > problem.beta) {
          found.add(points.row(k) / lengths[k], g < P ? 1.0 : -1.0, value,
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

class CellPricing : public Pricer {
 public:
  CellPricing(std::vector<std::uint64_t> packed, std::uint64_t random_state, int n_threads)
      : search_(random_state, n_threads), cells_(std::move(packed), true, n_threads) {}

  bool exact() const override { return false; }

  double price(const Problem& problem, const VectorXd& z, const RowMatrix& U, const VectorXd& signs,
               int effort, const GapOf& gap_of, Columns& columns) override {
    if (effort == 1) {
      return search_.price(problem, z, U, signs, effort, gap_of, columns);
    }
    const double norm = cells_.price(problem, z, U, signs, effort, gap_of, columns);
    columns.pattern.assign(columns.pattern.size(), -1);
    return norm;
  }

 private:
  LocalPricing search_;
  PatternPricing cells_;
};

}  // namespace

std::unique_ptr<Pricer> pattern_pricing(std::vector<std::uint64_t> packed, bool cones,
                                        int n_threads) {
  return std::make_unique<PatternPricing>(std::move(packed), cones, n_threads);
}

std::unique_ptr<Pricer> cell_pricing(std::vector<std::uint64_t> packed, std::uint64_t random_state,
                                     int n_threads) {
  return std::make_unique<CellPricing>(std::move(packed), random_state, n_threads);
}

}  // namespace pyconvex
