// BigGAN against numbers from the original PyTorch modules (f64), and what its layers promise.
#include "gan/biggan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "gan/losses.h"
#include "nn/parity.h"

namespace limbeck::gan {
namespace {

using Json = nlohmann::json;

/// l2 by `tolerance` relative, sum and first elements by 100 times that of their scale; what is
/// below `zero` counts as zero (gradients of biases in front of a batch norm are rounding noise).
void expect_summary(const nn::Summary& found, const Json& expected, const std::string& what,
                    double tolerance, double zero) {
  ASSERT_EQ(found.n, expected["n"].get<int64_t>()) << what;
  const double l2 = expected["l2"], sum = expected["sum"],
               root = std::sqrt(static_cast<double>(found.n)), loose = 100 * tolerance;
  EXPECT_NEAR(found.l2, l2, tolerance * l2 + zero) << what << ": l2";
  EXPECT_NEAR(found.sum, sum, loose * (std::abs(sum) + l2) + zero * root) << what << ": sum";
  ASSERT_EQ(found.first.size(), expected["first"].size()) << what;
  for (size_t i = 0; i < found.first.size(); ++i) {
    const double e = expected["first"][i];
    EXPECT_NEAR(found.first[i], e, loose * (std::abs(e) + l2 / root) + zero)
        << what << ": element " << i;
  }
}

struct Tolerance {
  DType dtype;
  double forward, gradient, zero;
};
constexpr Tolerance in_f64{DType::f64, 1e-8, 1e-8, 1e-11};
constexpr Tolerance in_f32{DType::f32, 1e-4, 1e-3,
                           1e-4};  // batch statistics over few samples amplify rounding

class BigGanParity : public testing::TestWithParam<std::tuple<const char*, Tolerance>> {
 protected:
  void SetUp() override {
    const auto [name, tolerance] = GetParam();
    tolerance_ = tolerance;
    fixture_ = Json::parse(read_file("tests/data/fixtures/gan/biggan.json"))["cases"][name];
    const Json& kwargs = fixture_["kwargs"];
    const auto config = [&](const char* side) {
      return BigGanConfig{
          .ch = kwargs[cat(side, "_ch")],
          .dim_z = fixture_["z_dim"],
          .classes = fixture_["n_classes"],
          .resolution = fixture_["resolution"],
          .channels = 3,
          .sn_eps = fixture_["SN_eps"],
          .bn_eps = fixture_["BN_eps"],
          .attention = parse_resolutions(kwargs[cat(side, "_attn")], "fixture"),
          .shared_dim = kwargs["G_shared"] ? kwargs["shared_dim"].get<int64_t>() : 0,
          .hierarchical = kwargs["hier"]};
    };
    g_ = std::make_unique<BigGanGenerator>(config("G"));
    d_ = std::make_unique<BigGanDiscriminator>(config("D"));
    EXPECT_EQ(g_->config().dim_z, fixture_["z_dim"].get<int64_t>());
    for (nn::Module* m : {static_cast<nn::Module*>(g_.get()), static_cast<nn::Module*>(d_.get())}) {
      m->to(tolerance.dtype);
      nn::parity_fill_state(*m);
    }
    const int64_t n = fixture_["batch"];
    labels_ = Tensor::empty({n}, DType::i64);
    for (int64_t i = 0; i < n; ++i) labels_.data<int64_t>()[i] = (3 * i + 1) % g_->config().classes;
    z_ = nn::parity_fill("z", {n, g_->config().dim_z}).to(tolerance.dtype);
    real_ = to_channels_last(
                nn::parity_fill("input", {n, 3, g_->config().resolution, g_->config().resolution}))
                .to(tolerance.dtype);
  }

