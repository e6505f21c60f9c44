// BigGAN-deep (Brock, Donahue, Simonyan, ICLR 2019, appendix B, figure 16): bottleneck blocks, two
// per resolution. cGAN-KD uses it at 128 pixels on ImageNet-100 with ch 128, dim_z 128, shared_dim
// 128, attention at 64, hierarchical z: [class embedding, z] whole, not in chunks, feeds the first
// layer and every conditional batch norm. Parameter and buffer names are those of BigGAN-PyTorch's
// BigGANdeep.py.
#pragma once
#include <memory>
#include <vector>

#include "gan/biggan.h"

namespace limbeck::gan {

/// With c the condition and hid = in / 4:
///   h = conv1_1x1(relu(bn1(x, c))), h = conv2_3x3(up2(relu(bn2(h, c)))), h =
///   conv3_3x3(relu(bn3(h, c))), h = conv4_1x1(relu(bn4(h, c)))
///   y = h + up2(the first `out` channels of x);  up2 only where the block upsamples. There is no
///                                                shortcut convolution.
class DeepGeneratorBlock : public nn::Module {
 public:
  DeepGeneratorBlock(int64_t in, int64_t out, bool upsample, const ConditionSource& source,
                     const BigGanConfig& config);
  Variable operator()(const Variable& x, const Condition& condition);

 private:
  int64_t out_;
  bool upsample_;
  SNConv2d conv1_, conv2_, conv3_, conv4_;
  ConditionalBatchNorm bn1_, bn2_, bn3_, bn4_;
};

/// With hid = out / 4:
///   h = relu(conv3_3x3(relu(conv2_3x3(relu(conv1_1x1(relu(x)))))), y = conv4_1x1(pool(h)) + s,
///   s = pool(x), and where the width grows s = [s, conv_sc_1x1(s)];  pool only where the block
///   downsamples.
class DeepDiscriminatorBlock : public nn::Module {
 public:
  DeepDiscriminatorBlock(int64_t in, int64_t out, bool downsample, double sn_eps);
  Variable forward(const Variable& x) override;

 private:
  bool downsample_;
  SNConv2d conv1_, conv2_, conv3_, conv4_;
  std::unique_ptr<SNConv2d> conv_sc_;  // null: the width stays
};

/// config: resolution 64 or 128, ch >= 2, shared_dim > 0 and hierarchical, depth blocks per
/// resolution.
class BigGanDeepGenerator : public Generator {
 public:
  explicit BigGanDeepGenerator(const NetworkConfig& config);
  using Generator::forward;
  Variable forward(const Variable& z, const Condition& condition) override;

 private:
  struct Block {
    DeepGeneratorBlock* block;
    SelfAttention* attention;  // null: none
  };
  int64_t width_;  // of the first feature map
  SharedEmbedding shared_;
  SNLinear linear_;
  std::vector<Block> blocks_;
  OutputLayer* output_;
};

class BigGanDeepDiscriminator : public Discriminator {
 public:
  explicit BigGanDeepDiscriminator(const NetworkConfig& config);
  using Discriminator::forward;
  Variable forward(const Variable& x, const Condition& condition) override;

 private:
  SNConv2d input_conv_;
  std::vector<nn::Module*> blocks_;  // residual blocks and attentions, in order
  std::unique_ptr<ProjectionHead> head_;
};

}  // namespace limbeck::gan
