#include <iostream>
#include <pyconvex/pyconvex.hpp>

int main() {
  const pyconvex::Matrix X(2, 2, {1, 0, 0, 1});
  const pyconvex::Matrix G(2, 3, {1, -1, 2, 1, 1, 2});  // the third gate repeats the first pattern
  const auto patterns = pyconvex::PatternSet::from_gates(X, G);
  std::cout << "pyconvex " << pyconvex::config().version << ": " << patterns.size()
            << " patterns\n";
  return patterns.size() == 2 ? 0 : 1;
}
