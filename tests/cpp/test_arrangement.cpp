#include "pyconvex/arrangement.hpp"

#include <doctest/doctest.h>

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "face.hpp"
#include "minors.hpp"

using pyconvex::count_bound;
using pyconvex::count_patterns;
using pyconvex::enumerate_patterns;
using pyconvex::EnumerationSettings;
using pyconvex::Index;
using pyconvex::iter_patterns;
using pyconvex::Matrix;
using pyconvex::MatrixView;
using pyconvex::PatternSet;
using pyconvex::RowMatrix;
using pyconvex::sample_patterns;
using pyconvex::Sampling;
using pyconvex::SamplingSettings;
using pyconvex::StreamSettings;

namespace {

using Words = std::vector<std::uint64_t>;

Matrix to_matrix(const RowMatrix& A) {
  return Matrix(A.rows(), A.cols(), std::vector<double>(A.data(), A.data() + A.size()));
}

RowMatrix gaussian(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  RowMatrix A(rows, cols);
  std::generate_n(A.data(), A.size(), [&] { return normal(engine); });
  return A;
}

RowMatrix integers(Index rows, Index cols, int largest, unsigned seed) {
  std::mt19937 engine(seed);
  const auto range = static_cast<unsigned>(2 * largest + 1);
  RowMatrix A(rows, cols);
  std::generate_n(A.data(), A.size(), [&] { return static_cast<int>(engine() % range) - largest; });
  return A;
}

RowMatrix with_ones(const RowMatrix& points) {
  RowMatrix A(points.rows(), points.cols() + 1);
  A << points, RowMatrix::Ones(points.rows(), 1);
  return A;
}

// All vectors of length k of the values 0 .. base - 1.
RowMatrix lattice(int base, Index k) {
  const auto n = static_cast<Index>(std::lround(std::pow(base, k)));
  RowMatrix A(n, k);
  for (Index i = 0; i < n; ++i) {
    Index rest = i;
    for (Index j = k; j-- > 0; rest /= base) {
      A(i, j) = static_cast<double>(rest % base);
    }
  }
  return A;
}

// e_i - e_j, with e_i + e_j and e_i for type B.
RowMatrix reflections(Index k, bool type_b) {
  const RowMatrix E = RowMatrix::Identity(k, k);
  RowMatrix A(type_b ? k * k : k * (k - 1) / 2, k);
  Index row = 0;
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < i; ++j) {
      A.row(row++) = E.row(i) - E.row(j);
      if (type_b) {
        A.row(row++) = E.row(i) + E.row(j);
      }
    }
    if (type_b) {
      A.row(row++) = E.row(i);
    }
  }
  return A;
}

RowMatrix cross_polytope(Index d) {
  RowMatrix points(2 * d, d);
  points << RowMatrix::Identity(d, d), -RowMatrix::Identity(d, d);
  return with_ones(points);
}

// Three planes of k lines each, orthogonal to one another: (2k)^3 cells.
RowMatrix pencils(Index k) {
  RowMatrix A = RowMatrix::Zero(3 * k, 6);
  for (Index i = 0; i < 3 * k; ++i) {
    A(i, 2 * (i / k)) = 1.0;
    A(i, 2 * (i / k) + 1) = static_cast<double>(i % k);
  }
  return A;
}

std::int64_t general(Index n, Index r) {
  std::int64_t total = 0;
  std::int64_t binomial = 1;
  for (Index k = 0; k < std::min(n, r); ++k) {
    total += binomial;
    binomial = binomial * (n - 1 - k) / (k + 1);
  }
  return 2 * total;
}

// Whitney's theorem: sum over all sets of nonzero rows of (-1)^(size - rank).
std::int64_t whitney(const RowMatrix& X) {
  std::vector<Index> rows;
  for (Index i = 0; i < X.rows(); ++i) {
    if (!X.row(i).isZero(0.0)) {
      rows.push_back(i);
    }
  }
  std::int64_t total = 0;
  for (unsigned set = 0; set < 1U << rows.size(); ++set) {
    RowMatrix some = RowMatrix::Zero(static_cast<Index>(rows.size()), X.cols());
    Index size = 0;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (((set >> k) & 1U) != 0) {
        some.row(size++) = X.row(rows[k]);
      }
    }
    const Index rank = size == 0 ? 0 : Eigen::FullPivLU<RowMatrix>(some.topRows(size)).rank();
    total += (size - rank) % 2 == 0 ? 1 : -1;
  }
  return total;
}

