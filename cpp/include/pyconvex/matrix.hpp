// Dense row-major matrices: what the public interface passes around. Algebra is not done here.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

namespace pyconvex {

using Index = std::ptrdiff_t;

/// Read-only view of `rows` x `cols` numbers, row after row; the memory belongs to someone else.
template <class T>
struct View {
  const T* data = nullptr;
  Index rows = 0;
  Index cols = 0;

  T operator()(Index i, Index j) const { return data[i * cols + j]; }
  const T* row(Index i) const { return data + i * cols; }
  bool empty() const { return rows == 0 || cols == 0; }
};
using MatrixView = View<double>;
/// Data in single precision: each number becomes a double where a kernel loads it.
using FloatView = View<float>;

/// Read-only view of `size` doubles; the memory belongs to someone else.
struct VectorView {
  const double* data = nullptr;
  Index size = 0;

  VectorView() = default;
  VectorView(const double* data_, Index size_) : data(data_), size(size_) {}
  // Implicit on purpose: a function that reads numbers takes a view.
  VectorView(const std::vector<double>& values)  // NOLINT(*-explicit-*)
      : data(values.data()), size(static_cast<Index>(values.size())) {}

  double operator[](Index i) const { return data[i]; }
  const double* begin() const { return data; }
  const double* end() const { return data + size; }
};

/// A matrix that owns its memory; converts to a view wherever one is asked for.
class Matrix {
 public:
  Matrix() = default;
  Matrix(Index rows, Index cols, double value = 0.0)
      : data_(static_cast<std::size_t>(rows * cols), value), rows_(rows), cols_(cols) {}
  Matrix(Index rows, Index cols, std::vector<double> values)
      : data_(std::move(values)), rows_(rows), cols_(cols) {
    if (static_cast<Index>(data_.size()) != rows * cols) {
      throw std::invalid_argument("values must hold rows * cols numbers");
    }
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  bool empty() const { return data_.empty(); }

  double* data() { return data_.data(); }
  const double* data() const { return data_.data(); }
  double* row(Index i) { return data() + i * cols_; }
  const double* row(Index i) const { return data() + i * cols_; }
  double& operator()(Index i, Index j) { return row(i)[j]; }
  double operator()(Index i, Index j) const { return row(i)[j]; }

  // Implicit on purpose: a function that reads a matrix takes a view.
  operator MatrixView() const { return {data(), rows_, cols_}; }  // NOLINT(*-explicit-*)

 private:
  std::vector<double> data_;
  Index rows_ = 0;
  Index cols_ = 0;
};

}  // namespace pyconvex
