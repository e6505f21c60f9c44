#include "gan/niqe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "gan/symmetric_eigen.h"
#include "tensor/error.h"

namespace limbeck::gan {
namespace {

constexpr int64_t block_side = 8, features_per_size = 18, feature_count = 2 * features_per_size;
constexpr double sharp_share = 0.1;
constexpr std::array<std::pair<int64_t, int64_t>, 4> neighbours{{{0, 1}, {1, 0}, {1, 1}, {1, -1}}};

using BlockFeatures = std::array<double, feature_count>;

/// One channel, row-major.
struct Gray {
  int64_t height = 0, width = 0;
  std::vector<double> values;
  Gray(int64_t h, int64_t w) : height(h), width(w), values(static_cast<size_t>(h * w)) {}
  double& at(int64_t y, int64_t x) { return values[static_cast<size_t>(y * width + x)]; }
  double at(int64_t y, int64_t x) const { return values[static_cast<size_t>(y * width + x)]; }
  /// Borders are repeated.
  double near(int64_t y, int64_t x) const {
    return at(std::clamp<int64_t>(y, 0, height - 1), std::clamp<int64_t>(x, 0, width - 1));
  }
};

Gray gray_of(const Tensor& images, int64_t i) {
  const int64_t h = images.size(1), w = images.size(2), c = images.size(3);
  const uint8_t* const p = images.data<uint8_t>() + i * h * w * c;
  Gray gray(h, w);
  for (int64_t k = 0; k < h * w; ++k)
    gray.values[static_cast<size_t>(k)] =
        c == 1 ? p[k] : 0.2989 * p[3 * k] + 0.587 * p[3 * k + 1] + 0.114 * p[3 * k + 2];
  return gray;
}

Gray halved(const Gray& g) {
  Gray half(g.height / 2, g.width / 2);
  for (int64_t y = 0; y < half.height; ++y)
    for (int64_t x = 0; x < half.width; ++x)
      half.at(y, x) = (g.at(2 * y, 2 * x) + g.at(2 * y, 2 * x + 1) + g.at(2 * y + 1, 2 * x) +
                       g.at(2 * y + 1, 2 * x + 1)) /
                      4;
  return half;
}

std::array<double, 7> window() {
  std::array<double, 7> w{};
  double sum = 0;
  for (int64_t i = 0; i < 7; ++i) {
    const double d = static_cast<double>(i - 3) / (7.0 / 6);
    sum += w[static_cast<size_t>(i)] = std::exp(-d * d / 2);
  }
  for (double& v : w) v /= sum;
  return w;
}

Gray smoothed(const Gray& g) {
  static const std::array<double, 7> w = window();
  Gray rows(g.height, g.width), both(g.height, g.width);
  for (int64_t y = 0; y < g.height; ++y)
    for (int64_t x = 0; x < g.width; ++x)
      for (int64_t k = 0; k < 7; ++k)
        rows.at(y, x) += w[static_cast<size_t>(k)] * g.near(y, x + k - 3);
  for (int64_t y = 0; y < g.height; ++y)
    for (int64_t x = 0; x < g.width; ++x)
      for (int64_t k = 0; k < 7; ++k)
        both.at(y, x) += w[static_cast<size_t>(k)] * rows.near(y + k - 3, x);
  return both;
}

/// Normalised values and local deviations.
struct Normalised {
  Gray values, deviation;
};

Normalised normalised(const Gray& g) {
  const Gray mean = smoothed(g);
  Gray square = g;
  for (double& v : square.values) v *= v;
  Normalised n{g, smoothed(square)};
  for (size_t i = 0; i < g.values.size(); ++i) {
    double& sigma = n.deviation.values[i];
    sigma = std::sqrt(std::abs(sigma - mean.values[i] * mean.values[i]));
    n.values.values[i] = (g.values[i] - mean.values[i]) / (sigma + 1);
  }
  return n;
}

/// Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a)), rising in a.
double moment_ratio(double a) {
  return std::tgamma(2 / a) * std::tgamma(2 / a) / (std::tgamma(1 / a) * std::tgamma(3 / a));
}

/// Asymmetric generalised Gaussian by its moments; nothing unless values of both signs are there.
struct Asymmetric {
  double shape, left, right;
};

std::optional<Asymmetric> fit(const std::vector<double>& values) {
  double negative = 0, positive = 0, absolute = 0;
  int64_t below = 0, above = 0;
  for (const double v : values) {
    absolute += std::abs(v);
    if (v < 0) negative += v * v, ++below;
    if (v > 0) positive += v * v, ++above;
  }
  if (below == 0 || above == 0) return {};
  const double n = static_cast<double>(values.size());
  const double left = std::sqrt(negative / static_cast<double>(below)),
               right = std::sqrt(positive / static_cast<double>(above)), g = left / right;
  const double plain = (absolute / n) * (absolute / n) / ((negative + positive) / n);
  const double wanted = plain * (g * g * g + 1) * (g + 1) / ((g * g + 1) * (g * g + 1));
  double low = 0.2, high = 10;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (moment_ratio(middle) < wanted ? low : high) = middle;
  }
  const double scale = std::sqrt(std::tgamma(1 / low) / std::tgamma(3 / low));
  return Asymmetric{low, left * scale, right * scale};
}

/// 18 features of the block at (y, x), or false where a distribution has no fit.
bool add_features(const Gray& n, int64_t y, int64_t x, int64_t side, double* out) {
  std::vector<double> block(static_cast<size_t>(side * side)), product(block.size());
  const auto value = [&](int64_t i, int64_t j) {  // neighbours wrap around within the block
    return n.at(y + (i + side) % side, x + (j + side) % side);
  };
  for (int64_t k = 0; k < side * side; ++k)
    block[static_cast<size_t>(k)] = value(k / side, k % side);
  const std::optional<Asymmetric> own = fit(block);
  if (!own) return false;
  *out++ = own->shape, *out++ = (own->left + own->right) / 2;
  for (const auto& [dy, dx] : neighbours) {
    for (int64_t k = 0; k < side * side; ++k)
      product[static_cast<size_t>(k)] =
          block[static_cast<size_t>(k)] * value(k / side - dy, k % side - dx);
    const std::optional<Asymmetric> p = fit(product);
    if (!p) return false;
    *out++ = p->shape;
    *out++ = (p->right - p->left) * std::tgamma(2 / p->shape) / std::tgamma(1 / p->shape);
    *out++ = p->left, *out++ = p->right;
  }
  return true;
}

double mean_of_block(const Gray& g, int64_t y, int64_t x, int64_t side) {
  double sum = 0;
  for (int64_t k = 0; k < side * side; ++k) sum += g.at(y + k / side, x + k % side);
  return sum / static_cast<double>(side * side);
}

/// Of the blocks with features; with `sharp_only` those of at least a tenth of the largest
/// sharpness.
std::vector<BlockFeatures> blocks_of(const Gray& full, bool sharp_only) {
  const Normalised fine = normalised(full), coarse = normalised(halved(full));
  const int64_t rows = full.height / block_side, columns = full.width / block_side;
  std::vector<double> sharpness;
  for (int64_t b = 0; b < rows * columns; ++b)
    sharpness.push_back(mean_of_block(fine.deviation, b / columns * block_side,
                                      b % columns * block_side, block_side));
  const double least = sharp_share * *std::max_element(sharpness.begin(), sharpness.end());
  std::vector<BlockFeatures> all;
  for (int64_t b = 0; b < rows * columns; ++b) {
    if (sharp_only && sharpness[static_cast<size_t>(b)] <= least) continue;
    const int64_t y = b / columns * block_side, x = b % columns * block_side;
    BlockFeatures f{};
    if (add_features(fine.values, y, x, block_side, f.data()) &&
        add_features(coarse.values, y / 2, x / 2, block_side / 2, f.data() + features_per_size))
      all.push_back(f);
  }
  return all;
}

/// Mean and covariance (unbiased; 0 of a single block).
NiqeModel moments(const std::vector<BlockFeatures>& blocks) {
  constexpr size_t d = feature_count;
  NiqeModel m{std::vector<double>(d, 0.0), std::vector<double>(d * d, 0.0),
              static_cast<int64_t>(blocks.size())};
  const double n = static_cast<double>(blocks.size());
  for (const BlockFeatures& f : blocks)
    for (size_t j = 0; j < d; ++j) m.mean[j] += f[j] / n;
  if (blocks.size() < 2) return m;
  for (const BlockFeatures& f : blocks)
    for (size_t j = 0; j < d; ++j)
      for (size_t k = 0; k < d; ++k)
        m.covariance[j * d + k] += (f[j] - m.mean[j]) * (f[k] - m.mean[k]) / (n - 1);
  return m;
}

double distance(const NiqeModel& a, const NiqeModel& b) {
  constexpr size_t d = feature_count;
  std::vector<double> pooled(d * d);
  for (size_t i = 0; i < d * d; ++i) pooled[i] = (a.covariance[i] + b.covariance[i]) / 2;
  const SymmetricEigen e = symmetric_eigen(pooled, feature_count);
  const double negligible = 1e-12 * std::max(0.0, e.values.back());
  double sum = 0;
  for (size_t k = 0; k < d; ++k) {
    if (e.values[k] <= negligible) continue;
    double along = 0;
    for (size_t j = 0; j < d; ++j) along += e.vectors[j * d + k] * (a.mean[j] - b.mean[j]);
    sum += along * along / e.values[k];
  }
  return std::sqrt(sum);
}

void check_images(const Tensor& images) {
  LIMBECK_CHECK(images.dtype() == DType::u8 && images.rank() == 4 &&
                    (images.size(3) == 1 || images.size(3) == 3) &&
                    std::min(images.size(1), images.size(2)) >= 2 * block_side,
                "NIQE: expected images u8 [N, H, W, 1 or 3] of at least ", 2 * block_side,
                " pixels a side, found ", describe(images));
}

std::vector<std::vector<BlockFeatures>> features_of(const Tensor& images, bool sharp_only) {
  check_images(images);
  std::vector<std::vector<BlockFeatures>> all(static_cast<size_t>(images.size(0)));
#pragma omp parallel for schedule(dynamic, 8)
  for (int64_t i = 0; i < images.size(0); ++i)
    all[static_cast<size_t>(i)] = blocks_of(gray_of(images, i), sharp_only);
  return all;
}

}  // namespace

NiqeModel niqe_model(const Tensor& images) {
  std::vector<BlockFeatures> blocks;
  for (const auto& of_image : features_of(images, true))
    blocks.insert(blocks.end(), of_image.begin(), of_image.end());
  LIMBECK_CHECK(blocks.size() >= 2, "NIQE: the images have ", blocks.size(),
                " blocks with more than one gray value, expected at least 2");
  return moments(blocks);
}

std::vector<double> niqe(const NiqeModel& model, const Tensor& images) {
  std::vector<double> all;
  for (const std::vector<BlockFeatures>& blocks : features_of(images, false))
    all.push_back(blocks.empty() ? std::numeric_limits<double>::infinity()
                                 : distance(model, moments(blocks)));
  return all;
}

}  // namespace limbeck::gan
