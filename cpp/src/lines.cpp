#include "lines.hpp"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "minors.hpp"
#include "random.hpp"

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Integers = std::vector<std::int64_t>;

constexpr int kIntegerBits = 26;  // rows that are integers of so many bits, up to 2^k, are exact
constexpr double kRank = 1e-11;   // singular values below this, relative, are zero
constexpr int kScalingRounds = 8;
constexpr double kEven = -8.0;  // columns with a mean exponent above this need no scaling
constexpr double kTol = 256 * std::numeric_limits<double>::epsilon();

// Lines before they are turned, and how rows follow from them.
struct Base {
  RowMatrix rows;     // m x r
  Integers integers;  // the same where exact
  RowMatrix columns;  // d x r: from these coordinates to all
  double tol = 0.0;
};

int exponent(double x) {
  int result = 0;
  std::frexp(x, &result);
  return result;
}

RowMatrix unit_rows(RowMatrix rows) {
  rows.rowwise().normalize();
  return rows;
}

// Columns that no earlier ones span, by elimination modulo a prime.
std::vector<Index> independent_columns(const Integers& base, Index m, Index d) {
  std::vector<std::uint64_t> work(base.size());
  std::transform(base.begin(), base.end(), work.begin(),
                 [](std::int64_t x) { return residue(x, kPrime); });
  const auto at = [&](Index i, Index j) -> std::uint64_t& {
    return work[static_cast<std::size_t>(i * d + j)];
  };
  std::vector<Index> kept;
  for (Index column = 0; column < d && static_cast<Index>(kept.size()) < m; ++column) {
    const auto top = static_cast<Index>(kept.size());
    Index pivot = top;
    while (pivot < m && at(pivot, column) == 0) {
      ++pivot;
    }
    if (pivot == m) {
      continue;
    }
    for (Index j = 0; j < d; ++j) {
      std::swap(at(top, j), at(pivot, j));
    }
    const std::uint64_t inverse = inverse_modulo(at(top, column), kPrime);
    for (Index i = top + 1; i < m; ++i) {
      const std::uint64_t factor = (kPrime - at(i, column) * inverse % kPrime) % kPrime;
      for (Index j = 0; j < d; ++j) {
        at(i, j) = (at(i, j) + factor * at(top, j)) % kPrime;
      }
    }
    kept.push_back(column);
  }
  return kept;
}

// Merge proportional rows of integers; keep columns that determine all others.
Base integer_base(const RowMatrix& scaled, const std::vector<Index>& nonzero, Lines& lines) {
  const Index d = scaled.cols();
  std::map<Integers, std::pair<std::int64_t, bool>> seen;  // canonical row: line, negated?
  Integers distinct;
  for (Index k = 0; k < scaled.rows(); ++k) {
    Integers row(static_cast<std::size_t>(d));
    std::int64_t common = 0;
    for (Index j = 0; j < d; ++j) {
      row[static_cast<std::size_t>(j)] = static_cast<std::int64_t>(scaled(k, j));
      common = std::gcd(common, row[static_cast<std::size_t>(j)]);
    }
    const bool negative = *std::find_if(row.begin(), row.end(), [](auto x) { return x != 0; }) < 0;
    Integers canonical(row.size());
    for (std::size_t j = 0; j < row.size(); ++j) {
      row[j] /= common;
      canonical[j] = negative ? -row[j] : row[j];
    }
    const auto count = static_cast<std::int64_t>(seen.size());
    const auto [place, is_new] = seen.emplace(canonical, std::make_pair(count, negative));
    if (is_new) {
      distinct.insert(distinct.end(), row.begin(), row.end());
    }
    const auto i = static_cast<std::size_t>(nonzero[static_cast<std::size_t>(k)]);
    lines.line[i] = place->second.first;
    lines.flip[i] = place->second.second != negative ? 1 : 0;
  }
  const auto m = static_cast<Index>(seen.size());
  const std::vector<Index> kept = independent_columns(distinct, m, d);
  const auto r = static_cast<Index>(kept.size());
  Base base{RowMatrix(m, r), Integers(), RowMatrix::Zero(d, r)};
  for (Index i = 0; i < m; ++i) {
    for (Index c = 0; c < r; ++c) {
      base.integers.push_back(
          distinct[static_cast<std::size_t>(i * d + kept[static_cast<std::size_t>(c)])]);
      base.rows(i, c) = static_cast<double>(base.integers.back());
    }
  }
  for (Index c = 0; c < r; ++c) {
    base.columns(kept[static_cast<std::size_t>(c)], c) = 1.0;
  }
  return base;
}

