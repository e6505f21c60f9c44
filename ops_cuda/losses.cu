// cross_entropy, soft_cross_entropy, kl_div (a loss per row) and smooth_l1 (per element); contract
// in ops/losses.cpp. lp = log_softmax(logits):
//   cross_entropy:       L_n = -lp[n, label_n];        dlogits = dL_n (e^lp - onehot(label_n))
//   soft_cross_entropy:  L_n = -sum_c t lp;                  dlogits = dL_n (e^lp sum_c t - t),
//                        dt = -dL_n lp
//   kl_div:              L_n = sum_c p (log p - log q);      dlog_q = -dL_n p,  dp = dL_n (log p +
//                        1 - log q);  0 log 0 = 0, and its slope too
//   smooth_l1:           d = x - t; d^2 / (2 beta) if |d| < beta else |d| - beta/2;   dx = dy
//                        clamp(d / beta, -1, 1),  dt = -dx
// logits, target, log_q, p, lp [rows, classes]; labels i64 [rows]; loss, dloss [rows]. Outputs are
// overwritten. A label outside its range gives the loss NaN and a zero gradient row in a kernel;
// the host throws at its next reading of a result (ops_cuda/fault.h). Naive: one thread per row
// (smooth_l1: per element), in double. Tuned (f32): one warp per row, 4 rows a block; lp, loss and
// their reductions in one launch. No shared memory; sums in one fixed order: deterministic. Bytes
// an element: cross_entropy forward 8, backward 8; soft_cross_entropy 12 and 12 to 16; kl_div 8 and
// 8 to 16. 4 to 6 FLOPs. Source: elementary; Kullback and Leibler 1951; Girshick, Fast R-CNN, ICCV
// 2015, equation 3.
#include "ops_cuda/fault.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"
#include "ops_cuda/rows.h"

