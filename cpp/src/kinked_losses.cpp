#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "smoothed.hpp"

namespace pyconvex {

Values Kinked::losses(VectorView f, VectorView y) const {
  return each(f, y, [this](double prediction, double target) {
    const double e = error(prediction, target);
    return std::max(low() * e, high() * e);
  });
}

Values Kinked::slopes(VectorView f, VectorView y) const {
  return each(f, y, [this](double prediction, double target) {
    const double e = error(prediction, target);
    double q = middle();
    if (e != 0.0) {
      q = e > 0.0 ? high() : low();
    }
    return -q * direction(target);
  });
}

// Linear on the domain, as the loss is there.
Values Kinked::conjugates(VectorView q, VectorView y) const {
  return each(q, y, [this](double slope, double target) {
    const double share = -slope * direction(target);
    const double inside = std::clamp(share, low(), high());
    return std::abs(share - inside) > kRounded ? std::numeric_limits<double>::infinity()
                                               : -inside * error(0.0, target);
  });
}

Intervals Kinked::domain(VectorView y) const {
  const auto end = [this](double target, bool first) {
    const double a = -low() * direction(target), b = -high() * direction(target);
    return first ? std::min(a, b) : std::max(a, b);
  };
  return {each(y, y, [&](double target, double) { return end(target, true); }),
          each(y, y, [&](double target, double) { return end(target, false); })};
}

Quantile::Quantile(double tau) : tau_(tau) {
  if (!(tau > 0.0 && tau < 1.0)) {
    throw std::invalid_argument("tau must be a number between 0 and 1, e.g. 0.5 for the median");
  }
}

Smoothed::Smoothed(std::shared_ptr<const Kinked> kinked, Values centre, double width)
    : kinked_(std::move(kinked)), centre_(std::move(centre)), width_(width) {}

Values Smoothed::maximisers(VectorView f, VectorView y) const {
  Values q(centre_.size());
  for (Index i = 0; i < f.size; ++i) {
    const auto k = static_cast<std::size_t>(i);
    q[k] = std::clamp(centre_[k] + kinked_->error(f[i], y[i]) / width_, kinked_->low(),
                      kinked_->high());
  }
  return q;
}

// D^2 - (q - centre)^2.
double Smoothed::raised(Index i, double q) const {
  const double centre = centre_[static_cast<std::size_t>(i)], apart = q - centre;
  const double farthest =
      std::max(std::abs(kinked_->low() - centre), std::abs(kinked_->high() - centre));
  return farthest * farthest - apart * apart;
}

Values Smoothed::losses(VectorView f, VectorView y) const {
  Values values = maximisers(f, y);
  for (Index i = 0; i < f.size; ++i) {
    double& q = values[static_cast<std::size_t>(i)];
    q = q * kinked_->error(f[i], y[i]) + 0.5 * width_ * raised(i, q);
  }
  return values;
}

Values Smoothed::slopes(VectorView f, VectorView y) const {
  return each(maximisers(f, y), y,
              [this](double q, double target) { return -q * kinked_->direction(target); });
}

Values Smoothed::curvatures(VectorView f, VectorView y) const {
  return each(maximisers(f, y), y, [this](double q, double) {
    return q > kinked_->low() && q < kinked_->high() ? 1.0 / width_ : 0.0;
  });
}

Values Smoothed::conjugates(VectorView q, VectorView y) const {
  Values values = kinked_->conjugates(q, y);
  for (Index i = 0; i < q.size; ++i) {
    const double share = -q[i] * kinked_->direction(y[i]);
    values[static_cast<std::size_t>(i)] -= 0.5 * width_ * raised(i, share);
  }
  return values;
}

// The f whose error is width (share - centre).
Values Smoothed::conjugate_slopes(VectorView q, VectorView y) const {
  Values values(centre_.size());
  for (Index i = 0; i < q.size; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double direction = kinked_->direction(y[i]);
    const double error = width_ * (-q[i] * direction - centre_[k]);
    values[k] = direction * (kinked_->error(0.0, y[i]) - error);
  }
  return values;
}

Values Smoothed::conjugate_curvatures(VectorView q, VectorView) const {
  return Values(static_cast<std::size_t>(q.size), width_);
}

std::shared_ptr<const Smoothed> smoothed(const std::shared_ptr<const Kinked>& loss, VectorView y,
                                         double share) {
  const Values errors = loss->losses(Values(static_cast<std::size_t>(y.size), 0.0), y);
  const double mean =
      std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(errors.size());
  const double width = share * mean;
  return std::make_shared<Smoothed>(loss, Values(errors.size(), loss->middle()),
                                    width > 0.0 ? width : 1.0);
}

}  // namespace pyconvex
