#include "gan/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gan/symmetric_eigen.h"
#include "tensor/random.h"

namespace limbeck::gan {
namespace {

std::vector<double> random_symmetric(int64_t n, uint64_t seed) {
  Stream s(seed);
  std::vector<double> a(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j)
      a[static_cast<size_t>(i * n + j)] = a[static_cast<size_t>(j * n + i)] = s.normal();
  return a;
}

/// Exact moments of a Gaussian with a diagonal covariance.
Moments diagonal(std::vector<double> mean, const std::vector<double>& variance) {
  const size_t d = mean.size();
  Moments m{100, std::move(mean), std::vector<double>(d * d, 0.0)};
  for (size_t i = 0; i < d; ++i) m.covariance[i * d + i] = variance[i];
  return m;
}

TEST(Diversity, IsTheMeanDistanceOfPairs) {
  Tensor images = Tensor::zeros({3, 1, 2, 1}, DType::u8);
  images.data<uint8_t>()[2] = 255;                              // (1, 0)
  images.data<uint8_t>()[4] = images.data<uint8_t>()[5] = 255;  // (1, 1)
  EXPECT_NEAR(mean_pixel_distance(images), (1 + std::sqrt(2.0) + 1) / 3, 1e-12);
  EXPECT_NEAR(mean_pixel_distance(images, 2), 1, 1e-12);
  EXPECT_EQ(mean_pixel_distance(images.rows(0, 1)), 0);
}

TEST(Frechet, TheOriginalsZeroRowsStandBehindTheLastWholeBatch) {
  const Tensor f = Tensor::full({7, 2}, 1);
  const Tensor zeroed = without_last_batch(f, 3);
  EXPECT_EQ(zeroed.to_vector<float>(),
            (std::vector<float>{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(without_last_batch(f, 100).to_vector<float>(), f.to_vector<float>());
}

TEST(SymmetricEigen, ReconstructsAndIsOrthogonal) {
  for (const int64_t n : {1, 2, 3, 10, 65}) {
    const auto a = random_symmetric(n, static_cast<uint64_t>(n));
    const SymmetricEigen e = symmetric_eigen(a, n);
    for (int64_t i = 0; i < n; ++i) {
      if (i) {
        EXPECT_LE(e.values[static_cast<size_t>(i - 1)], e.values[static_cast<size_t>(i)]);
      }
      for (int64_t j = 0; j < n; ++j) {
        double back = 0, dot = 0;
        for (int64_t k = 0; k < n; ++k) {
          back += e.vectors[static_cast<size_t>(i * n + k)] * e.values[static_cast<size_t>(k)] *
                  e.vectors[static_cast<size_t>(j * n + k)];
          dot +=
              e.vectors[static_cast<size_t>(k * n + i)] * e.vectors[static_cast<size_t>(k * n + j)];
        }
        ASSERT_NEAR(back, a[static_cast<size_t>(i * n + j)], 1e-12 * static_cast<double>(n));
        ASSERT_NEAR(dot, i == j, 1e-12 * static_cast<double>(n));
      }
    }
  }
}

TEST(SymmetricEigen, KnownValuesAndDegenerateMatrices) {
  const SymmetricEigen e = symmetric_eigen({2, 1, 1, 2}, 2);
  EXPECT_NEAR(e.values[0], 1, 1e-14);
  EXPECT_NEAR(e.values[1], 3, 1e-14);
  EXPECT_EQ(symmetric_eigen(std::vector<double>(9, 0.0), 3).values, (std::vector<double>{0, 0, 0}));
  const SymmetricEigen ones = symmetric_eigen(std::vector<double>(16, 1.0), 4);  // rank one
  EXPECT_NEAR(ones.values[3], 4, 1e-14);
  EXPECT_NEAR(ones.values[0], 0, 1e-14);
  EXPECT_THROW(symmetric_eigen({1, NAN, NAN, 1}, 2), Error);
}

TEST(MatrixSqrt, SquaresToTheMatrix) {
  constexpr int64_t n = 20;
  const auto a = random_symmetric(n, 5);
  const auto psd = matrix_product(a, a, n);  // a is symmetric
  const auto root = matrix_sqrt(psd, n);
  const auto back = matrix_product(root, root, n);
  for (size_t i = 0; i < psd.size(); ++i) ASSERT_NEAR(back[i], psd[i], 1e-10);
}

TEST(FrechetDistance, DiagonalGaussiansHaveAClosedForm) {
  // sum (mu_a - mu_b)^2 + (sd_a - sd_b)^2
  const Moments a = diagonal({0, 1, -2}, {1, 4, 9}), b = diagonal({1, 1, 0}, {4, 4, 1});
  EXPECT_NEAR(frechet_distance(a, b), 1 + 4 + 1 + 0 + 4, 1e-12);
  EXPECT_NEAR(frechet_distance(a, a), 0, 1e-12);
}

TEST(FrechetDistance, GeneralTwoByTwo) {
  // tr (S_a S_b)^{1/2} of a 2 x 2 matrix: sqrt(tr + 2 sqrt(det)).
  const Moments a{10, {0, 0}, {2, 0.5, 0.5, 1}}, b{10, {0, 0}, {1, -0.3, -0.3, 3}};
  const double trace = (2 * 1 + 0.5 * -0.3) + (0.5 * -0.3 + 1 * 3),
               det = (2 * 1 - 0.25) * (1 * 3 - 0.09);
  EXPECT_NEAR(frechet_distance(a, b), 2 + 1 + 1 + 3 - 2 * std::sqrt(trace + 2 * std::sqrt(det)),
              1e-12);
  EXPECT_NEAR(frechet_distance(a, b), frechet_distance(b, a), 1e-12);
}

TEST(FrechetDistance, MomentsOfSamples) {
  const Tensor x = Tensor::of<float>({1, 0, 3, 2, 5, 7}, {3, 2});
  const Moments m = moments_of(x);
  EXPECT_EQ(m.mean, (std::vector<double>{3, 3}));
  EXPECT_EQ(m.covariance, (std::vector<double>{4, 7, 7, 13}));  // unbiased
  EXPECT_THROW(moments_of(Tensor::zeros({1, 2})), Error);
  EXPECT_THROW(frechet_distance(m, diagonal({0}, {1})), Error);
}

TEST(FrechetDistance, SurvivesFewerImagesThanDimensions) {
  Tensor x = Tensor::empty({5, 12}), y = Tensor::empty({7, 12});
  Stream s(3);
  s.fill_normal(x);
  s.fill_normal(y);
  const double d = frechet_distance(moments_of(x), moments_of(y));
  EXPECT_GT(d, 0);
  EXPECT_TRUE(std::isfinite(d));
  EXPECT_NEAR(frechet_distance(moments_of(x), moments_of(x)), 0, 1e-6);
}

// tr (S_a^{1/2} S_b S_a^{1/2})^{1/2} by matrices of the dimension and by those of the rows.
TEST(FrechetDistance, OfRowsIsThatOfTheirMoments) {
  for (const auto& [n, m] :
       std::vector<std::pair<int64_t, int64_t>>{{5, 7}, {7, 5}, {3, 40}, {40, 30}}) {
    Tensor x = Tensor::empty({n, 12}, DType::f64), y = Tensor::empty({m, 12}, DType::f64);
    Stream s(4);
    s.fill_normal(x);
    s.fill_normal(y);
    for (double& v : y.span<double>()) v = 0.5 * v + 1;
    EXPECT_NEAR(frechet_distance(x, y), frechet_distance(moments_of(x), moments_of(y)), 1e-6)
        << n << " and " << m << " rows";
    EXPECT_NEAR(frechet_distance(x, x), 0, 1e-6);
  }
  EXPECT_THROW(frechet_distance(Tensor::zeros({1, 4}), Tensor::zeros({3, 4})), Error);
  EXPECT_THROW(frechet_distance(Tensor::zeros({3, 4}), Tensor::zeros({3, 5})), Error);
}

TEST(FrechetDistance, MomentsOfManyRowsAreThoseOfTheDefinition) {
  constexpr int64_t n = 150, d = 3;  // more rows than a block
  Tensor x = Tensor::empty({n, d}, DType::f64);
  Stream(5).fill_normal(x);
  const Moments m = moments_of(x);
  const auto v = x.span<double>();
  for (size_t j = 0; j < d; ++j)
    for (size_t k = 0; k < d; ++k) {
      double sum = 0;
      for (size_t i = 0; i < n; ++i) sum += (v[i * d + j] - m.mean[j]) * (v[i * d + k] - m.mean[k]);
      EXPECT_NEAR(m.covariance[j * d + k], sum / (n - 1), 1e-12);
    }
}

TEST(Entropy, IsTheMeanOfTheGroups) {
  // ln 2 of two classes, 0 of one, and the group without images does not count.
  EXPECT_NEAR(mean_entropy({{0, 1, 1, 0}, {7, 7}, {}}), std::log(2.0) / 2, 1e-15);
  EXPECT_NEAR(mean_entropy({{0, 1, 2, 2}}), 1.5 * std::log(2.0), 1e-15);
  EXPECT_THROW(mean_entropy({{}, {}}), Error);
}

TEST(LabelConsistency, CountsAgreement) {
  EXPECT_DOUBLE_EQ(label_consistency({1, 2, 3, 0}, {1, 2, 0, 0}), 0.75);
  EXPECT_DOUBLE_EQ(label_consistency({}, {}), 0);
  EXPECT_THROW(label_consistency({1}, {}), Error);
}

}  // namespace
}  // namespace limbeck::gan
