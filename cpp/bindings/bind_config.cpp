#include "pyconvex/config.hpp"

#include <pybind11/pybind11.h>

namespace pyconvex::bindings {

namespace py = pybind11;

void bind_config(py::module_& m) {
  m.attr("__version__") = config().version;
  m.def("config", [] {
    const Config found = config();
    py::dict report;
    report["version"] = found.version;
    report["compiler"] = found.compiler;
    report["simd"] = found.simd;
    report["openmp"] = found.openmp;
    report["max_threads"] = found.max_threads;
    return report;
  });
}

}  // namespace pyconvex::bindings
