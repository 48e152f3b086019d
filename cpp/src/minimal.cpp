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

// An orthonormal basis of the dependencies of the columns, the constant one last.
MatrixXd null_space(const MatrixXd& units, const std::vector<Index>& left, bool constant) {
  const auto m = static_cast<Index>(left.size());
  const Index n = units.rows(), width = m + (constant ? 1 : 0);
  if (m == 0) {
    return {width, 0};
  }
  MatrixXd columns(n, width);
  for (Index j = 0; j < m; ++j) {
    columns.col(j) = units.col(left[static_cast<std::size_t>(j)]);
  }
  if (constant) {
    columns.col(m).setConstant(1.0 / std::sqrt(static_cast<double>(n)));
  }
  const Index rows = std::min(n, width);  // the triangle keeps the decomposition small
  const MatrixXd triangle = Eigen::HouseholderQR<MatrixXd>(columns)
                                .matrixQR()
                                .topRows(rows)
                                .triangularView<Eigen::Upper>();
  const Eigen::BDCSVD<MatrixXd> svd(triangle, Eigen::ComputeFullV | Eigen::ComputeThinU);
  const VectorXd& values = svd.singularValues();
  const Index rank = (values.array() > kDependent * values[0]).count();
  return svd.matrixV().rightCols(width - rank);
}

// The step or its opposite: the one that does not raise the penalty. Where neither does, the one
// along which neurons shrink faster than others grow.
VectorXd downhill(const VectorXd& step, const VectorXd& sizes, const VectorXd& prices) {
  const VectorXd slopes = prices.cwiseProduct(step.head(prices.size()));
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

// Let one neuron vanish per dependency; return the change of the constant's size.
double walk(VectorXd& sizes, const VectorXd& prices, MatrixXd null) {
  const Index m = sizes.size();
  double change = 0.0;
  while (null.cols() > 0) {
    const VectorXd step = downhill(null.col(0), sizes, prices);
    Index first = -1;
    double t = 0.0;
    for (Index j = 0; j < m; ++j) {
      if (step[j] < -kRounding && (first < 0 || sizes[j] / -step[j] < t)) {
        first = j;
        t = sizes[j] / -step[j];
      }
    }
    if (first < 0) {
      null = null.rightCols(null.cols() - 1).eval();
      continue;
    }
    sizes = (sizes + t * step.head(m)).cwiseMax(0.0);
    sizes[first] = 0.0;
    change += step.size() > m ? t * step[m] : 0.0;
    null = without(null, first);
  }
  return change;
}

}  // namespace

Sizes minimal_sizes(const MatrixXd& outputs, const VectorXd& costs, bool constant) {
  const VectorXd lengths = outputs.colwise().norm();
  MatrixXd units = outputs;
  VectorXd sizes = lengths;
  std::vector<Index> left;
  for (Index j = 0; j < lengths.size(); ++j) {
    if (lengths[j] > 0.0) {
      units.col(j) /= lengths[j];
      left.push_back(j);
    }
  }
  double change = 0.0;
  for (MatrixXd null = null_space(units, left, constant); null.cols() > 0;
       null = null_space(units, left, constant)) {
    VectorXd part(static_cast<Index>(left.size())), prices(part.size());
    for (Index k = 0; k < part.size(); ++k) {
      const Index j = left[static_cast<std::size_t>(k)];
      part[k] = sizes[j];
      prices[k] = costs[j] / lengths[j];
    }
    change += walk(part, prices, null);
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
  const VectorXd safe = (lengths.array() > 0.0).select(lengths, 1.0);
  return {sizes.cwiseQuotient(safe), change / std::sqrt(static_cast<double>(outputs.rows()))};
}

}  // namespace pyconvex
