// Element-wise arithmetic of two tensors, f32 on the CPU; formulas in ops/binary.h. Forward 12
// bytes an element without broadcasting. Dimensions along which both operands advance (or repeat)
// evenly are merged; the innermost merged run is one kernel call.
#include <cstring>

#include "ops/broadcast.h"
#include "ops/checks.h"
#include "ops/op.h"
#include "ops_cpu/broadcast.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/reduce_kernels.h"

namespace limbeck {
namespace {

constexpr int64_t grain = 16384;

// The loop nest over y after merging: sizes and strides, innermost last.
struct Nest {
  std::vector<int64_t> size, a, b;
  Nest(const Shape& sa, const Shape& sb, const Shape& out) {
    const Strides ta = broadcast_strides(sa, out), tb = broadcast_strides(sb, out);
    for (int d = 0; d < out.rank(); ++d) {
      if (out[d] == 1) continue;
      if (!size.empty() && a.back() == ta[d] * out[d] && b.back() == tb[d] * out[d]) {
        size.back() *= out[d], a.back() = ta[d], b.back() = tb[d];
      } else {
        size.push_back(out[d]), a.push_back(ta[d]), b.push_back(tb[d]);
      }
    }
    if (size.empty()) size = {1}, a = {0}, b = {0};
  }
};

}  // namespace

void broadcast_binary(BinaryKernel kernel, const Tensor& ta, const Tensor& tb, const Tensor& ty) {
  const int64_t n = ty.numel();
  if (n == 0) return;
  const Nest nest(ta.shape(), tb.shape(), ty.shape());
  const float *a = ta.data<float>(), *b = tb.data<float>();
  float* y = ty.data<float>();
  const int64_t inner = nest.size.back(), outer = n / inner;
  const int a_step = int(nest.a.back()), b_step = int(nest.b.back());
  if (outer == 1) {
    parallel_ranges(n, grain, [&](int64_t begin, int64_t end) {
      kernel(a + begin * a_step, a_step, b + begin * b_step, b_step, y + begin, end - begin);
    });
    return;
  }
  const int64_t rows = std::max<int64_t>(1, grain / inner), parts = (outer + rows - 1) / rows;
  parallel_parts(parts, n, [&](int64_t part) {
    for (int64_t row = part * rows; row < std::min(outer, (part + 1) * rows); ++row) {
      int64_t rest = row, at_a = 0, at_b = 0;
      for (int d = int(nest.size.size()) - 2; d >= 0; --d) {
        const int64_t i = rest % nest.size[d];
        rest /= nest.size[d];
        at_a += i * nest.a[d];
        at_b += i * nest.b[d];
      }
      kernel(a + at_a, a_step, b + at_b, b_step, y + row * inner, inner);
    }
  });
}

namespace {

using namespace binary;

template <class F>
void forward(const ForwardCall& c) {
  broadcast_binary<F>(c.in[0], c.in[1], c.out[0]);
}

// din = g summed to din's shape; g has dy's shape. `scale` is 1 or -1.
void reduced(const Tensor& g, const Tensor& din, double scale) {
  if (din.shape() != g.shape()) return sum_to(g, din.shape(), scale, din);
  const float* const from = g.data<float>();
  float* const to = din.data<float>();
  if (scale == 1)
    parallel_ranges(g.numel(), grain, [&](int64_t begin, int64_t end) {
      std::memcpy(to + begin, from + begin, size_t(end - begin) * sizeof(float));
    });
  else
    broadcast_binary<Mul>(g, Tensor::scalar(scale), din);
}

template <int sign>
void sum_backward(const BackwardCall& c) {
  if (c.din[0].defined()) reduced(c.dout[0], c.din[0], 1);
  if (c.din[1].defined()) reduced(c.dout[0], c.din[1], sign);
}

/// din[o, i] = sum over r of dy[o, r, i] other[o, r, i]: the gradient of a factor that repeats
/// along one run of axes (squeeze and excitation: a weight per image and channel), in one pass.
/// Says whether it could.
bool product_sum(const Tensor& dy, const Tensor& other, const Tensor& din) {
  if (other.shape() != dy.shape()) return false;
  const Nest nest(din.shape(), din.shape(), dy.shape());
  const size_t d = nest.size.size();
  if (d != 3 || nest.a[2] != 1 || nest.a[1] != 0 || nest.a[0] != nest.size[2] ||
      nest.size[1] > 1024)
    return false;  // rows that a float sum may hold
  const int64_t rows = nest.size[1], inner = nest.size[2];
  const float *g = dy.data<float>(), *f = other.data<float>();
  float* to = din.data<float>();
  parallel_parts(nest.size[0], dy.numel(), [&](int64_t o) {
    reduce_kernels().column_dots(g + o * rows * inner, f + o * rows * inner, rows, inner,
                                 to + o * inner);
  });
  return true;
}

void mul_backward(const BackwardCall& c) {
  for (const int i : {0, 1}) {
    const Tensor &din = c.din[i], &other = c.in[1 - i];
    if (!din.defined() || (din.shape() != c.dout[0].shape() && product_sum(c.dout[0], other, din)))
      continue;
    if (din.shape() == c.dout[0].shape()) {
      broadcast_binary<Mul>(c.dout[0], other, din);
    } else {
      const Tensor g = Tensor::empty_like(c.dout[0]);
      broadcast_binary<Mul>(c.dout[0], other, g);
      reduced(g, din, 1);
    }
  }
}

/// da = g, db = -g a / b with g = dy / b.
void div_backward(const BackwardCall& c) {
  const Tensor& dy = c.dout[0];
  const Tensor g =
      c.din[0].defined() && c.din[0].shape() == dy.shape() ? c.din[0] : Tensor::empty_like(dy);
  broadcast_binary<Div>(dy, c.in[1], g);
  if (c.din[0].defined() && c.din[0].shape() != dy.shape()) reduced(g, c.din[0], 1);
  if (!c.din[1].defined()) return;
  const Tensor quotient = Tensor::empty_like(dy);
  broadcast_binary<Div>(c.in[0], c.in[1], quotient);
  broadcast_binary<Mul>(quotient, g, quotient);
  reduced(quotient, c.din[1], -1);
}

/// Null: the reference's, until a profile asks for a faster one.
template <class F>
constexpr BackwardFn backward = nullptr;
template <>
constexpr BackwardFn backward<Add> = sum_backward<1>;
template <>
constexpr BackwardFn backward<Sub> = sum_backward<-1>;
template <>
constexpr BackwardFn backward<Mul> = mul_backward;
template <>
constexpr BackwardFn backward<Div> = div_backward;

template <class F>
struct Kernels : RegisterKernel {
  Kernels()
      : RegisterKernel({.op = F::about().name,
                        .name = "cpu",
                        .forward = forward<F>,
                        .backward = backward<F>,
                        .supports = without_integers}) {}
};
const Functions::Each<Kernels> kernels;

}  // namespace
}  // namespace limbeck
