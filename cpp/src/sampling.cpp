// Draw activation patterns at random.
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

#include "pairs.hpp"
#include "problem.hpp"
#include "pyconvex/arrangement.hpp"
#include "random.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kListAll = 64.0;  // number all cells where sets are at most so many per draw
constexpr double kRare = 0.05;     // and where fewer draws than this share hit a cell
constexpr double kFlat = 1e-9;     // the part of a line outside a span that makes it independent
constexpr double kOn = 1e-12;      // a vertex this close to a line lies on it
constexpr int kMaxRounds = 20;

// k of the numbers 0 .. m - 1, ascending (Floyd's algorithm).
std::vector<Index> random_subset(Index m, Index k, Random& random) {
  std::vector<Index> chosen;
  for (Index j = m - k; j < m; ++j) {
    const Index number = random.below(j + 1);
    const bool taken = std::find(chosen.begin(), chosen.end(), number) != chosen.end();
    chosen.push_back(taken ? j : number);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// A set of at most r - 1 of the first m - 1 lines, all equally likely.
std::vector<std::int32_t> random_set(const Arrangement& arrangement, Random& random) {
  const Index m = arrangement.lines().n_lines() - 1;
  const Index most = arrangement.lines().rank() - 1;
  double left = random.uniform() * arrangement.n_sets();
  double binomial = 1.0;
  Index size = 0;
  while (size < most && left >= binomial) {
    left -= binomial;
    binomial *= static_cast<double>(m - size) / static_cast<double>(size + 1);
    ++size;
  }
  std::vector<std::int32_t> set(static_cast<std::size_t>(most), -1);
  const std::vector<Index> chosen = random_subset(m, size, random);
  std::transform(chosen.begin(), chosen.end(), set.begin(),
                 [](Index i) { return static_cast<std::int32_t>(i); });
  return set;
}

RowMatrix with_signs(RowMatrix points, const std::vector<bool>& opposite) {
  for (Index k = 0; k < points.rows(); ++k) {
    if (opposite[static_cast<std::size_t>(k)]) {
      points.row(k) *= -1.0;
    }
  }
  return points;
}

// Draw numbers of cells, then find their sets.
RowMatrix draw_from_list(const Arrangement& arrangement, Index n, bool unique, Random& random) {
  const std::int64_t n_cells = 2 * arrangement.count(0, arrangement.numbered_sets());
  std::vector<std::int64_t> numbers;
  if (unique && n >= n_cells) {
    numbers.resize(static_cast<std::size_t>(n_cells));
    std::iota(numbers.begin(), numbers.end(), 0);
  } else {
    std::set<std::int64_t> seen;
    while (static_cast<Index>(numbers.size()) < n) {
      const std::int64_t number = random.below(n_cells);
      if (!unique || seen.insert(number).second) {
        numbers.push_back(number);
      }
    }
  }
  std::vector<std::int64_t> pairs;
  for (const std::int64_t number : numbers) {
    pairs.push_back(number / 2);
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  const RowMatrix inside = arrangement.points(pairs);
  RowMatrix points(static_cast<Index>(numbers.size()), inside.cols());
  std::vector<bool> opposite;
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    const auto place = std::lower_bound(pairs.begin(), pairs.end(), numbers[k] / 2);
    points.row(static_cast<Index>(k)) = inside.row(place - pairs.begin());
    opposite.push_back(numbers[k] % 2 == 1);
  }
  return with_signs(points, opposite);
}

// Draw sets of lines until n of them stand for cells; no rows where that is too rare.
RowMatrix draw_sets(const Arrangement& arrangement, Index n, bool unique, Random& random) {
  std::set<std::pair<std::vector<std::int32_t>, bool>> seen;
  RowMatrix points(n, arrangement.lines().to_user.rows());
  std::vector<bool> opposite;
  double n_drawn = 0.0;
  double n_valid = 0.0;
  while (static_cast<Index>(opposite.size()) < n) {
    std::vector<std::vector<std::int32_t>> sets;
    Chosen chosen;
    for (Index k = 0; k < n; ++k) {
      sets.push_back(random_set(arrangement, random));
      chosen.insert(chosen.end(), sets.back().begin(), sets.back().end());
    }
    std::vector<Word> packed;
    RowMatrix inside;
    const std::vector<unsigned char> valid = arrangement.decode(chosen, n, packed, inside);
    for (Index k = 0; k < n && static_cast<Index>(opposite.size()) < n; ++k) {
      const bool turned = random.uniform() < 0.5;
      n_drawn += 1.0;
      if (valid[static_cast<std::size_t>(k)] == 0) {
        continue;
      }
      n_valid += 1.0;
      if (!unique || seen.emplace(sets[static_cast<std::size_t>(k)], turned).second) {
        points.row(static_cast<Index>(opposite.size())) = inside.row(k);
        opposite.push_back(turned);
      }
    }
    if (n_valid < kRare * n_drawn) {
      return {};
    }
  }
  return with_signs(points, opposite);
}

RowMatrix draw_uniform(const Arrangement& arrangement, Index n, bool unique, Random& random) {
  RowMatrix points;
  if (arrangement.n_sets() > kListAll * static_cast<double>(n)) {
    points = draw_sets(arrangement, n, unique, random);
  }
  return points.rows() > 0 ? points : draw_from_list(arrangement, n, unique, random);
}

// A unit vector where r - 1 random lines vanish, and the volume of these.
VectorXd random_vertex(const RowMatrix& Y, Random& random, double& volume) {
  const Index r = Y.cols();
  volume = 1.0;
  if (r == 1) {
    return VectorXd::Ones(1);
  }
  std::vector<Index> queue(static_cast<std::size_t>(Y.rows()));
  std::iota(queue.begin(), queue.end(), 0);
  RowMatrix basis(r - 1, r);
  RowMatrix chosen(r - 1, r);
  Index rank = 0;
  for (std::size_t k = 0; k < queue.size() && rank < r - 1; ++k) {
    const Index left = static_cast<Index>(queue.size() - k);
    std::swap(queue[k], queue[k + static_cast<std::size_t>(random.below(left))]);
    const Eigen::RowVectorXd row = Y.row(queue[k]);
    const auto spanned = basis.topRows(rank);
    const Eigen::RowVectorXd rest = row - (row * spanned.transpose()) * spanned;
    if (rest.norm() > kFlat) {
      basis.row(rank) = rest.normalized();
      chosen.row(rank++) = row;
    }
  }
  const Eigen::JacobiSVD<MatrixXd> svd(chosen, Eigen::ComputeFullV);
  volume = svd.singularValues().prod();
  return svd.matrixV().col(r - 1);
}

// Vectors inside cells next to random vertices.
RowMatrix draw_at_data(const Arrangement& arrangement, Index n, Random& random) {
  const Lines& lines = arrangement.lines();
  RowMatrix points(n, lines.rank());
  for (Index k = 0; k < n; ++k) {
    double volume = 0.0;
    VectorXd vertex = random_vertex(lines.Y, random, volume);
    vertex *= random.uniform() < 0.5 ? -1.0 : 1.0;
    const VectorXd values = lines.Y * vertex;
    for (int round = 0; round < kMaxRounds; ++round) {
      VectorXd step(lines.rank());
      std::generate_n(step.data(), step.size(), [&] { return random.gaussian(); });
      const VectorXd change = lines.Y * step;
      double room = 2.0;
      for (Index j = 0; j < values.size(); ++j) {
        const bool on = std::abs(values[j]) * volume <= std::max(lines.tol, kOn);
        if (!on && values[j] * change[j] < 0.0) {
          room = std::min(room, std::abs(values[j] / change[j]));
        }
      }
      points.row(k) = vertex + 0.5 * room * step;
      if ((lines.Y * points.row(k).transpose()).cwiseAbs().minCoeff() > kOn) {
        break;
      }
    }
  }
  RowMatrix user = points * lines.to_user.transpose();
  user.rowwise().normalize();
  return user;
}

PatternSet from_points(MatrixView X, const RowMatrix& points, bool unique, int n_threads) {
  Matrix gates(points.cols(), points.rows());
  for (Index k = 0; k < gates.rows(); ++k) {
    for (Index g = 0; g < gates.cols(); ++g) {
      gates(k, g) = points(g, k);
    }
  }
  return PatternSet::from_gates(X, gates, n_threads, unique);
}

}  // namespace

PatternSet sample_patterns(MatrixView X, Index n_patterns, const SamplingSettings& settings) {
  if (X.empty() || n_patterns < 1) {
    throw std::invalid_argument("X must not be empty and n_patterns must be >= 1");
  }
  check_finite(X, "X");
  if (settings.method == Sampling::gaussian) {
    Random random(settings.random_state);
    Matrix gates(X.cols, n_patterns);
    std::generate_n(gates.data(), X.cols * n_patterns, [&] { return random.gaussian(); });
    return PatternSet::from_gates(X, gates, settings.n_threads, settings.unique);
  }
  return with_rotation([&](std::uint64_t draw) {
    Random random(settings.random_state);
    const Arrangement arrangement(X, draw, settings.n_threads);
    RowMatrix points;
    if (arrangement.lines().rank() == 0) {
      points = RowMatrix::Ones(n_patterns, X.cols);
    } else if (settings.method == Sampling::uniform) {
      points = draw_uniform(arrangement, n_patterns, settings.unique, random);
    } else {
      points = draw_at_data(arrangement, n_patterns, random);
    }
    return from_points(X, points, settings.unique, settings.n_threads);
  });
}

}  // namespace pyconvex
