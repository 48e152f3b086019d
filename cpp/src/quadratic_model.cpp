#include "quadratic_model.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

QuadraticModel model_of(const Problem& problem, const VectorXd& f, const VectorXd& curvatures) {
  const VectorXd heights = problem.at_rows(curvatures);
  const VectorXd slopes = problem.at_rows(
      to_eigen(problem.loss->multiplier(view(f), view(problem.y), view(problem.sample_weight))));
  const double scale = heights.sum();
  return {heights / scale, slopes.cwiseQuotient(heights), scale};
}

}  // namespace

QuadraticModel QuadraticModel::at(const Problem& problem, const VectorXd& prediction,
                                  double damping) {
  const VectorXd f = problem.at_samples(prediction);
  VectorXd curvatures = to_eigen(problem.loss->curvatures(view(f), view(problem.y)));
  if (damping > 0.0) {
    curvatures += damping * to_eigen(problem.loss->dampers(view(f), view(problem.y)));
  }
  return model_of(problem, f, problem.sample_weight.cwiseProduct(curvatures));
}

QuadraticModel QuadraticModel::bounding(const Problem& problem, const VectorXd& prediction) {
  return model_of(problem, problem.at_samples(prediction),
                  problem.loss->smoothness() * problem.sample_weight);
}

}  // namespace pyconvex