// Powers of two that even out the columns, whatever the rows are multiplied by.
VectorXd column_scale(const RowMatrix& rows) {
  RowMatrix exponents = RowMatrix::Zero(rows.rows(), rows.cols());
  RowMatrix used = exponents;
  for (Index i = 0; i < rows.rows(); ++i) {
    for (Index j = 0; j < rows.cols(); ++j) {
      used(i, j) = rows(i, j) != 0.0 ? 1.0 : 0.0;
      exponents(i, j) = rows(i, j) != 0.0 ? exponent(rows(i, j)) : 0.0;
    }
  }
  const VectorXd in_row = used.rowwise().sum();
  const VectorXd in_column = used.colwise().sum().transpose().cwiseMax(1.0);
  if ((exponents.colwise().sum().transpose().array() >= kEven * in_column.array()).all()) {
    return VectorXd::Ones(rows.cols());
  }
  VectorXd per_column = VectorXd::Zero(rows.cols());
  for (int round = 0; round < kScalingRounds; ++round) {
    const VectorXd per_row = (exponents.rowwise().sum() - used * per_column).cwiseQuotient(in_row);
    per_column = (exponents.colwise().sum().transpose() - used.transpose() * per_row)
                     .cwiseQuotient(in_column);
  }
  return per_column.unaryExpr(
      [](double x) { return std::ldexp(1.0, -static_cast<int>(std::rint(x))); });
}

// For each unit row an earlier parallel one or itself, and a sign that goes with it.
void merge_parallel(const RowMatrix& base, double tol, Integers& line,
                    std::vector<bool>& negative) {
  Random random(0);
  const auto direction = [&] {
    VectorXd v(base.cols());
    std::generate_n(v.data(), v.size(), [&] { return random.gaussian(); });
    return v;
  };
  VectorXd side = base * direction();
  for (int k = 0; k < 100 && side.cwiseAbs().minCoeff() <= 10 * tol; ++k) {
    side = base * direction();
  }
  RowMatrix directed = base;
  for (Index i = 0; i < base.rows(); ++i) {
    negative.push_back(side[i] < 0.0);
    if (side[i] < 0.0) {
      directed.row(i) *= -1.0;
    }
  }
  const VectorXd key = directed * direction();
  std::vector<Index> order(static_cast<std::size_t>(base.rows()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](Index i, Index j) { return key[i] < key[j]; });
  const double near = 4.0 * tol * std::sqrt(static_cast<double>(base.cols()));
  line.resize(order.size());
  std::iota(line.begin(), line.end(), 0);
  for (auto first = order.begin(); first != order.end();) {
    auto end = first + 1;
    while (end != order.end() && key[*end] - key[*(end - 1)] <= near) {
      ++end;
    }
    std::vector<Index> rest(first, end);
    std::sort(rest.begin(), rest.end());
    while (rest.size() > 1) {
      const Index kept = rest.front();
      std::vector<Index> others;
      for (const Index i : rest) {
        if ((directed.row(i) - directed.row(kept)).cwiseAbs().maxCoeff() <= 2.0 * tol) {
          line[static_cast<std::size_t>(i)] = kept;
        } else {
          others.push_back(i);
        }
      }
      rest = others;
    }
    first = end;
  }
}

// Whiten inexact rows and merge parallel ones.
Base real_base(RowMatrix rows, const std::vector<Index>& nonzero, Lines& lines) {
  const VectorXd scale = column_scale(rows);
  rows = unit_rows(rows * scale.asDiagonal());
  const Eigen::BDCSVD<MatrixXd> svd(rows, Eigen::ComputeThinV);
  const VectorXd& sizes = svd.singularValues();
  const Index rank = (sizes.array() > kRank * sizes[0]).count();
  const MatrixXd columns =
      svd.matrixV().leftCols(rank) * sizes.head(rank).cwiseInverse().asDiagonal();
  const RowMatrix all = unit_rows(rows * columns);
  Base base;
  base.tol = kTol * static_cast<double>(rank) * sizes[0] / sizes[rank - 1];
  base.columns = scale.asDiagonal() * columns;
  Integers first;
  std::vector<bool> negative;
  merge_parallel(all, base.tol, first, negative);
  std::map<std::int64_t, std::int64_t> number;
  for (std::size_t k = 0; k < first.size(); ++k) {
    number.emplace(first[k], static_cast<std::int64_t>(number.size()));
    const auto i = static_cast<std::size_t>(nonzero[k]);
    lines.line[i] = number[first[k]];
    lines.flip[i] = negative[k] != negative[static_cast<std::size_t>(first[k])] ? 1 : 0;
  }
  base.rows.resize(static_cast<Index>(number.size()), rank);
  for (const auto& [row, k] : number) {
    base.rows.row(k) = all.row(row);
  }
  return base;
}

