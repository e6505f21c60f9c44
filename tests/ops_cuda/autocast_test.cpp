// Networks with activations in bf16 on the device cuda, beside the same networks in f32: what is
// stored as bf16, what stays f32, and how far losses and gradients move.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "autograd/autocast.h"
#include "autograd/functions.h"
#include "gan/losses.h"
#include "gan/network.h"
#include "nn/models/registry.h"
#include "tests/ops_cuda/pass.h"

namespace limbeck {
namespace {

constexpr Device cuda{DeviceKind::cuda, 0};

struct Step {
  Tensor output;
  std::vector<DType> taps;
  double loss = 0;
  std::vector<std::pair<std::string, std::vector<float>>> gradients;

  void add(const std::string& prefix, const nn::Module& m) {
    for (const nn::Parameter& p : m.parameters()) {
      if (!p.value.grad().defined()) continue;
      EXPECT_EQ(p.value.data().dtype(), DType::f32) << p.name;
      EXPECT_EQ(p.value.grad().dtype(), DType::f32) << p.name;
      gradients.emplace_back(prefix + p.name, p.value.grad().to_vector<float>());
    }
    for (const nn::Buffer& b : m.buffers()) EXPECT_NE(b.value.dtype(), DType::bf16) << b.name;
  }
};

Step classifier(const std::string& name, DType activations) {
  const ExecutionScope type(with(&Execution::activations, activations));
  const auto network = nn::create_model(name, {.outputs = 5, .size = 8});
  network->initialise(Stream(3).fork("init"));
  network->to(cuda);
  network->train();
  Step s;
  const nn::Features f =
      network->forward_features(Variable(draw({8, 8, 8, 3}, 1, DType::f32, cuda)), true);
  for (const Variable& t : f.taps) s.taps.push_back(t.dtype());
  const Variable loss =
      cross_entropy(f.output, Tensor::of<int64_t>({1, 4, 0, 1, 2, 3, 3, 0}).to(cuda));
  loss.backward();
  s.output = f.output.data().to(cpu);
  s.loss = loss.item();
  s.add("", *network);
  return s;
}

Step gan_step(const std::string& arch, DType activations) {
  const ExecutionScope type(with(&Execution::activations, activations));
  const gan::NetworkConfig config{.arch = arch,
                                  .ch = 8,
                                  .dim_z = 8,
                                  .classes = 3,
                                  .resolution = 32,
                                  .channels = 3,
                                  .attention = {16}};
  const auto g = gan::create_generator(config);
  const auto d = gan::create_discriminator(config);
  g->initialise(Stream(5));
  d->initialise(Stream(6));
  g->to(cuda);
  d->to(cuda);
  const Tensor y = Tensor::of<int64_t>({2, 0}).to(cuda);
  const Variable images = g->forward(Variable(draw({2, 8}, 7, DType::f32, cuda)), y);
  const Variable score = d->forward(images, y);
  const Variable loss =
      gan::generator_loss(gan::AdversarialLoss::hinge, score) + mean(square(score - 1.0));
  loss.backward();
  Step s;
  s.output = images.data().to(cpu);
  s.loss = loss.item();
  s.add("G.", *g);
  s.add("D.", *d);
  return s;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  const double ab = std::inner_product(a.begin(), a.end(), b.begin(), 0.0),
               aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.0),
               bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  return ab / std::sqrt(aa * bb);
}

/// All gradients as one vector point the same way; `least` is the cosine of the angle between them.
void expect_near(const Step& found, const Step& expected, double loss_tolerance, double least) {
  EXPECT_NEAR(found.loss, expected.loss, loss_tolerance * std::abs(expected.loss));
  EXPECT_NE(found.loss, expected.loss) << "nothing was rounded";
  ASSERT_EQ(found.gradients.size(), expected.gradients.size());
  std::vector<float> a, b;
  for (size_t i = 0; i < found.gradients.size(); ++i) {
    ASSERT_EQ(found.gradients[i].first, expected.gradients[i].first);
    a.insert(a.end(), found.gradients[i].second.begin(), found.gradients[i].second.end());
    b.insert(b.end(), expected.gradients[i].second.begin(), expected.gradients[i].second.end());
  }
  EXPECT_GT(cosine(a, b), least);
}

TEST(CudaAutocast, ClassifiersKeepActivationsInBf16AndAllElseInF32) {
  for (const char* name : {"resnet8", "wrn_16_1", "vgg8"}) {
    SCOPED_TRACE(name);
    const Step half = classifier(name, DType::bf16), full = classifier(name, DType::f32);
    EXPECT_EQ(half.output.dtype(), DType::f32);
    ASSERT_FALSE(half.taps.empty());
    EXPECT_EQ(half.taps.front(), DType::bf16);
    expect_near(half, full, 0.1, 0.9);
  }
}

// On images of 8x8 these normalise over a few pixels, which amplifies rounding without bound: only
// the types are compared.
TEST(CudaAutocast, EveryKindOfBlockRuns) {
  for (const char* name : {"ShuffleV1", "ShuffleV2", "MobileNetV2", "efficientnetb0"}) {
    SCOPED_TRACE(name);
    const Step half = classifier(name, DType::bf16);
    EXPECT_EQ(half.output.dtype(), DType::f32);
    EXPECT_TRUE(std::isfinite(half.loss));
    for (const auto& [parameter, gradient] : half.gradients)
      for (const float g : gradient) ASSERT_TRUE(std::isfinite(g)) << parameter;
  }
}

TEST(CudaAutocast, GanStepsDoToo) {
  const Step half = gan_step("biggan", DType::bf16), full = gan_step("biggan", DType::f32);
  EXPECT_EQ(half.output.dtype(), DType::f32) << "images leave the generator as f32";
  expect_near(half, full, 0.05, 0.97);
}

}  // namespace
}  // namespace limbeck
