// Two-layer networks with explicit weights.
#pragma once

#include <optional>
#include <vector>

#include "pyconvex/matrix.hpp"

namespace pyconvex {

/// f(x) = sum_j output_weights_j (hidden_weights_j . x + hidden_bias_j)_+ + output_bias. A gated
/// network replaces the ReLU by its gates: neuron j is on where gates_j . x + gate_bias_j >= 0.
struct Network {
  Matrix hidden_weights;               // m x n_features
  std::vector<double> hidden_bias;     // m
  std::vector<double> output_weights;  // m
  double output_bias = 0.0;
  bool gated = false;
  Matrix gates;                   // m x n_features where gated
  std::vector<double> gate_bias;  // m where gated

  Index n_neurons() const { return static_cast<Index>(output_weights.size()); }
  Index n_features() const { return hidden_weights.cols(); }

  /// f(x) for each row of X; throws std::invalid_argument if X has other features.
  std::vector<double> predict(MatrixView X) const;

  /// A network of fewer neurons with the same predictions on X, to rounding, and no larger weight
  /// decay: the neurons' outputs on X become linearly independent (Mishkin & Pilanci 2023).
  /// `free_bias`: the output bias may change, hidden biases of ReLU networks are not decayed; by
  /// default whether there is an output bias. Throws std::invalid_argument if X has other features
  /// or is not finite.
  Network prune(MatrixView X, std::optional<bool> free_bias = {}) const;
};

}  // namespace pyconvex
