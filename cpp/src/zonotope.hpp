// A zonotope and its point nearest to a given one. Private: it uses Eigen.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "hull.hpp"

namespace pyconvex {

/// Relative agreement of upper and lower bounds that counts as equal.
constexpr double kSame = 1e-10;

/// B = sum_j w_j [0, x_j] with w > 0. With a free bias the last coordinate, of which all rows have
/// 1, is B's height, and what counts is the slice of B at a given height; d coordinates remain.
struct Zonotope {
  Zonotope(MatrixView X, const double* w, bool free);

  bool free_bias;
  Eigen::MatrixXd rows;    // x_j, m x d
  Eigen::MatrixXd scaled;  // w_j x_j
  Eigen::VectorXd weights;
  Eigen::VectorXd sum;  // the point of all rows
  double top;           // and its height
};

/// Some points of B, nearest to vertices met before. Where heights count, a point p stands for the
/// path 0 -> p -> the sum of all rows, which lies in B and visits every height.
class Pool {
 public:
  static constexpr Index kSize = 64;
  using Lanes = std::array<double, kSize>;

  explicit Pool(const Zonotope& zonotope);
  /// Put a point in, for the one nearest to it once the pool is full.
  void add(const ConstVector& point, double height);
  /// Where the paths meet a height: points and half their squared norms.
  void place(double height, RowMatrix& points, Lanes& halves) const;
  const RowMatrix& points() const { return points_; }  // d x kSize
  const Lanes& halves() const { return halves_; }

 private:
  const Zonotope* B_;
  RowMatrix points_;
  Lanes halves_{}, heights_{};
  Index count_ = 1;
};

/// The j that minimises base_j + u . p_j over the columns p_j of points (d x Pool::kSize).
Index smallest(const Pool::Lanes& base, const RowMatrix& points, const double* u);

/// Finds the point of B, or of its slice, nearest to a vertex v: Wolfe's algorithm (1976). One
/// object serves one thread, vertex after vertex.
///
/// For every unit vector u, v . u - h_B(u) <= dist(v, B) <= |v - b| for every b in B; the left side
/// is attained by a neuron if v is a vertex of the other zonotope.
class NearestPoint {
 public:
  NearestPoint(const Zonotope& zonotope, Index p);

  /// Search until the bounds agree or the upper one is at most `limit`, in the hull of the pool as
  /// long as that helps. Returns false where the pool alone did.
  bool operator()(const double* v, double height, const Pool& pool, double limit);

  double upper = 0.0;
  double lower = 0.0;
  Eigen::VectorXd point;      // of B, at distance `upper` (d)
  Eigen::VectorXd direction;  // attains `lower` once its first d entries are scaled to norm 1 (p)

 private:
  bool step_in_pool(const RowMatrix& points);
  void search(double height, double limit);
  void support(double height);
  double threshold(double height);

  const Zonotope* B_;
  Hull hull_;                       // of points of B, less v
  Eigen::VectorXd apex_, extreme_;  // v and the extreme point, less v
  Eigen::VectorXd slopes_, theta_;  // of the rows: u . x_j, and their shares
  RowMatrix placed_;                // the pool at v's height (d x its size)
  Pool::Lanes halves_{};
  std::vector<std::pair<double, double>> queue_;
  double kink_ = 0.0;
};

}  // namespace pyconvex
