// SAGAN and SNGAN, conditioned on an embedded label, against numbers from the original PyTorch
// modules, and what their layers promise.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gan/network.h"
#include "nn/parity.h"
#include "tests/autograd/parameter_gradients.h"

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
// Numbers of tests/oracle/naive_labels.py.
TEST_P(LabelGanParity, NaiveLabelsMatchPyTorch) {
  const std::vector<nn::ParityReport> reports =
      nn::run_parity("tests/data/fixtures/oracle/sngan_nli.json", GetParam());
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

/// Lets the spectral norms of a discriminator see some power iterations, then rest.
void settle(Discriminator& d, const Variable& x, const Condition& c) {
  const NoGrad no_grad;
  d.train();
  for (int i = 0; i < 10; ++i) d.forward(x, c);
  d.eval();
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

// --- naive labels ------------------------------------------------------------------------------

TEST(NaiveLabelGan, CountsOfTheOriginal) {
  for (const auto& [arch, g_count, d_count] :
       {std::tuple("sngan-nli", 12'220'675, 19'574'465),
        std::tuple("sngan-nli-narrow", 8'541'443, 9'857'217)}) {
    const NetworkConfig config = {.arch = arch, .ch = 64, .dim_z = 128, .resolution = 64};
    EXPECT_EQ(create_generator(config)->parameter_count(), g_count) << arch;
    EXPECT_EQ(create_discriminator(config)->parameter_count(), d_count) << arch;
  }
}

NetworkConfig naive_config(const std::string& arch, int64_t resolution) {
  return {.arch = arch, .ch = 2, .dim_z = 4, .resolution = resolution, .channels = 1};
}

Condition response_of(std::initializer_list<double> y) {
  return {{}, Variable(Tensor::of<double>(std::vector<double>(y)).reshape({-1, 1}))};
}

class NaiveLabelGan : public testing::TestWithParam<std::pair<const char*, int64_t>> {
 protected:
  NaiveLabelGan()
      : config(naive_config(GetParam().first, GetParam().second)),
        g(create_generator(config)),
        d(create_discriminator(config)) {
    for (nn::Module* m : {static_cast<nn::Module*>(g.get()), static_cast<nn::Module*>(d.get())}) {
      m->initialise(Stream(3));
      m->to(DType::f64);
      m->eval();
    }
    Stream(4).fill_normal(z);
  }
  NetworkConfig config;
  std::unique_ptr<Generator> g;
  std::unique_ptr<Discriminator> d;
  Tensor z = Tensor::empty({2, 4}, DType::f64);
};
INSTANTIATE_TEST_SUITE_P(Forms, NaiveLabelGan,
                         testing::Values(std::pair("sngan-nli", 64), std::pair("sngan-nli", 32),
                                         std::pair("sngan-nli-narrow", 64)),
                         [](const auto& info) {
                           std::string name = info.param.first;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name + "_" + std::to_string(info.param.second);
                         });

// G adds y to every output of its first layer: the same as a bias that is larger by y.
TEST_P(NaiveLabelGan, TheGeneratorAddsTheResponse) {
  const NoGrad no_grad;
  const Tensor with = g->forward(z, response_of({0.25, 0.25})).data();
  EXPECT_EQ(with.shape(), Shape({2, config.resolution, config.resolution, 1}));
  for (const nn::Parameter& p : g->parameters())
    if (p.name == "dense.bias")
      for (double& b : p.value.data().span<double>()) b += 0.25;
  const Tensor shifted = g->forward(z, response_of({0, 0})).data();
  for (int64_t i = 0; i < with.numel(); ++i) ASSERT_NEAR(with.at(i), shifted.at(i), 1e-12);
}

// D = linear1(f) + <f, linear2(y + 1)> without bias: affine in y, and at y = -1 linear1 alone.
TEST_P(NaiveLabelGan, TheDiscriminatorProjectsWithTheResponsePlusOne) {
  const NoGrad no_grad;
  const Variable x = g->forward(z, response_of({0.2, 0.8}));
  settle(*d, x, response_of({0.2, 0.8}));
  const auto score = [&](double y) { return d->forward(x, response_of({y, y})).data().clone(); };
  const Tensor low = score(0), high = score(1), middle = score(0.25);
  EXPECT_NE(low.at(0), high.at(0));
  EXPECT_NEAR(middle.at(0), 0.75 * low.at(0) + 0.25 * high.at(0), 1e-12);
  const Tensor linear_alone = score(-1);
  for (const nn::Parameter& p : d->parameters())
    if (p.name == "linear2.weight_orig") Stream(9).fill_normal(p.value.data());
  EXPECT_NEAR(score(-1).at(1), linear_alone.at(1), 1e-12);
  EXPECT_NE(score(0).at(1), low.at(1)) << "the weights matter elsewhere";
}

TEST_P(NaiveLabelGan, TakesOneResponseForEachImage) {
  EXPECT_THROW(g->forward(z, Condition{{}, Tensor::zeros({2, 3}, DType::f64)}), Error);
  EXPECT_THROW(d->forward(g->forward(z, response_of({0, 1})), response_of({0.5})), Error);
}

TEST(NaiveLabelGanForms, TheNarrowOneIsOf64Pixels) {
  EXPECT_THROW(create_generator(naive_config("sngan-nli-narrow", 32)), Error);
  EXPECT_THROW(create_discriminator(naive_config("sngan-nli-narrow", 32)), Error);
}

TEST(NaiveLabelGanGradients, AreThoseOfFiniteDifferences) {
  const NetworkConfig config = naive_config("sngan-nli", 32);
  const auto g = create_generator(config);
  const auto d = create_discriminator(config);
  for (nn::Module* m : {static_cast<nn::Module*>(g.get()), static_cast<nn::Module*>(d.get())}) {
    m->initialise(Stream(3));
    m->to(DType::f64);
  }
  Tensor z = Tensor::empty({3, 4}, DType::f64);
  Stream(4).fill_normal(z);
  const Condition y = response_of({0.1, 0.4, 0.9});
  settle(*d, g->forward(z, y).data(), y);  // power iterations would move between the evaluations
  const auto loss = [&] { return mean(softplus(-d->forward(g->forward(z, y), y))); };
  test::expect_parameter_gradients(*g, loss, 3);
  const Variable x(g->forward(z, y).data());
  test::expect_parameter_gradients(
      *d, [&] { return mean(softplus(d->forward(x, y))); }, 3);
}

// --- the head of the auxiliary regression ------------------------------------------------------

TEST(ResponseHead, IsReadFromTheLastMapAndLeavesTheScoreAlone) {
  for (const char* arch : {"sagan", "sngan", "sngan-nli"}) {
    NetworkConfig config{.arch = arch, .ch = 8, .resolution = 32, .channels = 1, .label_dim = 3};
    const auto plain = create_discriminator(config);
    config.response_head = true;
    const auto headed = create_discriminator(config);
    plain->initialise(Stream(2));
    headed->initialise(Stream(2));
    plain->eval(), headed->eval();
    const int64_t width = std::string(arch) == "sngan-nli" ? 1 : 3;
    const Condition c{{}, Variable(Tensor::full({2, width}, 0.5))};
    Tensor x = Tensor::empty({2, 32, 32, 1});
    Stream(5).fill_normal(x);
    const Judged without = plain->judge(x, c), with = headed->judge(x, c);
    EXPECT_FALSE(without.response) << arch;
    ASSERT_EQ(with.response.shape(), Shape({2, 1})) << arch;
    EXPECT_EQ(with.score.data().to_vector<float>(), without.score.data().to_vector<float>())
        << arch;
    EXPECT_NE(with.response.data().at(0), with.response.data().at(1)) << arch;
    EXPECT_EQ(headed->parameter_count() - plain->parameter_count(), 64 * 16 * 128 + 128 + 128 + 1);
  }
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
