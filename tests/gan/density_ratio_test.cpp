#include "gan/density_ratio.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "autograd/gradcheck.h"
#include "tests/nn/stopping.h"

namespace limbeck::gan {
namespace {

/// f64 values away from zero, where the closing ReLU of a ratio net has its kink.
Variable positive(const Shape& shape, uint64_t seed) {
  Tensor t = Tensor::empty(shape, DType::f64);
  Stream s(seed);
  s.fill_uniform(t, 0.2, 3);
  return Variable(t, true);
}

TEST(RatioLoss, MatchesTheFormula) {
  const Tensor real = Tensor::of<double>({0.5, 2}, {2, 1}),
               fake = Tensor::of<double>({1, 0.25}, {2, 1});
  const auto s = [](double t) { return 1 / (1 + std::exp(-t)); };
  const auto softplus = [](double t) { return std::log1p(std::exp(t)); };
  const double expected = (s(1) * 1 + s(0.25) * 0.25) / 2 - (softplus(1) + softplus(0.25)) / 2 -
                          (s(0.5) + s(2)) / 2 + 0.01 * std::pow(1.25 / 2 - 1, 2);
  EXPECT_NEAR(ratio_loss(Variable(real), Variable(fake), 0.01).item(), expected, 1e-14);
}

TEST(RatioLoss, Gradients) {
  const auto report = gradcheck([](const Variables& v) { return ratio_loss(v[0], v[1], 0.7); },
                                {positive({5, 1}, 1), positive({5, 1}, 2)});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(RatioLoss, IsSmallestAtTheTrueRatio) {
  // Two atoms with real probabilities (0.8, 0.2) and fake ones (0.5, 0.5): the true ratio is (1.6,
  // 0.4).
  const auto loss = [](double a, double b) {
    const Tensor real = Tensor::of<double>({a, a, a, a, b}, {5, 1}),
                 fake = Tensor::of<double>({a, b}, {2, 1});
    return ratio_loss(Variable(real), Variable(fake), 0.01).item();
  };
  const double best = loss(1.6, 0.4);
  for (const double delta : {-0.1, 0.1}) {
    EXPECT_LT(best, loss(1.6 + delta, 0.4));
    EXPECT_LT(best, loss(1.6, 0.4 + delta));
  }
}

TEST(RatioNet, WidthsAndKeysOfTheOriginal) {
  EXPECT_EQ(ratio_widths("MLP5"), (std::vector<int64_t>{2048, 1024, 512, 256, 128}));
  EXPECT_EQ(ratio_widths("MLP9").size(), 9u);
  EXPECT_EQ(ratio_widths("MLP3", 1.0 / 64), (std::vector<int64_t>{16, 16, 16}));
  EXPECT_THROW(ratio_widths("MLP6"), Error);
  const ClassRatioNet net(100, 0, 3072, ratio_widths("MLP5"));
  EXPECT_EQ(net.parameter_count(), 9303569);
  std::set<std::string> keys;
  for (const auto& p : net.parameters()) keys.insert(p.name);
  for (const char* key : {"label_emb.weight", "main.0.weight", "main.1.bias", "main.4.weight",
                          "main.17.weight", "main.20.bias"})
    EXPECT_TRUE(keys.count(key)) << key;
}

TEST(RatioNet, TheConditionStandsFirst) {
  ClassRatioNet net(2, 3, 4, {8});
  Stream s(1);
  net.initialise(s);
  net.eval();
  // Without the weights of the first three inputs the class must not matter.
  const Variable h(Tensor::full({1, 4}, 0.3));
  const auto of = [&](int64_t c) { return net.ratio(h, Tensor::of<int64_t>({c})).item(); };
  for (const auto& p : net.parameters()) {
    if (p.name == "main.4.bias") p.value.data().fill(5);  // away from the closing ReLU
    if (p.name == "main.0.weight") {
      EXPECT_EQ(p.value.shape(), (Shape{8, 7}));
    }
  }
  EXPECT_NE(of(0), of(1));
  for (const auto& p : net.parameters())
    if (p.name == "main.0.weight")
      for (int64_t o = 0; o < 8; ++o)
        for (int64_t i = 0; i < 3; ++i) p.value.data().data<float>()[o * 7 + i] = 0;
  EXPECT_EQ(of(0), of(1));
  EXPECT_THROW(net.ratio(h, Tensor::of<float>({0.5f})), Error);
}

TEST(FeatureNet, SizeKeysAndShapesOfTheOriginal) {
  const FeatureNet net({.outputs = 100, .channels = 3, .size = 32}, {});
  EXPECT_EQ(net.parameter_count(), 26296484);
  EXPECT_EQ(net.feature_size(), 3072);
  std::set<std::string> keys;
  for (const auto& p : net.parameters()) keys.insert(p.name);
  for (const char* key :
       {"main.0.weight", "main.1.weight", "main.3.0.conv1.weight", "main.4.0.shortcut.0.weight",
        "main.6.2.bn2.bias", "classifier_1.0.weight", "classifier_2.0.weight",
        "classifier_2.3.weight", "classifier_2.4.weight", "classifier_2.7.weight",
        "classifier_2.8.weight", "classifier_2.11.bias"})
    EXPECT_TRUE(keys.count(key)) << key;
}

TEST(FeatureNet, LargeImagesArePooled) {
  const FeatureNet net({.outputs = 100, .channels = 3, .size = 128}, {});
  EXPECT_EQ(net.parameter_count(), 97213604);
  FeatureNet small({.outputs = 4, .channels = 1, .size = 16},
                   {.width = 4, .blocks = {1, 1}, .feature = 10, .head = {6}});
  small.initialise(Stream(1));
  small.eval();
  const nn::Features f = small.forward_features(Variable(Tensor::full({2, 16, 16, 1}, 0.5)));
  EXPECT_EQ(f.output.shape(), (Shape{2, 4}));
  EXPECT_EQ(f.taps.back().shape(), (Shape{2, 10}));
}

// --- training: features of real images are bright, the "generator" makes dark ones with probabilit

data::Dataset bright_images() {
  data::Dataset d;
  d.images = Tensor::full({64, 8, 8, 1}, 220, DType::u8);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 64; ++i) labels.push_back(i % 2);
  d.labels = Tensor::of(labels);
  d.classes = 2;
  return d;
}

Tensor dark_or_bright(const Tensor& y, const Stream& stream) {
  Tensor x = Tensor::empty({y.size(0), 8, 8, 1});
  Stream s = stream;
  for (int64_t i = 0; i < y.size(0); ++i) x.rows(i, i + 1).fill(s.uniform() < 0.75 ? -0.7 : 0.725);
  return x;
}

struct Toy {
  FeatureNet features{{.outputs = 2, .channels = 1, .size = 8},
                      {.width = 4, .blocks = {1}, .feature = 8, .head = {}}};
  ClassRatioNet net{2, 2, 8, {16, 16}, 0.0};
  data::Dataset real = bright_images();
  RatioSettings settings;
  Toy() {
    features.initialise(Stream(7));
    settings.epochs = 60;
    settings.batch = 32;
    settings.lr = 1e-2;
    settings.milestones = {};
  }
};

TEST(RatioTraining, LearnsWhichFakesAreRealistic) {
  Toy t;
  nn::Monitor monitor;
  train_ratio({t.net, t.features, dark_or_bright, t.real, Stream(2), monitor}, t.settings);
  Tensor images = Tensor::empty({2, 8, 8, 1});
  images.rows(0, 1).fill(-0.7);
  images.rows(1, 2).fill(0.725);
  const Tensor r = ratios_of(t.net, t.features, images, Tensor::of<int64_t>({0, 0}));
  EXPECT_LT(r.at(0), 0.3);  // true ratio 0
  EXPECT_GT(r.at(1), 2.5);  // true ratio 4
}

std::vector<std::vector<float>> weights_of(const nn::Module& m) {
  std::vector<std::vector<float>> all;
  for (const auto& p : m.parameters()) all.push_back(p.value.data().to_vector<float>());
  return all;
}

TEST(RatioTraining, ResumesBitEqual) {
  Toy whole, stopped, resumed;
  whole.settings.epochs = stopped.settings.epochs = resumed.settings.epochs = 4;
  nn::Monitor monitor;
  const nn::Values a = train_ratio(
      {whole.net, whole.features, dark_or_bright, whole.real, Stream(2), monitor}, whole.settings);
  test::Stopping first(3);
  EXPECT_THROW(
      train_ratio({stopped.net, stopped.features, dark_or_bright, stopped.real, Stream(2), first},
                  stopped.settings),
      nn::Interrupted);
  test::Stopping second(0, first.saved);
  const nn::Values b =
      train_ratio({resumed.net, resumed.features, dark_or_bright, resumed.real, Stream(2), second},
                  resumed.settings);
  EXPECT_EQ(weights_of(whole.net), weights_of(resumed.net));
  EXPECT_EQ(a, b);
}

TEST(RatioTraining, ADeadNetIsRestartedAndThenRefused) {
  // A learning rate beyond reason drives the closing ReLU to zero.
  Toy t;
  t.settings.lr = 1e3;
  t.settings.epochs = 30;
  t.settings.restarts = 2;
  struct : nn::Monitor {
    void note(const std::string& text) override { notes += text; }
    std::string notes;
  } monitor;
  try {
    train_ratio({t.net, t.features, dark_or_bright, t.real, Stream(2), monitor}, t.settings);
    FAIL() << "a net that says zero was accepted";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("after 3 attempts"), std::string::npos) << e.what();
  }
  EXPECT_NE(monitor.notes.find("starting again"), std::string::npos);
}

}  // namespace
}  // namespace limbeck::gan
