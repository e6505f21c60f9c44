// SNGAN with CcGAN's naive label input (Ding, Wang, Xu, Welch, Wang: "CcGAN", ICLR 2021): the
// response y enters as it is, no embedding is trained. The generator has unconditional batch norms
// and adds y to every output of its linear layer; the discriminator projects with linear2(y + 1).
// The original takes the sigmoid of the score within the discriminator and trains with the vanilla
// loss alone; here scores are logits, and gan/losses.h takes it.
//
//   sngan-nli          bottom 16c x 4 x 4 at 64 pixels (UTKFace, RC-49); at 32 pixels 8c, as
//                      gan/sngan.h
//   sngan-nli-narrow   bottom 8c x 4 x 4, the widest block 8c -> 8c (Steering Angle; 64 pixels)
//
// Keys are those of the original's Steering Angle nets; the others of the original have other names
// for the same layers.
#pragma once
#include "gan/sngan.h"

namespace limbeck::gan {

class NaiveGeneratorBlock;

/// config: arch, ch, dim_z (128 in the original), channels, bn_eps; resolution 64 or 32. The
/// condition's embedding is y [N, 1]; label_dim becomes 1.
class NaiveSnganGenerator : public Generator {
 public:
  explicit NaiveSnganGenerator(const NetworkConfig& config);
  ~NaiveSnganGenerator() override;
  using Generator::forward;
  Variable forward(const Variable& z, const Condition& condition) override;

 private:
  const int64_t bottom_;
  LabelLinear dense_;
  nn::BatchNorm bn_;
  LabelConv2d conv_;
  std::vector<NaiveGeneratorBlock*> blocks_;
};

class NaiveSnganDiscriminator : public SnganDiscriminator {
 public:
  explicit NaiveSnganDiscriminator(const NetworkConfig& config);
  Judged judge(const Variable& x, const Condition& condition) override;
};

}  // namespace limbeck::gan
