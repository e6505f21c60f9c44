#include "kd/theorem1.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kd/fake_data.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "tensor/error.h"
#include "tensor/rows.h"

namespace limbeck::kd {
namespace {

double mean_of(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

/// Columns to mean 0 and deviation 1, by the rows of the training half.
struct Standardiser {
  std::vector<double> mean, scale;
  explicit Standardiser(const Tensor& x) {
    const int64_t n = x.size(0), d = x.size(1);
    for (int64_t c = 0; c < d; ++c) {
      double sum = 0, square = 0;
      for (int64_t i = 0; i < n; ++i) sum += x.at(i * d + c);
      for (int64_t i = 0; i < n; ++i) square += std::pow(x.at(i * d + c) - sum / double(n), 2);
      mean.push_back(sum / double(n));
      scale.push_back(1 / std::sqrt(square / double(n) + 1e-12));
    }
  }
  Tensor operator()(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape());
    for (int64_t i = 0; i < x.numel(); ++i) {
      const size_t c = static_cast<size_t>(i % x.size(1));
      y.data<float>()[i] = static_cast<float>((x.at(i) - mean[c]) * scale[c]);
    }
    return y;
  }
};

/// 0 for the first rows, 1 for the rest.
Tensor sides(int64_t real, int64_t fake) {
  std::vector<int64_t> labels(static_cast<size_t>(real), 0);
  labels.insert(labels.end(), static_cast<size_t>(fake), 1);
  return Tensor::of(labels);
}

void train_classifier(nn::Module& net, const Tensor& x, const Tensor& labels, Stream stream) {
  constexpr int64_t epochs = 30, batch = 64;
  nn::Adam::Config config;
  config.lr = 1e-3, config.weight_decay = 1e-4;
  const auto optimiser = nn::create_optimizer(net.parameters(), config);
  for (int64_t e = 0; e < epochs; ++e) {
    const std::vector<int64_t> order = stream.permutation(x.size(0));
    for (int64_t begin = 0; begin < x.size(0); begin += batch) {
      const std::vector<int64_t> rows(order.begin() + begin,
                                      order.begin() + std::min(begin + batch, x.size(0)));
      optimiser->zero_grad();
      cross_entropy(net(Variable(take_rows(x, rows))), take_rows(labels, rows)).backward();
      optimiser->step();
    }
  }
}

/// Share of rows that are given the side.
double share_given(nn::Module& net, const Tensor& x, int64_t side) {
  const NoGrad no_grad;
  const Tensor given = argmax(net(Variable(x)).data());
  double count = 0;
  for (int64_t i = 0; i < given.numel(); ++i) count += given.data<int64_t>()[i] == side;
  return count / static_cast<double>(given.numel());
}

}  // namespace

Estimate estimate(const std::vector<double>& values) {
  LIMBECK_CHECK(!values.empty(), "estimate: no values");
  const double n = static_cast<double>(values.size()), mean = mean_of(values);
  double square = 0;
  for (const double v : values) square += (v - mean) * (v - mean);
  return {mean, n > 1 ? std::sqrt(square / (n - 1) / n) : 0};
}

Estimate complexity_term(double loss_bound, const Estimate& root, int64_t n) {
  const double by_root = 1 / std::sqrt(static_cast<double>(n));
  return {4 * loss_bound * std::min(1.0, root.mean * by_root),
          4 * loss_bound * root.error * by_root};
}

double sample_term(double loss_bound, int64_t n, double delta) {
  return 2 * loss_bound * std::sqrt(4 / static_cast<double>(n) * std::log(2 / delta));
}

double gap_term(double loss_bound, double theta, double tv) {
  return 4 * loss_bound * (1 - theta) * tv;
}

LossBound loss_bound(const std::vector<double>& losses) {
  LIMBECK_CHECK(!losses.empty(), "loss_bound: no losses");
  LossBound bound{quantile(losses, 0.999), *std::max_element(losses.begin(), losses.end()), 0};
  for (const double l : losses)
    bound.share_above += (l > bound.quantile) / static_cast<double>(losses.size());
  return bound;
}

Estimate gap_of_losses(const std::vector<double>& real, const std::vector<double>& fake) {
  const Estimate r = estimate(real), f = estimate(fake);
  return {std::abs(r.mean - f.mean), std::hypot(r.error, f.error)};
}

Estimate gap_of_classifier(const Tensor& real, const Tensor& fake, const Stream& stream) {
  // As many of each kind: the classifier is to be right about both.
  const int64_t n = std::min(real.size(0), fake.size(0)), half = n / 2;
  const auto halves = [n, half](const Tensor& x, Stream order) {
    const Tensor shuffled = take_rows(x, order.permutation(x.size(0)));
    return std::pair(shuffled.rows(0, half), shuffled.rows(half, n));
  };
  LIMBECK_CHECK(real.size(0) >= 4 && fake.size(0) >= 4,
                "theorem1: expected at least 4 images of each kind, found ", real.size(0),
                " real and ", fake.size(0), " fake ones");
  const auto [seen_real, test_real] = halves(real, stream.fork("real"));
  const auto [seen_fake, test_fake] = halves(fake, stream.fork("fake"));
  const Tensor seen = join_rows({seen_real, seen_fake});
  const Standardiser standardise(seen);
  nn::Sequential net;
  constexpr int64_t hidden = 64;
  net.emplace<nn::Linear>(real.size(1), hidden);
  net.emplace<nn::ReLU>();
  net.emplace<nn::Linear>(hidden, 2);
  net.initialise(stream.fork("init"));
  train_classifier(net, standardise(seen), sides(half, half), stream.fork("order"));
  const double a = share_given(net, standardise(test_real), 0),
               b = share_given(net, standardise(test_fake), 1);
  // 2 (a + b) / 2 - 1, and the error of the two shares.
  const double tested = static_cast<double>(n - half);
  return {a + b - 1, std::sqrt((a * (1 - a) + b * (1 - b)) / tested)};
}

Estimate gap_of_ratio(const std::vector<double>& ratios) {
  const double mean = estimate(ratios).mean;
  LIMBECK_CHECK(mean > 0, "theorem1.ratio: the density ratio of every fake is ", mean);
  std::vector<double> distances;
  for (const double r : ratios) distances.push_back(std::abs(r / mean - 1) / 2);
  return estimate(distances);
}

double gap_of_labels(const std::vector<int64_t>& real, const std::vector<int64_t>& fake) {
  const auto sum = [](const std::vector<int64_t>& v) {
    return static_cast<double>(std::accumulate(v.begin(), v.end(), int64_t{0}));
  };
  const double n = sum(real), m = sum(fake);
  LIMBECK_CHECK(real.size() == fake.size() && n > 0 && m > 0,
                "gap_of_labels: expected as many labels of both kinds, found ", real.size(),
                " and ", fake.size(), " of ", n, " real and ", m, " fake images");
  double gap = 0;
  for (size_t i = 0; i < real.size(); ++i)
    gap += std::abs(static_cast<double>(real[i]) / n - static_cast<double>(fake[i]) / m) / 2;
  return gap;
}

double theta_of_run(int64_t real, int64_t n, int64_t first_epochs, int64_t second_epochs) {
  const double first = static_cast<double>(first_epochs) * static_cast<double>(real),
               second = static_cast<double>(second_epochs) * static_cast<double>(n);
  const double theta = static_cast<double>(real) / static_cast<double>(n);
  return (first + second * theta) / (first + second);
}

}  // namespace limbeck::kd
