// Element-wise arithmetic of two tensors under NumPy broadcasting: contract and reference.
//   forward  y = f(a, b)     backward  da = reduce(dy * df/da), db = reduce(dy * df/db)
// a, b: floating, or integers where the function has a form for them; of one type, broadcast
// together to y's shape. reduce sums over the dimensions along which an operand was repeated.
#include "ops/binary.h"

#include "ops/broadcast.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::binary_op {
namespace {

using namespace binary;

/// y = value(a, b, place in b), over the broadcast shape.
template <class T, class Value>
void for_each_pair(const ForwardCall& c, Value value) {
  const Shape& shape = c.out[0].shape();
  const T* a = c.in[0].data<T>();
  const T* b = c.in[1].data<T>();
  T* y = c.out[0].data<T>();
  for_each_broadcast<2>(
      shape, {broadcast_strides(c.in[0].shape(), shape), broadcast_strides(c.in[1].shape(), shape)},
      [&](int64_t i, const auto& at) { y[i] = value(a[at[0]], b[at[1]], at[1]); });
}

template <class F, class T>
void forward(const ForwardCall& c) {
  for_each_pair<T>(c, [](T a, T b, int64_t) { return F::value(a, b); });
}

/// Of integers, without gradient.
template <class F, class T>
void forward_whole(const ForwardCall& c) {
  for_each_pair<T>(c, [](T a, T b, int64_t place) {
    LIMBECK_CHECK(!Divides<F> || b != 0, F::about().name, ": 'b' is 0 at element ", place,
                  ", and integers have no infinity");
    return static_cast<T>(F::whole(a, b));
  });
}

template <class F>
void forward_of(const ForwardCall& c) {
  if constexpr (Integers<F>) {
    if (c.out[0].dtype() == DType::i64) return forward_whole<F, int64_t>(c);
    if (c.out[0].dtype() == DType::i32) return forward_whole<F, int32_t>(c);
  }
  floating<ForwardCall, [](auto t, const ForwardCall& f) { forward<F, decltype(t)>(f); }>(c);
}

// One operand's gradient. Sums run in double, so that the reference stays the sharper side of every
// comparison.
template <class T, class Slope>
void reduce_into(const BackwardCall& c, int which, bool reads_operands, Slope slope) {
  const Tensor& din = c.din[which];
  if (!din.defined()) return;
  const Shape& shape = c.dout[0].shape();
  const T* dy = c.dout[0].data<T>();
  const T* a = reads_operands ? c.in[0].data<T>() : nullptr;
  const T* b = reads_operands ? c.in[1].data<T>() : nullptr;
  const Strides sa = reads_operands ? broadcast_strides(c.in[0].shape(), shape) : Strides{};
  const Strides sb = reads_operands ? broadcast_strides(c.in[1].shape(), shape) : Strides{};
  std::vector<double> sum(din.numel(), 0.0);
  for_each_broadcast<3>(
      shape, {sa, sb, broadcast_strides(din.shape(), shape)}, [&](int64_t i, const auto& at) {
        sum[at[2]] +=
            double(dy[i]) * (reads_operands ? slope(a[at[0]], b[at[1]]) : slope(T(0), T(0)));
      });
  std::copy(sum.begin(), sum.end(), din.data<T>());
}

template <class F, class T>
void backward(const BackwardCall& c) {
  const bool reads_operands = F::about().reads_operands;
  reduce_into<T>(c, 0, reads_operands, [](T a, T b) { return F::slope_a(a, b); });
  reduce_into<T>(c, 1, reads_operands, [](T a, T b) { return F::slope_b(a, b); });
}

template <class F>
std::vector<TensorSpec> infer(const Tensors& in, const Attrs&) {
  const char* name = F::about().name;
  Integers<F> ? check_number(name, "a", in[0]) : check_floating(name, "a", in[0]);
  check_type(name, "b", in[1], in[0]);
  return {{broadcast_shapes(in[0].shape(), in[1].shape(), name), in[0].dtype()}};
}

template <class F>
bool passes_gradient(const std::vector<TensorSpec>& in, const TensorSpec& out, size_t i,
                     const Attrs&) {
  if constexpr (requires { F::passes_gradient; })
    return F::passes_gradient && in[i].shape == out.shape;
  return false;
}

std::vector<OpCase> cases_of(const About& f) {
  const std::vector<std::pair<Shape, Shape>> small = {
      {{3, 5}, {3, 5}},
      {{}, {}},
      {{4, 3}, {3}},
      {{3}, {4, 3}},
      {{2, 1, 5}, {3, 1}},
      {{2, 3, 4}, {}},
      {{1}, {2, 2, 2}},
      {{0, 3}, {3}},
      {{0, 3}, {1, 1}},
      {{2, 3}, {2, 1}},
      {{2, 1, 1, 3}, {2, 2, 2, 3}},
  };
  std::vector<OpCase> cases;
  for (const auto& [a, b] : small)
    cases.push_back({{{a, f.low, f.high}, {b, f.low, f.high}}, {}, true});
  for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{5, 3, 1031}, {5, 3, 1031}},
                                                                 {{9, 11, 67}, {67}},
                                                                 {{9, 1, 1, 67}, {9, 5, 7, 67}},
                                                                 {{301, 33}, {301, 1}},
                                                                 {{4099}, {}},
                                                                 {{9, 11, 64}, {64}},
                                                                 {{5, 1, 1, 24}, {5, 6, 6, 24}},
                                                                 {{3, 12, 11, 40}, {3, 1, 1, 40}},
                                                                 {{30, 1}, {30, 32}},
                                                                 {{}, {3, 17, 331}}})
    cases.push_back({{{a, f.low, f.high}, {b, f.low, f.high}}, {}, false});
  // a long sum of constants, which f64 adds exactly, as the gradient of the repeated operand
  cases.push_back(
      {.inputs = {{{1}, 0.5, 0.5}, {{1 << 16}, 0.5, 0.5}}, .grad = false, .cotangent = 0.1});
  return cases;
}

