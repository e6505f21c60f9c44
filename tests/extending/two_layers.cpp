// two_layers: a small network with one map as its tap.
#include "nn/layers.h"
#include "nn/models/registry.h"

namespace limbeck::nn::two_layers {
namespace {

class TwoLayers : public Network {
 public:
  explicit TwoLayers(const ModelOptions& o)
      : conv_(o.channels, 16, {.kernel = 3, .stride = 2, .padding = 1}),
        bn_(16),
        fc_(16, o.outputs) {
    add("conv", conv_), add("bn", bn_), add("fc", fc_);
  }
  Features forward_features(const Variable& x, bool preact) override {
    const Variable map = bn_(conv_(x)), active = limbeck::relu(map);
    const Variable pooled = global_avg_pool(active);
    return {{preact ? map : active, pooled}, fc_(pooled), pooled};
  }

 private:
  Conv2d conv_;
  BatchNorm2d bn_;
  Linear fc_;
};

const RegisterModel model({"two_layers", "example",
                           [](const ModelOptions& o) { return std::make_unique<TwoLayers>(o); },
                           false, true});

}  // namespace
}  // namespace limbeck::nn::two_layers
