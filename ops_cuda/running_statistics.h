// The running mean and variance of the batch normalisations (formula in ops/norm.h), on a device.
// running_mean, running_var [C] change in place. Naive kernels: one launch for both, one thread per
// channel, 4 sizeof(T) bytes read and 2 written a channel. Tuned ones (channel_tiles.h) call move()
// where the statistics are finished: no launch. Deterministic.
#pragma once
#include "ops/norm.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

/// Inputs `running` and `running` + 1 of a call; null when they are not given or when there are no
/// values.
template <class T>
struct Running {
  T *mean = nullptr, *var = nullptr;
  T keep, take_mean, take_var;

  Running(const ForwardCall& c, size_t running) {
    const RunningFactors f(c.in[0], c.attrs);
    keep = T(f.keep), take_mean = T(f.take_mean), take_var = T(f.take_var);
    if (!c.in[running].defined() || c.in[0].numel() == 0) return;
    mean = c.in[running].data<T>();
    var = c.in[running + 1].data<T>();
  }
  __device__ void move(int64_t channel, T batch_mean, T batch_var) const {
    if (!mean) return;
    mean[channel] = keep * mean[channel] + take_mean * batch_mean;
    var[channel] = keep * var[channel] + take_var * batch_var;
  }
};

template <class T>
__global__ void move_running_statistics(Running<T> running, const T* batch_mean, const T* batch_var,
                                        int64_t channels) {
  const int64_t c = global_index();
  if (c < channels) running.move(c, batch_mean[c], batch_var[c]);
}

template <class T>
void update_running(const ForwardCall& c, size_t running) {
  const Running<T> statistics(c, running);
  if (!statistics.mean) return;
  const Tensor &mean = c.out[1], &var = c.out[2];
  LAUNCH(move_running_statistics<T>, blocks_for(mean.numel()), 256, 0, stream_of(mean))
  (statistics, mean.data<T>(), var.data<T>(), mean.numel());
}

}  // namespace limbeck::cuda
