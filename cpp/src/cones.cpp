#include "cones.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr Index kFree = 96;      // concave kinks whose share is optimised, those nearest the middle
constexpr int kSweeps = 60;      // of coordinate descent
constexpr double kWeight = 2.0;  // of the bias in descent: enough for d |p_b| to vanish with d
constexpr int kShears = 4;
constexpr double kSettled = 1e-7;
constexpr double kThin = 1e-9;
constexpr double kRounding = 1e-12;
constexpr double kDamping = 1e-10;  // of a Gram matrix, relative to its diagonal

}  // namespace

// A relaxation in work: p, and the steps that it may take in coordinates where the bound is a norm.
struct Cones::Relaxation {
  RowMatrix dual;                     // rows a_j: a_j . v_k = 1 where j = k, else 0
  std::vector<std::int32_t> concave;  // cut rows with a concave kink
  std::vector<double> middle;         // where the middle of the cone lies from each, of its width
  VectorXd p;                         // in coordinates (p_w + p_b t, weight p_b) if there is a bias
  RowMatrix steps;                    // the same
  VectorXd squares, at, high;
  VectorXd shear;       // t; empty without a free bias
  double slack = 0.0;   // d
  double extent = 1.0;  // the smallest of the generators along the middle
  double weight = 1.0;
  std::vector<Index> inside;  // what polish works with, kept between its rounds
  RowMatrix some;
  MatrixXd gram;
  VectorXd wanted;

  // The neuron that attains the norm of p: where descent ends it lies in the cone.
  VectorXd neuron() const {
    VectorXd u = p;
    if (shear.size() > 0) {
      u[shear.size()] = weight * p[shear.size()] + shear.dot(p.head(shear.size()));
    }
    return u;
  }
  double bound() const {
    const Index d = shear.size();
    return d > 0 ? p.head(d).norm() + slack / weight * std::abs(p[d]) : p.norm();
  }
};

Cones::Cones(MatrixView X, const double* z, bool free_bias)
    : X_(as_rows(X)), z_(z), r_(X.cols), d_(free_bias ? X.cols - 1 : X.cols) {
  if (free_bias) {
    const VectorXd norms = X_.leftCols(d_).rowwise().norm();
    radius_ = norms.maxCoeff();
    spread_ = norms.norm() / std::sqrt(static_cast<double>(norms.size() * d_));
  }
}

std::vector<Cone> Cones::cover() const {
  Cone whole;
  whole.linear = VectorXd::Zero(r_);
  for (Index i = 0; i < X_.rows(); ++i) {
    if (z_[i] != 0.0) {
      whole.cut.push_back(static_cast<std::int32_t>(i));
    }
  }
  std::vector<Cone> cones;
  if (d_ < r_ && radius_ == 0.0) {  // all rows are alike, and sum z = 0
    return cones;
  }
  for (const double sign : {1.0, -1.0}) {
    whole.sign = sign;
    for (Index orthant = 0; orthant < (Index{1} << d_); ++orthant) {
      RowMatrix axes = RowMatrix::Zero(d_, r_);
      for (Index k = 0; k < d_; ++k) {
        axes(k, k) = ((orthant >> k) & 1) != 0 ? -1.0 : 1.0;
      }
      for (Index j = 0; j < (d_ < r_ ? d_ : 1); ++j) {
        whole.generators = axes;
        if (d_ < r_) {  // the first j + 1 axes at -R, the others and axis j at R
          whole.generators.resize(r_, r_);
          whole.generators << axes.topRows(j + 1), axes.bottomRows(d_ - j);
          whole.generators.col(d_).head(j + 1).setConstant(-radius_);
          whole.generators.col(d_).tail(d_ - j).setConstant(radius_);
        }
        cones.push_back(whole);
      }
    }
  }
  return cones;
}

double Cones::widest(const Cone& cone, Index& a, Index& b) const {
  double width = -1.0;
  for (Index i = 0; i < r_; ++i) {
    for (Index j = 0; j < i; ++j) {
      const VectorXd apart = cone.generators.row(i) - cone.generators.row(j);
      const double square =
          apart.head(d_).squaredNorm() + (d_ < r_ ? std::pow(apart[d_] / spread_, 2) : 0.0);
      if (square > width) {
        width = square;
        a = i;
        b = j;
      }
    }
  }
  return width;
}

bool Cones::is_thin(const Cone& cone) const {
  Index a = 0, b = 0;
  return widest(cone, a, b) < kThin * kThin;
}

std::vector<Cone> Cones::halve(const Cone& cone) const {
  Index a = 0, b = 0;
  widest(cone, a, b);
  VectorXd middle = cone.generators.row(a) + cone.generators.row(b);
  middle /= norm(middle);
  std::vector<Cone> halves(2, cone);
  halves[0].generators.row(a) = middle;
  halves[1].generators.row(b) = middle;
  return halves;
}