struct Known {
  std::string name;
  RowMatrix X;
  std::int64_t count;
};

// See tests/arrangements.py.
std::vector<Known> degenerate() {
  const RowMatrix signs = 2.0 * lattice(2, 4).array() - 1.0;
  return {{"braid", reflections(5, false), 120},
          {"type B", reflections(4, true), 384},
          {"resonance", lattice(2, 4).bottomRows(15), 370},
          {"threshold 3", with_ones(signs.topRightCorner(8, 3)), 104},
          {"threshold 4", with_ones(signs), 1882},
          {"cross-polytope", cross_polytope(4), 146},
          {"grid", with_ones(lattice(4, 2)), 174},
          {"pencils", pencils(3), 216}};
}

std::set<Words> cells(const PatternSet& patterns) {
  std::set<Words> all;
  for (Index g = 0; g < patterns.size(); ++g) {
    all.emplace(patterns.row(g), patterns.row(g) + patterns.n_words());
  }
  return all;
}

// Gates on the right side of every row, beyond rounding errors; zero rows on.
bool strictly_inside(const PatternSet& patterns, const RowMatrix& X) {
  bool inside = patterns.gates().rows() == X.cols() && patterns.gates().cols() == patterns.size();
  for (Index g = 0; g < patterns.size() && inside; ++g) {
    for (Index i = 0; i < X.rows(); ++i) {
      double value = 0.0, size = 0.0;
      for (Index k = 0; k < X.cols(); ++k) {
        value += X(i, k) * patterns.gates()(k, g);
        size += std::abs(X(i, k) * patterns.gates()(k, g));
      }
      const bool clear = std::abs(value) > 1e-15 * size || X.row(i).isZero(0.0);
      inside = inside && clear && patterns.active(g, i) == (value >= 0.0);
    }
  }
  return inside;
}

// Whether cells 2k and 2k + 1 are opposite.
bool in_pairs(const PatternSet& patterns, const RowMatrix& X) {
  bool opposite = patterns.size() % 2 == 0;
  for (Index g = 0; g + 1 < patterns.size(); g += 2) {
    for (Index i = 0; i < X.rows(); ++i) {
      const bool differ = patterns.active(g, i) != patterns.active(g + 1, i);
      opposite = opposite && differ != X.row(i).isZero(0.0);
    }
  }
  return opposite;
}

// All that is promised of an enumeration; returns the cells.
std::set<Words> check_enumeration(const RowMatrix& data, std::int64_t count) {
  const Matrix X = to_matrix(data);
  EnumerationSettings settings;
  settings.witnesses = true;
  settings.verify = true;
  settings.n_threads = 1;
  const PatternSet patterns = enumerate_patterns(X, settings);
  CHECK(patterns.n_samples() == X.rows());
  CHECK(patterns.size() == count);
  std::set<Words> all = cells(patterns);
  CHECK(static_cast<std::int64_t>(all.size()) == count);
  CHECK(in_pairs(patterns, data));
  CHECK(strictly_inside(patterns, data));
  settings.n_threads = 3;
  CHECK(enumerate_patterns(X, settings).packed() == patterns.packed());
  CHECK(count_patterns(X, 1) == count);
  CHECK(count_patterns(X, 3) == count);
  CHECK(count_bound(X) >= static_cast<double>(count));
  return all;
}

// The patterns that `settings` asks for, from blocks of the right sizes.
Words streamed(MatrixView X, const StreamSettings& settings) {
  const Index n_words = pyconvex::words_per_pattern(X.rows);
  const Index block_size = settings.block_size == 0 ? 65536 : settings.block_size;
  Words all;
  bool full = true;  // all blocks but the last
  iter_patterns(
      X,
      [&](const std::uint64_t* packed, Index n) {
        CHECK(full);
        CHECK(n >= 1);
        CHECK(n <= block_size);
        full = n == block_size;
        all.insert(all.end(), packed, packed + n * n_words);
        return false;
      },
      settings);
  return all;
}