namespace limbeck::cuda {
namespace {

// Each loss is written once for a worker (ops_cuda/rows.h): RowThread gives the naive kernel,
// RowWarp the tuned one.
struct Thread : RowThread {
  template <class T>
  __device__ static LogSumExp<double> log_sum_exp(const T* x, int64_t size) {
    return thread_log_sum_exp(x, size);
  }
};
struct Warp : RowWarp {
  __device__ static LogSumExp<float> log_sum_exp(const float* x, int64_t size) {
    return warp_log_sum_exp(x, size);
  }
};

template <class W>
dim3 blocks(int64_t rows) {
  return blocks_for(rows, W::threads / W::lanes);
}

// --- cross_entropy -------------------------------------------------------------------------------
template <class W, class T>
__global__ void cross_entropy_forward(const T* logits, const int64_t* labels, int64_t rows,
                                      int64_t classes, T* loss, T* lp, Fault* fault,
                                      const char* name) {
  const int64_t row = W::row();
  if (row >= rows) return;
  logits += row * classes;
  lp += row * classes;
  const auto sums = W::log_sum_exp(logits, classes);
  const auto log_sum = sums.log();
  for (int64_t i = W::first(); i < classes; i += W::lanes)
    lp[i] = T(logits[i] - sums.largest - log_sum);
  if (W::first() != 0) return;
  const bool good = in_range(fault, name, row, labels[row], classes);
  loss[row] = good ? T(log_sum - (logits[labels[row]] - sums.largest))
                   : std::numeric_limits<T>::quiet_NaN();
}

template <class W, class T>
__global__ void cross_entropy_backward(const T* lp, const int64_t* labels, const T* dloss,
                                       int64_t rows, int64_t classes, T* dlogits) {
  const int64_t row = W::row();
  if (row >= rows) return;
  const int64_t label = labels[row];
  const T scale = label >= 0 && label < classes ? dloss[row] : T(0);
  for (int64_t i = W::first(); i < classes; i += W::lanes)
    dlogits[row * classes + i] = scale * (std::exp(lp[row * classes + i]) - T(i == label));
}

template <class T, class W>
void cross_entropy(const ForwardCall& c) {
  const Tensor &logits = c.in[0], &loss = c.out[0];
  const int64_t rows = logits.size(0), classes = logits.size(1);
  if (rows == 0) return;
  LAUNCH((cross_entropy_forward<W, T>), blocks<W>(rows), W::threads, 0, stream_of(logits))
  (logits.data<T>(), c.in[1].data<int64_t>(), rows, classes, loss.data<T>(), c.out[1].data<T>(),
   fault_of(logits), "cross_entropy");
}

template <class T, class W>
void cross_entropy_gradient(const BackwardCall& c) {
  const Tensor &lp = c.out[1], &dlogits = c.din[0];
  if (!dlogits.defined() || lp.numel() == 0) return;
  LAUNCH((cross_entropy_backward<W, T>), blocks<W>(lp.size(0)), W::threads, 0, stream_of(lp))
  (lp.data<T>(), c.in[1].data<int64_t>(), c.dout[0].data<T>(), lp.size(0), lp.size(1),
   dlogits.data<T>());
}

// --- soft_cross_entropy --------------------------------------------------------------------------
template <class W, class T>
__global__ void soft_cross_entropy_forward(const T* logits, const T* target, int64_t rows,
                                           int64_t classes, T* loss, T* lp) {
  const int64_t row = W::row();
  if (row >= rows) return;
  logits += row * classes;
  target += row * classes;
  lp += row * classes;
  const auto sums = W::log_sum_exp(logits, classes);
  const auto log_sum = sums.log();
  typename W::Sum sum = 0;
  for (int64_t i = W::first(); i < classes; i += W::lanes) {
    lp[i] = T(logits[i] - sums.largest - log_sum);
    sum -= typename W::Sum(target[i]) * lp[i];
  }
  sum = W::total(sum);
  if (W::first() == 0) loss[row] = T(sum);
}

template <class W, class T>
__global__ void soft_cross_entropy_backward(const T* target, const T* lp, const T* dloss,
                                            int64_t rows, int64_t classes, T* dlogits, T* dtarget) {
  const int64_t row = W::row();
  if (row >= rows) return;
  target += row * classes;
  lp += row * classes;
  typename W::Sum mass = 0;
  for (int64_t i = W::first(); i < classes; i += W::lanes) mass += target[i];
  mass = W::total(mass);
  for (int64_t i = W::first(); i < classes; i += W::lanes) {
    if (dlogits)
      dlogits[row * classes + i] =
          T(dloss[row] * (std::exp(typename W::Sum(lp[i])) * mass - target[i]));
    if (dtarget) dtarget[row * classes + i] = -dloss[row] * lp[i];
  }
}

template <class T, class W>
void soft_cross_entropy(const ForwardCall& c) {
  const Tensor& logits = c.in[0];
  const int64_t rows = logits.size(0), classes = logits.size(1);
  if (rows == 0) return;
  LAUNCH((soft_cross_entropy_forward<W, T>), blocks<W>(rows), W::threads, 0, stream_of(logits))
  (logits.data<T>(), c.in[1].data<T>(), rows, classes, c.out[0].data<T>(), c.out[1].data<T>());
}

template <class T, class W>
void soft_cross_entropy_gradient(const BackwardCall& c) {
  const Tensor& lp = c.out[1];
  if (lp.numel() == 0) return;
  LAUNCH((soft_cross_entropy_backward<W, T>), blocks<W>(lp.size(0)), W::threads, 0, stream_of(lp))
  (c.in[1].data<T>(), lp.data<T>(), c.dout[0].data<T>(), lp.size(0), lp.size(1),
   optional_data<T>(c.din[0]), optional_data<T>(c.din[1]));
}

// --- kl_div --------------------------------------------------------------------------------------
template <class W, class T>
__global__ void kl_div_forward(const T* log_q, const T* p, int64_t rows, int64_t classes, T* loss) {
  const int64_t row = W::row();
  if (row >= rows) return;
  log_q += row * classes;
  p += row * classes;
  typename W::Sum sum = 0;
  for (int64_t i = W::first(); i < classes; i += W::lanes)
    if (p[i] != 0) sum += p[i] * (std::log(typename W::Sum(p[i])) - log_q[i]);
  sum = W::total(sum);
  if (W::first() == 0) loss[row] = T(sum);
}

template <class T>
__global__ void kl_div_backward(const T* log_q, const T* p, const T* dloss, int64_t elements,
                                int64_t classes, T* dlog_q, T* dp) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const T g = dloss[i / classes];
  if (dlog_q) dlog_q[i] = -g * p[i];
  if (dp) dp[i] = p[i] == 0 ? T(0) : g * (std::log(p[i]) + 1 - log_q[i]);
}

template <class T, class W>
void kl_div(const ForwardCall& c) {
  const Tensor& log_q = c.in[0];
  if (log_q.size(0) == 0) return;
  LAUNCH((kl_div_forward<W, T>), blocks<W>(log_q.size(0)), W::threads, 0, stream_of(log_q))
  (log_q.data<T>(), c.in[1].data<T>(), log_q.size(0), log_q.size(1), c.out[0].data<T>());
}

template <class T, class>
void kl_div_gradient(const BackwardCall& c) {
  const Tensor& log_q = c.in[0];
  if (log_q.numel() == 0) return;
  LAUNCH(kl_div_backward<T>, blocks_for(log_q.numel()), 256, 0, stream_of(log_q))
  (log_q.data<T>(), c.in[1].data<T>(), c.dout[0].data<T>(), log_q.numel(), log_q.size(1),
   optional_data<T>(c.din[0]), optional_data<T>(c.din[1]));
}

// --- smooth_l1: naive only, bandwidth-bound as it is ---------------------------------------------
template <class T>
__global__ void smooth_l1_forward(const T* x, const T* target, int64_t elements, T beta, T* y) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const T d = std::abs(x[i] - target[i]);
  y[i] = d < beta ? d * d / (2 * beta) : d - beta / 2;
}

