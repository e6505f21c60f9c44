// What the network families share: the usual convolutions, the shortcut, the stems and the heads.
#pragma once
#include "nn/layers.h"
#include "nn/models/registry.h"

namespace limbeck::nn {

/// No bias, as everywhere but in VGG: a batch norm follows.
inline Conv2dConfig conv3x3(int64_t stride = 1) {
  return {.kernel = 3, .stride = stride, .padding = 1};
}
inline Conv2dConfig conv1x1(int64_t stride = 1) { return {.kernel = 1, .stride = stride}; }
inline Conv2dConfig depthwise(int64_t channels, int64_t stride, int64_t kernel = 3) {
  return {.kernel = kernel, .stride = stride, .padding = kernel / 2, .groups = channels};
}

/// The 128x128 networks (ImageNet-100) reduce the image fourfold in the stem; the 32x32 ones
/// (CIFAR) keep its size. Sizes in between and smaller ones (28x28) use the 32x32 network, whose
/// average pool is global.
inline bool large_images(const ModelOptions& o) {
  return o.task == Task::classification && o.size >= 96;
}
inline bool is_regression(const ModelOptions& o) { return o.task == Task::regression; }
/// First convolution: 3x3 (or `small`), or 4x4 with stride 2, followed by stem_pool for large
/// images.
inline Conv2dConfig stem_conv(bool halved, const Conv2dConfig& small = conv3x3()) {
  return halved ? Conv2dConfig{.kernel = 4, .stride = 2, .padding = 1} : small;
}
/// The families whose regressors halve the 64x64 image in the stem (wrn, ShuffleNets, DenseNet; the
/// ResNets do it in the first stage).
inline bool halving_stem(const ModelOptions& o) { return large_images(o) || is_regression(o); }
inline Variable stem_pool(const Variable& x, bool large) {
  return large ? max_pool2d(x, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}) : x;
}

/// Shortcut of residual blocks whose shape changes: 1x1 convolution "0" and batch norm "1".
struct Projection : Module {
  Conv2d conv;
  BatchNorm2d bn;
  Projection(int64_t in, int64_t out, int64_t stride) : conv(in, out, conv1x1(stride)), bn(out) {
    add("0", conv);
    add("1", bn);
  }
  Variable forward(const Variable& x) override { return bn(conv(x)); }
};

/// Head of the regressors: in -> 512 -> 512 -> outputs with batch norm and ReLU between, and a ReLU
/// at the end: responses are >= 0. Keys 0, 1, 3, 4, 6 (2, 5, 7 are the ReLUs).
struct RegressionHead : Module {
  Linear linear0;
  BatchNorm1d bn1;
  Linear linear3;
  BatchNorm1d bn4;
  Linear linear6;
  RegressionHead(int64_t in, int64_t outputs)
      : linear0(in, 512), bn1(512), linear3(512, 512), bn4(512), linear6(512, outputs) {
    add("0", linear0);
    add("1", bn1);
    add("3", linear3);
    add("4", bn4);
    add("6", linear6);
  }
  Variable forward(const Variable& x) override {
    return limbeck::relu(linear6(bn4.relu(linear3(bn1.relu(linear0(x))))));
  }
};

/// One linear layer for classes, a RegressionHead for responses.
inline std::unique_ptr<Module> make_head(int64_t in, const ModelOptions& o) {
  if (is_regression(o)) return std::make_unique<RegressionHead>(in, o.outputs);
  return std::make_unique<Linear>(in, o.outputs);
}

/// Blocks named "0", "1", ...: a Sequential that remembers their type.
template <class Block>
struct Stage : Module {
  std::vector<Block*> blocks;
  template <class... Args>
  Block& emplace(Args&&... args) {
    const std::string name = std::to_string(blocks.size());
    blocks.push_back(&own(name, std::make_unique<Block>(std::forward<Args>(args)...)));
    return *blocks.back();
  }
  Variable forward(const Variable& x) override {
    Variable y = x;
    for (Block* b : blocks) y = b->forward(y);
    return y;
  }
};

}  // namespace limbeck::nn