// Two lines at an angle of 2^-48 and one next to their sum: the three are `gap` from dependent.
RowMatrix nearly_flat(double gap) {
  constexpr double k24 = 16777216.0;  // 2^24
  RowMatrix A(4, 3);
  A << k24, k24 + 1, 12345677, /**/ k24 - 1, k24, 7654321, /**/ 0, 0, 0, /**/ 3, -5, 7;
  A.row(2) = A.row(0) + A.row(1);
  A(2, 2) += gap;  // their determinant is gap, too
  return A;
}

PatternSet sample(const RowMatrix& X, Index n, Sampling method, std::uint64_t random_state = 0,
                  bool unique = true, int n_threads = 0) {
  return sample_patterns(to_matrix(X), n, {method, unique, random_state, n_threads});
}

bool is_subset(const std::set<Words>& some, const std::set<Words>& all) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// Pearson's statistic of equal probabilities, in standard deviations from its mean.
double chi_square(const std::vector<int>& observed) {
  double total = 0.0, squares = 0.0;
  for (const int n : observed) {
    total += n;
    squares += static_cast<double>(n) * n;
  }
  const auto n_cells = static_cast<double>(observed.size());
  return (squares * n_cells / total - total - (n_cells - 1)) / std::sqrt(2 * (n_cells - 1));
}

}  // namespace

TEST_CASE("as many cells as the formula says in general position, around every word boundary") {
  const std::vector<std::pair<Index, Index>> sizes = {
      {1, 1}, {5, 1},  {1, 2},  {2, 2},  {63, 2},  {64, 2}, {65, 2}, {130, 2}, {2, 3},
      {3, 3}, {63, 3}, {64, 3}, {65, 3}, {130, 3}, {17, 5}, {3, 7},  {8, 7},   {11, 7}};
  for (const auto& [n, r] : sizes) {
    CAPTURE(n);
    CAPTURE(r);
    const RowMatrix X = gaussian(n, r, static_cast<unsigned>(n + r));
    check_enumeration(X, general(n, r));
    CHECK(count_bound(to_matrix(X)) == static_cast<double>(general(n, r)));
  }
  CHECK(count_bound(to_matrix(gaussian(300, 9, 0))) == static_cast<double>(general(300, 9)));
}

TEST_CASE("known numbers of cells of degenerate arrangements") {
  for (const Known& known : degenerate()) {
    CAPTURE(known.name);
    check_enumeration(known.X, known.count);
  }
}

TEST_CASE("Whitney's theorem on small random matrices") {
  for (unsigned seed = 0; seed < 30; ++seed) {
    CAPTURE(seed);
    const RowMatrix X = integers(8, 1 + static_cast<Index>(seed % 5), 1, seed);
    const bool zero = X.isZero(0.0);
    REQUIRE(!zero);
    CHECK(count_patterns(to_matrix(X)) == whitney(X));
  }
}

TEST_CASE("other coordinates and scales, inexact ones too, show the same cells") {
  for (const Known& known : degenerate()) {
    CAPTURE(known.name);
    const Index n = known.X.rows();
    const Index d = known.X.cols();
    const auto expected = cells(enumerate_patterns(to_matrix(known.X)));
    CHECK(check_enumeration(known.X * gaussian(d, d, 5), known.count) == expected);
    RowMatrix scaled = known.X;
    for (Index j = 0; j < d; ++j) {
      scaled.col(j) *= std::pow(10.0, 9 * (j % 3) - 7);
    }
    CHECK(check_enumeration(scaled, known.count) == expected);
    scaled = known.X;
    for (Index i = 0; i < n; ++i) {
      scaled.row(i) *= std::pow(10.0, i % 41 - 20);
    }
    CHECK(check_enumeration(scaled, known.count) == expected);
  }
  RowMatrix X = gaussian(14, 4, 6);
  const auto expected = cells(enumerate_patterns(to_matrix(X)));
  X *= Eigen::Vector4d(1e-6, 1.0, 1e5, 1e-3).asDiagonal();
  CHECK(check_enumeration(X, general(14, 4)) == expected);
}

