// What the batch normalisations share: their channels-last view, statistics, and activation.
#pragma once
#include <vector>

#include "ops/op.h"

namespace limbeck {

/// Attribute act: "none" or "relu"; throws otherwise.
bool fused_relu(const char* op, const Attrs& attrs);

/// Mean, biased variance and 1 / sqrt(variance + eps) of each channel (last dimension) over all other dimensions, in double, two passes.
struct ChannelStatistics {
  std::vector<double> mean, var, invstd;
};
template <class T>
ChannelStatistics channel_statistics(const Tensor& x, double eps);
extern template ChannelStatistics channel_statistics<float>(const Tensor&, double);
extern template ChannelStatistics channel_statistics<double>(const Tensor&, double);

/// Throws unless x has rank >= 2, a floating type, and (with batch statistics) not exactly one value per channel.
void check_normalised(const char* op, const Tensor& x, bool batch_statistics);

}  // namespace limbeck
