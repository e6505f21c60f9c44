// InceptionV3 against numbers of torchvision's architecture in PyTorch f64 (weights by the fill
// rule), its sizes and its errors. The fixture's gradients and losses have the dropout switched
// off, so that they can be compared at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/layers.h"
#include "nn/models/registry.h"
#include "nn/parity.h"
#include "nn/parity_fixture.h"
#include "nn/trace.h"

namespace limbeck::nn {
namespace {

const std::string fixture = "tests/data/fixtures/oracle/InceptionV3.json";

std::string failures(const ParityReport& report) {
  std::string text;
  for (const ParityLine& l : report.lines)
    if (!l.ok()) text += l.group + ": " + l.quantity + ": " + l.detail + "\n";
  return text;
}

bool is_auxiliary(const std::string& name) { return name.starts_with("AuxLogits."); }

void set_dropout(Network& network, bool on) {
  network.visit([on](const std::string&, Module& m) {
    if (auto* d = dynamic_cast<Dropout*>(&m)) d->train(on);
  });
}

/// In f64 by the reference kernels, five seconds in all.
class InceptionParity : public testing::TestWithParam<DType> {};

TEST_P(InceptionParity, StateLogitsFeaturesAndBuffers) {
  const std::vector<ParityReport> reports = run_parity(fixture, GetParam());
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_TRUE(reports[0].ok()) << failures(reports[0]);
  const auto lines_of = [&](const char* group) {
    return std::count_if(reports[0].lines.begin(), reports[0].lines.end(),
                         [&](const ParityLine& l) { return l.group == group; });
  };
  EXPECT_GT(lines_of("eval logits"), 10);
  EXPECT_GE(lines_of("taps"), 2);
  EXPECT_GT(lines_of("buffers after a step"), 180);
}

TEST_P(InceptionParity, GradientsWithoutDropout) {
  const auto expected = nlohmann::json::parse(read_file(fixture));
  const auto sizes = expected["input"].get<std::vector<int64_t>>();
  const auto network = create_model(
      "InceptionV3", {.outputs = expected["num_classes"], .channels = sizes[1], .size = sizes[2]});
  network->to(GetParam());
  parity_fill_state(*network);
  set_dropout(*network, false);
  const Tensor input = to_channels_last(parity_fill("input", sizes)).to(GetParam());
  const Variable loss = cross_entropy(network->forward(input), Tensor::of<int64_t>({3, 10}));
  loss.backward();

  ParityReport report;
  report.add("loss", "first", loss.item(), expected["train_losses_3_sgd_steps"][0],
             parity_bounds(GetParam(), ParityKind::train).element);
  const auto& gradients = expected["train_grads"];
  const double floor = largest_norm(gradients) * (GetParam() == DType::f64 ? 1e-6 : 1e-2);
  size_t seen = 0;
  for (const Parameter& p : network->parameters()) {
    ASSERT_EQ(p.value.grad().defined(), !is_auxiliary(p.name)) << p.name;
    if (is_auxiliary(p.name)) continue;
    ++seen;
    report.add("gradients", p.name, summarise_memory(p.value.grad()),
               read_summary(gradients.at(p.name)), parity_bounds(GetParam(), ParityKind::gradient),
               floor);
  }
  EXPECT_EQ(seen, gradients.size());
  EXPECT_TRUE(report.ok()) << failures(report);
}

INSTANTIATE_TEST_SUITE_P(Types, InceptionParity, testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(InceptionV3, ParametersMultiplyAddsAndShapesAtTheOriginalSize) {
  const NoGrad no_grad;
  const auto network = create_model("InceptionV3", {.outputs = 100, .size = 299});
  EXPECT_EQ(network->parameter_count(), 24625064);
  int64_t auxiliary = 0;
  for (const Parameter& p : network->parameters())
    if (is_auxiliary(p.name)) auxiliary += p.value.data().numel();
  EXPECT_EQ(auxiliary, 2634596);
  network->eval();
  LayerTrace trace;
  const Features f = network->forward_features(Tensor::zeros({1, 299, 299, 3}));
  EXPECT_EQ(trace.macs(), 5711372896);  // PyTorch's module, counted by hooks
  EXPECT_EQ(f.output.shape(), (Shape{1, 100}));
  ASSERT_EQ(f.taps.size(), 1u);
  EXPECT_EQ(f.taps[0].shape(), (Shape{1, 2048}));
}

TEST(InceptionV3, SmallestImageChannelsAndDropout) {
  const NoGrad no_grad;
  const auto network = create_model("InceptionV3", {.outputs = 7, .channels = 1, .size = 75});
  network->initialise(Stream(1));
  const Tensor x = Tensor::empty({2, 75, 80, 1});
  Stream(2).fill_normal(x);
  const auto run = [&](uint64_t seed) {
    network->set_streams(Stream(seed));
    return network->forward_features(x);
  };
  // In training mode dropout changes the logits and leaves the features alone.
  const Features a = run(1), b = run(2);
  EXPECT_EQ(a.output.shape(), (Shape{2, 7}));
  EXPECT_EQ(a.taps[0].data().to_vector<float>(), b.taps[0].data().to_vector<float>());
  EXPECT_NE(a.output.data().to_vector<float>(), b.output.data().to_vector<float>());
  network->eval();
  EXPECT_EQ(run(1).output.data().to_vector<float>(), run(2).output.data().to_vector<float>());

  for (const Shape& small : {Shape{1, 74, 75, 1}, Shape{1, 75, 74, 1}}) {
    try {
      network->forward(Tensor::zeros(small));
      FAIL() << small;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("at least 75x75"), std::string::npos) << e.what();
    }
  }
}

TEST(InceptionV3, InitialisesWithPyTorchsDefault) {
  const auto network = create_model("InceptionV3", {.outputs = 7, .size = 75});
  network->initialise(Stream(1));
  const TensorFile state = network->state_dict();
  const auto largest = [&](const std::string& key) {
    double m = 0;
    for (float v : state.get(key).span<float>()) m = std::max(m, std::abs(static_cast<double>(v)));
    return m;
  };
  // U(-1/sqrt(fan in), 1/sqrt(fan in)).
  EXPECT_NEAR(largest("Mixed_6b.branch7x7_2.conv.weight"), 1 / std::sqrt(7.0 * 128), 1e-4);
  EXPECT_NEAR(largest("AuxLogits.conv1.conv.weight"), 1 / std::sqrt(25.0 * 128), 1e-4);
  EXPECT_NEAR(largest("fc.weight"), 1 / std::sqrt(2048.0), 1e-4);
  EXPECT_EQ(largest("Mixed_7c.branch_pool.bn.weight"), 1);
}

TEST(InceptionV3, RefusesOtherTasksAndSmallImagesBeforeItIsBuilt) {
  EXPECT_THROW(create_model("InceptionV3", {.outputs = 1, .size = 299, .task = Task::regression}),
               Error);
  try {
    create_model("InceptionV3", {.outputs = 100, .size = 74});
    FAIL() << "an image of 74 pixels was accepted";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(
                  "InceptionV3: images must have at least 75x75 pixels, found size 74"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace limbeck::nn
