// SAGAN and SNGAN, conditioned on an embedded label, against numbers from the original PyTorch
// modules, and what their layers promise.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gan/network.h"
#include "nn/parity.h"

namespace limbeck::gan {
namespace {

std::string failures(const nn::ParityReport& report) {
  std::string text;
  for (const nn::ParityLine& l : report.lines)
    if (!l.ok()) text += l.group + ": " + l.quantity + ": " + l.detail + "\n";
  return text;
}

class LabelGanParity : public testing::TestWithParam<DType> {};
TEST_P(LabelGanParity, MatchesPyTorch) {
  const std::vector<nn::ParityReport> reports =
      nn::run_parity("tests/data/fixtures/gan/ccgan.json", GetParam());
  ASSERT_EQ(reports.size(), 2U);
  for (const nn::ParityReport& r : reports) EXPECT_TRUE(r.ok()) << r.name << "\n" << failures(r);
}
INSTANTIATE_TEST_SUITE_P(Fixtures, LabelGanParity, testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(LabelGan, CountsOfTheOriginal) {
  for (const auto& [arch, g_count, d_count] :
       {std::tuple("sagan", 15'070'052, 21'660'466), std::tuple("sngan", 15'055'107, 21'655'233)}) {
    const NetworkConfig config = {
        .arch = arch, .ch = 64, .dim_z = 256, .resolution = 64, .label_dim = 128};
    EXPECT_EQ(create_generator(config)->parameter_count(), g_count) << arch;
    EXPECT_EQ(create_discriminator(config)->parameter_count(), d_count) << arch;
  }
}

/// A pair small enough to run in a moment, and its inputs.
struct Toy {
  NetworkConfig config;
  std::unique_ptr<Generator> g;
  std::unique_ptr<Discriminator> d;
  Tensor z = Tensor::empty({2, 6}), h = Tensor::empty({2, 3});
  explicit Toy(const std::string& arch)
      : config{.arch = arch, .ch = 8, .dim_z = 6, .resolution = 64, .channels = 1, .label_dim = 3} {
    g = create_generator(config);
    d = create_discriminator(config);
    g->initialise(Stream(1));
    d->initialise(Stream(2));
    Stream(3).fill_normal(z);
    Stream(4).fill_uniform(h, 0, 1);
  }
};

class LabelGanFamily : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, LabelGanFamily, testing::Values("sagan", "sngan"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(LabelGanFamily, EvalStoresNothingAndTheLabelMatters) {
  Toy toy(GetParam());
  const NoGrad no_grad;
  toy.g->eval();
  toy.d->eval();
  const auto images = [&](const Tensor& h) {
    return toy.g->forward(toy.z, Condition{{}, h}).data();
  };
  const Tensor first = images(toy.h);
  EXPECT_EQ(first.shape(), Shape({2, 64, 64, 1}));
  EXPECT_EQ(first.to_vector<float>(), images(toy.h).to_vector<float>());
  Tensor other = toy.h.clone();
  other.data<float>()[0] += 1;
  EXPECT_NE(first.to_vector<float>(), images(other).to_vector<float>());
  const Variable score = toy.d->forward(first, Condition{{}, toy.h});
  EXPECT_EQ(score.shape(), Shape({2, 1}));
  EXPECT_NE(score.data().at(0), toy.d->forward(first, Condition{{}, other}).data().at(0));
  EXPECT_EQ(score.data().at(0), toy.d->forward(first, Condition{{}, toy.h}).data().at(0));
}

TEST_P(LabelGanFamily, CheckpointRestoresTheTrainedState) {
  Toy toy(GetParam()), copy(GetParam());
  toy.g->forward(toy.z, Condition{{}, toy.h});
  toy.d->forward(Tensor::full({2, 64, 64, 1}, 0.5), Condition{{}, toy.h});
  copy.g->load_state_dict(toy.g->state_dict());
  copy.d->load_state_dict(toy.d->state_dict());
  const NoGrad no_grad;
  for (Toy* t : {&toy, &copy}) {
    t->g->eval();
    t->d->eval();
  }
  const Tensor images = toy.g->forward(toy.z, Condition{{}, toy.h}).data();
  EXPECT_EQ(images.to_vector<float>(),
            copy.g->forward(toy.z, Condition{{}, toy.h}).data().to_vector<float>());
  EXPECT_EQ(toy.d->forward(images, Condition{{}, toy.h}).data().to_vector<float>(),
            copy.d->forward(images, Condition{{}, toy.h}).data().to_vector<float>());
}

/// The 32-pixel form is the 64-pixel one without its widest block: what it has in common with it
/// has the same shapes.
TEST_P(LabelGanFamily, At32PixelsHasOneBlockLess) {
  Toy large(GetParam());
  NetworkConfig config = large.config;
  config.resolution = 32;
  const auto g = create_generator(config);
  const auto d = create_discriminator(config);
  g->initialise(Stream(1));
  d->initialise(Stream(2));
  const Variable images = g->forward(large.z, Condition{{}, large.h});
  EXPECT_EQ(images.shape(), Shape({2, 32, 32, 1}));
  Variable score = d->forward(images, Condition{{}, large.h});
  EXPECT_EQ(score.shape(), Shape({2, 1}));
  sum(score).backward();
  for (const nn::Parameter& p : g->parameters())
    if (!p.name.starts_with("snconv") || p.value.rank() > 1) {
      EXPECT_TRUE(p.value.grad().defined() || p.name.find("model.") != std::string::npos) << p.name;
    }
  // Blocks are numbered from the widest of a generator and from the narrowest of a discriminator.
  const auto count = [](const nn::Module& m) { return m.parameters().size(); };
  EXPECT_LT(count(*g), count(*large.g));
  EXPECT_LT(count(*d), count(*large.d));
  EXPECT_LT(g->parameter_count(), large.g->parameter_count() / 2);
}

TEST_P(LabelGanFamily, RefusesWrongInput) {
  Toy toy(GetParam());
  EXPECT_THROW(toy.g->forward(toy.z, Condition{}), Error);
  EXPECT_THROW(toy.g->forward(toy.z, Tensor::of<int64_t>({0, 1})), Error);
  EXPECT_THROW(toy.g->forward(toy.z, Condition{{}, Tensor::zeros({2, 4})}), Error);
  EXPECT_THROW(toy.g->forward(Tensor::zeros({2, 5}), Condition{{}, toy.h}), Error);
  EXPECT_THROW(toy.d->forward(Tensor::zeros({2, 32, 32, 1}), Condition{{}, toy.h}), Error);
  NetworkConfig large = toy.config;
  large.resolution = 128;
  EXPECT_THROW(create_generator(large), Error);
  EXPECT_THROW(create_discriminator(large), Error);
}

// Aliased convolutions have two keys and one tensor: the optimiser meets them once, a file with two
// values gives the later one.
TEST(LabelGan, SnganKeepsBothNamesOfALayer) {
  Toy toy("sngan");
  TensorFile state = toy.g->state_dict();
  const auto values = [](const Tensor* t) { return t->to_vector<float>(); };
  ASSERT_TRUE(state.find("genblock0.conv1.weight") && state.find("genblock0.model.3.weight"));
  EXPECT_EQ(values(state.find("genblock0.conv1.weight")),
            values(state.find("genblock0.model.3.weight")));
  for (const nn::Parameter& p : toy.g->parameters())
    EXPECT_EQ(p.name.find("model.3"), std::string::npos) << p.name;
  for (auto& [name, tensor] : state.tensors)
    if (name == "genblock0.model.3.weight") tensor.fill(0.25);
  toy.g->load_state_dict(state);
  EXPECT_EQ(toy.g->state_dict().find("genblock0.conv1.weight")->at(0), 0.25);
  state.tensors.erase(std::find_if(state.tensors.begin(), state.tensors.end(), [](const auto& e) {
    return e.first == "genblock0.model.3.weight";
  }));
  EXPECT_THROW(toy.g->load_state_dict(state), Error);
}

TEST(LabelGan, InitialStateFollowsTheOriginal) {
  const auto sagan = Toy("sagan");
  for (const nn::Parameter& p : sagan.g->parameters()) {
    if (p.name.ends_with(".bias") || p.name == "self_attn.sigma") {
      EXPECT_EQ(p.value.data().at(0), 0) << p.name;
    }
  }
  // Xavier's variance is gain^2 2 / (fan_in + fan_out).
  const auto variance = [](const nn::Module& m, const std::string& name) {
    for (const nn::Parameter& p : m.parameters())
      if (p.name == name) {
        double square = 0;
        for (float v : p.value.data().span<float>())
          square += static_cast<double>(v) * static_cast<double>(v);
        return square / static_cast<double>(p.value.data().numel());
      }
    return 0.0;
  };
  EXPECT_NEAR(variance(*sagan.g, "block1.snconv2d1.weight_orig") * (9 * 128 + 9 * 64) / 2, 1, 0.05);
  const auto sngan = Toy("sngan");
  EXPECT_NEAR(variance(*sngan.g, "genblock0.conv1.weight") * (9 * 128 + 9 * 64) / 4, 1, 0.05);
  EXPECT_NEAR(variance(*sngan.d, "discblock3.0.bypass_conv.weight_orig") * (64 + 128) / 2, 1, 0.05);
  for (const nn::Buffer& b : sngan.d->buffers()) {
    double square = 0;
    for (float v : b.value.span<float>()) square += static_cast<double>(v) * static_cast<double>(v);
    EXPECT_NEAR(square, 1, 1e-5) << b.name;
  }
}

}  // namespace
}  // namespace limbeck::gan
