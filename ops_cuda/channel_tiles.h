// Passes over a channels-last matrix [rows, C] of f32 or bf16 by blocks of 256 threads: `across`
// threads side by side along the channels (each V of them, by one access of up to 16 bytes), 256 /
// across rows at a time, so that a warp always reads one or a few runs of neighbouring addresses.
// Arithmetic, sums and statistics are float whatever the matrix is stored as. Sums over rows take
// two launches: each block of the grid (tiles of channels x slices of rows) leaves a partial
// result, then a warp per channel joins the slices. The grid is a function of the shape alone and
// the order of additions is fixed: the same bits on every GPU, in every run.
#pragma once
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <type_traits>

#include "ops_cuda/launch.h"
#include "ops_cuda/rows.h"
#include "ops_cuda/running_statistics.h"

// Without stores in between, the loads of four rows are on their way at once.
#if defined(__CUDACC__)
#define LIMBECK_FOUR_ROWS _Pragma("unroll 4")
#else
#define LIMBECK_FOUR_ROWS
#endif

namespace limbeck::cuda {

inline constexpr int tile_threads = 256;

struct Tiles {
  int64_t rows, channels;
  int64_t rows_per_slice;
  int across;  // a power of two up to 32
  int slices;

  Tiles(int64_t rows_, int64_t channels_, int vector)
      : rows(rows_), channels(channels_), across(1) {
    while (across < 32 && across * vector < channels) across *= 2;
    // At least eight rows a thread, at most about a thousand blocks.
    const int64_t tiles = tiles_for(vector), most = std::max<int64_t>(1, 1024 / tiles);
    rows_per_slice =
        std::max<int64_t>(1, ceil_div(rows, std::clamp<int64_t>(rows / (down() * 8), 1, most)));
    slices = static_cast<int>(std::max<int64_t>(1, ceil_div(rows, rows_per_slice)));
  }
  LIMBECK_HD int down() const { return tile_threads / across; }
  int64_t tiles_for(int vector) const { return ceil_div(channels, int64_t{across} * vector); }
  dim3 grid(int vector) const {
    return dim3(blocks_for(tiles_for(vector), 1).x, static_cast<unsigned>(slices));
  }

  // In a kernel:
  __device__ int x() const { return static_cast<int>(threadIdx.x) % across; }
  __device__ int y() const { return static_cast<int>(threadIdx.x) / across; }
  template <int V>
  __device__ int64_t channel() const {
    return (static_cast<int64_t>(blockIdx.x) * across + x()) * V;
  }  // the first of V; may be >= channels
  __device__ int64_t begin(int64_t slice) const { return slice * rows_per_slice; }
  __device__ int64_t end(int64_t slice) const {
    return std::min(rows, (slice + 1) * rows_per_slice);
  }
};

/// V values of each thread summed over the threads with the same x(); the result is in the threads
/// with y() = 0. Contains barriers.
template <int V>
__device__ void sum_down(const Tiles& t, float (&value)[V]) {
  SHARED(float, shared, [V][tile_threads]);
  const int at = static_cast<int>(threadIdx.x);
  for (int v = 0; v < V; ++v) shared[v][at] = value[v];
  for (int half = t.down() / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t.y() < half)
      for (int v = 0; v < V; ++v) shared[v][at] += shared[v][at + half * t.across];
  }
  for (int v = 0; v < V; ++v) value[v] = shared[v][at];
  __syncthreads();  // before the next use of `shared`
}

// --- mean and variance: joined by Chan's formula, so nothing cancels however large the mean ------
struct Moments {
  float count, mean, m2;  ///< m2: sum of squared distances from the mean
  __device__ void join(const Moments& o) {
    if (o.count == 0) return;
    const float all = count + o.count, d = o.mean - mean, part = o.count / all;
    m2 += o.m2 + d * d * count * part;
    mean += d * part;
    count = all;
  }
};

/// partial [2, C, slices]: mean and m2 of each slice.
template <class S, int V>
__global__ void __launch_bounds__(tile_threads)
    partial_moments(const S* x, Tiles t, float* partial) {
  SHARED(Moments, shared, [V][tile_threads]);
  const int at = static_cast<int>(threadIdx.x);
  const int64_t channel = t.channel<V>(), slice = blockIdx.y;
  float first[V] = {}, sum[V] = {}, squares[V] = {};
  int64_t count = 0;
  // Distances from the first value are small numbers, unless it is an outlier: then once more, from
  // the mean.
  for (bool again = channel < t.channels, given = false; again; given = true) {
    again = false;
    count = 0;
    for (int v = 0; v < V; ++v) sum[v] = squares[v] = 0;
    LIMBECK_FOUR_ROWS
    for (int64_t r = t.begin(slice) + t.y(); r < t.end(slice); r += t.down(), ++count) {
      const auto value = load_floats<V>(x + r * t.channels + channel);
      for (int v = 0; v < V; ++v) {
        if (count == 0 && !given) first[v] = value[v];
        const float d = value[v] - first[v];
        sum[v] += d;
        squares[v] += d * d;
      }
    }
    for (int v = 0; v < V && !given; ++v) {
      const float mean = sum[v] / static_cast<float>(count);
      if (!((squares[v] - sum[v] * mean) * 32 < squares[v])) continue;
      first[v] += mean;
      again = true;
    }
  }
  const float n = static_cast<float>(count), inverse = count > 0 ? 1 / n : 0.0f;
  for (int v = 0; v < V; ++v) {
    const float rest = squares[v] - sum[v] * sum[v] * inverse;
    shared[v][at] = {n, first[v] + sum[v] * inverse, rest < 0 ? 0.0f : rest};  // keeps NaN
  }
  for (int half = t.down() / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t.y() < half)
      for (int v = 0; v < V; ++v) shared[v][at].join(shared[v][at + half * t.across]);
  }
  if (t.y() > 0 || channel >= t.channels) return;
  for (int v = 0; v < V; ++v) {
    partial[(channel + v) * gridDim.y + slice] = shared[v][at].mean;
    partial[(t.channels + channel + v) * gridDim.y + slice] = shared[v][at].m2;
  }
}

