#include "kd/data_free/targets.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace limbeck::kd::data_free {
namespace {

constexpr double smallest_alpha = 1e-4;

/// softmax of the logarithms of Gamma draws: a draw from the Dirichlet distribution.
void fill_target(std::span<const double> concentrations, Stream& stream, std::span<float> target) {
  std::vector<double> logs;
  for (const double alpha : concentrations) logs.push_back(log_gamma_draw(alpha, stream));
  const double largest = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (double& l : logs) sum += l = std::exp(l - largest);
  for (size_t k = 0; k < logs.size(); ++k) target[k] = static_cast<float>(logs[k] / sum);
}

}  // namespace

Tensor last_weight(const nn::Network& network, int64_t classes) {
  Tensor found;
  for (const nn::Parameter& p : network.parameters())
    if (p.value.rank() == 2 && p.value.size(0) == classes) found = p.value.data();
  LIMBECK_CHECK(found.defined(), "targets: expected a last matrix of ", classes,
                " rows, by which the teacher's classes are alike, found none");
  return found.to(cpu);
}

Tensor class_similarities(const Tensor& weight) {
  const NoGrad no_grad;
  const Variable rows = l2_normalize(Variable(weight.to(DType::f64)));
  return matmul(rows, rows, false, true).data();
}

Tensor concentrations(const Tensor& similarities, double beta) {
  const int64_t classes = similarities.size(0);
  const Tensor alphas = similarities.clone();
  for (int64_t c = 0; c < classes; ++c) {
    const auto row = alphas.rows(c, c + 1).span<double>();
    const auto [low, high] = std::minmax_element(row.begin(), row.end());
    const double from = *low, to = *high;
    LIMBECK_CHECK(from < to, "targets: to the teacher class ", c, " is equally like all ", classes,
                  " classes; expected targets = labels");
    for (double& x : row) x = beta * (x - from) / (to - from) + smallest_alpha;
  }
  return alphas;
}

DirichletTargets::DirichletTargets(const Tensor& last_weight) {
  const Tensor similarities = class_similarities(last_weight);
  for (const double beta : {1.0, 0.1})
    concentrations_.push_back(concentrations(similarities, beta));
}

Tensor DirichletTargets::draw(int64_t n, const Stream& stream) const {
  const int64_t classes = concentrations_[0].size(0),
                betas = static_cast<int64_t>(concentrations_.size());
  const Tensor targets = Tensor::empty({n, classes});
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i) {
    Stream of_image = stream.fork("target", static_cast<uint64_t>(i));
    const int64_t c = of_image.below(classes);
    const Tensor& alphas = concentrations_[static_cast<size_t>(of_image.below(betas))];
    fill_target(alphas.rows(c, c + 1).span<double>(), of_image,
                targets.rows(i, i + 1).span<float>());
  }
  return targets;
}

double log_gamma_draw(double alpha, Stream& stream) {
  const auto log_uniform = [&stream] { return std::log(1 - stream.uniform()); };  // of (0, 1]
  if (alpha < 1) {
    const double of_power = log_uniform() / alpha;
    return of_power + log_gamma_draw(alpha + 1, stream);
  }
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = stream.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double log_v = 3 * std::log(root);
    if (log_uniform() < 0.5 * x * x + d * (1 - std::exp(log_v) + log_v)) return std::log(d) + log_v;
  }
}

}  // namespace limbeck::kd::data_free