template <class T>
__global__ void smooth_l1_backward(const T* x, const T* target, const T* dy, int64_t elements,
                                   T beta, T* dx, T* dtarget) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const T d = (x[i] - target[i]) / beta, slope = dy[i] * (d > 1 ? T(1) : d < -1 ? T(-1) : d);
  if (dx) dx[i] = slope;
  if (dtarget) dtarget[i] = -slope;
}

template <class T>
void smooth_l1(const ForwardCall& c) {
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  LAUNCH(smooth_l1_forward<T>, blocks_for(x.numel()), 256, 0, stream_of(x))
  (x.data<T>(), c.in[1].data<T>(), x.numel(), T(c.attrs.number("beta", 1)), c.out[0].data<T>());
}

template <class T>
void smooth_l1_gradient(const BackwardCall& c) {
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  LAUNCH(smooth_l1_backward<T>, blocks_for(x.numel()), 256, 0, stream_of(x))
  (x.data<T>(), c.in[1].data<T>(), c.dout[0].data<T>(), x.numel(), T(c.attrs.number("beta", 1)),
   optional_data<T>(c.din[0]), optional_data<T>(c.din[1]));
}

#define LIMBECK_ROW_LOSS(f)                                                     \
  template <class T>                                                            \
  void f##_naive(const ForwardCall& c) {                                        \
    f<T, Thread>(c);                                                            \
  }                                                                             \
  template <class T>                                                            \
  void f##_gradient_naive(const BackwardCall& c) {                              \
    f##_gradient<T, Thread>(c);                                                 \
  }                                                                             \
  const RegisterNaive f##_op(#f, LIMBECK_TYPES(f##_naive, f##_gradient_naive)); \
  const RegisterTuned f##_tuned(#f, f<float, Warp>, f##_gradient<float, Warp>)

LIMBECK_ROW_LOSS(cross_entropy);
LIMBECK_ROW_LOSS(soft_cross_entropy);
LIMBECK_ROW_LOSS(kl_div);
const RegisterNaive smooth_l1_op("smooth_l1", LIMBECK_TYPES(smooth_l1, smooth_l1_gradient));

}  // namespace
}  // namespace limbeck::cuda
