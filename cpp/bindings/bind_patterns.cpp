#include "arrays.hpp"
#include "pyconvex/patterns.hpp"

namespace pyconvex::bindings {
namespace {

using Bools = Array<bool>;
static_assert(sizeof(bool) == 1, "NumPy's bools are bytes");

Bits pack_gates(const Array<double>& X, const Array<double>& G, int n_threads) {
  const MatrixView x = as_matrix(X, "X");
  const MatrixView g = as_matrix(G, "G");
  if (x.cols != g.rows) {
    throw std::invalid_argument("G must have as many rows as X has columns");
  }
  Bits packed({g.cols, words_per_pattern(x.rows)});
  std::uint64_t* out = packed.mutable_data();
  const py::gil_scoped_release unlocked;
  pyconvex::pack_gates(x, g, out, n_threads);
  return packed;
}

Bits pack_dense(const Bools& dense) {
  require_ndim(dense, 2, "dense");
  const Index n_patterns = dense.shape(0);
  const Index n_samples = dense.shape(1);
  Bits packed({n_patterns, words_per_pattern(n_samples)});
  const auto* in = reinterpret_cast<const unsigned char*>(dense.data());
  std::uint64_t* out = packed.mutable_data();
  const py::gil_scoped_release unlocked;
  pyconvex::pack_dense(in, n_patterns, n_samples, out);
  return packed;
}

Bools unpack(const Bits& packed, Index n_samples) {
  require_ndim(packed, 2, "packed");
  const Index n_patterns = packed.shape(0);
  if (n_samples < 0 || packed.shape(1) != words_per_pattern(n_samples)) {
    throw std::invalid_argument("n_samples does not fit the width of packed");
  }
  Bools dense({n_patterns, n_samples});
  const std::uint64_t* in = packed.data();
  auto* out = reinterpret_cast<unsigned char*>(dense.mutable_data());
  const py::gil_scoped_release unlocked;
  pyconvex::unpack(in, n_patterns, n_samples, out);
  return dense;
}

Array<std::int64_t> unique(const Bits& packed) {
  require_ndim(packed, 2, "packed");
  const std::uint64_t* in = packed.data();
  const Index n_patterns = packed.shape(0);
  const Index n_words = packed.shape(1);
  std::vector<std::int64_t> kept;
  {
    const py::gil_scoped_release unlocked;
    kept = pyconvex::unique(in, n_patterns, n_words);
  }
  return to_array(kept);
}

}  // namespace

void bind_patterns(py::module_& m) {
  m.def("pack_gates", &pack_gates, py::arg("X").noconvert(), py::arg("G").noconvert(),
        py::arg("n_threads"));
  m.def("pack_dense", &pack_dense, py::arg("dense").noconvert());
  m.def("unpack", &unpack, py::arg("packed").noconvert(), py::arg("n_samples"));
  m.def("unique", &unique, py::arg("packed").noconvert());
}

}  // namespace pyconvex::bindings
