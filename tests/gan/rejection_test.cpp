// The sampler on a one-dimensional problem: the "generator" draws U[0, 1), the ratio is 2x, so
// accepted samples have density 2x.
#include "gan/rejection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace limbeck::gan {
namespace {

Tensor uniform_source(const Tensor& y, const Stream& stream) {
  Tensor x = Tensor::empty({y.size(0), 1});
  Stream s = stream;
  s.fill_uniform(x);
  return x;
}

Tensor linear_ratio(const Tensor& x, const Tensor&) {
  Tensor r = Tensor::empty({x.size(0)});
  for (int64_t i = 0; i < x.size(0); ++i) r.data<float>()[i] = 2 * x.data<float>()[i];
  return r;
}

const Tensor condition = Tensor::of<int64_t>({3});

TEST(RejectionSampling, AcceptedSamplesFollowTheRatioTimesTheSource) {
  constexpr int64_t n = 20000;
  const Accepted a = rejection_sample(uniform_source, linear_ratio, condition, n,
                                      {.burn_in = 5000, .batch = 1000}, Stream(1));
  ASSERT_EQ(a.samples.shape(), (Shape{n, 1}));
  EXPECT_NEAR(a.bound, 2, 1e-3);
  // Acceptance = mean ratio / M = 1/2; standard error sqrt(1/4 / proposed).
  EXPECT_NEAR(static_cast<double>(a.accepted) / static_cast<double>(a.proposed), 0.5,
              4 * std::sqrt(0.25 / static_cast<double>(a.proposed)));
  // Kolmogorov-Smirnov against F(x) = x^2; 1.95 / sqrt(n) is the 0.1 % level.
  std::vector<float> x = a.samples.to_vector<float>();
  std::sort(x.begin(), x.end());
  double distance = 0;
  for (size_t i = 0; i < x.size(); ++i)
    distance = std::max(distance, std::abs(x[i] * x[i] - static_cast<double>(i + 1) / n));
  EXPECT_LT(distance, 1.95 / std::sqrt(n));
}

TEST(RejectionSampling, IsAFunctionOfTheStream) {
  const RejectionSettings s{.burn_in = 100, .batch = 64};
  const auto draw = [&](uint64_t seed) {
    return rejection_sample(uniform_source, linear_ratio, condition, 100, s, Stream(seed))
        .samples.to_vector<float>();
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(RejectionSampling, TheBoundGrowsWhenTheBurnInMissedTheMaximum) {
  // The burn-in sees one sample only; the bound must still reach the largest ratio met later.
  const Accepted a = rejection_sample(uniform_source, linear_ratio, condition, 500,
                                      {.burn_in = 1, .batch = 500}, Stream(4));
  EXPECT_GT(a.bound, 1.98);
}

TEST(RejectionSampling, NamesTheClassWhenEveryRatioIsZero) {
  const auto zero = [](const Tensor& x, const Tensor&) { return Tensor::zeros({x.size(0)}); };
  try {
    rejection_sample(uniform_source, zero, condition, 10, {.burn_in = 50, .batch = 25}, Stream(1));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("class 3"), std::string::npos) << e.what();
  }
}

TEST(RejectionSampling, StopsWhenHardlyAnythingIsAccepted) {
  int calls = 0;
  const auto spike = [&calls](const Tensor& x,
                              const Tensor&) {  // one huge ratio in the burn-in, tiny ones later
    Tensor r = Tensor::full({x.size(0)}, 1e-9);
    if (calls++ == 0) r.data<float>()[0] = 1e9f;
    return r;
  };
  EXPECT_THROW(rejection_sample(uniform_source, spike, condition, 10,
                                {.burn_in = 50, .batch = 50, .max_batches = 20}, Stream(1)),
               Error);
}

TEST(RejectionSampling, RefusesNegativeAndNonFiniteRatios) {
  for (const double bad : {-1.0, static_cast<double>(NAN)}) {
    const auto ratio = [bad](const Tensor& x, const Tensor&) {
      return Tensor::full({x.size(0)}, bad);
    };
    EXPECT_THROW(rejection_sample(uniform_source, ratio, condition, 10,
                                  {.burn_in = 50, .batch = 50}, Stream(1)),
                 Error);
  }
}

TEST(PlainSampling, GivesExactlyAsManyAsAsked) {
  const Tensor x = plain_sample(uniform_source, condition, 25, 10, Stream(1));
  EXPECT_EQ(x.shape(), (Shape{25, 1}));
}

}  // namespace
}  // namespace limbeck::gan
