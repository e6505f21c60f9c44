// matmul: c = op(a) op(b), op transposes the last two dimensions if asked; [.., m, k] x [.., k, n].
// The leading dimensions broadcast as NumPy's do; an operand of one dimension is a row on the left,
// a column on the right, and that dimension is dropped from c. Backward: d op(a) = dc op(b)^T,
// d op(b) = op(a)^T dc, summed where an operand repeats.
#include "ops/matmul.h"

#include <algorithm>
#include <utility>

#include "ops/broadcast.h"
#include "ops/checks.h"

namespace limbeck {
namespace {

/// The dimensions of a matrix, and the batch that it stands in.
struct Operand {
  Shape lead;
  int64_t rows, columns;
};

Operand operand_of(const char* name, const Shape& s, bool transposed, bool vector_is_row) {
  LIMBECK_CHECK(s.rank() >= 1, "matmul: ", name, " must have at least one dimension, found ", s);
  LIMBECK_CHECK(s.rank() >= 2 || !transposed, "matmul: ", name, " ", s,
                " has one dimension, which cannot be transposed");
  if (s.rank() == 1) return vector_is_row ? Operand{{}, 1, s[0]} : Operand{{}, s[0], 1};
  Operand o{Shape(std::span<const int64_t>(s.begin(), s.end() - 2)), s[-2], s[-1]};
  if (transposed) std::swap(o.rows, o.columns);
  return o;
}

/// The axes of `lead`, the last two dimensions of operands and result being matrices of these
/// sizes.
std::vector<BatchAxis> axes_of(const Shape& a, const Shape& b, const Shape& lead, int64_t size_a,
                               int64_t size_b, int64_t size_c) {
  const Strides in_a = broadcast_strides(a, lead), in_b = broadcast_strides(b, lead),
                in_c = broadcast_strides(lead, lead);
  std::vector<BatchAxis> axes;
  for (int d = 0; d < lead.rank(); ++d) {
    if (lead[d] == 1) continue;
    const auto i = static_cast<size_t>(d);
    const BatchAxis axis{lead[d], in_a[i] * size_a, in_b[i] * size_b, in_c[i] * size_c};
    BatchAxis* const last = axes.empty() ? nullptr : &axes.back();
    if (last && last->a == axis.size * axis.a && last->b == axis.size * axis.b &&
        last->c == axis.size * axis.c)
      *last = {last->size * axis.size, axis.a, axis.b, axis.c};
    else
      axes.push_back(axis);
  }
  return axes;
}

/// The batch of c. What an error says is put together only where operands may not fit.
Shape lead_of(const Shape& a, const Shape& b, const Operand& left, const Operand& right) {
  if (left.lead == right.lead || right.lead.rank() == 0) return left.lead;
  if (left.lead.rank() == 0) return right.lead;
  return broadcast_shapes(left.lead, right.lead,
                          cat("matmul: the leading dimensions of a ", a, " and b ", b).c_str());
}

}  // namespace

MatmulSizes matmul_sizes(const Shape& a, const Shape& b, const Attrs& attrs) {
  MatmulSizes s;
  s.transpose_a = attrs.flag("transpose_a");
  s.transpose_b = attrs.flag("transpose_b");
  const Operand left = operand_of("a", a, s.transpose_a, true),
                right = operand_of("b", b, s.transpose_b, false);
  s.m = left.rows, s.k = left.columns, s.n = right.columns;
  LIMBECK_CHECK(s.k == right.rows, "matmul: the inner sizes of a ", a, " and b ", b,
                " differ: ", s.k, " and ", right.rows, " (", to_string(attrs), ")");
  const Shape lead = lead_of(a, b, left, right);
  s.batch = lead.numel();
  s.axes = axes_of(left.lead, right.lead, lead, s.m * s.k, s.k * s.n, s.m * s.n);
  s.out = lead;
  if (a.rank() > 1) s.out = s.out.appended(s.m);
  if (b.rank() > 1) s.out = s.out.appended(s.n);
  return s;
}

namespace {

int64_t stride_of(const BatchAxis& axis, MatmulResult result) {
  return result == MatmulResult::c ? axis.c : result == MatmulResult::a ? axis.a : axis.b;
}

/// `runs` at every step of an axis that no kernel walks.
std::vector<MatmulRun> repeated(const std::vector<MatmulRun>& runs, const BatchAxis& axis,
                                bool summed) {
  std::vector<MatmulRun> all;
  for (const MatmulRun& run : runs)
    for (int64_t i = 0; i < axis.size; ++i) {
      MatmulRun r = run;
      r.a.first += i * axis.a, r.b.first += i * axis.b, r.c.first += i * axis.c;
      if (summed) r.part = run.part * axis.size + i, r.parts = run.parts * axis.size;
      all.push_back(r);
    }
  return all;
}

}  // namespace

std::vector<MatmulRun> matmul_runs(const std::vector<BatchAxis>& axes, MatmulResult result) {
  std::vector<BatchAxis> kept, summed;
  for (const BatchAxis& axis : axes)
    (stride_of(axis, result) == 0 && axis.size > 0 ? summed : kept).push_back(axis);
  MatmulRun run;
  if (!kept.empty()) {
    const BatchAxis axis = kept.back();
    run.items = axis.size, run.a.item = axis.a, run.b.item = axis.b, run.c.item = axis.c;
    kept.pop_back();
  }
  if (!summed.empty()) {
    const BatchAxis axis = summed.back();
    run.terms = axis.size, run.a.term = axis.a, run.b.term = axis.b, run.c.term = axis.c;
    summed.pop_back();
  }
  std::vector<MatmulRun> runs{run};
  for (const BatchAxis& axis : kept) runs = repeated(runs, axis, false);
  for (const BatchAxis& axis : summed) runs = repeated(runs, axis, true);
  return runs;
}

namespace {

/// Calls f(a index, b index, c index) for every product of the sum.
template <class F>
void for_each_product(const MatmulSizes& s, F&& f) {
  for (const MatmulRun& r : matmul_runs(s.axes, MatmulResult::c))
    for (int64_t p = 0; p < r.items; ++p)
      for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < s.n; ++j)
          for (int64_t l = 0; l < s.k; ++l)
            f(r.a.first + p * r.a.item + (s.transpose_a ? l * s.m + i : i * s.k + l),
              r.b.first + p * r.b.item + (s.transpose_b ? j * s.k + l : l * s.n + j),
              r.c.first + p * r.c.item + i * s.n + j);
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
            make_case({3}, {3}),
            make_case({3}, {2, 3, 4}),
            make_case({2, 4, 3}, {3}),
            make_case({3}, {4, 3}, false, true),
            make_case({2, 1, 3, 4}, {3, 4, 2}),
            make_case({2, 3, 4}, {5, 1, 4, 2}),
            make_case({2, 1, 4, 3}, {1, 3, 2, 4}, true, true),
            make_case({2, 1, 3, 2, 3}, {2, 1, 3, 2}),
            make_case({2, 1, 2, 2, 2}, {1, 3, 1, 2, 2}),
            make_case({1, 2, 2}, {3, 2, 2}),
            make_case({0, 2, 3}, {1, 3, 2}, false, false, false),
            make_case({2, 0, 2, 3}, {3, 2}, false, false, false),
            make_case({2, 1, 33, 40}, {3, 40, 33}, false, false, false),
            make_case({2, 1, 3, 17, 20}, {1, 4, 1, 20, 9}, false, false, false),
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
