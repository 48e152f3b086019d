#include "cells.hpp"

#include "arrays.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex::bindings {
namespace {

using Doubles = Array<double>;
using Integers = Array<std::int64_t>;
using Bools = Array<bool>;
using Chosen = Array<std::int32_t>;

LinesView as_lines(const Doubles& Y, const Integers& Z, double tol) {
  const MatrixView y = as_matrix(Y, "Y");
  require_shape(Z, {Z.size() == 0 ? 0 : y.rows, y.cols}, "Z");
  return {y, Z.size() == 0 ? nullptr : Z.data(), tol};
}

void require_range(std::int64_t first, std::int64_t last) {
  if (first < 0 || last < first) {
    throw std::invalid_argument("first and last must satisfy 0 <= first <= last");
  }
}

std::int64_t count_cells(const Doubles& Y, const Integers& Z, double tol, std::int64_t first,
                         std::int64_t last, int n_threads) {
  const LinesView lines = as_lines(Y, Z, tol);
  require_range(first, last);
  const py::gil_scoped_release unlocked;
  return search_cells(lines, first, last, {}, n_threads);
}

std::int64_t fill_cells(const Doubles& Y, const Integers& Z, double tol, std::int64_t first,
                        std::int64_t last, Bits packed, int n_threads) {
  const LinesView lines = as_lines(Y, Z, tol);
  require_range(first, last);
  require_shape(packed, {2 * (last - first), words_per_pattern(lines.Y.rows)}, "packed");
  const CellOutput output{packed.mutable_data(), nullptr};
  const py::gil_scoped_release unlocked;
  return search_cells(lines, first, last, output, n_threads);
}

std::int64_t fill_chosen(const Doubles& Y, const Integers& Z, double tol, std::int64_t first,
                         std::int64_t last, Chosen chosen, int n_threads) {
  const LinesView lines = as_lines(Y, Z, tol);
  require_range(first, last);
  require_shape(chosen, {last - first, lines.Y.cols - 1}, "chosen");
  const CellOutput output{nullptr, chosen.mutable_data()};
  const py::gil_scoped_release unlocked;
  return search_cells(lines, first, last, output, n_threads);
}

py::object decode_cells(const Doubles& Y, const Integers& Z, double tol, const Chosen chosen,
                        int n_threads) {
  const LinesView lines = as_lines(Y, Z, tol);
  require_ndim(chosen, 2, "chosen");
  const Index n = chosen.shape(0);
  require_shape(chosen, {n, lines.Y.cols - 1}, "chosen");
  Bits packed({n, words_per_pattern(lines.Y.rows)});
  Doubles points({n, lines.Y.cols});
  Bools valid(n);
  std::fill_n(packed.mutable_data(), packed.size(), 0);
  std::fill_n(points.mutable_data(), points.size(), 0.0);
  bool sure = false;
  {
    std::uint64_t* bits = packed.mutable_data();
    double* vectors = points.mutable_data();
    auto* flags = reinterpret_cast<unsigned char*>(valid.mutable_data());
    const py::gil_scoped_release unlocked;
    sure = pyconvex::decode_cells(lines, chosen.data(), n, bits, vectors, flags, n_threads);
  }
  return sure ? py::object(py::make_tuple(packed, points, valid)) : py::none();
}

void sweep_cells(const Integers& order, const Bits& start, std::int64_t first, std::int64_t last,
                 Bits packed) {
  require_ndim(order, 1, "order");
  const Index m = order.shape(0);
  const Index n_words = words_per_pattern(m);
  require_range(first, last);
  require_shape(start, {n_words}, "start");
  require_shape(packed, {2 * (last - first), n_words}, "packed");
  if (last > m || std::any_of(order.data(), order.data() + m,
                              [=](std::int64_t i) { return i < 0 || i >= m; })) {
    throw std::invalid_argument("order must be a permutation, last at most its length");
  }
  std::uint64_t* out = packed.mutable_data();
  const py::gil_scoped_release unlocked;
  pyconvex::sweep_cells(order.data(), m, start.data(), first, last, out);
}

Bits expand_rows(const Bits packed, Index n_lines, const Integers& line, const Bools& flip,
                 int n_threads) {
  require_ndim(packed, 2, "packed");
  require_ndim(line, 1, "line");
  const Index n_patterns = packed.shape(0);
  const Index n = line.shape(0);
  require_shape(packed, {n_patterns, words_per_pattern(n_lines)}, "packed");
  require_shape(flip, {n}, "flip");
  if (std::any_of(line.data(), line.data() + n,
                  [=](std::int64_t i) { return i < -1 || i >= n_lines; })) {
    throw std::invalid_argument("line must hold numbers of lines, or -1");
  }
  Bits expanded({n_patterns, words_per_pattern(n)});
  std::uint64_t* out = expanded.mutable_data();
  const auto* flips = reinterpret_cast<const unsigned char*>(flip.data());
  const py::gil_scoped_release unlocked;
  pyconvex::expand_rows(packed.data(), n_patterns, n_lines, line.data(), flips, n, out, n_threads);
  return expanded;
}

}  // namespace

void bind_cells(py::module_& m) {
  m.def("count_cells", &count_cells, py::arg("Y").noconvert(), py::arg("Z").noconvert(),
        py::arg("tol"), py::arg("first"), py::arg("last"), py::arg("n_threads"));
  m.def("fill_cells", &fill_cells, py::arg("Y").noconvert(), py::arg("Z").noconvert(),
        py::arg("tol"), py::arg("first"), py::arg("last"), py::arg("packed").noconvert(),
        py::arg("n_threads"));
  m.def("fill_chosen", &fill_chosen, py::arg("Y").noconvert(), py::arg("Z").noconvert(),
        py::arg("tol"), py::arg("first"), py::arg("last"), py::arg("chosen").noconvert(),
        py::arg("n_threads"));
  m.def("decode_cells", &decode_cells, py::arg("Y").noconvert(), py::arg("Z").noconvert(),
        py::arg("tol"), py::arg("chosen").noconvert(), py::arg("n_threads"));
  m.def("sweep_cells", &sweep_cells, py::arg("order").noconvert(), py::arg("start").noconvert(),
        py::arg("first"), py::arg("last"), py::arg("packed").noconvert());
  m.def("expand_rows", &expand_rows, py::arg("packed").noconvert(), py::arg("n_lines"),
        py::arg("line").noconvert(), py::arg("flip").noconvert(), py::arg("n_threads"));
}

}  // namespace pyconvex::bindings