  /// Every number of the wide and of the large case in f64 comes from the reference kernels: half a
  /// minute to minutes.
  bool is_slow() const {
    return tolerance_.dtype == DType::f64 &&
           (g_->config().ch > 16 || g_->config().resolution > 64) &&
           !std::getenv("LIMBECK_SLOW_TESTS");
  }
  void expect_keys(const nn::Module& m, const Json& expected) {
    const TensorFile state = m.state_dict();
    EXPECT_EQ(state.tensors.size(), expected.size());
    for (const auto& [name, tensor] : state.tensors) {
      ASSERT_TRUE(expected.contains(name)) << name;
      EXPECT_EQ(tensor.shape().vec(), expected[name].get<std::vector<int64_t>>()) << name;
    }
  }
  void expect_gradients(const nn::Module& m, const Json& expected) {
    EXPECT_EQ(m.parameters().size(), expected.size());
    for (const nn::Parameter& p : m.parameters()) {
      ASSERT_TRUE(p.value.grad().defined()) << p.name;
      expect_summary(nn::summarise_memory(p.value.grad()), expected[p.name],
                     "gradient of " + p.name, tolerance_.gradient, tolerance_.zero);
    }
  }
  void expect_buffers(const nn::Module& m, const Json& expected) {
    EXPECT_EQ(m.buffers().size(), expected.size());
    for (const nn::Buffer& b : m.buffers())
      expect_summary(nn::summarise_memory(b.value), expected[b.name], b.name, tolerance_.forward,
                     tolerance_.zero);
  }
  void expect_images(const Variable& images, const char* key) {
    expect_summary(nn::summarise_memory(images.data()), fixture_[key], key, tolerance_.forward,
                   tolerance_.zero);
  }

