// The settings of a GAN and its training.
#pragma once
#include <cstdint>
#include <string>

#include "gan/negatives.h"
#include "gan/vicinity.h"
#include "tensor/fields.h"

namespace limbeck::gan {

/// [gan.regression] of a configuration: the auxiliary regression of CcGAN-AVAR (gan/losses.h). A
/// head of the discriminator predicts responses; 0 and 0: there is none.
struct ResponseHeadSettings {
  double d_weight = 0, g_weight = 0;
  double slack = 1;
  void fields(FieldVisitor& v) {
    v("d_weight", d_weight,
      "auxiliary regression (CcGAN-AVAR): weight in the discriminator's loss (1 in the original), "
      "0: none");
    v("g_weight", g_weight, "the same in the generator's loss (1 in the original)");
    v("slack", slack, "error of the discriminator that costs nothing, in widths of the vicinity",
      influence_if(d_weight > 0));
  }
};

/// [gan] of a configuration. The defaults are those of the CIFAR-100 experiment but for width,
/// batch and length, which suit a CPU.
struct GanSettings {
  int64_t steps = 3000;
  int64_t batch = 64;
  int64_t d_steps = 4;
  int64_t g_ch = 16, d_ch = 16;
  int64_t dim_z = 128;
  double g_lr = 2e-4, d_lr = 2e-4;
  double beta1 = 0.0, beta2 = 0.999, adam_eps = 1e-8;
  double sn_eps = 1e-8, bn_eps = 1e-5;
  double ema_decay = 0.9999;
  int64_t ema_start = 1000;
  std::string augment = "color,translation,cutout";
  bool flip = true;
  double loss_bound = 1e4;
  int64_t health_every = 50;
  int64_t sample_every = 500;
  int64_t loader_threads = 1;
  std::string init = "N02";
  std::string arch = "biggan";
  std::string g_attention, d_attention;
  int64_t shared_dim = 0;
  bool hierarchical = false;
  int64_t depth = 2;
  std::string loss = "hinge";
  VicinitySettings vicinity;
  ResponseHeadSettings regression;
  NegativeSettings negatives;
  /// Whether such a GAN is conditioned on responses; false for an unknown one.
  bool of_responses() const;
  void fields(FieldVisitor& v) {
    v("steps", steps, "generator steps");
    v("batch", batch, "images per D step (real) and per G step");
    v("d_steps", d_steps, "discriminator steps per generator step");
    v("arch", arch,
      "networks: biggan | biggan-deep (classes), sagan | sngan (responses through an embedding), "
      "sngan-nli | sngan-nli-narrow (responses as they are)");
    v("loss", loss, "hinge | vanilla");
    v("g_ch", g_ch, "width of the generator (64 in the paper)");
    v("d_ch", d_ch, "width of the discriminator");
    v("dim_z", dim_z, "dimension of the noise");
    v("g_attention", g_attention,
      "resolutions with self-attention in the generator, as 64 or 32_64; empty for none");
    v("d_attention", d_attention, "the same of the discriminator");
    v("shared_dim", shared_dim,
      "size of a class embedding shared by all layers, 0: a table per layer");
    v("hierarchical", hierarchical, "z enters every block (needs shared_dim)");
    v("depth", depth, "biggan-deep: blocks per resolution");
    v("init", init,
      "initial weights: N02 (normal, deviation 0.02) | ortho (orthogonal, BigGAN's choice for "
      "ImageNet)");
    v("g_lr", g_lr, "Adam learning rate of the generator");
    v("d_lr", d_lr, "Adam learning rate of the discriminator");
    v("beta1", beta1, "Adam beta1");
    v("beta2", beta2, "Adam beta2");
    v("adam_eps", adam_eps, "Adam epsilon");
    v("sn_eps", sn_eps, "epsilon of spectral norm");
    v("bn_eps", bn_eps, "epsilon of batch norm");
    v("ema_decay", ema_decay, "decay of the generator's moving average");
    v("ema_start", ema_start, "steps during which the average is a plain copy");
    v("augment", augment,
      "DiffAugment policy: color,translation,cutout or a part of it; empty for none");
    v("flip", flip, "random horizontal flip of real images");
    v("loss_bound", loss_bound, "stop as diverged when |loss| exceeds this", Influence::none);
    v("health_every", health_every, "steps between lines of the health log", Influence::none);
    v("sample_every", sample_every, "steps between sample grids, 0: only at the end",
      Influence::none);
    v("loader_threads", loader_threads, "prefetch threads", Influence::none);
    const Influence by_response = influence_if(of_responses());
    v("vicinity", vicinity, "responses: which images stand for a response", by_response);
    v("regression", regression, "responses: the discriminator predicts them too", by_response);
    v("negatives", negatives, "responses: further images that the discriminator refuses",
      by_response);
  }
};

/// Throws naming the key of [gan] that cannot be followed, whatever the data; the conditioning and
/// check_networks() (gan/update.h) look at the rest.
void check(const GanSettings& settings);

}  // namespace limbeck::gan
