// The training loop of the small nets around a GAN for responses (label embedding, sparse
// autoencoder): epochs of steps with SGD and a step schedule, resumable bit for bit.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/monitor.h"
#include "nn/optim.h"
#include "nn/step_graph.h"
#include "tensor/fields.h"
#include "tensor/random.h"
#include "tensor/transfer.h"

namespace limbeck::gan {

/// How long and how such a net trains; base of its section of a configuration.
struct EpochSettings {
  int64_t epochs = 200;
  int64_t batch = 128;
  double lr = 0.01;
  std::vector<double> milestones;
  double lr_factor = 0.1;
  double momentum = 0.9;
  double weight_decay = 1e-4;
  void fields(FieldVisitor& v) {
    v("epochs", epochs, "passes over the data");
    v("batch", batch, "examples per step");
    v("lr", lr, "first learning rate (SGD)");
    v("milestones", milestones, "epochs at which the learning rate drops (e >= d)");
    v("lr_factor", lr_factor, "factor of a drop", influence_if(!milestones.empty()));
    v("momentum", momentum, "SGD momentum");
    v("weight_decay", weight_decay, "L2 in the gradient of every parameter");
  }
};
/// Throws naming the key, with `section` in front, for values that no training can follow.
void check(const EpochSettings& settings, const std::string& section);

class EpochLoop {
 public:
  struct Config {
    std::string name;  ///< in errors: "autoencoder"
    nn::Module& net;   ///< trained and kept in checkpoints; initialised by the caller
    std::vector<nn::Module*> others;  ///< that a step runs too, unchanged
    int64_t steps_per_epoch;
    std::vector<std::string> values;  ///< what a step reports, the loss first
    Stream stream;                    ///< for dropout
    nn::Monitor& monitor;
  };
  /// Step k's inputs on the host, and what the device makes of them: the losses of Config::values,
  /// one element each, the first to be minimised.
  using Inputs = std::function<Tensors(int64_t step)>;
  using Losses = std::function<std::vector<Variable>(const Tensors& inputs)>;

  /// Everything in the configuration outlives the loop. Resumes when the monitor has a state.
  EpochLoop(Config config, const EpochSettings& settings, Losses losses);
  int64_t steps_done() const { return step_; }
  /// Trains to the end. Means of the last epoch by name. Throws when a loss is not finite.
  nn::Values run(const Inputs& inputs);

 private:
  Tensors update(const Tensors& inputs);
  void account(int64_t step, const Tensors& values);
  nn::Values means(const std::vector<double>& sums, double count) const;
  TensorFile state();
  void restore(const TensorFile& saved);

  const Config c_;
  const EpochSettings s_;
  const Losses losses_;
  nn::SGD optimizer_;
  nn::StepGraph graph_;
  LateReader reader_;
  int64_t step_ = 0;
  std::vector<double> sums_, last_;
  double count_ = 0;
};

}  // namespace limbeck::gan
