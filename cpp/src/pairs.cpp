#include "pairs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pyconvex/patterns.hpp"

namespace pyconvex {
namespace {

constexpr double kMaxSets = 0x1.0p61;
constexpr std::int64_t kWindow = std::int64_t{1} << 20;  // sets searched at once

double count_sets(Index m, Index r) {
  double total = 0.0;
  double binomial = 1.0;
  for (Index k = 0; k < r; ++k) {
    total += binomial;
    binomial = std::round(binomial * static_cast<double>(m - 1 - k) / static_cast<double>(k + 1));
  }
  return total;
}

}  // namespace

Arrangement::Arrangement(MatrixView X, std::uint64_t draw, int n_threads)
    : lines_(find_lines(X, draw)), n_threads_(n_threads) {
  n_sets_ = count_sets(lines_.n_lines(), lines_.rank());
  if (lines_.rank() == 2) {
    find_turns();
  }
}

std::int64_t Arrangement::numbered_sets() const {
  if (n_sets_ > kMaxSets) {
    throw std::invalid_argument(
        "X may have too many patterns to number: use count_bound, or sample_patterns");
  }
  return static_cast<std::int64_t>(n_sets_);
}

std::int64_t Arrangement::fill(std::int64_t first, std::int64_t last, Word* packed) const {
  const Index n_words = words_per_pattern(lines_.n_lines());
  std::vector<Word> own;
  Word* out = packed;
  if (!lines_.is_identity()) {
    own.resize(static_cast<std::size_t>(2 * (last - first) * n_words));
    out = own.data();
  }
  std::int64_t found = last - first;
  if (lines_.rank() == 2) {
    sweep_cells(order_.data(), lines_.n_lines(), start_.data(), first, last, out);
  } else {
    found = search_cells(lines_.view(), first, last, {out, nullptr}, n_threads_);
  }
  if (found == kRedraw) {
    throw RotationFailed();
  }
  if (!own.empty()) {
    expand(own, 2 * found, packed);
  }
  return found;
}

void Arrangement::expand(const std::vector<Word>& packed, Index n_patterns, Word* expanded) const {
  expand_rows(packed.data(), n_patterns, lines_.n_lines(), lines_.line.data(), lines_.flip.data(),
              n_samples(), expanded, n_threads_);
}

std::int64_t Arrangement::count(std::int64_t first, std::int64_t last) const {
  if (lines_.rank() <= 2) {  // distinct lines of a plane are in general position
    return last - first;
  }
  const std::int64_t found = search_cells(lines_.view(), first, last, {}, n_threads_);
  if (found == kRedraw) {
    throw RotationFailed();
  }
  return found;
}

Chosen Arrangement::chosen(const std::vector<std::int64_t>& pairs) const {
  const std::int64_t n_sets = numbered_sets();
  const auto width = static_cast<std::size_t>(lines_.rank() - 1);
  const std::int64_t window = std::min(kWindow, n_sets);
  Chosen all(static_cast<std::size_t>(window) * width);
  Chosen wanted;
  auto next = pairs.begin();
  std::int64_t done = 0;
  for (std::int64_t first = 0; first < n_sets && next != pairs.end(); first += window) {
    const std::int64_t last = std::min(first + window, n_sets);
    const std::int64_t found =
        search_cells(lines_.view(), first, last, {nullptr, all.data()}, n_threads_);
    if (found == kRedraw) {
      throw RotationFailed();
    }
    for (; next != pairs.end() && *next < done + found; ++next) {
      const auto from =
          all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(*next - done) * width);
      wanted.insert(wanted.end(), from, from + static_cast<std::ptrdiff_t>(width));
    }
    done += found;
  }
  return wanted;
}

std::vector<unsigned char> Arrangement::decode(const Chosen& chosen, Index n,
                                               std::vector<Word>& packed, RowMatrix& points) const {
  std::vector<Word> own(static_cast<std::size_t>(n * words_per_pattern(lines_.n_lines())), 0);
  RowMatrix inside = RowMatrix::Zero(n, lines_.rank());
  std::vector<unsigned char> valid(static_cast<std::size_t>(n), 0);
  if (!decode_cells(lines_.view(), chosen.data(), n, own.data(), inside.data(), valid.data(),
                    n_threads_)) {
    throw RotationFailed();
  }
  packed.assign(static_cast<std::size_t>(n * words_per_pattern(n_samples())), 0);
  expand(own, n, packed.data());
  points = inside * lines_.to_user.transpose();
  points.rowwise().normalize();
  return valid;
}

RowMatrix Arrangement::points(const std::vector<std::int64_t>& pairs) const {
  const auto n = static_cast<Index>(pairs.size());
  RowMatrix points = RowMatrix::Ones(n, lines_.to_user.rows());
  if (lines_.rank() == 2) {
    for (Index k = 0; k < n; ++k) {
      points.row(k) =
          lines_.to_plane * between_.row(pairs[static_cast<std::size_t>(k)]).transpose();
    }
    points.rowwise().normalize();
  } else if (lines_.rank() > 0) {
    std::vector<Word> packed;
    decode(chosen(pairs), n, packed, points);
  }
  return points;
}

// Sort the lines of a plane by the angle of their boundaries, exactly where they are integers.
void Arrangement::find_turns() {
  const Index m = lines_.n_lines();
  RowMatrix boundary(m, 2);
  std::vector<double> angle(static_cast<std::size_t>(m)), side(static_cast<std::size_t>(m));
  for (Index j = 0; j < m; ++j) {  // (-y, x) times a sign: up, or to the right
    const double x = lines_.plane(j, 0);
    const double y = lines_.plane(j, 1);
    const double sign = (x != 0.0 ? x > 0.0 : y <= 0.0) ? 1.0 : -1.0;
    boundary.row(j) << -sign * y, sign * x;
    side[static_cast<std::size_t>(j)] = sign;
    angle[static_cast<std::size_t>(j)] =
        x != 0.0 ? std::atan2(boundary(j, 1), boundary(j, 0)) : 0.0;
  }
  const auto cross = [&](std::int64_t a, std::int64_t b) {
    return boundary(a, 0) * boundary(b, 1) - boundary(a, 1) * boundary(b, 0);
  };
  order_.resize(static_cast<std::size_t>(m));
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](std::int64_t a, std::int64_t b) {
    return angle[static_cast<std::size_t>(a)] < angle[static_cast<std::size_t>(b)];
  });
  for (std::size_t k = 1; k < order_.size(); ++k) {  // angles may be equal to rounding
    for (std::size_t j = k; j > 0 && cross(order_[j - 1], order_[j]) < 0.0; --j) {
      std::swap(order_[j - 1], order_[j]);
    }
  }
  start_.assign(static_cast<std::size_t>(words_per_pattern(m)), 0);
  for (Index j = 0; j < m; ++j) {
    const bool on = j == order_.front()
                        ? side[static_cast<std::size_t>(j)] > 0.0
                        : lines_.plane.row(j).dot(boundary.row(order_.front())) > 0.0;
    if (on) {
      set_bit(start_, j);
    }
  }
  boundary.rowwise().normalize();
  between_.resize(m, 2);
  for (Index k = 0; k < m; ++k) {
    const auto here = order_[static_cast<std::size_t>(k)];
    const RowMatrix before = k == 0
                                 ? RowMatrix(-boundary.row(order_.back()))
                                 : RowMatrix(boundary.row(order_[static_cast<std::size_t>(k - 1)]));
    between_.row(k) = boundary.row(here) + before;
  }
}

}  // namespace pyconvex
