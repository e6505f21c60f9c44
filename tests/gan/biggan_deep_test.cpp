// BigGAN-deep: counts and keys of the original, parity with its modules, shapes, and gradients
// against central differences.
#include "gan/biggan_deep.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "gan/losses.h"
#include "nn/parity_fixture.h"

namespace limbeck::gan {
namespace {

/// As cGAN-KD has it on ImageNet-100.
const NetworkConfig imagenet = {.arch = "biggan-deep",
                                .ch = 128,
                                .dim_z = 128,
                                .classes = 100,
                                .resolution = 128,
                                .attention = {64},
                                .shared_dim = 128,
                                .hierarchical = true};
const NetworkConfig toy = {.arch = "biggan-deep",
                           .ch = 2,
                           .dim_z = 5,
                           .classes = 3,
                           .resolution = 64,
                           .channels = 1,
                           .attention = {16},
                           .shared_dim = 4,
                           .hierarchical = true};

class BigGanDeepParity : public testing::TestWithParam<DType> {};
TEST_P(BigGanDeepParity, MatchesTheOriginalModules) {
  for (const nn::ParityReport& report :
       nn::run_parity("tests/data/fixtures/oracle/BigGANdeep.json", GetParam()))
    for (const nn::ParityLine& line : report.lines)
      EXPECT_TRUE(line.ok()) << line.group << ": " << line.quantity << ": " << line.detail;
}
INSTANTIATE_TEST_SUITE_P(Oracle, BigGanDeepParity, testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(BigGanDeep, GeneratorHasTheOriginalsCountsAndKeys) {
  const auto g = create_generator(imagenet);
  EXPECT_EQ(g->parameter_count(), 50'129'284);
  const TensorFile state = g->state_dict();
  EXPECT_EQ(state.tensors.size(), 506U);
  const auto shape = [&](const char* key) {
    return state.find(key) ? state.find(key)->shape() : Shape{0};
  };
  EXPECT_EQ(shape("shared.weight"), Shape({100, 128}));
  EXPECT_EQ(shape("linear.weight"), Shape({32768, 256}));
  EXPECT_EQ(shape("blocks.3.0.conv1.weight"), Shape({512, 2048, 1, 1}));
  EXPECT_EQ(shape("blocks.3.0.conv4.weight"), Shape({1024, 512, 1, 1}));
  EXPECT_EQ(shape("blocks.7.0.bn1.gain.weight"), Shape({512, 256}));
  EXPECT_EQ(shape("blocks.7.1.theta.weight"), Shape({32, 256, 1, 1}));
  EXPECT_EQ(shape("blocks.7.1.gamma"), Shape({}));
  EXPECT_EQ(shape("output_layer.2.weight"), Shape({3, 128, 3, 3}));
}

TEST(BigGanDeep, DiscriminatorHasTheOriginalsCountsAndKeys) {
  const auto d = create_discriminator(imagenet);
  EXPECT_EQ(d->parameter_count(), 32'747'010);
  const TensorFile state = d->state_dict();
  EXPECT_EQ(state.tensors.size(), 200U);
  const auto shape = [&](const char* key) {
    return state.find(key) ? state.find(key)->shape() : Shape{0};
  };
  EXPECT_EQ(shape("input_conv.weight"), Shape({128, 3, 3, 3}));
  EXPECT_EQ(shape("blocks.0.0.conv_sc.weight"), Shape({128, 128, 1, 1}));
  EXPECT_EQ(shape("blocks.0.2.o.weight"), Shape({256, 128, 1, 1}));
  EXPECT_EQ(shape("blocks.3.1.conv2.weight"), Shape({512, 512, 3, 3}));
  EXPECT_FALSE(state.find("blocks.4.0.conv_sc.weight"));
  EXPECT_EQ(shape("embed.weight"), Shape({100, 2048}));
}

TEST(BigGanDeep, ShapesAt64And128) {
  const NoGrad no_grad;
  const Tensor labels = Tensor::of<int64_t>({0, 2});
  for (const int64_t resolution : {64, 128}) {
    NetworkConfig config = toy;
    config.resolution = resolution;
    const auto g = create_generator(config);
    const auto d = create_discriminator(config);
    g->initialise(Stream(1));
    d->initialise(Stream(2));
    const Tensor z = Tensor::empty({2, 5});
    Stream(3).fill_normal(z);
    const Variable images = g->forward(z, labels);
    EXPECT_EQ(images.shape(), Shape({2, resolution, resolution, 1}));
    EXPECT_EQ(d->forward(images, labels).shape(), Shape({2, 1}));
  }
}

/// Blocks alone, with bottleneck and shortcut known: a residual branch whose last bias is all that
/// is left adds a constant.
TEST(BigGanDeep, ShortcutsKeepTheFirstChannelsAndAppendNewOnes) {
  const Tensor x = Tensor::empty({1, 4, 4, 8}, DType::f64);
  Stream(1).fill_uniform(x, -1, 1);
  const NoGrad no_grad;
  const auto set = [](nn::Module& m, const std::string& key, double value) {
    for (const nn::Parameter& p : m.parameters())
      if (p.name == key) p.value.data().fill(value);
  };
  {
    DeepGeneratorBlock block(8, 4, true, {.embedding = 3, .sn_eps = 1e-8}, toy);
    block.initialise(Stream(2));
    block.to(DType::f64);
    block.eval();
    // bn4's gain and bias at zero input are 1 and 0; a bias of conv3 far below zero closes its
    // ReLU, so conv4 gives its bias.
    set(block, "conv3.bias", -100);
    set(block, "conv4.bias", 7);
    const Tensor y = block(x, Condition{{}, Tensor::zeros({1, 3}, DType::f64)}).data();
    ASSERT_EQ(y.shape(), Shape({1, 8, 8, 4}));
    for (int64_t i = 0; i < 8; ++i)
      for (int64_t j = 0; j < 8; ++j)
        for (int64_t c = 0; c < 4; ++c)
          ASSERT_NEAR(y.at((i * 8 + j) * 4 + c), x.at((i / 2 * 4 + j / 2) * 8 + c) + 7, 1e-9);
  }
  DeepDiscriminatorBlock block(8, 12, true, 1e-8);
  block.initialise(Stream(3));
  block.to(DType::f64);
  block.eval();
  set(block, "conv3.bias", -100);
  set(block, "conv4.bias", 7);
  set(block, "conv_sc.bias", 50);
  const Tensor y = block(x).data(), pooled = avg_pool2d(x).data();
  ASSERT_EQ(y.shape(), Shape({1, 2, 2, 12}));
  for (int64_t p = 0; p < 4; ++p) {
    for (int64_t c = 0; c < 8; ++c) ASSERT_NEAR(y.at(p * 12 + c), pooled.at(p * 8 + c) + 7, 1e-9);
    for (int64_t c = 8; c < 12; ++c)
      ASSERT_NEAR(y.at(p * 12 + c), 57, 8) << "conv_sc makes the added channels";
  }
}

/// d/de f(v + e r) at e = 0 from the tape and from central differences, r random, for each of the
/// leaves.
void expect_directional_derivatives(const std::vector<std::pair<std::string, Variable>>& leaves,
                                    const std::function<Variable()>& f) {
  f().backward();
  uint64_t seed = 100;
  for (const auto& named : leaves) {
    const auto& name = named.first;
    const Variable& leaf = named.second;
    ASSERT_TRUE(leaf.grad().defined()) << name;
    const Tensor original = leaf.data().clone(),
                 direction = Tensor::empty(leaf.shape(), DType::f64);
    Stream(seed++).fill_normal(direction);
    double analytic = 0;
    for (int64_t i = 0; i < direction.numel(); ++i) analytic += direction.at(i) * leaf.grad().at(i);
    const NoGrad no_grad;
    constexpr double step = 1e-6;
    const auto moved = [&](double by) {
      for (int64_t i = 0; i < direction.numel(); ++i)
        leaf.data().data<double>()[i] = original.at(i) + by * direction.at(i);
      return f().item();
    };
    const double numeric = (moved(step) - moved(-step)) / (2 * step);
    moved(0);
    EXPECT_NEAR(analytic, numeric, 1e-6 + 2e-5 * std::abs(numeric)) << name;
    EXPECT_NE(analytic, 0) << name;
  }
}

// Weights under spectral norm are left out: u and v count as constants there, central differences
// see them move (ops/spectral_norm.cpp).
bool is_plain(const std::string& name) {
  return name.ends_with("conv4.bias") || name.ends_with("conv1.bias") || name.ends_with("gamma") ||
         name == "shared.weight" || name == "linear.bias" || name.starts_with("output_layer.0") ||
         name == "output_layer.2.bias" || name == "input_conv.bias" ||
         name.ends_with("conv_sc.bias");
}

std::vector<std::pair<std::string, Variable>> plain_parameters(const nn::Module& m) {
  std::vector<std::pair<std::string, Variable>> all;
  for (const nn::Parameter& p : m.parameters()) {
    if (!is_plain(p.name)) continue;
    if (p.name.ends_with("gamma")) p.value.data().fill(0.7);  // 0 at first would hide the attention
    all.emplace_back(p.name, p.value);
  }
  return all;
}

TEST(BigGanDeep, Gradients) {
  const auto g = create_generator(toy);
  const auto d = create_discriminator(toy);
  for (nn::Module* m : {static_cast<nn::Module*>(g.get()), static_cast<nn::Module*>(d.get())}) {
    m->initialise(Stream(11));
    m->to(DType::f64);
    m->eval();
    // Larger than at first, so that every layer's part is visible; positive, so that bottlenecks of
    // one channel are not all cut off by ReLU.
    for (const nn::Parameter& p : m->parameters())
      if (p.name == "shared.weight" || p.name.ends_with("bias"))
        Stream(12).fork(p.name).fill_uniform(p.value.data(), 0.2, 1);
  }
  const Tensor labels = Tensor::of<int64_t>({0, 2}), noise = Tensor::empty({2, 5}, DType::f64),
               pixels = Tensor::empty({2, 64, 64, 1}, DType::f64);
  const Tensor weight = Tensor::empty({2, 64, 64, 1}, DType::f64);
  Stream(13).fill_normal(noise);
  Stream(14).fill_uniform(pixels, -1, 1);
  Stream(15).fill_normal(weight);
  const Variable z(noise, true), x(pixels, true);
  auto leaves = plain_parameters(*g);
  leaves.emplace_back("z", z);
  expect_directional_derivatives(leaves,
                                 [&] { return sum(g->forward(z, labels) * Variable(weight)); });
  leaves = plain_parameters(*d);
  leaves.emplace_back("x", x);
  expect_directional_derivatives(leaves, [&] {
    return sum(d->forward(x, labels) * Variable(Tensor::of<double>({1, -2}).reshape({2, 1})));
  });
}

TEST(BigGanDeep, TrainStepReachesEveryParameter) {
  const auto g = create_generator(toy);
  const auto d = create_discriminator(toy);
  g->initialise(Stream(21));
  d->initialise(Stream(22));
  const Tensor labels = Tensor::of<int64_t>({0, 2}), z = Tensor::empty({2, 5});
  Stream(23).fill_normal(z);
  generator_loss(AdversarialLoss::hinge, d->forward(g->forward(z, labels), labels)).backward();
  for (const nn::Module* m :
       {static_cast<const nn::Module*>(g.get()), static_cast<const nn::Module*>(d.get())})
    for (const nn::Parameter& p : m->parameters()) EXPECT_TRUE(p.value.grad().defined()) << p.name;
}

TEST(BigGanDeep, RefusesWhatItCannotBuild) {
  const auto with = [](auto change) {
    NetworkConfig c = toy;
    change(c);
    return c;
  };
  EXPECT_THROW(create_generator(with([](NetworkConfig& c) { c.hierarchical = false; })), Error);
  EXPECT_THROW(create_generator(with([](NetworkConfig& c) { c.shared_dim = 0; })), Error);
  EXPECT_THROW(create_generator(with([](NetworkConfig& c) { c.resolution = 32; })), Error);
  EXPECT_THROW(create_generator(with([](NetworkConfig& c) { c.depth = 1; })), Error);
  EXPECT_THROW(create_discriminator(with([](NetworkConfig& c) { c.ch = 1; })), Error);
  const auto g = create_generator(toy);
  EXPECT_THROW(g->forward(Tensor::zeros({2, 4}), Tensor::of<int64_t>({0, 1})), Error);
  EXPECT_THROW(g->forward(Tensor::zeros({2, 5}), Tensor::of<int64_t>({0, 1, 2})), Error);
}

}  // namespace
}  // namespace limbeck::gan
