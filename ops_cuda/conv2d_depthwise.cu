// Depthwise convolution (groups = C = O), forward and backward; images stored in S = f32 or bf16,
// arithmetic and the rest in f32.
//   y[n,oy,ox,c]  = b[c] + sum_{ky,kx} x[n, oy s - p + ky d, ox s - p + kx d, c] w[c,ky,kx]
//   dx[n,ih,iw,c] = b[c] + sum over the taps with oy s - p + ky d = ih, ox s - p + kx d = iw of
//                   dy[n,oy,ox,c] w[c,ky,kx]
//   dw[c,ky,kx]   = sum_{n,oy,ox} dy[n,oy,ox,c] x[n, oy s - p + ky d, ox s - p + kx d, c]
// x, dx [N,H,W,C], w, dw [C,kh,kw], b [C], y, dy [N,OH,OW,C]; every result is overwritten. A block
// is 32 x 8 threads: 32 neighbours along the channels, of four channels each where C % 4 == 0 (16-
// or 8-byte loads; otherwise one), and 8 pixels at a time. Forward and backward-data keep the
// weights of the block's channels in shared memory, [tap][channel], at most 32 KiB, for 64 pixels.
// The weight gradient: a block sums one row of taps (up to 8 wide, in registers) over a chunk of
// pixels, its eight pixel lanes meet in shared memory (4 KiB) in a fixed order; a second kernel
// adds the chunks, first to last. Deterministic. FLOPs: 2 kh kw per element of y. Bytes at best
// sizeof(S) (x + y); each x is read up to kh kw times, by neighbours and mostly from caches. The
// weight gradient reads dy and x kh times. Source: Chollet, Xception, CVPR 2017.
#include "ops_cuda/conv2d_depthwise.h"

#include <algorithm>

#include "ops_cuda/launch.h"

