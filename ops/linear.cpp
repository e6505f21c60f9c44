// linear: y = x w^T + b, x [.., in], w [out, in] (PyTorch's layout), b [out] or none.
// Backward: dx = dy w, dw = dy^T x, db = sum of dy over all leading dimensions.
#include <vector>

#include "ops/checks.h"
#include "ops/matmul.h"

namespace limbeck {

LinearSizes linear_sizes(const Shape& x, const Shape& w) {
  LIMBECK_CHECK(w.rank() == 2, "linear: w must be [out, in], found ", w);
  LIMBECK_CHECK(x.rank() >= 1 && x[-1] == w[1], "linear: x must be [.., ", w[1], "] for w ", w,
                ", found ", x);
  return {x.numel(0, x.rank() - 1), w[0], w[1]};
}

namespace {

std::vector<TensorSpec> infer(const Tensors& in, const Attrs&) {
  check_floating("linear", "x", in[0]);
  const LinearSizes s = linear_sizes(in[0].shape(), in[1].shape());
  check_parameter("linear", "w", in[1], in[0], in[1].shape());
  check_parameter("linear", "b", in[2], in[0], {s.n}, true);
  Shape out = in[0].shape();
  out.set(-1, s.n);
  return {{out, in[0].dtype()}};
}

template <class T>
void forward(const ForwardCall& c) {
  const auto [m, n, k] = linear_sizes(c.in[0].shape(), c.in[1].shape());
  const T *x = c.in[0].data<T>(), *w = c.in[1].data<T>(),
          *b = c.in.size() > 2 && c.in[2] ? c.in[2].data<T>() : nullptr;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = b ? b[j] : 0;
      for (int64_t l = 0; l < k; ++l) sum += double(x[i * k + l]) * w[j * k + l];
      c.out[0].data<T>()[i * n + j] = static_cast<T>(sum);
    }
}

template <class T>
void backward(const BackwardCall& c) {
  const auto [m, n, k] = linear_sizes(c.in[0].shape(), c.in[1].shape());
  const T *x = c.in[0].data<T>(), *w = c.in[1].data<T>(), *dy = c.dout[0].data<T>();
  std::vector<double> dx(c.din[0] ? m * k : 0), dw(c.din[1] ? n * k : 0), db(n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const double d = dy[i * n + j];
      for (int64_t l = 0; l < k && c.din[0]; ++l) dx[i * k + l] += d * w[j * k + l];
      for (int64_t l = 0; l < k && c.din[1]; ++l) dw[j * k + l] += d * x[i * k + l];
      db[j] += d;
    }
  const auto store = [](const std::vector<double>& sum, const Tensor& t) {
    for (size_t i = 0; i < sum.size(); ++i) t.data<T>()[i] = static_cast<T>(sum[i]);
  };
  if (c.din[0]) store(dx, c.din[0]);
  if (c.din[1]) store(dw, c.din[1]);
  if (c.din.size() > 2 && c.din[2]) store(db, c.din[2]);
}

OpCase make_case(Shape x, Shape w, bool bias, bool grad = true) {
  const int64_t out = w[0];
  return {{CaseInput{x}, CaseInput{w}, CaseInput{.shape = {out}, .given = bias}}, {}, grad};
}

const RegisterOp linear_op({
    .name = "linear",
    .formula = "y = x w^T + b\ndx = dy w; dw = dy^T x; db = sum dy",
    .source = "elementary",
    .inputs = {{"x"},
               {.name = "w", .parameter = true},
               {.name = "b", .optional = true, .parameter = true}},
    .outputs = {{"y"}},
    .saved_inputs = {0, 1},
    .infer = infer,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { backward<decltype(t)>(c); }>,
    .cases =
        {
            make_case({3, 4}, {5, 4}, true),
            make_case({3, 4}, {5, 4}, false),
            make_case({4}, {3, 4}, true),
            make_case({1, 1}, {1, 1}, true),
            make_case({2, 3, 4}, {5, 4}, true),
            make_case({0, 4}, {5, 4}, true, false),
            make_case({65, 130}, {37, 130}, true, false),
            make_case({130, 513}, {10, 513}, true, false),
            // long sums
            {.inputs = {{{1 << 15, 1}, 0.1, 0.1}, {{1, 1}}, {{1}}},
             .grad = false,
             .cotangent = 0.1},
            {.inputs = {{{1, 20000}, 0.1, 0.1}, {{2, 20000}, 0.1, 0.1}, {{2}}}, .grad = false},
        },
    .flops =
        [](const Tensors& in, const Attrs&) {
          const LinearSizes s = linear_sizes(in[0].shape(), in[1].shape());
          return 2.0 * s.m * s.n * s.k;
        },
    .bench_cases = {make_case({64, 64}, {100, 64}, true, false),
                    make_case({512, 1024}, {1024, 1024}, true, false)},
    .device_bench_cases = {make_case({128, 256}, {100, 256}, true, false),
                           make_case({256, 512}, {512, 512}, true, false),
                           make_case({256, 3072}, {2048, 3072}, true, false)},
});

}  // namespace
}  // namespace limbeck
