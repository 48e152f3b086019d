// Loss functions: values, derivatives, and the conjugates that certificates rest on.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// One number per sample.
using Values = std::vector<double>;

/// Ends of intervals, one interval per sample.
struct Intervals {
  Values low, high;
};

/// A convex loss l(f, y) >= 0 of one output. With weights s (sum 1) the weighted loss is
/// sum_i s_i l(f_i, y_i), its multiplier at a prediction f is z_i = -s_i l'(f_i, y_i), and its dual
/// objective is D(z) = -sum_i s_i l*(-z_i / s_i, y_i).
///
/// A new loss says `losses`, `slopes` and `curvatures`, and of its conjugate `conjugates`,
/// `conjugate_slopes`, `conjugate_curvatures` and `domain`. All views have one entry per sample.
class Loss {
 public:
  virtual ~Loss() = default;

  virtual const char* name() const = 0;
  /// Whether targets are -1 and +1.
  virtual bool two_classes() const { return false; }
  /// A bound of the second derivative; infinite where there is none.
  virtual double smoothness() const { return 1.0; }
  /// The least curvature, relative to `dampers`, that a quadratic model adds to the loss's.
  virtual double damping() const { return 1e-10; }
  /// Whether the loss is its own quadratic model.
  virtual bool quadratic() const { return false; }
  /// Whether the conjugate's slope is infinite at the ends of its domain.
  virtual bool steep() const { return false; }

  /// l(f_i, y_i).
  virtual Values losses(VectorView f, VectorView y) const = 0;
  /// l'(f_i, y_i), derivatives by f; at a kink one of the subgradients.
  virtual Values slopes(VectorView f, VectorView y) const = 0;
  /// l''(f_i, y_i). Losses with kinks have none and throw std::logic_error.
  virtual Values curvatures(VectorView f, VectorView y) const;
  /// The curvature that keeps quadratic models above the loss if it is added.
  virtual Values dampers(VectorView f, VectorView y) const;
  /// l*(q_i, y_i) = sup_f q_i f - l(f, y_i); infinite outside the domain.
  virtual Values conjugates(VectorView q, VectorView y) const = 0;
  /// The f at which l' is q_i, inside the domain. Losses with kinks throw std::logic_error.
  virtual Values conjugate_slopes(VectorView q, VectorView y) const;
  /// The second derivative of the conjugate, inside the domain. Losses with kinks throw.
  virtual Values conjugate_curvatures(VectorView q, VectorView y) const;
  /// The intervals of q where the conjugate is finite.
  virtual Intervals domain(VectorView y) const;
  /// Throw std::invalid_argument where targets have no loss, or no constant attains its minimum.
  virtual void check_targets(VectorView y, bool intercept) const;

  /// The weighted loss.
  double value(VectorView f, VectorView y, VectorView sample_weight) const;
  /// z, the negative derivative of the weighted loss by the prediction.
  Values multiplier(VectorView f, VectorView y, VectorView sample_weight) const;
  /// D(z), minus infinity outside the domain.
  double dual_value(VectorView z, VectorView y, VectorView sample_weight) const;
  /// A large D(t z) over 0 <= t <= limit. At the multiplier of a prediction f the derivative of
  /// D(t z) by t is z . f for t = 1, which is positive at optimal weights: t = 1 or the limit.
  virtual double dual_objective(VectorView z, VectorView y, VectorView sample_weight,
                                double limit) const;
  /// The constant c that minimises the weighted loss of f + c.
  virtual double best_shift(VectorView f, VectorView y, VectorView sample_weight) const;
};

/// Half the squared error, l(f, y) = (f - y)^2 / 2: z = s (y - f),
/// D(z) = sum_i (y_i z_i - z_i^2 / (2 s_i)).
class Squared final : public Loss {
 public:
  const char* name() const override { return "squared"; }
  bool quadratic() const override { return true; }
  Values losses(VectorView f, VectorView y) const override;
  Values slopes(VectorView f, VectorView y) const override;
  Values curvatures(VectorView f, VectorView y) const override;
  Values conjugates(VectorView q, VectorView y) const override;
  Values conjugate_slopes(VectorView q, VectorView y) const override;
  Values conjugate_curvatures(VectorView q, VectorView y) const override;
  /// The largest D(t z) over |t| <= limit.
  double dual_objective(VectorView z, VectorView y, VectorView sample_weight,
                        double limit) const override;
  double best_shift(VectorView f, VectorView y, VectorView sample_weight) const override;
};

/// Half the squared error up to `delta`, linear beyond (Huber 1964): r^2 / 2 for
/// |r| = |f - y| <= delta, else delta (|r| - delta / 2).
class Huber final : public Loss {
 public:
  /// `delta` > 0, in units of y; else throws std::invalid_argument.
  explicit Huber(double delta = 1.0);
  double delta() const { return delta_; }

  const char* name() const override { return "huber"; }
  double damping() const override { return 1e-3; }
  Values losses(VectorView f, VectorView y) const override;
  Values slopes(VectorView f, VectorView y) const override;
  Values curvatures(VectorView f, VectorView y) const override;
  Values conjugates(VectorView q, VectorView y) const override;
  Values conjugate_slopes(VectorView q, VectorView y) const override;
  Values conjugate_curvatures(VectorView q, VectorView y) const override;
  Intervals domain(VectorView y) const override;

