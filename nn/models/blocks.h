// What the network families share: the usual convolutions, the shortcut and the stem for large images.
#pragma once
#include "nn/layers.h"
#include "nn/models/registry.h"

namespace limbeck::nn {

/// No bias, as everywhere but in VGG: a batch norm follows.
inline Conv2dConfig conv3x3(int64_t stride = 1) { return {.kernel = 3, .stride = stride, .padding = 1}; }
inline Conv2dConfig conv1x1(int64_t stride = 1) { return {.kernel = 1, .stride = stride}; }
inline Conv2dConfig depthwise(int64_t channels, int64_t stride, int64_t kernel = 3) {
  return {.kernel = kernel, .stride = stride, .padding = kernel / 2, .groups = channels};
}

/// The 128x128 networks (ImageNet-100) reduce the image fourfold in the stem; the 32x32 ones (CIFAR) keep its size. Sizes in between
/// and smaller ones (28x28) use the 32x32 network, whose average pool is global.
inline bool large_images(const ModelOptions& o) { return o.size >= 96; }
/// First convolution: 3x3 (or `small`), or 4x4 with stride 2 followed by stem_pool.
inline Conv2dConfig stem_conv(const ModelOptions& o, const Conv2dConfig& small = conv3x3()) {
  return large_images(o) ? Conv2dConfig{.kernel = 4, .stride = 2, .padding = 1} : small;
}
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
