// Simplicial cones of neurons with a bound of z . (X u)_+ on each. Private: it uses Eigen.
#pragma once

#include <cstdint>
#include <vector>

#include "face.hpp"

namespace pyconvex {

/// A cone, what is known of sign z . (X u)_+ inside, and the best point seen in it.
struct Cone {
  double sign = 1.0;
  RowMatrix generators;    // r x r, unit penalised norm
  Eigen::VectorXd linear;  // sum of sign z_i x_i over the rows that are on everywhere
  std::vector<std::int32_t> cut;
  double bound = 1e300;
  double value = 0.0;
  Eigen::VectorXd point;
};

/// Inside a cone a row of X is on (linear), off (zero) or cut. Cut rows whose kink is convex are
/// interpolated at the generators; those whose kink is concave count with a share theta in [0, 1]
/// of their linear part, whichever makes the bound smallest:
///     max over cone and unit ball of g <= min ||w - sum theta_i |z_i| x_i + sum mu_j a_j||,
/// mu >= 0, a_j the dual generators. Any theta and mu give a valid bound, so coordinate descent may
/// stop anywhere.
///
/// With a free bias b the norm is that of the other coordinates, ||w||. Near the middle of a cone b
/// is about t . w, |b - t . w| <= d ||w||, so that p . u <= ||p_w + p_b t|| + d |p_b|.
class Cones {
 public:
  Cones(MatrixView X, const double* z, bool free_bias);

  /// Cones that cover all neurons, for both signs: orthants; with a free bias the prisms
  /// |b| <= R ||w||_1 over orthants, cut into simplices. Beyond, z . (X u)_+ is linear.
  std::vector<Cone> cover() const;

  /// Update rows, bound, value and point. The bound need not fall below `cutoff`.
  void evaluate(Cone& cone, double cutoff) const;

  /// Two halves, apart at the middle of the widest pair of generators.
  std::vector<Cone> halve(const Cone& cone) const;

  /// Whether its generators are too close to each other to be told apart.
  bool is_thin(const Cone& cone) const;

 private:
  struct Relaxation;
  double norm(const Eigen::VectorXd& u) const { return u.head(d_).norm(); }
  double widest(const Cone& cone, Index& a, Index& b) const;
  void sort_rows(Cone& cone, Eigen::VectorXd& interpolated, Relaxation& relaxation) const;
  void set_steps(const Cone& cone, Relaxation& relaxation) const;
  void weigh_bias(const Cone& cone, Relaxation& relaxation) const;
  void set_shear(const Cone& cone, const Eigen::VectorXd& c, Relaxation& relaxation) const;
  double descend(Cone& cone, Relaxation& relaxation, double cutoff) const;
  static double sweep(Relaxation& relaxation);
  static double polish(Relaxation& relaxation);
  Eigen::VectorXd try_point(Cone& cone, const RowMatrix& dual,
                            const Eigen::VectorXd& direction) const;

  Rows X_;
  const double* z_;
  Index r_, d_;
  double radius_ = 0.0;  // R, the largest norm of a row without its bias coordinate
  double spread_ = 0.0;  // root mean square of the features
};

}  // namespace pyconvex
