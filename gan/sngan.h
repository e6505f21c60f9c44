// SNGAN (Miyato, Kataoka, Koyama, Yoshida: "Spectral normalization for generative adversarial
// networks", ICLR 2018, tables 3 and 4) at 64x64 as cGAN-KD and CcGAN use it for regression: labels
// as in SAGAN (gan/sagan.h), no attention, no spectral norm in the generator. Keys are those of the
// original's SNGAN.py, where layers have two names and unused batch norms exist.
//
//   generator: linear z -> 16c x 4 x 4, blocks 16c -> 8c -> 4c -> 2c -> c (each x2), BN, ReLU,
//   conv, tanh
//   discriminator: blocks -> c, 2c, 4c, 8c (each /2), block -> 16c, ReLU, projection of the 16c x
//   4 x 4 map
//
// At 32x32: the same without the widest block, as in gan/sagan.h.
#pragma once
#include "gan/label_layers.h"
#include "nn/layers.h"

namespace limbeck::gan {

class SnganGeneratorBlock;
class SnganDiscriminatorBlock;

/// config: ch, dim_z (256 in the original), label_dim, channels, bn_eps; resolution 64 or 32; of a
/// discriminator also response_head (keys reg_linear.*).
class SnganGenerator : public Generator {
 public:
  explicit SnganGenerator(const NetworkConfig& config);
  ~SnganGenerator() override;
  using Generator::forward;
  Variable forward(const Variable& z, const Condition& condition) override;

 private:
  LabelLinear dense_;
  nn::BatchNorm bn_;
  LabelConv2d conv_;
  std::vector<SnganGeneratorBlock*> blocks_;
};

class SnganDiscriminator : public Discriminator {
 public:
  explicit SnganDiscriminator(const NetworkConfig& config);
  ~SnganDiscriminator() override;
  using Discriminator::forward;
  Variable forward(const Variable& x, const Condition& condition) override {
    return judge(x, condition).score;
  }
  Judged judge(const Variable& x, const Condition& condition) override;

 protected:
  /// The smallest map has `bottom` channels; the sizes have been checked.
  SnganDiscriminator(const NetworkConfig& checked, int64_t bottom);

 private:
  std::vector<SnganDiscriminatorBlock*> blocks_;
  LabelLinear linear_, embed_;
  ResponseHead* head_ = nullptr;
};

}  // namespace limbeck::gan
