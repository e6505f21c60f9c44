// Comparisons (equal, not_equal, less, less_equal, greater, greater_equal) and where, under NumPy
// broadcasting: contract and reference.
//   y = a op b as bool, no gradient;   where: y = condition ? a : b,  da = dy [condition], db = dy
//                                      [not condition], summed over repeats.
#include <cmath>

#include "ops/broadcast.h"
#include "ops/checks.h"
#include "ops/comparisons.h"
#include "ops/op.h"

namespace limbeck::select_op {
namespace {

using namespace comparison;

template <class F>
void compare(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  dispatch_all(c.in[0].dtype(), F::name, [&](auto t) {
    using T = decltype(t);
    const T* a = c.in[0].data<T>();
    const T* b = c.in[1].data<T>();
    bool* y = c.out[0].data<bool>();
    for_each_broadcast<2>(
        shape,
        {broadcast_strides(c.in[0].shape(), shape), broadcast_strides(c.in[1].shape(), shape)},
        [&](int64_t i, const auto& at) { y[i] = F::value(a[at[0]], b[at[1]]); });
  });
}

template <class F>
std::vector<TensorSpec> infer_compare(const Tensors& in, const Attrs&) {
  LIMBECK_CHECK(in[0].dtype() == in[1].dtype(), F::name, ": 'b' must be of the type of 'a', ",
                in[0].dtype(), ", found ", describe(in[1]));
  return {{broadcast_shapes(in[0].shape(), in[1].shape(), F::name), DType::boolean}};
}

template <class F>
Op comparison(const char* formula) {
  return {
      .name = F::name,
      .formula = formula,
      .source = "elementary",
      .inputs = {{"a", false}, {"b", false}},
      .outputs = {{"y", false}},
      .infer = infer_compare<F>,
      .forward = compare<F>,
      .cases = {{{{{3, 5}}, {{3, 5}}}},
                {{{{4, 3}, 0, 4, DType::i64}, {{3}, 0, 4, DType::i64}}},
                {{{{2, 1, 5}, 0, 3, DType::u8}, {{3, 1}, 0, 3, DType::u8}}},
                {{{{7, 311}}, {{}, 0, 1}}},
                {{{.shape = {4}, .first = {NAN, 0, NAN, HUGE_VAL}},
                  {.shape = {4}, .first = {NAN, 0, 0, HUGE_VAL}}}},
                {{{{0, 3}}, {{3}}}}},
      .bench_cases = {{{{{64, 32, 32, 16}}, {{}, 0, 1}}}},
  };
}

const RegisterOp equal_op(comparison<Equal>("y = (a == b)"));
const RegisterOp less_op(comparison<Less>("y = (a < b)"));
const RegisterOp greater_op(comparison<Greater>("y = (a > b)"));
const RegisterOp not_equal_op(comparison<NotEqual>("y = (a != b)"));
const RegisterOp less_equal_op(comparison<LessEqual>("y = (a <= b)"));
const RegisterOp greater_equal_op(comparison<GreaterEqual>("y = (a >= b)"));

// bool and u8 both occupy one byte; any value but 0 counts as true.
const uint8_t* condition_of(const Tensor& t) { return static_cast<const uint8_t*>(t.raw()); }

void where_forward(const ForwardCall& c) {
  const Shape& shape = c.out[0].shape();
  const uint8_t* condition = condition_of(c.in[0]);
  dispatch_all(c.out[0].dtype(), "where", [&](auto t) {
    using T = decltype(t);
    const T* a = c.in[1].data<T>();
    const T* b = c.in[2].data<T>();
    T* y = c.out[0].data<T>();
    for_each_broadcast<3>(
        shape,
        {broadcast_strides(c.in[0].shape(), shape), broadcast_strides(c.in[1].shape(), shape),
         broadcast_strides(c.in[2].shape(), shape)},
        [&](int64_t i, const auto& at) { y[i] = condition[at[0]] ? a[at[1]] : b[at[2]]; });
  });
}

template <class T>
void where_backward(const BackwardCall& c) {
  const Shape& shape = c.dout[0].shape();
  const uint8_t* condition = condition_of(c.in[0]);
  const T* dy = c.dout[0].data<T>();
  for (const int which : {1, 2}) {
    const Tensor& din = c.din[which];
    if (!din.defined()) continue;
    std::vector<double> sum(din.numel(), 0.0);
    for_each_broadcast<2>(
        shape, {broadcast_strides(c.in[0].shape(), shape), broadcast_strides(din.shape(), shape)},
        [&](int64_t i, const auto& at) {
          if ((condition[at[0]] != 0) == (which == 1)) sum[at[1]] += dy[i];
        });
    std::copy(sum.begin(), sum.end(), din.data<T>());
  }
}

std::vector<TensorSpec> infer_where(const Tensors& in, const Attrs&) {
  LIMBECK_CHECK(in[0].defined() && (in[0].dtype() == DType::boolean || in[0].dtype() == DType::u8),
                "where: 'condition' must be bool or u8, found ",
                in[0].defined() ? describe(in[0]) : "nothing");
  LIMBECK_CHECK(in[1].dtype() == in[2].dtype(), "where: 'b' must be of the type of 'a', ",
                in[1].dtype(), ", found ", describe(in[2]));
  const Shape values = broadcast_shapes(in[1].shape(), in[2].shape(), "where");
  return {{broadcast_shapes(in[0].shape(), values, "where"), in[1].dtype()}};
}

const RegisterOp where_op({
    .name = "where",
    .formula = "y = condition ? a : b\nda = dy [condition], db = dy [not condition]",
    .source = "elementary",
    .inputs = {{"condition", false}, {"a"}, {"b"}},
    .outputs = {{"y"}},
    .saved_inputs = {0},
    .infer = infer_where,
    .forward = where_forward,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { where_backward<decltype(t)>(c); }>,
    .cases = {{{{{3, 5}, 0, 2, DType::u8}, {{3, 5}}, {{3, 5}}}},
              {{{{4, 1}, 0, 2, DType::boolean}, {{3}}, {{}}}},
              {{{{3}, 0, 2, DType::u8}, {{2, 3}}, {{2, 1}}}},
              {{{{0}, 0, 2, DType::u8}, {{2, 1}}, {{}}}},
              {{{{4, 1}, 0, 2, DType::boolean}, {{3}, -9, 9, DType::i64}, {{}, 0, 5, DType::i64}},
               {},
               false},
              {{{{9, 211}, 0, 2, DType::u8}, {{9, 211}}, {{211}}}, {}, false}},
    .bench_cases = {{{{{64, 32, 32, 16}, 0, 2, DType::u8}, {{64, 32, 32, 16}}, {{}}}}},
});

}  // namespace
}  // namespace limbeck::select_op
