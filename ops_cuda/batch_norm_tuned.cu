// batch_norm and batch_norm_eval with fused residual and ReLU, tuned (f32, bf16); naive in
// ops_cuda/batch_norm.cu, contract in ops/batch_norm.cpp.
//   forward   xhat = (x - mean) invstd,  y = act(gamma xhat + beta + residual),  invstd = 1 /
//                                        sqrt(var + eps)
//   backward  g = dy [y > 0 if act is relu];  dresidual = g,  dbeta = sum g,  dgamma = sum g xhat
//             batch statistics:  dx = gamma invstd (g - dbeta / n - xhat dgamma / n);   given
//                                statistics:  dx = gamma invstd g
// x, y, residual, dy, dx, dresidual [n, C] of type S, f32 or bf16; gamma, beta, mean, var, invstd,
// dgamma, dbeta [C], sums and arithmetic f32. All outputs are overwritten. Threads:
// ops_cuda/channel_tiles.h; 16-byte accesses where C is a multiple of 4 (bf16: 8). Three launches
// forward (partial statistics, join, apply), three backward (partial sums, join, dx). Shared memory
// up to 24 KiB. Two-stage sums in a fixed order: deterministic. Bytes an element (f32; half of them
// with bf16): forward 12, with residual 16. Backward 20 (x, dy | x, dy, dx): without a residual the
// ReLU's mask is recomputed from x, with the same instructions as forward, so y is not read. With
// residual and ReLU 28 (x, dy, y, g | x, g, dx): g = dresidual is written by the first pass and
// read by the second; it is dy or 0, so storing it loses nothing. 7 FLOPs an element forward, 9
// backward: bandwidth-bound. Source: Ioffe & Szegedy 2015; Chan, Golub, LeVeque 1979 (joining
// variances).
#include "ops/norm.h"
#include "ops_cuda/channel_tiles.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

/// What maps x to the normalised value; invstd null: from var (eval).
struct Affine {
  const float *gamma, *beta, *mean, *invstd, *var;
  float eps;
  __device__ float inverse(int64_t c) const {
    return invstd ? invstd[c] : 1 / std::sqrt(var[c] + eps);
  }
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
  __device__ float operator()(int v, float x) const {
    return fmaf(x - mean[v], scale[v], shift[v]);
  }
};

template <class S, int V, bool relu>
__global__ void __launch_bounds__(tile_threads)
    apply(const S* x, const S* residual, Affine affine, Tiles t, S* y) {
  const int64_t channel = t.channel<V>();
  if (channel >= t.channels) return;
  const Scale<V> scale(affine, channel);
  for (int64_t r = t.begin(blockIdx.y) + t.y(); r < t.end(blockIdx.y); r += t.down()) {
    const int64_t at = r * t.channels + channel;
    auto value = load_floats<V>(x + at);
    for (int v = 0; v < V; ++v) value[v] = scale(v, value[v]);
    if (residual) {
      const auto more = load_floats<V>(residual + at);
      for (int v = 0; v < V; ++v) value[v] += more[v];
    }
    for (int v = 0; v < V; ++v)
      if (relu && value[v] <= 0) value[v] = 0;
    store_floats(y + at, value);
  }
}

enum class Mask { none, stored, recomputed };

template <class S, int V, Mask mask>
__device__ Vector<float, V> masked(const Scale<V>& scale, const Vector<float, V>& x, const S* y,
                                   const S* dy, int64_t at) {
  auto g = load_floats<V>(dy + at);
  if constexpr (mask == Mask::recomputed)
    for (int v = 0; v < V; ++v)
      if (scale(v, x[v]) <= 0) g[v] = 0;
  if constexpr (mask == Mask::stored) {
    const auto value = load_floats<V>(y + at);
    for (int v = 0; v < V; ++v)
      if (value[v] <= 0) g[v] = 0;
  }
  return g;
}

