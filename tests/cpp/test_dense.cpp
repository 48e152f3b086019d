// Dense kernels and sample loops against Eigen as this file is compiled.
#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <limits>
#include <memory>
#include <vector>

#include "dense_kernels.hpp"
#include "face.hpp"
#include "preactivations.hpp"

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using pyconvex::Index;

MatrixXd lower(const MatrixXd& A) {
  return A.triangularView<Eigen::Lower>();
}

}  // namespace

TEST_CASE("dense kernels multiply, add Grams and solve") {
  const Index n = 37, k = 21, m = 5;  // no multiples of a vector's width
  const MatrixXd A = MatrixXd::Random(n, k), B = MatrixXd::Random(k, m);
  for (const pyconvex::DenseKernels& kernels : {pyconvex::dense(), pyconvex::v1::kernels}) {
    MatrixXd C(n, m);
    kernels.multiply(A.data(), B.data(), n, k, m, C.data());
    CHECK(C.isApprox(A * B, 1e-14));

    const MatrixXd D = MatrixXd::Random(n, m);
    MatrixXd transposed(k, m);
    kernels.multiply_transposed(A.data(), D.data(), n, k, m, transposed.data());
    CHECK(transposed.isApprox(A.transpose() * D, 1e-14));

    MatrixXd gram = MatrixXd::Identity(k, k);
    kernels.add_gram(A.data(), n, k, gram.data());
    const MatrixXd expected = MatrixXd::Identity(k, k) + A.transpose() * A;
    CHECK(lower(gram).isApprox(lower(expected), 1e-14));

    MatrixXd outer = MatrixXd::Zero(n, n);
    kernels.add_outer(A.data(), n, k, outer.data());
    CHECK(lower(outer).isApprox(lower(A * A.transpose()), 1e-14));

    MatrixXd solution = B;
    REQUIRE(kernels.factor(gram.data(), k));
    kernels.solve_factor(gram.data(), k, solution.data(), m);
    CHECK((expected * solution).isApprox(B, 1e-12));

    MatrixXd indefinite = -MatrixXd::Identity(3, 3);
    CHECK_FALSE(kernels.factor(indefinite.data(), 3));
  }
}

TEST_CASE("dense kernels take empty matrices") {
  const Index k = 60;  // Eigen blocks products of this size
  const MatrixXd expected = MatrixXd::Identity(k, k);
  for (const pyconvex::DenseKernels& kernels : {pyconvex::dense(), pyconvex::v1::kernels}) {
    MatrixXd C = expected;
    kernels.add_gram(nullptr, 0, k, C.data());
    kernels.add_outer(nullptr, k, 0, C.data());
    kernels.solve_factor(C.data(), k, nullptr, 0);
    CHECK(C == expected);
    kernels.multiply(nullptr, nullptr, k, 0, k, C.data());
    CHECK(C == MatrixXd::Zero(k, k));
    C = expected;
    kernels.multiply_transposed(nullptr, nullptr, 0, k, k, C.data());
    CHECK(C == MatrixXd::Zero(k, k));
  }
}

TEST_CASE("equal input gives equal bits wherever the data lie") {
  const auto copy_at = [](std::vector<double>& room, const MatrixXd& A, Index offset) {
    room.assign(static_cast<std::size_t>(A.size() + 24), 0.0);
    void* start = room.data();
    std::size_t space = room.size() * sizeof(double);
    double* at = static_cast<double*>(std::align(64, sizeof(double), start, space)) + offset;
    Eigen::Map<MatrixXd>(at, A.rows(), A.cols()) = A;
    return at;
  };
  const pyconvex::DenseKernels& kernels = pyconvex::dense();
  for (const Index n : {1, 5, 13, 60}) {
    for (const Index k : {1, 3, 8, 17}) {
      for (const Index m : {1, 2, 7, 16}) {
        const MatrixXd A = MatrixXd::Random(n, k), B = MatrixXd::Random(k, m);
        const MatrixXd D = MatrixXd::Random(n, m);
        MatrixXd expected[6];
        for (const Index offset : {0, 1, 3, 6}) {
          std::vector<double> rooms[4];
          const double* a = copy_at(rooms[0], A, offset);
          double* b = copy_at(rooms[1], B, 7 - offset);
          MatrixXd found[6] = {MatrixXd(n, m), MatrixXd::Identity(k, k), MatrixXd::Zero(n, n)};
          kernels.multiply(a, b, n, k, m, found[0].data());
          kernels.add_gram(a, n, k, found[1].data());
          kernels.add_outer(a, n, k, found[2].data());
          double* L = copy_at(rooms[2], found[1], offset);
          REQUIRE(kernels.factor(L, k));
          kernels.solve_factor(L, k, b, m);
          found[3] = Eigen::Map<MatrixXd>(L, k, k);
          found[4] = Eigen::Map<MatrixXd>(b, k, m);
          found[5].resize(k, m);
          const double* d = copy_at(rooms[3], D, 7 - offset);
          kernels.multiply_transposed(a, d, n, k, m, found[5].data());
          for (int q = 0; q < 6; ++q) {
            if (offset == 0) {
              expected[q] = found[q];
            }
            CHECK((found[q].array() == expected[q].array()).all());
          }
        }
      }
    }
  }
}

