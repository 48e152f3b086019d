#include "pyconvex/fit.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "bounded_pricing.hpp"
#include "column_generation.hpp"
#include "coordinates.hpp"
#include "kept_patterns.hpp"
#include "proximal_point.hpp"
#include "pyconvex/arrangement.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr Index kGates = 1000;      // gates drawn for gated networks unless told
constexpr double kNothing = 1e-14;  // a dual norm below this times its terms' sizes is 0
constexpr double kSame = 1e-10;     // unit vectors closer than this are one neuron
constexpr double kRise = 1e-12;     // a pruned network may be worse by this much, relative

// A checked request: the solver's problem, how to price it, and the way back to the user.
struct Task {
  Task(MatrixView X_, const std::vector<double>& targets, const FitSettings& settings_);

  double beta_max() const;
  Solution solve(const State& start, const Limits& limits, Course& course) const;
  Fit result(const Solution& solution, const Course& course) const;

  Rows X;
  const FitSettings& settings;
  bool gated;
  bool crossing = false;  // may neurons go from cell to cell?
  Coordinates coordinates;
  Problem problem;
  std::vector<Index> kept;
  PatternSet patterns;
  std::vector<std::uint64_t> packed;
  std::unique_ptr<Pricer> pricing;
  BoundedPricing* bounded = nullptr;  // the same, where it proves

 private:
  void choose_patterns();
  void choose_pricing();
  Network decode(const State& state) const;
  Network pruned(const Network& network) const;
  double objective(const Network& network) const;
};

Task::Task(MatrixView X_, const std::vector<double>& targets, const FitSettings& settings_)
    : X(as_rows(X_)),
      settings(settings_),
      gated(settings.model == Model::gated_relu),
      coordinates(X, settings.bias, settings.bias == Bias::free && !gated) {
  const bool free = settings.bias == Bias::free;
  problem = make_problem(coordinates.rows(X), targets, settings.sample_weight,
                         settings.beta == 0.0 ? 1.0 : settings.beta, settings.loss, free,
                         free && !gated, kept);
  choose_patterns();
  crossing = !gated && (patterns.size() == 0 || settings.all_patterns);
  if (crossing) {
    std::vector<Index> rows;
    problem = problem.merged(rows);
    std::transform(rows.begin(), rows.end(), rows.begin(),
                   [&](Index i) { return kept[static_cast<std::size_t>(i)]; });
    if (settings.all_patterns) {
      pricing =
          cell_pricing(kept_patterns(patterns, rows), settings.random_state, settings.n_threads);
    } else {
      choose_pricing();
    }
  } else {
    packed = kept_patterns(patterns, kept);
    pricing = pattern_pricing(packed, !gated, settings.n_threads);
  }
  if (settings.beta == 0.0) {
    const double largest = beta_max();
    problem.beta = largest > 0.0 ? 0.01 * largest : 1.0;
  }
}

// Local search, with a proof where the certificate asks for one and the rank allows it.
void Task::choose_pricing() {
  const bool global = settings.certificate == "global";
  if (global && rank_of(problem) > kMaxRank) {
    throw std::invalid_argument(
        "certificate \"global\" needs data of rank at most 16 with the column of ones: use "
        "\"auto\"");
  }
  if (settings.certificate == "local" || (!global && !is_provable(problem))) {
    pricing = std::make_unique<LocalPricing>(settings.random_state, settings.n_threads);
    return;
  }
  BoundedPricing::Settings proof;
  proof.tol = settings.tol;
  proof.limited = !global;
  proof.n_threads = settings.n_threads;
  proof.deadline = deadline_in(settings.time_limit);
  auto chosen = std::make_unique<BoundedPricing>(settings.random_state, proof);
  bounded = chosen.get();
  pricing = std::move(chosen);
}

