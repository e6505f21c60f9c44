// ShuffleNet V2, net size 1 (Ma et al. 2018; RepDistiller models/ShuffleNetv2.py), registered as
// ShuffleV2. PyTorch's default initialisation throughout.
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// Left: depthwise stride 2, 1x1. Right: 1x1, depthwise stride 2, 1x1. Concatenated and shuffled:
/// every stage's first block "0".
struct DownBlock : Module {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Conv2d conv3;
  BatchNorm2d bn3;
  Conv2d conv4;
  BatchNorm2d bn4;
  Conv2d conv5;
  BatchNorm2d bn5;

  DownBlock(int64_t in, int64_t out)
      : conv1(in, in, depthwise(in, 2)),
        bn1(in),
        conv2(in, out / 2, conv1x1()),
        bn2(out / 2),
        conv3(in, out / 2, conv1x1()),
        bn3(out / 2),
        conv4(out / 2, out / 2, depthwise(out / 2, 2)),
        bn4(out / 2),
        conv5(out / 2, out / 2, conv1x1()),
        bn5(out / 2) {
    Module* children[] = {&conv1, &bn1, &conv2, &bn2, &conv3, &bn3, &conv4, &bn4, &conv5, &bn5};
    for (int i = 0; i < 10; ++i)
      add((i % 2 ? "bn" : "conv") + std::to_string(i / 2 + 1), *children[i]);
  }
  Variable forward(const Variable& x) override {
    const Variable left = bn2.relu(conv2(bn1(conv1(x))));
    const Variable right = bn5.relu(conv5(bn4(conv4(bn3.relu(conv3(x))))));
    return channel_shuffle(concat({left, right}, -1), 2);
  }
};

/// Half of the channels pass, the other half go through 1x1 - depthwise - 1x1; concatenated and
/// shuffled.
struct SplitBlock : Module {
  const int64_t half;
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Conv2d conv3;
  BatchNorm2d bn3;

  explicit SplitBlock(int64_t channels)
      : half(channels / 2),
        conv1(half, half, conv1x1()),
        bn1(half),
        conv2(half, half, depthwise(half, 1)),
        bn2(half),
        conv3(half, half, conv1x1()),
        bn3(half) {
    Module* children[] = {&conv1, &bn1, &conv2, &bn2, &conv3, &bn3};
    for (int i = 0; i < 6; ++i)
      add((i % 2 ? "bn" : "conv") + std::to_string(i / 2 + 1), *children[i]);
  }
  /// `preact` receives concat[x1, bn3 before ReLU], not shuffled, as the original returns it.
  Variable run(const Variable& x, Variable* preact) {
    const Variables parts = split(x, {half, half}, -1);
    const Variable h = conv3(bn2(conv2(bn1.relu(conv1(parts[1])))));
    if (!preact) return channel_shuffle(concat({parts[0], bn3.relu(h)}, -1), 2);
    const Variable linear = bn3(h);
    *preact = concat({parts[0], linear}, -1);
    return channel_shuffle(concat({parts[0], limbeck::relu(linear)}, -1), 2);
  }
  Variable forward(const Variable& x) override { return run(x, nullptr); }
};

/// Down block "0", then `count` split blocks "1", "2", ...
struct ShuffleStage : Module {
  DownBlock down;
  std::vector<SplitBlock*> blocks;
  ShuffleStage(int64_t in, int64_t out, int64_t count) : down(in, out) {
    add("0", down);
    for (int64_t i = 0; i < count; ++i)
      blocks.push_back(&own(std::to_string(i + 1), std::make_unique<SplitBlock>(out)));
  }
  Variable run(const Variable& x, Variable* preact) {
    Variable h = down(x);
    for (SplitBlock* b : blocks) h = b->run(h, b == blocks.back() ? preact : nullptr);
    return h;
  }
};

struct ShuffleNetV2 : Network {
  Conv2d conv1;
  BatchNorm2d bn1;
  ShuffleStage layer1{24, 116, 3}, layer2{116, 232, 7}, layer3{232, 464, 3};
  Conv2d conv2;
  BatchNorm2d bn2;
  std::unique_ptr<Module> linear;
  const bool large, regression;

  explicit ShuffleNetV2(const ModelOptions& o)
      : conv1(o.channels, 24, stem_conv(halving_stem(o), conv1x1())),
        bn1(24),
        conv2(464, 1024, conv1x1()),
        bn2(1024),
        linear(make_head(1024, o)),
        large(large_images(o)),
        regression(is_regression(o)) {
    add("conv1", conv1);
    add("bn1", bn1);
    add("layer1", layer1);
    add("layer2", layer2);
    add("layer3", layer3);
    add("conv2", conv2);
    add("bn2", bn2);
    add("linear", *linear);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Variable h = stem_pool(bn1.relu(conv1(x)), large);
    Features f{{h}, {}};
    for (ShuffleStage* stage : {&layer1, &layer2, &layer3}) {
      Variable before;
      h = stage->run(h, preact ? &before : nullptr);
      f.taps.push_back(preact ? before : h);
    }
    h = bn2.relu(conv2(h));
    if (regression) f.taps.push_back(h);
    f.pooled = global_avg_pool(h);
    f.taps.push_back(f.pooled);
    f.output = linear->forward(f.pooled);
    return f;
  }
};

const RegisterModel shufflenet_v2_models({"ShuffleV2", "shufflenet_v2", [](const ModelOptions& o) {
                                            return std::make_unique<ShuffleNetV2>(o);
                                          }});

}  // namespace
}  // namespace limbeck::nn
