// Vector kernels of the element-wise functions; see elementwise_kernels.h. A run's last, incomplete
// vector goes through a padded copy, so that every element sees the same arithmetic. Of other
// headers only templates on V are used (ops_cpu/isa.h): V, and so their copies, differ between
// instruction sets.
#include "ops_cpu/elementwise_kernels.h"
#include "ops_cpu/simd/math.h"

namespace limbeck {

namespace isa = LIMBECK_ISA;

/// What the formulas of ops/unary.h and ops/binary.h are written with, for a vector register.
template <>
struct Elementary<isa::V> {
  using V = isa::V;
  static V number(double v) { return isa::splat(static_cast<float>(v)); }
  static V abs(V x) { return isa::absolute(x); }
  static V exp(V x) { return isa::exp(x); }
  static V log(V x) { return isa::log(x); }
  static V log1p(V x) { return isa::log1p(x); }
  static V tanh(V x) { return isa::tanh(x); }
  static V erfc(V x) { return isa::erfc(x); }
  static V logistic(V x) { return isa::logistic(x); }
  static V pow(V x, V exponent) {
    V y;
    for (int i = 0; i < isa::W; ++i) y[i] = __builtin_powf(x[i], exponent[i]);
    return y;
  }
  static V floor(V x) {
    V y;
    for (int i = 0; i < isa::W; ++i) y[i] = __builtin_floorf(x[i]);
    return y;
  }
  static V fmod(V x, V z) {
    V y;
    for (int i = 0; i < isa::W; ++i) y[i] = __builtin_fmodf(x[i], z[i]);
    return y;
  }
  static V sqrt(V x) {
    V y;
    for (int i = 0; i < isa::W; ++i) y[i] = __builtin_sqrtf(x[i]);
    return y;
  }
};

}  // namespace limbeck

namespace limbeck::LIMBECK_ISA {
namespace {

template <class F>
void value(const float* x, float* y, int64_t n, unary::Settings s) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, F::value(load(x + i), s));
  if (i < n) store_some(y + i, F::value(load_some(x + i, n - i), s), n - i);
}

template <class F>
void gradient(const float* dy, const float* saved, float* dx, int64_t n, unary::Settings s) {
  if (!saved) saved = dy;  // the function does not look at it
  int64_t i = 0;
  for (; i + W <= n; i += W) store(dx + i, F::gradient(load(dy + i), load(saved + i), s));
  if (i < n)
    store_some(dx + i, F::gradient(load_some(dy + i, n - i), load_some(saved + i, n - i), s),
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
void value_of_two(const float* a, int a_step, const float* b, int b_step, float* y, int64_t n) {
  if (a_step)
    b_step ? binary_as<F, 1, 1>(a, b, y, n) : binary_as<F, 1, 0>(a, b, y, n);
  else
    b_step ? binary_as<F, 0, 1>(a, b, y, n) : binary_as<F, 0, 0>(a, b, y, n);
}

template <class... F, class... G>
constexpr ElementwiseKernels table_of(FunctionList<F...>, FunctionList<G...>) {
  return {{value<F>...}, {gradient<F>...}, {value_of_two<G>...}};
}

}  // namespace

const ElementwiseKernels& elementwise_kernels() {
  static constexpr ElementwiseKernels table = table_of(unary::Functions(), binary::Functions());
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
