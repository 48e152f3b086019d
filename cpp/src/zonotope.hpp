// A zonotope and its point nearest to a given one. Private: it uses Eigen.
#pragma once

#include "face.hpp"

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

/// Finds the point of B, or of its slice, nearest to a vertex v: Wolfe's algorithm (1976). One
/// object serves one thread, vertex after vertex.
///
/// For every unit vector u, v . u - h_B(u) <= dist(v, B) <= |v - b| for every b in B; the left side
/// is attained by a neuron if v is a vertex of the other zonotope.
class NearestPoint {
 public:
  NearestPoint(const Zonotope& zonotope, Index p);

  /// From a point of B at v's height, until the bounds agree or the upper one is below `limit`.
  void operator()(const double* v, double height, const ConstVector& start, double limit);

  double upper = 0.0;
  double lower = 0.0;
  Eigen::VectorXd point;      // of B, at distance `upper` (d)
  Eigen::VectorXd direction;  // attains `lower` once its first d entries are scaled to norm 1 (p)

 private:
  void support(double height);
  double threshold(double height);
  bool add();
  void minimise();
  void remove(Index j);
  void extend_basis(Index j);

  const Zonotope* B_;
  Eigen::VectorXd apex_, offset_, extreme_;  // v, the present b - v, the support point
  Eigen::VectorXd slopes_, theta_;           // of the rows: u . x_j, and their shares
  std::vector<std::pair<double, double>> queue_;
  double kink_ = 0.0;
  Eigen::MatrixXd corral_;  // points b - v whose hull holds the present one, as columns
  Eigen::MatrixXd basis_;   // orthonormal, of their differences from the first
  Eigen::MatrixXd factor_;  // those differences in the basis: upper triangular
  Eigen::VectorXd shares_, trial_, step_;
  Index size_ = 0;
};

}  // namespace pyconvex
