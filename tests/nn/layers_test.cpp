#include "nn/layers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradcheck.h"
#include "nn/init.h"
#include "nn/trace.h"

namespace limbeck::nn {
namespace {

Tensor random_images(const Shape& shape, DType dtype = DType::f32, uint64_t seed = 1) {
  const Tensor t = Tensor::empty(shape, dtype);
  Stream(seed).fill_normal(t, 0.5, 2);
  return t;
}

template <class M>
std::vector<std::string> keys(const M& m) {
  std::vector<std::string> names;
  for (const auto& [name, t] : m.state_dict().tensors) names.push_back(name);
  return names;
}

TEST(LayerModules, StateDictHasPyTorchsKeysAndShapes) {
  const Conv2d conv(6, 8, {.kernel = 3, .groups = 2, .bias = true});
  EXPECT_EQ(keys(conv), (std::vector<std::string>{"weight", "bias"}));
  EXPECT_EQ(conv.weight.shape(), (Shape{8, 3, 3, 3}));
  EXPECT_EQ(conv.state_dict().get("weight").shape(), (Shape{8, 3, 3, 3}));
  const ConvTranspose2d up(6, 8, {.kernel = 4, .groups = 2});
  EXPECT_EQ(up.state_dict().get("weight").shape(), (Shape{6, 4, 4, 4}));
  const BatchNorm2d bn(4);
  EXPECT_EQ(keys(bn), (std::vector<std::string>{"weight", "bias", "running_mean", "running_var",
                                                "num_batches_tracked"}));
  EXPECT_EQ(bn.state_dict().get("num_batches_tracked").dtype(), DType::i64);
}

TEST(LayerModules, BatchNormKeepsUnbiasedRunningStatistics) {
  BatchNorm bn(2);
  bn.initialise(Stream(0));
  bn.to(DType::f64);
  const Tensor x = Tensor::of<double>({1, 10, 2, 20, 6, 60}, {3, 2});
  const Variable y = bn(x);
  // Channel 0: mean 3, biased variance 14/3, unbiased 7.
  EXPECT_NEAR(y.data().at(0), (1 - 3) / std::sqrt(14.0 / 3 + 1e-5), 1e-12);
  const auto buffers = bn.buffers();
  EXPECT_NEAR(buffers[0].value.at(0), 0.1 * 3, 1e-12);
  EXPECT_NEAR(buffers[1].value.at(0), 0.9 + 0.1 * 7, 1e-12);
  EXPECT_NEAR(buffers[1].value.at(1), 0.9 + 0.1 * 700, 1e-9);
  EXPECT_EQ(buffers[2].value.item(), 1);
  bn.eval();
  const Variable z = bn(x);
  EXPECT_NEAR(z.data().at(0), (1 - 0.3) / std::sqrt(1.6 + 1e-5), 1e-12);
  EXPECT_EQ(bn.buffers()[2].value.item(), 1);
}

TEST(LayerModules, FusedBatchNormEqualsItsParts) {
  for (const bool training : {true, false}) {
    BatchNorm bn(5);
    bn.initialise(Stream(3));
    bn.train(training);
    const Tensor x = random_images({2, 3, 3, 5}), r = random_images({2, 3, 3, 5}, DType::f32, 2);
    const Variable fused = bn.add_relu(x, r), parts = relu(bn(x) + Variable(r));
    for (int64_t i = 0; i < x.numel(); ++i)
      ASSERT_NEAR(fused.data().at(i), parts.data().at(i), 1e-5) << i << " training " << training;
  }
}

TEST(LayerModules, ErrorsNameTheLayer) {
  BatchNorm bn(4);
  EXPECT_THROW(bn(Tensor::zeros({2, 3})), Error);
  EXPECT_THROW(bn(Tensor::zeros({1, 4})), Error) << "one value per channel has no variance";
  EXPECT_THROW(Conv2d(3, 4, {.kernel = 3, .groups = 2}), Error);
  EXPECT_THROW(Linear(0, 4), Error);
  EXPECT_THROW(GroupNorm(3, 4), Error);
}

/// A 1x3 kernel is a 3x3 kernel whose other rows are zero, a 3x1 kernel one whose other columns
/// are.
TEST(LayerModules, RectangularConvolutionsEqualSquareOnesWithZeros) {
  const Tensor x = random_images({2, 5, 7, 4});
  for (const bool wide : {true, false}) {
    const Conv2dConfig config = wide ? Conv2dConfig{.kernel = {1, 3}, .padding = {0, 1}}
                                     : Conv2dConfig{.kernel = {3, 1}, .padding = {1, 0}};
    Conv2d conv(4, 6, config), square(4, 6, {.kernel = 3, .padding = 1});
    EXPECT_EQ(conv.weight.shape(), (wide ? Shape{6, 1, 3, 4} : Shape{6, 3, 1, 4}));
    EXPECT_EQ(conv.state_dict().get("weight").shape(),
              (wide ? Shape{6, 4, 1, 3} : Shape{6, 4, 3, 1}));
    conv.initialise(Stream(4));
    for (int64_t o = 0; o < 6; ++o)
      for (int64_t k = 0; k < 3; ++k)
        for (int64_t c = 0; c < 4; ++c)
          square.weight.data()
              .data<float>()[((o * 3 + (wide ? 1 : k)) * 3 + (wide ? k : 1)) * 4 + c] =
              conv.weight.data().data<float>()[(o * 3 + k) * 4 + c];
    const Tensor a = conv(x).data(), b = square(x).data();
    ASSERT_EQ(a.shape(), b.shape());
    for (int64_t i = 0; i < a.numel(); ++i)
      ASSERT_NEAR(a.at(i), b.at(i), 1e-5) << i << (wide ? " 1x3" : " 3x1");
  }
  EXPECT_THROW(Conv2d(3, 4, {.kernel = {3, 0}}), Error);
  EXPECT_THROW(Conv2d(3, 4, {.kernel = 3, .padding = {0, -1}}), Error);
}

TEST(LayerModules, GradientsThroughLayers) {
  Conv2d conv(2, 3, {.kernel = 3, .padding = 1, .bias = true});
  BatchNorm bn(3);
  for (Module* m : {static_cast<Module*>(&conv), static_cast<Module*>(&bn)}) {
    m->initialise(Stream(11));
    m->to(DType::f64);
  }
  const Variable x(random_images({2, 4, 3, 2}, DType::f64), true);
  const auto report = gradcheck(
      [&](const Variables& v) {
        return silu(bn(conv2d(v[0], v[1], v[2], {.padding = {1, 1}})));
      },
      {x, conv.weight, conv.bias});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(LayerModules, DropoutDependsOnItsStreamOnly) {
  Sequential net;
  net.emplace<Dropout>(0.5);
  const Tensor x = Tensor::full({64, 64}, 1);
  const auto draw = [&](uint64_t seed) {
    net.set_streams(Stream(seed));
    return net(x).data().to_vector<float>();
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
  double total = 0;
  for (float v : draw(3)) total += v;
  EXPECT_NEAR(total / 4096, 1, 0.1);
  net.eval();
  EXPECT_EQ(net(x).data().to_vector<float>(), x.to_vector<float>());
}

TEST(LayerModules, StreamsCanBeSwitchedWithinAStep) {
  Sequential net;
  net.emplace<Dropout>(0.5);
  const Tensor x = Tensor::full({64, 64}, 1);
  net.set_streams(Stream(1));
  net(x);
  net.switch_streams(Stream(2));
  const std::vector<float> switched = net(x).data().to_vector<float>();
  net.set_streams(Stream(2));
  EXPECT_EQ(switched, net(x).data().to_vector<float>());
}

TEST(LayerModules, SequentialChainsAndNumbersItsChildren) {
  Sequential net;
  net.emplace<Linear>(3, 4);
  net.emplace<ReLU>();
  net.emplace<Linear>(4, 2, false);
  net.initialise(Stream(5));
  EXPECT_EQ(keys(net), (std::vector<std::string>{"0.weight", "0.bias", "2.weight"}));
  EXPECT_EQ(net(Tensor::zeros({7, 3})).shape(), (Shape{7, 2}));
}

TEST(LayerModules, TraceCountsMultiplyAdds) {
  Sequential net;
  net.emplace<Conv2d>(4, 6, Conv2dConfig{.kernel = 3, .stride = 2, .padding = 1, .groups = 2});
  net.emplace<BatchNorm2d>(6);
  net.emplace<Conv2d>(6, 5, Conv2dConfig{.kernel = 1});
  net.eval();
  NoGrad no_grad;
  LayerTrace trace;
  net(Tensor::zeros({1, 8, 8, 4}));
  ASSERT_EQ(trace.records().size(), 3u);
  EXPECT_EQ(trace.records()[0].macs, 4 * 4 * 6 * (3 * 3 * 2));
  EXPECT_EQ(trace.records()[2].macs, 4 * 4 * 5 * 6);
  EXPECT_EQ(trace.macs(), 4 * 4 * 6 * 18 + 4 * 4 * 5 * 6);
}

double deviation(const Variable& v) {
  double sum = 0, squares = 0;
  for (float x : v.data().span<float>()) sum += x, squares += double(x) * x;
  const double n = static_cast<double>(v.data().numel());
  return std::sqrt(squares / n - sum / n * (sum / n));
}

TEST(Init, HasTheStatedSpread) {
  const Variable w(Tensor::zeros({64, 3, 3, 32}), true);
  init::kaiming_normal_fan_out(w, Stream(1));
  EXPECT_NEAR(deviation(w), std::sqrt(2.0 / (9 * 64)), 0.001);
  init::torch_default(w, {}, init::fan_in(w), Stream(1));
  const double bound = 1 / std::sqrt(9 * 32.0);
  EXPECT_NEAR(deviation(w), bound / std::sqrt(3.0), 0.001);
  for (float x : w.data().span<float>()) ASSERT_LE(std::abs(x), bound);
  init::xavier_uniform(w, 1, Stream(1));
  EXPECT_NEAR(deviation(w), std::sqrt(2.0 / (9 * 32 + 9 * 64)), 0.001);
}

}  // namespace
}  // namespace limbeck::nn
