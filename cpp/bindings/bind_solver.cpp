#include "arrays.hpp"
#include "groups.hpp"
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

Doubles to_array(const Eigen::VectorXd& vector) {
  return Doubles(vector.size(), vector.data());
}

LinearColumns as_linear(const Doubles& free, Index n) {
  LinearColumns linear;
  linear.free = as_matrix(free, "free");
  require_shape(free, {n, std::min(n, linear.free.cols)}, "free");
  return linear;
}

py::tuple refine(const Doubles& X, const Doubles& sample_weight, const Doubles& residual,
                 const Doubles& U, const Doubles& signs, const Bits& packed, const Integers& tight,
                 const Doubles& betas, double ridge, const Doubles& free, const Doubles& columns,
                 const Doubles& coef, double column_beta, bool free_bias, int mode, double tol,
                 Index max_sweeps, Index max_size, double max_work,
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
  LinearColumns linear = as_linear(free, x.rows);
  linear.decayed = as_matrix(columns, "columns");
  linear.coef = coef.data();
  linear.beta = column_beta;
  require_shape(columns, {x.rows, linear.decayed.cols}, "columns");
  require_shape(coef, {linear.decayed.cols}, "coef");
  const StopFlag flag = as_stop_flag(stop);
  Refined found;
  {
    const py::gil_scoped_release unlocked;
    found = pyconvex::refine(x, sample_weight.data(), residual.data(), u, signs.data(),
                             packed.data(), tight.data(), betas.data(), ridge, linear, free_bias,
                             rule, tol, max_sweeps, max_size, max_work, flag);
  }
  const MatrixView weights{found.U.data(), found.U.rows(), found.U.cols()};
  return py::make_tuple(bindings::to_array(found.kept), bindings::to_array(weights),
                        to_array(found.tight), to_array(found.residual), to_array(found.free),
                        to_array(found.coef), found.decrease);
}

template <class T>
Doubles masked_grams(const Array<T>& X, const Bits& packed, const Doubles& sample_weight,
                     int n_threads) {
  const View<T> x = as_matrix(X, "X");
  require_ndim(packed, 2, "packed");
  const Index n_patterns = packed.shape(0);
  require_shape(packed, {n_patterns, words_per_pattern(x.rows)}, "packed");
  require_shape(sample_weight, {x.rows}, "sample_weight");
  Doubles grams({n_patterns, x.cols, x.cols});
  double* out = grams.mutable_data();
  const py::gil_scoped_release unlocked;
  pyconvex::masked_grams(x, packed.data(), n_patterns, sample_weight.data(), out, n_threads);
  return grams;
}

template <class T>
py::tuple descend_groups(const Array<T>& X, const Doubles& sample_weight, const Doubles& residual,
                         const Doubles& U, const Bits& packed, const Doubles& grams,
                         const Doubles& betas, double ridge, const Doubles& free, Index n_sweeps,
                         const Array<unsigned char>& stop) {
  const View<T> x = as_matrix(X, "X");
  const MatrixView u = as_matrix(U, "U");
  require_shape(sample_weight, {x.rows}, "sample_weight");
  require_shape(residual, {x.rows}, "residual");
  require_shape(U, {u.rows, x.cols}, "U");
  require_shape(packed, {u.rows, words_per_pattern(x.rows)}, "packed");
  require_shape(grams, {u.rows, x.cols, x.cols}, "grams");
  require_shape(betas, {u.rows}, "betas");
  Doubles weights({u.rows, u.cols}), rest(x.rows);
  std::copy_n(u.data, u.rows * u.cols, weights.mutable_data());
  std::copy_n(residual.data(), x.rows, rest.mutable_data());
  double *weights_out = weights.mutable_data(), *rest_out = rest.mutable_data();
  const StopFlag flag = as_stop_flag(stop);
  const LinearColumns linear = as_linear(free, x.rows);
  Doubles shift(linear.free.cols);
  double* shift_out = shift.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    pyconvex::descend_groups(x, sample_weight.data(), packed.data(), grams.data(), u.rows,
                             betas.data(), ridge, linear, n_sweeps, weights_out, rest_out, flag,
                             shift_out);
  }
  return py::make_tuple(weights, rest, shift);
}

template <class T>
void bind_groups(py::module_& m) {
  m.def("masked_grams", &masked_grams<T>, py::arg("X").noconvert(), py::arg("packed").noconvert(),
        py::arg("sample_weight").noconvert(), py::arg("n_threads"));
  m.def("descend_groups", &descend_groups<T>, py::arg("X").noconvert(),
        py::arg("sample_weight").noconvert(), py::arg("residual").noconvert(),
        py::arg("U").noconvert(), py::arg("packed").noconvert(), py::arg("grams").noconvert(),
        py::arg("betas").noconvert(), py::arg("ridge"), py::arg("free").noconvert(),
        py::arg("n_sweeps"), py::arg("stop").noconvert());
}

}  // namespace

void bind_solver(py::module_& m) {
  m.attr("GATED") = static_cast<int>(Mode::gated);
  m.attr("FIXED") = static_cast<int>(Mode::fixed);
  m.attr("CROSSING") = static_cast<int>(Mode::crossing);
  m.def("refine", &refine, py::arg("X").noconvert(), py::arg("sample_weight").noconvert(),
        py::arg("residual").noconvert(), py::arg("U").noconvert(), py::arg("signs").noconvert(),
        py::arg("packed").noconvert(), py::arg("tight").noconvert(), py::arg("betas").noconvert(),
        py::arg("ridge"), py::arg("free").noconvert(), py::arg("columns").noconvert(),
        py::arg("coef").noconvert(), py::arg("column_beta"), py::arg("free_bias"), py::arg("mode"),
        py::arg("tol"), py::arg("max_sweeps"), py::arg("max_size"), py::arg("max_work"),
        py::arg("stop").noconvert());
  bind_groups<double>(m);
  bind_groups<float>(m);
}

}  // namespace pyconvex::bindings