MatrixXd random_rotation(Index rank, std::uint64_t draw) {
  Random random(draw);
  MatrixXd gaussian(rank, rank);
  std::generate_n(gaussian.data(), gaussian.size(), [&] { return random.gaussian(); });
  return Eigen::HouseholderQR<MatrixXd>(gaussian).householderQ();
}

// Multiply by integers that whiten and turn the lines, nearly; returns them.
MatrixXd mix_integers(const Base& base, const MatrixXd& rotation, Lines& lines) {
  const Index r = base.rows.cols();
  const MatrixXd units = unit_rows(base.rows);
  const Eigen::BDCSVD<MatrixXd> svd(units, Eigen::ComputeThinV);
  MatrixXd mixing = svd.matrixV() * svd.singularValues().cwiseInverse().asDiagonal() * rotation;
  const double largest = static_cast<double>(r) * base.rows.cwiseAbs().maxCoeff();
  const int bits = std::min(61 - static_cast<int>(std::ceil(std::log2(largest))), 52);
  mixing *= std::ldexp(1.0, bits) / mixing.cwiseAbs().maxCoeff();
  mixing = mixing.array().rint();
  lines.Y.resize(base.rows.rows(), r);
  for (Index i = 0; i < base.rows.rows(); ++i) {
    for (Index c = 0; c < r; ++c) {
      std::int64_t sum = 0;
      for (Index k = 0; k < r; ++k) {
        sum += base.integers[static_cast<std::size_t>(i * r + k)] *
               static_cast<std::int64_t>(mixing(k, c));
      }
      lines.Z.push_back(sum);
      lines.Y(i, c) = static_cast<double>(sum);
    }
  }
  return mixing;
}

}  // namespace

bool Lines::is_identity() const {
  return static_cast<Index>(line.size()) == n_lines() &&
         std::none_of(flip.begin(), flip.end(), [](unsigned char f) { return f != 0; });
}

Lines find_lines(MatrixView X, std::uint64_t draw) {
  const Rows all = as_rows(X);
  Lines lines;
  lines.line.assign(static_cast<std::size_t>(X.rows), -1);
  lines.flip.assign(static_cast<std::size_t>(X.rows), 0);
  std::vector<Index> nonzero;
  for (Index i = 0; i < X.rows; ++i) {
    if (!all.row(i).isZero(0.0)) {
      nonzero.push_back(i);
    }
  }
  if (nonzero.empty()) {
    lines.to_user.resize(X.cols, 0);
    return lines;
  }
  RowMatrix rows(static_cast<Index>(nonzero.size()), X.cols);  // largest entries 0.5 .. 1, exactly
  for (Index k = 0; k < rows.rows(); ++k) {
    const auto row = all.row(nonzero[static_cast<std::size_t>(k)]);
    const int power = exponent(row.cwiseAbs().maxCoeff());
    rows.row(k) = row.unaryExpr([=](double x) { return std::ldexp(x, -power); });
  }
  const RowMatrix scaled = rows * std::ldexp(1.0, kIntegerBits);
  const bool exact = (scaled.array() == scaled.array().rint()).all();
  const Base base = exact ? integer_base(scaled, nonzero, lines) : real_base(rows, nonzero, lines);
  MatrixXd mixing = random_rotation(base.rows.cols(), draw);
  if (exact) {
    mixing = mix_integers(base, mixing, lines);
  } else {
    lines.Y = base.rows * mixing;
    lines.tol = base.tol;
  }
  lines.Y = unit_rows(lines.Y);
  lines.to_user = base.columns * mixing;
  if (base.rows.cols() == 2) {
    lines.plane = base.rows;
    lines.to_plane = base.columns;
  }
  return lines;
}

}  // namespace pyconvex