TEST_CASE("zero rows are on; copies, opposites and multiples of rows follow them") {
  const RowMatrix braid = reflections(4, false);
  for (const RowMatrix& X : {braid, gaussian(6, 3, 7), gaussian(6, 2, 8)}) {
    const std::int64_t count = count_patterns(to_matrix(X));
    for (const double third : {3.0, 1.0 / 3.0}) {  // the latter makes the braid inexact
      const std::vector<double> factors = {0.0, 1.0, -1.0, third, -4.0, 0.0, -third, 2.0};
      RowMatrix more(80, X.cols());
      std::vector<Index> source(80);
      for (Index i = 0; i < 80; ++i) {
        source[static_cast<std::size_t>(i)] = (i < 6 ? i : 5 * i) % 6;
        const double factor = i < 6 ? 1.0 : factors[static_cast<std::size_t>(i % 8)];
        more.row(i) = factor * X.row(source[static_cast<std::size_t>(i)]);
      }
      check_enumeration(more, count);
      const PatternSet patterns = enumerate_patterns(to_matrix(more));
      bool follow = true;
      for (Index g = 0; g < patterns.size(); ++g) {
        for (Index i = 6; i < 80; ++i) {
          const double factor = factors[static_cast<std::size_t>(i % 8)];
          const bool on = patterns.active(g, source[static_cast<std::size_t>(i)]);
          follow = follow && patterns.active(g, i) == (factor == 0.0 || on == (factor > 0.0));
        }
      }
      CHECK(follow);
    }
  }
}

TEST_CASE("dependent columns add nothing") {
  check_enumeration(gaussian(20, 3, 9) * gaussian(3, 6, 10), general(20, 3));
  check_enumeration(gaussian(70, 2, 11) * gaussian(2, 3, 12), general(70, 2));
  check_enumeration(gaussian(9, 1, 13) * gaussian(1, 4, 14), 2);
  const RowMatrix X = reflections(5, false);
  RowMatrix wide(X.rows(), 15);
  wide << X, -3.0 * X.rowwise().reverse(), RowMatrix::Zero(X.rows(), 5);
  check_enumeration(wide, 120);
}

TEST_CASE("zero rows alone have one pattern") {
  const Matrix X(70, 3);
  for (const auto& patterns : {enumerate_patterns(X), sample_patterns(X, 5),
                               sample_patterns(X, 5, {Sampling::uniform, true, 0, 1}),
                               sample_patterns(X, 5, {Sampling::data, true, 0, 1})}) {
    CHECK(patterns.packed() == Words{~std::uint64_t{0}, 63});
  }
  CHECK(count_patterns(X) == 1);
  CHECK(count_bound(X) == 1.0);
  CHECK(streamed(X, {}) == Words{~std::uint64_t{0}, 63});
  CHECK(streamed(X, {1, -1, 10, 1}).empty());
  CHECK(streamed(X, {0, 0, 10, 1}).empty());
}

TEST_CASE("integers are told apart where floats cannot") {
  const RowMatrix near = nearly_flat(1);
  const Matrix X = to_matrix(near);
  CHECK(enumerate_patterns(to_matrix(nearly_flat(0))).size() == 12);
  const std::set<Words> all = cells(enumerate_patterns(X));
  REQUIRE(all.size() == 14);
  CHECK(count_patterns(X) == 14);
  std::uint64_t impossible = 0;  // the signs of the only linear dependence of the rows, by Cramer
  for (Index i = 0; i < 4; ++i) {
    std::vector<std::int64_t> minor;
    for (Index k = 0; k < 12; ++k) {
      if (k / 3 != i) {
        minor.push_back(std::llround(near.data()[k]));
      }
    }
    const bool positive = (pyconvex::exact_sign(minor, 3) > 0) == (i % 2 == 0);
    impossible |= std::uint64_t{positive} << i;
  }
  CHECK(all.count({impossible}) == 0);
  CHECK(all.count({impossible ^ 15U}) == 0);
}

