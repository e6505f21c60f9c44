// batch_norm and batch_norm_eval with fused residual and ReLU, tuned (f32); naive in ops_cuda/batch_norm.cu, contract in ops/batch_norm.cpp.
//   forward   xhat = (x - mean) invstd,  y = act(gamma xhat + beta + residual),  invstd = 1 / sqrt(var + eps)
//   backward  g = dy [y > 0 if act is relu];  dresidual = g,  dbeta = sum g,  dgamma = sum g xhat
//             batch statistics:  dx = gamma invstd (g - dbeta / n - xhat dgamma / n);   given statistics:  dx = gamma invstd g
// x, y, residual, dy, dx, dresidual [n, C]; gamma, beta, mean, var, invstd, dgamma, dbeta [C]. All outputs are overwritten.
// Threads: ops_cuda/channel_tiles.h; 16-byte accesses where C is a multiple of 4. Three launches forward (partial statistics, join, apply), three
// backward (partial sums, join, dx). Shared memory up to 12 KiB. Two-stage sums in a fixed order: deterministic.
// Bytes an element: forward 12, with residual 16. Backward 20 (x, dy | x, dy, dx): without a residual the ReLU's mask is recomputed from x,
// with the same instructions as forward, so y is not read. With residual and ReLU 28 (x, dy, y, g | x, g, dx): g = dresidual is written by
// the first pass and read by the second. 7 FLOPs an element forward, 9 backward: bandwidth-bound.
// Source: Ioffe & Szegedy 2015; Chan, Golub, LeVeque 1979 (joining variances).
#include "ops/norm.h"
#include "ops_cuda/channel_tiles.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/running_statistics.h"

