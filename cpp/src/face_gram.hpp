// The Gram matrix of all neurons' columns in the coordinates of their faces. Private.
#pragma once

#include <vector>

#include "refine.hpp"

namespace pyconvex {

struct Refinement;

/// Z^T W Z of the columns Z = [s_j D_j X B_j, those of the linear part], kept from one Newton step
/// to the next: most neurons stay in their cell and on their face, so few columns change.
class FaceGram {
 public:
  /// Follow the neurons: compute what changed, move the rest to its new place.
  void update(const Refinement& state);

  Index size() const { return static_cast<Index>(source_.size()); }
  /// Where neuron j's coordinates begin.
  Index offset(Index j) const { return offsets_[static_cast<std::size_t>(j)]; }
  /// B_j: the basis of neuron j's face.
  const Eigen::MatrixXd& basis(Index j) const { return bases_[static_cast<std::size_t>(j)]; }
  /// Z with its rows scaled by the roots of their weights (n x size).
  Eigen::Map<Eigen::MatrixXd> columns() { return Z_.as<Eigen::MatrixXd>(n_, size()); }
  /// Z^T W Z, the lower triangle (size x size).
  Eigen::Map<Eigen::MatrixXd> gram() { return gram_.as<Eigen::MatrixXd>(size(), size()); }

 private:
  void lay_out(const Refinement& state);
  void fill_columns(const Refinement& state);
  void fill_gram(Index old_size);
  void multiply_changed(const std::vector<Index>& changed);

  Index n_ = 0;
  Neurons seen_;                        // those of the last update
  std::vector<Index> offsets_;          // of each neuron's first column
  std::vector<Eigen::MatrixXd> bases_;  // of the faces
  std::vector<Index> source_;           // where each column was before; -1: nowhere
  Buffer Z_, old_Z_, gram_, old_gram_, changed_, products_;
};

}  // namespace pyconvex
