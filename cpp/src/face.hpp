// The dense algebra of one neuron: masked Grams, faces of cells, the minimiser on a face. Private:
// it uses Eigen.
//
// Rows of X whose preactivation is held at zero are "tight"; a list of tight rows has room for
// p = X.cols() of them and is padded with -1. `on` holds one bit per row, as a bool.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cstdint>
#include <vector>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Rows = Eigen::Map<const RowMatrix>;
using ConstVector = Eigen::Ref<const Eigen::VectorXd>;
using VectorRef = Eigen::Ref<Eigen::VectorXd>;

/// The rows of a view as a matrix of Eigen's.
inline Rows as_rows(MatrixView X) {
  return {X.data, X.rows, X.cols};
}

/// Euclidean norms of the rows.
Eigen::VectorXd row_norms(const Rows& X);

/// The rows of X, and what makes passing over them fast.
struct Samples {
  Rows X;
  Eigen::VectorXd norms;  // of the rows
  RowMatrix features;     // X^T: each feature in one piece (p x n)

  explicit Samples(MatrixView view);
};

/// U X^T: a row for each row of U, a column for each sample; into `a` or returned.
void preactivations(const Samples& samples, const RowMatrix& U, double* a);
RowMatrix preactivations(const Samples& samples, const RowMatrix& U);

/// Memory that is kept between uses: large blocks that come and go cost page faults.
class Buffer {
 public:
  /// Its first entries as a matrix, whatever they are.
  template <class Matrix>
  Eigen::Map<Matrix> as(Index rows, Index cols) {
    values_.resize(std::max(values_.size(), static_cast<std::size_t>(rows * cols)));
    return {values_.data(), rows, cols};
  }

 private:
  std::vector<double> values_;
};

/// One packed pattern as n bools.
void unpack_bits(const std::uint64_t* packed, Index n, bool* on);

/// Number of tight rows in a list of room p padded with -1.
Index count_tight(const std::int64_t* tight, Index p);

/// Sum of curvature[i] x_i x_i^T over the rows that are on and not tight, into H (p x p).
/// The rows are gathered in `buffer` (p x n).
void masked_gram(const Rows& X, const bool* on, const std::int64_t* tight,
                 const ConstVector& curvature, Eigen::MatrixXd& buffer, Eigen::MatrixXd& H);

/// A basis (p x f) of the face {u : x_k . u = 0 on the tight rows}. Its penalised coordinates are
/// orthonormal, except that with a free bias and no tight row its last column is the unpenalised
/// axis itself.
void face_basis(const Rows& X, const std::int64_t* tight, Index n_tight, bool free_bias,
                Eigen::MatrixXd& basis);

/// The QR of tight rows that come and go: appending one costs O(p t). A row that depends on those
/// before it adds nothing to the span; its coefficients are zero.
class TightSpan {
 public:
  explicit TightSpan(Index p) : Q_(p, p), R_(p, p) {}

  Index size() const { return size_; }
  void append(const Eigen::VectorXd& row);
  /// Forget all but the first `size` rows.
  void truncate(Index size) { size_ = std::min(size, size_); }
  /// The point of the face nearest to q, in the penalised coordinates.
  Eigen::VectorXd project(const Eigen::VectorXd& q, bool free_bias) const;
  /// v without its part in the span.
  Eigen::VectorXd reject(Eigen::VectorXd v) const;
  /// mu with v = sum_k mu_k x_k + something orthogonal to the rows.
  Eigen::VectorXd coefficients(const Eigen::VectorXd& v) const;

 private:
  Eigen::MatrixXd Q_, R_;
  Index size_ = 0;
};

/// argmin over v of v^T M v / 2 - c^T v + beta ||v||; `start` is a guess of ||v||.
Eigen::VectorXd shrink(const Eigen::MatrixXd& M, const ConstVector& c, double beta, double start);

/// Minimiser over a face of u^T H u / 2 - q . u + beta ||u||. `unpenalised`: the last basis vector
/// does not count in the norm; `size` is a guess of the norm.
Eigen::VectorXd face_minimiser(const Eigen::MatrixXd& H, const Eigen::VectorXd& q,
                               const Eigen::MatrixXd& basis, double beta, bool unpenalised,
                               double size);

/// Inner product without the bias coordinate where that one is unpenalised.
double penalised_dot(const ConstVector& u, const ConstVector& v, bool free_bias);

}  // namespace pyconvex