namespace limbeck::cuda {
namespace {

/// What maps x to the normalised value; invstd null: from var (eval).
struct Affine {
  const float *gamma, *beta, *mean, *invstd, *var;
  float eps;
  __device__ float inverse(int64_t c) const { return invstd ? invstd[c] : 1 / std::sqrt(var[c] + eps); }
};

/// Forward and the recomputed mask use this one function: the same bits.
template <int V>
struct Scale {
  float mean[V], scale[V], shift[V];
  __device__ Scale(const Affine& a, int64_t channel) {
    for (int v = 0; v < V; ++v) {
      mean[v] = a.mean[channel + v];
      scale[v] = (a.gamma ? a.gamma[channel + v] : 1.0f) * a.inverse(channel + v);
      shift[v] = a.beta ? a.beta[channel + v] : 0.0f;
    }
  }
  __device__ float operator()(int v, float x) const { return fmaf(x - mean[v], scale[v], shift[v]); }
};

template <int V, bool relu>
__global__ void __launch_bounds__(tile_threads) apply(const float* x, const float* residual, Affine affine, Tiles t, float* y) {
  const int64_t channel = t.channel<V>();
  if (channel >= t.channels) return;
  const Scale<V> scale(affine, channel);
  for (int64_t r = t.begin(blockIdx.y) + t.y(); r < t.end(blockIdx.y); r += t.down()) {
    const int64_t at = r * t.channels + channel;
    auto value = load_vector<V>(x + at);
    for (int v = 0; v < V; ++v) value[v] = scale(v, value[v]);
    if (residual) {
      const auto more = load_vector<V>(residual + at);
      for (int v = 0; v < V; ++v) value[v] += more[v];
    }
    for (int v = 0; v < V; ++v)
      if (relu && value[v] <= 0) value[v] = 0;
    store_vector(y + at, value);
  }
}

enum class Mask { none, stored, recomputed };

template <int V, Mask mask>
__device__ Vector<float, V> masked(const Scale<V>& scale, const Vector<float, V>& x, const float* y, const float* dy, int64_t at) {
  auto g = load_vector<V>(dy + at);
  if constexpr (mask == Mask::recomputed)
    for (int v = 0; v < V; ++v)
      if (scale(v, x[v]) <= 0) g[v] = 0;
  if constexpr (mask == Mask::stored) {
    const auto value = load_vector<V>(y + at);
    for (int v = 0; v < V; ++v)
      if (value[v] <= 0) g[v] = 0;
  }
  return g;
}

// partial [2, C, slices]: sums of g and g (x - mean). dresidual may be null.
template <int V, Mask mask>
__global__ void __launch_bounds__(tile_threads) partial_sums(const float* x, const float* y, const float* dy, Affine affine, Tiles t, float* partial,
                                                             float* dresidual) {
  const int64_t channel = t.channel<V>();
  float sum_g[V] = {}, sum_gx[V] = {};
  if (channel < t.channels) {
    const Scale<V> scale(affine, channel);
    for (int64_t r = t.begin(blockIdx.y) + t.y(); r < t.end(blockIdx.y); r += t.down()) {
      const int64_t at = r * t.channels + channel;
      const auto value = load_vector<V>(x + at);
      const auto g = masked<V, mask>(scale, value, y, dy, at);
      for (int v = 0; v < V; ++v) {
        sum_g[v] += g[v];
        sum_gx[v] += g[v] * (value[v] - scale.mean[v]);
      }
      if (dresidual) store_vector(dresidual + at, g);
    }
  }
  sum_down(t, sum_g);
  sum_down(t, sum_gx);
  if (t.y() > 0 || channel >= t.channels) return;
  for (int v = 0; v < V; ++v) {
    partial[(channel + v) * gridDim.y + blockIdx.y] = sum_g[v];
    partial[(t.channels + channel + v) * gridDim.y + blockIdx.y] = sum_gx[v];
  }
}

// A warp per channel. sums [2, C]: sum g, sum g xhat.
__global__ void finish_sums(const float* partial, Affine affine, Tiles t, float* sums, float* dgamma, float* dbeta) {
  const int64_t c = warp_row();
  if (c >= t.channels) return;
  float sum_g = 0, sum_gx = 0;
  for (int s = warp_lane(); s < t.slices; s += 32) {
    sum_g += partial[c * t.slices + s];
    sum_gx += partial[(t.channels + c) * t.slices + s];
  }
  sum_g = warp_total(sum_g);
  sum_gx = warp_total(sum_gx) * affine.inverse(c);
  if (warp_lane() > 0) return;
  sums[c] = sum_g;
  sums[t.channels + c] = sum_gx;
  if (dbeta) dbeta[c] = sum_g;
  if (dgamma) dgamma[c] = sum_gx;
}

// sums null: given statistics. dx or dresidual may be null.
template <int V, Mask mask>
__global__ void __launch_bounds__(tile_threads) input_gradient(const float* x, const float* y, const float* dy, Affine affine, const float* sums, Tiles t,
                                                               float* dx, float* dresidual) {
  const int64_t channel = t.channel<V>();
  if (channel >= t.channels) return;
  const Scale<V> scale(affine, channel);
  const float inverse_n = 1 / static_cast<float>(t.rows);
  float offset[V], slope[V];  // dx = scale (g - offset - (x - mean) slope)
  for (int v = 0; v < V; ++v) {
    offset[v] = sums ? sums[channel + v] * inverse_n : 0.0f;
    slope[v] = sums ? sums[t.channels + channel + v] * inverse_n * affine.inverse(channel + v) : 0.0f;
  }
  for (int64_t r = t.begin(blockIdx.y) + t.y(); r < t.end(blockIdx.y); r += t.down()) {
    const int64_t at = r * t.channels + channel;
    const auto value = load_vector<V>(x + at);
    auto g = masked<V, mask>(scale, value, y, dy, at);
    if (dresidual) store_vector(dresidual + at, g);
    if (!dx) continue;
    for (int v = 0; v < V; ++v) g[v] = scale.scale[v] * (g[v] - offset[v] - (value[v] - scale.mean[v]) * slope[v]);
    store_vector(dx + at, g);
  }
}

void launch_apply(const Tensor& x, const Tensor& residual, const Affine& affine, bool relu, const Tensor& y) {
  const float *px = x.data<float>(), *pr = optional_data<float>(residual);
  float* py = y.data<float>();
  const int64_t channels = x.size(-1);
  by_channels(channels, aligned_for(4, px, pr, py), [&](auto vector) {
    constexpr int V = decltype(vector)::value;
    const Tiles t(x.numel() / channels, channels, V);
    if (relu) LAUNCH((apply<V, true>), t.grid(V), tile_threads, 0, stream_of(x))(px, pr, affine, t, py);
    else LAUNCH((apply<V, false>), t.grid(V), tile_threads, 0, stream_of(x))(px, pr, affine, t, py);
  });
}

struct Gradients {
  const Tensor &dx, &dgamma, &dbeta, &dresidual;
};

template <int V, Mask mask>
void launch_backward(const float* x, const float* y, const float* dy, const Affine& affine, bool batch, const Tensor& like, const Gradients& d) {
  const int64_t channels = like.size(-1);
  const Tiles t(like.numel() / channels, channels, V);
  const cudaStream_t stream = stream_of(like);
  float *dx = optional_data<float>(d.dx), *dresidual = optional_data<float>(d.dresidual);
  const bool need_sums = (batch && dx) || d.dgamma.defined() || d.dbeta.defined();
  const Tensor sums = workspace<float>(like, {2, channels});
  if (need_sums) {
    const Tensor partial = workspace<float>(like, {2, channels, t.slices});
    LAUNCH((partial_sums<V, mask>), t.grid(V), tile_threads, 0, stream)(x, y, dy, affine, t, partial.data<float>(), dresidual);
    LAUNCH(finish_sums, blocks_for_rows(channels), 32 * rows_per_block, 0, stream)
    (partial.data<float>(), affine, t, sums.data<float>(), optional_data<float>(d.dgamma), optional_data<float>(d.dbeta));
  }
  const float* joined = batch ? sums.data<float>() : nullptr;
  if (need_sums && dresidual) {  // g is there already
    if (dx) LAUNCH((input_gradient<V, Mask::none>), t.grid(V), tile_threads, 0, stream)(x, nullptr, dresidual, affine, joined, t, dx, nullptr);
  } else if (dx || dresidual) {
    LAUNCH((input_gradient<V, mask>), t.grid(V), tile_threads, 0, stream)(x, y, dy, affine, joined, t, dx, dresidual);
  }
}

void backward(const Tensor& x, const Affine& affine, const Tensor& residual, const Tensor& y, const Tensor& dy, bool relu, bool batch, const Gradients& d) {
  const float *px = x.data<float>(), *pdy = dy.data<float>(), *py = relu && residual.defined() ? y.data<float>() : nullptr;
  const bool aligned = aligned_for(4, px, py, pdy, optional_data<float>(d.dx), optional_data<float>(d.dresidual));
  by_channels(dy.size(-1), aligned, [&](auto vector) {
    constexpr int V = decltype(vector)::value;
    if (!relu) launch_backward<V, Mask::none>(px, py, pdy, affine, batch, dy, d);
    else if (py) launch_backward<V, Mask::stored>(px, py, pdy, affine, batch, dy, d);
    else launch_backward<V, Mask::recomputed>(px, py, pdy, affine, batch, dy, d);
  });
}

// The statistics of nothing: mean 0, variance 0.
void forward_of_nothing(const ForwardCall& c) {
  c.out[1].fill(0);
  c.out[2].fill(0);
  c.out[3].fill(1 / std::sqrt(c.attrs.number("eps", 1e-5)));
}
void gradient_of_nothing(const Tensor& dgamma, const Tensor& dbeta) {
  if (dgamma.defined()) dgamma.fill(0);
  if (dbeta.defined()) dbeta.fill(0);
}

void train_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &mean = c.out[1], &invstd = c.out[3];
  if (x.numel() == 0) return forward_of_nothing(c);
  channel_moments(x, c.attrs.number("eps", 1e-5), mean, c.out[2], invstd);
  const Affine affine{optional_data<float>(c.in[1]), optional_data<float>(c.in[2]), mean.data<float>(), invstd.data<float>(), nullptr, 0};
  launch_apply(x, c.in[3], affine, fused_relu("batch_norm", c.attrs), c.out[0]);
  update_running<float>(c, 4);
}

void train_backward(const BackwardCall& c) {
  if (c.dout[0].numel() == 0) return gradient_of_nothing(c.din[1], c.din[2]);
  const Affine affine{optional_data<float>(c.in[1]), optional_data<float>(c.in[2]), c.out[1].data<float>(), c.out[3].data<float>(), nullptr, 0};
  backward(c.in[0], affine, c.in[3], c.out[0], c.dout[0], fused_relu("batch_norm", c.attrs), true, {c.din[0], c.din[1], c.din[2], c.din[3]});
}

Affine given(const Tensors& in, const Attrs& attrs) {
  return {optional_data<float>(in[1]), optional_data<float>(in[2]), in[3].data<float>(), nullptr, in[4].data<float>(),
          static_cast<float>(attrs.number("eps", 1e-5))};
}

void eval_forward(const ForwardCall& c) {
  if (c.in[0].numel() == 0) return;
  launch_apply(c.in[0], c.in[5], given(c.in, c.attrs), fused_relu("batch_norm_eval", c.attrs), c.out[0]);
}

void eval_backward(const BackwardCall& c) {
  if (c.dout[0].numel() == 0) return gradient_of_nothing(c.din[1], c.din[2]);
  backward(c.in[0], given(c.in, c.attrs), c.in[5], c.out[0], c.dout[0], fused_relu("batch_norm_eval", c.attrs), false,
           {c.din[0], c.din[1], c.din[2], c.din[5]});
}

const RegisterTuned batch_norm("batch_norm", train_forward, train_backward);
const RegisterTuned batch_norm_eval("batch_norm_eval", eval_forward, eval_backward);

}  // namespace
}  // namespace limbeck::cuda
