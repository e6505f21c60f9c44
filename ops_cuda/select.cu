// Comparisons (equal, not_equal, less, less_equal, greater, greater_equal) and where, under NumPy
// broadcasting; contract in ops/select.cpp.
//   y[i] = a op b as bool, any type;   where: y = condition ? a : b, da = dy [condition], db = dy
//                                      [not condition], summed over repeats
// Outputs are overwritten. Forward: one thread per element; backward: ops_cuda/reduction.h.
// Deterministic. Bytes: 2 sizeof(T) + 1 an element (comparison), 2 sizeof(T) + 1 (where; also in
// bf16, with sums in float). Source: elementary.
#include "ops_cuda/reduction.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

struct Equal {
  template <class T>
  __device__ static bool value(T a, T b) {
    return a == b;
  }
};
struct Less {
  template <class T>
  __device__ static bool value(T a, T b) {
    return a < b;
  }
};
struct Greater {
  template <class T>
  __device__ static bool value(T a, T b) {
    return a > b;
  }
};

struct NotEqual {
  template <class T>
  __device__ static bool value(T a, T b) {
    return a != b;
  }
};
struct LessEqual {
  template <class T>
  __device__ static bool value(T a, T b) {
    return a <= b;
  }
};
struct GreaterEqual {
  template <class T>
  __device__ static bool value(T a, T b) {
    return a >= b;
  }
};

template <class F, class T>
__global__ void compare_kernel(const T* a, Nest at_a, const T* b, Nest at_b, bool* y, int64_t n) {
  const int64_t i = global_index();
  if (i < n) y[i] = F::value(a[at_a.at(i)], b[at_b.at(i)]);
}

template <class F, class T>
void compare_as(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  LAUNCH((compare_kernel<F, T>), blocks_for(shape.numel()), 256, 0, stream_of(c.out[0]))
  (c.in[0].data<T>(), broadcast_nest(c.in[0].shape(), shape), c.in[1].data<T>(),
   broadcast_nest(c.in[1].shape(), shape), c.out[0].data<bool>(), shape.numel());
}

template <class F>
void compare(const ForwardCall& c) {
  if (c.out[0].numel() == 0) return;
  dispatch_all(c.in[0].dtype(), "comparison", [&](auto t) { compare_as<F, decltype(t)>(c); });
}

// bool and u8 both occupy one byte; any value but 0 counts as true.
const uint8_t* condition_of(const Tensor& t) { return static_cast<const uint8_t*>(t.raw()); }

template <class T>
__global__ void where_kernel(const uint8_t* condition, Nest at_condition, const T* a, Nest at_a,
                             const T* b, Nest at_b, T* y, int64_t n) {
  const int64_t i = global_index();
  if (i < n) y[i] = condition[at_condition.at(i)] ? a[at_a.at(i)] : b[at_b.at(i)];
}

template <class T>
void where_forward(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  if (shape.numel() == 0) return;
  LAUNCH(where_kernel<T>, blocks_for(shape.numel()), 256, 0, stream_of(c.out[0]))
  (condition_of(c.in[0]), broadcast_nest(c.in[0].shape(), shape), c.in[1].data<T>(),
   broadcast_nest(c.in[1].shape(), shape), c.in[2].data<T>(),
   broadcast_nest(c.in[2].shape(), shape), c.out[0].data<T>(), shape.numel());
}

void where(const ForwardCall& c) {
  dispatch_all(c.out[0].dtype(), "where", [&](auto t) { where_forward<decltype(t)>(c); });
}

/// dy where the condition is `chosen`.
template <class T, class S>
struct ChosenTerm {
  const S* dy;
  const uint8_t* condition;
  Nest at;
  bool chosen;
  __device__ T operator()(int64_t i) const {
    return (condition[at.at(i)] != 0) == chosen ? T(dy[i]) : T(0);
  }
};

/// Sums in T over gradients stored as S.
template <class T, class S = T>
void where_backward(const BackwardCall& c) {
  const Shape& shape = c.dout[0].shape();
  for (const int which : {1, 2}) {
    const Tensor& din = c.din[static_cast<size_t>(which)];
    if (!din.defined()) continue;
    const ChosenTerm<T, S> term{c.dout[0].data<S>(), condition_of(c.in[0]),
                                broadcast_nest(c.in[0].shape(), shape), which == 1};
    sum_groups<T, S>(groups_of(shape, din.shape()), term, din);
  }
}

const RegisterNaive equal("equal", {compare<Equal>});
const RegisterNaive less("less", {compare<Less>});
const RegisterNaive greater("greater", {compare<Greater>});
const RegisterNaive not_equal("not_equal", {compare<NotEqual>});
const RegisterNaive less_equal("less_equal", {compare<LessEqual>});
const RegisterNaive greater_equal("greater_equal", {compare<GreaterEqual>});
const RegisterNaive where_op("where", {where, where_backward<float>},
                             {where, where_backward<double>});
const RegisterTuned where_bf16("where", {where, where_backward<float, bfloat16>}, nullptr,
                               DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
