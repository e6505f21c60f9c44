// The naive statistics that batch_norm and cond_batch_norm share: of the columns of x [n, C], mean
// = sum x / n, var = sum (x - mean)^2 / n, invstd = 1 / sqrt(var + eps); mean, var, invstd [C] are
// overwritten. One thread per channel (neighbours read neighbouring addresses), no shared memory;
// sums in double, one chain per channel: deterministic. Reads x twice, 4 FLOPs an element. Source:
// Ioffe & Szegedy 2015, algorithm 1.
#pragma once
#include <cmath>

#include "ops/op.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

/// mean, var (biased) and invstd of each channel.
template <class T>
__global__ void channel_statistics(const T* x, int64_t n, int64_t channels, double eps, T* mean,
                                   T* var, T* invstd) {
  const int64_t c = global_index();
  if (c >= channels) return;
  const double divisor = n > 0 ? double(n) : 1.0;
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i * channels + c];
  const double m = sum / divisor;
  for (int64_t i = 0; i < n; ++i) squares += (x[i * channels + c] - m) * (x[i * channels + c] - m);
  mean[c] = T(m);
  var[c] = T(squares / divisor);
  invstd[c] = T(1 / std::sqrt(squares / divisor + eps));
}

/// invstd of given variances.
template <class T>
__global__ void invert_variance(const T* var, int64_t channels, double eps, T* invstd) {
  const int64_t c = global_index();
  if (c < channels) invstd[c] = T(1 / std::sqrt(double(var[c]) + eps));
}

template <class T>
Tensor inverted(const Tensor& var, const Attrs& attrs) {
  const Tensor invstd = Tensor::empty_like(var);
  if (var.numel() > 0) LAUNCH(invert_variance<T>, blocks_for(var.numel()), 256, 0, stream_of(var))
  (var.data<T>(), var.numel(), attrs.number("eps", 1e-5), invstd.data<T>());
  return invstd;
}

}  // namespace limbeck::cuda