  Tolerance tolerance_{};
  Json fixture_;
  std::unique_ptr<BigGanGenerator> g_;
  std::unique_ptr<BigGanDiscriminator> d_;
  Tensor labels_, z_, real_;
};

TEST_P(BigGanParity, KeysAndCounts) {
  EXPECT_EQ(g_->parameter_count(), fixture_["g_params"].get<int64_t>());
  EXPECT_EQ(d_->parameter_count(), fixture_["d_params"].get<int64_t>());
  expect_keys(*g_, fixture_["g_state_dict"]);
  expect_keys(*d_, fixture_["d_state_dict"]);
}

TEST_P(BigGanParity, EvalForward) {
  if (is_slow()) GTEST_SKIP() << "set LIMBECK_SLOW_TESTS=1";
  g_->eval();
  d_->eval();
  const NoGrad no_grad;
  expect_images(g_->forward(z_, labels_), "g_eval");
  const Variable scores = d_->forward(real_, labels_);
  for (int64_t i = 0; i < scores.size(0); ++i) {
    const double expected = fixture_["d_eval"][static_cast<size_t>(i)];
    EXPECT_NEAR(scores.data().at(i), expected,
                tolerance_.forward * std::abs(expected) * 10 + tolerance_.zero)
        << i;
  }
}

// The fixture's order: one D step on G in train mode; then G as it was at first, D as it is after
// that forward, one G step.
TEST_P(BigGanParity, DiscriminatorAndGeneratorStep) {
  if (is_slow()) GTEST_SKIP() << "set LIMBECK_SLOW_TESTS=1";
  Tensor fake;
  {
    const NoGrad no_grad;
    fake = g_->forward(z_, labels_).data();
  }
  expect_images(fake, "g_train");
  const int64_t n = labels_.numel();
  const Variable both = concat({fake, real_}, 0);
  std::vector<int64_t> twice = labels_.to_vector<int64_t>();
  twice.insert(twice.end(), twice.begin(), twice.begin() + n);
  const Variable scores = d_->forward(both, Tensor::of(twice));
  const Variable d_loss = discriminator_loss(AdversarialLoss::hinge, slice(scores, 0, n, 2 * n),
                                             slice(scores, 0, 0, n));
  EXPECT_NEAR(d_loss.item(), fixture_["d_loss"], tolerance_.forward * std::abs(d_loss.item()));
  d_loss.backward();
  expect_gradients(*d_, fixture_["d_grads"]);
  expect_buffers(*d_, fixture_["d_buffers_after"]);

  nn::parity_fill_state(*g_);
  d_->set_requires_grad(false);
  const Variable g_loss =
      generator_loss(AdversarialLoss::hinge, d_->forward(g_->forward(z_, labels_), labels_));
  EXPECT_NEAR(g_loss.item(), fixture_["g_loss"], tolerance_.forward * std::abs(g_loss.item()));
  g_loss.backward();
  expect_gradients(*g_, fixture_["g_grads"]);
  expect_buffers(*g_, fixture_["g_buffers_after"]);
}

INSTANTIATE_TEST_SUITE_P(
    Fixtures, BigGanParity,
    testing::Values(std::tuple("cifar32_ch16", in_f64), std::tuple("cifar32_ch16", in_f32),
                    std::tuple("cifar32_ch64", in_f64), std::tuple("cifar32_ch64", in_f32),
                    std::tuple("in128_ch8_attn64_shared_hier", in_f64),
                    std::tuple("in128_ch8_attn64_shared_hier", in_f32)),
    [](const auto& info) {
      return std::string(std::get<0>(info.param)) + "_" + name_of(std::get<1>(info.param).dtype);
    });
TEST(BigGan, EvalStoresNothingAndTrainDoes) {
  BigGanGenerator g({.ch = 1, .dim_z = 5, .classes = 2});
  g.initialise(Stream(4));
  const Tensor labels = Tensor::of<int64_t>({0, 1}), z = Tensor::empty({2, 5});
  Stream(5).fill_normal(z);
  const NoGrad no_grad;
  const auto buffers = [&] {
    std::vector<float> all;
    for (const nn::Buffer& b : g.buffers())
      for (float v : b.value.span<float>()) all.push_back(v);
    return all;
  };
  g.eval();
  const std::vector<float> before = buffers();
  const auto first = g.forward(z, labels).data().to_vector<float>();
  EXPECT_EQ(first, g.forward(z, labels).data().to_vector<float>());
  EXPECT_EQ(before, buffers());
  g.train();
  g.forward(z, labels);
  EXPECT_NE(before, buffers());
}

TEST(BigGan, OtherSizesAndChannels) {
  const NoGrad no_grad;
  const Tensor labels = Tensor::of<int64_t>({0, 1});
  for (int64_t resolution : {32, 64}) {
    const BigGanConfig config = {
        .ch = 1, .dim_z = 5, .classes = 2, .resolution = resolution, .channels = 1};
    BigGanGenerator g(config);
    BigGanDiscriminator d(config);
    g.initialise(Stream(1));
    d.initialise(Stream(2));
    const Tensor z = Tensor::empty({2, 5});
    Stream(3).fill_normal(z);
    const Variable images = g.forward(z, labels);
    EXPECT_EQ(images.shape(), Shape({2, resolution, resolution, 1}));
    EXPECT_EQ(d.forward(images, labels).shape(), Shape({2, 1}));
  }
}

TEST(BigGan, SharedEmbeddingAndHierarchy) {
  const NoGrad no_grad;
  // 64 pixels: four blocks, so five chunks of z; 13 is cut to 10.
  const NetworkConfig config = {.ch = 4,
                                .dim_z = 13,
                                .classes = 3,
                                .resolution = 64,
                                .attention = {32},
                                .shared_dim = 6,
                                .hierarchical = true};
  const auto g = create_generator(config);
  ASSERT_EQ(g->config().dim_z, 10);
  g->initialise(Stream(1));
  const TensorFile state = g->state_dict();
  ASSERT_TRUE(state.find("blocks.2.1.gamma"));  // 4 -> 8 -> 16 -> 32
  EXPECT_EQ(state.find("blocks.2.1.gamma")->item(), 0);
  EXPECT_EQ(state.find("linear.weight")->shape(), Shape({1024, 2}));
  EXPECT_EQ(state.find("blocks.3.0.bn1.gain.weight")->shape(), Shape({16, 8}));
  const Tensor z = Tensor::empty({2, 10});
  Stream(3).fill_normal(z);
  g->eval();
  const auto image = [&](const Tensor& noise, const Condition& c) {
    return g->forward(noise, c).data().to_vector<float>();
  };
  const std::vector<float> by_class = image(z, Condition{Tensor::of<int64_t>({2, 0}), {}});
  EXPECT_EQ(by_class.size(), 2U * 64 * 64 * 3);
  // The same, with the rows of the table handed in.
  const Variable rows =
      embedding(Variable(*state.find("shared.weight")), Tensor::of<int64_t>({2, 0}));
  EXPECT_EQ(by_class, image(z, Condition{{}, rows}));
  EXPECT_THROW(g->forward(z, Condition{{}, Tensor::zeros({2, 5})}), Error);
  // The last chunk reaches the image through the last block only.
  Tensor other = z.clone();
  other.data<float>()[9] += 1;
  EXPECT_NE(by_class, image(other, Condition{Tensor::of<int64_t>({2, 0}), {}}));
}

TEST(BigGan, RefusesWrongShapesOfAttentionAndHierarchy) {
  EXPECT_THROW(BigGanGenerator({.hierarchical = true}), Error);
  EXPECT_THROW(BigGanGenerator({.dim_z = 3, .shared_dim = 4, .hierarchical = true}), Error);
  EXPECT_THROW(BigGanDiscriminator({.ch = 4, .resolution = 64, .attention = {32}}), Error);
  EXPECT_THROW(create_generator({.arch = "bigan"}), Error);
  EXPECT_EQ(parse_resolutions("32_64", "x"), (std::vector<int64_t>{32, 64}));
  EXPECT_TRUE(parse_resolutions("0", "x").empty());
  for (const char* wrong : {"32_", "_32", "32,64", "sixty", "32__64", "-1"})
    EXPECT_THROW(parse_resolutions(wrong, "x"), Error) << wrong;
}

TEST(SpectralConvolution, FoldedNeighboursEqualTheTwoSteps) {
  for (int64_t kernel : {1, 3, 5}) {
    SNConv2d conv(3, 4, kernel, 1e-8);
    conv.initialise(Stream(6));
    conv.to(DType::f64);
    conv.eval();
    const Tensor x = Tensor::empty({2, 6, 8, 3}, DType::f64),
                 dy = Tensor::empty({2, 3, 4, 4}, DType::f64),
                 dup = Tensor::empty({2, 12, 16, 4}, DType::f64);
    Stream(7).fill_uniform(x, -1, 1);
    Stream(8).fill_uniform(dy, -1, 1);
    Stream(9).fill_uniform(dup, -1, 1);
    const auto expect_equal = [&](const auto& folded, const auto& plain, const Tensor& cotangent) {
      const auto run = [&](const auto& f) {
        const Variable in(x, true);
        conv.zero_grad();
        const Variable y = f(in);
        y.backward(cotangent);
        return Tensors{y.data(), in.grad(), conv.weight.grad(), conv.bias.grad()};
      };
      const Tensors a = run(folded), b = run(plain);
      for (size_t k = 0; k < a.size(); ++k) {
        ASSERT_EQ(a[k].shape(), b[k].shape());
        for (int64_t i = 0; i < a[k].numel(); ++i)
          ASSERT_NEAR(a[k].at(i), b[k].at(i), 1e-10)
              << "kernel " << kernel << " tensor " << k << " at " << i;
      }
    };
    expect_equal([&](const Variable& v) { return conv.pooled(v); },
                 [&](const Variable& v) { return avg_pool2d(conv.forward(v)); }, dy);
    expect_equal([&](const Variable& v) { return conv.upsampled(v); },
                 [&](const Variable& v) { return conv.forward(upsample_nearest(v)); }, dup);
  }
}

TEST(BigGan, RefusesWrongInput) {
  BigGanGenerator g({.ch = 1, .dim_z = 5, .classes = 2});
  EXPECT_THROW(g.forward(Tensor::zeros({2, 4}), Tensor::of<int64_t>({0, 1})), Error);
  EXPECT_THROW(g.forward(Tensor::zeros({2, 5}), Tensor::of<int64_t>({0, 1, 1})), Error);
  EXPECT_THROW(g.forward(Tensor::zeros({2, 5}), Condition{}), Error);
  EXPECT_THROW(BigGanGenerator({.resolution = 48}), Error);
}

TEST(BigGan, InitialStateFollowsBigGan) {
  BigGanGenerator g({.ch = 8, .dim_z = 64, .classes = 10});
  g.initialise(Stream(7));
  for (const nn::Parameter& p : g.parameters()) {
    double square = 0;
    for (float v : p.value.data().span<float>())
      square += static_cast<double>(v) * static_cast<double>(v);
    const double deviation = std::sqrt(square / static_cast<double>(p.value.data().numel()));
    if (p.value.rank() >= 2 && p.value.data().numel() > 1000) {
      EXPECT_NEAR(deviation, 0.02, 0.002) << p.name;
    }
    if (p.name == "output_layer.0.gain") {
      EXPECT_EQ(deviation, 1) << p.name;
    }
  }
  for (const nn::Buffer& b : g.buffers())
    if (b.name.ends_with("sv0") || b.name.ends_with("stored_var")) {
      EXPECT_EQ(b.value.at(0), 1) << b.name;
    }
}

}  // namespace
}  // namespace limbeck::gan
