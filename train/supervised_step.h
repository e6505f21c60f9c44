// One step of supervised training: forward, loss, backward, update; recorded where the device
// records. The loop (train/supervised.h) and `limbeck bench train` run this very step.
#pragma once
#include <memory>

#include "nn/images.h"
#include "nn/optim.h"
#include "nn/step_graph.h"
#include "train/criterion.h"
#include "train/extra_loss.h"

namespace limbeck::train {

/// Rows 0, views, 2 views, ... of x [views n, ..]: of the images as they came (data::Views).
Variable first_views(const Variable& x, int64_t views);

class SupervisedStep {
 public:
  /// Everything outlives the step; networks stay on their device. An extra loss has been prepared.
  SupervisedStep(nn::Network& network, const Criterion& criterion,
                 const data::Standardisation& standardisation, const nn::OptimizerConfig& optimizer,
                 ExtraLoss* extra = nullptr);

  /// A batch as a loader hands it out. Draws (dropout, the extra loss's) come from `noise`; step
  /// and epoch count from 0. Returns loss [] and output [n, outputs] on the device, overwritten by
  /// the next call.
  Tensors operator()(const data::Batch& batch, const Stream& noise, int64_t step = 0,
                     int64_t epoch = 0);

  nn::Optimizer& optimizer() { return *optimizer_; }

 private:
  Tensors forward_backward_update(const Tensors& inputs);

  nn::Network& network_;
  const Criterion& criterion_;
  ExtraLoss* const extra_;
  const nn::ImageStandardiser standardise_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  std::unique_ptr<nn::StepGraph> graph_;
};

}  // namespace limbeck::train