struct MomentsResult {
  float *mean, *var, *invstd;  ///< [C] each
};

/// A warp per channel joins the slices, and moves the running statistics.
template <class = void>  // a template, so that several files may include it
__global__ void finish_moments(const float* partial, Tiles t, float eps, MomentsResult result,
                               Running<float> running) {
  const int64_t c = warp_row();
  if (c >= t.channels) return;
  const float *means = partial + c * t.slices, *m2s = partial + (t.channels + c) * t.slices,
              n = static_cast<float>(t.rows);
  float sum = 0, m2 = 0;
  for (int s = warp_lane(); s < t.slices; s += 32)
    sum += static_cast<float>(t.end(s) - t.begin(s)) / n * means[s];
  const float m = warp_total(sum);
  for (int s = warp_lane(); s < t.slices; s += 32)
    m2 += m2s[s] + static_cast<float>(t.end(s) - t.begin(s)) * (means[s] - m) * (means[s] - m);
  const float variance = warp_total(m2) / n;
  if (warp_lane() > 0) return;
  result.mean[c] = m;
  result.var[c] = variance;
  result.invstd[c] = 1 / std::sqrt(variance + eps);
  running.move(c, m, variance);
}

/// Calls body(integral_constant<int, V>) with the widest V that divides the channels and whose
/// accesses the addresses allow: f32 4 or 1, bf16 8, 4, 2 or 1. Null pointers allow any.
template <class S, class Body>
void by_channels(int64_t channels, std::initializer_list<const S*> pointers, Body&& body) {
  const auto allows = [&](int v) {
    return channels % v == 0 && std::all_of(pointers.begin(), pointers.end(),
                                            [v](const S* p) { return aligned_for(v, p); });
  };
  if constexpr (sizeof(S) == 2) {
    if (allows(8)) return body(std::integral_constant<int, 8>{});
    if (allows(4)) return body(std::integral_constant<int, 4>{});
    if (allows(2)) return body(std::integral_constant<int, 2>{});
  } else {
    if (allows(4)) return body(std::integral_constant<int, 4>{});
  }
  body(std::integral_constant<int, 1>{});
}

template <class S, int V>
void launch_moments(const Tensor& x, double eps, const MomentsResult& result,
                    const Running<float>& running) {
  const int64_t channels = x.size(-1);
  const Tiles t(x.numel() / channels, channels, V);
  const Tensor partial = Tensor::empty({2, channels, t.slices}, DType::f32, x.device());
  LAUNCH((partial_moments<S, V>), t.grid(V), tile_threads, 0, stream_of(x))
  (x.data<S>(), t, partial.data<float>());
  LAUNCH(finish_moments<>, blocks_for_rows(channels), 32 * rows_per_block, 0, stream_of(x))
  (partial.data<float>(), t, static_cast<float>(eps), result, running);
}

/// What the batch normalisations start with: statistics of input 0 [.., C] of type S into outputs
/// 1, 2, 3 (mean, variance, invstd [C], f32), and the running ones, inputs `running` and `running`
/// + 1. Those of nothing: mean 0, variance 0.
template <class S>
void channel_moments(const ForwardCall& c, size_t running) {
  const Tensor& x = c.in[0];
  const double eps = c.attrs.number("eps", 1e-5);
  if (x.numel() == 0) {
    c.out[1].fill(0);
    c.out[2].fill(0);
    c.out[3].fill(1 / std::sqrt(eps));
    return;
  }
  const MomentsResult result{c.out[1].data<float>(), c.out[2].data<float>(),
                             c.out[3].data<float>()};
  const Running<float> statistics(c, running);
  by_channels<S>(x.size(-1), {x.data<S>()}, [&](auto vector) {
    launch_moments<S, decltype(vector)::value>(x, eps, result, statistics);
  });
}

/// Parameter gradients of nothing; either may be unwanted.
inline void fill_with_zeros(const Tensor& a, const Tensor& b) {
  for (const Tensor* t : {&a, &b})
    if (t->defined()) t->fill(0);
}

}  // namespace limbeck::cuda
