#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "smoothed.hpp"

namespace pyconvex {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Values filled(VectorView like, double value) {
  return Values(static_cast<std::size_t>(like.size), value);
}

// 1 / (1 + exp(-x)).
double expit(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

// x log x, 0 at 0.
double xlogx(double x) {
  return x > 0.0 ? x * std::log(x) : 0.0;
}

}  // namespace

Values Squared::losses(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return 0.5 * (a - b) * (a - b); });
}

Values Squared::slopes(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return a - b; });
}

Values Squared::curvatures(VectorView f, VectorView) const {
  return filled(f, 1.0);
}

Values Squared::conjugates(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) { return a * b + 0.5 * a * a; });
}

Values Squared::conjugate_slopes(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) { return a + b; });
}

Values Squared::conjugate_curvatures(VectorView q, VectorView) const {
  return filled(q, 1.0);
}

double Squared::dual_objective(VectorView z, VectorView y, VectorView sample_weight,
                               double limit) const {
  double linear = 0.0, quadratic = 0.0;
  for (Index i = 0; i < z.size; ++i) {
    linear += z[i] * y[i];
    quadratic += z[i] * (z[i] / sample_weight[i]);
  }
  if (quadratic == 0.0) {
    return 0.0;
  }
  const double t = std::clamp(linear / quadratic, -limit, limit);
  return t * linear - 0.5 * t * t * quadratic;
}

double Squared::best_shift(VectorView f, VectorView y, VectorView sample_weight) const {
  double mean = 0.0;
  for (Index i = 0; i < f.size; ++i) {
    mean += sample_weight[i] * (y[i] - f[i]);
  }
  return mean;
}

Huber::Huber(double delta) : delta_(delta) {
  if (!(delta > 0.0) || std::isinf(delta)) {
    throw std::invalid_argument("delta must be a finite number > 0");
  }
}

Values Huber::losses(VectorView f, VectorView y) const {
  return each(f, y, [this](double a, double b) {
    const double size = std::abs(a - b), inside = std::min(size, delta_);
    return inside * (size - 0.5 * inside);
  });
}

Values Huber::slopes(VectorView f, VectorView y) const {
  return each(f, y, [this](double a, double b) { return std::clamp(a - b, -delta_, delta_); });
}

Values Huber::curvatures(VectorView f, VectorView y) const {
  return each(f, y, [this](double a, double b) { return std::abs(a - b) <= delta_ ? 1.0 : 0.0; });
}

Values Huber::conjugates(VectorView q, VectorView y) const {
  return each(q, y, [this](double a, double b) {
    return std::abs(a) > delta_ * (1.0 + kRounded) ? kInfinity : a * b + 0.5 * a * a;
  });
}

Values Huber::conjugate_slopes(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) { return a + b; });
}

Values Huber::conjugate_curvatures(VectorView q, VectorView) const {
  return filled(q, 1.0);
}

Intervals Huber::domain(VectorView y) const {
  return {filled(y, -delta_), filled(y, delta_)};
}

Values Logistic::losses(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) {
    const double margin = b * a;
    return std::max(-margin, 0.0) + std::log1p(std::exp(-std::abs(margin)));
  });
}

Values Logistic::slopes(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return -b * expit(-b * a); });
}

Values Logistic::curvatures(VectorView f, VectorView) const {
  return each(f, f, [](double a, double) { return expit(a) * expit(-a); });
}

Values Logistic::conjugates(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) {
    const double p = -a * b, inside = std::clamp(p, 0.0, 1.0);
    return std::abs(p - inside) > kRounded ? kInfinity : xlogx(inside) + xlogx(1.0 - inside);
  });
}

Values Logistic::conjugate_slopes(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) {
    const double p = -a * b;
    return b * (std::log1p(-p) - std::log(p));
  });
}

Values Logistic::conjugate_curvatures(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) {
    const double p = -a * b;
    return 1.0 / (p * (1.0 - p));
  });
}