TEST_CASE("near dependence amid many rows costs two cells only where it is exact") {
  for (const double gap : {-1.0, 0.0, 1.0}) {
    CAPTURE(gap);
    RowMatrix X(12, 3);
    X << nearly_flat(gap), integers(8, 3, 1 << 25, 15);
    const auto n_cells = gap == 0.0 ? general(12, 3) - 2 : general(12, 3);
    EnumerationSettings settings;
    settings.verify = true;
    const PatternSet patterns = enumerate_patterns(to_matrix(X), settings);
    CHECK(patterns.size() == n_cells);
    std::set<std::uint64_t> of_three;
    for (Index g = 0; g < patterns.size(); ++g) {
      of_three.insert(patterns.row(g)[0] & 7U);
    }
    CHECK(of_three.size() == (gap == 0.0 ? 6 : 8));
    X.row(2).swap(X.row(11));  // the last row is special
    CHECK(count_patterns(to_matrix(X)) == n_cells);
  }
}

TEST_CASE("too many patterns and wrong input are refused") {
  const Matrix X = to_matrix(gaussian(10, 3, 16));
  EnumerationSettings settings;
  settings.max_patterns = general(10, 3);
  CHECK(enumerate_patterns(X, settings).size() == general(10, 3));
  --settings.max_patterns;
  CHECK_THROWS_AS(enumerate_patterns(X, settings), std::invalid_argument);
  const Matrix large = to_matrix(gaussian(400, 20, 17));
  CHECK(count_bound(large) > 1e30);
  CHECK_THROWS_AS(enumerate_patterns(large), std::invalid_argument);
  CHECK_THROWS_AS(count_patterns(large), std::invalid_argument);
  CHECK_THROWS_AS(streamed(large, {}), std::invalid_argument);
  CHECK_THROWS_AS(streamed(X, {0, -1, -1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(streamed(X, {-1, -1, 10, 1}), std::invalid_argument);
  CHECK_THROWS_AS(sample_patterns(X, 0), std::invalid_argument);
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    const Matrix wrong(2, 2, {1, 2, bad, 3});
    CHECK_THROWS_AS(enumerate_patterns(wrong), std::invalid_argument);
    CHECK_THROWS_AS(count_patterns(wrong), std::invalid_argument);
    CHECK_THROWS_AS(sample_patterns(wrong, 3), std::invalid_argument);
  }
  CHECK_THROWS_AS(enumerate_patterns(Matrix()), std::invalid_argument);
  CHECK_THROWS_AS(count_bound(Matrix(0, 3)), std::invalid_argument);
}

TEST_CASE("blocks join to the same patterns in the same order") {
  RowMatrix repeated(9, 4);  // rows that are not lines, in another order
  repeated << reflections(4, false), RowMatrix::Zero(1, 4), -reflections(4, false).topRows(2);
  for (const RowMatrix& data : {gaussian(12, 4, 18), gaussian(70, 2, 19), gaussian(4, 1, 20),
                                reflections(4, true), repeated}) {
    const Matrix X = to_matrix(data);
    const PatternSet patterns = enumerate_patterns(X);
    const auto n = static_cast<std::int64_t>(patterns.size());
    const std::vector<std::pair<std::int64_t, std::int64_t>> windows = {
        {0, -1}, {0, 0},     {0, 1},          {1, -1}, {3, 10}, {5, 6},
        {7, 3},  {n - 1, n}, {n / 2 + 1, -1}, {n, -1}, {2, 5},  {n + 5, -1}};
    for (const Index block_size : {0, 1, 2, 3, 7, 64, 100000}) {
      for (const auto& [start, stop] : windows) {
        CAPTURE(n);
        CAPTURE(block_size);
        CAPTURE(start);
        CAPTURE(stop);
        const std::int64_t last = stop < 0 ? n : std::min(stop, n);
        const std::int64_t first = std::min(start, last);
        const Words expected(patterns.row(first), patterns.row(last));
        CHECK(streamed(X, {start, stop, block_size, 2}) == expected);
      }
    }
  }
}

TEST_CASE("blocks from more sets of lines than are searched at once") {
  for (const RowMatrix& data : {gaussian(40, 4, 21), pencils(6)}) {
    const Matrix X = to_matrix(data);
    const PatternSet patterns = enumerate_patterns(X);
    const std::vector<std::pair<std::int64_t, Index>> starts = {{0, 1000}, {1717, 0}};
    for (const auto& [start, block_size] : starts) {
      const Words expected(patterns.row(start), patterns.row(patterns.size()));
      CHECK(streamed(X, {start, -1, block_size, 2}) == expected);
    }
    const Words expected(patterns.row(1501), patterns.row(1620));
    CHECK(streamed(X, {1501, 1620, 13, 2}) == expected);
  }
}

TEST_CASE("a callback ends the enumeration") {
  int n_calls = 0;
  const auto third = [&](const std::uint64_t*, Index) { return ++n_calls == 3; };
  iter_patterns(to_matrix(gaussian(12, 4, 18)), third, {0, -1, 5, 1});
  CHECK(n_calls == 3);
}

TEST_CASE("uniform draws: true cells with gates inside, at most all there are") {
  for (const RowMatrix& X : {gaussian(40, 4, 22),    // draws sets of lines
                             RowMatrix(pencils(8)),  // hardly any set is a pair: lists them
                             gaussian(9, 3, 23),     // lists them at once
                             gaussian(70, 2, 24), gaussian(3, 1, 25), reflections(4, true)}) {
    const auto all = cells(enumerate_patterns(to_matrix(X)));
    const auto n_cells = static_cast<Index>(all.size());
    const Index n = std::min<Index>(50, n_cells);
    const PatternSet some = sample(X, n, Sampling::uniform);
    CHECK(some.size() == n);
    CHECK(is_subset(cells(some), all));
    CHECK(strictly_inside(some, X));
    const PatternSet every = sample(X, n_cells + 100, Sampling::uniform);
    CHECK(every.size() == n_cells);
    CHECK(cells(every) == all);
    CHECK(sample(X, n_cells + 7, Sampling::uniform, 0, false).size() == n_cells + 7);
  }
}

TEST_CASE("uniform draws work where cells cannot be numbered") {
  const RowMatrix X = gaussian(300, 20, 26);
  const PatternSet some = sample(X, 20, Sampling::uniform);
  CHECK(some.size() == 20);
  CHECK(strictly_inside(some, X));
}

TEST_CASE("draws next to data: true cells with gates inside") {
  for (const RowMatrix& X : {gaussian(20, 4, 27), gaussian(20, 2, 28), gaussian(3, 1, 29),
                             reflections(4, true), RowMatrix(with_ones(lattice(4, 2)))}) {
    const PatternSet some = sample(X, 100, Sampling::data);
    CHECK(some.size() >= 2);
    CHECK(some.size() <= 100);
    CHECK(is_subset(cells(some), cells(enumerate_patterns(to_matrix(X)))));
    CHECK(strictly_inside(some, X));
    CHECK(sample(X, 100, Sampling::data, 0, false).size() == 100);
  }
}

TEST_CASE("draws depend on random_state alone") {
  const RowMatrix X = gaussian(40, 4, 30);
  for (const Sampling method : {Sampling::gaussian, Sampling::uniform, Sampling::data}) {
    const PatternSet one = sample(X, 60, method, 5, true, 1);
    const PatternSet same = sample(X, 60, method, 5, true, 3);
    const PatternSet other = sample(X, 60, method, 6, true, 1);
    CHECK(strictly_inside(one, X));
    CHECK(one.packed() == same.packed());
    CHECK(std::equal(one.gates().data(), one.gates().data() + 4 * one.size(), same.gates().data()));
    CHECK(one.packed() != other.packed());
  }
}

TEST_CASE("uniform draws are uniform: from a list of cells and from sets of lines") {
  const auto deviation = [](const RowMatrix& X, Index n, int n_rounds) {
    const auto all = cells(enumerate_patterns(to_matrix(X)));
    std::vector<int> observed(all.size(), 0);
    for (int round = 0; round < n_rounds; ++round) {
      const auto state = static_cast<std::uint64_t>(round);
      const PatternSet some = sample(X, n, Sampling::uniform, state, false, 1);
      for (Index g = 0; g < n; ++g) {
        const auto place = all.find(Words(some.row(g), some.row(g) + some.n_words()));
        REQUIRE(place != all.end());
        ++observed[static_cast<std::size_t>(std::distance(all.begin(), place))];
      }
    }
    return chi_square(observed);
  };
  CHECK(std::abs(deviation(reflections(4, false), 2400, 1)) < 4.0);        // 24 cells
  CHECK(std::abs(deviation(lattice(2, 4).bottomRows(15), 7, 300)) < 4.0);  // 370 cells, 470 sets
}
