// Fit a two-layer network to optimality.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pyconvex/losses.hpp"
#include "pyconvex/network.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/program.hpp"

namespace pyconvex {

enum class Model { relu, gated_relu };

/// free: hidden biases and an output bias without weight decay (gated networks: hidden biases
/// decayed). decayed: hidden biases with weight decay, no output bias. none: neither.
enum class Bias { free, decayed, none };

struct FitSettings : Limits {
  double beta = 0.0;  // weight decay; 0: 0.01 beta_max
  Model model = Model::relu;
  Bias bias = Bias::free;
  const PatternSet* patterns = nullptr;  // exactly that program; none: "auto" or n_patterns
  Index n_patterns = 0;                  // Gaussian draws; 0: column generation (gated: 1000 draws)
  bool all_patterns = false;             // enumerate every pattern: the certificate is "global"
  // "global": go on until the optimum is proved, for data of rank at most 16. "auto": where the
  // rank is at most 6 and the proof takes at most 50,000 cones, or where there are few cells; else
  // "local": no proof.
  std::string certificate = "auto";
  std::vector<double> sample_weight;  // relative; empty: equal
  std::shared_ptr<const Loss> loss;   // see losses.hpp; none: squared
  std::uint64_t random_state = 0;     // of starting points and draws
  bool minimal = false;               // reduce the network by Network::prune
};

struct PathSettings : FitSettings {  // beta is not read
  std::vector<double> betas;         // weight decays, > 0; empty: n_betas from beta_max down
  Index n_betas = 100;
  double beta_min_ratio = 0.01;  // the smallest over the largest of the default grid
};

/// A trained network, balanced, with its certificate; the figures come from its own predictions.
struct Fit : Report {
  Network network;
};

/// Train a two-layer network with weight decay by convex optimisation: minimise
///     sum_i s_i l(f(x_i), y_i) + beta/2 sum_j (||w_j||^2 + alpha_j^2)
/// over networks of any width (Pilanci & Ergen 2020). Without patterns columns are generated:
/// solve over few neurons, search the sphere for better ones, add them, repeat; then prove by
/// branch and bound that there are none. Wrong input throws std::invalid_argument that names the
/// argument.
Fit fit(MatrixView X, const std::vector<double>& y, const FitSettings& settings = {});

/// The smallest beta without neurons: exact with patterns and for gated models, else proved to 1e-8
/// as under the "auto" certificate; beyond that from local search and perhaps too small. For losses
/// with a kink an upper bound. Reads model, loss, bias, patterns, sample_weight and n_threads.
double beta_max(MatrixView X, const std::vector<double>& y, const FitSettings& settings = {});

/// One fit per weight decay, from the largest to the smallest, each started from the one before.
/// max_iter and tol hold for each point; time_limit and a callback's true end the path with the
/// points solved so far, an unfinished one left out unless it is the first.
std::vector<Fit> path(MatrixView X, const std::vector<double>& y,
                      const PathSettings& settings = {});

}  // namespace pyconvex
