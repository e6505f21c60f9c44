// The two updates of a GAN's training, of the discriminator and of the generator: what the loop
// (gan/trainer.h) runs, what `limbeck bench train` times, and, but for the optimisers, what
// `limbeck parity` compares with the original.
#pragma once
#include <memory>

#include "gan/conditioning.h"
#include "gan/diffaugment.h"
#include "gan/losses.h"
#include "gan/settings.h"
#include "nn/images.h"
#include "nn/optim.h"
#include "nn/step_graph.h"

namespace limbeck::gan {

/// What comes to the plain losses; all 0 and none by default.
struct AuxiliaryLosses {
  double d_regression = 0, g_regression = 0, slack = 1;  ///< gan/losses.h: response_loss
  std::vector<double> negatives = {};                    ///< of each kind (gan/negatives.h)
};
/// Of [gan]: regression, negatives.
AuxiliaryLosses auxiliary_losses(const GanSettings& settings);

/// The losses of both updates from what was drawn for them. D sees every image, real and fake,
/// after DiffAugment. The networks outlive this.
class GanObjective {
 public:
  /// `augment` is DiffAugment's policy, `one_batch` as in Conditioning.
  GanObjective(Generator& g, Discriminator& d, AdversarialLoss loss, const std::string& augment,
               bool one_batch, AuxiliaryLosses auxiliary = {})
      : g_(g),
        d_(d),
        loss_(loss),
        augment_(augment),
        one_batch_(one_batch),
        auxiliary_(std::move(auxiliary)) {}

  struct DiscriminatorResult {
    Variable loss, on_real, on_fake;  ///< loss, and D's scores [N, 1]
    Tensor fake;                      ///< G's images, before DiffAugment
  };
  /// z [N, dim_z], real images [N, H, W, C] in [-1, 1], numbers of DiffAugment for fakes and then
  /// real images [2N, 7]. G makes the fakes without gradient but in the mode it is in: in train
  /// mode its batch statistics and spectral norms move, as in the original. Negatives, as real
  /// images: N for each kind, for which augmentation has N further rows.
  DiscriminatorResult discriminator(const Tensor& z, const Tensor& real,
                                    const Conditioning::DiscriminatorConditions& conditions,
                                    const Tensor& augmentation, const Tensor& negatives = {});
  /// D gets no gradient. augmentation [N, 7]; responses [N, 1] of the condition, for the
  /// regression.
  Variable generator(const Tensor& z, const Condition& condition, const Tensor& augmentation,
                     const Tensor& responses = {});

  const DiffAugment& augment() const { return augment_; }

 private:
  /// L_D with negatives: they take their weight from the fakes.
  Variable with_negatives(const DiscriminatorResult& r,
                          const Conditioning::DiscriminatorConditions& conditions,
                          const Tensor& augmentation, const Tensor& negatives);

  Generator& g_;
  Discriminator& d_;
  const AdversarialLoss loss_;
  const DiffAugment augment_;
  const bool one_batch_;
  const AuxiliaryLosses auxiliary_;
};

struct GanNetworks {
  std::unique_ptr<Generator> g;
  std::unique_ptr<Discriminator> d;
  std::unique_ptr<Generator>
      average;  ///< moving average of g, in eval mode, without gradients; null: none is kept
};
/// Numbers of parameters.
struct GanSizes {
  int64_t generator = 0, discriminator = 0;
};
/// Tries them, without drawing weights: builds both and lets two images through. Throws naming the
/// setting that does not fit: an image size that the family does not make, an attention at a
/// resolution that no block has.
GanSizes check_networks(const GanSettings& settings, const Conditioning& conditioning);
/// As [gan] and the conditioning say, with first weights from the stream, on the device. Throws
/// naming the setting that does not fit.
GanNetworks create_networks(const GanSettings& settings, const Conditioning& conditioning,
                            const Stream& stream, Device device, bool average = true);

/// Both updates with their optimisers and the moving average, recorded where the device records
/// (nn/step_graph.h). Noise and DiffAugment's numbers are drawn within the update.
class GanUpdate {
 public:
  /// All but the settings outlive this; the networks' device is where the updates run.
  GanUpdate(const GanNetworks& networks, const Conditioning& conditioning,
            const GanSettings& settings);

  /// loss, scores on real, scores on fake: on the device, overwritten by the next call.
  Tensors discriminator(const Stream& stream, const Conditioning::Real& real);
  /// loss. The moving average belongs to the update; `step` (from 1) is the average's.
  Tensors generator(const Stream& stream, const Tensors& targets, int64_t step);

  /// Adam's state, for checkpoints.
  nn::Adam& g_optimizer() { return g_optimizer_; }
  nn::Adam& d_optimizer() { return d_optimizer_; }

 private:
  /// What the updates draw within themselves.
  struct Draws {
    Tensor z, augmentation;
    Tensor place;  // of what the conditioning draws
  };
  Draws draw(const Tensor& places, int64_t images) const;
  Tensors update_discriminator(const Tensors& inputs, bool with_negatives);
  Tensors update_generator(const Tensors& inputs);

  const GanNetworks& networks_;
  const Conditioning& conditioning_;
  const int64_t batch_;
  GanObjective objective_;
  const nn::ImageStandardiser standardise_;
  nn::Adam g_optimizer_, d_optimizer_;
  std::unique_ptr<nn::EMA> ema_;
  nn::StepGraph d_graph_, d_negative_graph_, g_graph_;
  int64_t average_step_ = 0;
};

}  // namespace limbeck::gan