void Task::choose_patterns() {
  const Index n_gate_features = X.cols() + (coordinates.ones ? 1 : 0);
  if (settings.patterns != nullptr) {
    patterns = *settings.patterns;
    if (patterns.n_samples() != X.rows() || patterns.size() == 0) {
      throw std::invalid_argument(
          "patterns must hold at least one pattern of as many samples as X");
    }
    if (gated && patterns.gates().rows() != n_gate_features) {
      throw std::invalid_argument(
          "patterns must carry gates, with one coordinate more than X where there is a bias: use "
          "PatternSet::from_gates");
    }
  } else if (gated || settings.n_patterns > 0 || settings.all_patterns) {
    RowMatrix rows(X.rows(), n_gate_features);
    rows.leftCols(X.cols()) = X;
    if (coordinates.ones) {
      rows.col(X.cols()).setOnes();
    }
    const MatrixView view{rows.data(), rows.rows(), rows.cols()};
    if (settings.all_patterns) {
      EnumerationSettings every;
      every.witnesses = gated;
      every.n_threads = settings.n_threads;
      patterns = enumerate_patterns(view, every);
    } else {
      SamplingSettings draws;
      draws.random_state = settings.random_state;
      draws.n_threads = settings.n_threads;
      patterns =
          sample_patterns(view, settings.n_patterns > 0 ? settings.n_patterns : kGates, draws);
    }
  }
}

// N(z) at the best constant prediction.
double Task::beta_max() const {
  Problem unpenalised = problem;
  unpenalised.beta = 0.0;
  const VectorXd z = problem.at_rows(problem.constant_multiplier());
  const State nothing = State::none(problem);
  double norm = 0.0;
  if (bounded != nullptr) {
    norm = bounded->dual_norm(unpenalised, z);
  } else {
    Columns columns;
    norm = pricing->price(unpenalised, z, nothing.U, nothing.signs, 4, {}, columns);
  }
  const VectorXd start = problem.at_rows(problem.multiplier(nothing.prediction));
  const VectorXd sizes = z.cwiseAbs() + start.cwiseAbs();
  return norm > kNothing * sizes.dot(problem.X.rowwise().norm()) ? norm : 0.0;
}

Solution Task::solve(const State& start, const Limits& limits, Course& course) const {
  Mode mode = gated ? Mode::gated : Mode::fixed;
  if (crossing) {
    mode = Mode::crossing;
  }
  const Stage stage = [&](const Problem& near, const Problem& real, const State& from) {
    return Solver(near, real, *pricing, mode, packed, limits, course).solve(from);
  };
  return pyconvex::solve(problem, stage, pricing->exact(), limits.tol, start);
}

// Neurons of one sign and direction meet on a face that their cells share: add them up.
void merge(const Problem& problem, RowMatrix& U, VectorXd& signs) {
  const RowMatrix directions = problem.norms(U).cwiseInverse().asDiagonal() * U;
  Index count = 0;
  std::vector<Index> first;
  for (Index j = 0; j < U.rows(); ++j) {
    Index same = 0;
    while (same < count) {
      const Index i = first[static_cast<std::size_t>(same)];
      const double apart = (directions.row(j) - directions.row(i)).cwiseAbs().maxCoeff();
      if (signs[same] == signs[j] && apart <= kSame * directions.row(j).cwiseAbs().maxCoeff()) {
        break;
      }
      ++same;
    }
    if (same < count) {
      U.row(same) += U.row(j).eval();
    } else {
      first.push_back(j);
      U.row(count) = U.row(j).eval();
      signs[count++] = signs[j];
    }
  }
  U.conservativeResize(count, Eigen::NoChange);
  signs.conservativeResize(count);
}

std::vector<double> to_vector(const VectorXd& values) {
  return {values.data(), values.data() + values.size()};
}

Matrix to_matrix(const RowMatrix& values) {
  return {values.rows(), values.cols(),
          std::vector<double>(values.data(), values.data() + values.size())};
}

