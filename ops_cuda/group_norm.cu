// group_norm and l2_normalize; contract in ops/group_norm.cpp. group_norm: x [N, .., C] viewed as
// [N, pixels, G, C/G]; mean and invstd [N, G] over pixels and the C/G channels of each group.
//   forward   xhat = (x - mean) invstd,  y = gamma xhat + beta,  invstd = 1 / sqrt(var + eps)
//   backward  dbeta = sum dy,  dgamma = sum dy xhat,  h = gamma dy,  dx = invstd (h - mean(h) -
//                                                     xhat mean(h xhat)), means over the group
// l2_normalize: y = x / max(|x|, eps) over the last axis;  dx = (dy - y (y . dy)) / |x| where |x|
// >= eps, else dy / eps.
// x, y, dy, dx [N, pixels, C] (l2: [rows, width]); gamma, beta, dgamma, dbeta [C], missing gamma is
// 1, missing beta 0. Outputs are overwritten. Naive: one thread per (sample, group), per channel,
// per element; l2: per row; sums in double, one chain each. Tuned (f32): one block per (sample,
// group) for the statistics and the elements, the second reading from the caches; dgamma and dbeta
// by a block per 32 channels whose 8 warps share the pixels. l2: one warp per row. Sums in one
// fixed order: deterministic. Shared memory 2 KiB. Bytes an element: forward 8 from memory, 8 from
// the caches; backward 12 and 12. 7 FLOPs. Source: Wu & He 2018, equations 1 to 7; elementary.
#include <cmath>

#include "ops_cuda/long_sum.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"
#include "ops_cuda/rows.h"

