// The registry against the table of the original networks: parameters and multiply-adds at 32x32
// and 128x128 with 100 classes.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "nn/layers.h"
#include "nn/models/registry.h"
#include "nn/trace.h"

namespace limbeck::nn {
namespace {

struct Row {
  int64_t parameters32, parameters128;
  size_t entries32, entries128;
  double mmacs32;
};
const std::map<std::string, Row> table{
    {"resnet8", {83892, 84228, 56, 56, 12.5}},
    {"resnet14", {181108, 181444, 92, 92, 26.7}},
    {"resnet20", {278324, 278660, 128, 128, 40.8}},
    {"resnet32", {472756, 473092, 200, 200, 69.1}},
    {"resnet44", {667188, 667524, 272, 272, 97.4}},
    {"resnet56", {861620, 861956, 344, 344, 125.8}},
    {"resnet110", {1736564, 1736900, 668, 668, 253.2}},
    {"resnet8x4", {1233540, 1234212, 62, 62, 177.1}},
    {"resnet32x4", {7433860, 7434532, 206, 206, 1083.0}},
    {"ResNet18", {11220132, 11221476, 122, 122, 555.5}},
    {"ResNet34", {21328292, 21329636, 218, 218, 1159.4}},
    {"ResNet50", {23705252, 23706596, 320, 320, 1298.0}},
    {"wrn_16_1", {180916, 181284, 82, 87, 26.7}},
    {"wrn_16_2", {703284, 703652, 83, 88, 101.1}},
    {"wrn_40_1", {569780, 570148, 226, 231, 83.3}},
    {"wrn_40_2", {2255156, 2255524, 227, 232, 327.6}},
    {"vgg8", {3965028, 13455460, 37, 41, 96.2}},
    {"vgg11", {9277284, 18767716, 58, 62, 209.4}},
    {"vgg13", {9462180, 18952612, 72, 76, 284.9}},
    {"vgg16", {14774436, 24264868, 93, 97, 398.2}},
    {"vgg19", {20086692, 29577124, 114, 118, 511.4}},
    {"MobileNetV2", {812836, 812836, 320, 320, 6.5}},
    {"ShuffleV1", {949258, 950338, 296, 296, 38.7}},
    {"ShuffleV2", {1355528, 1356608, 338, 338, 44.5}},
    {"efficientnetb0", {3628576, 3628576, 360, 360, 30.4}},
    {"efficientnetb0_2", {3628576, 3628576, 360, 360, 18.2}},
    {"densenet121", {7048548, 7050020, 722, 727, 888.4}},
    {"densenet169", {12643172, 12644644, 1010, 1015, 1059.9}},
    {"densenet201", {18277220, 18278692, 1202, 1207, 1364.1}},
    {"explainer_tree", {22567212, 22567212, 800, 800, 204.6}},
    {"densenet161", {26681188, 26683396, 962, 967, 2467.7}},
};

TEST(Models, ParametersAndEntriesOfTheTable) {
  for (const auto& [name, row] : table)
    for (const int64_t size : {32, 128}) {
      const auto network = create_model(name, {.outputs = 100, .size = size});
      EXPECT_EQ(network->parameter_count(), size == 32 ? row.parameters32 : row.parameters128)
          << name << " at " << size;
      EXPECT_EQ(network->parameters().size() + network->buffers().size(),
                size == 32 ? row.entries32 : row.entries128)
          << name << " at " << size;
    }
}

TEST(Models, EveryRegisteredNetworkIsInTheTable) {
  size_t classifiers = 0;
  for (const ModelEntry& e : all_models())
    // InceptionV3 has its own test; the example of docs/extending.md is none of the library's.
    if (!e.regression_only && e.smallest_image <= 32 && e.family != "example") {
      EXPECT_TRUE(table.contains(e.name)) << e.name;
      ++classifiers;
    }
  EXPECT_EQ(classifiers, table.size());
}

TEST(Models, MultiplyAddsOfTheTable) {
  NoGrad no_grad;
  for (const auto& [name, row] : table) {
    if (row.mmacs32 > 150) continue;  // the large ones take seconds and have the same blocks
    const auto network = create_model(name, {.outputs = 100});
    network->eval();
    LayerTrace trace;
    network->forward(Tensor::zeros({1, 32, 32, 3}));
    EXPECT_NEAR(static_cast<double>(trace.macs()) / 1e6, row.mmacs32, 0.051) << name;
  }
}

TEST(Models, OtherImageSizesAndChannels) {
  NoGrad no_grad;
  for (const std::string name : {"resnet8", "vgg8", "wrn_16_1", "MobileNetV2", "ShuffleV2"}) {
    const auto network = create_model(name, {.outputs = 10, .channels = 1, .size = 28});
    network->eval();
    EXPECT_EQ(network->forward(Tensor::zeros({2, 28, 28, 1})).shape(), (Shape{2, 10})) << name;
  }
}

TEST(Models, EveryNetworkHasPooledFeatures) {
  NoGrad no_grad;
  for (const ModelEntry& e : all_models())
    for (const Task task : {Task::classification, Task::regression}) {
      if (!e.serves(task)) continue;
      const int64_t size = task == Task::regression ? 64 : e.smallest_image;
      const auto network = create_model(e.name, {.outputs = 3, .size = size, .task = task});
      network->initialise(Stream(1));
      network->eval();
      const Features f = network->forward_features(Tensor::full({2, size, size, 3}, 0.5));
      ASSERT_TRUE(f.pooled.defined()) << e.name;
      EXPECT_TRUE(f.pooled.data().rank() == 2 && f.pooled.size(0) == 2)
          << e.name << ": " << f.pooled.shape();
      if (!f.taps.empty()) {
        EXPECT_EQ(f.pooled.data().to_vector<float>(), f.taps.back().data().to_vector<float>())
            << e.name;
      }
    }
}

TEST(Models, InitialisationFollowsTheFamilysRule) {
  const auto spread = [](const TensorFile& state, const std::string& key) {
    double squares = 0;
    const Tensor& t = state.get(key);
    for (float v : t.span<float>()) squares += double(v) * v;
    return std::sqrt(squares / static_cast<double>(t.numel()));
  };
  const auto resnet = create_model("resnet20", {});
  resnet->initialise(Stream(1));
  const TensorFile r = resnet->state_dict();
  EXPECT_NEAR(spread(r, "layer3.1.conv2.weight"), std::sqrt(2.0 / (9 * 64)), 0.001);
  EXPECT_NEAR(spread(r, "fc.weight"), 1 / std::sqrt(3.0 * 64), 0.01);
  EXPECT_EQ(spread(r, "layer1.0.bn1.weight"), 1);
  EXPECT_EQ(spread(r, "layer1.0.bn1.bias"), 0);
  const auto vgg = create_model("vgg8", {});
  vgg->initialise(Stream(1));
  const TensorFile v = vgg->state_dict();
  EXPECT_NEAR(spread(v, "block4.0.weight"), std::sqrt(2.0 / (9 * 512)), 0.001);
  EXPECT_EQ(spread(v, "block4.0.bias"), 0);
  EXPECT_NEAR(spread(v, "classifier.weight"), 0.01, 0.001);
  const auto wrn = create_model("wrn_16_1", {});
  wrn->initialise(Stream(1));
  EXPECT_EQ(spread(wrn->state_dict(), "fc.bias"), 0);
  // The same stream gives the same bits; another one gives others.
  const auto again = create_model("resnet20", {});
  again->initialise(Stream(1));
  EXPECT_EQ(again->state_dict().get("conv1.weight").to_vector<float>(),
            r.get("conv1.weight").to_vector<float>());
  again->initialise(Stream(2));
  EXPECT_NE(again->state_dict().get("conv1.weight").to_vector<float>(),
            r.get("conv1.weight").to_vector<float>());
}

TEST(Models, BadRequestsAreRefused) {
  try {
    create_model("resnet21", {});
    FAIL() << "an unknown network was built";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean 'resnet20'"), std::string::npos) << e.what();
  }
  EXPECT_THROW(create_model("resnet20", {.outputs = 0}), Error);
  EXPECT_THROW(create_model("vgg8", {.size = 160}), Error);
  const auto a = create_model("resnet8", {.outputs = 10}),
             b = create_model("resnet14", {.outputs = 10});
  EXPECT_THROW(b->load_state_dict(a->state_dict(), "a.safetensors"), Error);
}

}  // namespace
}  // namespace limbeck::nn
