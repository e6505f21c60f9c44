// sum, mean, max, min, var and logsumexp over any axes; contract in ops/reduce.cpp.
//   y[j] = sum of x / n | max or min of x | sum of (x - mean)^2 / (n - unbiased) | log of the sum
//   of e^x   over group j (the elements that reduce into y[j])
//   dx[i] = dy[j] | dy[j] / n | dy[j] [x = y] / ties | 2 dy[j] (x[i] - mean) / (n - unbiased) |
//   dy[j] e^x[i] / (sum of e^x)
// x any shape, y its shape without the axes; outputs and dx are overwritten. Sums:
// ops_cuda/reduction.h. max, min, var and logsumexp (its gradient too): one block per group. Other
// gradients: one thread per element of x, after one pass that finds ties or means. Shared memory:
// 32 partial results. Deterministic. sum and mean, tuned (f32; x, dx in bf16 with y, dy in f32):
// groups side by side forward, 16 bytes of dx a thread backward. Bytes: sizeof(T) an element
// forward (var: twice), 1 to 3 sizeof(T) backward. Source: elementary; var in two passes.
#include "ops/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/checks.h"
#include "ops_cuda/elements.h"
#include "ops_cuda/reduction.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

Groups groups_for(const Shape& x, const Attrs& attrs) { return groups_of(x, kept_shape(x, attrs)); }

/// Group of each element of x.
Nest group_nest(const Shape& x, const Attrs& attrs) {
  return broadcast_nest(kept_shape(x, attrs), x);
}

template <class T, class S = T>
struct ElementTerm {
  const S* x;
  __device__ T operator()(int64_t i) const { return T(x[i]); }
};

/// Integers: an i64 that wraps.
template <class S>
void sum_whole(const ForwardCall& c) {
  sum_groups<uint64_t, int64_t>(groups_for(c.in[0].shape(), c.attrs),
                                ElementTerm<uint64_t, S>{c.in[0].data<S>()}, c.out[0]);
}

template <class T, bool average>
void sum_forward(const ForwardCall& c) {
  if (c.in[0].dtype() == DType::i64) return sum_whole<int64_t>(c);
  if (c.in[0].dtype() == DType::i32) return sum_whole<int32_t>(c);
  const Groups groups = groups_for(c.in[0].shape(), c.attrs);
  sum_groups<T>(groups, ElementTerm<T>{c.in[0].data<T>()}, c.out[0],
                average ? static_cast<double>(groups.members) : 1.0);
}

template <class T>
__global__ void spread_kernel(const T* dy, Nest group, T divisor, T* dx, int64_t n) {
  const int64_t i = global_index();
  if (i < n) dx[i] = dy[group.at(i)] / divisor;
}

template <class T, bool average>
void sum_backward(const BackwardCall& c) {
  if (!c.din[0].defined() || c.din[0].numel() == 0) return;
  const Shape& shape = c.din[0].shape();
  const double divisor = average ? static_cast<double>(groups_for(shape, c.attrs).members) : 1.0;
  LAUNCH(spread_kernel<T>, blocks_for(shape.numel()), 256, 0, stream_of(c.dout[0]))
  (c.dout[0].data<T>(), group_nest(shape, c.attrs), T(divisor), c.din[0].data<T>(), shape.numel());
}

template <class S>
__global__ void spread_vectors(Operand<float> dy, float divisor, S* dx, int64_t n, bool vectors) {
  constexpr int V = per_thread<S>;
  const Chunk<V> chunk(n, vectors);
  if (chunk.whole) {
    auto g = dy.chunk<V>(chunk.first);
    for (int v = 0; v < V; ++v) g[v] = g[v] / divisor;
    store_floats(dx + chunk.first, g);
  } else {
    for (int64_t i = chunk.first; i < chunk.end; ++i) dx[i] = S(dy[i] / divisor);
  }
}

template <class S, bool average>
void sum_forward_tuned(const ForwardCall& c) {
  const Groups groups = groups_for(c.in[0].shape(), c.attrs);
  sum_groups_tuned<float>(groups, ElementTerm<float, S>{c.in[0].data<S>()}, c.out[0],
                          average ? static_cast<double>(groups.members) : 1.0);
}

