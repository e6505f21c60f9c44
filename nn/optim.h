// Optimisers (PyTorch's formulas) and EMA. Steps run as in-place operators of the table (sgd_step,
// adam_step).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "nn/module.h"

namespace limbeck::nn {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Parameters without a gradient are skipped.
  virtual void step() = 0;
  void zero_grad() const;
  void set_lr(double lr) { lr_ = lr; }
  double lr() const { return lr_; }
  /// Momentum buffers etc. by "<name of parameter>.<slot>", for checkpoints; loading is strict, and
  /// possible after a step was recorded (StepGraph).
  TensorFile state() const;
  void load_state(const TensorFile& file, const std::string& what = "optimizer state");

 protected:
  Optimizer(std::vector<Parameter> parameters, std::vector<std::string> slots, double lr);
  std::vector<Parameter> parameters_;
  std::vector<std::string> slots_;
  std::vector<std::vector<Tensor>> state_;  // [slot][parameter]; undefined until first used
  int64_t steps_ = 0;
  double lr_;

  /// Counts a step, and writes the scalars that change from step to step into a tensor beside the
  /// parameters: a recorded step (StepGraph) reads what is written before its replay.
  const Tensor& count_step(std::function<std::vector<double>()> scalars);

 private:
  Tensor scalars_;
};

/// g += wd w; v = momentum v + g (v = g at the first step); w -= lr v, or Nesterov: w -= lr (g +
/// momentum v).
class SGD : public Optimizer {
 public:
  struct Config {
    double lr = 0.05, momentum = 0.9, weight_decay = 0;
    bool nesterov = false;
  };
  /// Throws for negative settings, and for Nesterov without momentum.
  SGD(std::vector<Parameter> parameters, const Config& config);
  void step() override;

 private:
  Config config_;
};

/// Kingma & Ba 2015, bias-corrected. Weight decay is L2 in the gradient or, `decoupled`, AdamW's: w
/// shrinks by lr wd itself (Loshchilov & Hutter 2019).
class Adam : public Optimizer {
 public:
  struct Config {
    double lr = 2e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
    bool decoupled = false;
  };
  /// Throws for settings out of range.
  Adam(std::vector<Parameter> parameters, const Config& config);
  void step() override;

 private:
  Config config_;
};

/// An optimiser by its settings.
using OptimizerConfig = std::variant<SGD::Config, Adam::Config>;
std::unique_ptr<Optimizer> create_optimizer(std::vector<Parameter> parameters,
                                            const OptimizerConfig& config);

/// Exponential moving average of every state_dict entry of `source` in `target` (BigGAN: buffers
/// too): t = d t + (1 - d) s; a plain copy while step < start. Integer buffers are copied.
class EMA {
 public:
  /// Throws when the modules differ, or the decay is not in [0, 1].
  EMA(Module& target, const Module& source, double decay, int64_t start);
  void update(int64_t step) {
    update([step] { return step; });
  }
  /// The same as part of a step that may be recorded (StepGraph): `step` is asked before every
  /// replay. What it captures outlives the recording.
  void update(std::function<int64_t()> step);

 private:
  void write_decay(std::function<int64_t()> step);
  Module& target_;
  const Module& source_;
  double decay_;
  int64_t start_;
  Tensor decay_scalar_;  // beside the target
};

}  // namespace limbeck::nn
