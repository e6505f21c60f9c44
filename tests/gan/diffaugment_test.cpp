// DiffAugment: values worked out by hand, gradients, and the distribution of its draws.
#include "gan/diffaugment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "autograd/gradcheck.h"

namespace limbeck::gan {
namespace {

Tensor parameters(const std::vector<double>& p) { return Tensor::of(p, {1, 7}); }

Tensor drawn(const DiffAugment& augment, int64_t n, int64_t height, int64_t width, uint64_t seed) {
  return augment.draw(n, height, width, place_at(places_of({Stream(seed)}), 0));
}

Tensor run(const Tensor& x, const std::vector<double>& p, int64_t cut) {
  return apply1("diffaugment", {x, parameters(p)}, {{"cutout", std::vector<int64_t>{cut, cut}}})
      .data();
}

Tensor counting(int64_t h, int64_t w, int64_t c) {
  const Tensor x = Tensor::empty({1, h, w, c}, DType::f64);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] = static_cast<double>(i + 1);
  return x;
}

TEST(DiffAugment, IdentityParameters) {
  EXPECT_EQ(run(counting(2, 3, 2), {0, 1, 1, 0, 0, 0, 0}, 0).to_vector<double>(),
            counting(2, 3, 2).to_vector<double>());
}

TEST(DiffAugment, TranslationReadsAtPlusShiftAndPadsWithZero) {
  // 1 2 3 / 4 5 6 / 7 8 9; out[h, w] = x[h + 1, w - 1]
  const std::vector<double> expected = {0, 4, 5, 0, 7, 8, 0, 0, 0};
  EXPECT_EQ(run(counting(3, 3, 1), {0, 1, 1, 1, -1, 0, 0}, 0).to_vector<double>(), expected);
}

TEST(DiffAugment, CutoutIsClippedAtTheBorder) {
  // An even square of side 2 around (0, 3) covers rows -1, 0 and columns 2, 3.
  const std::vector<double> expected = {1, 2, 0, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  EXPECT_EQ(run(counting(4, 4, 1), {0, 1, 1, 0, 0, 0, 3}, 2).to_vector<double>(), expected);
  // Centre at H (allowed for even sizes): only the last row is hit.
  const std::vector<double> last = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0, 16};
  EXPECT_EQ(run(counting(4, 4, 1), {0, 1, 1, 0, 0, 4, 2}, 2).to_vector<double>(), last);
}

TEST(DiffAugment, ColourSteps) {
  const Tensor x = Tensor::of<double>({1, 3, 5, 7}, {1, 1, 2, 2});  // pixels (1, 3) and (5, 7)
  EXPECT_EQ(run(x, {0.25, 1, 1, 0, 0, 0, 0}, 0).to_vector<double>(),
            (std::vector<double>{1.25, 3.25, 5.25, 7.25}));
  // Saturation 2 doubles the distance from the pixel means 2 and 6.
  EXPECT_EQ(run(x, {0, 2, 1, 0, 0, 0, 0}, 0).to_vector<double>(),
            (std::vector<double>{0, 4, 4, 8}));
  // Contrast 0.5 halves the distance from the image mean 4.
  EXPECT_EQ(run(x, {0, 1, 0.5, 0, 0, 0, 0}, 0).to_vector<double>(),
            (std::vector<double>{2.5, 3.5, 4.5, 5.5}));
  // In order: + 1, saturation 0 gives 3 3 7 7, contrast 1.5 around 5 gives 2 2 8 8; then the shift
  // by one column.
  EXPECT_EQ(run(x, {1, 0, 1.5, 0, 1, 0, 0}, 0).to_vector<double>(),
            (std::vector<double>{8, 8, 0, 0}));
}

TEST(DiffAugment, Gradient) {
  const DiffAugment augment("color,translation,cutout");
  const Tensor x = Tensor::empty({3, 8, 8, 3}, DType::f64);
  Stream(1).fill_uniform(x, -1, 1);
  const Tensor p = drawn(augment, 3, 8, 8, 2).to(DType::f64);
  const GradcheckReport report =
      gradcheck([&](const Variables& v) { return augment.apply(v[0], p); }, {Variable(x, true)});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(DiffAugment, FastKernelEqualsTheDefinition) {
  const DiffAugment augment("color,translation,cutout");
  for (const Shape& shape : {Shape{5, 32, 32, 3}, Shape{2, 9, 14, 1}, Shape{2, 6, 6, 4}}) {
    const Tensor x = Tensor::empty(shape), dy = Tensor::empty(shape);
    Stream(3).fill_uniform(x, -1, 1);
    Stream(4).fill_uniform(dy, -1, 1);
    const Tensor p = drawn(augment, shape[0], shape[1], shape[2], 5);
    const auto both = [&] {
      const Variable v(x, true);
      const Variable y = augment.apply(v, p);
      y.backward(dy);
      return std::pair(y.data(), v.grad());
    };
    const auto fast = both();
    const ExecutionScope reference(with(&Execution::kernel, "reference"));
    const auto plain = both();
    for (int64_t i = 0; i < x.numel(); ++i) {
      ASSERT_NEAR(fast.first.at(i), plain.first.at(i), 2e-6) << shape << " y " << i;
      ASSERT_NEAR(fast.second.at(i), plain.second.at(i), 2e-6) << shape << " dx " << i;
    }
  }
}

TEST(DiffAugment, DrawsCoverTheirRanges) {
  const Tensor p = drawn(DiffAugment("color,translation,cutout"), 4000, 32, 32, 6);
  const double low[] = {-0.5, 0, 0.5, -4, -4, 0, 0}, high[] = {0.5, 2, 1.5, 4, 4, 32, 32};
  for (int64_t k = 0; k < 7; ++k) {
    std::set<float> seen;
    for (int64_t i = 0; i < 4000; ++i) seen.insert(p.data<float>()[i * 7 + k]);
    EXPECT_GE(*seen.begin(), low[k]) << k;
    EXPECT_LE(*seen.rbegin(), high[k]) << k;
    EXPECT_NEAR(*seen.begin(), low[k], 0.01) << k;  // both ends occur
    EXPECT_NEAR(*seen.rbegin(), high[k], 0.01) << k;
    if (k >= 3) {
      EXPECT_EQ(seen.size(), static_cast<size_t>(high[k] - low[k] + 1)) << k;
    }
  }
}

// Seven draws of a stream for each image, one after the other.
TEST(DiffAugment, DrawsAreThoseOfTheStream) {
  const Tensor p = drawn(DiffAugment("color,translation,cutout"), 50, 32, 30, 8);
  Stream s(8);
  for (int64_t i = 0; i < 50; ++i) {
    const double u[] = {s.uniform() - 0.5, 2 * s.uniform(), s.uniform() + 0.5};
    for (int64_t k = 0; k < 3; ++k)
      ASSERT_EQ(p.at(i * 7 + k), static_cast<double>(static_cast<float>(u[k])));
    const int64_t n[] = {s.below(9) - 4, s.below(9) - 4, s.below(33), s.below(30)};
    for (int64_t k = 0; k < 4; ++k) ASSERT_EQ(p.at(i * 7 + 3 + k), static_cast<double>(n[k]));
  }
}

TEST(DiffAugment, PolicyPartsAreIndependent) {
  const Tensor all = drawn(DiffAugment("color,translation,cutout"), 3, 32, 32, 7);
  const Tensor shifts = drawn(DiffAugment("translation"), 3, 32, 32, 7);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(shifts.at(i * 7), 0);
    EXPECT_EQ(shifts.at(i * 7 + 1), 1);
    EXPECT_EQ(shifts.at(i * 7 + 3), all.at(i * 7 + 3));
  }
  EXPECT_TRUE(DiffAugment("").identity());
  EXPECT_THROW(DiffAugment("color,rotation"), Error);
}

}  // namespace
}  // namespace limbeck::gan
