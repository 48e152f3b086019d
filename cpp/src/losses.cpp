#include "pyconvex/losses.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace pyconvex {
namespace {

// The same number as in pyconvex/losses/base.py; a test compares them.
constexpr int kSteps = 100;  // of the search for a constant

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Values filled(VectorView like, double value) {
  return Values(static_cast<std::size_t>(like.size), value);
}

// -z_i / s_i: where the conjugate is asked.
Values shares(VectorView z, VectorView sample_weight) {
  Values q(static_cast<std::size_t>(z.size));
  std::transform(z.begin(), z.end(), sample_weight.begin(), q.begin(),
                 [](double a, double s) { return -a / s; });
  return q;
}

double dot(VectorView a, const Values& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

[[noreturn]] void refuse_kink(const Loss& loss) {
  throw std::logic_error(std::string("loss \"") + loss.name() + "\" says no second derivative");
}

}  // namespace

Values Loss::curvatures(VectorView, VectorView) const {
  refuse_kink(*this);
}

Values Loss::dampers(VectorView f, VectorView) const {
  return filled(f, smoothness());
}

Values Loss::conjugate_slopes(VectorView, VectorView) const {
  refuse_kink(*this);
}

Values Loss::conjugate_curvatures(VectorView, VectorView) const {
  refuse_kink(*this);
}

Intervals Loss::domain(VectorView y) const {
  return {filled(y, -kInfinity), filled(y, kInfinity)};
}

void Loss::check_targets(VectorView y, bool) const {
  const auto is_class = [](double target) { return target == -1.0 || target == 1.0; };
  if (two_classes() && !std::all_of(y.begin(), y.end(), is_class)) {
    throw std::invalid_argument(std::string("y must be -1 or +1 for loss \"") + name() +
                                "\": code the two classes so");
  }
}

double Loss::value(VectorView f, VectorView y, VectorView sample_weight) const {
  return dot(sample_weight, losses(f, y));
}

Values Loss::multiplier(VectorView f, VectorView y, VectorView sample_weight) const {
  Values z = slopes(f, y);
  std::transform(z.begin(), z.end(), sample_weight.begin(), z.begin(),
                 [](double slope, double s) { return -s * slope; });
  return z;
}

double Loss::dual_value(VectorView z, VectorView y, VectorView sample_weight) const {
  return -dot(sample_weight, conjugates(shares(z, sample_weight), y));
}

double Loss::dual_objective(VectorView z, VectorView y, VectorView sample_weight,
                            double limit) const {
  Values scaled(z.begin(), z.end());
  for (double& entry : scaled) {
    entry *= std::min(1.0, limit);
  }
  return dual_value(scaled, y, sample_weight);
}

// Newton's method inside a bracket of the root of the derivative.
double Loss::best_shift(VectorView f, VectorView y, VectorView sample_weight) const {
  double low = -kInfinity, high = kInfinity, shift = 0.0;
  Values moved(static_cast<std::size_t>(f.size));
  for (int step = 0; step < kSteps; ++step) {
    std::transform(f.begin(), f.end(), moved.begin(), [&](double a) { return a + shift; });
    const double slope = dot(sample_weight, slopes(moved, y));
    const double curvature = dot(sample_weight, curvatures(moved, y));
    if (slope == 0.0) {
      break;
    }
    (slope < 0.0 ? low : high) = shift;
    const double newton = shift - slope / curvature;
    double next = 0.5 * (low + high);
    if (low < newton && newton < high && std::abs(newton - shift) <= std::pow(4.0, step + 1)) {
      next = newton;
    } else if (std::isinf(low) || std::isinf(high)) {
      next = shift - std::copysign(std::pow(2.0, step), slope);
    }
    if (next == shift || next == low || next == high) {
      break;
    }
    shift = next;
  }
  return shift;
}

std::shared_ptr<const Loss> make_loss(const std::string& name) {
  const std::shared_ptr<const Loss> all[] = {
      std::make_shared<Squared>(), std::make_shared<Huber>(),    std::make_shared<Quantile>(),
      std::make_shared<Poisson>(), std::make_shared<Logistic>(), std::make_shared<SquaredHinge>(),
      std::make_shared<Hinge>()};
  std::string names;
  for (const std::shared_ptr<const Loss>& loss : all) {
    if (name == loss->name()) {
      return loss;
    }
    names += (names.empty() ? "\"" : ", \"") + std::string(loss->name()) + "\"";
  }
  throw std::invalid_argument("loss must be one of " + names + ", got \"" + name + "\"");
}

}  // namespace pyconvex
