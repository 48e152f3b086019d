#include "arrays.hpp"
#include "pyconvex/patterns.hpp"
#include "refine.hpp"

namespace pyconvex::bindings {
namespace {

using Doubles = Array<double>;
using Integers = Array<std::int64_t>;

Mode as_mode(int mode) {
  if (mode < 0 || mode > 2) {
    throw std::invalid_argument("mode must be GATED, FIXED or CROSSING");
  }
  return static_cast<Mode>(mode);
}

Integers to_array(const TightRows& tight) {
  Integers array({tight.rows(), tight.cols()});
  std::copy_n(tight.data(), tight.size(), array.mutable_data());
  return array;
}

py::tuple refine(const Doubles& X, const Doubles& sample_weight, const Doubles& residual,
                 const Doubles& U, const Doubles& signs, const Bits& packed, const Integers& tight,
                 const Doubles& betas, double ridge, bool intercept, bool free_bias, int mode,
                 double tol, Index max_sweeps, Index max_size, double max_work,
                 const Array<unsigned char>& stop) {
  const MatrixView x = as_matrix(X, "X");
  const MatrixView u = as_matrix(U, "U");
  const Mode rule = as_mode(mode);
  require_shape(sample_weight, {x.rows}, "sample_weight");
  require_shape(residual, {x.rows}, "residual");
  require_shape(U, {u.rows, x.cols}, "U");
  require_shape(signs, {u.rows}, "signs");
  require_shape(betas, {u.rows}, "betas");
  require_shape(packed, {rule == Mode::crossing ? 0 : u.rows, words_per_pattern(x.rows)}, "packed");
  require_shape(tight, {u.rows, x.cols}, "tight");
  const StopFlag flag = as_stop_flag(stop);
  Refined found;
  {
    const py::gil_scoped_release unlocked;
    found = pyconvex::refine(x, sample_weight.data(), residual.data(), u, signs.data(),
                             packed.data(), tight.data(), betas.data(), ridge, intercept, free_bias,
                             rule, tol, max_sweeps, max_size, max_work, flag);
  }
  const MatrixView weights{found.U.data(), found.U.rows(), found.U.cols()};
  const Doubles rest(found.residual.size(), found.residual.data());
  return py::make_tuple(bindings::to_array(found.kept), bindings::to_array(weights),
                        to_array(found.tight), rest, found.shift, found.decrease);
}

}  // namespace

void bind_solver(py::module_& m) {
  m.attr("GATED") = static_cast<int>(Mode::gated);
  m.attr("FIXED") = static_cast<int>(Mode::fixed);
  m.attr("CROSSING") = static_cast<int>(Mode::crossing);
  m.def("refine", &refine, py::arg("X").noconvert(), py::arg("sample_weight").noconvert(),
        py::arg("residual").noconvert(), py::arg("U").noconvert(), py::arg("signs").noconvert(),
        py::arg("packed").noconvert(), py::arg("tight").noconvert(), py::arg("betas").noconvert(),
        py::arg("ridge"), py::arg("intercept"), py::arg("free_bias"), py::arg("mode"),
        py::arg("tol"), py::arg("max_sweeps"), py::arg("max_size"), py::arg("max_work"),
        py::arg("stop").noconvert());
}

}  // namespace pyconvex::bindings
