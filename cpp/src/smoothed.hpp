// What loss functions share, and the smooth stand-ins of those with a kink. Private.
#pragma once

#include "pyconvex/losses.hpp"

namespace pyconvex {

constexpr double kRounded = 1e-10;  // a multiplier may leave the domain by this much, relative

/// of(a_i, b_i) for each entry.
template <class Function>
Values each(VectorView a, VectorView b, Function of) {
  Values values(static_cast<std::size_t>(a.size));
  for (Index i = 0; i < a.size; ++i) {
    values[static_cast<std::size_t>(i)] = of(a[i], b[i]);
  }
  return values;
}

/// max over low <= q <= high of q e + width / 2 (D^2 - (q - centre)^2) with D the largest of all
/// |q - centre|: smooth, and nowhere less than the kinked loss. Setting the centre to the last
/// maximiser again and again is the proximal point method on the dual (Rockafellar 1976).
class Smoothed final : public Loss {
 public:
  /// `centre`, one per sample: where the maximiser is drawn to. `width` > 0: in units of the error.
  Smoothed(std::shared_ptr<const Kinked> kinked, Values centre, double width);

  const std::shared_ptr<const Kinked>& kinked() const { return kinked_; }
  double width() const { return width_; }
  /// The q that attain the maximum.
  Values maximisers(VectorView f, VectorView y) const;

  const char* name() const override { return "smoothed"; }
  double smoothness() const override { return 1.0 / width_; }
  double damping() const override { return 1e-2; }
  Values losses(VectorView f, VectorView y) const override;
  Values slopes(VectorView f, VectorView y) const override;
  Values curvatures(VectorView f, VectorView y) const override;
  Values conjugates(VectorView q, VectorView y) const override;
  Values conjugate_slopes(VectorView q, VectorView y) const override;
  Values conjugate_curvatures(VectorView q, VectorView y) const override;
  Intervals domain(VectorView y) const override { return kinked_->domain(y); }

 private:
  double raised(Index i, double q) const;

  std::shared_ptr<const Kinked> kinked_;
  Values centre_;
  double width_;
};

/// The loss smoothed over a share of the mean error of f = 0, all centres in the middle.
std::shared_ptr<const Smoothed> smoothed(const std::shared_ptr<const Kinked>& loss, VectorView y,
                                         double share);

}  // namespace pyconvex
