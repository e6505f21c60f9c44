// Element-wise arithmetic of two tensors under NumPy broadcasting: contract and reference.
//   forward  y = f(a, b)     backward  da = reduce(dy * df/da), db = reduce(dy * df/db)
// a, b: floating, broadcast together to y's shape; reduce sums over the dimensions along which an
// operand was repeated.
#include "ops/binary.h"

#include "ops/broadcast.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::binary_op {
namespace {

using namespace binary;

template <class F, class T>
void forward(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  const T* a = c.in[0].data<T>();
  const T* b = c.in[1].data<T>();
  T* y = c.out[0].data<T>();
  for_each_broadcast<2>(
      shape, {broadcast_strides(c.in[0].shape(), shape), broadcast_strides(c.in[1].shape(), shape)},
      [&](int64_t i, const auto& at) { y[i] = F::value(a[at[0]], b[at[1]]); });
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
  check_floating(name, "a", in[0]);
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

template <class F>
Op make_op() {
  const About f = F::about();
  return {
      .name = f.name,
      .formula = f.formula,
      .source = f.source,
      .inputs = {{"a"}, {"b"}},
      .outputs = {{"y"}},
      .saved_inputs = f.reads_operands ? std::vector<int>{0, 1} : std::vector<int>{},
      .infer = infer<F>,
      .forward =
          floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<F, decltype(t)>(c); }>,
      .backward = floating<BackwardCall,
                           [](auto t, const BackwardCall& c) { backward<F, decltype(t)>(c); }>,
      .cases = cases_of(f),
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
