#include "refine.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "golden.hpp"
#include "newton.hpp"

using Eigen::VectorXd;
using pyconvex::Index;
using pyconvex::Mode;
using pyconvex::Refined;

namespace {

// Six neurons on the axes, one of each sign.
pyconvex::RowMatrix axes() {
  pyconvex::RowMatrix U(6, 3);
  U.topRows(3).setIdentity();
  U.bottomRows(3) = -U.topRows(3);
  return U;
}

struct Solve {
  pyconvex::Matrix data = golden::X();
  pyconvex::Rows X = pyconvex::as_rows(data);
  VectorXd y = Eigen::Map<const VectorXd>(golden::y().data(), 8);
  VectorXd weights = VectorXd::Constant(8, 0.125);
  VectorXd signs = (VectorXd(6) << 1.0, -1.0, 1.0, -1.0, 1.0, -1.0).finished();
  pyconvex::RowMatrix U = axes();
  std::vector<std::uint64_t> packed = {};
  pyconvex::LinearColumns linear = {};

  // Output of all neurons, their bits taken from the weights or, if there are any, from `packed`.
  VectorXd prediction(const pyconvex::RowMatrix& V, const std::vector<std::int64_t>& which) const {
    VectorXd total = VectorXd::Zero(8);
    for (Index j = 0; j < V.rows(); ++j) {
      const auto g = static_cast<std::size_t>(which[static_cast<std::size_t>(j)]);
      const VectorXd a = X * V.row(j).transpose();
      for (Index i = 0; i < 8; ++i) {
        const bool on = packed.empty() ? a[i] > 0.0 : ((packed[g] >> i) & 1U) != 0;
        total[i] += on ? signs[static_cast<Index>(g)] * a[i] : 0.0;
      }
    }
    return total;
  }
  VectorXd start() const { return y - prediction(U, {0, 1, 2, 3, 4, 5}); }

  Refined operator()(Mode mode) const {
    const std::vector<std::int64_t> tight(18, -1);
    const std::vector<double> betas(6, golden::beta);
    return pyconvex::refine(data, weights.data(), start().data(), {U.data(), 6, 3}, signs.data(),
                            packed.data(), tight.data(), betas.data(), 0.0, linear, false, mode,
                            1e-14, 200, 1000, 1e12);
  }
  double objective(const VectorXd& residual, const pyconvex::RowMatrix& V) const {
    const VectorXd betas = VectorXd::Constant(V.rows(), golden::beta);
    return pyconvex::objective(residual, weights, V, betas, 0.0, false);
  }
};

// Bits of the cells that the starting weights lie in.
std::vector<std::uint64_t> bits_of(const Solve& solve) {
  std::vector<std::uint64_t> packed(6, 0);
  for (Index j = 0; j < 6; ++j) {
    for (Index i = 0; i < 8; ++i) {
      const bool on = solve.X.row(i).dot(solve.U.row(j)) > 0.0;
      packed[static_cast<std::size_t>(j)] |= std::uint64_t{on} << i;
    }
  }
  return packed;
}

}  // namespace

TEST_CASE("refine lowers the objective and returns the residual of its weights") {
  for (const Mode mode : {Mode::gated, Mode::fixed, Mode::crossing}) {
    for (const bool intercept : {false, true}) {
      Solve solve;
      solve.linear = intercept;
      if (mode != Mode::crossing) {
        solve.packed = bits_of(solve);
      }
      const Refined found = solve(mode);
      const VectorXd residual = solve.y - solve.prediction(found.U, found.kept);
      CHECK((residual.array() - found.shift - found.residual.array()).matrix().norm() < 1e-12);
      CHECK(solve.objective(found.residual, found.U) < solve.objective(solve.start(), solve.U));
      CHECK(found.decrease <= 1e-14);
      CHECK((found.shift != 0.0) == intercept);
    }
  }
}

TEST_CASE("fixed neurons stay in their cells") {
  Solve solve;
  solve.packed = bits_of(solve);
  const Refined found = solve(Mode::fixed);
  for (Index j = 0; j < found.U.rows(); ++j) {
    const auto g = static_cast<std::size_t>(found.kept[static_cast<std::size_t>(j)]);
    for (Index i = 0; i < 8; ++i) {
      const double side = ((solve.packed[g] >> i) & 1U) != 0 ? 1.0 : -1.0;
      CHECK(side * solve.X.row(i).dot(found.U.row(j)) >= -1e-13);
    }
  }
}

