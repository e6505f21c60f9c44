// isotonic: isotonic regression of each row. Contract and reference.
//   y = argmin |y - x|^2 over y_1 >= y_2 >= .. >= y_n: means of x over runs of neighbours
//   dx_i = the mean of dy over the run of equal y that i is in
// The reference pools adjacent violators: a run joins the one before it while it is not below it.
#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/op.h"
#include "ops/softmax.h"

namespace limbeck::isotonic_op {
namespace {

std::vector<TensorSpec> infer(const Tensors& in, const Attrs&) {
  check_floating("isotonic", "x", in[0]);
  LIMBECK_CHECK(in[0].rank() >= 1, "isotonic: 'x' needs at least one dimension, found ",
                describe(in[0]));
  return {{in[0].shape(), in[0].dtype()}};
}

struct Run {
  double sum = 0;
  int64_t length = 0;
  double mean() const { return sum / static_cast<double>(length); }
};

template <class T>
void forward(const ForwardCall& c) {
  std::vector<Run> runs;
  for_each_row(c.in[0], [&](int64_t at, int64_t size) {
    const T* x = c.in[0].data<T>() + at;
    T* y = c.out[0].data<T>() + at;
    runs.clear();
    for (int64_t i = 0; i < size; ++i) {
      Run last{static_cast<double>(x[i]), 1};
      for (; !runs.empty() && runs.back().mean() <= last.mean(); runs.pop_back())
        last.sum += runs.back().sum, last.length += runs.back().length;
      runs.push_back(last);
    }
    for (const Run& r : runs) y = std::fill_n(y, r.length, static_cast<T>(r.mean()));
  });
}

template <class T>
void backward(const BackwardCall& c) {
  for_each_row(c.out[0], [&](int64_t at, int64_t size) {
    const T *y = c.out[0].data<T>() + at, *dy = c.dout[0].data<T>() + at;
    T* dx = c.din[0].data<T>() + at;
    for (int64_t begin = 0, end = 0; begin < size; begin = end) {
      Run run;
      for (end = begin; end == begin || (end < size && y[end] == y[begin]); ++end)
        run.sum += static_cast<double>(dy[end]), ++run.length;
      std::fill(dx + begin, dx + end, static_cast<T>(run.mean()));
    }
  });
}

const RegisterOp isotonic_op({
    .name = "isotonic",
    .formula = "y = argmin |y - x|^2 over y_1 >= y_2 >= .., over the last axis\n"
               "dx_i = mean of dy over the run of equal y around i",
    .source = "pool adjacent violators, Barlow et al. 1972; its gradient: Blondel et al. 2020",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_outputs = {0},
    .infer = infer,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { backward<decltype(t)>(c); }>,
    .cases = {{{values({3, 5})}},
              {{values({1, 1})}},
              {{values({2, 3, 7}, -20, 20)}},
              {{{.shape = {1, 6}, .first = {6, 5, 3, 2, 1, -1}}}},  // as it should be
              {{{.shape = {1, 6}, .first = {-1, 1, 2, 3, 5, 6}}}},  // one run
              {{{.shape = {2, 5}, .first = {1, 3, 2.5, 9, 0.25, 7, 1, 4, -2, -1}}}},
              {{values({0, 4})}},
              big_case({values({67, 100}, -8, 8)}),
              big_case({values({2, 1025})})},
    .bench_cases = {big_case({values({64, 100}, -5, 5)}), big_case({values({256, 1000}, -5, 5)})},
});

}  // namespace
}  // namespace limbeck::isotonic_op
