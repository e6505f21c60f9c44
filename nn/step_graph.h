// A training step that a GPU replays. The networks of CIFAR are launch-bound: a step of resnet20
// queues some 500 kernels, and the host cannot queue them as fast as the GPU runs them. Recorded
// once as a CUDA graph, the whole step is one launch.
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "nn/module.h"
#include "tensor/device.h"

namespace limbeck::nn {

/// On a device that records, the step runs as usual a few times (memory, optimiser slots and
/// scalars come into being), is recorded once for the shapes of its inputs (when two calls in a row
/// had the same), and from then on replayed with the new inputs copied to the old places. Inputs of
/// other shapes (the last batch of an epoch) run as usual. On the CPU it always does.
///
/// The step may only depend on its inputs, on the modules' parameters and buffers, and on what
/// host_effect() writes; it must not read a tensor of the device. What is drawn for one step
/// (noise, set_streams) is drawn before the call.
class StepGraph {
 public:
  using Step = std::function<Tensors(const Tensors& inputs)>;
  /// `modules`: all whose buffers the step changes. They outlive the graph, as does what `step`
  /// refers to.
  StepGraph(Device device, std::vector<Module*> modules, Step step)
      : device_(device), modules_(std::move(modules)), step_(std::move(step)) {}

  /// Inputs from any device (undefined ones stay so). The results lie on the device and are
  /// overwritten by the next call.
  Tensors operator()(const Tensors& inputs);

 private:
  Tensors run_as_usual(const Tensors& inputs);
  Tensors on_device(const Tensors& inputs) const;
  void record(const Tensors& inputs);

  Device device_;
  std::vector<Module*> modules_;
  Step step_;
  int64_t calls_ = 0;
  std::vector<std::optional<Shape>> shapes_;  // of the last call; recorded: of the recording
  Tensors inputs_, results_;
  std::unique_ptr<HostEffects> effects_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace limbeck::nn