void Cones::evaluate(Cone& cone, double cutoff) const {
  Relaxation relaxation;
  relaxation.dual = cone.generators.transpose().inverse();
  cone.value = 0.0;
  VectorXd interpolated = VectorXd::Zero(r_);
  sort_rows(cone, interpolated, relaxation);
  try_point(cone, relaxation.dual, cone.generators.colwise().sum());
  if (!relaxation.dual.allFinite()) {  // too thin: leave the bound as it was
    return;
  }
  relaxation.p = cone.linear + relaxation.dual.transpose() * interpolated;
  set_steps(cone, relaxation);
  if (d_ < r_) {
    weigh_bias(cone, relaxation);
  }
  cone.bound = std::min(cone.bound, descend(cone, relaxation, cutoff) * (1.0 + kRounding));
}

// Rows that are on join the linear part; the others that are cut stay in the list.
void Cones::sort_rows(Cone& cone, VectorXd& interpolated, Relaxation& relaxation) const {
  std::vector<std::int32_t> cut;
  VectorXd t(r_);
  for (const std::int32_t i : cone.cut) {
    t.noalias() = cone.generators * X_.row(i).transpose();
    const double low = t.minCoeff(), high = t.maxCoeff();
    const double slope = cone.sign * z_[i];
    if (low >= 0.0) {
      cone.linear += slope * X_.row(i).transpose();
    } else if (high > 0.0) {
      cut.push_back(i);
      if (slope > 0.0) {
        interpolated += slope * t.cwiseMax(0.0);
      } else {
        relaxation.concave.push_back(i);
        relaxation.middle.push_back(t.sum() / (high - low));
      }
    }
  }
  cone.cut = std::move(cut);
}

// Give the bias its weight in descent, and the shear through the middle.
void Cones::weigh_bias(const Cone& cone, Relaxation& relaxation) const {
  VectorXd middle = cone.generators.colwise().sum();
  middle /= norm(middle);
  relaxation.extent = (cone.generators.leftCols(d_) * middle.head(d_)).minCoeff();
  relaxation.weight = kWeight * spread_;
  relaxation.p[d_] *= relaxation.weight;
  relaxation.steps.col(d_) *= relaxation.weight;
  relaxation.shear = VectorXd::Zero(d_);
  set_shear(cone, middle, relaxation);
}

// The shear through a neuron c: t = b_c w_c / ||w_c||^2. On the whole cone the deviation is at most
// the largest at the generators over their smallest extent along the middle.
void Cones::set_shear(const Cone& cone, const VectorXd& c, Relaxation& relaxation) const {
  const Index d = d_;
  const VectorXd t = c[d] / c.head(d).squaredNorm() * c.head(d);
  const VectorXd change = t - relaxation.shear;
  relaxation.p.head(d) += relaxation.p[d] / relaxation.weight * change;
  relaxation.steps.leftCols(d) += relaxation.steps.col(d) / relaxation.weight * change.transpose();
  relaxation.squares = relaxation.steps.rowwise().squaredNorm();
  relaxation.shear = t;
  const VectorXd deviation = cone.generators.col(d) - cone.generators.leftCols(d) * t;
  relaxation.slack = deviation.cwiseAbs().maxCoeff() / relaxation.extent;
}