// The balanced network: w = u / sqrt(norm), alpha = sign sqrt(norm).
Network Task::decode(const State& state) const {
  RowMatrix U = state.U;
  VectorXd signs = state.signs;
  if (!gated) {
    merge(problem, U, signs);
  }
  const VectorXd roots = problem.norms(U).cwiseSqrt();
  RowMatrix weights;
  VectorXd biases;
  coordinates.to_user(roots.cwiseInverse().asDiagonal() * U, weights, biases);
  Network network{to_matrix(weights),
                  to_vector(biases),
                  to_vector(signs.cwiseProduct(roots)),
                  state.intercept,
                  gated,
                  {},
                  {}};
  if (gated) {
    network.gates = Matrix(U.rows(), X.cols());
    network.gate_bias.assign(static_cast<std::size_t>(U.rows()), 0.0);
    for (Index j = 0; j < U.rows(); ++j) {
      const Index g = state.pattern[static_cast<std::size_t>(j)];
      for (Index k = 0; k < X.cols(); ++k) {
        network.gates(j, k) = patterns.gates()(k, g);
      }
      if (coordinates.ones) {
        network.gate_bias[static_cast<std::size_t>(j)] = patterns.gates()(X.cols(), g);
      }
    }
  }
  return network;
}

double sum_of_squares(const std::vector<double>& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

// Loss plus weight decay.
double Task::objective(const Network& network) const {
  const std::vector<double> prediction = network.predict({X.data(), X.rows(), X.cols()});
  Values f;
  for (const Index i : kept) {
    f.push_back(prediction[static_cast<std::size_t>(i)]);
  }
  double squares = sum_of_squares(network.output_weights);
  squares += as_rows(network.hidden_weights).squaredNorm();
  if (coordinates.ones && !problem.free_bias) {
    squares += sum_of_squares(network.hidden_bias);
  }
  const double loss = problem.loss->value(f, view(problem.y), view(problem.sample_weight));
  return loss + 0.5 * problem.beta * squares;
}

// The network with independent neurons on the kept rows, unless rounding made it worse.
Network Task::pruned(const Network& network) const {
  RowMatrix rows(static_cast<Index>(kept.size()), X.cols());
  for (Index i = 0; i < rows.rows(); ++i) {
    rows.row(i) = X.row(kept[static_cast<std::size_t>(i)]);
  }
  const MatrixView view{rows.data(), rows.rows(), rows.cols()};
  Network fewer = network.prune(view, problem.intercept);
  return objective(fewer) <= objective(network) * (1.0 + kRise) ? fewer : network;
}

// Certify the decoded network: all figures come from its own predictions.
Fit Task::result(const Solution& solution, const Course& course) const {
  Fit fit;
  fit.network = decode(solution.state);
  if (settings.minimal) {
    fit.network = pruned(fit.network);
  }
  static_cast<Report&>(fit) = course.report(solution.status);
  fit.beta = problem.beta;
  fit.objective = objective(fit.network);
  fit.dual_objective = std::min(solution.dual_objective, fit.objective);  // rounding has a say
  fit.lower_bound = fit.dual_objective;
  fit.certificate = patterns.size() == 0 ? "local" : "restricted";
  if (settings.all_patterns) {
    fit.certificate = "global";
  }
  if (!gated) {
    const VectorXd z = problem.at_rows(solution.multiplier);
    double norm = problem.norm_bound(z);
    if (settings.all_patterns) {
      Columns columns;
      norm = pricing->price(problem, z, solution.state.U, solution.state.signs, 2, {}, columns);
    }
    if (bounded != nullptr) {
      norm = std::min(norm, bounded->bound(problem, z));
    }
    fit.lower_bound =
        std::clamp(problem.dual_objective(solution.multiplier, norm), 0.0, fit.objective);
    if (settings.all_patterns || settings.certificate == "global" ||
        relative_gap(fit.objective, fit.lower_bound) <= settings.tol) {
      fit.certificate = "global";
      fit.dual_objective = fit.lower_bound;
    }
  }
  fit.gap = relative_gap(fit.objective, fit.dual_objective);
  return fit;
}

void check_settings(MatrixView X, const FitSettings& settings) {
  check_finite(X, "X");
  check_limits(settings);
  if (settings.beta < 0.0 || !std::isfinite(settings.beta)) {
    throw std::invalid_argument("beta must be a finite number > 0, or 0 for 0.01 beta_max");
  }
  if (settings.n_patterns < 0) {
    throw std::invalid_argument("n_patterns must be >= 0");
  }
  if (settings.certificate != "auto" && settings.certificate != "global" &&
      settings.certificate != "local") {
    throw std::invalid_argument("certificate must be \"auto\", \"global\" or \"local\"");
  }
  const bool given = settings.patterns != nullptr || settings.n_patterns > 0;
  if (settings.certificate == "global" && !settings.all_patterns &&
      (given || settings.model == Model::gated_relu)) {
    throw std::invalid_argument(
        "certificate \"global\" is about all patterns, not about given or sampled ones: set "
        "all_patterns, or \"auto\"");
  }
  if (settings.all_patterns && (settings.patterns != nullptr || settings.n_patterns > 0)) {
    throw std::invalid_argument(
        "all_patterns leaves no room for patterns or n_patterns: unset one");
  }
}

void check_grid(const PathSettings& settings) {
  for (const double beta : settings.betas) {
    if (!(beta > 0.0) || !std::isfinite(beta)) {
      throw std::invalid_argument("betas must be finite numbers > 0");
    }
  }
  if (settings.n_betas < 1) {
    throw std::invalid_argument("n_betas must be >= 1");
  }
  if (!(settings.beta_min_ratio > 0.0) || settings.beta_min_ratio >= 1.0) {
    throw std::invalid_argument("beta_min_ratio must be between 0 and 1");
  }
}

// The weight decays of a path, in descending order.
std::vector<double> grid(const Task& task, const PathSettings& settings) {
  std::vector<double> betas = settings.betas;
  if (betas.empty()) {
    const double found = task.beta_max(), largest = found > 0.0 ? found : 1.0;
    const double steps = std::max(1.0, static_cast<double>(settings.n_betas - 1));
    for (Index k = 0; k < settings.n_betas; ++k) {
      const double exponent = static_cast<double>(k) / steps;
      betas.push_back(largest * std::pow(settings.beta_min_ratio, exponent));
    }
  }
  std::sort(betas.rbegin(), betas.rend());
  return betas;
}

}  // namespace

