// ResNet18, 34, 50 with the ImageNet widths on small images (He et al. 2016; RepDistiller models/resnetv2.py, which despite its name is
// post-activation): 3x3 stem without max pool, four stages of widths 64 to 512 with strides 1, 2, 2, 2, global average pool, linear.
#include "nn/init.h"
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

struct ResidualBlock : Module {
  /// With relu = false: the sum before the closing activation.
  virtual Variable run(const Variable& x, bool relu) = 0;
  Variable forward(const Variable& x) override { return run(x, true); }

 protected:
  void add_shortcut(int64_t in, int64_t out, int64_t stride) {
    if (stride == 1 && in == out) return;
    shortcut_ = std::make_unique<Projection>(in, out, stride);
    add("shortcut", *shortcut_);
  }
  Variable residual(const Variable& x) { return shortcut_ ? shortcut_->forward(x) : x; }

 private:
  std::unique_ptr<Projection> shortcut_;
};

/// 3x3 - 3x3.
struct Basic : ResidualBlock {
  static constexpr int64_t expansion = 1;
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Basic(int64_t in, int64_t width, int64_t stride) : conv1(in, width, conv3x3(stride)), bn1(width), conv2(width, width, conv3x3()), bn2(width) {
    add("conv1", conv1);
    add("bn1", bn1);
    add("conv2", conv2);
    add("bn2", bn2);
    add_shortcut(in, width, stride);
  }
  Variable run(const Variable& x, bool relu) override {
    const Variable r = residual(x);
    return bn2.apply(conv2(bn1.relu(conv1(x))), relu, r);
  }
};

/// 1x1 - 3x3 (with the stride) - 1x1 to four times the width.
struct Bottleneck : ResidualBlock {
  static constexpr int64_t expansion = 4;
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Conv2d conv3;
  BatchNorm2d bn3;
  Bottleneck(int64_t in, int64_t width, int64_t stride)
      : conv1(in, width, conv1x1()), bn1(width), conv2(width, width, conv3x3(stride)), bn2(width), conv3(width, 4 * width, conv1x1()), bn3(4 * width) {
    add("conv1", conv1);
    add("bn1", bn1);
    add("conv2", conv2);
    add("bn2", bn2);
    add("conv3", conv3);
    add("bn3", bn3);
    add_shortcut(in, 4 * width, stride);
  }
  Variable run(const Variable& x, bool relu) override {
    const Variable r = residual(x);
    return bn3.apply(conv3(bn2.relu(conv2(bn1.relu(conv1(x))))), relu, r);
  }
};

template <class Block>
struct WidthResNet : Network {
  Conv2d conv1;
  BatchNorm2d bn1;
  Stage<Block> layers[4];
  Linear linear;
  const bool large;

  WidthResNet(const std::array<int64_t, 4>& counts, const ModelOptions& o)
      : conv1(o.channels, 64, stem_conv(o)), bn1(64), linear(512 * Block::expansion, o.outputs), large(large_images(o)) {
    add("conv1", conv1);
    add("bn1", bn1);
    int64_t in = 64;
    for (int64_t s = 0; s < 4; ++s) {
      const int64_t width = 64 << s;
      for (int64_t i = 0; i < counts[s]; ++i, in = width * Block::expansion) layers[s].emplace(in, width, i == 0 && s > 0 ? 2 : 1);
      add("layer" + std::to_string(s + 1), layers[s]);
    }
    add("linear", linear);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Variable h = stem_pool(bn1.relu(conv1(x)), large);
    Features f{{h}, {}};
    for (Stage<Block>& stage : layers) {
      for (Block* block : stage.blocks) {
        const bool split = preact && block == stage.blocks.back();
        h = block->run(h, !split);
        if (block == stage.blocks.back()) f.taps.push_back(h);
        if (split) h = limbeck::relu(h);
      }
    }
    f.taps.push_back(global_avg_pool(h));
    f.output = linear(f.taps.back());
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    init::kaiming_normal_convolutions(*this, stream);
  }
};

template <class Block>
ModelEntry entry(std::string name, std::array<int64_t, 4> counts) {
  return {std::move(name), "resnet_imagenet", [=](const ModelOptions& o) { return std::make_unique<WidthResNet<Block>>(counts, o); }};
}

const RegisterModel registered[] = {RegisterModel(entry<Basic>("ResNet18", {2, 2, 2, 2})), RegisterModel(entry<Basic>("ResNet34", {3, 4, 6, 3})),
                                    RegisterModel(entry<Bottleneck>("ResNet50", {3, 4, 6, 3}))};

}  // namespace
}  // namespace limbeck::nn