// Concave kinks with a share to choose, then the multipliers; the other kinks are on or off as in
// the middle.
void Cones::set_steps(const Cone& cone, Relaxation& relaxation) const {
  const std::vector<double>& middle = relaxation.middle;
  const auto n = static_cast<Index>(middle.size());
  const Index free = std::min(n, kFree);
  std::vector<std::size_t> order(middle.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (free < n) {
    std::nth_element(
        order.begin(), order.begin() + free, order.end(),
        [&](std::size_t a, std::size_t b) { return std::abs(middle[a]) < std::abs(middle[b]); });
  }
  RowMatrix& steps = relaxation.steps;
  steps.resize(free + r_, r_);
  relaxation.at = VectorXd::Zero(free + r_);
  relaxation.high = VectorXd::Ones(free + r_);
  relaxation.high.tail(r_).setConstant(1e300);
  for (Index k = 0; k < n; ++k) {
    const std::size_t from = order[static_cast<std::size_t>(k)];
    const std::int32_t i = relaxation.concave[from];
    const VectorXd step = cone.sign * z_[i] * X_.row(i).transpose();
    if (middle[from] > 0.0) {
      relaxation.p += step;
    }
    if (k < free) {
      steps.row(k) = step;
      relaxation.at[k] = middle[from] > 0.0 ? 1.0 : 0.0;
    }
  }
  steps.bottomRows(r_) = relaxation.dual;
  relaxation.squares = steps.rowwise().squaredNorm();
}

// Coordinate descent over shares and multipliers; returns the bound. Once it settles the shear goes
// through the neuron found, which is where the bias coordinate of p then costs nothing.
double Cones::descend(Cone& cone, Relaxation& relaxation, double cutoff) const {
  double best = relaxation.bound();
  int shears = 0;
  for (int round = 0; round < kSweeps && best > cutoff; ++round) {
    const double moved = sweep(relaxation) + polish(relaxation);
    best = std::min(best, relaxation.bound());
    const bool settled = moved <= kSettled * best;
    if (!settled && round != 3 && round != 15 && round + 1 != kSweeps) {
      continue;
    }
    const VectorXd u = try_point(cone, relaxation.dual, relaxation.neuron());
    if (cone.value > cutoff) {  // nothing can prune a cone that holds the maximum
      break;
    }
    if (settled) {
      if (d_ == r_ || shears++ == kShears || !(norm(u) > 0.0)) {
        break;
      }
      set_shear(cone, u, relaxation);
      best = std::min(best, relaxation.bound());
    }
  }
  return best;
}

// One round of coordinate descent; returns the longest step.
double Cones::sweep(Relaxation& relaxation) {
  double moved = 0.0;
  for (Index k = relaxation.steps.rows(); k-- > 0;) {
    const double square = relaxation.squares[k];
    double& at = relaxation.at[k];
    if (!(square > 0.0)) {
      continue;
    }
    const double wanted = at - relaxation.steps.row(k).dot(relaxation.p) / square;
    const double next = std::clamp(wanted, 0.0, relaxation.high[k]);
    if (next != at) {
      relaxation.p += (next - at) * relaxation.steps.row(k).transpose();
      moved = std::max(moved, std::abs(next - at) * std::sqrt(square));
      at = next;
    }
  }
  return moved;
}

// Solve for the shares and multipliers strictly between their limits, as far as these permit. More
// of them than coordinates make a singular system: damped a little it has nearly the least
// solution.
double Cones::polish(Relaxation& relaxation) {
  const VectorXd start = relaxation.p;
  const Index most = 2 * start.size();
  std::vector<Index>& inside = relaxation.inside;
  relaxation.some.resize(most, start.size());
  relaxation.gram.resize(most, most);
  relaxation.wanted.resize(most);
  for (Index round = 0; round < start.size(); ++round) {
    inside.clear();
    for (Index k = 0; k < relaxation.at.size(); ++k) {
      if (relaxation.at[k] > 0.0 && relaxation.at[k] < relaxation.high[k]) {
        inside.push_back(k);
      }
    }
    const auto m = static_cast<Index>(inside.size());
    if (m == 0 || m > most) {
      break;
    }
    auto S = relaxation.some.topRows(m);
    for (Index k = 0; k < m; ++k) {
      S.row(k) = relaxation.steps.row(inside[static_cast<std::size_t>(k)]);
    }
    auto gram = relaxation.gram.topLeftCorner(m, m);
    gram.noalias() = S.lazyProduct(S.transpose());
    gram.diagonal() *= 1.0 + kDamping;
    const Eigen::LLT<Eigen::Ref<MatrixXd>> factor(gram);
    auto wanted = relaxation.wanted.head(m);
    wanted = -S.lazyProduct(relaxation.p);
    factor.solveInPlace(wanted);
    double size = 1.0;
    Index first = -1;
    for (Index k = 0; k < m; ++k) {
      const Index i = inside[static_cast<std::size_t>(k)];
      const double room =
          wanted[k] > 0.0 ? relaxation.high[i] - relaxation.at[i] : relaxation.at[i];
      if (std::abs(wanted[k]) * size > room) {
        size = room / std::abs(wanted[k]);
        first = k;
      }
    }
    relaxation.p += size * S.transpose().lazyProduct(wanted);
    for (Index k = 0; k < m; ++k) {
      const Index i = inside[static_cast<std::size_t>(k)];
      relaxation.at[i] += size * wanted[k];
      if (k == first) {
        relaxation.at[i] = wanted[k] > 0.0 ? relaxation.high[i] : 0.0;
      }
    }
    if (first < 0) {
      break;
    }
  }
  return (relaxation.p - start).norm();
}

// Move a direction into the cone, at unit norm, and note its value there; returns it.
VectorXd Cones::try_point(Cone& cone, const RowMatrix& dual, const VectorXd& direction) const {
  VectorXd u = cone.generators.transpose() * (dual * direction).cwiseMax(0.0);
  const double size = norm(u);
  if (!(size > 0.0)) {
    return u;
  }
  u /= size;
  double value = cone.linear.dot(u);
  for (const std::int32_t i : cone.cut) {
    const double a = X_.row(i).dot(u);
    value += a > 0.0 ? cone.sign * z_[i] * a : 0.0;
  }
  if (value > cone.value) {
    cone.value = value;
    cone.point = u;
  }
  return u;
}

}  // namespace pyconvex