TEST_CASE("preactivations, outputs and kinks of one neuron") {
  const Index n = 1027, p = 6;  // more than one block of samples, and a rest of features
  const pyconvex::RowMatrix rows = pyconvex::RowMatrix::Random(n, p);
  const pyconvex::Samples samples({rows.data(), n, p});
  const VectorXd u = VectorXd::Random(p), d = VectorXd::Random(p);
  VectorXd a(n), b(n), times(n);
  pyconvex::preactivate(samples.features.data(), n, p, u.data(), a.data());
  pyconvex::preactivate(samples.features.data(), n, p, d.data(), b.data());
  CHECK(a.isApprox(rows * u, 1e-14));

  const Eigen::Array<bool, Eigen::Dynamic, 1> on = a.array() > 0.0;
  VectorXd relu = VectorXd::Ones(n), masked = VectorXd::Ones(n);
  pyconvex::add_output(a.data(), nullptr, -2.0, n, relu.data());
  pyconvex::add_output(a.data(), on.data(), -2.0, n, masked.data());
  CHECK(relu.isApprox(VectorXd::Ones(n) - 2.0 * a.cwiseMax(0.0), 1e-15));
  CHECK(masked.isApprox(relu, 1e-15));

  b[0] = 0.0;  // never meets its kink
  pyconvex::kink_times(a.data(), b.data(), on.data(), samples.norms.data(), 1e-12, n, times.data());
  CHECK(times[0] == std::numeric_limits<double>::infinity());
  for (Index i = 1; i < n; ++i) {
    if (times[i] == std::numeric_limits<double>::infinity()) {
      CHECK(a[i] * b[i] >= 0.0);
    } else {
      CHECK(times[i] == doctest::Approx(-a[i] / b[i]));
      CHECK(times[i] >= 0.0);
    }
  }
}

TEST_CASE("the QR of tight rows projects onto their face") {
  const MatrixXd rows = MatrixXd::Random(6, 4);  // one row of X per column
  const VectorXd q = VectorXd::Random(6);
  for (const bool free_bias : {false, true}) {
    pyconvex::TightSpan span(6);
    for (const Index j : {3, 1, 0}) {
      span.append(rows.col(j));
    }
    span.truncate(1);  // row 3 alone
    span.append(rows.col(2));
    MatrixXd tight(6, 2);
    tight << rows.col(3), rows.col(2);
    // min |v - q|^2 over the penalised coordinates and the face, with the bias in the linear term
    MatrixXd system = MatrixXd::Zero(8, 8);
    system.topLeftCorner(6, 6).setIdentity();
    if (free_bias) {
      system(5, 5) = 0.0;
    }
    system.topRightCorner(6, 2) = tight;
    system.bottomLeftCorner(2, 6) = tight.transpose();
    VectorXd right = VectorXd::Zero(8);
    right.head(6) = q;
    const VectorXd expected = system.fullPivLu().solve(right);
    CHECK(span.project(q, free_bias).isApprox(expected.head(6), 1e-12));
    const VectorXd mu = span.coefficients(tight * Eigen::Vector2d(2.0, -3.0));
    CHECK(mu.isApprox(Eigen::Vector2d(2.0, -3.0), 1e-12));
  }
}
