// Train a ReLU network on a CSV file: the last column is the target, a first line of names is
// skipped. Prints objective, gap, neurons and the first predictions.
//
//   train_csv data.csv [beta] [free|decayed|none] [loss]
//
// with beta 0 for 0.01 beta_max and a loss such as squared or, for targets -1 and +1, logistic.
#include <pyconvex/pyconvex.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// Numbers of one line; empty if some field is no number.
std::vector<double> parse(const std::string& line) {
  std::vector<double> numbers;
  std::istringstream fields(line);
  for (std::string field; std::getline(fields, field, ',');) {
    char* end = nullptr;
    numbers.push_back(std::strtod(field.c_str(), &end));
    if (end == field.c_str()) {
      return {};
    }
  }
  return numbers;
}

struct Data {
  pyconvex::Matrix X;
  std::vector<double> y;
};

Data read_csv(const char* path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(std::string("cannot open ") + path);
  }
  std::vector<double> values, y;
  std::size_t n_columns = 0;
  for (std::string line; std::getline(file, line);) {
    const std::vector<double> row = parse(line);
    if (row.empty() && y.empty()) {
      continue;  // names, or a blank line
    }
    if (row.size() < 2 || (n_columns != 0 && row.size() != n_columns)) {
      throw std::runtime_error("line " + std::to_string(y.size() + 1) +
                               " of the data must hold numbers, as many as the others");
    }
    n_columns = row.size();
    values.insert(values.end(), row.begin(), row.end() - 1);
    y.push_back(row.back());
  }
  const auto n = static_cast<pyconvex::Index>(y.size());
  return {pyconvex::Matrix(n, n == 0 ? 0 : static_cast<pyconvex::Index>(n_columns) - 1, values), y};
}

pyconvex::Bias parse_bias(const std::string& name) {
  if (name == "free") {
    return pyconvex::Bias::free;
  }
  if (name == "decayed") {
    return pyconvex::Bias::decayed;
  }
  if (name == "none") {
    return pyconvex::Bias::none;
  }
  throw std::runtime_error("bias must be free, decayed or none");
}

int run(int argc, char** argv) {
  const Data data = read_csv(argv[1]);
  pyconvex::FitSettings settings;
  settings.beta = argc > 2 ? std::atof(argv[2]) : 0.0;
  settings.bias = parse_bias(argc > 3 ? argv[3] : "free");
  settings.loss = pyconvex::make_loss(argc > 4 ? argv[4] : "squared");
  const pyconvex::Fit fit = pyconvex::fit(data.X, data.y, settings);
  std::printf("samples %td, features %td, beta %.6g\n", data.X.rows(), data.X.cols(), fit.beta);
  std::printf("status %s after %td rounds, %.2f s\n", to_string(fit.status).c_str(), fit.n_iter,
              fit.seconds);
  std::printf("objective %.10g, gap %.2e (%s), neurons %td\n", fit.objective, fit.gap,
              fit.certificate.c_str(), fit.network.n_neurons());
  const std::vector<double> prediction = fit.network.predict(data.X);
  for (std::size_t i = 0; i < std::min<std::size_t>(5, prediction.size()); ++i) {
    std::printf("target %10.4f  prediction %10.4f\n", data.y[i], prediction[i]);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5) {
    std::fprintf(stderr, "usage: %s data.csv [beta] [free|decayed|none] [loss]\n", argv[0]);
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
