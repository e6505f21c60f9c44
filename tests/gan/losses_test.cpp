// The losses of GANs against their definitions, with and without weights.
#include "gan/losses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"

namespace limbeck::gan {
namespace {

Tensor column(uint64_t seed, double low, double high) {
  const Tensor t = Tensor::empty({6, 1}, DType::f64);
  Stream(seed).fill_uniform(t, low, high);
  return t;
}

struct Scores {
  Tensor real = column(1, -3, 3), fake = column(2, -3, 3), real_weights = column(3, 0, 1),
         fake_weights = column(4, 0, 1);
};

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

/// The mean of w f(s).
template <class F>
double mean_of(const Tensor& scores, const Tensor& weights, F&& f) {
  double sum = 0;
  for (int64_t i = 0; i < scores.numel(); ++i)
    sum += (weights.defined() ? weights.at(i) : 1) * f(scores.at(i));
  return sum / static_cast<double>(scores.numel());
}

TEST(AdversarialLosses, AreTheirDefinitions) {
  const Scores s;
  for (const bool weighted : {false, true}) {
    const Tensor wr = weighted ? s.real_weights : Tensor(),
                 wf = weighted ? s.fake_weights : Tensor();
    const double hinge = mean_of(s.real, wr, [](double x) { return std::max(0.0, 1 - x); }) +
                         mean_of(s.fake, wf, [](double x) { return std::max(0.0, 1 + x); });
    const double vanilla =
        mean_of(s.real, wr, [](double x) { return -std::log(sigmoid_of(x) + 1e-20); }) +
        mean_of(s.fake, wf, [](double x) { return -std::log(1 - sigmoid_of(x) + 1e-20); });
    EXPECT_NEAR(discriminator_loss(AdversarialLoss::hinge, s.real, s.fake, wr, wf).item(), hinge,
                1e-12)
        << weighted;
    EXPECT_NEAR(discriminator_loss(AdversarialLoss::vanilla, s.real, s.fake, wr, wf).item(),
                vanilla, 1e-12)
        << weighted;
  }
  EXPECT_NEAR(generator_loss(AdversarialLoss::hinge, s.fake).item(),
              -mean_of(s.fake, {}, [](double x) { return x; }), 1e-12);
  EXPECT_NEAR(generator_loss(AdversarialLoss::vanilla, s.fake).item(),
              mean_of(s.fake, {}, [](double x) { return -std::log(sigmoid_of(x) + 1e-20); }),
              1e-12);
}

TEST(AdversarialLosses, HaveTheirGradients) {
  const Scores s;
  for (const AdversarialLoss loss : {AdversarialLoss::hinge, AdversarialLoss::vanilla}) {
    const GradcheckReport d = gradcheck(
        [&](const Variables& v) {
          return discriminator_loss(loss, v[0], v[1], s.real_weights, s.fake_weights);
        },
        {Variable(s.real, true), Variable(s.fake, true)});
    EXPECT_TRUE(d.ok) << d.message;
    const GradcheckReport g = gradcheck(
        [&](const Variables& v) { return generator_loss(loss, v[0]); }, {Variable(s.fake, true)});
    EXPECT_TRUE(g.ok) << g.message;
  }
}

TEST(ResponseLoss, IsItsDefinitionWithItsGradient) {
  const Tensor predicted = column(5, -0.5, 1.5), response = column(6, 0, 1),
               slack = column(7, 0, 0.4);
  double insensitive = 0, absolute = 0;
  for (int64_t i = 0; i < 6; ++i) {
    const double off = std::abs(predicted.at(i) - response.at(i));
    insensitive += std::max(0.0, off - slack.at(i)) / 6, absolute += off / 6;
  }
  EXPECT_NEAR(response_loss(predicted, response, slack).item(), insensitive, 1e-14);
  EXPECT_NEAR(response_loss(predicted, response).item(), absolute, 1e-14);
  ASSERT_GT(insensitive, 0);
  for (const Tensor& tolerance : {slack, Tensor()}) {
    const GradcheckReport r =
        gradcheck([&](const Variables& v) { return response_loss(v[0], response, tolerance); },
                  {Variable(predicted, true)});
    EXPECT_TRUE(r.ok) << r.message;
  }
  EXPECT_THROW(response_loss(predicted, Tensor::zeros({6}, DType::f64)), Error);
}

TEST(AdversarialLosses, StayFiniteForConfidentScores) {
  const Tensor sure = Tensor::full({2, 1}, 300), doubtful = Tensor::full({2, 1}, -300);
  EXPECT_NEAR(discriminator_loss(AdversarialLoss::vanilla, doubtful, sure).item(), 600, 1e-3);
  EXPECT_NEAR(discriminator_loss(AdversarialLoss::vanilla, sure, doubtful).item(), 0, 1e-6);
}

TEST(AdversarialLosses, RefuseWhatDoesNotFit) {
  const Scores s;
  EXPECT_THROW(discriminator_loss(AdversarialLoss::hinge, s.real, s.fake,
                                  Tensor::zeros({6}, DType::f64), s.fake_weights),
               Error);
  EXPECT_EQ(parse_adversarial_loss("vanilla", "gan.loss"), AdversarialLoss::vanilla);
  try {
    parse_adversarial_loss("wasserstein", "gan.loss");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "gan.loss: expected hinge or vanilla, found 'wasserstein'");
  }
}

}  // namespace
}  // namespace limbeck::gan
