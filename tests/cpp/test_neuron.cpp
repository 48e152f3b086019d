#include <doctest/doctest.h>

#include <vector>

#include "golden.hpp"
#include "neuron.hpp"

using Eigen::MatrixXd;
using Eigen::VectorXd;
using pyconvex::Index;

namespace {

const std::vector<std::int64_t> kNone(3, -1);

}  // namespace

TEST_CASE("a masked Gram sums over the rows that are on and not tight") {
  const auto data = golden::X();
  const auto X = pyconvex::as_rows(data);
  const bool on[] = {true, false, true, true, false, true, true, false};
  const std::int64_t tight[] = {3, 1, -1};
  const VectorXd curvature = VectorXd::LinSpaced(8, 0.1, 0.8);
  pyconvex::Workspace work(8, 3, {});
  MatrixXd H, expected = MatrixXd::Zero(3, 3);
  pyconvex::masked_gram(X, on, tight, curvature, work.masked, H);
  for (const Index i : {0, 2, 5, 6}) {
    expected += curvature[i] * X.row(i).transpose() * X.row(i);
  }
  CHECK((H - expected).norm() < 1e-14);
}

TEST_CASE("a face's basis is orthonormal in the penalised coordinates and tight") {
  const auto data = golden::X();
  const auto X = pyconvex::as_rows(data);
  const std::int64_t tight[] = {2, 5, -1};
  MatrixXd basis;
  for (const bool free_bias : {false, true}) {
    for (const Index n_tight : {1, 2}) {
      pyconvex::face_basis(X, tight, n_tight, free_bias, basis);
      const Index f = 3 - n_tight;
      REQUIRE(basis.cols() == f);
      const MatrixXd B = basis.topRows(free_bias ? 2 : 3);
      CHECK((B.transpose() * B - MatrixXd::Identity(f, f)).norm() < 1e-14);
      for (Index k = 0; k < n_tight; ++k) {
        CHECK((X.row(tight[k]) * basis).norm() < 1e-14);
      }
    }
  }
}

TEST_CASE("a row that depends on tight ones adds nothing to their span") {
  pyconvex::TightSpan span(4);
  span.append(Eigen::Vector4d(2.0, -2.0, 1.0, 1.0));
  span.append(Eigen::Vector4d(2.0, 2.0, -1.0, 1.0));
  span.append(Eigen::Vector4d(2.0, 0.0, 0.0, 1.0));
  const Eigen::Vector4d v(4.0, -4.0, 2.0, 2.0);
  CHECK((span.coefficients(v) - Eigen::Vector3d(2.0, 0.0, 0.0)).norm() < 1e-14);
  CHECK(span.reject(v).norm() < 1e-14);
}

TEST_CASE("shrink solves its equation: M v - c + beta v / ||v|| = 0") {
  const MatrixXd A = MatrixXd::Random(6, 4);
  const MatrixXd M = A.transpose() * A;
  const VectorXd c = VectorXd::LinSpaced(4, -1.0, 2.0);
  for (const double beta : {1e-6, 0.1, 2.0}) {
    for (const double start : {0.0, 1.0, 100.0}) {
      const VectorXd v = pyconvex::shrink(M, c, beta, start);
      CHECK((M * v - c + beta * v / v.norm()).norm() < 1e-10);
    }
  }
  CHECK(pyconvex::shrink(M, c, 2.0 * c.norm(), 1.0).isZero(0.0));
}

TEST_CASE("fixed bits hold while the objective of one neuron falls") {
  const auto data = golden::X();
  const pyconvex::Samples samples(data);
  const auto& X = samples.X;
  const VectorXd curvature = VectorXd::Constant(8, 0.125);
  const VectorXd slopes = Eigen::Map<const VectorXd>(golden::y().data(), 8) / 8.0;
  pyconvex::Workspace work(8, 3, {});
  VectorXd u = VectorXd::Ones(3);
  std::vector<std::int64_t> tight = kNone;
  work.on = (X * u).array() > 0.0;
  const Eigen::Array<bool, Eigen::Dynamic, 1> sides = work.on;
  const auto phi = [&](const VectorXd& v) {
    const VectorXd a = (X * v).cwiseMax(0.0);
    return 0.5 * a.squaredNorm() / 8.0 - slopes.dot(a) + golden::beta * v.norm();
  };
  const double before = phi(u);
  MatrixXd H;
  pyconvex::masked_gram(X, work.on.data(), tight.data(), curvature, work.masked, H);
  pyconvex::descend(samples, H, curvature, slopes, 0.0, golden::beta, false, pyconvex::Mode::fixed,
                    u, work.on.data(), tight.data(), 100, work);
  CHECK(phi(u) < before);
  for (Index i = 0; i < 8; ++i) {
    CHECK((sides[i] ? 1.0 : -1.0) * X.row(i).dot(u) >= -1e-14);
  }
}
