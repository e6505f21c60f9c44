// Networks in files come back as they were.
#include "kd/checkpoint.h"

#include <gtest/gtest.h>

#include "tests/data/temporary.h"

namespace limbeck::kd {
namespace {

class SavedNetworks : public ::testing::Test {
 protected:
  const test::TemporaryFolder folder_;
};

TEST_F(SavedNetworks, ComeBackAsTheyWere) {
  const nn::ModelOptions options{.outputs = 7, .channels = 1, .size = 32};
  const auto net = nn::create_model("resnet8", options);
  net->initialise(Stream(3));
  const data::Standardisation standardisation{{0.1234567890123456789}, {1.0 / 3}};
  const std::string path = folder_.file("model.safetensors");
  save_network(path, *net, "resnet8", options, standardisation);
  const SavedNetwork saved = load_network(path);
  EXPECT_EQ(saved.name, "resnet8");
  EXPECT_EQ(saved.options.outputs, 7);
  EXPECT_EQ(saved.standardisation.mean, standardisation.mean);
  EXPECT_EQ(saved.standardisation.deviation, standardisation.deviation);
  const auto a = net->parameters(), b = saved.network->parameters();
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_EQ(a[i].value.data().to_vector<float>(), b[i].value.data().to_vector<float>())
        << a[i].name;
}

TEST_F(SavedNetworks, RegressorsComeBackAsRegressors) {
  const nn::ModelOptions options{
      .outputs = 1, .channels = 1, .size = 32, .task = nn::Task::regression};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = folder_.file("model.safetensors");
  save_network(path, *net, "resnet8", options, {{0.5}, {1}});
  EXPECT_EQ(load_network(path).options.task, nn::Task::regression);
  TensorFile file = read_safetensors(path);
  file.metadata.erase("task");  // a file from before tasks were written holds a classifier
  write_safetensors(path, file);
  EXPECT_THROW(load_network(path), Error);
  const nn::ModelOptions classes{.outputs = 2, .channels = 1, .size = 32};
  save_network(path, *nn::create_model("resnet8", classes), "resnet8", classes, {{0.5}, {1}});
  file = read_safetensors(path);
  file.metadata.erase("task");
  write_safetensors(path, file);
  EXPECT_EQ(load_network(path).options.task, nn::Task::classification);
}

TEST_F(SavedNetworks, RegressorsKeepTheirScale) {
  const nn::ModelOptions options{
      .outputs = 1, .channels = 1, .size = 32, .task = nn::Task::regression};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = folder_.file("model.safetensors");
  const data::ResponseScale scale{-88.13, 97.92, "degrees"};
  save_network(path, *net, "resnet8", options, {{0.5}, {0.5}}, scale);
  EXPECT_EQ(load_network(path).scale, scale);
  save_network(path, *net, "resnet8", options, {{0.5}, {0.5}});
  EXPECT_FALSE(load_network(path).scale) << "of a converted network nobody knows";
  save_network(path, *net, "resnet8", options, {{0.5}, {0.5}}, data::ResponseScale{3, 3, ""});
  EXPECT_THROW(load_network(path), Error);
}

TEST_F(SavedNetworks, OfAnotherKindAreRefusedByName) {
  const nn::ModelOptions options{.outputs = 10, .channels = 3, .size = 32};
  const auto net = nn::create_model("resnet8", options);
  const std::string path = folder_.file("model.safetensors");
  const data::Standardisation three{{0.5, 0.5, 0.5}, {1, 1, 1}};
  const auto fails = [&](const char* word) {
    try {
      load_network(path);
    } catch (const Error& e) {
      return std::string(e.what()).find(path) != std::string::npos &&
             std::string(e.what()).find(word) != std::string::npos;
    }
    return false;
  };
  save_network(path, *net, "resnet14", options, three);  // weights of another network
  EXPECT_TRUE(fails("layer1.1"));
  write_safetensors(path, net->state_dict());  // no metadata
  EXPECT_TRUE(fails("network"));
  save_network(path, *net, "resnet8", options, {{0.5}, {1}});
  EXPECT_TRUE(fails("mean"));
}

}  // namespace
}  // namespace limbeck::kd
