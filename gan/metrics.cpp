#include "gan/metrics.h"

#include <algorithm>
#include <cmath>

#include "gan/symmetric_eigen.h"

namespace limbeck::gan {

Moments moments_of(const Tensor& features) {
  LIMBECK_CHECK(features.rank() == 2 && features.size(0) >= 2,
                "moments: expected features [N, D] of at least two images, found ",
                describe(features));
  const int64_t n = features.size(0), d = features.size(1);
  const Tensor wide = features.to(DType::f64).clone();
  double* x = wide.data<double>();
  Moments m{n, std::vector<double>(static_cast<size_t>(d), 0.0),
            std::vector<double>(static_cast<size_t>(d * d), 0.0)};
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) m.mean[static_cast<size_t>(j)] += x[i * d + j];
  for (double& v : m.mean) v /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) x[i * d + j] -= m.mean[static_cast<size_t>(j)];
#pragma omp parallel for schedule(dynamic, 8)
  for (int64_t j = 0; j < d;
       ++j) {  // each thread owns whole rows: the sums run in the same order for any thread count
    double* row = &m.covariance[static_cast<size_t>(j * d)];
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k <= j; ++k) row[k] += x[i * d + j] * x[i * d + k];
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

}  // namespace limbeck::gan
