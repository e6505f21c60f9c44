// The fast gradient sign method beside its definition.
#include "train/attack.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "nn/layers.h"

namespace limbeck::train {
namespace {

/// Two logits, linear in the pixels: the sign of the gradient is that of w_1 - w_0 or its opposite.
class Linear2 : public nn::Network {
 public:
  Linear2() : fc(12, 2) {
    add("fc", fc);
    initialise(Stream(1));
  }
  nn::Features forward_features(const Variable& x, bool) override {
    const Variable flat = flatten(x);
    return {{}, fc(flat), flat};
  }
  nn::Linear fc;
};

data::Dataset pixels() {
  data::Dataset d;
  d.images = Tensor::empty({4, 2, 2, 3}, DType::u8);
  Stream s(5);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(s.below(256));
  d.labels = Tensor::of<int64_t>({0, 1, 0, 1}), d.classes = 2;
  return d;
}

TEST(Fgsm, MovesEveryPixelAgainstTheNetworkWithinTheRangeOfImages) {
  Linear2 net;
  const data::Dataset d = pixels();
  const data::Standardisation standard{{0.5, 0.4, 0.3}, {0.2, 0.3, 0.4}};
  data::Batch batch;
  batch.labels = d.labels;
  batch.images = Tensor::empty({4, 2, 2, 3});
  for (int64_t i = 0; i < 48; ++i)
    batch.images.data<float>()[i] = static_cast<float>(
        (d.images.data<uint8_t>()[i] / 255.0 - standard.mean[static_cast<size_t>(i % 3)]) /
        standard.deviation[static_cast<size_t>(i % 3)]);
  const double epsilon = 0.125;
  const Tensor attacked = fgsm(net, batch, standard, ClassificationCriterion(), epsilon);
  const Tensor w = net.fc.weight.data();
  for (int64_t i = 0; i < 48; ++i) {
    const auto c = static_cast<size_t>(i % 3);
    const double up = w.at(12 + i % 12) - w.at(i % 12) > 0 ? 1 : -1;
    const double away = d.labels.data<int64_t>()[i / 12] == 0 ? up : -up;
    const double x = std::clamp(d.images.data<uint8_t>()[i] / 255.0 + away * epsilon, 0.0, 1.0);
    EXPECT_NEAR(attacked.at(i), (x - standard.mean[c]) / standard.deviation[c], 1e-5) << i;
  }
  EXPECT_FALSE(net.fc.weight.grad().defined()) << "the network is left as it was";
}

TEST(Fgsm, LowersTheMetric) {
  Linear2 net;
  data::Dataset d = pixels();
  const data::Standardisation standard{{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
  const ClassificationCriterion criterion;
  // Labels as the network has them: all right, until the attack.
  {
    const NoGrad no_grad;
    for (int64_t y = 0; y < 2; ++y)
      for (int64_t i = 0; i < 4; ++i) {
        data::Dataset one = d;
        one.images = d.images.rows(i, i + 1), one.labels = Tensor::of<int64_t>({y});
        if (evaluate_under_fgsm(net, one, standard, criterion, 0) == 1)
          d.labels.data<int64_t>()[i] = y;
      }
  }
  EXPECT_EQ(evaluate_under_fgsm(net, d, standard, criterion, 0, 3), 1);
  EXPECT_EQ(evaluate_under_fgsm(net, d, standard, criterion, 1, 3), 0);
  EXPECT_EQ(evaluate_under_fgsm(net, d, standard, criterion, 1, 4), 0);
  data::Dataset none;
  EXPECT_THROW(evaluate_under_fgsm(net, none, standard, criterion, 0.1), Error);
}

}  // namespace
}  // namespace limbeck::train
