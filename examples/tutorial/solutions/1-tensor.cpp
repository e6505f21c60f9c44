// Exercise 1: the mean of each channel in one pass over memory, in both layouts.
#include <cstdio>
#include <vector>

#include "autograd/functions.h"

using namespace limbeck;

namespace {

/// A channel's values stand `stride` apart in runs of `run`; both layouts are walked in order.
std::vector<double> channel_means(const Tensor& t, int64_t channels, int64_t run) {
  std::vector<double> means(static_cast<size_t>(channels));
  const double weight = static_cast<double>(channels) / static_cast<double>(t.numel());
  for (int64_t i = 0; i < t.numel(); ++i)
    means[static_cast<size_t>(i / run % channels)] += weight * t.data<float>()[i];
  return means;
}

}  // namespace

int main() {
  const Tensor image = Tensor::empty({4, 5, 6, 3});
  Stream(1).fill_uniform(image);
  const Tensor planes = to_channels_first(image);
  const std::vector<double> interleaved = channel_means(image, 3, 1),
                            planar = channel_means(planes, 3, 5 * 6);
  const Tensor library = mean(Variable(image), {0, 1, 2}).data();
  for (size_t c = 0; c < 3; ++c)
    std::printf("channel %zu: %.4f in memory, %.4f in the file's order, %.4f by mean()\n", c,
                interleaved[c], planar[c], library.at(static_cast<int64_t>(c)));
}
