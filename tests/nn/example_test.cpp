// The example of the README and of docs/modules.md, compiled and run. Between the markers it is the
// same text.
#include <gtest/gtest.h>

#include <cstdio>

// [example]
#include "data/shapes.h"
#include "nn/models/registry.h"
#include "nn/optim.h"
using namespace limbeck;

double train_small_network(int64_t steps) {
  data::Split set = data::load_shapes({.train = 500, .test = 100}, 16);
  auto network = nn::create_model("resnet8", {.outputs = set.train.classes, .size = 16});
  network->initialise(Stream(0).fork("init"));
  nn::SGD sgd(network->parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4});
  data::Loader loader(set.train,
                      {.batch = 50, .standardisation = data::standardisation_of(set.train)},
                      Stream(0).fork("data"));
  double loss_now = 0;
  for (int64_t step = 0; step < steps; ++step) {
    data::Batch batch = loader.next();
    sgd.zero_grad();
    Variable loss = cross_entropy(network->forward(batch.images), batch.labels);
    loss.backward();
    sgd.step();
    loss_now = loss.item();
  }
  write_safetensors("build/resnet8.safetensors",
                    network->state_dict());  // PyTorch's names and layouts
  return loss_now;
}
// [example]

namespace limbeck {
namespace {

TEST(Example, Trains) {
  const double first = train_small_network(1), later = train_small_network(150);
  EXPECT_LT(later, first - 0.4);
}

TEST(Example, StandsInTheDocsAsItIs) {
  const std::string source = read_file("tests/nn/example_test.cpp"), mark = "// [example]\n";
  const size_t begin = source.find(mark) + mark.size();
  const std::string example = source.substr(begin, source.find(mark, begin) - begin);
  EXPECT_NE(read_file("docs/modules.md").find(example), std::string::npos);
}

}  // namespace
}  // namespace limbeck