template <class S, bool average>
void sum_backward_tuned(const BackwardCall& c) {
  constexpr int V = per_thread<S>;
  const Tensor& dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const double divisor =
      average ? static_cast<double>(groups_for(dx.shape(), c.attrs).members) : 1.0;
  const Operand<float> dy(c.dout[0], group_nest(dx.shape(), c.attrs));
  LAUNCH(spread_vectors<S>, blocks_for_chunks<S>(dx.numel()), 256, 0, stream_of(dx))
  (dy, float(divisor), dx.data<S>(), dx.numel(), dy.in_vectors(V) && aligned_for(V, dx.data<S>()));
}

// --- max, min ------------------------------------------------------------------------------------
// NaN wins, as in the reference.
struct Larger {
  static constexpr int sign = 1;
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a || b != b ? b : a;
  }
};
struct Smaller {
  static constexpr int sign = -1;
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b < a || b != b ? b : a;
  }
};

template <class T, class F>
__global__ void extremum_kernel(Groups groups, const T* x, T* y) {
  const int64_t j = blockIdx.x;
  T top = farthest<T>(F::sign);
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x)
    top = F()(top, x[groups.element(j, r)]);
  top = block_reduce(top, F());
  if (threadIdx.x == 0) y[j] = top;
}

template <class T, class F>
void extremum_of(const ForwardCall& c) {
  const Groups groups = groups_for(c.in[0].shape(), c.attrs);
  if (groups.count == 0) return;
  LAUNCH((extremum_kernel<T, F>), dim3(static_cast<unsigned>(groups.count)),
         threads_for(groups.members), 0, stream_of(c.out[0]))
  (groups, c.in[0].data<T>(), c.out[0].data<T>());
}

template <class T, class F>
void extremum_forward(const ForwardCall& c) {
  if (c.in[0].dtype() == DType::i64) return extremum_of<int64_t, F>(c);
  if (c.in[0].dtype() == DType::i32) return extremum_of<int32_t, F>(c);
  extremum_of<T, F>(c);
}

/// 1 where x is its group's extremum.
template <class T>
struct TieTerm {
  const T *x, *y;
  Nest group;
  __device__ T operator()(int64_t i) const { return x[i] == y[group.at(i)] ? T(1) : T(0); }
};

template <class T>
__global__ void extremum_gradient_kernel(const T* x, const T* y, const T* dy, const T* ties,
                                         Nest group, T* dx, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t j = group.at(i);
  dx[i] = x[i] == y[j] ? dy[j] / ties[j] : T(0);
}

template <class T>
void extremum_backward(const BackwardCall& c) {
  if (!c.din[0].defined() || c.din[0].numel() == 0) return;
  const Shape& shape = c.din[0].shape();
  const Nest group = group_nest(shape, c.attrs);
  const Tensor ties = Tensor::empty_like(c.out[0]);
  sum_groups<T>(groups_for(shape, c.attrs),
                TieTerm<T>{c.in[0].data<T>(), c.out[0].data<T>(), group}, ties);
  LAUNCH(extremum_gradient_kernel<T>, blocks_for(shape.numel()), 256, 0, stream_of(c.dout[0]))
  (c.in[0].data<T>(), c.out[0].data<T>(), c.dout[0].data<T>(), ties.data<T>(), group,
   c.din[0].data<T>(), shape.numel());
}

// --- var -----------------------------------------------------------------------------------------
template <class T>
__global__ void var_kernel(Groups groups, const T* x, T degrees, T* y) {
  const int64_t j = blockIdx.x;
  LongSum<T> sum, squares;
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x)
    sum.add(x[groups.element(j, r)]);
  const T mean = block_sum(sum.value()) / static_cast<T>(groups.members);
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x) {
    const T d = x[groups.element(j, r)] - mean;
    squares.add(d * d);
  }
  const T all = block_sum(squares.value());
  if (threadIdx.x == 0) y[j] = all / degrees;
}

double degrees_of_freedom(const Groups& groups, const Attrs& attrs) {
  return static_cast<double>(
      std::max<int64_t>(0, groups.members - (attrs.flag("unbiased", true) ? 1 : 0)));
}

template <class T>
void var_forward(const ForwardCall& c) {
  const Groups groups = groups_for(c.in[0].shape(), c.attrs);
  if (groups.count == 0) return;
  LAUNCH(var_kernel<T>, dim3(static_cast<unsigned>(groups.count)), threads_for(groups.members), 0,
         stream_of(c.out[0]))
  (groups, c.in[0].data<T>(), T(degrees_of_freedom(groups, c.attrs)), c.out[0].data<T>());
}

template <class T>
__global__ void var_gradient_kernel(const T* x, const T* dy, const T* mean, Nest group, T degrees,
                                    T* dx, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t j = group.at(i);
  dx[i] = dy[j] * 2 * (x[i] - mean[j]) / degrees;
}

