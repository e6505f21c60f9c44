// y[r, c] += bias[c]; y [rows, channels] in f32 or bf16, bias [channels] in f32. One thread per
// four neighbouring elements where rows are multiples of four, per element otherwise; no shared
// memory; deterministic. Bytes: 8 (bf16: 4) an element, 1 FLOP; our own products add their bias in
// registers instead. Source: elementary.
#include "ops_cuda/row_bias.h"

#include "ops_cuda/launch.h"

namespace limbeck::cuda {
namespace {

template <class S, int width>
__global__ void row_bias_kernel(S* y, const float* bias, int64_t vectors, int64_t per_row) {
  const int64_t i = global_index();
  if (i >= vectors) return;
  auto v = load_floats<width>(y + i * width);
  const auto b = load_vector<width>(bias + i % per_row * width);
  for (int e = 0; e < width; ++e) v[e] += b[e];
  store_floats(y + i * width, v);
}

template <class S>
void add(const Tensor& y, int64_t rows, int64_t channels, const float* bias) {
  const int64_t count = rows * channels;
  S* const to = y.data<S>();
  if (channels % 4 == 0 && aligned_for(4, to) && aligned_for(4, bias))
    LAUNCH((row_bias_kernel<S, 4>), blocks_for(count / 4), 256, 0, stream_of(y))
  (to, bias, count / 4, channels / 4);
  else LAUNCH((row_bias_kernel<S, 1>), blocks_for(count), 256, 0, stream_of(y))(to, bias, count,
                                                                                channels);
}

}  // namespace

void add_row_bias(const Tensor& y, int64_t rows, int64_t channels, const float* bias) {
  if (rows * channels == 0) return;
  y.dtype() == DType::bf16 ? add<bfloat16>(y, rows, channels, bias)
                           : add<float>(y, rows, channels, bias);
}

}  // namespace limbeck::cuda