/// The divisors of a case have both signs by turns.
void add_whole_cases(std::vector<OpCase>& cases, bool divides) {
  for (const DType type : {DType::i64, DType::i32})
    for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{
             {{3, 5}, {3, 5}}, {{4, 3}, {3}}, {{2, 1, 5}, {3, 1}}, {{}, {7, 211}}, {{0, 3}, {3}}})
      for (const bool negative : {false, true})
        cases.push_back({{{a, -40, 40, type},
                          {b,
                           negative  ? -9.0
                           : divides ? 1.0
                                     : -9.0,
                           negative ? 0.0 : 9.0, type}},
                         {},
                         false});
}

template <class F>
constexpr BackwardFn backward_of() {
  if constexpr (Differentiable<F>)
    return floating<BackwardCall,
                    [](auto t, const BackwardCall& c) { backward<F, decltype(t)>(c); }>;
  else
    return nullptr;
}

template <class F>
Op make_op() {
  const About f = F::about();
  std::vector<OpCase> cases = cases_of(f);
  if (Integers<F>) add_whole_cases(cases, Divides<F>);
  return {
      .name = f.name,
      .formula = f.formula,
      .source = f.source,
      .inputs = {{"a", Differentiable<F>}, {"b", Differentiable<F>}},
      .outputs = {{"y", Differentiable<F>}},
      .saved_inputs =
          f.reads_operands && Differentiable<F> ? std::vector<int>{0, 1} : std::vector<int>{},
      .infer = infer<F>,
      .forward = forward_of<F>,
      .backward = backward_of<F>(),
      .cases = cases,
      .passes_gradient = passes_gradient<F>,
      .bench_cases = {{{{{64, 32, 32, 64}, f.low, f.high}, {{64, 32, 32, 64}, f.low, f.high}},
                       {},
                       false}},
  };
}

template <class F>
struct Record : RegisterOp {
  Record() : RegisterOp(make_op<F>()) {}
};
const Functions::Each<Record> records;

}  // namespace
}  // namespace limbeck::binary_op
