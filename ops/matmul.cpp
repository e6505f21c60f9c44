// matmul: c = op(a) op(b), op transposes the last two dimensions if asked; [.., m, k] x [.., k, n],
// equal leading dimensions or one operand a plain matrix used for the whole batch. Backward: d
// op(a) = dc op(b)^T, d op(b) = op(a)^T dc, summed where repeated.
#include "ops/matmul.h"

#include <vector>

#include "ops/checks.h"

namespace limbeck {

MatmulSizes matmul_sizes(const Shape& a, const Shape& b, const Attrs& attrs) {
  LIMBECK_CHECK(a.rank() >= 2, "matmul: a must have at least two dimensions, found ", a);
  LIMBECK_CHECK(b.rank() >= 2, "matmul: b must have at least two dimensions, found ", b);
  MatmulSizes s;
  s.transpose_a = attrs.flag("transpose_a");
  s.transpose_b = attrs.flag("transpose_b");
  s.m = a[s.transpose_a ? -1 : -2];
  s.k = a[s.transpose_a ? -2 : -1];
  s.n = b[s.transpose_b ? -2 : -1];
  const int64_t kb = b[s.transpose_b ? -1 : -2];
  LIMBECK_CHECK(s.k == kb, "matmul: the inner sizes of a ", a, " and b ", b, " differ: ", s.k,
                " and ", kb, " (", to_string(attrs), ")");
  const Shape lead_a(std::span<const int64_t>(a.begin(), a.end() - 2)),
      lead_b(std::span<const int64_t>(b.begin(), b.end() - 2));
  LIMBECK_CHECK(lead_a == lead_b || lead_a.rank() == 0 || lead_b.rank() == 0,
                "matmul: the leading dimensions of a ", a, " and b ", b,
                " must be equal, or one operand a plain matrix");
  const Shape& lead = lead_a.rank() ? lead_a : lead_b;
  s.batch = lead.numel();
  s.stride_a = lead_a.rank() ? s.m * s.k : 0;
  s.stride_b = lead_b.rank() ? s.k * s.n : 0;
  s.out = lead.appended(s.m).appended(s.n);
  return s;
}

namespace {

/// Calls f(a index, b index, c index) for every product of the sum.
template <class F>
void for_each_product(const MatmulSizes& s, F&& f) {
  for (int64_t p = 0; p < s.batch; ++p)
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j)
        for (int64_t l = 0; l < s.k; ++l)
          f(p * s.stride_a + (s.transpose_a ? l * s.m + i : i * s.k + l),
            p * s.stride_b + (s.transpose_b ? j * s.k + l : l * s.n + j), (p * s.m + i) * s.n + j);
}

template <class T>
void store(const std::vector<double>& sum, const Tensor& t) {
  for (size_t i = 0; i < sum.size(); ++i) t.data<T>()[i] = static_cast<T>(sum[i]);
}

template <class T>
void forward(const ForwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T *a = c.in[0].data<T>(), *b = c.in[1].data<T>();
  std::vector<double> sum(c.out[0].numel());
  for_each_product(s,
                   [&](int64_t ai, int64_t bi, int64_t ci) { sum[ci] += double(a[ai]) * b[bi]; });
  store<T>(sum, c.out[0]);
}

template <class T>
void backward(const BackwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T *a = c.in[0].data<T>(), *b = c.in[1].data<T>(), *d = c.dout[0].data<T>();
  if (c.din[0]) {
    std::vector<double> sum(c.din[0].numel());
    for_each_product(s,
                     [&](int64_t ai, int64_t bi, int64_t ci) { sum[ai] += double(d[ci]) * b[bi]; });
    store<T>(sum, c.din[0]);
  }
  if (c.din[1]) {
    std::vector<double> sum(c.din[1].numel());
    for_each_product(s,
                     [&](int64_t ai, int64_t bi, int64_t ci) { sum[bi] += double(d[ci]) * a[ai]; });
    store<T>(sum, c.din[1]);
  }
}

OpCase make_case(Shape a, Shape b, bool transpose_a = false, bool transpose_b = false,
                 bool grad = true) {
  return {{CaseInput{a}, CaseInput{b}},
          {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}},
          grad};
}

std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating("matmul", "a", in[0]);
  check_type("matmul", "b", in[1], in[0]);
  return {{matmul_sizes(in[0].shape(), in[1].shape(), attrs).out, in[0].dtype()}};
}

const RegisterOp matmul_op({
    .name = "matmul",
    .formula = "c = op(a) op(b)\nd op(a) = dc op(b)^T; d op(b) = op(a)^T dc",
    .source = "elementary",
    .inputs = {{"a"}, {"b"}},
    .outputs = {{"c"}},
    .saved_inputs = {0, 1},
    .infer = infer,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { backward<decltype(t)>(c); }>,
    .cases =
        {
            make_case({3, 4}, {4, 5}),
            make_case({4, 3}, {4, 5}, true, false),
            make_case({3, 4}, {5, 4}, false, true),
            make_case({4, 3}, {5, 4}, true, true),
            make_case({1, 1}, {1, 1}),
            make_case({1, 7}, {7, 1}),
            make_case({7, 1}, {1, 3}),
            make_case({2, 3, 4}, {2, 4, 5}),
            make_case({2, 2, 4, 3}, {2, 2, 5, 4}, true, true),
            make_case({2, 3, 4}, {4, 5}),
            make_case({3, 4}, {2, 5, 4}, false, true),
            make_case({4, 3}, {3, 4, 2}, true, false),
            make_case({0, 4}, {4, 5}, false, false, false),
            make_case({3, 0}, {0, 5}, false, false, false),
            make_case({37, 300}, {300, 53}, false, false, false),
            make_case({300, 37}, {53, 300}, true, true, false),
            make_case({3, 65, 33}, {3, 65, 47}, true, false, false),
            make_case({2, 19, 70}, {130, 70}, false, true, false),
            {.inputs = {{{1, 1 << 15}, 0.1, 0.1}, {{1 << 15, 2}, 0.1, 0.1}}, .grad = false},
            {.inputs = {{{1 << 10, 16, 1}, 0.1, 0.1}, {{1, 2}}}, .grad = false, .cotangent = 0.1},
        },
    .flops =
        [](const Tensors& in, const Attrs& attrs) {
          const MatmulSizes s = matmul_sizes(in[0].shape(), in[1].shape(), attrs);
          return 2.0 * s.batch * s.m * s.n * s.k;
        },
    .device_bench_cases = {make_case({128, 256, 128}, {128, 128, 256}, false, false, false),
                           make_case({512, 1024}, {1024, 1024}, false, true, false)},
});

}  // namespace
}  // namespace limbeck
