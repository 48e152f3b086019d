#include <doctest/doctest.h>

#include "pyconvex/config.hpp"

TEST_CASE("the build describes itself") {
  const pyconvex::Config found = pyconvex::config();
  CHECK_FALSE(found.version.empty());
  CHECK_FALSE(found.compiler.empty());
  CHECK_FALSE(found.simd.empty());
  CHECK(found.max_threads >= 1);
}
