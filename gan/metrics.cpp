#include "gan/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "gan/symmetric_eigen.h"

namespace limbeck::gan {

namespace {

/// Features in f64, and their mean subtracted.
struct Centred {
  Tensor rows;  // f64 [N, D]
  std::vector<double> mean;
  int64_t count() const { return rows.size(0); }
  int64_t dim() const { return rows.size(1); }
  const double* row(int64_t i) const { return rows.data<double>() + i * dim(); }
  /// Of the covariance.
  double trace() const {
    double sum = 0;
    for (const double v : rows.span<double>()) sum += v * v;
    return sum / static_cast<double>(count() - 1);
  }
};

Centred centred(const Tensor& features) {
  LIMBECK_CHECK(features.rank() == 2 && features.size(0) >= 2,
                "moments: expected features [N, D] of at least two images, found ",
                describe(features));
  const int64_t n = features.size(0), d = features.size(1);
  Centred c{features.to(DType::f64).clone(), std::vector<double>(static_cast<size_t>(d), 0.0)};
  double* x = c.rows.data<double>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) c.mean[static_cast<size_t>(j)] += x[i * d + j];
  for (double& v : c.mean) v /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) x[i * d + j] -= c.mean[static_cast<size_t>(j)];
  return c;
}

/// tr((A^{1/2} B A^{1/2})^{1/2}) of the covariances A and B of two sets: the sum of the singular
/// values of a b^T / sqrt((n_a - 1)(n_b - 1)), found from its smaller Gram matrix.
double trace_of_root(const Centred& a, const Centred& b) {
  if (a.count() > b.count()) return trace_of_root(b, a);
  const int64_t n = a.count(), m = b.count(), d = a.dim();
  const double scale = 1 / std::sqrt(static_cast<double>(n - 1) * static_cast<double>(m - 1));
  std::vector<double> cross(static_cast<size_t>(n * m));
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j)
      cross[static_cast<size_t>(i * m + j)] =
          scale * std::inner_product(a.row(i), a.row(i) + d, b.row(j), 0.0);
  std::vector<double> gram(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j)
      gram[static_cast<size_t>(i * n + j)] = std::inner_product(
          &cross[static_cast<size_t>(i * m)], &cross[static_cast<size_t>(i * m)] + m,
          &cross[static_cast<size_t>(j * m)], 0.0);
  double sum = 0;
  for (const double v : symmetric_eigen(gram, n).values) sum += std::sqrt(std::max(0.0, v));
  return sum;
}

}  // namespace

Moments moments_of(const Tensor& features) {
  const Centred c = centred(features);
  const int64_t n = c.count(), d = c.dim();
  Moments m{n, c.mean, std::vector<double>(static_cast<size_t>(d * d), 0.0)};
  // So many rows stay in the cache; within an entry the order is that of the rows, whatever the
  // number of threads.
  constexpr int64_t block = 64;
  for (int64_t begin = 0; begin < n; begin += block) {
    const int64_t end = std::min(begin + block, n);
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t j = 0; j < d; ++j) {
      double* sums = &m.covariance[static_cast<size_t>(j * d)];
      for (int64_t i = begin; i < end; ++i) {
        const double* x = c.row(i);
        for (int64_t k = 0; k <= j; ++k) sums[k] += x[j] * x[k];
      }
    }
  }
  for (int64_t j = 0; j < d; ++j)
    for (int64_t k = 0; k <= j; ++k) {
      const double v = m.covariance[static_cast<size_t>(j * d + k)] / static_cast<double>(n - 1);
      m.covariance[static_cast<size_t>(j * d + k)] = m.covariance[static_cast<size_t>(k * d + j)] =
          v;
    }
  return m;
}

