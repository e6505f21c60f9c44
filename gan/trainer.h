// GanTrainer: a class-conditional GAN trained as in cGAN-KD (hinge loss, several D steps per G step, DiffAugment, EMA of the generator).
// One iteration: d_steps x {draw z, y; G without gradient but in train mode, so its batch norms and u0 move; D on fake and real in one
// batch, fake first, after DiffAugment; Adam}, then {draw z, y; G, DiffAugment, D; Adam on G}, then EMA of every state_dict entry.
//   L_D = mean relu(1 - D(x)) + mean relu(1 + D(G(z))),  L_G = -mean D(G(z))
#pragma once
#include <deque>
#include <limits>
#include <memory>
#include <string>

#include "data/dataset.h"
#include "gan/diffaugment.h"
#include "gan/network.h"
#include "nn/images.h"
#include "nn/monitor.h"
#include "nn/optim.h"
#include "nn/step_graph.h"
#include "tensor/fields.h"
#include "tensor/transfer.h"

namespace limbeck::gan {

/// [gan] of a configuration. The defaults are those of the CIFAR-100 experiment but for width, batch and length, which suit a CPU.
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
  void fields(FieldVisitor& v) {
    v("steps", steps, "generator steps");
    v("batch", batch, "images per D step (real) and per G step");
    v("d_steps", d_steps, "discriminator steps per generator step");
    v("arch", arch, "networks: biggan | biggan-deep");
    v("g_ch", g_ch, "width of the generator (64 in the paper)");
    v("d_ch", d_ch, "width of the discriminator");
    v("dim_z", dim_z, "dimension of the noise");
    v("g_attention", g_attention, "resolutions with self-attention in the generator, as 64 or 32_64; empty for none");
    v("d_attention", d_attention, "the same of the discriminator");
    v("shared_dim", shared_dim, "size of a class embedding shared by all layers, 0: a table per layer");
    v("hierarchical", hierarchical, "z enters every block (needs shared_dim)");
    v("depth", depth, "biggan-deep: blocks per resolution");
    v("init", init, "initial weights: N02 (normal, deviation 0.02) | ortho (orthogonal, BigGAN's choice for ImageNet)");
    v("g_lr", g_lr, "Adam learning rate of the generator");
    v("d_lr", d_lr, "Adam learning rate of the discriminator");
    v("beta1", beta1, "Adam beta1");
    v("beta2", beta2, "Adam beta2");
    v("adam_eps", adam_eps, "Adam epsilon");
    v("sn_eps", sn_eps, "epsilon of spectral norm");
    v("bn_eps", bn_eps, "epsilon of batch norm");
    v("ema_decay", ema_decay, "decay of the generator's moving average");
    v("ema_start", ema_start, "steps during which the average is a plain copy");
    v("augment", augment, "DiffAugment policy: color,translation,cutout or a part of it; empty for none");
    v("flip", flip, "random horizontal flip of real images");
    v("loss_bound", loss_bound, "stop as diverged when |loss| exceeds this");
    v("health_every", health_every, "steps between lines of the health log");
    v("sample_every", sample_every, "steps between sample grids, 0: only at the end");
    v("loader_threads", loader_threads, "prefetch threads");
  }
};

/// The training loop. Every random draw is forked from (stream, step), so a run resumed from a checkpoint gives the same bits as an
/// undisturbed one.
class GanTrainer {
 public:
  /// `data` has classes and images of 32, 64 or 128 pixels; it must outlive the trainer. Resumes from monitor.load() when it has a state.
  /// The networks live on `device`, which also draws noise, labels and DiffAugment's numbers within the step: the same on every device.
  /// Throws Error naming the setting that does not fit the data.
  GanTrainer(const data::Dataset& data, const GanSettings& settings, const Stream& stream, nn::Monitor& monitor,
             Device device = cpu);
  ~GanTrainer();

  /// Trains to the last step. Throws Error naming the step and the tensor on divergence, nn::Interrupted after a requested stop.
  void run();
  /// One iteration; run() calls it. On a device, divergence of an update is noticed while the next one runs.
  void step();
  int64_t steps_done() const { return step_; }

  Generator& generator() { return *g_; }
  Discriminator& discriminator() { return *d_; }
  Generator& average() { return *g_ema_; }
  /// Everything a resume needs. Reads what is still on its way from the device, so it throws as step() does on divergence.
  TensorFile state();

 private:
  struct Health {
    double d_loss = 0, g_loss = std::numeric_limits<double>::quiet_NaN(), real_accuracy = 0, fake_accuracy = 0;
  };
  /// An update whose results are on their way to the host.
  struct Pending {
    int64_t step;
    bool discriminator;
    std::unique_ptr<Download> results;
  };
  void load(const TensorFile& state);
  /// What an update draws. `places`: of the noise, the labels and DiffAugment's numbers (of `images` images).
  struct Draws {
    Tensor z, labels, augmentation;
  };
  static Tensor places(const Stream& stream);
  Draws draw(const Tensor& places, int64_t images) const;
  Tensors update_discriminator(const Tensors& inputs);
  Tensors update_generator(const Tensors& inputs);
  void discriminator_step(const Stream& stream);
  void generator_step(const Stream& stream);
  void check_loss(const char* name, double loss, int64_t step) const;
  void account(size_t unread);
  void log_health();
  void show_samples();

  const data::Dataset& data_;
  const GanSettings settings_;
  const Stream stream_;
  nn::Monitor& monitor_;
  const Device device_;
  const DiffAugment augment_;
  const nn::ImageStandardiser standardise_;
  std::unique_ptr<Generator> g_, g_ema_;
  std::unique_ptr<Discriminator> d_;
  std::unique_ptr<nn::Adam> g_optimizer_, d_optimizer_;
  std::unique_ptr<nn::StepGraph> d_graph_, g_graph_;
  std::unique_ptr<nn::EMA> ema_;
  std::unique_ptr<data::Loader> loader_;
  std::deque<Pending> pending_;
  Health health_;
  int64_t step_ = 0;
};

}  // namespace limbeck::gan
