// EfficientNet-B0 on small images (Tan and Le 2019; RepDistiller models/efficientnet.py): stem of
// stride 1, no 1280-wide head, swish, squeeze-excite, dropout 0.2 before the classifier. PyTorch's
// default initialisation; the original returns no taps.
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// x * sigmoid(se2(swish(se1(global average of x)))).
struct SqueezeExcite : Module {
  Conv2d se1, se2;
  SqueezeExcite(int64_t channels, int64_t squeezed)
      : se1(channels, squeezed, {.kernel = 1, .bias = true}),
        se2(squeezed, channels, {.kernel = 1, .bias = true}) {
    add("se1", se1);
    add("se2", se2);
  }
  Variable forward(const Variable& x) override {
    return x * sigmoid(se2(silu(se1(mean(x, {1, 2}, true)))));
  }
};

struct MBConv : Module {
  const bool expands, skip;
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  SqueezeExcite se;
  Conv2d conv3;
  BatchNorm2d bn3;

  MBConv(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t expansion)
      : expands(expansion != 1),
        skip(stride == 1 && in == out),
        conv1(in, in * expansion, conv1x1()),
        bn1(in * expansion),
        conv2(in * expansion, in * expansion, depthwise(in * expansion, stride, kernel)),
        bn2(in * expansion),
        se(in * expansion, in / 4),
        conv3(in * expansion, out, conv1x1()),
        bn3(out) {
    // With expansion 1 the first convolution exists (its parameters count and decay) but does not
    // run, as in the original.
    add("conv1", conv1);
    add("bn1", bn1);
    add("conv2", conv2);
    add("bn2", bn2);
    add("se", se);
    add("conv3", conv3);
    add("bn3", bn3);
  }
  Variable forward(const Variable& x) override {
    Variable h = expands ? silu(bn1(conv1(x))) : x;
    h = se(silu(bn2(conv2(h))));
    return bn3.apply(conv3(h), false, skip ? x : Variable());
  }
};

struct EfficientNet : Network {
  Conv2d conv1;
  BatchNorm2d bn1;
  Stage<MBConv> layers;
  Dropout dropout{0.2};
  std::unique_ptr<Module> linear;

  EfficientNet(const std::array<int64_t, 7>& strides, const ModelOptions& o)
      : conv1(o.channels, 32, conv3x3()), bn1(32), linear(make_head(320, o)) {
    struct Row {
      int64_t expansion, out, repeats, kernel;
    };
    constexpr Row rows[] = {{1, 16, 1, 3},  {6, 24, 2, 3},  {6, 40, 2, 5}, {6, 80, 3, 3},
                            {6, 112, 3, 5}, {6, 192, 4, 5}, {6, 320, 1, 3}};
    int64_t in = 32;
    for (size_t r = 0; r < 7; ++r)
      for (int64_t i = 0; i < rows[r].repeats; ++i, in = rows[r].out)
        layers.emplace(in, rows[r].out, rows[r].kernel, i == 0 ? strides[r] : 1, rows[r].expansion);
    add("conv1", conv1);
    add("bn1", bn1);
    add("layers", layers);
    add("dropout", dropout);
    add("linear", *linear);
  }

  Features forward_features(const Variable& x, bool) override {
    const Variable pooled = global_avg_pool(layers(silu(bn1(conv1(x)))));
    return {{}, linear->forward(dropout(pooled)), pooled};
  }
};

ModelEntry efficientnet_entry(std::string name, std::array<int64_t, 7> strides) {
  return {std::move(name), "efficientnet",
          [=](const ModelOptions& o) { return std::make_unique<EfficientNet>(strides, o); }};
}

const RegisterModel efficientnet_models[] = {
    RegisterModel(efficientnet_entry("efficientnetb0", {1, 2, 2, 2, 1, 2, 1})),
    RegisterModel(efficientnet_entry("efficientnetb0_2", {1, 2, 2, 2, 2, 2, 1}))};

}  // namespace
}  // namespace limbeck::nn
