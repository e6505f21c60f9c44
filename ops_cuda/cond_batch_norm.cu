// cond_batch_norm and cond_batch_norm_eval (gain and bias per sample) with fused ReLU; contract in
// ops/cond_batch_norm.cpp.
//   forward   xhat = (x - mean) invstd,  y = act(gain[n] xhat + bias[n]),
//             invstd = 1 / sqrt(var + eps)
//   backward  g = dy [y > 0 if act is relu];  dbias[n] = sum over pixels g,  dgain[n] = sum over
//                                             pixels g xhat
//             batch statistics:  dx = invstd (gain g - (A + xhat B) / m),  A = sum_n gain dbias,
//                                B = sum_n gain dgain
//             given statistics:  dx = invstd gain g
// x, y, dy, dx [N, pixels, C]; gain, bias, dgain, dbias [N, C]; mean, var, invstd [C]; m = N
// pixels. All outputs are overwritten. The tuned kernels store the former as S, f32 or bf16, and
// keep parameters, statistics, sums and arithmetic f32. Naive: one thread per channel, per (sample,
// channel), per element; sums in double, one chain each. Tuned: statistics and tiles as batch_norm
// (ops_cuda/channel_tiles.h); a block takes a tile of channels of one sample, so gain and bias stay
// in registers; dgain, dbias are finished by one block each, A and B by a block per 32 channels.
// The ReLU's mask is recomputed from x with forward's instructions. Shared memory up to 24 KiB.
// Fixed order of sums: deterministic. Bytes an element (f32; bf16: half): forward 12, backward 20
// (x, dy | x, dy, dx). 7 FLOPs forward, 9 backward. Source: de Vries et al. 2017; Brock et al. 2019
// (BigGAN), appendix B.
#include <cmath>

#include "ops/norm.h"
#include "ops_cuda/channel_statistics.h"
#include "ops_cuda/channel_tiles.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"
#include "ops_cuda/running_statistics.h"