namespace limbeck::cuda {
namespace {

struct Sizes {
  int64_t samples, pixels, channels, groups, width;
  Sizes(const Shape& x, const Attrs& attrs)
      : samples(x[0]),
        pixels(x.numel(1, x.rank() - 1)),
        channels(x[-1]),
        groups(attrs.integer("groups", 1)),
        width(channels / groups) {}
  LIMBECK_HD int64_t group_values() const { return pixels * width; }
  LIMBECK_HD int64_t elements() const { return samples * pixels * channels; }
  /// Element i of group ng.
  LIMBECK_HD int64_t at(int64_t ng, int64_t i) const {
    return (ng / groups * pixels + i / width) * channels + ng % groups * width + i % width;
  }
};

// --- group_norm, naive ---------------------------------------------------------------------------
template <class T>
__global__ void group_statistics(const T* x, Sizes s, double eps, T* mean, T* invstd) {
  const int64_t ng = global_index(), n = s.group_values();
  if (ng >= s.samples * s.groups) return;
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[s.at(ng, i)];
  const double m = sum / double(n);
  for (int64_t i = 0; i < n; ++i) squares += (x[s.at(ng, i)] - m) * (x[s.at(ng, i)] - m);
  mean[ng] = T(m);
  invstd[ng] = T(1 / std::sqrt(squares / double(n) + eps));
}

template <class T>
__global__ void group_normalise(const T* x, const T* gamma, const T* beta, const T* mean,
                                const T* invstd, Sizes s, T* y) {
  const int64_t i = global_index();
  if (i >= s.elements()) return;
  const int64_t c = i % s.channels, ng = i / (s.pixels * s.channels) * s.groups + c / s.width;
  y[i] = (x[i] - mean[ng]) * invstd[ng] * (gamma ? gamma[c] : T(1)) + (beta ? beta[c] : T(0));
}

// sums [2, N, G]: means of h and of h xhat.
template <class T>
__global__ void group_gradient_means(const T* x, const T* gamma, const T* mean, const T* invstd,
                                     const T* dy, Sizes s, double* means) {
  const int64_t ng = global_index(), all = s.samples * s.groups;
  if (ng >= all) return;
  double h_sum = 0, hx_sum = 0;
  for (int64_t i = 0; i < s.group_values(); ++i) {
    const int64_t at = s.at(ng, i);
    const double h = double(dy[at]) * (gamma ? gamma[at % s.channels] : T(1));
    h_sum += h;
    hx_sum += h * (double(x[at]) - mean[ng]) * invstd[ng];
  }
  means[ng] = h_sum / double(s.group_values());
  means[all + ng] = hx_sum / double(s.group_values());
}

template <class T>
__global__ void group_parameter_gradient(const T* x, const T* mean, const T* invstd, const T* dy,
                                         Sizes s, T* dgamma, T* dbeta) {
  const int64_t c = global_index();
  if (c >= s.channels) return;
  double sum = 0, sum_x = 0;
  for (int64_t np = 0; np < s.samples * s.pixels; ++np) {
    const int64_t ng = np / s.pixels * s.groups + c / s.width;
    const double g = dy[np * s.channels + c];
    sum += g;
    sum_x += g * (double(x[np * s.channels + c]) - mean[ng]) * invstd[ng];
  }
  if (dgamma) dgamma[c] = T(sum_x);
  if (dbeta) dbeta[c] = T(sum);
}

template <class T>
__global__ void group_input_gradient(const T* x, const T* gamma, const T* mean, const T* invstd,
                                     const T* dy, const double* means, Sizes s, T* dx) {
  const int64_t i = global_index();
  if (i >= s.elements()) return;
  const int64_t c = i % s.channels, ng = i / (s.pixels * s.channels) * s.groups + c / s.width;
  const double xhat = (double(x[i]) - mean[ng]) * invstd[ng],
               h = double(dy[i]) * (gamma ? gamma[c] : T(1));
  dx[i] = T(invstd[ng] * (h - means[ng] - xhat * means[s.samples * s.groups + ng]));
}

template <class T>
void group_forward(const ForwardCall& c) {
  const Tensor& x = c.in[0];
  const Sizes s(x.shape(), c.attrs);
  if (s.samples == 0) return;
  T *mean = c.out[1].data<T>(), *invstd = c.out[2].data<T>();
  LAUNCH(group_statistics<T>, blocks_for(s.samples * s.groups, 64), 64, 0, stream_of(x))
  (x.data<T>(), s, c.attrs.number("eps", 1e-5), mean, invstd);
  if (x.numel() == 0) return;
  LAUNCH(group_normalise<T>, blocks_for(x.numel()), 256, 0, stream_of(x))
  (x.data<T>(), optional_data<T>(c.in[1]), optional_data<T>(c.in[2]), mean, invstd, s,
   c.out[0].data<T>());
}

template <class T>
void group_backward(const BackwardCall& c) {
  const Tensor &x = c.in[0], &dy = c.dout[0];
  const Sizes s(dy.shape(), c.attrs);
  const T *gamma = optional_data<T>(c.in[1]), *mean = c.out[1].data<T>(),
          *invstd = c.out[2].data<T>();
  const cudaStream_t stream = stream_of(dy);
  if (s.channels > 0 && (c.din[1].defined() || c.din[2].defined()))
    LAUNCH(group_parameter_gradient<T>, blocks_for(s.channels, 64), 64, 0, stream)
  (x.data<T>(), mean, invstd, dy.data<T>(), s, optional_data<T>(c.din[1]),
   optional_data<T>(c.din[2]));
  if (!c.din[0].defined() || dy.numel() == 0) return;
  const Tensor means = workspace<double>(dy, {2, s.samples * s.groups});
  LAUNCH(group_gradient_means<T>, blocks_for(s.samples * s.groups, 64), 64, 0, stream)
  (x.data<T>(), gamma, mean, invstd, dy.data<T>(), s, means.data<double>());
  LAUNCH(group_input_gradient<T>, blocks_for(dy.numel()), 256, 0, stream)
  (x.data<T>(), gamma, mean, invstd, dy.data<T>(), means.data<double>(), s, c.din[0].data<T>());
}

// --- group_norm, tuned: one block per group ------------------------------------------------------
__global__ void group_forward_block(const float* x, const float* gamma, const float* beta, Sizes s,
                                    float eps, float* mean, float* invstd, float* y) {
  const int64_t ng = blockIdx.x, n = s.group_values();
  LongSum<float> sum, squares;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum.add(x[s.at(ng, i)]);
  const float m = block_sum(sum.value()) / static_cast<float>(n);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float d = x[s.at(ng, i)] - m;
    squares.add(d * d);
  }
  const float inverse = 1 / std::sqrt(block_sum(squares.value()) / static_cast<float>(n) + eps);
  if (threadIdx.x == 0) mean[ng] = m, invstd[ng] = inverse;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const int64_t at = s.at(ng, i), c = at % s.channels;
    y[at] = (x[at] - m) * inverse * (gamma ? gamma[c] : 1.0f) + (beta ? beta[c] : 0.0f);
  }
}

