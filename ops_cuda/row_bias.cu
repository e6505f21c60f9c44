// y[r, c] += bias[c]; y [rows, channels], bias [channels], f32. One thread per four neighbouring elements where rows are multiples of four,
// per element otherwise; no shared memory; deterministic. Bytes: 8 an element, 1 FLOP; our own products add their bias in registers instead.
// Source: elementary.
#include "ops_cuda/row_bias.h"

#include "ops_cuda/launch.h"

namespace limbeck::cuda {
namespace {

template <int width>
__global__ void row_bias_kernel(float* y, const float* bias, int64_t vectors, int64_t per_row) {
  const int64_t i = global_index();
  if (i >= vectors) return;
  auto v = load_vector<width>(y + i * width);
  const auto b = load_vector<width>(bias + i % per_row * width);
  for (int e = 0; e < width; ++e) v[e] += b[e];
  store_vector(y + i * width, v);
}

}  // namespace

void add_row_bias(const Tensor& y, int64_t rows, int64_t channels, const float* bias) {
  const int64_t count = rows * channels;
  if (count == 0) return;
  float* const to = y.data<float>();
  if (channels % 4 == 0 && aligned_for(4, to, bias))
    LAUNCH(row_bias_kernel<4>, blocks_for(count / 4), 256, 0, stream_of(y))(to, bias, count / 4, channels / 4);
  else
    LAUNCH(row_bias_kernel<1>, blocks_for(count), 256, 0, stream_of(y))(to, bias, count, channels);
}

}  // namespace limbeck::cuda
