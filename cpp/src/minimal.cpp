#include "minimal.hpp"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <vector>

namespace pyconvex {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kDependent = 1e-12;  // singular values of unit columns below this, relative: zero
constexpr double kRounding = 1e-15;   // entries of unit vectors below this say nothing
constexpr double kEven = 1e-12;       // changes of the penalty below this are rounding

// An orthonormal basis of the dependencies of the columns that are left.
MatrixXd null_space(const MatrixXd& units, const std::vector<Index>& left) {
  const auto m = static_cast<Index>(left.size());
  if (m == 0) {
    return {0, 0};
  }
  MatrixXd columns(units.rows(), m);
  for (Index j = 0; j < m; ++j) {
    columns.col(j) = units.col(left[static_cast<std::size_t>(j)]);
  }
  const Index rows = std::min(units.rows(), m);  // the triangle keeps the decomposition small
  const MatrixXd triangle = Eigen::HouseholderQR<MatrixXd>(columns)
                                .matrixQR()
                                .topRows(rows)
                                .triangularView<Eigen::Upper>();
  const Eigen::BDCSVD<MatrixXd> svd(triangle, Eigen::ComputeFullV | Eigen::ComputeThinU);
  const VectorXd& values = svd.singularValues();
  const Index rank = (values.array() > kDependent * values[0]).count();
  return svd.matrixV().rightCols(m - rank);
}

// The step or its opposite: the one that does not raise the penalty. Where neither does, the one
// along which neurons shrink faster than others grow.
VectorXd downhill(const VectorXd& step, const VectorXd& sizes, const VectorXd& prices) {
  const VectorXd slopes = prices.cwiseProduct(step);
  if (std::abs(slopes.sum()) > kEven * slopes.cwiseAbs().sum()) {
    return slopes.sum() < 0.0 ? step : VectorXd(-step);
  }
  double shrink = 0.0, grow = 0.0;
  for (Index j = 0; j < sizes.size(); ++j) {
    if (sizes[j] > 0.0) {
      shrink = std::max(shrink, -step[j] / sizes[j]);
      grow = std::max(grow, step[j] / sizes[j]);
    }
  }
  return shrink >= grow ? step : VectorXd(-step);
}

// A basis of the dependencies that leave out column j: a Householder reflection.
MatrixXd without(const MatrixXd& null, Index j) {
  VectorXd mirror = null.row(j);
  mirror[0] += std::copysign(mirror.norm(), mirror[0]);
  mirror.normalize();
  MatrixXd reflected = null - 2.0 * (null * mirror) * mirror.transpose();
  reflected.row(j).setZero();
  return reflected.rightCols(null.cols() - 1);
}

// Let one neuron vanish per dependency.
void walk(VectorXd& sizes, const VectorXd& prices, MatrixXd null) {
  while (null.cols() > 0) {
    const VectorXd step = downhill(null.col(0), sizes, prices);
    Index first = -1;
    double t = 0.0;
    for (Index j = 0; j < sizes.size(); ++j) {
      if (step[j] < -kRounding && (first < 0 || sizes[j] / -step[j] < t)) {
        first = j;
        t = sizes[j] / -step[j];
      }
    }
    if (first < 0) {
      null = null.rightCols(null.cols() - 1).eval();
      continue;
    }
    sizes = (sizes + t * step).cwiseMax(0.0);
    sizes[first] = 0.0;
    null = without(null, first);
  }
}

}  // namespace

Sizes minimal_sizes(const MatrixXd& outputs, const VectorXd& costs, bool constant) {
  // Centred, a unit of output of a ReLU neuron costs at least 1 / ||centred X||, hidden bias free
  // or not, so that no neuron grows beyond what the penalty allows and rounding stays small.
  Eigen::RowVectorXd means = Eigen::RowVectorXd::Zero(outputs.cols());
  if (constant && outputs.size() > 0) {
    means = outputs.colwise().mean();
  }
  MatrixXd units = outputs.rowwise() - means;
  const VectorXd lengths = units.colwise().norm(), whole = outputs.colwise().norm();
  VectorXd sizes = VectorXd::Zero(lengths.size()), factors = sizes;
  std::vector<Index> left;
  for (Index j = 0; j < lengths.size(); ++j) {
    if (lengths[j] > kDependent * whole[j]) {
      units.col(j) /= lengths[j];
      if (constant) {  // again: next to a large mean what is left is not orthogonal to constants
        units.col(j).array() -= units.col(j).mean();
      }
      sizes[j] = lengths[j];
      left.push_back(j);
    }
  }
  for (MatrixXd null = null_space(units, left); null.cols() > 0; null = null_space(units, left)) {
    VectorXd part(static_cast<Index>(left.size())), prices(part.size());
    for (Index k = 0; k < part.size(); ++k) {
      const Index j = left[static_cast<std::size_t>(k)];
      part[k] = sizes[j];
      prices[k] = costs[j] / lengths[j];
    }
    walk(part, prices, null);
    std::vector<Index> kept;
    for (Index k = 0; k < part.size(); ++k) {
      const Index j = left[static_cast<std::size_t>(k)];
      sizes[j] = part[k];
      if (part[k] > 0.0) {
        kept.push_back(j);
      }
    }
    if (kept.size() == left.size()) {  // not reached but for rounding
      break;
    }
    left = kept;
  }
  for (const Index j : left) {
    factors[j] = sizes[j] / lengths[j];
  }
  return {factors, means.dot((1.0 - factors.array()).matrix().transpose())};
}

}  // namespace pyconvex
