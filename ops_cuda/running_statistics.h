// The running mean and variance of the batch normalisations (formula in ops/norm.h), on a device: one launch for both, one thread per channel.
// running_mean, running_var [C] change in place. 4 sizeof(T) bytes read and 2 written a channel; deterministic.
#pragma once
#include "ops/norm.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

template <class T>
__global__ void move_running_statistics(T* mean, T* var, const T* batch_mean, const T* batch_var, int64_t channels, RunningFactors f) {
  const int64_t c = global_index();
  if (c >= channels) return;
  mean[c] = T(f.keep) * mean[c] + T(f.take_mean) * batch_mean[c];
  var[c] = T(f.keep) * var[c] + T(f.take_var) * batch_var[c];
}

template <class T>
void update_running(const ForwardCall& c, size_t running) {
  const Tensor &mean = c.in[running], &var = c.in[running + 1];
  if (!mean.defined() || c.in[0].numel() == 0) return;
  LAUNCH(move_running_statistics<T>, blocks_for(mean.numel()), 256, 0, stream_of(mean))
  (mean.data<T>(), var.data<T>(), c.out[1].data<T>(), c.out[2].data<T>(), mean.numel(), RunningFactors(c.in[0], c.attrs));
}

}  // namespace limbeck::cuda
