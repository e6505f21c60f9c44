// Registers the f32 CPU kernels of matmul and linear: products and their gradients as packed matrix
// products (gemm.h).
#include "ops/matmul.h"

#include "ops_cpu/conv2d.h"
#include "ops_cpu/gemm.h"

namespace limbeck::cpu_matmul {
namespace {

/// Row-major matrices [rows, columns] of a run (ops/matmul.h).
struct Operand {
  const float* data;
  int64_t columns, item, term;
};
struct Sizes {
  int64_t m, n, k, items, terms;
};

/// c[p] (+)= op(a[p]) op(b[p]), `c_item` from one c to the next.
void products(bool ta, bool tb, Sizes s, const Operand& a, const Operand& b, float* c,
              int64_t c_item, bool add) {
  if (!ta && b.item == 0 && a.item == s.m * s.k && c_item == s.m * s.n) {
    s.m *= s.items;
    s.items = 1;
  }  // one tall product
  gemm_batch({ta, tb, s.m, s.n, s.k, a.data, a.columns, b.data, b.columns, c, s.n, nullptr, add},
             s.items, a.item, b.item, c_item);
}

/// c (+)= sum over s of op(a[s]) op(b[s]).
void sum_products(bool ta, bool tb, Sizes s, const Operand& a, const Operand& b, float* c,
                  bool add) {
  if (ta && !tb && a.term == s.m * s.k && b.term == s.n * s.k) {
    s.k *= s.terms;
    s.terms = 1;
  }  // the batch continues the sum
  for (int64_t t = 0; t < s.terms; ++t)
    gemm({ta, tb, s.m, s.n, s.k, a.data + t * a.term, a.columns, b.data + t * b.term, b.columns, c,
          s.n, nullptr, add || t > 0});
}

/// The same for all items and terms of a run.
void multiply(bool ta, bool tb, const Sizes& s, Operand a, Operand b, float* c, int64_t c_item,
              bool add) {
  if (s.terms == 1) return products(ta, tb, s, a, b, c, c_item, add);
  for (int64_t p = 0; p < s.items; ++p, a.data += a.item, b.data += b.item, c += c_item)
    sum_products(ta, tb, s, a, b, c, add);
}

Operand operand_of(const Tensor& t, int64_t columns, const MatmulRun::Side& side) {
  return {t.data<float>() + side.first, columns, side.item, side.term};
}
/// Floats in a row of a and of b as they are stored.
int64_t columns_of_a(const MatmulSizes& s) { return s.transpose_a ? s.m : s.k; }
int64_t columns_of_b(const MatmulSizes& s) { return s.transpose_b ? s.k : s.n; }

void matmul_forward(const ForwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  for (const MatmulRun& r : matmul_runs(s.axes, MatmulResult::c))
    multiply(s.transpose_a, s.transpose_b, {s.m, s.n, s.k, r.items, r.terms},
             operand_of(c.in[0], columns_of_a(s), r.a), operand_of(c.in[1], columns_of_b(s), r.b),
             c.out[0].data<float>() + r.c.first, r.c.item, false);
}

void gradient_of_a(const MatmulSizes& s, const Tensor& b, const Tensor& dc, const Tensor& da) {
  for (const MatmulRun& r : matmul_runs(s.axes, MatmulResult::a)) {
    const Operand d = operand_of(dc, s.n, r.c), right = operand_of(b, columns_of_b(s), r.b);
    float* const to = da.data<float>() + r.a.first;
    if (s.transpose_a)  // da = op(b) dc^T
      multiply(s.transpose_b, true, {s.k, s.m, s.n, r.items, r.terms}, right, d, to, r.a.item,
               r.part > 0);
    else  // da = dc op(b)^T
      multiply(false, !s.transpose_b, {s.m, s.k, s.n, r.items, r.terms}, d, right, to, r.a.item,
               r.part > 0);
  }
}

void gradient_of_b(const MatmulSizes& s, const Tensor& a, const Tensor& dc, const Tensor& db) {
  for (const MatmulRun& r : matmul_runs(s.axes, MatmulResult::b)) {
    const Operand d = operand_of(dc, s.n, r.c), left = operand_of(a, columns_of_a(s), r.a);
    float* const to = db.data<float>() + r.b.first;
    if (s.transpose_b)  // db = dc^T op(a)
      multiply(true, s.transpose_a, {s.n, s.k, s.m, r.items, r.terms}, d, left, to, r.b.item,
               r.part > 0);
    else  // db = op(a)^T dc
      multiply(!s.transpose_a, false, {s.k, s.n, s.m, r.items, r.terms}, left, d, to, r.b.item,
               r.part > 0);
  }
}

void matmul_backward(const BackwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  for (const Tensor& d : c.din)
    if (d && s.batch == 0) d.fill(0);  // nothing is added to it
  if (s.batch == 0) return;
  if (c.din[0]) gradient_of_a(s, c.in[1], c.dout[0], c.din[0]);
  if (c.din[1]) gradient_of_b(s, c.in[0], c.dout[0], c.din[1]);
}

void linear_forward(const ForwardCall& c) {
  const auto [m, n, k] = linear_sizes(c.in[0].shape(), c.in[1].shape());
  const float* bias = c.in.size() > 2 && c.in[2] ? c.in[2].data<float>() : nullptr;
  gemm({false, true, m, n, k, c.in[0].data<float>(), k, c.in[1].data<float>(), k,
        c.out[0].data<float>(), n, bias});
}

void linear_backward(const BackwardCall& c) {
  const auto [m, n, k] = linear_sizes(c.in[0].shape(), c.in[1].shape());
  const float* dy = c.dout[0].data<float>();
  if (c.din[0])
    gemm({false, false, m, k, n, dy, n, c.in[1].data<float>(), k, c.din[0].data<float>(), k});
  if (c.din[1])
    gemm({true, false, n, k, m, dy, n, c.in[0].data<float>(), k, c.din[1].data<float>(), k});
  if (c.din.size() > 2 && c.din[2]) column_sums_cpu(dy, m, n, c.din[2].data<float>());
}

const RegisterKernel matmul_kernel(
    {.op = "matmul", .name = "cpu", .forward = matmul_forward, .backward = matmul_backward});
const RegisterKernel linear_kernel(
    {.op = "linear", .name = "cpu", .forward = linear_forward, .backward = linear_backward});

}  // namespace
}  // namespace limbeck::cpu_matmul
