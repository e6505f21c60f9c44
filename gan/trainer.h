// GanTrainer: a conditional GAN trained as in cGAN-KD (several D steps per G step, DiffAugment, EMA
// of the generator). What it is conditioned on is apart (gan/conditioning.h), and so are the two
// updates (gan/update.h). One iteration: d_steps x {draw z and conditions; G without gradient but
// in train mode, so its batch norms and power iterations move; D on fake and real after
// DiffAugment; Adam}, then {draw z and conditions; G, DiffAugment, D; Adam on G}, then EMA of every
// state_dict entry.
#pragma once
#include <limits>
#include <memory>

#include "gan/update.h"
#include "nn/monitor.h"
#include "tensor/transfer.h"

namespace limbeck::gan {

/// The training loop. Every random draw is forked from (stream, step), so a run resumed from a
/// checkpoint gives the same bits as an undisturbed one.
class GanTrainer {
 public:
  /// The conditioning's images are square, of a size that the networks take. Resumes from
  /// monitor.load() when it has a state. The networks live on `device`, which also draws noise and
  /// DiffAugment's numbers within the step: the same on every device. Throws Error naming the
  /// setting that does not fit the data.
  GanTrainer(std::unique_ptr<Conditioning> conditioning, const GanSettings& settings,
             const Stream& stream, nn::Monitor& monitor, Device device = cpu);

  /// Trains to the last step. Throws Error naming the step and the tensor on divergence,
  /// nn::Interrupted after a requested stop.
  void run();
  /// One iteration; run() calls it. On a device, divergence of an update is noticed while the next
  /// one runs.
  void step();
  int64_t steps_done() const { return step_; }

  Generator& generator() { return *networks_.g; }
  Discriminator& discriminator() { return *networks_.d; }
  Generator& average() { return *networks_.average; }
  /// Everything a resume needs. Reads what is still on its way from the device, so it throws as
  /// step() does on divergence.
  TensorFile state();

 private:
  struct Health {
    double d_loss = 0, g_loss = std::numeric_limits<double>::quiet_NaN(), real_accuracy = 0,
           fake_accuracy = 0;
  };
  void load(const TensorFile& state);
  void discriminator_step(const Stream& stream);
  void generator_step(const Stream& stream);
  void check_loss(const char* name, double loss, int64_t step) const;
  void tried();
  void log_health();
  void show_pictures();

  const std::unique_ptr<Conditioning> conditioning_;
  const GanSettings settings_;
  const Stream stream_;
  nn::Monitor& monitor_;
  const GanNetworks networks_;
  GanUpdate update_;
  LateReader reader_;
  Health health_;
  int64_t step_ = 0;
};

}  // namespace limbeck::gan