Fit fit(MatrixView X, const std::vector<double>& y, const FitSettings& settings) {
  check_settings(X, settings);
  const Task task(X, y, settings);
  Course course(settings);
  return task.result(task.solve(State::none(task.problem), settings, course), course);
}

std::vector<Fit> path(MatrixView X, const std::vector<double>& y, const PathSettings& settings) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  check_settings(X, settings);
  check_grid(settings);
  FitSettings point = settings;
  point.beta = 1.0;
  Task task(X, y, point);
  Limits limits = static_cast<const Limits&>(settings);
  bool stopped = false;
  if (settings.callback) {
    limits.callback = [&](const Record& record) {
      stopped = settings.callback(record) || stopped;
      return stopped;
    };
  }
  std::vector<Fit> fits;
  State state = State::none(task.problem);
  for (const double beta : grid(task, settings)) {
    limits.time_limit =
        settings.time_limit - std::chrono::duration<double>(Clock::now() - start).count();
    if (!fits.empty() && (stopped || limits.time_limit <= 0.0)) {
      break;
    }
    task.problem.beta = beta;
    Course course(limits);
    Solution solution = task.solve(state, limits, course);
    const Status status = solution.status;
    if (!fits.empty() && (status == Status::time_limit || status == Status::interrupted)) {
      break;
    }
    fits.push_back(task.result(solution, course));
    state = std::move(solution.state);
  }
  return fits;
}

double beta_max(MatrixView X, const std::vector<double>& y, const FitSettings& settings) {
  check_settings(X, settings);
  FitSettings any = settings;
  any.beta = 1.0;
  return Task(X, y, any).beta_max();
}

}  // namespace pyconvex
