// SAGAN (Zhang et al., "Self-attention generative adversarial networks", ICML 2019) at 64x64 as
// cGAN-KD uses it for regression: labels enter through conditional batch norms and a projection
// (CcGAN's improved label input). Keys are those of the original's SAGAN.py.
//
//   generator: linear z -> 16c x 4 x 4, blocks 16c -> 8c -> 4c -> 2c (each x2), self-attention at
//   32x32, block 2c -> c, BN, ReLU, conv, tanh
//   discriminator: block -> c (32x32), self-attention, blocks -> 2c, 4c, 8c (each /2), block ->
//   16c, ReLU, projection of the 16c x 4 x 4 map
//
// At 32x32, for small machines: the same without the widest block (bottom 8c x 4 x 4, attention at
// 16x16). No original has that form.
//
// Every convolution and linear layer is spectrally normalised and has a bias, but for the maps of
// the label (no bias; those of the batch norms without spectral norm). Momentum of the running
// statistics: 1e-3 conditional, 1e-4 last.
#pragma once
#include "gan/label_layers.h"
#include "nn/layers.h"

namespace limbeck::gan {

class SaganAttention;
class SaganGeneratorBlock;
class SaganDiscriminatorBlock;

/// config: ch, dim_z (256 in the original), label_dim, channels, bn_eps; resolution 64 or 32; of a
/// discriminator also response_head (keys reg_linear.*).
class SaganGenerator : public Generator {
 public:
  explicit SaganGenerator(const NetworkConfig& config);
  ~SaganGenerator() override;
  using Generator::forward;
  Variable forward(const Variable& z, const Condition& condition) override;

 private:
  LabelLinear linear_;
  std::vector<SaganGeneratorBlock*> blocks_;
  SaganAttention* attention_ = nullptr;  // in front of the last block
  nn::BatchNorm bn_;
  LabelConv2d conv_;
};

class SaganDiscriminator : public Discriminator {
 public:
  explicit SaganDiscriminator(const NetworkConfig& config);
  ~SaganDiscriminator() override;
  using Discriminator::forward;
  Variable forward(const Variable& x, const Condition& condition) override {
    return judge(x, condition).score;
  }
  Judged judge(const Variable& x, const Condition& condition) override;

 private:
  std::vector<nn::Module*> blocks_;  // residual blocks and the attention, in order
  LabelLinear linear_, embed_;
  ResponseHead* head_ = nullptr;
};

}  // namespace limbeck::gan
