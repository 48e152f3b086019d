#include "face_gram.hpp"

#include <algorithm>

#include "dense_kernels.hpp"
#include "newton.hpp"

namespace pyconvex {

using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

// Whether neuron j stands where neuron i of the last update stood.
bool stayed(const Neurons& now, Index j, const Neurons& before, Index i) {
  return (now.tight.row(j).array() == before.tight.row(i).array()).all() &&
         (now.on.row(j) == before.on.row(i)).all();
}

// s_j D_j X B_j, its rows scaled.
void fill_neuron(const Refinement& state, Index j, const MatrixXd& basis, const VectorXd& root,
                 Eigen::Ref<MatrixXd> columns) {
  const auto on = state.neurons.on.row(j).transpose();
  const VectorXd scale = state.neurons.signs[j] * root.array() * on.cast<double>();
  dense().multiply(state.features.data(), basis.data(), columns.rows(), basis.rows(), basis.cols(),
                   columns.data());
  columns.array().colwise() *= scale.array();
}

}  // namespace

void FaceGram::update(const Refinement& state) {
  const Index old_size = size();
  std::swap(Z_, old_Z_);
  std::swap(gram_, old_gram_);
  n_ = state.X.rows();
  lay_out(state);
  fill_columns(state);
  fill_gram(old_size);
  seen_ = state.neurons;
}

// Bases, offsets and sources. Neurons keep their order, some leave.
void FaceGram::lay_out(const Refinement& state) {
  const Neurons& neurons = state.neurons;
  const Index p = state.X.cols(), old_size = size();
  const std::vector<Index> old_offsets = std::move(offsets_);
  std::vector<MatrixXd> old_bases = std::move(bases_);
  offsets_.clear(), bases_.clear(), source_.clear();
  for (Index j = 0, i = 0; j < neurons.size(); ++j) {
    const auto id = [](const Neurons& all, Index k) {
      return all.kept[static_cast<std::size_t>(k)];
    };
    while (i < seen_.size() && id(seen_, i) < id(neurons, j)) {
      ++i;
    }
    const bool same =
        i < seen_.size() && id(seen_, i) == id(neurons, j) && stayed(neurons, j, seen_, i);
    const auto from = static_cast<std::size_t>(i);
    if (same) {
      bases_.push_back(std::move(old_bases[from]));
    } else {
      const std::int64_t* tight = neurons.tight.row(j).data();
      face_basis(state.X, tight, count_tight(tight, p), state.free_bias, bases_.emplace_back());
    }
    offsets_.push_back(size());
    for (Index k = 0; k < bases_.back().cols(); ++k) {
      source_.push_back(same ? old_offsets[from] + k : -1);
    }
  }
  for (Index c = state.linear.size(); c > 0; --c) {
    source_.push_back(old_size - c);  // always the last columns; negative at first
  }
}

void FaceGram::fill_columns(const Refinement& state) {
  auto Z = columns();
  const VectorXd root = state.sample_weight.cwiseSqrt();
  for (Index j = 0; j < state.neurons.size(); ++j) {
    const MatrixXd& B = basis(j);
    if (B.cols() > 0 && source_[static_cast<std::size_t>(offset(j))] < 0) {
      fill_neuron(state, j, B, root, Z.middleCols(offset(j), B.cols()));
    }
  }
  for (Index c = 0; c < size(); ++c) {
    const Index from = source_[static_cast<std::size_t>(c)];
    if (from >= 0) {
      Z.col(c) = old_Z_.as<MatrixXd>(n_, from + 1).col(from);
    } else if (c >= size() - state.linear.size()) {
      Z.col(c) = root.cwiseProduct(state.linear.column(c - size() + state.linear.size()));
    }
  }
}

void FaceGram::fill_gram(Index old_size) {
  auto G = gram();
  std::vector<Index> changed;
  for (Index c = 0; c < size(); ++c) {
    if (source_[static_cast<std::size_t>(c)] < 0) {
      changed.push_back(c);
    }
  }
  if (2 * static_cast<Index>(changed.size()) > size()) {  // symmetry halves the whole product
    G.setZero();
    dense().add_gram(columns().data(), n_, size(), G.data());
    return;
  }
  const auto old = old_gram_.as<MatrixXd>(old_size, old_size);
  for (Index c = 0; c < size(); ++c) {
    const Index from = source_[static_cast<std::size_t>(c)];
    for (Index r = c; from >= 0 && r < size(); ++r) {
      const Index row = source_[static_cast<std::size_t>(r)];
      G(r, c) = row >= 0 ? old(row, from) : 0.0;
    }
  }
  multiply_changed(changed);
}

// The products of the changed columns with all.
void FaceGram::multiply_changed(const std::vector<Index>& changed) {
  auto Z = columns();
  auto G = gram();
  const auto count = static_cast<Index>(changed.size());
  auto C = changed_.as<MatrixXd>(n_, count);
  auto P = products_.as<MatrixXd>(count, size());
  for (Index k = 0; k < count; ++k) {
    C.col(k) = Z.col(changed[static_cast<std::size_t>(k)]);
  }
  dense().multiply_transposed(C.data(), Z.data(), n_, count, size(), P.data());
  for (Index c = 0; c < size(); ++c) {
    for (Index k = 0; k < count; ++k) {
      const Index r = changed[static_cast<std::size_t>(k)];
      G(std::max(r, c), std::min(r, c)) = P(k, c);
    }
  }
}

}  // namespace pyconvex