namespace limbeck::cuda {
namespace {

constexpr int lanes = 32, pixel_lanes = 8, pixels_per_block = 64, widest = 8, most_taps = 64;

/// Conv2dSizes in 32 bits, as kernels use them.
struct Sizes {
  int n, h, w, c, oh, ow, kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int channel_blocks;  // of lanes * VEC channels
};

struct Pixel {
  int n, y, x;
};
__device__ Pixel pixel_of(int p, int height, int width) {
  return {p / width / height, p / width % height, p % width};
}

/// Weights of channels c0 .. c0 + count - 1 as [tap][count]; zeros past the last channel. Contains
/// a barrier.
__device__ void load_weights(float* tile, const float* w, const Sizes& s, int c0, int count) {
  const int taps = s.kh * s.kw;
  for (int i = static_cast<int>(threadIdx.y) * lanes + static_cast<int>(threadIdx.x);
       i < taps * count; i += lanes * pixel_lanes) {
    const int c = c0 + i / taps;
    tile[i % taps * count + i / taps] = c < s.c ? w[c * taps + i % taps] : 0.f;
  }
  __syncthreads();
}

/// Forward: input position of output position `at` and tap k. Backward: output position that reads
/// input position `at` through tap k.
template <bool backward>
__device__ bool other_position(int& found, int at, int k, int stride, int pad, int dilation,
                               int size) {
  if (backward) {
    const int distance = at + pad - k * dilation;
    found = distance / stride;
    return distance >= 0 && distance % stride == 0 && found < size;
  }
  found = at * stride - pad + k * dilation;
  return found >= 0 && found < size;
}

/// Forward (to = y, from = x) and backward-data (to = dx, from = dy).
template <class S, int VEC, bool backward>
__global__ void window_kernel(Sizes s, const S* from, const float* w, const float* b, S* to) {
  SHARED_DYN(float, weights);
  constexpr int count = lanes * VEC;
  const int chunk = static_cast<int>(blockIdx.x) % s.channel_blocks,
            first = static_cast<int>(blockIdx.x) / s.channel_blocks * pixels_per_block;
  const int c = chunk * count + static_cast<int>(threadIdx.x) * VEC;
  load_weights(weights, w, s, chunk * count, count);
  const int height = backward ? s.h : s.oh, width = backward ? s.w : s.ow,
            from_h = backward ? s.oh : s.h, from_w = backward ? s.ow : s.w;
  for (int p = first + static_cast<int>(threadIdx.y);
       p < first + pixels_per_block && p < s.n * height * width && c < s.c; p += pixel_lanes) {
    const Pixel at = pixel_of(p, height, width);
    Vector<float, VEC> sum;
    for (int e = 0; e < VEC; ++e) sum[e] = b ? b[c + e] : 0.f;
    for (int ky = 0; ky < s.kh; ++ky) {
      int y, x;
      if (!other_position<backward>(y, at.y, ky, s.stride_h, s.pad_h, s.dilation_h, from_h))
        continue;
      for (int kx = 0; kx < s.kw; ++kx) {
        if (!other_position<backward>(x, at.x, kx, s.stride_w, s.pad_w, s.dilation_w, from_w))
          continue;
        const auto v = load_floats<VEC>(from + ((at.n * from_h + y) * from_w + x) * s.c + c);
        const auto weight = load_vector<VEC>(weights + (ky * s.kw + kx) * count +
                                             static_cast<int>(threadIdx.x) * VEC);
        for (int e = 0; e < VEC; ++e) sum[e] += v[e] * weight[e];
      }
    }
    store_floats(to + p * s.c + c, sum);
  }
}

/// partial[chunk][ky][kx][c].
template <class S, int VEC>
__global__ void weight_kernel(Sizes s, const S* x, const S* dy, float* partial,
                              int pixels_per_chunk) {
  SHARED(float, lane_sums, [pixel_lanes][lanes * VEC]);
  const int channel_block = static_cast<int>(blockIdx.x) % s.channel_blocks,
            rest = static_cast<int>(blockIdx.x) / s.channel_blocks;
  const int ky = rest % s.kh, chunk = rest / s.kh,
            c = (channel_block * lanes + static_cast<int>(threadIdx.x)) * VEC;
  const int pixels = s.n * s.oh * s.ow, begin = chunk * pixels_per_chunk,
            end = pixels < begin + pixels_per_chunk ? pixels : begin + pixels_per_chunk;
  Vector<float, VEC> sums[widest];
  for (int kx = 0; kx < widest; ++kx)
    for (int e = 0; e < VEC; ++e) sums[kx][e] = 0;
  for (int p = begin + static_cast<int>(threadIdx.y); p < end && c < s.c; p += pixel_lanes) {
    const Pixel at = pixel_of(p, s.oh, s.ow);
    int iy, ix;
    if (!other_position<false>(iy, at.y, ky, s.stride_h, s.pad_h, s.dilation_h, s.h)) continue;
    const auto gradient = load_floats<VEC>(dy + p * s.c + c);
    for (int kx = 0; kx < widest; ++kx)  // a constant bound keeps `sums` in registers
      if (kx < s.kw &&
          other_position<false>(ix, at.x, kx, s.stride_w, s.pad_w, s.dilation_w, s.w)) {
        const auto v = load_floats<VEC>(x + ((at.n * s.h + iy) * s.w + ix) * s.c + c);
        for (int e = 0; e < VEC; ++e) sums[kx][e] += gradient[e] * v[e];
      }
  }
  for (int kx = 0; kx < widest; ++kx) {
    if (kx >= s.kw) break;  // the same for all threads
    store_vector(&lane_sums[threadIdx.y][threadIdx.x * VEC], sums[kx]);
    __syncthreads();
    if (threadIdx.y == 0 && c < s.c) {
      for (int lane = 1; lane < pixel_lanes; ++lane)
        for (int e = 0; e < VEC; ++e) sums[kx][e] += lane_sums[lane][threadIdx.x * VEC + e];
      store_vector(partial + ((chunk * s.kh + ky) * s.kw + kx) * s.c + c, sums[kx]);
    }
    __syncthreads();  // before the next tap takes `lane_sums`
  }
}

/// dw[c][tap] = sum over chunks of partial[chunk][tap][c].
__global__ void sum_chunks_kernel(const float* partial, float* dw, int chunks, int taps,
                                  int channels) {
  const int64_t i = global_index();
  if (i >= int64_t{taps} * channels) return;
  float sum = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) sum += partial[int64_t{chunk} * taps * channels + i];
  dw[i % channels * taps + i / channels] = sum;
}

Sizes sizes_of(const Conv2dSizes& s, int vec) {
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  return {i(s.n),     i(s.h),     i(s.w),          i(s.c),          i(s.oh),
          i(s.ow),    i(s.kh),    i(s.kw),         i(s.stride_h),   i(s.stride_w),
          i(s.pad_h), i(s.pad_w), i(s.dilation_h), i(s.dilation_w), i(ceil_div(s.c, lanes * vec))};
}

template <class S, int VEC, bool backward>
void window(const Conv2dSizes& sizes, const Tensor& from, const Tensor& w, const Tensor& b,
            const Tensor& to) {
  const Sizes s = sizes_of(sizes, VEC);
  const dim3 grid = blocks_for(s.channel_blocks * ceil_div(to.numel() / s.c, pixels_per_block), 1);
  const size_t shared = sizeof(float) * static_cast<size_t>(s.kh * s.kw * lanes * VEC);
  LAUNCH((window_kernel<S, VEC, backward>), grid, dim3(lanes, pixel_lanes), shared, stream_of(to))
  (s, from.data<S>(), w.data<float>(), b ? b.data<float>() : nullptr, to.data<S>());
}

template <class S, int VEC>
void weight(const Conv2dSizes& sizes, const Tensor& x, const Tensor& dy, const Tensor& dw) {
  const Sizes s = sizes_of(sizes, VEC);
  const int64_t pixels = sizes.n * sizes.oh * sizes.ow, taps = sizes.kh * sizes.kw;
  // Enough blocks to occupy a GPU, each with at least 64 pixels to sum.
  const int64_t wanted = std::clamp<int64_t>(512 / (int64_t{s.channel_blocks} * s.kh), 1,
                                             std::max<int64_t>(1, pixels / 64));
  const int64_t per_chunk = std::max<int64_t>(1, ceil_div(pixels, wanted)),
                chunks = std::max<int64_t>(1, ceil_div(pixels, per_chunk));
  const Tensor partial = Tensor::empty({chunks, taps, sizes.c}, DType::f32, dw.device());
  LAUNCH((weight_kernel<S, VEC>), blocks_for(chunks * s.kh * s.channel_blocks, 1),
         dim3(lanes, pixel_lanes), 0, stream_of(dw))
  (s, x.data<S>(), dy.data<S>(), partial.data<float>(), static_cast<int>(per_chunk));
  LAUNCH(sum_chunks_kernel, blocks_for(taps * sizes.c), 256, 0, stream_of(dw))
  (partial.data<float>(), dw.data<float>(), static_cast<int>(chunks), static_cast<int>(taps), s.c);
}

template <class S>
bool in_fours(const Conv2dSizes& s, const Tensor& a, const Tensor& b) {
  return s.c % 4 == 0 && aligned_for(4, a.data<S>(), b.data<S>());
}

}  // namespace

