// batch_norm and batch_norm_eval with fused residual and ReLU, naive; tuned in
// ops_cuda/batch_norm_tuned.cu; contract in ops/batch_norm.cpp.
//   forward   xhat = (x - mean) invstd,  y = act(gamma xhat + beta + residual),  invstd = 1 /
//                                        sqrt(var + eps)
//   backward  g = dy [y > 0 if act is relu];  dresidual = g,  dbeta = sum g,  dgamma = sum g xhat
//             batch statistics:  dx = gamma invstd (g - dbeta / n - xhat dgamma / n);   given
//                                statistics:  dx = gamma invstd g
// x, y, residual, dy, dx, dresidual [n, C] (channels last: n = N H W); gamma, beta, mean, var,
// invstd, dgamma, dbeta [C]. Missing gamma is 1, missing beta and residual 0. All outputs are
// overwritten. Threads: one per channel for sums over n (neighbours read neighbouring addresses),
// one per element for the rest. No shared memory. Sums in double, one chain per channel:
// deterministic. Bytes an element (f32): forward 16 (x twice for the statistics, x and y), residual
// 4 more; backward 20 to 32. 7 FLOPs an element. Source: Ioffe & Szegedy 2015, algorithm 1 and
// section 3.
#include "ops/norm.h"
#include "ops_cuda/channel_statistics.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"
#include "ops_cuda/running_statistics.h"

namespace limbeck::cuda {
namespace {

template <class T>
__global__ void normalise(const T* x, const T* gamma, const T* beta, const T* residual,
                          const T* mean, const T* invstd, int64_t elements, int64_t channels,
                          bool relu, T* y) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const int64_t c = i % channels;
  const T value = (x[i] - mean[c]) * invstd[c] * (gamma ? gamma[c] : T(1)) +
                  (beta ? beta[c] : T(0)) + (residual ? residual[i] : T(0));
  y[i] = relu && value <= 0 ? T(0) : value;
}

// `y` is null without the ReLU. sums: [2, C], sum g and sum g xhat.
template <class T>
__global__ void gradient_sums(const T* x, const T* y, const T* dy, const T* mean, const T* invstd,
                              int64_t n, int64_t channels, double* sums, T* dgamma, T* dbeta) {
  const int64_t c = global_index();
  if (c >= channels) return;
  double sum_g = 0, sum_gx = 0;
  for (int64_t i = c; i < n * channels; i += channels) {
    const double g = y && y[i] <= 0 ? 0.0 : double(dy[i]);
    sum_g += g;
    sum_gx += g * (double(x[i]) - mean[c]) * invstd[c];
  }
  sums[c] = sum_g;
  sums[channels + c] = sum_gx;
  if (dbeta) dbeta[c] = T(sum_g);
  if (dgamma) dgamma[c] = T(sum_gx);
}

// `batch`: the statistics depend on x.
template <class T>
__global__ void input_gradient(const T* x, const T* y, const T* dy, const T* gamma, const T* mean,
                               const T* invstd, const double* sums, int64_t elements,
                               int64_t channels, bool batch, T* dx, T* dresidual) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const int64_t c = i % channels;
  const T g = y && y[i] <= 0 ? T(0) : dy[i];
  if (dresidual) dresidual[i] = g;
  if (!dx) return;
  const double n = double(elements / channels), xhat = (double(x[i]) - mean[c]) * invstd[c];
  const double centred = batch ? g - (sums[c] + xhat * sums[channels + c]) / n : double(g);
  dx[i] = T((gamma ? gamma[c] : T(1)) * invstd[c] * centred);
}

template <class T>
void launch_normalise(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                      const Tensor& residual, const Tensor& mean, const Tensor& invstd, bool relu,
                      const Tensor& y) {
  if (x.numel() == 0) return;
  LAUNCH(normalise<T>, blocks_for(x.numel()), 256, 0, stream_of(x))
  (x.data<T>(), optional_data<T>(gamma), optional_data<T>(beta), optional_data<T>(residual),
   mean.data<T>(), invstd.data<T>(), x.numel(), x.size(-1), relu, y.data<T>());
}

template <class T>
void launch_backward(const Tensor& x, const Tensor& gamma, const Tensor& y, const Tensor& dy,
                     const Tensor& mean, const Tensor& invstd, bool relu, bool batch,
                     const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta,
                     const Tensor& dresidual) {
  const int64_t channels = dy.size(-1);
  if (channels == 0) return;
  const T* mask = relu ? y.data<T>() : nullptr;
  const Tensor sums = workspace<double>(dy, {2, channels});
  LAUNCH(gradient_sums<T>, blocks_for(channels, 64), 64, 0, stream_of(dy))
  (x.data<T>(), mask, dy.data<T>(), mean.data<T>(), invstd.data<T>(), dy.numel() / channels,
   channels, sums.data<double>(), optional_data<T>(dgamma), optional_data<T>(dbeta));
  if (dy.numel() == 0 || !(dx.defined() || dresidual.defined())) return;
  LAUNCH(input_gradient<T>, blocks_for(dy.numel()), 256, 0, stream_of(dy))
  (x.data<T>(), mask, dy.data<T>(), optional_data<T>(gamma), mean.data<T>(), invstd.data<T>(),
   sums.data<double>(), dy.numel(), channels, batch, optional_data<T>(dx),
   optional_data<T>(dresidual));
}

template <class T>
void train_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &mean = c.out[1], &var = c.out[2], &invstd = c.out[3];
  const int64_t channels = x.size(-1);
  if (channels == 0) return;
  LAUNCH(channel_statistics<T>, blocks_for(channels, 64), 64, 0, stream_of(x))
  (x.data<T>(), x.numel() / channels, channels, c.attrs.number("eps", 1e-5), mean.data<T>(),
   var.data<T>(), invstd.data<T>());
  launch_normalise<T>(x, c.in[1], c.in[2], c.in[3], mean, invstd, fused_relu("batch_norm", c.attrs),
                      c.out[0]);
  update_running<T>(c, 4);
}

template <class T>
void train_backward(const BackwardCall& c) {
  launch_backward<T>(c.in[0], c.in[1], c.out[0], c.dout[0], c.out[1], c.out[3],
                     fused_relu("batch_norm", c.attrs), true, c.din[0], c.din[1], c.din[2],
                     c.din[3]);
}

template <class T>
void eval_forward(const ForwardCall& c) {
  launch_normalise<T>(c.in[0], c.in[1], c.in[2], c.in[5], c.in[3], inverted<T>(c.in[4], c.attrs),
                      fused_relu("batch_norm_eval", c.attrs), c.out[0]);
}

template <class T>
void eval_backward(const BackwardCall& c) {
  launch_backward<T>(c.in[0], c.in[1], c.out[0], c.dout[0], c.in[3], inverted<T>(c.in[4], c.attrs),
                     fused_relu("batch_norm_eval", c.attrs), false, c.din[0], c.din[1], c.din[2],
                     c.din[5]);
}

const RegisterNaive batch_norm("batch_norm", LIMBECK_TYPES(train_forward, train_backward));
const RegisterNaive batch_norm_eval("batch_norm_eval", LIMBECK_TYPES(eval_forward, eval_backward));

}  // namespace
}  // namespace limbeck::cuda
