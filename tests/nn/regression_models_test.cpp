// The regressors at 64x64 against the table of the original networks, their taps, initialisation
// and the label embedding.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "nn/layers.h"
#include "nn/models/label_embedding.h"

namespace limbeck::nn {
namespace {

ModelOptions regression(int64_t channels = 3, int64_t size = 64) {
  return {.outputs = 1, .channels = channels, .size = size, .task = Task::regression};
}

const std::map<std::string, int64_t> parameters{
    {"resnet20", 570609},      {"resnet56", 1153905},        {"resnet110", 2028849},
    {"resnet8x4", 1604641},    {"resnet32x4", 7804961},      {"ResNet18", 11700929},
    {"ResNet34", 21809089},    {"ResNet50", 24814657},       {"wrn_16_1", 473281},
    {"wrn_16_2", 1022017},     {"wrn_40_1", 862145},         {"wrn_40_2", 2573889},
    {"vgg8", 5228033},         {"vgg11", 10540289},          {"vgg13", 10725185},
    {"vgg16", 16037441},       {"vgg19", 21349697},          {"MobileNetV2", 3144961},
    {"ShuffleV1", 1611487},    {"ShuffleV2", 2044125},       {"efficientnetb0", 4026045},
    {"densenet121", 7737537},  {"densenet169", 13595841},    {"densenet201", 19335361},
    {"densenet161", 27858721}, {"ResNet18_embed", 11502785}, {"ResNet34_embed", 21610945}};

TEST(RegressionModels, ParametersOfTheTable) {
  for (const auto& [name, count] : parameters)
    EXPECT_EQ(create_model(name, regression())->parameter_count(), count) << name;
}

/// [N, H, W, C] or [N, C] as "CxH" or "C".
std::string text(const Shape& s) { return s.rank() == 4 ? cat(s[3], "x", s[1]) : cat(s[1]); }

TEST(RegressionModels, FeatureMapsOfTheTable) {
  const std::map<std::string, std::string> maps{
      {"resnet8", "16x64 16x32 32x16 64x8 64"},
      {"ResNet18", "64x64 64x32 128x16 256x8 512x4 512"},
      {"wrn_16_1", "16x32 16x32 32x16 64x8 64"},
      {"vgg8", "64x64 128x32 256x16 512x8 512x4 2048"},
      {"MobileNetV2", "32x32 24x16 32x8 96x4 320x2 1280"},
      {"ShuffleV1", "24x32 240x16 480x8 960x4 960"},
      {"ShuffleV2", "24x32 116x16 232x8 464x4 1024x4 1024"},
      {"ResNet18_embed", "64x64 64x32 128x16 256x8 512x4 512 128"}};
  const NoGrad no_grad;
  for (const auto& [name, expected] : maps) {
    const auto network = create_model(name, regression());
    network->eval();
    const Features f = network->forward_features(Tensor::zeros({1, 64, 64, 3}));
    std::string found;
    for (const Variable& tap : f.taps) found += (found.empty() ? "" : " ") + text(tap.shape());
    EXPECT_EQ(found, expected) << name;
    EXPECT_EQ(f.output.shape(), (Shape{1, 1})) << name;
  }
}

TEST(RegressionModels, AnyNumberOfChannelsAndOtherSizes) {
  const NoGrad no_grad;
  for (const std::string name : {"resnet8", "wrn_16_1", "vgg8", "ShuffleV1", "MobileNetV2"})
    for (const auto& [channels, size] : {std::pair<int64_t, int64_t>{1, 32}, {4, 64}}) {
      const auto network = create_model(name, regression(channels, size));
      network->eval();
      EXPECT_EQ(network->forward(Tensor::zeros({2, size, size, channels})).shape(), (Shape{2, 1}))
          << name;
    }
  EXPECT_THROW(create_model("vgg8", regression(3, 16)), Error);
}

double spread(const TensorFile& state, const std::string& key) {
  double squares = 0;
  const Tensor& t = state.get(key);
  for (float v : t.span<float>()) squares += double(v) * v;
  return std::sqrt(squares / static_cast<double>(t.numel()));
}
TensorFile initial_state(const std::string& name) {
  const auto network = create_model(name, regression());
  network->initialise(Stream(1));
  return network->state_dict();
}

TEST(RegressionModels, InitialisationFollowsTheFamilysRule) {
  const auto torch_default = [](double fan_in) { return 1 / std::sqrt(3 * fan_in); };
  const TensorFile resnet = initial_state("resnet20");
  EXPECT_NEAR(spread(resnet, "layer3.1.conv2.weight"), std::sqrt(2.0 / (9 * 64)), 0.001);
  EXPECT_NEAR(spread(resnet, "fc.3.weight"), torch_default(512), 0.0005);
  const TensorFile wrn = initial_state("wrn_16_1");
  EXPECT_NEAR(spread(wrn, "block3.layer.1.conv2.weight"), std::sqrt(2.0 / (9 * 64)), 0.001);
  for (const char* key : {"fc.0.bias", "fc.3.bias", "fc.6.bias"})
    EXPECT_EQ(spread(wrn, key), 0) << key;
  EXPECT_NEAR(spread(wrn, "fc.3.weight"), torch_default(512), 0.0005);
  // VGG and ResNet18/34/50 keep PyTorch's defaults, unlike the classifiers.
  const TensorFile vgg = initial_state("vgg8");
  EXPECT_NEAR(spread(vgg, "features.16.weight"), torch_default(9 * 512), 0.0005);
  EXPECT_NEAR(spread(vgg, "fc.0.weight"), torch_default(2048), 0.0005);
  EXPECT_GT(spread(vgg, "features.16.bias"), 0);
  EXPECT_NEAR(spread(initial_state("ResNet18"), "block4.1.conv2.weight"), torch_default(9 * 512),
              0.0005);
  const TensorFile mobile = initial_state("MobileNetV2");
  EXPECT_NEAR(spread(mobile, "features.18.0.weight"), std::sqrt(2.0 / 1280), 0.001);
  EXPECT_NEAR(spread(mobile, "classifier.3.weight"), 0.01, 0.0005);
  EXPECT_EQ(spread(mobile, "classifier.6.bias"), 0);
}

TEST(RegressionModels, TheResponseIsNeverNegative) {
  const NoGrad no_grad;
  const auto network = create_model("resnet8", regression());
  network->initialise(Stream(1));
  network->eval();
  for (const auto& p : network->parameters())
    if (p.name == "fc.6.bias") p.value.data().fill(-10);
  EXPECT_EQ(network->forward(Tensor::full({1, 64, 64, 3}, 0.5)).item(), 0);
}

TEST(RegressionModels, EmbeddingNetworksAreRegressorsOnly) {
  EXPECT_THROW(create_model("ResNet34_embed", {.outputs = 1, .size = 64}), Error);
  EXPECT_THROW(create_embedding_network("ResNet18", regression()), Error);
  // The original's cannot run; ours takes the bottlenecks' 2048 features.
  EXPECT_EQ(
      create_model("ResNet50_embed", regression())->state_dict().get("x2h_res.0.weight").shape(),
      (Shape{512, 2048}));
}

TEST(LabelEmbedding, ResponseOfTheLastTapIsTheOutput) {
  const NoGrad no_grad;
  const auto network = create_embedding_network("ResNet18_embed", regression());
  network->initialise(Stream(2));
  network->eval();
  for (const auto& p : network->parameters())
    if (p.name == "h2y.0.bias") p.value.data().fill(1);  // away from the closing ReLU
  const Features f = network->forward_features(Tensor::full({2, 64, 64, 3}, 0.25));
  EXPECT_EQ(f.output.data().to_vector<float>(),
            network->response(f.taps.back()).data().to_vector<float>());
  EXPECT_GT(f.output.data().at(0), 0);
}

TEST(LabelEmbedding, MapsResponsesToVectorsThatAreNotNegative) {
  LabelToEmbedding net;
  EXPECT_EQ(net.parameter_count(), 67328);
  net.initialise(Stream(3));
  const Tensor y = Tensor::of<float>({0, 0.25f, 1});
  const Tensor h = net(y).data();
  EXPECT_EQ(h.shape(), (Shape{3, 128}));
  for (float v : h.span<float>()) EXPECT_GE(v, 0);
  EXPECT_EQ(net(y.reshape({3, 1})).data().to_vector<float>(), h.to_vector<float>());
  EXPECT_NE(std::vector<float>(h.span<float>().begin(), h.span<float>().begin() + 128),
            std::vector<float>(h.span<float>().begin() + 128, h.span<float>().begin() + 256));
  EXPECT_THROW(net(Tensor::zeros({3, 2})), Error);
  EXPECT_THROW(LabelToEmbedding(12), Error);
}

}  // namespace
}  // namespace limbeck::nn
