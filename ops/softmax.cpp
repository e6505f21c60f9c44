// softmax and log_softmax over the last axis. Contract and reference.
//   softmax:      y_i = e^(x_i - m) / sum_j e^(x_j - m), m = max x;
//                 dx_i = y_i (dy_i - sum_j dy_j y_j)
//   log_softmax:  y_i = (x_i - m) - log sum_j e^(x_j - m);
//                 dx_i = dy_i - e^y_i sum_j dy_j
#include "ops/softmax.h"

#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::softmax_op {
namespace {

constexpr char softmax_name[] = "softmax", log_softmax_name[] = "log_softmax";

template <const char* name>
std::vector<TensorSpec> infer_rows(const Tensors& in, const Attrs&) {
  check_floating(name, "x", in[0]);
  LIMBECK_CHECK(in[0].rank() >= 1, name, ": 'x' needs at least one dimension, found ",
                describe(in[0]));
  return {{in[0].shape(), in[0].dtype()}};
}

template <class T>
void softmax_forward(const ForwardCall& c) {
  for_each_row(c.in[0], [&](int64_t at, int64_t size) {
    const T* x = c.in[0].data<T>() + at;
    T* y = c.out[0].data<T>() + at;
    const LogSumExp s(x, size);
    for (int64_t i = 0; i < size; ++i) y[i] = static_cast<T>(std::exp(x[i] - s.largest) / s.sum);
  });
}

template <class T>
void softmax_backward(const BackwardCall& c) {
  for_each_row(c.out[0], [&](int64_t at, int64_t size) {
    const T *y = c.out[0].data<T>() + at, *dy = c.dout[0].data<T>() + at;
    T* dx = c.din[0].data<T>() + at;
    double dot = 0;
    for (int64_t i = 0; i < size; ++i) dot += static_cast<double>(dy[i]) * y[i];
    for (int64_t i = 0; i < size; ++i) dx[i] = static_cast<T>(y[i] * (dy[i] - dot));
  });
}

template <class T>
void log_softmax_forward(const ForwardCall& c) {
  for_each_row(c.in[0], [&](int64_t at, int64_t size) {
    const T* x = c.in[0].data<T>() + at;
    T* y = c.out[0].data<T>() + at;
    const LogSumExp s(x, size);
    for (int64_t i = 0; i < size; ++i) y[i] = static_cast<T>(s.log_probability(x[i]));
  });
}

template <class T>
void log_softmax_backward(const BackwardCall& c) {
  for_each_row(c.out[0], [&](int64_t at, int64_t size) {
    const T *y = c.out[0].data<T>() + at, *dy = c.dout[0].data<T>() + at;
    T* dx = c.din[0].data<T>() + at;
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += dy[i];
    for (int64_t i = 0; i < size; ++i)
      dx[i] = static_cast<T>(dy[i] - std::exp(static_cast<double>(y[i])) * sum);
  });
}

std::vector<OpCase> cases() {
  std::vector<OpCase> list = {{{values({3, 5}, -3, 3)}},
                              {{values({1, 1})}},
                              {{values({2, 3, 4}, 50, 60)}},
                              {{values({7}, -200, 200)}},
                              {{values({0, 4})}},
                              big_case({values({67, 100}, -8, 8)}),
                              big_case({values({2, 1025}, -20, 20)}),
                              big_case({values({1, 200001}, 0.1, 0.1)})};
  for (const CaseInput& x : extreme_logits())
    list.push_back({.inputs = {x}, .grad = false, .exact = true});
  return list;
}

const RegisterOp softmax_op({
    .name = "softmax",
    .formula = "y_i = e^(x_i - max x) / sum_j e^(x_j - max x), over the last axis\ndx_i = y_i "
               "(dy_i - sum_j dy_j y_j)",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_outputs = {0},
    .infer = infer_rows<softmax_name>,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { softmax_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { softmax_backward<decltype(t)>(c); }>,
    .cases = cases(),
    .flops = [](const Tensors& in,
                const Attrs&) { return 4.0 * static_cast<double>(in[0].numel()); },
    .bench_cases = {big_case({values({64, 100}, -5, 5)}), big_case({values({8192, 1000}, -5, 5)})},
});

const RegisterOp log_softmax_op({
    .name = "log_softmax",
    .formula = "y_i = x_i - log sum_j e^x_j, over the last axis\ndx_i = dy_i - e^y_i sum_j dy_j",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_outputs = {0},
    .infer = infer_rows<log_softmax_name>,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { log_softmax_forward<decltype(t)>(c); }>,
    .backward = floating<
        BackwardCall, [](auto t, const BackwardCall& c) { log_softmax_backward<decltype(t)>(c); }>,
    .cases = cases(),
    .flops = [](const Tensors& in,
                const Attrs&) { return 4.0 * static_cast<double>(in[0].numel()); },
    .bench_cases = {big_case({values({64, 100}, -5, 5)}), big_case({values({8192, 1000}, -5, 5)})},
});

}  // namespace
}  // namespace limbeck::softmax_op
