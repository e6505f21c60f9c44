// BigGAN (Brock, Donahue, Simonyan: "Large scale GAN training for high fidelity natural image synthesis", ICLR 2019) as cGAN-KD uses it
// on CIFAR-100: class embeddings per layer, no shared embedding, no hierarchical z, no attention. Parameter and buffer names are those
// of BigGAN-PyTorch, so its checkpoints load as they are.
#pragma once
#include <memory>
#include <vector>

#include "gan/spectral_layers.h"

namespace limbeck::gan {

struct BigGanConfig {
  int64_t ch = 64;          ///< width; the feature maps have multiples of it (4 ch at 32x32)
  int64_t dim_z = 128;
  int64_t classes = 10;
  int64_t resolution = 32;  ///< 32, 64 or 128
  int64_t channels = 3;     ///< of the images
  double sn_eps = 1e-8;
  double bn_eps = 1e-5;
};

/// h = conv1(up2(relu(bn1(x, y)))); h = conv2(relu(bn2(h, y))); h + up2(conv_sc(x)). The 1x1 shortcut runs before the upsampling: both
/// orders give the same numbers, this one at a quarter of the work.
class GeneratorBlock : public nn::Module {
 public:
  GeneratorBlock(int64_t in, int64_t out, const BigGanConfig& config);
  Variable operator()(const Variable& x, const Condition& condition);

 private:
  SNConv2d conv1_, conv2_, conv_sc_;
  ConditionalBatchNorm bn1_, bn2_;
};

/// h = conv2(relu(conv1(relu(x) or x))); average pool 2 of h and x when downsampling; 1x1 shortcut when the width changes or downsampling.
class DiscriminatorBlock : public nn::Module {
 public:
  DiscriminatorBlock(int64_t in, int64_t out, bool preactivation, bool downsample, double sn_eps);
  Variable forward(const Variable& x) override;

 private:
  bool preactivation_, downsample_;
  SNConv2d conv1_, conv2_;
  std::unique_ptr<SNConv2d> conv_sc_;  // null: identity
};

/// z [N, dim_z] and a condition to images [N, R, R, channels] in [-1, 1].
class BigGanGenerator : public nn::Module {
 public:
  explicit BigGanGenerator(const BigGanConfig& config);
  using nn::Module::forward;
  Variable forward(const Variable& z, const Condition& condition);
  Variable forward(const Variable& z, const Tensor& labels) { return forward(z, Condition{labels, {}}); }
  const BigGanConfig& config() const { return config_; }

 private:
  struct Output;  // bn, ReLU, convolution; tanh follows
  const BigGanConfig config_;
  int64_t width_;  // of the first feature map
  SNLinear linear_;
  std::vector<GeneratorBlock*> blocks_;
  Output* output_;
};

/// Images [N, R, R, channels] and a condition to scores [N, 1]: linear(h) + <embed(y), h> with h the sum of relu features over pixels
/// (projection discriminator, Miyato & Koyama 2018).
class BigGanDiscriminator : public nn::Module {
 public:
  explicit BigGanDiscriminator(const BigGanConfig& config);
  using nn::Module::forward;
  Variable forward(const Variable& x, const Condition& condition);
  Variable forward(const Variable& x, const Tensor& labels) { return forward(x, Condition{labels, {}}); }
  const BigGanConfig& config() const { return config_; }

 private:
  const BigGanConfig config_;
  std::vector<DiscriminatorBlock*> blocks_;
  std::unique_ptr<SNLinear> linear_;
  std::unique_ptr<SNEmbedding> embed_;
};

}  // namespace limbeck::gan
