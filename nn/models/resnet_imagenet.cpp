// ResNet18, 34, 50 with the ImageNet widths on small images (He et al. 2016; RepDistiller
// models/resnetv2.py, which despite its name is post-activation): 3x3 stem without max pool, four
// stages of widths 64 to 512 with strides 1, 2, 2, 2, global average pool, linear. Regressors
// (64x64; cGAN-KD SteeringAngle/models/resnetv2.py): every stage halves the image. The embedding
// networks (models/ResNet_embed.py) are regressors whose head passes through the 128-d label
// embedding. The original's ResNet50_embed cannot run, because its head takes 512 features and gets
// 2048; here the head takes 2048.
#include "nn/init.h"
#include "nn/models/blocks.h"
#include "nn/models/label_embedding.h"

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
  Basic(int64_t in, int64_t width, int64_t stride)
      : conv1(in, width, conv3x3(stride)), bn1(width), conv2(width, width, conv3x3()), bn2(width) {
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
      : conv1(in, width, conv1x1()),
        bn1(width),
        conv2(width, width, conv3x3(stride)),
        bn2(width),
        conv3(width, 4 * width, conv1x1()),
        bn3(4 * width) {
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

/// Names of the stem's convolution and batch norm and of the four stages: the classifiers', the
/// regressors', the embedding networks'.
struct TrunkNames {
  const char *conv, *bn, *stages[4];
};
constexpr TrunkNames classifier_names{"conv1", "bn1", {"layer1", "layer2", "layer3", "layer4"}};
constexpr TrunkNames regressor_names{
    "block1.0", "block1.1", {"block1.3", "block2", "block3", "block4"}};
constexpr TrunkNames embedding_names{"main.0", "main.1", {"main.3", "main.4", "main.5", "main.6"}};

/// Stem and stages.
template <class Block>
struct Trunk : Module {
  static constexpr int64_t width = 512 * Block::expansion;
  Conv2d conv1;
  BatchNorm2d bn1;
  Stage<Block> layers[4];
  const bool large;

  Trunk(const std::array<int64_t, 4>& counts, const ModelOptions& o, const TrunkNames& names)
      : conv1(o.channels, 64, stem_conv(large_images(o))), bn1(64), large(large_images(o)) {
    add(names.conv, conv1);
    add(names.bn, bn1);
    int64_t in = 64;
    for (int64_t s = 0; s < 4; ++s) {
      const int64_t planes = 64 << s, stride = s > 0 || is_regression(o) ? 2 : 1;
      for (int64_t i = 0; i < counts[s]; ++i, in = planes * Block::expansion)
        layers[s].emplace(in, planes, i == 0 ? stride : 1);
      add(names.stages[s], layers[s]);
    }
  }

  /// The taps stem, every stage, pooled [N, width].
  std::vector<Variable> run(const Variable& x, bool preact) {
    Variable h = stem_pool(bn1.relu(conv1(x)), large);
    std::vector<Variable> taps{h};
    for (Stage<Block>& stage : layers) {
      for (Block* block : stage.blocks) {
        const bool split = preact && block == stage.blocks.back();
        h = block->run(h, !split);
        if (block == stage.blocks.back()) taps.push_back(h);
        if (split) h = limbeck::relu(h);
      }
    }
    taps.push_back(global_avg_pool(h));
    return taps;
  }
};

template <class Block>
struct WidthResNet : Network {
  Trunk<Block> trunk;
  std::unique_ptr<Module> linear;
  const bool regression;

  WidthResNet(const std::array<int64_t, 4>& counts, const ModelOptions& o)
      : trunk(counts, o, is_regression(o) ? regressor_names : classifier_names),
        linear(make_head(trunk.width, o)),
        regression(is_regression(o)) {
    add("", trunk);
    add("linear", *linear);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Features f{trunk.run(x, preact), {}};
    f.pooled = f.taps.back();
    f.output = linear->forward(f.pooled);
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    if (!regression)
      init::kaiming_normal_convolutions(*this, stream);  // regressors keep PyTorch's defaults
  }
};

/// pooled -> 512 -> embedding, each with batch norm and ReLU (x2h_res.0, 1, 3, 4); embedding ->
/// response with ReLU (h2y.0).
template <class Block>
struct EmbeddingResNet : EmbeddingNetwork {
  static constexpr int64_t dim = 128;
  Trunk<Block> trunk;
  Linear x2h0, x2h3, h2y;
  BatchNorm1d x2h1, x2h4;

  EmbeddingResNet(const std::array<int64_t, 4>& counts, const ModelOptions& o)
      : trunk(counts, o, embedding_names),
        x2h0(trunk.width, 512),
        x2h3(512, dim),
        h2y(dim, o.outputs),
        x2h1(512),
        x2h4(dim) {
    add("", trunk);
    add("x2h_res.0", x2h0);
    add("x2h_res.1", x2h1);
    add("x2h_res.3", x2h3);
    add("x2h_res.4", x2h4);
    add("h2y.0", h2y);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Features f{trunk.run(x, preact), {}};
    f.pooled = x2h4.relu(x2h3(x2h1.relu(x2h0(f.taps.back()))));
    f.taps.push_back(f.pooled);
    f.output = response(f.pooled);
    return f;
  }
  Variable response(const Variable& embedding) override { return limbeck::relu(h2y(embedding)); }
};

template <class Block>
ModelEntry resnet_imagenet_entry(std::string name, std::array<int64_t, 4> counts) {
  return {std::move(name), "resnet_imagenet",
          [=](const ModelOptions& o) { return std::make_unique<WidthResNet<Block>>(counts, o); }};
}
template <class Block>
ModelEntry embedding_entry(std::string name, std::array<int64_t, 4> counts) {
  return {
      std::move(name), "resnet_embed",
      [=](const ModelOptions& o) { return std::make_unique<EmbeddingResNet<Block>>(counts, o); },
      true};
}

constexpr std::array<int64_t, 4> counts18{2, 2, 2, 2}, counts34{3, 4, 6, 3};

const RegisterModel resnet_imagenet_models[] = {
    RegisterModel(resnet_imagenet_entry<Basic>("ResNet18", counts18)),
    RegisterModel(resnet_imagenet_entry<Basic>("ResNet34", counts34)),
    RegisterModel(resnet_imagenet_entry<Bottleneck>("ResNet50", counts34)),
    RegisterModel(embedding_entry<Basic>("ResNet18_embed", counts18)),
    RegisterModel(embedding_entry<Basic>("ResNet34_embed", counts34)),
    RegisterModel(embedding_entry<Bottleneck>("ResNet50_embed", counts34)),
};

}  // namespace
}  // namespace limbeck::nn
