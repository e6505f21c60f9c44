// Where generated images come from: a generator on a device, files, or any function.
#pragma once
#include <concepts>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "tensor/random.h"

namespace limbeck::gan {

/// A source whose images are drawn and computed on one device without the host, fit for a recorded
/// step (nn/step_graph.h).
struct DrawnSource {
  Device device;
  /// What the images of a stream are drawn from (tensor/random.h): i64 [k, 2] on the CPU.
  std::function<Tensor(const Stream& stream)> places;
  /// Images [n, ...] on the device, of conditions y [n] and places there.
  std::function<Tensor(const Tensor& y, const Tensor& places)> images;
};

/// Images of given conditions: y is i64 [n] (classes) or f32 [n] (responses), on the CPU; the
/// result is f32 [n, H, W, C] in [-1, 1], on any device, and depends on y and the stream only.
class ImageSource {
 public:
  ImageSource() = default;
  /// Any function (const Tensor& y, const Stream& stream) -> images.
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, ImageSource> &&
           std::is_invocable_r_v<Tensor, F, const Tensor&, const Stream&>) ImageSource(F&& function)
      : function_(std::forward<F>(function)) {}
  ImageSource(DrawnSource drawn) : drawn_(std::move(drawn)) {}

  Tensor operator()(const Tensor& y, const Stream& stream) const {
    if (!drawn_) return function_(y, stream);
    return drawn_->images(y.to(drawn_->device), drawn_->places(stream).to(drawn_->device));
  }
  /// The source in its parts, or null when it is a function.
  const DrawnSource* drawn() const { return drawn_ ? &*drawn_ : nullptr; }

 private:
  std::function<Tensor(const Tensor&, const Stream&)> function_;
  std::optional<DrawnSource> drawn_;
};

}  // namespace limbeck::gan