__global__ void group_backward_block(const float* x, const float* gamma, const float* mean,
                                     const float* invstd, const float* dy, Sizes s, float* dx) {
  const int64_t ng = blockIdx.x, n = s.group_values();
  const float m = mean[ng], inverse = invstd[ng];
  LongSum<float> h_sum, hx_sum;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const int64_t at = s.at(ng, i);
    const float h = dy[at] * (gamma ? gamma[at % s.channels] : 1.0f);
    h_sum.add(h);
    hx_sum.add(h * (x[at] - m) * inverse);
  }
  const float h_mean = block_sum(h_sum.value()) / static_cast<float>(n),
              hx_mean = block_sum(hx_sum.value()) / static_cast<float>(n);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const int64_t at = s.at(ng, i);
    const float h = dy[at] * (gamma ? gamma[at % s.channels] : 1.0f);
    dx[at] = inverse * (h - h_mean - (x[at] - m) * inverse * hx_mean);
  }
}

constexpr int warps = 8;

__global__ void group_parameter_block(const float* x, const float* mean, const float* invstd,
                                      const float* dy, Sizes s, float* dgamma, float* dbeta) {
  SHARED(float, partial, [2][warps][32]);
  const int lane = warp_lane(), warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * 32 + lane;
  LongSum<float> own, own_x;
  if (c < s.channels)
    for (int64_t np = warp; np < s.samples * s.pixels; np += warps) {
      const int64_t ng = np / s.pixels * s.groups + c / s.width;
      const float g = dy[np * s.channels + c];
      own.add(g);
      own_x.add(g * (x[np * s.channels + c] - mean[ng]) * invstd[ng]);
    }
  float sum = own.value(), sum_x = own_x.value();
  partial[0][warp][lane] = sum;
  partial[1][warp][lane] = sum_x;
  __syncthreads();
  if (warp > 0 || c >= s.channels) return;
  for (int other = 1; other < warps; ++other)
    sum += partial[0][other][lane], sum_x += partial[1][other][lane];
  if (dgamma) dgamma[c] = sum_x;
  if (dbeta) dbeta[c] = sum;
}

// A multiple of 32, no more than a group needs.
unsigned threads_for(int64_t values) {
  return static_cast<unsigned>(std::min<int64_t>(512, ceil_div(values, 32) * 32));
}

void group_forward_tuned(const ForwardCall& c) {
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return group_forward<float>(c);
  const Sizes s(x.shape(), c.attrs);
  LAUNCH(group_forward_block, blocks_for(s.samples * s.groups, 1), threads_for(s.group_values()), 0,
         stream_of(x))
  (x.data<float>(), optional_data<float>(c.in[1]), optional_data<float>(c.in[2]), s,
   static_cast<float>(c.attrs.number("eps", 1e-5)), c.out[1].data<float>(), c.out[2].data<float>(),
   c.out[0].data<float>());
}

void group_backward_tuned(const BackwardCall& c) {
  const Tensor &x = c.in[0], &dy = c.dout[0];
  if (dy.numel() == 0) return group_backward<float>(c);
  const Sizes s(dy.shape(), c.attrs);
  const float *mean = c.out[1].data<float>(), *invstd = c.out[2].data<float>();
  if (c.din[1].defined() || c.din[2].defined())
    LAUNCH(group_parameter_block, blocks_for(s.channels, 32), 32 * warps, 0, stream_of(dy))
  (x.data<float>(), mean, invstd, dy.data<float>(), s, optional_data<float>(c.din[1]),
   optional_data<float>(c.din[2]));
  if (c.din[0].defined())
    LAUNCH(group_backward_block, blocks_for(s.samples * s.groups, 1), threads_for(s.group_values()),
           0, stream_of(dy))
  (x.data<float>(), optional_data<float>(c.in[1]), mean, invstd, dy.data<float>(), s,
   c.din[0].data<float>());
}

