#include "face.hpp"

#include <algorithm>
#include <cmath>

#include "dense_kernels.hpp"

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

VectorXd row_norms(const Rows& X) {
  return X.rowwise().norm();
}

Samples::Samples(MatrixView view)
    : X(as_rows(view)), norms(row_norms(X)), features(X.transpose()) {}

void preactivations(const Samples& samples, const RowMatrix& U, double* a) {
  dense().multiply(samples.features.data(), U.data(), samples.X.rows(), U.cols(), U.rows(), a);
}

RowMatrix preactivations(const Samples& samples, const RowMatrix& U) {
  RowMatrix a(U.rows(), samples.X.rows());
  preactivations(samples, U, a.data());
  return a;
}

void unpack_bits(const std::uint64_t* packed, Index n, bool* on) {
  for (Index i = 0; i < n; ++i) {
    on[i] = ((packed[i / 64] >> (i % 64)) & 1U) != 0;
  }
}

Index count_tight(const std::int64_t* tight, Index p) {
  return std::find_if(tight, tight + p, [](std::int64_t row) { return row < 0; }) - tight;
}

void masked_gram(const Rows& X, const bool* on, const std::int64_t* tight,
                 const ConstVector& curvature, MatrixXd& buffer, MatrixXd& H) {
  const Index p = X.cols();
  const std::int64_t* end = tight + count_tight(tight, p);
  Index count = 0;
  for (Index i = 0; i < X.rows(); ++i) {
    if (on[i] && std::find(tight, end, i) == end) {
      buffer.col(count++) = std::sqrt(curvature[i]) * X.row(i).transpose();
    }
  }
  H.setZero(p, p);
  dense().add_outer(buffer.data(), p, count, H.data());
  H.triangularView<Eigen::StrictlyUpper>() = H.transpose();
}

void face_basis(const Rows& X, const std::int64_t* tight, Index n_tight, bool free_bias,
                MatrixXd& basis) {
  const Index p = X.cols();
  if (n_tight == 0) {
    basis.setIdentity(p, p);
    return;
  }
  MatrixXd rows(p, n_tight);
  for (Index j = 0; j < n_tight; ++j) {
    rows.col(j) = X.row(tight[j]);
  }
  const Eigen::HouseholderQR<MatrixXd> qr(rows);
  basis = MatrixXd::Identity(p, p).rightCols(p - n_tight);
  basis.applyOnTheLeft(qr.householderQ());
  if (free_bias) {  // (I - b b^T)^(-1/2) restores orthonormality without the bias coordinate
    const VectorXd b = basis.row(p - 1);
    const double bb = b.squaredNorm();
    if (bb > 0.0) {
      const VectorXd Bb = basis * b;
      basis.noalias() += Bb * b.transpose() * ((1.0 / std::sqrt(1.0 - bb) - 1.0) / bb);
    }
  }
}

constexpr double kDependent = 1e-12;  // less of a row is left outside the span: rounding

// Gram-Schmidt twice: once leaves rounding errors where the row is nearly in the span.
void TightSpan::append(const VectorXd& row) {
  const auto Q = Q_.leftCols(size_);
  VectorXd rest = row;
  R_.col(size_).setZero();
  for (int pass = 0; pass < 2; ++pass) {
    const VectorXd part = Q.transpose() * rest;
    rest.noalias() -= Q * part;
    R_.col(size_).head(size_) += part;
  }
  const double left = rest.norm();
  const bool dependent = left <= kDependent * row.norm();
  R_(size_, size_) = dependent ? 1.0 : left;
  Q_.col(size_) = dependent ? VectorXd::Zero(row.size()) : VectorXd(rest / left);
  ++size_;
}

VectorXd TightSpan::reject(VectorXd v) const {
  const auto Q = Q_.leftCols(size_);
  v -= Q * (Q.transpose() * v).eval();
  return v;
}

VectorXd TightSpan::project(const VectorXd& q, bool free_bias) const {
  VectorXd point = reject(q);
  if (free_bias && size_ > 0) {  // the metric leaves out the bias coordinate
    const Index bias = q.size() - 1;
    const VectorXd axis = reject(VectorXd::Unit(q.size(), bias));
    point += axis * (point[bias] / (1.0 - axis[bias]));
  }
  return point;
}

VectorXd TightSpan::coefficients(const VectorXd& v) const {
  const auto R = R_.topLeftCorner(size_, size_).triangularView<Eigen::Upper>();
  return R.solve(Q_.leftCols(size_).transpose() * v);
}

// The norm rho of the solution solves ||(rho M + beta I)^-1 c|| = 1. One over that norm is a
// concave increasing function of rho, so Newton's method converges from the left unguarded.
VectorXd shrink(const MatrixXd& M, const ConstVector& c, double beta, double start) {
  const Index f = c.size();
  if (c.norm() <= beta) {
    return VectorXd::Zero(f);
  }
  double rho = start;
  VectorXd x = c;
  MatrixXd A(f, f);
  Eigen::LLT<MatrixXd> factor(f);
  for (int k = 0; k < 60; ++k) {
    A = rho * M;
    A.diagonal().array() += beta;
    factor.compute(A);
    x = factor.solve(c);
    const double norm = x.norm();
    const double slope = x.dot(factor.solve(M * x)) / (norm * norm * norm);
    const double step = std::max((1.0 - 1.0 / norm) / slope, -rho);
    rho += step;
    if (std::abs(step) <= 1e-9 * rho) {  // quadratic convergence: the next would be rounding
      break;
    }
  }
  return x * rho;
}

double penalised_dot(const ConstVector& u, const ConstVector& v, bool free_bias) {
  const Index p = free_bias ? u.size() - 1 : u.size();
  return u.head(p).dot(v.head(p));
}

VectorXd face_minimiser(const MatrixXd& H, const VectorXd& q, const MatrixXd& basis, double beta,
                        bool unpenalised, double size) {
  const VectorXd c = basis.transpose() * q;
  const Index f = c.size();
  const bool whole = f == q.size();  // then the basis is the identity
  const MatrixXd M = whole ? H : MatrixXd(basis.transpose() * (H * basis));
  if (!unpenalised) {
    return basis * shrink(M, c, beta, size);
  }
  const double corner = M(f - 1, f - 1);
  if (corner <= 0.0) {
    return VectorXd::Zero(q.size());
  }
  const VectorXd m = M.col(f - 1).head(f - 1);
  const MatrixXd inner = M.topLeftCorner(f - 1, f - 1) - m * m.transpose() / corner;
  VectorXd v(f);
  v.head(f - 1) = shrink(inner, c.head(f - 1) - m * (c[f - 1] / corner), beta, size);
  v[f - 1] = (c[f - 1] - m.dot(v.head(f - 1))) / corner;
  return basis * v;
}

}  // namespace pyconvex
