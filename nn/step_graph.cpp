#include "nn/step_graph.h"

namespace limbeck::nn {
namespace {

constexpr int64_t usual_calls = 2;  // before recording

/// Layers replace some buffers by new tensors (the tape may hold the old ones). A replay reads the
/// old place, so the new values go there.
class BufferPlaces {
 public:
  explicit BufferPlaces(const std::vector<Module*>& modules) : modules_(modules) {
    each([this](Tensor& t) { places_.push_back(t); });
  }
  void write_back() {
    size_t i = 0;
    each([&](Tensor& t) {
      const Tensor& place = places_[i++];
      if (t.storage() == place.storage()) return;
      place.copy_from(t);
      t = place;
    });
  }
  /// The new tensors of a recording that failed were never computed.
  void put_back() {
    size_t i = 0;
    each([&](Tensor& t) { t = places_[i++]; });
  }

 private:
  void each(const std::function<void(Tensor&)>& f) {
    for (Module* m : modules_) m->visit_buffers(f);
  }
  const std::vector<Module*>& modules_;
  Tensors places_;
};

std::vector<std::optional<Shape>> shapes_of(const Tensors& inputs) {
  std::vector<std::optional<Shape>> shapes;
  for (const Tensor& t : inputs)
    shapes.push_back(t.defined() ? std::optional(t.shape()) : std::nullopt);
  return shapes;
}

}  // namespace

Tensors StepGraph::operator()(const Tensors& inputs) {
  if (device_ == cpu) return step_(inputs);
  const std::vector<std::optional<Shape>> shapes = shapes_of(inputs);
  const bool same = shapes == shapes_;
  if (!same || (!recording_ && calls_ < usual_calls)) {
    ++calls_;
    if (!recording_) shapes_ = shapes;
    return run_as_usual(inputs);
  }
  if (!recording_) record(inputs);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined()) inputs_[i].copy_from(inputs[i]);
  effects_->run();
  recording_->replay();
  return results_;
}

/// Keeps the buffers' places too: another step's recording may read them.
Tensors StepGraph::run_as_usual(const Tensors& inputs) {
  BufferPlaces places(modules_);
  Tensors results = step_(on_device(inputs));
  places.write_back();
  return results;
}

Tensors StepGraph::on_device(const Tensors& inputs) const {
  Tensors moved;
  for (const Tensor& t : inputs) moved.push_back(t.defined() ? t.to(device_) : t);
  return moved;
}

void StepGraph::record(const Tensors& inputs) {
  inputs_.clear();
  for (const Tensor& t : inputs)
    inputs_.push_back(t.defined() ? Tensor::empty(t.shape(), t.dtype(), device_) : t);
  DeviceBackend& device = backend(device_);
  BufferPlaces places(modules_);
  device.begin_recording(device_.index);
  try {
    effects_ = std::make_unique<
        // after begin_recording: had that thrown, this thread would record for ever
        HostEffects>();
    results_ = step_(inputs_);
    places.write_back();
  } catch (...) {
    effects_.reset();
    places.put_back();
    try {
      device.end_recording(device_.index);
    } catch (const Error&) {  // the first error says what happened
    }
    throw;
  }
  effects_->stop();
  recording_ = device.end_recording(device_.index);
}

}  // namespace limbeck::nn