Intervals Logistic::domain(VectorView y) const {
  return {each(y, y, [](double b, double) { return std::min(-b, 0.0); }),
          each(y, y, [](double b, double) { return std::max(-b, 0.0); })};
}

void Logistic::check_targets(VectorView y, bool intercept) const {
  Loss::check_targets(y, intercept);
  if (intercept && std::count(y.begin(), y.end(), y[0]) == y.size) {
    throw std::invalid_argument(
        "y holds one class only, so the best output bias is infinite for loss \"logistic\": pass "
        "both classes, or leave out the output bias (Bias::decayed)");
  }
}

Values SquaredHinge::losses(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) {
    const double short_by = std::max(1.0 - b * a, 0.0);
    return 0.5 * short_by * short_by;
  });
}

Values SquaredHinge::slopes(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return -b * std::max(1.0 - b * a, 0.0); });
}

Values SquaredHinge::curvatures(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return b * a < 1.0 ? 1.0 : 0.0; });
}

Values SquaredHinge::conjugates(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) {
    const double p = -a * b;
    return p < 0.0 ? kInfinity : 0.5 * p * p - p;
  });
}

Values SquaredHinge::conjugate_slopes(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) { return a + b; });
}

Values SquaredHinge::conjugate_curvatures(VectorView q, VectorView) const {
  return filled(q, 1.0);
}

Intervals SquaredHinge::domain(VectorView y) const {
  return {each(y, y, [](double b, double) { return b > 0.0 ? -kInfinity : 0.0; }),
          each(y, y, [](double b, double) { return b > 0.0 ? 0.0 : kInfinity; })};
}

Values Poisson::losses(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return std::exp(a) - b * a + xlogx(b) - b; });
}

Values Poisson::slopes(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return std::exp(a) - b; });
}

Values Poisson::curvatures(VectorView f, VectorView) const {
  return each(f, f, [](double a, double) { return std::exp(a); });
}

Values Poisson::dampers(VectorView f, VectorView y) const {
  return each(f, y, [](double a, double b) { return std::max({std::exp(a), b, 1.0}); });
}

Values Poisson::conjugates(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) {
    const double sum = a + b, mean = std::abs(sum) <= 1e-15 * b ? 0.0 : sum;
    return mean < 0.0 ? kInfinity : xlogx(mean) - mean - xlogx(b) + b;
  });
}

Values Poisson::conjugate_slopes(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) { return std::log(a + b); });
}

Values Poisson::conjugate_curvatures(VectorView q, VectorView y) const {
  return each(q, y, [](double a, double b) { return 1.0 / (a + b); });
}

Intervals Poisson::domain(VectorView y) const {
  return {each(y, y, [](double b, double) { return -b; }), filled(y, kInfinity)};
}

// The c with sum_i s_i exp(f_i + c) = sum_i s_i y_i.
double Poisson::best_shift(VectorView f, VectorView y, VectorView sample_weight) const {
  const double largest = *std::max_element(f.begin(), f.end());
  double total = 0.0, mean = 0.0;
  for (Index i = 0; i < f.size; ++i) {
    total += sample_weight[i] * std::exp(f[i] - largest);
    mean += sample_weight[i] * y[i];
  }
  return std::log(mean) - largest - std::log(total);
}

void Poisson::check_targets(VectorView y, bool intercept) const {
  if (std::any_of(y.begin(), y.end(), [](double b) { return b < 0.0; })) {
    throw std::invalid_argument("y must be >= 0 for loss \"poisson\": it holds counts or rates");
  }
  if (intercept && std::all_of(y.begin(), y.end(), [](double b) { return b == 0.0; })) {
    throw std::invalid_argument(
        "y is zero everywhere, so the best output bias is infinite for loss \"poisson\": leave out "
        "the output bias (Bias::decayed)");
  }
}

}  // namespace pyconvex
