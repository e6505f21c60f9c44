// What the batch normalisations share: their channels-last view, statistics, and activation.
#pragma once
#include <vector>

#include "ops/op.h"

namespace limbeck {

/// Attribute act: "none" or "relu"; throws otherwise.
bool fused_relu(const char* op, const Attrs& attrs);

/// Mean, biased variance and 1 / sqrt(variance + eps) of each channel (last dimension) over all
/// other dimensions, in double, two passes.
struct ChannelStatistics {
  std::vector<double> mean, var, invstd;
};
/// Of x [.., C]: mean and biased variance of each channel.
template <class T>
ChannelStatistics channel_statistics(const Tensor& x, double eps);
extern template ChannelStatistics channel_statistics<float>(const Tensor&, double);
extern template ChannelStatistics channel_statistics<double>(const Tensor&, double);

/// Throws unless x has rank >= 2, a floating type, and (with batch statistics) not exactly one
/// value per channel.
/// x [.., C].
void check_normalised(const char* op, const Tensor& x, bool batch_statistics);

/// running = (1 - momentum) running + momentum batch for mean and variance, the latter unbiased (n
/// / (n - 1)), as nn.BatchNorm does. `running`: the index of running_mean among the inputs,
/// running_var follows; nothing happens when they are not given or when there are no values.
template <class T>
void update_running_statistics(const ForwardCall& c, size_t running);
extern template void update_running_statistics<float>(const ForwardCall&, size_t);
extern template void update_running_statistics<double>(const ForwardCall&, size_t);

/// The factors of that update for one call: new = keep old + take_mean mean, new = keep old +
/// take_var var (biased). Momentum is an attribute.
struct RunningFactors {
  double keep, take_mean, take_var;
  RunningFactors(const Tensor& x, const Attrs& attrs);
};
/// Throws unless both or neither are given, f32 (f64 for f64) [C].
void check_running_statistics(const char* op, const Tensors& in, size_t running);

}  // namespace limbeck
