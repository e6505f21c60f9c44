// softmax and log_softmax over the last axis; contract in ops/softmax.cpp.
//   softmax:      y_i = e^(x_i - m) / sum_j e^(x_j - m), m = max x;
//                 dx_i = y_i (dy_i - sum_j dy_j y_j)
//   log_softmax:  y_i = x_i - m - log sum_j e^(x_j - m);
//                 dx_i = dy_i - e^y_i sum_j dy_j
// x, y, dy, dx [rows, size]; y and dx are overwritten. Naive: one thread per row, in double. Tuned
// (f32): one warp per row, 4 rows a block; coalesced, one reading from memory and two from the
// first-level cache; sums by shuffles in a fixed order. No shared memory; deterministic. Bytes an
// element: forward 2 sizeof(T), backward 3 sizeof(T): bandwidth-bound for many rows, latency-bound
// for a batch of logits. 4 FLOPs. Source: elementary.
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"
#include "ops_cuda/rows.h"

namespace limbeck::cuda {
namespace {

// x - largest first: the logarithm of the sum would be lost beside a large x.
struct Softmax {
  template <class T>
  __device__ static T value(T x, LogSumExp<T> s) {
    return std::exp(x - s.largest) / s.sum;
  }
  template <class T>
  __device__ static T term(T y, T dy) {
    return dy * y;
  }
  template <class T>
  __device__ static T slope(T y, T dy, T sum) {
    return y * (dy - sum);
  }
};
struct LogSoftmax {
  template <class T>
  __device__ static T value(T x, LogSumExp<T> s) {
    return x - s.largest - s.log();
  }
  template <class T>
  __device__ static T term(T, T dy) {
    return dy;
  }
  template <class T>
  __device__ static T slope(T y, T dy, T sum) {
    return dy - std::exp(y) * sum;
  }
};

// --- naive ---------------------------------------------------------------------------------------
template <class F, class T>
__global__ void forward_naive(const T* x, T* y, int64_t rows, int64_t size) {
  const int64_t row = global_index();
  if (row >= rows) return;
  x += row * size;
  y += row * size;
  const auto s = thread_log_sum_exp(x, size);
  for (int64_t i = 0; i < size; ++i) y[i] = T(F::value(double(x[i]), s));
}

template <class F, class T>
__global__ void backward_naive(const T* y, const T* dy, T* dx, int64_t rows, int64_t size) {
  const int64_t row = global_index();
  if (row >= rows) return;
  y += row * size;
  dy += row * size;
  dx += row * size;
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += F::term(double(y[i]), double(dy[i]));
  for (int64_t i = 0; i < size; ++i) dx[i] = T(F::slope(double(y[i]), double(dy[i]), sum));
}

// --- tuned ---------------------------------------------------------------------------------------
template <class F>
__global__ void forward_warp(const float* x, float* y, int64_t rows, int64_t size) {
  const int64_t row = warp_row();
  if (row >= rows) return;
  x += row * size;
  y += row * size;
  const auto sum = warp_log_sum_exp(x, size);
  for (int64_t i = warp_lane(); i < size; i += 32) y[i] = F::value(x[i], sum);
}

template <class F>
__global__ void backward_warp(const float* y, const float* dy, float* dx, int64_t rows,
                              int64_t size) {
  const int64_t row = warp_row();
  if (row >= rows) return;
  y += row * size;
  dy += row * size;
  dx += row * size;
  LongSum<float> own;
  for (int64_t i = warp_lane(); i < size; i += 32) own.add(F::term(y[i], dy[i]));
  const float sum = warp_total(own.value());
  for (int64_t i = warp_lane(); i < size; i += 32) dx[i] = F::slope(y[i], dy[i], sum);
}

template <class F, class T>
void forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (x.numel() == 0) return;
  const int64_t size = x.size(-1), rows = x.numel() / size;
  LAUNCH((forward_naive<F, T>), blocks_for(rows, 64), 64, 0, stream_of(x))
  (x.data<T>(), y.data<T>(), rows, size);
}

template <class F, class T>
void backward(const BackwardCall& c) {
  const Tensor &y = c.out[0], &dx = c.din[0];
  if (!dx.defined() || y.numel() == 0) return;
  const int64_t size = y.size(-1), rows = y.numel() / size;
  LAUNCH((backward_naive<F, T>), blocks_for(rows, 64), 64, 0, stream_of(y))
  (y.data<T>(), c.dout[0].data<T>(), dx.data<T>(), rows, size);
}

template <class F>
void forward_tuned(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (x.numel() == 0) return;
  const int64_t size = x.size(-1), rows = x.numel() / size;
  LAUNCH(forward_warp<F>, blocks_for_rows(rows), 32 * rows_per_block, 0, stream_of(x))
  (x.data<float>(), y.data<float>(), rows, size);
}

template <class F>
void backward_tuned(const BackwardCall& c) {
  const Tensor &y = c.out[0], &dx = c.din[0];
  if (!dx.defined() || y.numel() == 0) return;
  const int64_t size = y.size(-1), rows = y.numel() / size;
  LAUNCH(backward_warp<F>, blocks_for_rows(rows), 32 * rows_per_block, 0, stream_of(y))
  (y.data<float>(), c.dout[0].data<float>(), dx.data<float>(), rows, size);
}

template <class F>
RegisterNaive naive(const char* op) {
  return {op, {forward<F, float>, backward<F, float>}, {forward<F, double>, backward<F, double>}};
}

const RegisterNaive naives[] = {naive<Softmax>("softmax"), naive<LogSoftmax>("log_softmax")};
const RegisterTuned tuned[] = {
    {"softmax", forward_tuned<Softmax>, backward_tuned<Softmax>},
    {"log_softmax", forward_tuned<LogSoftmax>, backward_tuned<LogSoftmax>}};

}  // namespace
}  // namespace limbeck::cuda
