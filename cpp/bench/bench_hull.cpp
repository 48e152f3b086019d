// A step of Wolfe's algorithm: one more point into the corral, and the nearest point of its hull.
#include "hull.hpp"
#include "work.hpp"

namespace pyconvex {
namespace {

// Points around (1, ..., 1) in d dimensions: the corral grows to a few points and loses some.
void wolfe_step(benchmark::State& state) {
  constexpr Index kPoints = 256;
  const Index d = state.range(0);
  const Matrix points = gaussian(kPoints, d);
  const Eigen::Map<const Eigen::MatrixXd> all(points.data(), d, kPoints);
  const Eigen::MatrixXd shifted = all.array() + 1.0;
  Hull hull(d);
  Index steps = 0;
  for (auto _ : state) {
    hull.start(shifted.col(0));
    for (Index k = 1; k < 2 * d; ++k) {
      hull.admit(shifted.col((steps + k) % kPoints));
    }
    steps += 2 * d - 1;
    benchmark::DoNotOptimize(hull.norm());
  }
  // With half of d points on average: Gram-Schmidt twice, the solve, and the new nearest point.
  const auto size = static_cast<double>(d), per = static_cast<double>(2 * d - 1);
  const double flops = per * (8 * size + 2 * size + size / 2 + 2 * size) * size / 2;
  note(state, {flops, flops / 2 * 8, 0.0});
  state.counters["steps"] = per;
}
BENCHMARK(wolfe_step)->Arg(3)->Arg(6)->Arg(12);

}  // namespace
}  // namespace pyconvex
