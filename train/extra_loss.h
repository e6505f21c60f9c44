// ExtraLoss: what a supervised loop adds to its criterion, e.g. a distillation term. The loop knows
// nothing of teachers or methods.
#pragma once
#include <vector>

#include "autograd/trace.h"
#include "data/dataset.h"
#include "nn/models/registry.h"

namespace limbeck::train {

/// One step as a loss sees it. All tensors are on the network's device. There a step is recorded
/// once and replayed: the tensors are then those of the running step, while a number read on the
/// host would be that of the recording.
struct Step {
  nn::Network& network;
  const nn::Features& features;  ///< of the network on batch.images, all views of them
  /// Standardised images, labels, targets, outputs of replayed views; `index` is empty: see rows.
  const data::Batch& batch;
  Tensor rows;    ///< i64 [n]: rows of the training set, for memories
  Tensor places;  ///< i64 [1, 2]: where this step's draws begin (ops/random.h)
  Tensor clock;   ///< f32 [2]: step and epoch, both from 0
  /// Where the extra loss asks for input gradients: batch.images, on the tape, and the operator
  /// calls from there to `features`.
  Variable images = {};
  const std::vector<OperatorCall>* calls = nullptr;
};

class ExtraLoss {
 public:
  virtual ~ExtraLoss() = default;
  /// Whether the middle taps are wanted before their closing activation
  /// (nn::Network::forward_features).
  virtual bool preact() const { return false; }

  /// Whether it needs derivatives with respect to the images (Step::images, Step::calls).
  virtual bool input_gradients() const { return false; }
  /// What the loop makes of every image; the criterion and the training metric see first views.
  virtual data::Views views() const { return {}; }
  /// Views that the loop replays instead of drawing new ones; with outputs, batches carry them.
  virtual data::ReplayedViews replayed() const { return {}; }
  /// Whether an epoch's last, incomplete batch is left out.
  virtual bool drop_last() const { return false; }

  struct Probe {
    nn::Network& network;
    const nn::Features& features;  ///< of the network on `images`
    const Variable&
        images;  ///< the first two of the training set, standardised, on the network's device
    const data::Dataset& train;
    Stream init;        ///< for the weights of own modules
    int64_t batch = 0;  ///< images per step
    int64_t epochs = 0;
    data::Standardisation standardisation = {};  ///< of the training images
    bool trial = false;                          ///< a monitor asks for the cost only (nn/trial.h)
  };
  /// Before the first step, in eval mode without gradients: refuses what does not fit with the
  /// reason (throws Error), builds own modules.
  virtual void prepare(const Probe& probe) = 0;

  /// Trained by the network's optimiser and kept in checkpoints; null when there is nothing. Valid
  /// after prepare(). Its buffers may hold what a method remembers.
  virtual nn::Module* auxiliary() { return nullptr; }
  /// Other networks that run in a step (a teacher). Not trained, and not kept but for moving().
  virtual std::vector<nn::Module*> others() { return {}; }

  /// One of them whose buffers move from step to step and are wanted afterwards: checkpoints keep
  /// it. Null when there is none. Valid after prepare().
  virtual nn::Module* moving() { return nullptr; }

  /// Weight of the criterion's loss in the sum.
  virtual double hard_weight() const { return 1; }
  /// Undefined when there is nothing to add.
  virtual Variable loss(const Step& step) = 0;
  /// What the training metric counts, one row per image; called after loss(), without gradients.
  /// Undefined: the network's own output.
  virtual Tensor prediction(const Step& /*step*/) { return {}; }
  /// After the optimiser's update, as part of the step.
  virtual void after_step(const Step& /*step*/) {}

  /// Once, when the training has ended: the network is made what it says it is (weights that stood
  /// for others become them).
  virtual void finish(nn::Network& /*network*/) {}
  /// What is evaluated and saved in the place of the trained network. It may refer to the network
  /// and to this loss, and is valid after prepare().
  virtual nn::Network& deployed(nn::Network& network) { return network; }
};

}  // namespace limbeck::train