TEST_CASE("free columns are orthogonal to the residual, decayed ones meet their condition") {
  const pyconvex::RowMatrix free = pyconvex::RowMatrix::Random(8, 2);
  const pyconvex::RowMatrix decayed = pyconvex::RowMatrix::Random(8, 3);
  const VectorXd start = VectorXd::Constant(3, 0.1);
  for (const Mode mode : {Mode::gated, Mode::fixed, Mode::crossing}) {
    Solve solve;
    if (mode != Mode::crossing) {
      solve.packed = bits_of(solve);
    }
    solve.linear = pyconvex::LinearColumns(true);
    solve.linear.free = {free.data(), 8, 2};
    solve.linear.decayed = {decayed.data(), 8, 3};
    solve.linear.coef = start.data();
    solve.linear.beta = 0.01;
    const Refined found = solve(mode);
    VectorXd rest = solve.y - solve.prediction(found.U, found.kept);
    rest.array() -= found.shift;
    rest -= free * found.free + decayed * (found.coef - start);
    CHECK((rest - found.residual).norm() < 1e-12);
    CHECK(std::abs(found.residual.sum()) < 1e-13);
    CHECK((free.transpose() * found.residual).norm() < 1e-13);
    const VectorXd pull = decayed.transpose() * found.residual / 8.0;
    if (found.coef.isZero(0.0)) {
      CHECK(pull.norm() <= 0.01 * (1.0 + 1e-9));
    } else {
      CHECK((pull - 0.01 * found.coef.normalized()).norm() < 1e-8);
    }
  }
}

TEST_CASE("columns that depend on others change nothing") {
  const VectorXd weights = VectorXd::Constant(8, 0.125);
  pyconvex::RowMatrix twice(8, 2);
  twice.col(0).setConstant(2.0);  // as the constant before it
  twice.col(1).setLinSpaced(-1.0, 2.0);
  pyconvex::LinearColumns given(true);
  given.free = {twice.data(), 8, 2};
  pyconvex::Linear linear(given, weights);
  VectorXd residual = VectorXd::Random(8);
  const VectorXd before = residual;
  linear.centre(residual);
  CHECK(std::abs(residual.sum()) < 1e-14);
  CHECK((twice.transpose() * residual).norm() < 1e-13);
  const VectorXd shift = linear.free_shift();
  CHECK((before - residual - (twice * shift.tail(2) + VectorXd::Constant(8, shift[0]))).norm() <
        1e-13);
}

TEST_CASE("no neurons are no trouble") {
  const std::vector<double> y = golden::y(), weights(8, 0.125);
  const Refined found =
      pyconvex::refine(golden::X(), weights.data(), y.data(), {nullptr, 0, 3}, nullptr, nullptr,
                       nullptr, nullptr, 0.0, true, false, Mode::crossing, 1e-12, 5, 100, 1e12);
  CHECK(found.kept.empty());
  CHECK(found.residual.sum() == doctest::Approx(0.0));
}

TEST_CASE("the Gram matrix follows neurons that turn, leave or change their face") {
  const auto data = golden::X();
  const Index n = data.rows(), p = data.cols(), m = 6;
  pyconvex::Neurons neurons;
  neurons.U = pyconvex::RowMatrix::Random(m, p);
  neurons.signs = Eigen::VectorXd::LinSpaced(m, -1.0, 1.0).array().sign();
  neurons.betas = Eigen::VectorXd::Constant(m, 0.1);
  neurons.on = (neurons.U * pyconvex::as_rows(data).transpose()).array() > 0.0;
  neurons.tight.setConstant(m, p, -1);
  neurons.kept = {0, 1, 2, 3, 4, 5};
  pyconvex::LinearColumns linear(true);
  linear.decayed = data;
  const Eigen::VectorXd coef = Eigen::VectorXd::Ones(p);
  linear.coef = coef.data();
  const Eigen::VectorXd sample_weight = Eigen::VectorXd::LinSpaced(n, 0.1, 0.3);
  pyconvex::Refinement state{pyconvex::Samples(data),
                             sample_weight,
                             0.0,
                             pyconvex::Linear(linear, sample_weight),
                             false,
                             pyconvex::Mode::crossing,
                             neurons,
                             Eigen::VectorXd::Ones(n),
                             pyconvex::Workspace(n, p, {})};
  const auto check = [&state] {
    state.faces.update(state);
    pyconvex::FaceGram fresh;
    fresh.update(state);
    REQUIRE(state.faces.size() == fresh.size());
    const Eigen::MatrixXd Z = fresh.columns();
    CHECK(state.faces.columns() == Z);
    const Eigen::MatrixXd gram = state.faces.gram().triangularView<Eigen::Lower>();
    const Eigen::MatrixXd expected = (Z.transpose() * Z).triangularView<Eigen::Lower>();
    CHECK((gram - expected).norm() < 1e-14);
  };
  check();
  state.neurons.on(2, 3) = !state.neurons.on(2, 3);
  check();
  state.neurons.tight(4, 0) = 1;  // one column less
  check();
  state.neurons.U.row(1).setZero();
  state.neurons.drop_zeros();
  check();
  state.neurons.tight(3, 0) = -1;  // neuron 4, now the fourth, leaves its face
  check();
}
