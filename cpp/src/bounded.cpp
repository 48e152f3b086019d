// Cones wait in order of their bounds; the one with the largest is halved next.
#include "bounded.hpp"

#include <algorithm>
#include <cmath>
#include <queue>
#include <vector>

#include "cones.hpp"
#include "parallel.hpp"

namespace pyconvex {
namespace {

using Eigen::VectorXd;

constexpr std::size_t kBatch = 64;  // cones halved between two looks at the incumbent
constexpr Index kPoints = 64;       // points returned

struct Smaller {
  bool operator()(const Cone& a, const Cone& b) const { return a.bound < b.bound; }
};

class Search {
 public:
  Search(MatrixView X, const double* z, bool free_bias, const BoundLimits& limits)
      : cones_(X, z, free_bias), limits_(limits), fresh_(cones_.cover()) {}

  NormBound run(Index p);

 private:
  double cutoff() const { return std::max(value_, limits_.target) * (1.0 + limits_.tol); }
  bool must_stop() const;
  void evaluate();
  void halve();
  NormBound result(Index p);

  Cones cones_;
  const BoundLimits& limits_;
  std::vector<Cone> fresh_;  // to be evaluated
  std::priority_queue<Cone, std::vector<Cone>, Smaller> heap_;
  std::vector<Cone> found_;  // cones whose points are worth returning, without their rows
  double value_ = 0.0;
  double closed_ = 0.0;  // the largest bound among cones that will not be halved
  std::int64_t n_nodes_ = 0;
};

NormBound Search::run(Index p) {
  while (!fresh_.empty() && !must_stop()) {
    evaluate();
    halve();
  }
  return result(p);
}

bool Search::must_stop() const {
  return n_nodes_ > 0 &&
         ((limits_.first && value_ > limits_.target * (1.0 + limits_.tol)) ||
          (limits_.max_nodes > 0 && n_nodes_ >= limits_.max_nodes) || limits_.stop.is_set() ||
          std::chrono::steady_clock::now() >= limits_.deadline);
}

void Search::evaluate() {
  const double level = cutoff();
  parallel_for(static_cast<Index>(fresh_.size()), limits_.n_threads,
               [&](Index k) { cones_.evaluate(fresh_[static_cast<std::size_t>(k)], level); });
  n_nodes_ += static_cast<std::int64_t>(fresh_.size());
  for (Cone& cone : fresh_) {
    value_ = std::max(value_, cone.value);
    if (cone.value > limits_.target) {
      found_.push_back(cone);
      found_.back().cut.clear();
      found_.back().cut.shrink_to_fit();
    }
    heap_.push(std::move(cone));
  }
  fresh_.clear();
}

void Search::halve() {
  while (!heap_.empty() && heap_.top().bound > cutoff() && fresh_.size() < 2 * kBatch) {
    if (cones_.is_thin(heap_.top())) {
      closed_ = std::max(closed_, heap_.top().bound);
    } else {
      for (Cone& half : cones_.halve(heap_.top())) {
        fresh_.push_back(std::move(half));
      }
    }
    heap_.pop();
  }
}

NormBound Search::result(Index p) {
  for (const Cone& cone : fresh_) {
    closed_ = std::max(closed_, cone.bound);
  }
  const double open = heap_.empty() ? 0.0 : heap_.top().bound;
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Cone& a, const Cone& b) { return a.value > b.value; });
  const Index count = std::min(static_cast<Index>(found_.size()), kPoints);
  NormBound result{value_,          std::max({closed_, open, value_}),
                   n_nodes_,        RowMatrix(count, p),
                   VectorXd(count), VectorXd(count)};
  for (Index k = 0; k < count; ++k) {
    const Cone& cone = found_[static_cast<std::size_t>(k)];
    result.points.row(k) = cone.point;
    result.signs[k] = cone.sign;
    result.values[k] = cone.value;
  }
  return result;
}

}  // namespace

std::chrono::steady_clock::time_point deadline_in(double seconds) {
  using Clock = std::chrono::steady_clock;
  if (!std::isfinite(seconds)) {
    return Clock::time_point::max();
  }
  const auto limit = std::chrono::duration<double>(std::min(seconds, 1e9));
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(limit);
}

NormBound bound_norm(MatrixView X, const double* z, bool free_bias, const BoundLimits& limits) {
  return Search(X, z, free_bias, limits).run(X.cols);
}

}  // namespace pyconvex
