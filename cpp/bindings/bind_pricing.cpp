#include "arrays.hpp"
#include "bounded.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/pricing.hpp"
#include "zonotopes.hpp"

namespace pyconvex::bindings {
namespace {

using Doubles = Array<double>;
using Integers = Array<std::int64_t>;

py::tuple walk(const Doubles& X, const Doubles& z, const Doubles& starts, bool free_bias,
               int n_threads, const Array<unsigned char>& stop) {
  const MatrixView x = as_matrix(X, "X");
  const MatrixView s = as_matrix(starts, "starts");
  require_shape(z, {x.rows}, "z");
  require_shape(starts, {s.rows, x.cols}, "starts");
  Doubles points({s.rows, s.cols});
  Integers tight({s.rows, s.cols});
  double* points_out = points.mutable_data();
  std::int64_t* tight_out = tight.mutable_data();
  const StopFlag flag = as_stop_flag(stop);
  {
    const py::gil_scoped_release unlocked;
    pyconvex::walk(x, z.data(), s, free_bias, points_out, tight_out, n_threads, flag);
  }
  return py::make_tuple(points, tight);
}

py::tuple project_cells(const Doubles& X, const Bits& packed, const Doubles& C,
                        const Doubles& enough, bool free_bias, int n_threads,
                        const Array<unsigned char>& stop) {
  const MatrixView x = as_matrix(X, "X");
  const MatrixView c = as_matrix(C, "C");
  require_shape(packed, {c.rows, words_per_pattern(x.rows)}, "packed");
  require_shape(C, {c.rows, x.cols}, "C");
  require_shape(enough, {c.rows}, "enough");
  Doubles points({c.rows, c.cols});
  Integers tight({c.rows, c.cols});
  double* points_out = points.mutable_data();
  std::int64_t* tight_out = tight.mutable_data();
  const StopFlag flag = as_stop_flag(stop);
  {
    const py::gil_scoped_release unlocked;
    pyconvex::project_cells(x, packed.data(), c, enough.data(), free_bias, points_out, tight_out,
                            n_threads, flag);
  }
  return py::make_tuple(points, tight);
}

template <class T>
Doubles gate_gradients(const Array<T>& X, const Bits& packed, const Doubles& z, int n_threads) {
  const View<T> x = as_matrix(X, "X");
  require_ndim(packed, 2, "packed");
  const Index n_patterns = packed.shape(0);
  require_shape(packed, {n_patterns, words_per_pattern(x.rows)}, "packed");
  require_shape(z, {x.rows}, "z");
  Doubles gradients({n_patterns, x.cols});
  double* out = gradients.mutable_data();
  const py::gil_scoped_release unlocked;
  pyconvex::gate_gradients(x, packed.data(), n_patterns, z.data(), out, n_threads);
  return gradients;
}

py::tuple bound_norm(const Doubles& X, const Doubles& z, bool free_bias, double target, double tol,
                     bool first, std::int64_t max_nodes, int n_threads,
                     const Array<unsigned char>& stop) {
  const MatrixView x = as_matrix(X, "X");
  require_shape(z, {x.rows}, "z");
  BoundLimits limits;
  limits.target = target;
  limits.tol = tol;
  limits.first = first;
  limits.max_nodes = max_nodes;
  limits.n_threads = n_threads;
  limits.stop = as_stop_flag(stop);
  NormBound found;
  {
    const py::gil_scoped_release unlocked;
    found = pyconvex::bound_norm(x, z.data(), free_bias, limits);
  }
  const MatrixView points{found.points.data(), found.points.rows(), found.points.cols()};
  return py::make_tuple(found.value, found.bound, found.n_nodes, to_array(points),
                        Doubles(found.signs.size(), found.signs.data()),
                        Doubles(found.values.size(), found.values.data()));
}

py::tuple farthest(const Doubles& V, const Doubles& X, const Doubles& weights, bool free_bias,
                   double value, int n_threads, const Array<unsigned char>& stop) {
  const MatrixView v = as_matrix(V, "V");
  const MatrixView x = as_matrix(X, "X");
  require_shape(V, {v.rows, x.cols}, "V");
  require_shape(weights, {x.rows}, "weights");
  const StopFlag flag = as_stop_flag(stop);
  Farthest found;
  {
    const py::gil_scoped_release unlocked;
    found = pyconvex::farthest(v, x, weights.data(), free_bias, value, n_threads, flag);
  }
  return py::make_tuple(found.index, found.value, found.bound,
                        Doubles(found.direction.size(), found.direction.data()));
}

template <class T>
void bind_gradients(py::module_& m) {
  m.def("gate_gradients", &gate_gradients<T>, py::arg("X").noconvert(),
        py::arg("packed").noconvert(), py::arg("z").noconvert(), py::arg("n_threads"));
}

}  // namespace

void bind_pricing(py::module_& m) {
  m.def("walk", &walk, py::arg("X").noconvert(), py::arg("z").noconvert(),
        py::arg("starts").noconvert(), py::arg("free_bias"), py::arg("n_threads"),
        py::arg("stop").noconvert());
  m.def("project_cells", &project_cells, py::arg("X").noconvert(), py::arg("packed").noconvert(),
        py::arg("C").noconvert(), py::arg("enough").noconvert(), py::arg("free_bias"),
        py::arg("n_threads"), py::arg("stop").noconvert());
  m.def("bound_norm", &bound_norm, py::arg("X").noconvert(), py::arg("z").noconvert(),
        py::arg("free_bias"), py::arg("target"), py::arg("tol"), py::arg("first"),
        py::arg("max_nodes"), py::arg("n_threads"), py::arg("stop").noconvert());
  bind_gradients<double>(m);
  bind_gradients<float>(m);
  m.def("farthest", &farthest, py::arg("V").noconvert(), py::arg("X").noconvert(),
        py::arg("weights").noconvert(), py::arg("free_bias"), py::arg("value"),
        py::arg("n_threads"), py::arg("stop").noconvert());
}

}  // namespace pyconvex::bindings
