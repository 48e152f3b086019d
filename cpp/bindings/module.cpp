// Table of contents of pyconvex._core: one bind_*.cpp per room, in the order of the flow.
#include <pybind11/pybind11.h>

namespace pyconvex::bindings {
void bind_config(pybind11::module_& m);
void bind_patterns(pybind11::module_& m);
void bind_cells(pybind11::module_& m);
void bind_pricing(pybind11::module_& m);
void bind_solver(pybind11::module_& m);
}  // namespace pyconvex::bindings

PYBIND11_MODULE(_core, m) {
  using namespace pyconvex::bindings;
  m.doc() = "Compiled kernels of pyconvex: raw arrays in, raw arrays out.";
  bind_config(m);
  bind_patterns(m);
  bind_cells(m);
  bind_pricing(m);
  bind_solver(m);
}