template <class T>
void var_backward(const BackwardCall& c) {
  if (!c.din[0].defined() || c.din[0].numel() == 0) return;
  const Shape& shape = c.din[0].shape();
  const Groups groups = groups_for(shape, c.attrs);
  const Tensor mean = Tensor::empty_like(c.dout[0]);
  sum_groups<T>(groups, ElementTerm<T>{c.in[0].data<T>()}, mean,
                static_cast<double>(groups.members));
  LAUNCH(var_gradient_kernel<T>, blocks_for(shape.numel()), 256, 0, stream_of(c.dout[0]))
  (c.in[0].data<T>(), c.dout[0].data<T>(), mean.data<T>(), group_nest(shape, c.attrs),
   T(degrees_of_freedom(groups, c.attrs)), c.din[0].data<T>(), shape.numel());
}

// --- logsumexp -----------------------------------------------------------------------------------
/// The largest element of group j (0 where it is not finite: e^x is 0 or infinite by itself) and
/// the sum of e^(x - largest), by a block.
template <class T>
__device__ void sum_exp(const Groups& groups, int64_t j, const T* x, T& largest, T& sum) {
  T top = -std::numeric_limits<T>::infinity();
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x) {
    const T value = x[groups.element(j, r)];
    top = value > top ? value : top;
  }
  top = block_reduce(top, Larger());
  largest = top - top == 0 ? top : T(0);
  LongSum<T> own;
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x)
    own.add(std::exp(x[groups.element(j, r)] - largest));
  sum = block_sum(own.value());
}

template <class T>
__global__ void logsumexp_kernel(Groups groups, const T* x, T* y) {
  T largest, sum;
  sum_exp(groups, blockIdx.x, x, largest, sum);
  if (threadIdx.x == 0) y[blockIdx.x] = largest + std::log(sum);
}

template <class T>
__global__ void logsumexp_gradient_kernel(Groups groups, const T* x, const T* dy, T* dx) {
  T largest, sum;
  sum_exp(groups, blockIdx.x, x, largest, sum);
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x) {
    const int64_t i = groups.element(blockIdx.x, r);
    dx[i] = dy[blockIdx.x] * (std::exp(x[i] - largest) / sum);
  }
}

template <class T>
void logsumexp_forward(const ForwardCall& c) {
  const Groups groups = groups_for(c.in[0].shape(), c.attrs);
  if (groups.count == 0) return;
  LAUNCH(logsumexp_kernel<T>, dim3(static_cast<unsigned>(groups.count)),
         threads_for(groups.members), 0, stream_of(c.out[0]))
  (groups, c.in[0].data<T>(), c.out[0].data<T>());
}

template <class T>
void logsumexp_backward(const BackwardCall& c) {
  if (!c.din[0].defined() || c.din[0].numel() == 0) return;
  const Groups groups = groups_for(c.din[0].shape(), c.attrs);
  LAUNCH(logsumexp_gradient_kernel<T>, dim3(static_cast<unsigned>(groups.count)),
         threads_for(groups.members), 0, stream_of(c.dout[0]))
  (groups, c.in[0].data<T>(), c.dout[0].data<T>(), c.din[0].data<T>());
}

template <bool average>
struct SumKernels {
  RegisterNaive naive;
  RegisterTuned f32, bf16;
  explicit SumKernels(const char* op)
      : naive(op, {sum_forward<float, average>, sum_backward<float, average>},
              {sum_forward<double, average>, sum_backward<double, average>}),
        f32(op, {sum_forward_tuned<float, average>, sum_backward_tuned<float, average>},
            without_integers),
        bf16(op, {sum_forward_tuned<bfloat16, average>, sum_backward_tuned<bfloat16, average>},
             without_integers, DType::bf16) {}
};

const SumKernels<false> sum_op("sum");
const SumKernels<true> mean_op("mean");
const RegisterNaive max_op("max", {extremum_forward<float, Larger>, extremum_backward<float>},
                           {extremum_forward<double, Larger>, extremum_backward<double>});
const RegisterNaive min_op("min", {extremum_forward<float, Smaller>, extremum_backward<float>},
                           {extremum_forward<double, Smaller>, extremum_backward<double>});
const RegisterNaive logsumexp_op("logsumexp", LIMBECK_TYPES(logsumexp_forward, logsumexp_backward));
const RegisterNaive var_op("var", LIMBECK_TYPES(var_forward, var_backward));

}  // namespace
}  // namespace limbeck::cuda
