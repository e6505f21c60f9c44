#include "gan/resampling_conv.h"

#include <map>
#include <mutex>

namespace limbeck::gan {
namespace {

/// (w[j] + w[j-1]) / 2 along both kernel axes: [a, k, k, b] -> [a, k+1, k+1, b].
Variable widened(const Variable& w) {
  return avg_pool2d(w, {.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 1}});
}

/// n - 1, ..., 0. Kept for the life of the program: a recorded step (nn/step_graph.h) cannot bring
/// it from the host each time.
Tensor backwards(int64_t n, Device device) {
  static auto* made = new std::map<std::pair<int64_t, std::string>, Tensor>;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  Tensor& t = (*made)[{n, cat(device)}];
  if (!t.defined()) {
    std::vector<int64_t> numbers(static_cast<size_t>(n));
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = n - 1 - static_cast<int64_t>(i);
    t = Tensor::of(numbers).to(device);
  }
  return t;
}

/// A convolution kernel as the transposed convolution takes it, mirrored: [out, k, k, in] -> [in,
/// k, k, out].
Variable mirrored(const Variable& w) {
  const int64_t out = w.size(0), k = w.size(1), in = w.size(3);
  const Variable taps_first = permute(reshape(w, {out, k * k, in}), {1, 2, 0});
  return reshape(permute(index_select(taps_first, backwards(k * k, w.data().device())), {1, 0, 2}),
                 {in, k, k, out});
}

}  // namespace

Variable same_conv(const Variable& x, const Variable& weight, const Variable& bias) {
  const int64_t pad = weight.size(1) / 2;
  return conv2d(x, weight, bias, {.padding = {pad, pad}});
}

Variable pooled_conv(const Variable& x, const Variable& weight, const Variable& bias) {
  LIMBECK_CHECK(x.size(1) % 2 == 0 && x.size(2) % 2 == 0,
                "pooled convolution: pooling by 2 needs even sizes, found ", x.shape());
  const int64_t pad = weight.size(1) / 2;
  return conv2d(x, widened(weight), bias, {.stride = {2, 2}, .padding = {pad, pad}});
}

Variable upsampled_conv(const Variable& x, const Variable& weight, const Variable& bias) {
  const int64_t pad = weight.size(1) / 2;
  return conv_transpose2d(x, affine(widened(mirrored(weight)), 4, 0), bias,
                          {.stride = {2, 2}, .padding = {pad, pad}});
}

}  // namespace limbeck::gan
