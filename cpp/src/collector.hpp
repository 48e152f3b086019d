// Puts columns together from neurons that come one by one. Private: it uses Eigen.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "columns.hpp"

namespace pyconvex {

/// Indices that sort values in falling order; equal ones keep theirs.
inline std::vector<Index> descending(const Eigen::VectorXd& values) {
  std::vector<Index> order(static_cast<std::size_t>(values.size()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](Index i, Index j) { return values[i] > values[j]; });
  return order;
}

/// Collects columns one by one, in whatever order, and sorts them at the end.
struct Collector {
  std::vector<Eigen::VectorXd> points;
  std::vector<double> signs, values;
  std::vector<const std::int64_t*> tight;  // rows of an array that outlives this, or null
  std::vector<Index> pattern;

  void add(const Eigen::VectorXd& point, double sign, double value, const std::int64_t* rows,
           Index g) {
    points.push_back(point);
    signs.push_back(sign);
    values.push_back(value);
    tight.push_back(rows);
    pattern.push_back(g);
  }

  Columns sorted(Index p) const {
    const auto order = descending(
        Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<Index>(values.size())));
    const auto k = static_cast<Index>(order.size());
    Columns columns{
        RowMatrix(k, p), Eigen::VectorXd(k), TightRows::Constant(k, p, -1), {}, Eigen::VectorXd(k)};
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

}  // namespace pyconvex
