// Column sums: sum[c] = sum_r d[r, c], the bias gradient of linear, conv2d and conv_transpose2d. d
// [rows, channels] (tuned: f32 or bf16), sum [channels] f32 (naive f64: f64), overwritten. Source:
// elementary. Naive: one thread per channel walks down the rows. Tuned: a block of 32 x 8 threads
// sums 32 channels over a chunk of rows, its eight row lanes meet in shared memory (1 KiB) in a
// fixed order, and a second kernel adds the chunks, first to last. The cut depends on the sizes
// only: the same bits in every run. Bytes: 4 (bf16: 2) an element of d, once. FLOPs: one addition
// an element: bandwidth-bound.
#include "ops_cuda/column_sums.h"

#include <algorithm>

#include "ops_cuda/long_sum.h"

namespace limbeck::cuda {
namespace {

template <class T>
__global__ void column_sums_kernel(const T* d, T* sum, int64_t rows, int64_t channels) {
  const int64_t c = global_index();
  if (c >= channels) return;
  LongSum<T> total;
  for (int64_t r = 0; r < rows; ++r) total.add(d[r * channels + c]);
  sum[c] = total.value();
}

constexpr int lanes = 32, row_lanes = 8;

template <class S>
__global__ void chunk_sums_kernel(const S* d, float* partial, int64_t rows, int64_t channels,
                                  int64_t rows_per_chunk, int channel_blocks) {
  SHARED(float, rows_of, [row_lanes][lanes]);
  const int64_t chunk = blockIdx.x / channel_blocks,
                c = int64_t{blockIdx.x % channel_blocks} * lanes + threadIdx.x;
  const int64_t end = rows < (chunk + 1) * rows_per_chunk ? rows : (chunk + 1) * rows_per_chunk;
  LongSum<float> own;
  if (c < channels)
    for (int64_t r = chunk * rows_per_chunk + threadIdx.y; r < end; r += row_lanes)
      own.add(float(d[r * channels + c]));
  float total = own.value();
  rows_of[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y == 0 && c < channels) {
    for (int i = 1; i < row_lanes; ++i) total += rows_of[i][threadIdx.x];
    partial[chunk * channels + c] = total;
  }
}

}  // namespace

template <class T>
void column_sums_naive(const T* d, int64_t rows, int64_t channels, const Tensor& sum) {
  if (channels == 0) return;
  LAUNCH(column_sums_kernel<T>, blocks_for(channels), 256, 0, stream_of(sum))
  (d, sum.data<T>(), rows, channels);
}
template void column_sums_naive<float>(const float*, int64_t, int64_t, const Tensor&);
template void column_sums_naive<double>(const double*, int64_t, int64_t, const Tensor&);

template <class S>
void column_sums(const S* d, int64_t rows, int64_t channels, const Tensor& sum) {
  if (channels == 0) return;
  const int64_t channel_blocks = ceil_div(channels, lanes);
  // Enough blocks to occupy a GPU, each with at least 128 rows to sum.
  const int64_t wanted =
      std::clamp<int64_t>(512 / channel_blocks, 1, std::max<int64_t>(1, rows / 128));
  const int64_t rows_per_chunk = std::max<int64_t>(1, ceil_div(rows, wanted)),
                chunks = std::max<int64_t>(1, ceil_div(rows, rows_per_chunk));
  const dim3 grid = blocks_for(chunks * channel_blocks, 1), block(lanes, row_lanes);
  const auto chunk_sums = [&](float* to) {
    LAUNCH(chunk_sums_kernel<S>, grid, block, 0, stream_of(sum))
    (d, to, rows, channels, rows_per_chunk, static_cast<int>(channel_blocks));
  };
  if (chunks == 1) return chunk_sums(sum.data<float>());
  const Tensor partial = Tensor::empty({chunks, channels}, DType::f32, sum.device());
  chunk_sums(partial.data<float>());
  column_sums_naive<float>(partial.data<float>(), chunks, channels, sum);
}
template void column_sums<float>(const float*, int64_t, int64_t, const Tensor&);
template void column_sums<bfloat16>(const bfloat16*, int64_t, int64_t, const Tensor&);

}  // namespace limbeck::cuda
