// Price a multiplier: the dual norm N(z), and the neuron that attains it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "pyconvex/fit.hpp"
#include "pyconvex/matrix.hpp"

namespace pyconvex {

struct PriceSettings {
  // "exact": over all vertices of a zonotope. "bounded": branch and bound over cones, for ranks up
  // to 16. "local": search from many starts. "auto": the search, then the cheaper of the two proofs
  // where the rank is at most 6 or vertices are few.
  std::string method = "auto";
  Bias bias = Bias::none;
  double tol = 1e-6;           // relative distance of value and bound to reach
  std::int64_t max_nodes = 0;  // cones; 0: no limit, 50,000 for "auto"
  double time_limit = std::numeric_limits<double>::infinity();  // seconds
  std::uint64_t random_state = 0;                               // of starting points
  int n_threads = 0;  // 0: what OpenMP would take; results do not depend on it
};

/// A bracket of N(z) = max |z . (X w + b)_+| over neurons of penalised norm 1, and neurons, best
/// first; none where N(z) = 0.
struct Pricing {
  double value = 0.0;       // attained by the first neuron
  double bound = 0.0;       // rigorous, whatever the certificate
  std::string certificate;  // "global" if bound <= (1 + tol) value, else "local"
  Matrix weights;
  std::vector<double> biases, signs, values;
};

/// The neuron with the largest |z . (X w + b)_+| among those of norm 1: a network with multiplier
/// z = (y - f) / n is optimal iff N(z) <= beta and its neurons attain beta. Bias::free needs
/// sum z = 0. Wrong input throws std::invalid_argument that names the argument.
Pricing price(MatrixView X, const std::vector<double>& z, const PriceSettings& settings = {});

}  // namespace pyconvex