const RegisterNaive group_norm("group_norm", LIMBECK_TYPES(group_forward, group_backward));
const RegisterTuned group_norm_tuned("group_norm", group_forward_tuned, group_backward_tuned);

// --- l2_normalize: one thread (naive, double) or one warp (tuned) per row ------------------------
template <class W, class T>
__device__ typename W::Sum length(const T* x, int64_t width) {
  LongSum<typename W::Sum> sum;
  for (int64_t i = W::first(); i < width; i += W::lanes) sum.add(typename W::Sum(x[i]) * x[i]);
  return std::sqrt(W::total(sum.value()));
}

template <class W, class T>
__global__ void l2_forward(const T* x, int64_t rows, int64_t width, typename W::Sum eps, T* y) {
  const int64_t row = W::row();
  if (row >= rows) return;
  x += row * width;
  const auto norm = length<W>(x, width), divisor = norm > eps ? norm : eps;
  for (int64_t i = W::first(); i < width; i += W::lanes) y[row * width + i] = T(x[i] / divisor);
}

template <class W, class T>
__global__ void l2_backward(const T* x, const T* dy, int64_t rows, int64_t width,
                            typename W::Sum eps, T* dx) {
  using S = typename W::Sum;
  const int64_t row = W::row();
  if (row >= rows) return;
  x += row * width;
  dy += row * width;
  const S norm = length<W>(x, width), scale = norm > eps ? norm : eps;
  LongSum<S> own;
  for (int64_t i = W::first(); i < width; i += W::lanes) own.add(S(dy[i]) * x[i] / scale);
  const S dot = norm >= eps ? W::total(own.value()) : S(0);
  for (int64_t i = W::first(); i < width; i += W::lanes)
    dx[row * width + i] = T((dy[i] - dot * x[i] / scale) / scale);
}

template <class W, class T>
void l2(const Tensor& x, const Tensor* dy, const Attrs& attrs, const Tensor& result) {
  if (x.numel() == 0) return;
  const int64_t width = x.size(-1), rows = x.numel() / width;
  const auto eps = static_cast<typename W::Sum>(attrs.number("eps", 1e-12));
  const dim3 blocks = blocks_for(rows, W::threads / W::lanes);
  if (dy) LAUNCH((l2_backward<W, T>), blocks, W::threads, 0, stream_of(x))
  (x.data<T>(), dy->data<T>(), rows, width, eps, result.data<T>());
  else LAUNCH((l2_forward<W, T>), blocks, W::threads, 0, stream_of(x))(x.data<T>(), rows, width,
                                                                       eps, result.data<T>());
}

template <class T>
void l2_naive(const ForwardCall& c) {
  l2<RowThread, T>(c.in[0], nullptr, c.attrs, c.out[0]);
}
template <class T>
void l2_naive_gradient(const BackwardCall& c) {
  if (c.din[0].defined()) l2<RowThread, T>(c.in[0], &c.dout[0], c.attrs, c.din[0]);
}
void l2_tuned(const ForwardCall& c) { l2<RowWarp, float>(c.in[0], nullptr, c.attrs, c.out[0]); }
void l2_tuned_gradient(const BackwardCall& c) {
  if (c.din[0].defined()) l2<RowWarp, float>(c.in[0], &c.dout[0], c.attrs, c.din[0]);
}

const RegisterNaive l2_normalize("l2_normalize", LIMBECK_TYPES(l2_naive, l2_naive_gradient));
const RegisterTuned l2_normalize_tuned("l2_normalize", l2_tuned, l2_tuned_gradient);

}  // namespace
}  // namespace limbeck::cuda
