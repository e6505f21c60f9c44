// channel_shuffle in f32 on the CPU: y[.., i*g + j] = x[.., j*(C/g) + i]; backward is the shuffle
// with C/g groups. Formula and source in ops/permute.cpp. 4 bytes read and written an element; two
// and three groups (the ShuffleNets) interleave whole vectors.
#include <algorithm>
#include <cstring>

#include "ops/op.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/shuffle_kernels.h"

namespace limbeck::cpu_channel_shuffle {
namespace {

/// One row of `streams` runs of `length` floats each to one run of interleaved values.
void shuffle_row(const float* x, float* y, int64_t streams, int64_t length) {
  if (streams == 1 || length == 1)
    std::memcpy(y, x, static_cast<size_t>(streams * length) * sizeof(float));
  else if (streams <= 3)
    shuffle_kernels().interleave[streams - 2](x, y, length);
  else if (length <= 3)
    shuffle_kernels().deinterleave[length - 2](x, y, streams);
  else
    for (int64_t i = 0; i < length; ++i)
      for (int64_t j = 0; j < streams; ++j) *y++ = x[j * length + i];
}

void run(const Tensor& from, const Tensor& to, int64_t streams, int64_t length) {
  const int64_t channels = streams * length, rows = channels ? from.numel() / channels : 0;
  if (rows == 0) return;
  const float* const x = from.data<float>();
  float* const y = to.data<float>();
  const int64_t per_part = std::max<int64_t>(1, 16384 / channels);
  parallel_parts((rows + per_part - 1) / per_part, from.numel(), [&](int64_t part) {
    for (int64_t r = part * per_part; r < std::min(rows, (part + 1) * per_part); ++r)
      shuffle_row(x + r * channels, y + r * channels, streams, length);
  });
}

void forward(const ForwardCall& c) {
  const int64_t groups = c.attrs.integer("groups", 1);
  run(c.in[0], c.out[0], groups, c.in[0].size(-1) / groups);
}

void backward(const BackwardCall& c) {
  const int64_t groups = c.attrs.integer("groups", 1);
  run(c.dout[0], c.din[0], c.dout[0].size(-1) / groups, groups);
}

const RegisterKernel kernel(
    {.op = "channel_shuffle", .name = "cpu", .forward = forward, .backward = backward});

}  // namespace
}  // namespace limbeck::cpu_channel_shuffle
