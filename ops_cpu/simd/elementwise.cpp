// Vector kernels of element-wise functions; see elementwise_kernels.h. Each function is a struct of
// value(x) and slope(s) on one vector. A run's last, incomplete vector goes through a padded copy,
// so that every element sees the same arithmetic.
#include "ops_cpu/elementwise_kernels.h"

#include "ops_cpu/simd/math.h"

namespace limbeck::LIMBECK_ISA {
namespace {

struct Relu {
  static V value(V x, V, V) { return where_positive(x, x); }
  static V gradient(V dy, V y, V, V) { return where_positive(y, dy); }
};
struct LeakyRelu {
  static V value(V x, V a, V) { return x <= V{} ? a * x : x; }
  static V gradient(V dy, V y, V a, V) { return y <= V{} ? a * dy : dy; }
};
struct Sigmoid {
  static V value(V x, V, V) { return logistic(x); }
  static V gradient(V dy, V y, V, V) { return dy * y * (1.0f - y); }
};
struct Tanh {
  static V value(V x, V, V) { return tanh(x); }
  static V gradient(V dy, V y, V, V) { return dy * (1.0f - y * y); }
};
struct Silu {
  static V value(V x, V, V) { return x * logistic(x); }
  static V gradient(V dy, V x, V, V) {
    const V s = logistic(x);
    return dy * s * (1.0f + x * (1.0f - s));
  }
};
struct Softplus {
  static V value(V x, V, V) { return softplus(x); }
  static V gradient(V dy, V x, V, V) { return dy * logistic(x); }
};
struct Exp {
  static V value(V x, V, V) { return exp(x); }
  static V gradient(V dy, V y, V, V) { return dy * y; }
};
struct Log {
  static V value(V x, V, V) { return log(x); }
  static V gradient(V dy, V x, V, V) { return dy / x; }
};
struct Sqrt {
  static V value(V x, V, V) {
    V y;
    for (int i = 0; i < W; ++i) y[i] = __builtin_sqrtf(x[i]);
    return y;
  }
  static V gradient(V dy, V y, V, V) { return dy * 0.5f / y; }
};
struct Square {
  static V value(V x, V, V) { return x * x; }
  static V gradient(V dy, V x, V, V) { return 2.0f * x * dy; }
};
struct Abs {
  static V value(V x, V, V) { return absolute(x); }
  static V gradient(V dy, V x, V, V) { return x > V{} ? dy : x < V{} ? -dy : V{}; }
};
struct Clamp {
  static V value(V x, V a, V b) { return x < a ? a : x > b ? b : x; }
  static V gradient(V dy, V x, V a, V b) { return x < a ? V{} : x > b ? V{} : dy; }
};
struct Affine {
  static V value(V x, V a, V b) { return a * x + b; }
  static V gradient(V dy, V, V a, V) { return a * dy; }
};

struct Add {
  static V value(V a, V b) { return a + b; }
};
struct Sub {
  static V value(V a, V b) { return a - b; }
};
struct Mul {
  static V value(V a, V b) { return a * b; }
};
struct Div {
  static V value(V a, V b) { return a / b; }
};
struct Maximum {
  static V value(V a, V b) { return a != a ? a : a > b ? a : b; }
};
struct Minimum {
  static V value(V a, V b) { return a != a ? a : a < b ? a : b; }
};

template <class F>
void unary(const float* x, float* y, int64_t n, float a, float b) {
  const V va = splat(a), vb = splat(b);
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, F::value(load(x + i), va, vb));
  if (i < n) store_some(y + i, F::value(load_some(x + i, n - i), va, vb), n - i);
}

template <class F>
void unary_gradient(const float* dy, const float* s, float* dx, int64_t n, float a, float b) {
  const V va = splat(a), vb = splat(b);
  if (!s) s = dy;  // the function does not look at it
  int64_t i = 0;
  for (; i + W <= n; i += W) store(dx + i, F::gradient(load(dy + i), load(s + i), va, vb));
  if (i < n)
    store_some(dx + i, F::gradient(load_some(dy + i, n - i), load_some(s + i, n - i), va, vb),
               n - i);
}

template <class F, int a_step, int b_step>
void binary_as(const float* a, const float* b, float* y, int64_t n) {
  const auto get = [](const float* p, int step, int64_t i) {
    return step ? load(p + i) : splat(*p);
  };
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, F::value(get(a, a_step, i), get(b, b_step, i)));
  if (i < n)
    store_some(y + i,
               F::value(a_step ? load_some(a + i, n - i) : splat(*a),
                        b_step ? load_some(b + i, n - i) : splat(*b)),
               n - i);
}

template <class F>
void binary(const float* a, int a_step, const float* b, int b_step, float* y, int64_t n) {
  if (a_step)
    b_step ? binary_as<F, 1, 1>(a, b, y, n) : binary_as<F, 1, 0>(a, b, y, n);
  else
    b_step ? binary_as<F, 0, 1>(a, b, y, n) : binary_as<F, 0, 0>(a, b, y, n);
}

}  // namespace

const ElementwiseKernels& elementwise_kernels() {
  static constexpr ElementwiseKernels table{
      {unary<Relu>, unary<LeakyRelu>, unary<Sigmoid>, unary<Tanh>, unary<Silu>, unary<Softplus>,
       unary<Exp>, unary<Log>, unary<Sqrt>, unary<Square>, unary<Abs>, unary<Clamp>, unary<Affine>},
      {unary_gradient<Relu>, unary_gradient<LeakyRelu>, unary_gradient<Sigmoid>,
       unary_gradient<Tanh>, unary_gradient<Silu>, unary_gradient<Softplus>, unary_gradient<Exp>,
       unary_gradient<Log>, unary_gradient<Sqrt>, unary_gradient<Square>, unary_gradient<Abs>,
       unary_gradient<Clamp>, unary_gradient<Affine>},
      {binary<Add>, binary<Sub>, binary<Mul>, binary<Div>, binary<Maximum>, binary<Minimum>}};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