double frechet_distance(const Moments& a, const Moments& b) {
  LIMBECK_CHECK(a.dim() == b.dim(), "Frechet distance: features of dimension ", a.dim(), " and ",
                b.dim());
  const int64_t d = a.dim();
  double distance = 0;
  for (int64_t i = 0; i < d; ++i) {
    const size_t at = static_cast<size_t>(i), diagonal = static_cast<size_t>(i * d + i);
    distance += (a.mean[at] - b.mean[at]) * (a.mean[at] - b.mean[at]) + a.covariance[diagonal] +
                b.covariance[diagonal];
  }
  const std::vector<double> root = matrix_sqrt(a.covariance, d);
  std::vector<double> product = matrix_product(matrix_product(root, b.covariance, d), root, d);
  for (int64_t i = 0; i < d; ++i)  // symmetric up to rounding
    for (int64_t j = 0; j < i; ++j) {
      double& lower = product[static_cast<size_t>(i * d + j)];
      double& upper = product[static_cast<size_t>(j * d + i)];
      lower = upper = (lower + upper) / 2;
    }
  for (double v : symmetric_eigen(product, d).values) distance -= 2 * std::sqrt(std::max(0.0, v));
  return std::max(0.0, distance);
}

double frechet_distance(const Tensor& a, const Tensor& b) {
  LIMBECK_CHECK(a.rank() == 2 && b.rank() == 2 && a.size(1) == b.size(1),
                "Frechet distance: expected features of one dimension, found ", describe(a),
                " and ", describe(b));
  if (std::min(a.size(0), b.size(0)) >= a.size(1))
    return frechet_distance(moments_of(a), moments_of(b));
  const Centred x = centred(a), y = centred(b);
  double distance = x.trace() + y.trace() - 2 * trace_of_root(x, y);
  for (size_t i = 0; i < x.mean.size(); ++i)
    distance += (x.mean[i] - y.mean[i]) * (x.mean[i] - y.mean[i]);
  return std::max(0.0, distance);
}

Tensor without_last_batch(const Tensor& features, int64_t batch) {
  LIMBECK_CHECK(batch > 0, "Frechet distance: expected a positive batch, found ", batch);
  const int64_t n = features.size(0), kept = n - n % std::min(batch, n);
  Tensor all = features.clone();
  if (kept < n) all.rows(kept, n).fill(0);
  return all;
}

double mean_pixel_distance(const Tensor& images, int64_t most) {
  const int64_t n = std::min(images.size(0), most);
  if (n < 2) return 0;
  const int64_t size = images.numel() / images.size(0);
  const uint8_t* pixel = images.data<uint8_t>();
  std::vector<double> of_row(static_cast<size_t>(n), 0.0);  // the sum does not depend on threads
#pragma omp parallel for schedule(dynamic, 4)
  for (int64_t i = 1; i < n; ++i)
    for (int64_t j = 0; j < i; ++j) {
      int64_t square = 0;
      for (int64_t k = 0; k < size; ++k) {
        const int64_t d = int64_t{pixel[i * size + k]} - int64_t{pixel[j * size + k]};
        square += d * d;
      }
      of_row[static_cast<size_t>(i)] += std::sqrt(static_cast<double>(square)) / 255;
    }
  double sum = 0;
  for (const double v : of_row) sum += v;
  return sum / (static_cast<double>(n) * static_cast<double>(n - 1) / 2);
}

double label_consistency(const std::vector<int64_t>& predicted,
                         const std::vector<int64_t>& assigned) {
  LIMBECK_CHECK(predicted.size() == assigned.size(), "label consistency: ", predicted.size(),
                " predictions for ", assigned.size(), " labels");
  if (predicted.empty()) return 0;
  double equal = 0;
  for (size_t i = 0; i < predicted.size(); ++i) equal += predicted[i] == assigned[i];
  return equal / static_cast<double>(predicted.size());
}

double mean_entropy(const std::vector<std::vector<int64_t>>& groups) {
  double sum = 0;
  int64_t counted = 0;
  for (const std::vector<int64_t>& group : groups) {
    if (group.empty()) continue;
    std::map<int64_t, double> count;
    for (const int64_t c : group) ++count[c];
    for (const auto& entry : count) {
      const double share = entry.second / static_cast<double>(group.size());
      sum -= share * std::log(share);
    }
    ++counted;
  }
  LIMBECK_CHECK(counted > 0, "entropy of classes: expected a group that is not empty");
  return sum / static_cast<double>(counted);
}

}  // namespace limbeck::gan
