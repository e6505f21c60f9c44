// where and the comparisons, f32 on the CPU: contract and reference in ops/select.cpp. For operands
// of the result's shape or of one element; where broadcasts otherwise, the reference serves. Bytes:
// 13 an element of where, forwards and backwards, 9 of a comparison.
#include <type_traits>

#include "ops/comparisons.h"
#include "ops/op.h"
#include "ops_cpu/broadcast.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_select {
namespace {

constexpr int64_t grain = 16384;

/// 1 for an operand that advances with the result, 0 for one element that repeats.
int64_t step_of(const Tensor& t, int64_t n) { return t.numel() == n ? 1 : 0; }

/// Whether all of them advance or are one element.
bool walks(const Tensors& operands) {
  int64_t largest = 1;
  for (const Tensor& t : operands) largest = std::max(largest, t.numel());
  const Shape* shape = nullptr;
  for (const Tensor& t : operands) {
    if (t.numel() == 1 && t.numel() != largest) continue;
    if (t.numel() != largest || (shape && t.shape() != *shape)) return false;
    shape = &t.shape();
  }
  return true;
}

// bool and u8 both occupy one byte; any value but 0 counts as true.
const uint8_t* condition_of(const Tensor& t) { return static_cast<const uint8_t*>(t.raw()); }

/// Calls f(step_a, step_b) with the steps as types, so that a loop over them is one over vectors.
template <class F>
void with_steps(int64_t a, int64_t b, F&& f) {
  using Repeats = std::integral_constant<int64_t, 0>;
  using Advances = std::integral_constant<int64_t, 1>;
  if (a)
    b ? f(Advances(), Advances()) : f(Advances(), Repeats());
  else
    b ? f(Repeats(), Advances()) : f(Repeats(), Repeats());
}

void where_forward(const ForwardCall& c) {
  const Tensor& y = c.out[0];
  const int64_t n = y.numel();
  const uint8_t* chosen = condition_of(c.in[0]);
  const float *a = c.in[1].data<float>(), *b = c.in[2].data<float>();
  float* to = y.data<float>();
  with_steps(step_of(c.in[1], n), step_of(c.in[2], n), [&](auto with_a, auto with_b) {
    parallel_ranges(n, grain, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        const float x = a[i * with_a], z = b[i * with_b];
        to[i] = chosen[i] ? x : z;
      }
    });
  });
}

/// to[i] = g[i] where the condition is as wanted, else 0.
void choose(const Tensor& dy, const uint8_t* condition, bool wanted, const Tensor& din) {
  const float* g = dy.data<float>();
  float* to = din.data<float>();
  parallel_ranges(dy.numel(), grain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float x = g[i];
      to[i] = (condition[i] != 0) == wanted ? x : 0.0f;
    }
  });
}

void where_backward(const BackwardCall& c) {
  const Tensor& dy = c.dout[0];
  if (c.in[0].shape() != dy.shape()) return find_op("where").backward(c);
  for (const int which : {1, 2}) {
    const Tensor& din = c.din[which];
    if (!din.defined()) continue;
    const bool whole = din.shape() == dy.shape();
    const Tensor chosen = whole ? din : Tensor::empty_like(dy);
    choose(dy, condition_of(c.in[0]), which == 1, chosen);
    if (!whole) sum_to(chosen, din.shape(), 1, din);
  }
}

using namespace comparison;

template <class F>
void compare(const ForwardCall& c) {
  const int64_t n = c.out[0].numel();
  const float *a = c.in[0].data<float>(), *b = c.in[1].data<float>();
  bool* y = c.out[0].data<bool>();
  with_steps(step_of(c.in[0], n), step_of(c.in[1], n), [&](auto with_a, auto with_b) {
    parallel_ranges(n, grain, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) y[i] = F::value(a[i * with_a], b[i * with_b]);
    });
  });
}

template <class F>
struct Comparison : RegisterKernel {
  Comparison()
      : RegisterKernel({.op = F::name,
                        .name = "cpu",
                        .forward = compare<F>,
                        .supports = [](const Tensors& in, const Attrs&) {
                          return in[0].dtype() == DType::f32 && walks(in);
                        }}) {}
};
const Comparison<Equal> equal;
const Comparison<NotEqual> not_equal;
const Comparison<Less> less;
const Comparison<LessEqual> less_equal;
const Comparison<Greater> greater;
const Comparison<GreaterEqual> greater_equal;

/// One condition for all is left to the reference. In a backward pass only the condition is there.
bool serves_where(const Tensors& in, const Attrs&) {
  if (!in[1]) return true;
  const int64_t n = in[0].numel();
  return in[1].dtype() == DType::f32 && in[1].numel() <= n && in[2].numel() <= n && walks(in);
}
const RegisterKernel where_kernel({.op = "where",
                                   .name = "cpu",
                                   .forward = where_forward,
                                   .backward = where_backward,
                                   .supports = serves_where});

}  // namespace
}  // namespace limbeck::cpu_select
