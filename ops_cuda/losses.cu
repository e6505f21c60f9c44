// cross_entropy, soft_cross_entropy, kl_div (a loss per row) and smooth_l1 (per element); contract
// in ops/losses.cpp. lp = log_softmax(logits):
//   cross_entropy:       L_n = -sum_c t lp of the label's target t (ops/cross_entropy.h);
//                        dlogits = dL_n (e^lp sum_c t - t)
//   soft_cross_entropy:  L_n = -sum_c t lp;                  dlogits = dL_n (e^lp sum_c t - t),
//                        dt = -dL_n lp
//   kl_div:              L_n = sum_c p (log p - log q);      dlog_q = -dL_n p,  dp = dL_n (log p +
//                        1 - log q);  0 log 0 = 0, and its slope too
//   smooth_l1:           d = x - t; d^2 / (2 beta) if |d| < beta else |d| - beta/2;   dx = dy
//                        clamp(d / beta, -1, 1),  dt = -dx
// logits, target, log_q, p, lp [rows, classes]; labels i64, loss, dloss, sample_weight [rows].
// Outputs are overwritten. A label outside its range gives the loss NaN and a zero gradient row in
// a kernel; the host throws at its next reading of a result (ops_cuda/fault.h). Naive: one thread
// per row (smooth_l1: per element), in double. Tuned (f32): one warp per row, 4 rows a block; lp,
// loss and their reductions in one launch. No shared memory; sums in one fixed order:
// deterministic. Bytes an element: cross_entropy forward 8, backward 8; soft_cross_entropy 12 and
// 12 to 16; kl_div 8 and 8 to 16. 4 to 6 FLOPs. Source: elementary; Kullback and Leibler 1951;
// Girshick, Fast R-CNN, ICCV 2015, equation 3.
#include "ops/cross_entropy.h"
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
/// weight null: all 1.
template <class T>
struct Targets {
  CrossEntropy settings;
  const int64_t* labels;
  const T* weight;

  Targets(const Tensor& labels_, const Tensor& weight_, const Attrs& attrs)
      : settings(attrs), labels(labels_.data<int64_t>()), weight(optional_data<T>(weight_)) {}
  __device__ bool ignored(int64_t row) const { return settings.ignored(labels[row]); }
  __device__ bool smooths() const { return settings.smoothing > 0; }
  /// The share of the label itself.
  __device__ T own(int64_t row) const {
    return T(1 - settings.smoothing) * (weight ? weight[labels[row]] : T(1));
  }
  /// The share that every class has.
  __device__ T spread(int64_t c, int64_t classes) const {
    return T(settings.smoothing) / T(classes) * (weight ? weight[c] : T(1));
  }
};

template <class W, class T>
__global__ void cross_entropy_forward(const T* logits, Targets<T> target, int64_t rows,
                                      int64_t classes, T* loss, T* lp, T* sample_weight,
                                      FaultReport fault) {
  const int64_t row = W::row();
  if (row >= rows) return;
  logits += row * classes;
  lp += row * classes;
  const auto sums = W::log_sum_exp(logits, classes);
  const auto log_sum = sums.log();
  LongSum<typename W::Sum> smoothed;
  for (int64_t i = W::first(); i < classes; i += W::lanes) {
    const typename W::Sum value = logits[i] - sums.largest - log_sum;
    lp[i] = T(value);
    if (target.smooths()) smoothed.add(value * target.spread(i, classes));
  }
  const auto rest = W::total(smoothed.value());
  if (W::first() != 0) return;
  if (target.ignored(row)) {
    loss[row] = sample_weight[row] = 0;
    return;
  }
  const int64_t label = target.labels[row];
  const bool good = in_range(fault, row, label, classes);
  sample_weight[row] = good ? (target.weight ? target.weight[label] : T(1)) : T(0);
  loss[row] = good ? T(target.own(row) * (log_sum - (logits[label] - sums.largest)) - rest)
                   : std::numeric_limits<T>::quiet_NaN();
}

template <class W, class T>
__global__ void cross_entropy_backward(const T* lp, Targets<T> target, const T* dloss, int64_t rows,
                                       int64_t classes, T* dlogits) {
  const int64_t row = W::row();
  if (row >= rows) return;
  const int64_t label = target.labels[row];
  const bool counts = !target.ignored(row) && label >= 0 && label < classes;
  const T own = counts ? target.own(row) : T(0), scale = counts ? dloss[row] : T(0);
  LongSum<typename W::Sum> spread;
  if (target.smooths())
    for (int64_t i = W::first(); i < classes; i += W::lanes) spread.add(target.spread(i, classes));
  const T mass = T(own + W::total(spread.value()));
  for (int64_t i = W::first(); i < classes; i += W::lanes) {
    const T t = (i == label ? own : T(0)) + (target.smooths() ? target.spread(i, classes) : T(0));
    dlogits[row * classes + i] =
        counts ? scale * (std::exp(lp[row * classes + i]) * mass - t) : T(0);
  }
}

template <class T, class W>
void cross_entropy(const ForwardCall& c) {
  const Tensor &logits = c.in[0], &loss = c.out[0];
  const int64_t rows = logits.size(0), classes = logits.size(1);
  if (rows == 0) return;
  LAUNCH((cross_entropy_forward<W, T>), blocks<W>(rows), W::threads, 0, stream_of(logits))
  (logits.data<T>(), Targets<T>(c.in[1], c.in[2], c.attrs), rows, classes, loss.data<T>(),
   c.out[1].data<T>(), c.out[2].data<T>(), fault_of(logits, "cross_entropy"));
}

template <class T, class W>
void cross_entropy_gradient(const BackwardCall& c) {
  const Tensor &lp = c.out[1], &dlogits = c.din[0];
  if (!dlogits.defined() || lp.numel() == 0) return;
  LAUNCH((cross_entropy_backward<W, T>), blocks<W>(lp.size(0)), W::threads, 0, stream_of(lp))
  (lp.data<T>(), Targets<T>(c.in[1], c.in[2], c.attrs), c.dout[0].data<T>(), lp.size(0), lp.size(1),
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
  LongSum<typename W::Sum> own;
  for (int64_t i = W::first(); i < classes; i += W::lanes) {
    lp[i] = T(logits[i] - sums.largest - log_sum);
    own.add(-typename W::Sum(target[i]) * lp[i]);
  }
  const auto sum = W::total(own.value());
  if (W::first() == 0) loss[row] = T(sum);
}

template <class W, class T>
__global__ void soft_cross_entropy_backward(const T* target, const T* lp, const T* dloss,
                                            int64_t rows, int64_t classes, T* dlogits, T* dtarget) {
  const int64_t row = W::row();
  if (row >= rows) return;
  target += row * classes;
  lp += row * classes;
  LongSum<typename W::Sum> own;
  for (int64_t i = W::first(); i < classes; i += W::lanes) own.add(target[i]);
  const auto mass = W::total(own.value());
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
  LongSum<typename W::Sum> own;
  for (int64_t i = W::first(); i < classes; i += W::lanes)
    if (p[i] != 0) own.add(p[i] * (std::log(typename W::Sum(p[i])) - log_q[i]));
  const auto sum = W::total(own.value());
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