 private:
  double delta_;
};

/// l(f, y) = log(1 + exp(-y f)), y = -1 or +1. With p_i = y_i z_i / s_i,
/// D(z) = -sum_i s_i [p_i log p_i + (1 - p_i) log(1 - p_i)].
class Logistic final : public Loss {
 public:
  const char* name() const override { return "logistic"; }
  bool two_classes() const override { return true; }
  double smoothness() const override { return 0.25; }
  bool steep() const override { return true; }
  Values losses(VectorView f, VectorView y) const override;
  Values slopes(VectorView f, VectorView y) const override;
  Values curvatures(VectorView f, VectorView y) const override;
  Values conjugates(VectorView q, VectorView y) const override;
  Values conjugate_slopes(VectorView q, VectorView y) const override;
  Values conjugate_curvatures(VectorView q, VectorView y) const override;
  Intervals domain(VectorView y) const override;
  /// With a free constant both classes are needed.
  void check_targets(VectorView y, bool intercept) const override;
};

/// l(f, y) = max(1 - y f, 0)^2 / 2, y = -1 or +1. With p_i = y_i z_i / s_i >= 0,
/// D(z) = sum_i s_i (p_i - p_i^2 / 2).
class SquaredHinge final : public Loss {
 public:
  const char* name() const override { return "squared_hinge"; }
  bool two_classes() const override { return true; }
  double damping() const override { return 1e-3; }
  Values losses(VectorView f, VectorView y) const override;
  Values slopes(VectorView f, VectorView y) const override;
  Values curvatures(VectorView f, VectorView y) const override;
  Values conjugates(VectorView q, VectorView y) const override;
  Values conjugate_slopes(VectorView q, VectorView y) const override;
  Values conjugate_curvatures(VectorView q, VectorView y) const override;
  Intervals domain(VectorView y) const override;
};

/// Half the deviance of counts y >= 0 with mean exp(f): l(f, y) = exp(f) - y f + y log y - y. With
/// q_i = y_i - z_i / s_i >= 0, D(z) = sum_i s_i [q_i - q_i log q_i + y_i log y_i - y_i].
class Poisson final : public Loss {
 public:
  const char* name() const override { return "poisson"; }
  double smoothness() const override { return std::numeric_limits<double>::infinity(); }
  bool steep() const override { return true; }
  Values losses(VectorView f, VectorView y) const override;
  Values slopes(VectorView f, VectorView y) const override;
  Values curvatures(VectorView f, VectorView y) const override;
  /// The largest of exp(f), y and 1: enough for small steps only.
  Values dampers(VectorView f, VectorView y) const override;
  Values conjugates(VectorView q, VectorView y) const override;
  Values conjugate_slopes(VectorView q, VectorView y) const override;
  Values conjugate_curvatures(VectorView q, VectorView y) const override;
  Intervals domain(VectorView y) const override;
  double best_shift(VectorView f, VectorView y, VectorView sample_weight) const override;
  /// With a free constant some target must be positive.
  void check_targets(VectorView y, bool intercept) const override;
};

/// A loss max q e over low <= q <= high of an error e with slope -direction, +1 or -1, by f.
/// Programs with it are solved by way of smooth losses near it.
class Kinked : public Loss {
 public:
  virtual double low() const = 0;
  virtual double high() const = 0;
  virtual double error(double f, double y) const = 0;
  virtual double direction(double y) const = 0;
  double middle() const { return 0.5 * (low() + high()); }

  double smoothness() const final { return std::numeric_limits<double>::infinity(); }
  Values losses(VectorView f, VectorView y) const final;
  Values slopes(VectorView f, VectorView y) const final;
  Values conjugates(VectorView q, VectorView y) const final;
  Intervals domain(VectorView y) const final;
};

/// l(f, y) = max(1 - y f, 0), y = -1 or +1; D(z) = sum_i y_i z_i for 0 <= y_i z_i <= s_i.
class Hinge final : public Kinked {
 public:
  const char* name() const override { return "hinge"; }
  bool two_classes() const override { return true; }
  double low() const override { return 0.0; }
  double high() const override { return 1.0; }
  double error(double f, double y) const override { return 1.0 - y * f; }
  double direction(double y) const override { return y; }
};

/// The pinball loss max(tau (y - f), (tau - 1) (y - f)) (Koenker & Bassett 1978).
class Quantile final : public Kinked {
 public:
  /// `tau`: which quantile, between 0 and 1, else throws std::invalid_argument; 0.5: the median.
  explicit Quantile(double tau = 0.5);
  double tau() const { return tau_; }

  const char* name() const override { return "quantile"; }
  double low() const override { return tau_ - 1.0; }
  double high() const override { return tau_; }
  double error(double f, double y) const override { return y - f; }
  double direction(double) const override { return 1.0; }

 private:
  double tau_;
};

/// The loss that a name stands for, with its default parameter: "squared", "huber", "quantile",
/// "poisson", "logistic", "squared_hinge" or "hinge"; else throws std::invalid_argument.
std::shared_ptr<const Loss> make_loss(const std::string& name);

}  // namespace pyconvex