namespace limbeck::cuda {
namespace {

struct Sizes {
  int64_t samples, pixels, channels;
  explicit Sizes(const Shape& x)
      : samples(x[0]), pixels(x.numel(1, x.rank() - 1)), channels(x[-1]) {}
  LIMBECK_HD int64_t elements() const { return samples * pixels * channels; }
  LIMBECK_HD int64_t rows() const { return samples * pixels; }
};

// --- naive ---------------------------------------------------------------------------------------
template <class T>
__global__ void normalise(const T* x, const T* gain, const T* bias, const T* mean, const T* invstd,
                          Sizes s, bool relu, T* y) {
  const int64_t i = global_index();
  if (i >= s.elements()) return;
  const int64_t c = i % s.channels, nc = i / (s.pixels * s.channels) * s.channels + c;
  const T value = (x[i] - mean[c]) * invstd[c] * gain[nc] + bias[nc];
  y[i] = relu && value <= 0 ? T(0) : value;
}

// `y` is null without the ReLU. sums [2, N, C]: dbias, dgain.
template <class T>
__global__ void sample_sums(const T* x, const T* y, const T* dy, const T* mean, const T* invstd,
                            Sizes s, double* sums, T* dgain, T* dbias) {
  const int64_t nc = global_index(), all = s.samples * s.channels;
  if (nc >= all) return;
  const int64_t c = nc % s.channels;
  double sum_g = 0, sum_gx = 0;
  for (int64_t p = 0; p < s.pixels; ++p) {
    const int64_t i = (nc / s.channels * s.pixels + p) * s.channels + c;
    const double g = y && y[i] <= 0 ? 0.0 : double(dy[i]);
    sum_g += g;
    sum_gx += g * (double(x[i]) - mean[c]) * invstd[c];
  }
  sums[nc] = sum_g;
  sums[all + nc] = sum_gx;
  if (dbias) dbias[nc] = T(sum_g);
  if (dgain) dgain[nc] = T(sum_gx);
}

// totals [2, C]: A and B.
template <class T>
__global__ void channel_sums(const double* sums, const T* gain, Sizes s, double* totals) {
  const int64_t c = global_index();
  if (c >= s.channels) return;
  double a = 0, b = 0;
  for (int64_t n = 0; n < s.samples; ++n) {
    a += gain[n * s.channels + c] * sums[n * s.channels + c];
    b += gain[n * s.channels + c] * sums[(s.samples + n) * s.channels + c];
  }
  totals[c] = a;
  totals[s.channels + c] = b;
}

// `totals` null: given statistics.
template <class T>
__global__ void input_gradient(const T* x, const T* y, const T* dy, const T* gain, const T* mean,
                               const T* invstd, const double* totals, Sizes s, T* dx) {
  const int64_t i = global_index();
  if (i >= s.elements()) return;
  const int64_t c = i % s.channels, nc = i / (s.pixels * s.channels) * s.channels + c;
  const double g = y && y[i] <= 0 ? 0.0 : double(dy[i]),
               xhat = (double(x[i]) - mean[c]) * invstd[c];
  const double correction =
      totals ? (totals[c] + xhat * totals[s.channels + c]) / double(s.rows()) : 0.0;
  dx[i] = T(invstd[c] * (gain[nc] * g - correction));
}

template <class T>
void launch_normalise(const ForwardCall& c, const T* mean, const T* invstd) {
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  LAUNCH(normalise<T>, blocks_for(x.numel()), 256, 0, stream_of(x))
  (x.data<T>(), c.in[1].data<T>(), c.in[2].data<T>(), mean, invstd, Sizes(x.shape()),
   fused_relu("cond_batch_norm", c.attrs), c.out[0].data<T>());
}

template <class T>
void launch_backward(const BackwardCall& c, const T* mean, const T* invstd, bool batch) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  const Sizes s(dy.shape());
  if (s.samples * s.channels == 0) return;
  const T *x = c.in[0].data<T>(), *gain = c.in[1].data<T>(),
          *y = fused_relu("cond_batch_norm", c.attrs) ? c.out[0].data<T>() : nullptr;
  const cudaStream_t stream = stream_of(dy);
  const Tensor sums = workspace<double>(dy, {2, s.samples, s.channels}),
               totals = workspace<double>(dy, {2, s.channels});
  LAUNCH(sample_sums<T>, blocks_for(s.samples * s.channels, 64), 64, 0, stream)
  (x, y, dy.data<T>(), mean, invstd, s, sums.data<double>(), optional_data<T>(c.din[1]),
   optional_data<T>(c.din[2]));
  if (!dx.defined() || dx.numel() == 0) return;
  if (batch) LAUNCH(channel_sums<T>, blocks_for(s.channels, 64), 64, 0, stream)
  (sums.data<double>(), gain, s, totals.data<double>());
  LAUNCH(input_gradient<T>, blocks_for(dx.numel()), 256, 0, stream)
  (x, y, dy.data<T>(), gain, mean, invstd, batch ? totals.data<double>() : nullptr, s,
   dx.data<T>());
}

template <class T>
void train_forward(const ForwardCall& c) {
  const Tensor& x = c.in[0];
  const Sizes s(x.shape());
  if (s.channels == 0) return;
  T *mean = c.out[1].data<T>(), *invstd = c.out[3].data<T>();
  LAUNCH(channel_statistics<T>, blocks_for(s.channels, 64), 64, 0, stream_of(x))
  (x.data<T>(), s.rows(), s.channels, c.attrs.number("eps", 1e-5), mean, c.out[2].data<T>(),
   invstd);
  launch_normalise<T>(c, mean, invstd);
  update_running<T>(c, 3);
}
template <class T>
void train_backward(const BackwardCall& c) {
  launch_backward<T>(c, c.out[1].data<T>(), c.out[3].data<T>(), true);
}
template <class T>
void eval_forward(const ForwardCall& c) {
  launch_normalise<T>(c, c.in[3].data<T>(), inverted<T>(c.in[4], c.attrs).template data<T>());
}
template <class T>
void eval_backward(const BackwardCall& c) {
  launch_backward<T>(c, c.in[3].data<T>(), inverted<T>(c.in[4], c.attrs).template data<T>(), false);
}

const RegisterNaive cond_batch_norm("cond_batch_norm",
                                    LIMBECK_TYPES(train_forward, train_backward));
const RegisterNaive cond_batch_norm_eval("cond_batch_norm_eval",
                                         LIMBECK_TYPES(eval_forward, eval_backward));

// --- tuned: block (x, y, z) takes channels of tile x, sample y, y + gridDim.y, .., pixels of part
struct Statistics {
  const float *mean, *invstd, *var;  // invstd null: from var
  float eps;
  __device__ float inverse(int64_t c) const {
    return invstd ? invstd[c] : 1 / std::sqrt(var[c] + eps);
  }
};

/// Forward and the recomputed mask use this one function: the same bits.
template <int V>
struct Scale {
  float mean[V], inverse[V], scale[V], shift[V];
  __device__ Scale(const Statistics& s, const float* gain, const float* bias,
                   int64_t sample_channel, int64_t channel) {
    for (int v = 0; v < V; ++v) {
      mean[v] = s.mean[channel + v];
      inverse[v] = s.inverse(channel + v);
      scale[v] = gain[sample_channel + v] * inverse[v];
      shift[v] = bias[sample_channel + v];
    }
  }
  __device__ float operator()(int v, float x) const {
    return fmaf(x - mean[v], scale[v], shift[v]);
  }
};

template <class S, int V, bool relu>
__global__ void __launch_bounds__(tile_threads)
    apply(const S* x, const float* gain, const float* bias, Statistics statistics, Tiles t,
          int64_t samples, S* y) {
  const int64_t channel = t.channel<V>();
  if (channel >= t.channels) return;
  for (int64_t n = blockIdx.y; n < samples; n += gridDim.y) {
    const Scale<V> scale(statistics, gain, bias, n * t.channels + channel, channel);
    for (int64_t r = t.begin(blockIdx.z) + t.y(); r < t.end(blockIdx.z); r += t.down()) {
      const int64_t at = (n * t.rows + r) * t.channels + channel;
      auto value = load_floats<V>(x + at);
      for (int v = 0; v < V; ++v) {
        value[v] = scale(v, value[v]);
        if (relu && value[v] <= 0) value[v] = 0;
      }
      store_floats(y + at, value);
    }
  }
}

// One z: a block sees all pixels of its samples. The loop is the same for all threads of a block,
// so its barriers are met by all.
template <class S, int V, bool relu>
__global__ void __launch_bounds__(tile_threads)
    sample_sums_tile(const S* x, const S* dy, const float* gain, const float* bias,
                     Statistics statistics, Tiles t, int64_t samples, float* dgain, float* dbias) {
  const int64_t channel = t.channel<V>();
  const bool inside = channel < t.channels;
  for (int64_t n = blockIdx.y; n < samples; n += gridDim.y) {
    float sum_g[V] = {}, sum_gx[V] = {};
    const int64_t nc = n * t.channels + channel;
    if (inside) {
      const Scale<V> scale(statistics, gain, bias, nc, channel);
      for (int64_t r = t.y(); r < t.rows; r += t.down()) {
        const int64_t at = (n * t.rows + r) * t.channels + channel;
        const auto value = load_floats<V>(x + at), g = load_floats<V>(dy + at);
        for (int v = 0; v < V; ++v) {
          if (relu && scale(v, value[v]) <= 0) continue;
          sum_g[v] += g[v];
          sum_gx[v] += g[v] * (value[v] - scale.mean[v]);
        }
      }
    }
    sum_down(t, sum_g);
    sum_down(t, sum_gx);
    if (t.y() > 0 || !inside) continue;
    for (int v = 0; v < V; ++v) {
      dbias[nc + v] = sum_g[v];
      dgain[nc + v] = sum_gx[v] * statistics.inverse(channel + v);
    }
  }
}

constexpr int warps = 8;

// totals [2, C]: A and B. Block x: 32 channels, its warps share the samples.
__global__ void channel_sums_block(const float* dgain, const float* dbias, const float* gain,
                                   int64_t samples, int64_t channels, float* totals) {
  SHARED(float, partial, [2][warps][32]);
  const int lane = warp_lane(), warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * 32 + lane;
  float a = 0, b = 0;
  if (c < channels)
    for (int64_t n = warp; n < samples; n += warps) {
      a += gain[n * channels + c] * dbias[n * channels + c];
      b += gain[n * channels + c] * dgain[n * channels + c];
    }
  partial[0][warp][lane] = a;
  partial[1][warp][lane] = b;
  __syncthreads();
  if (warp > 0 || c >= channels) return;
  for (int other = 1; other < warps; ++other)
    a += partial[0][other][lane], b += partial[1][other][lane];
  totals[c] = a;
  totals[channels + c] = b;
}

// `totals` null: given statistics.
template <class S, int V, bool relu>
__global__ void __launch_bounds__(tile_threads)
    input_gradient_tile(const S* x, const S* dy, const float* gain, const float* bias,
                        Statistics statistics, const float* totals, Tiles t, int64_t samples,
                        S* dx) {
  const int64_t channel = t.channel<V>();
  if (channel >= t.channels) return;
  const float inverse_m = 1 / (static_cast<float>(t.rows) * static_cast<float>(samples));
  float offset[V], slope[V];  // dx = scale g - offset - (x - mean) slope
  for (int v = 0; v < V; ++v) {
    const float inverse = statistics.inverse(channel + v);
    offset[v] = totals ? totals[channel + v] * inverse_m * inverse : 0.0f;
    slope[v] = totals ? totals[t.channels + channel + v] * inverse_m * inverse * inverse : 0.0f;
  }
  for (int64_t n = blockIdx.y; n < samples; n += gridDim.y) {
    const Scale<V> scale(statistics, gain, bias, n * t.channels + channel, channel);
    for (int64_t r = t.begin(blockIdx.z) + t.y(); r < t.end(blockIdx.z); r += t.down()) {
      const int64_t at = (n * t.rows + r) * t.channels + channel;
      const auto value = load_floats<V>(x + at);
      auto g = load_floats<V>(dy + at);
      for (int v = 0; v < V; ++v) {
        if (relu && scale(v, value[v]) <= 0) g[v] = 0;
        g[v] = scale.scale[v] * g[v] - offset[v] - (value[v] - scale.mean[v]) * slope[v];
      }
      store_floats(dx + at, g);
    }
  }
}

dim3 sample_grid(const Tiles& t, int vector, int64_t samples, bool whole_samples) {
  const unsigned parts = whole_samples ? 1u : static_cast<unsigned>(t.slices);
  return dim3(blocks_for(t.tiles_for(vector), 1).x,
              static_cast<unsigned>(std::min<int64_t>(samples, 65535)), parts);
}

template <class S, int V, bool relu>
void launch_apply(const ForwardCall& c, const Statistics& statistics) {
  const Tensor& x = c.in[0];
  const Sizes s(x.shape());
  const Tiles t(s.pixels, s.channels, V);  // of one sample
  LAUNCH((apply<S, V, relu>), sample_grid(t, V, s.samples, false), tile_threads, 0, stream_of(x))
  (x.data<S>(), c.in[1].data<float>(), c.in[2].data<float>(), statistics, t, s.samples,
   c.out[0].data<S>());
}

template <class S>
void apply_tuned(const ForwardCall& c, const Statistics& statistics) {
  if (c.in[0].numel() == 0) return;
  const bool relu = fused_relu("cond_batch_norm", c.attrs);
  by_channels<S>(c.in[0].size(-1), {c.in[0].data<S>(), c.out[0].data<S>()}, [&](auto vector) {
    constexpr int V = decltype(vector)::value;
    if (relu)
      launch_apply<S, V, true>(c, statistics);
    else
      launch_apply<S, V, false>(c, statistics);
  });
}

template <class S, int V, bool relu>
void launch_gradients(const BackwardCall& c, const Statistics& statistics, bool batch) {
  const Tensor& dy = c.dout[0];
  const Sizes s(dy.shape());
  const Tiles t(s.pixels, s.channels, V);
  const S *x = c.in[0].data<S>(), *pdy = dy.data<S>();
  const float *gain = c.in[1].data<float>(), *bias = c.in[2].data<float>();
  S* dx = optional_data<S>(c.din[0]);
  const cudaStream_t stream = stream_of(dy);
  const Tensor dgain =
      c.din[1].defined() ? c.din[1] : workspace<float>(dy, {s.samples, s.channels});
  const Tensor dbias =
      c.din[2].defined() ? c.din[2] : workspace<float>(dy, {s.samples, s.channels});
  const Tensor totals = workspace<float>(dy, {2, s.channels});
  if ((batch && dx) || c.din[1].defined() || c.din[2].defined())
    LAUNCH((sample_sums_tile<S, V, relu>), sample_grid(t, V, s.samples, true), tile_threads, 0,
           stream)
  (x, pdy, gain, bias, statistics, t, s.samples, dgain.data<float>(), dbias.data<float>());
  if (!dx) return;
  if (batch) LAUNCH(channel_sums_block, blocks_for(s.channels, 32), 32 * warps, 0, stream)
  (dgain.data<float>(), dbias.data<float>(), gain, s.samples, s.channels, totals.data<float>());
  LAUNCH((input_gradient_tile<S, V, relu>), sample_grid(t, V, s.samples, false), tile_threads, 0,
         stream)
  (x, pdy, gain, bias, statistics, batch ? totals.data<float>() : nullptr, t, s.samples, dx);
}

template <class S>
void backward_tuned(const BackwardCall& c, const Statistics& statistics, bool batch) {
  const Tensor& dy = c.dout[0];
  if (dy.numel() == 0) return fill_with_zeros(c.din[1], c.din[2]);
  const bool relu = fused_relu("cond_batch_norm", c.attrs);
  by_channels<S>(dy.size(-1), {c.in[0].data<S>(), dy.data<S>(), optional_data<S>(c.din[0])},
                 [&](auto vector) {
                   constexpr int V = decltype(vector)::value;
                   if (relu)
                     launch_gradients<S, V, true>(c, statistics, batch);
                   else
                     launch_gradients<S, V, false>(c, statistics, batch);
                 });
}

Statistics given(const Tensors& in, const Attrs& attrs) {
  return {in[3].data<float>(), nullptr, in[4].data<float>(),
          static_cast<float>(attrs.number("eps", 1e-5))};
}

template <class S>
void train_forward_tuned(const ForwardCall& c) {
  channel_moments<S>(c, 3);
  apply_tuned<S>(c, {c.out[1].data<float>(), c.out[3].data<float>(), nullptr, 0});
}
template <class S>
void train_backward_tuned(const BackwardCall& c) {
  backward_tuned<S>(c, {c.out[1].data<float>(), c.out[3].data<float>(), nullptr, 0}, true);
}
template <class S>
void eval_forward_tuned(const ForwardCall& c) {
  apply_tuned<S>(c, given(c.in, c.attrs));
}
template <class S>
void eval_backward_tuned(const BackwardCall& c) {
  backward_tuned<S>(c, given(c.in, c.attrs), false);
}

const RegisterTuned cond_batch_norm_tuned("cond_batch_norm", train_forward_tuned<float>,
                                          train_backward_tuned<float>);
const RegisterTuned cond_batch_norm_bf16("cond_batch_norm", train_forward_tuned<bfloat16>,
                                         train_backward_tuned<bfloat16>, nullptr, DType::bf16);
const RegisterTuned cond_batch_norm_eval_tuned("cond_batch_norm_eval", eval_forward_tuned<float>,
                                               eval_backward_tuned<float>);
const RegisterTuned cond_batch_norm_eval_bf16("cond_batch_norm_eval", eval_forward_tuned<bfloat16>,
                                              eval_backward_tuned<bfloat16>, nullptr, DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
