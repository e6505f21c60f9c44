// BigGAN (Brock, Donahue, Simonyan: "Large scale GAN training for high fidelity natural image
// synthesis", ICLR 2019, figure 15). cGAN-KD uses it on CIFAR-100 with class embeddings per layer,
// no shared embedding, no hierarchical z, no attention; the paper's form has all three. Parameter
// and buffer names are those of BigGAN-PyTorch, so its checkpoints load as they are.
#pragma once
#include <memory>
#include <vector>

#include "gan/self_attention.h"
#include "gan/spectral_layers.h"

namespace limbeck::gan {

/// resolution: 32, 64 or 128. Hierarchical z needs the shared embedding and is cut into one chunk
/// per block and one for the first layer: what is left over is dropped from dim_z (128 becomes 126
/// at 128 pixels). config() of the network has the dim_z that it takes.
using BigGanConfig = NetworkConfig;

/// h = conv1(up2(relu(bn1(x, y)))); h = conv2(relu(bn2(h, y))); h + up2(conv_sc(x)). The 1x1
/// shortcut runs before the upsampling: both orders give the same numbers, this one at a quarter of
/// the work.
class GeneratorBlock : public nn::Module {
 public:
  GeneratorBlock(int64_t in, int64_t out, const ConditionSource& source,
                 const BigGanConfig& config);
  Variable operator()(const Variable& x, const Condition& condition);

 private:
  SNConv2d conv1_, conv2_, conv_sc_;
  ConditionalBatchNorm bn1_, bn2_;
};

/// h = conv2(relu(conv1(relu(x) or x))); average pool 2 of h and x when downsampling; 1x1 shortcut
/// when the width changes or downsampling.
class DiscriminatorBlock : public nn::Module {
 public:
  DiscriminatorBlock(int64_t in, int64_t out, bool preactivation, bool downsample, double sn_eps);
  Variable forward(const Variable& x) override;

 private:
  bool preactivation_, downsample_;
  SNConv2d conv1_, conv2_;
  std::unique_ptr<SNConv2d> conv_sc_;  // null: identity
};

/// The list of blocks under BigGAN's names: blocks.I.J, where I counts the stages and J the modules
/// of a stage.
class Stages : public nn::Module {
 public:
  /// Opens stage blocks.I.
  void begin() {
    stages_.push_back(&own(std::to_string(stages_.size()), std::make_unique<Stage>()));
  }
  /// Adds a module to the open stage.
  template <class M>
  M& append(std::unique_ptr<M> module) {
    return stages_.back()->append(std::move(module));
  }

 private:
  class Stage : public nn::Module {
   public:
    template <class M>
    M& append(std::unique_ptr<M> module) {
      return own(std::to_string(count_++), std::move(module));
    }

   private:
    int count_ = 0;
  };
  std::vector<Stage*> stages_;
};

/// The class embedding that all layers share: weight [classes, dim], N(0, 0.02^2), no spectral
/// norm.
class SharedEmbedding : public ClassEmbedding {
 public:
  using ClassEmbedding::ClassEmbedding;
  /// Rows of the classes; a condition that is an embedding already passes, if it has the size.
  /// Throws for an embedding of another size.
  Variable operator()(const Condition& condition);
};

/// Batch norm, ReLU, 3x3 convolution, tanh.
class OutputLayer : public nn::Module {
 public:
  OutputLayer(int64_t in, const BigGanConfig& config);
  Variable forward(const Variable& x) override;

 private:
  BatchNorm bn_;
  SNConv2d conv_;
};

/// linear(h) + <embed(y), h> with h the sum of relu features over pixels (projection discriminator,
/// Miyato & Koyama 2018): [N, 1]. Its layers are registered with the network itself, under the
/// names linear and embed.
struct ProjectionHead {
  SNLinear linear;
  SNEmbedding embed;
  ProjectionHead(int64_t in, const BigGanConfig& config);
  /// x [N,H,W,C], classes i64 [N] -> scores [N, 1]; throws without classes.
  Variable operator()(const Variable& x, const Tensor& classes);
};

class BigGanGenerator : public Generator {
 public:
  explicit BigGanGenerator(const BigGanConfig& config);
  using Generator::forward;
  Variable forward(const Variable& z, const Condition& condition) override;

 private:
  struct Block {
    GeneratorBlock* block;
    SelfAttention* attention;  // null: none
  };
  int64_t chunk_;  // of z in the first layer and, hierarchical, in each block
  int64_t width_;  // of the first feature map
  SharedEmbedding* shared_ = nullptr;
  SNLinear linear_;
  std::vector<Block> blocks_;
  OutputLayer* output_;
};

class BigGanDiscriminator : public Discriminator {
 public:
  explicit BigGanDiscriminator(const BigGanConfig& config);
  using Discriminator::forward;
  Variable forward(const Variable& x, const Condition& condition) override;

 private:
  std::vector<nn::Module*> blocks_;  // residual blocks and attentions, in order
  std::unique_ptr<ProjectionHead> head_;
};

}  // namespace limbeck::gan