bool depthwise_serves(const Conv2dSizes& s) {
  constexpr int64_t limit = int64_t{1} << 30;
  return s.groups == s.c && s.groups == s.o && s.kh * s.kw <= most_taps && s.kw <= widest &&
         s.n * (s.h + 2 * s.pad_h) * (s.w + 2 * s.pad_w) * s.c <= limit &&
         s.n * s.oh * s.ow * s.o <= limit && s.stride_h < limit && s.stride_w < limit &&
         s.dilation_h * s.kh < limit && s.dilation_w * s.kw < limit;
}

template <class S>
void depthwise_forward(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
                       const Tensor& y) {
  if (y.numel() == 0) return;
  in_fours<S>(s, x, y) ? window<S, 4, false>(s, x, w, b, y) : window<S, 1, false>(s, x, w, b, y);
}
template <class S>
void depthwise_backward_data(const Conv2dSizes& s, const Tensor& dy, const Tensor& w,
                             const Tensor& b, const Tensor& dx) {
  if (dx.numel() == 0) return;
  in_fours<S>(s, dy, dx) ? window<S, 4, true>(s, dy, w, b, dx)
                         : window<S, 1, true>(s, dy, w, b, dx);
}
template <class S>
void depthwise_backward_weight(const Conv2dSizes& s, const Tensor& x, const Tensor& dy,
                               const Tensor& dw) {
  in_fours<S>(s, x, dy) ? weight<S, 4>(s, x, dy, dw) : weight<S, 1>(s, x, dy, dw);
}

template void depthwise_forward<float>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                       const Tensor&, const Tensor&);
template void depthwise_backward_data<float>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                             const Tensor&, const Tensor&);
template void depthwise_backward_weight<float>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                               const Tensor&);
template void depthwise_forward<bfloat16>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                          const Tensor&, const Tensor&);
template void depthwise_backward_data<bfloat16>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                                const Tensor&, const Tensor&);
template void depthwise_backward_weight<bfloat16>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                                  const Tensor&);

}  // namespace limbeck::cuda