// partial [2, C, slices]: sums of g and g (x - mean). dresidual may be null.
template <class S, int V, Mask mask>
__global__ void __launch_bounds__(tile_threads)
    partial_sums(const S* x, const S* y, const S* dy, Affine affine, Tiles t, float* partial,
                 S* dresidual) {
  const int64_t channel = t.channel<V>();
  float sum_g[V] = {}, sum_gx[V] = {};
  if (channel < t.channels) {
    const Scale<V> scale(affine, channel);
    for (int64_t r = t.begin(blockIdx.y) + t.y(); r < t.end(blockIdx.y); r += t.down()) {
      const int64_t at = r * t.channels + channel;
      const auto value = load_floats<V>(x + at);
      const auto g = masked<S, V, mask>(scale, value, y, dy, at);
      for (int v = 0; v < V; ++v) {
        sum_g[v] += g[v];
        sum_gx[v] += g[v] * (value[v] - scale.mean[v]);
      }
      if (dresidual) store_floats(dresidual + at, g);
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
__global__ void finish_sums(const float* partial, Affine affine, Tiles t, float* sums,
                            float* dgamma, float* dbeta) {
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
template <class S, int V, Mask mask>
__global__ void __launch_bounds__(tile_threads)
    input_gradient(const S* x, const S* y, const S* dy, Affine affine, const float* sums, Tiles t,
                   S* dx, S* dresidual) {
  const int64_t channel = t.channel<V>();
  if (channel >= t.channels) return;
  const Scale<V> scale(affine, channel);
  const float inverse_n = 1 / static_cast<float>(t.rows);
  float offset[V], slope[V];  // dx = scale (g - offset - (x - mean) slope)
  for (int v = 0; v < V; ++v) {
    offset[v] = sums ? sums[channel + v] * inverse_n : 0.0f;
    slope[v] =
        sums ? sums[t.channels + channel + v] * inverse_n * affine.inverse(channel + v) : 0.0f;
  }
  for (int64_t r = t.begin(blockIdx.y) + t.y(); r < t.end(blockIdx.y); r += t.down()) {
    const int64_t at = r * t.channels + channel;
    const auto value = load_floats<V>(x + at);
    auto g = masked<S, V, mask>(scale, value, y, dy, at);
    if (dresidual) store_floats(dresidual + at, g);
    if (!dx) continue;
    for (int v = 0; v < V; ++v)
      g[v] = scale.scale[v] * (g[v] - offset[v] - (value[v] - scale.mean[v]) * slope[v]);
    store_floats(dx + at, g);
  }
}

template <class S, int V>
void launch_apply(const Tensor& x, const S* residual, const Affine& affine, bool relu, S* y) {
  const int64_t channels = x.size(-1);
  const Tiles t(x.numel() / channels, channels, V);
  const S* px = x.data<S>();
  if (relu) LAUNCH((apply<S, V, true>), t.grid(V), tile_threads, 0, stream_of(x))
  (px, residual, affine, t, y);
  else LAUNCH((apply<S, V, false>), t.grid(V), tile_threads, 0, stream_of(x))(px, residual, affine,
                                                                              t, y);
}

template <class S>
void forward(const Tensor& x, const Tensor& residual, const Affine& affine, bool relu,
             const Tensor& y) {
  if (x.numel() == 0) return;
  const S* pr = optional_data<S>(residual);
  S* py = y.data<S>();
  by_channels<S>(x.size(-1), {x.data<S>(), pr, py}, [&](auto vector) {
    launch_apply<S, decltype(vector)::value>(x, pr, affine, relu, py);
  });
}

struct Gradients {
  const Tensor &dx, &dgamma, &dbeta, &dresidual;
};

/// What backward reads; y null unless the mask comes from it.
template <class S>
struct Saved {
  const S *x, *y, *dy;
};

template <class S, int V, Mask mask>
void launch_backward(const Saved<S>& in, const Affine& affine, bool batch, const Tensor& like,
                     const Gradients& d) {
  const int64_t channels = like.size(-1);
  const Tiles t(like.numel() / channels, channels, V);
  const cudaStream_t stream = stream_of(like);
  S *dx = optional_data<S>(d.dx), *dresidual = optional_data<S>(d.dresidual);
  const bool need_sums = (batch && dx) || d.dgamma.defined() || d.dbeta.defined();
  const Tensor sums = workspace<float>(like, {2, channels});
  if (need_sums) {
    const Tensor partial = workspace<float>(like, {2, channels, t.slices});
    LAUNCH((partial_sums<S, V, mask>), t.grid(V), tile_threads, 0, stream)
    (in.x, in.y, in.dy, affine, t, partial.data<float>(), dresidual);
    LAUNCH(finish_sums, blocks_for_rows(channels), 32 * rows_per_block, 0, stream)
    (partial.data<float>(), affine, t, sums.data<float>(), optional_data<float>(d.dgamma),
     optional_data<float>(d.dbeta));
  }
  const float* joined = batch ? sums.data<float>() : nullptr;
  if (need_sums && dresidual) {  // g is there already
    if (dx) LAUNCH((input_gradient<S, V, Mask::none>), t.grid(V), tile_threads, 0, stream)
    (in.x, nullptr, dresidual, affine, joined, t, dx, nullptr);
  } else if (dx || dresidual) {
    LAUNCH((input_gradient<S, V, mask>), t.grid(V), tile_threads, 0, stream)
    (in.x, in.y, in.dy, affine, joined, t, dx, dresidual);
  }
}

template <class S, int V>
void choose_mask(const Saved<S>& in, const Affine& affine, bool relu, bool batch,
                 const Tensor& like, const Gradients& d) {
  if (!relu)
    launch_backward<S, V, Mask::none>(in, affine, batch, like, d);
  else if (in.y)
    launch_backward<S, V, Mask::stored>(in, affine, batch, like, d);
  else
    launch_backward<S, V, Mask::recomputed>(in, affine, batch, like, d);
}

template <class S>
void backward(const Tensor& x, const Affine& affine, const Tensor& residual, const Tensor& y,
              const Tensor& dy, bool relu, bool batch, const Gradients& d) {
  if (dy.numel() == 0) return fill_with_zeros(d.dgamma, d.dbeta);
  const Saved<S> in{x.data<S>(), relu && residual.defined() ? y.data<S>() : nullptr, dy.data<S>()};
  by_channels<S>(dy.size(-1),
                 {in.x, in.y, in.dy, optional_data<S>(d.dx), optional_data<S>(d.dresidual)},
                 [&](auto vector) {
                   choose_mask<S, decltype(vector)::value>(in, affine, relu, batch, dy, d);
                 });
}

template <class S>
void train_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &mean = c.out[1], &invstd = c.out[3];
  channel_moments<S>(c, 4);
  const Affine affine{optional_data<float>(c.in[1]),
                      optional_data<float>(c.in[2]),
                      mean.data<float>(),
                      invstd.data<float>(),
                      nullptr,
                      0};
  forward<S>(x, c.in[3], affine, fused_relu("batch_norm", c.attrs), c.out[0]);
}

template <class S>
void train_backward(const BackwardCall& c) {
  const Affine affine{optional_data<float>(c.in[1]),
                      optional_data<float>(c.in[2]),
                      c.out[1].data<float>(),
                      c.out[3].data<float>(),
                      nullptr,
                      0};
  backward<S>(c.in[0], affine, c.in[3], c.out[0], c.dout[0], fused_relu("batch_norm", c.attrs),
              true, {c.din[0], c.din[1], c.din[2], c.din[3]});
}

Affine given(const Tensors& in, const Attrs& attrs) {
  return {optional_data<float>(in[1]), optional_data<float>(in[2]),
          in[3].data<float>(),         nullptr,
          in[4].data<float>(),         static_cast<float>(attrs.number("eps", 1e-5))};
}

template <class S>
void eval_forward(const ForwardCall& c) {
  forward<S>(c.in[0], c.in[5], given(c.in, c.attrs), fused_relu("batch_norm_eval", c.attrs),
             c.out[0]);
}

template <class S>
void eval_backward(const BackwardCall& c) {
  backward<S>(c.in[0], given(c.in, c.attrs), c.in[5], c.out[0], c.dout[0],
              fused_relu("batch_norm_eval", c.attrs), false,
              {c.din[0], c.din[1], c.din[2], c.din[5]});
}

const RegisterTuned batch_norm("batch_norm", train_forward<float>, train_backward<float>);
const RegisterTuned batch_norm_bf16("batch_norm", train_forward<bfloat16>, train_backward<bfloat16>,
                                    nullptr, DType::bf16);
const RegisterTuned batch_norm_eval("batch_norm_eval", eval_forward<float>, eval_backward<float>);
const RegisterTuned batch_norm_eval_bf16("batch_norm_eval", eval_forward<bfloat16>,
                                         eval_backward<bfloat16>, nullptr, DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
