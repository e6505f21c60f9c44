// ShuffleNet V1, three groups (Zhang et al. 2018; RepDistiller models/ShuffleNetv1.py), registered
// as ShuffleV1. PyTorch's default initialisation throughout.
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// Grouped 1x1 - shuffle - depthwise 3x3 - grouped 1x1; stride 1 adds the input, stride 2 appends
/// the average-pooled input.
struct ShuffleUnit : Module {
  const int64_t stride, shuffle;
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Conv2d conv3;
  BatchNorm2d bn3;

  static Conv2dConfig grouped(int64_t groups) { return {.kernel = 1, .groups = groups}; }
  // The very first unit (24 input channels) has one group in its first convolution, and so nothing
  // to shuffle.
  ShuffleUnit(int64_t in, int64_t out, int64_t unit_stride, int64_t groups)
      : stride(unit_stride),
        shuffle(in == 24 ? 1 : groups),
        conv1(in, out / 4, grouped(shuffle)),
        bn1(out / 4),
        conv2(out / 4, out / 4, depthwise(out / 4, unit_stride)),
        bn2(out / 4),
        conv3(out / 4, out, grouped(groups)),
        bn3(out) {
    add("conv1", conv1);
    add("bn1", bn1);
    add("conv2", conv2);
    add("bn2", bn2);
    add("conv3", conv3);
    add("bn3", bn3);
  }

  /// With relu = false: the value before the closing activation.
  Variable run(const Variable& x, bool relu) {
    Variable h = channel_shuffle(bn1.relu(conv1(x)), shuffle);
    h = conv3(bn2.relu(conv2(h)));
    if (stride == 1) return bn3.apply(h, relu, x);
    const Variable pooled = avg_pool2d(x, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
    const Variable sum = concat({bn3(h), pooled}, -1);
    return relu ? limbeck::relu(sum) : sum;
  }
  Variable forward(const Variable& x) override { return run(x, true); }
};

struct ShuffleNetV1 : Network {
  Conv2d conv1;
  BatchNorm2d bn1;
  Stage<ShuffleUnit> layers[3];
  std::unique_ptr<Module> linear;
  const bool large;

  explicit ShuffleNetV1(const ModelOptions& o)
      : conv1(o.channels, 24, stem_conv(halving_stem(o), conv1x1())),
        bn1(24),
        linear(make_head(960, o)),
        large(large_images(o)) {
    constexpr int64_t widths[] = {240, 480, 960}, repeats[] = {4, 8, 4}, groups = 3;
    add("conv1", conv1);
    add("bn1", bn1);
    int64_t in = 24;
    for (int64_t s = 0; s < 3; ++s) {
      for (int64_t i = 0; i < repeats[s]; ++i, in = widths[s]) {
        const int64_t kept = i == 0 ? in : 0;  // channels that the pooled input brings
        layers[s].emplace(in, widths[s] - kept, i == 0 ? 2 : 1, groups);
      }
      add("layer" + std::to_string(s + 1), layers[s]);
    }
    add("linear", *linear);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Variable h = stem_pool(bn1.relu(conv1(x)), large);
    Features f{{h}, {}};
    for (Stage<ShuffleUnit>& stage : layers) {
      for (ShuffleUnit* unit : stage.blocks) {
        const bool split = preact && unit == stage.blocks.back();
        h = unit->run(h, !split);
        if (unit == stage.blocks.back()) f.taps.push_back(h);
        if (split) h = limbeck::relu(h);
      }
    }
    f.pooled = global_avg_pool(h);
    f.taps.push_back(f.pooled);
    f.output = linear->forward(f.pooled);
    return f;
  }
};

const RegisterModel shufflenet_v1_models({"ShuffleV1", "shufflenet_v1", [](const ModelOptions& o) {
                                            return std::make_unique<ShuffleNetV1>(o);
                                          }});

}  // namespace
}  // namespace limbeck::nn
