// The only casts between NumPy arrays and the core. Arguments that use these types are declared
// with py::arg().noconvert(): a wrong dtype or layout is refused, never copied; read-only is fine.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "pyconvex/matrix.hpp"
#include "pyconvex/stop_flag.hpp"

namespace pyconvex::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;
using Bits = Array<std::uint64_t>;

template <class T>
void require_ndim(const Array<T>& array, Index ndim, const char* name) {
  if (array.ndim() != ndim) {
    throw std::invalid_argument(std::string(name) + " must have " + std::to_string(ndim) +
                                " dimension(s)");
  }
}

template <class T>
void require_shape(const Array<T>& array, std::initializer_list<Index> shape, const char* name) {
  require_ndim(array, static_cast<Index>(shape.size()), name);
  if (!std::equal(shape.begin(), shape.end(), array.shape())) {
    throw std::invalid_argument(std::string(name) + " has the wrong shape");
  }
}

template <class T>
View<T> as_matrix(const Array<T>& array, const char* name) {
  require_ndim(array, 2, name);
  return {array.data(), array.shape(0), array.shape(1)};
}

/// A NumPy array of one byte that the caller may set while a kernel runs.
inline StopFlag as_stop_flag(const Array<unsigned char>& stop) {
  require_shape(stop, {1}, "stop");
  return {stop.data()};
}

template <class T>
Array<T> to_array(const std::vector<T>& values) {
  return Array<T>(static_cast<Index>(values.size()), values.data());
}

inline Array<double> to_array(MatrixView matrix) {
  Array<double> array({matrix.rows, matrix.cols});
  std::copy_n(matrix.data, matrix.rows * matrix.cols, array.mutable_data());
  return array;
}

}  // namespace pyconvex::bindings
