// A program outside of the repository that uses the installed library: it brings a network of its
// own, trains it on procedural images beside one of the registry, and says what the library knows.
#include <cstdio>
#include <memory>

#include "data/shapes.h"
#include "kd/method.h"
#include "nn/layers.h"
#include "nn/models/registry.h"
#include "ops/op.h"
#include "train/supervised.h"

using namespace limbeck;

namespace {

class TwoLayers : public nn::Network {
 public:
  explicit TwoLayers(const nn::ModelOptions& o)
      : conv_(o.channels, 16, {.kernel = 3, .stride = 2, .padding = 1, .bias = true}),
        fc_(16, o.outputs) {
    add("conv", conv_);
    add("fc", fc_);
  }
  nn::Features forward_features(const Variable& x, bool) override {
    const Variable map = relu(conv_(x)), pooled = global_avg_pool(map);
    return {{map, pooled}, fc_(pooled), pooled};
  }

 private:
  nn::Conv2d conv_;
  nn::Linear fc_;
};

const nn::RegisterModel model({"two_layers", "example", [](const nn::ModelOptions& o) {
                                 return std::make_unique<TwoLayers>(o);
                               }});

/// Mean loss of the last epoch.
double loss_of(const char* name) {
  const data::Split set = data::load_shapes({.train = 60, .test = 1}, 16);
  const auto network = nn::create_model(name, {.outputs = set.train.classes, .size = 16});
  network->initialise(Stream(1).fork("init"));
  const train::ClassificationCriterion criterion;
  nn::Monitor monitor;
  const data::Dataset none;
  return train::fit({.network = *network,
                     .train = set.train,
                     .test = none,
                     .standardisation = data::standardisation_of(set.train),
                     .criterion = criterion,
                     .stream = Stream(1),
                     .monitor = monitor},
                    {.epochs = 2, .batch = 16, .optimizer = "adamw", .lr = 0.01})
      .loss;
}

}  // namespace

int main() {
  std::printf("%zu operators, %zu networks, %zu methods\n", all_ops().size(),
              nn::all_models().size(), kd::default_method_settings().entries.size());
  for (const char* name : {"two_layers", "resnet8"})
    std::printf("%s: loss %.3f\n", name, loss_of(name));
}
