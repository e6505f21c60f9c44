// attention, naive; tuned in ops_cuda/attention_tuned.cu; contract in ops/attention.cpp.
//   p = softmax_s(scale q k^T);  y = p v;  lse = log sum_s e^(scale q k_s)
//   dv_s = sum_l p dy_l;  dp = dy v_s;  ds = p (dp - delta_l), delta_l = sum_e dy y;  dq = scale
//                                       sum_s ds k_s;  dk_s = scale sum_l ds q
// q [N, L, d], k [N, S, d], v [N, S, e] -> y [N, L, e], lse [N, L]. All outputs are overwritten.
// Forward: one thread per query keeps a running maximum, sum and result: on a score s, all shrink
// by e^(m - max(m, s)) (Milakov and Gimelshein 2018); no L x S matrix anywhere. The running result
// lives in a row of workspace. Backward recomputes p = e^(scale q k - lse): one thread per query
// for dq, one per key for dk and dv, so every sum has one owner: no atomics. Sums in double;
// deterministic. No shared memory. Bytes: every thread reads all of k and v (or q and dy) through
// the caches. FLOPs: 2 N L S (d + e) forward, 2 N L S (5 d + 4 e) backward, where the two kernels
// recompute the same scores. Source: Vaswani et al. 2017; Zhang et al., SAGAN, 2019; Dao et al.,
// FlashAttention, 2022, appendix B.
#include <cmath>
#include <limits>

#include "ops/attention.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

using Sizes = AttentionSizes<double>;

template <class T>
__device__ double dot(const T* a, const T* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double(a[i]) * b[i];
  return sum;
}

// running [N L, e]: the result so far.
template <class T>
__global__ void forward_query(const T* q, const T* k, const T* v, Sizes s, double* running, T* y,
                              T* lse) {
  const int64_t at = global_index();
  if (at >= s.batch * s.queries) return;
  const int64_t n = at / s.queries;
  double largest = -std::numeric_limits<double>::infinity(), z = 0;
  double* acc = running + at * s.e;
  for (int64_t i = 0; i < s.e; ++i) acc[i] = 0;
  for (int64_t key = n * s.keys; key < (n + 1) * s.keys; ++key) {
    const double score = s.scale * dot(q + at * s.d, k + key * s.d, s.d);
    const double bound = score > largest ? score : largest, shrink = std::exp(largest - bound),
                 p = std::exp(score - bound);
    for (int64_t i = 0; i < s.e; ++i) acc[i] = acc[i] * shrink + p * v[key * s.e + i];
    z = z * shrink + p;
    largest = bound;
  }
  for (int64_t i = 0; i < s.e; ++i) y[at * s.e + i] = T(acc[i] / z);
  lse[at] = T(largest + std::log(z));
}

// delta [N L]
template <class T>
__global__ void query_deltas(const T* y, const T* dy, Sizes s, double* delta) {
  const int64_t at = global_index();
  if (at < s.batch * s.queries) delta[at] = dot(dy + at * s.e, y + at * s.e, s.e);
}

// sum [N L, d]
template <class T>
__global__ void query_gradient(const T* q, const T* k, const T* v, const T* dy, const T* lse,
                               const double* delta, Sizes s, double* sum, T* dq) {
  const int64_t at = global_index();
  if (at >= s.batch * s.queries) return;
  const int64_t n = at / s.queries;
  sum += at * s.d;
  for (int64_t i = 0; i < s.d; ++i) sum[i] = 0;
  for (int64_t key = n * s.keys; key < (n + 1) * s.keys; ++key) {
    const double p = std::exp(s.scale * dot(q + at * s.d, k + key * s.d, s.d) - lse[at]);
    const double ds = s.scale * p * (dot(dy + at * s.e, v + key * s.e, s.e) - delta[at]);
    for (int64_t i = 0; i < s.d; ++i) sum[i] += ds * k[key * s.d + i];
  }
  for (int64_t i = 0; i < s.d; ++i) dq[at * s.d + i] = T(sum[i]);
}

// sum [N S, d + e]. dk or dv may be null.
template <class T>
__global__ void key_gradient(const T* q, const T* k, const T* v, const T* dy, const T* lse,
                             const double* delta, Sizes s, double* sum, T* dk, T* dv) {
  const int64_t key = global_index();
  if (key >= s.batch * s.keys) return;
  const int64_t n = key / s.keys;
  double *sum_k = sum + key * (s.d + s.e), *sum_v = sum_k + s.d;
  for (int64_t i = 0; i < s.d + s.e; ++i) sum_k[i] = 0;
  for (int64_t at = n * s.queries; at < (n + 1) * s.queries; ++at) {
    const double p = std::exp(s.scale * dot(q + at * s.d, k + key * s.d, s.d) - lse[at]);
    const double ds = s.scale * p * (dot(dy + at * s.e, v + key * s.e, s.e) - delta[at]);
    for (int64_t i = 0; i < s.d; ++i) sum_k[i] += ds * q[at * s.d + i];
    for (int64_t i = 0; i < s.e; ++i) sum_v[i] += p * dy[at * s.e + i];
  }
  if (dk)
    for (int64_t i = 0; i < s.d; ++i) dk[key * s.d + i] = T(sum_k[i]);
  if (dv)
    for (int64_t i = 0; i < s.e; ++i) dv[key * s.e + i] = T(sum_v[i]);
}

template <class T>
void forward(const ForwardCall& c) {
  const Sizes s(c.in, c.attrs);
  const Tensor& q = c.in[0];
  if (s.batch * s.queries == 0) return;
  const Tensor running = workspace<double>(q, {s.batch * s.queries, s.e});
  LAUNCH(forward_query<T>, blocks_for(s.batch * s.queries, 64), 64, 0, stream_of(q))
  (q.data<T>(), c.in[1].data<T>(), c.in[2].data<T>(), s, running.data<double>(), c.out[0].data<T>(),
   c.out[1].data<T>());
}

template <class T>
void backward(const BackwardCall& c) {
  const Sizes s(c.in, c.attrs);
  const T *q = c.in[0].data<T>(), *k = c.in[1].data<T>(), *v = c.in[2].data<T>(),
          *dy = c.dout[0].data<T>(), *lse = c.out[1].data<T>();
  const Tensor& like = c.dout[0];
  const cudaStream_t stream = stream_of(like);
  const Tensor delta = workspace<double>(like, {s.batch * s.queries});
  if (s.batch * s.queries > 0)
    LAUNCH(query_deltas<T>, blocks_for(s.batch * s.queries, 64), 64, 0, stream)
  (c.out[0].data<T>(), dy, s, delta.data<double>());
  if (c.din[0].defined() && s.batch * s.queries > 0) {
    const Tensor sum = workspace<double>(like, {s.batch * s.queries, s.d});
    LAUNCH(query_gradient<T>, blocks_for(s.batch * s.queries, 64), 64, 0, stream)
    (q, k, v, dy, lse, delta.data<double>(), s, sum.data<double>(), c.din[0].data<T>());
  }
  if ((c.din[1].defined() || c.din[2].defined()) && s.batch * s.keys > 0) {
    const Tensor sum = workspace<double>(like, {s.batch * s.keys, s.d + s.e});
    LAUNCH(key_gradient<T>, blocks_for(s.batch * s.keys, 64), 64, 0, stream)
    (q, k, v, dy, lse, delta.data<double>(), s, sum.data<double>(), optional_data<T>(c.din[1]),
     optional_data<T>(c.din[2]));
  }
}

const RegisterNaive attention("attention", LIMBECK_TYPES(forward, backward));

}  // namespace
}  // namespace limbeck::cuda
