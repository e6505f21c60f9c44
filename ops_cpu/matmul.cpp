// Registers the f32 CPU kernels of matmul and linear: products and their gradients as packed matrix
// products (gemm.h).
#include "ops/matmul.h"

#include <algorithm>

#include "ops_cpu/conv2d.h"
#include "ops_cpu/gemm.h"

namespace limbeck::cpu_matmul {
namespace {

/// Matrices of a batch of row-major matrices [rows, columns], or one of them repeated (stride 0).
struct Operand {
  const float* data;
  int64_t columns, stride;
};

/// c[p] = op(a[p]) op(b[p]) with sizes m, n, k.
void products(bool ta, bool tb, int64_t batch, int64_t m, int64_t n, int64_t k, const Operand& a,
              const Operand& b, float* c) {
  if (!ta && b.stride == 0 && a.stride == m * k) {
    m *= batch;
    batch = 1;
  }  // one tall product
  gemm_batch({ta, tb, m, n, k, a.data, a.columns, b.data, b.columns, c, n}, batch, a.stride,
             b.stride, m * n);
}

/// c = sum over the batch of op(a[p]) op(b[p]): the gradient of a repeated operand.
void sum_products(bool ta, bool tb, int64_t batch, int64_t m, int64_t n, int64_t k,
                  const Operand& a, const Operand& b, float* c) {
  if (ta && !tb && a.stride == m * k && b.stride == n * k) {
    k *= batch;
    batch = 1;
  }  // the batch continues the sum
  if (batch == 0) std::fill(c, c + m * n, 0.f);
  for (int64_t p = 0; p < batch; ++p)
    gemm({ta, tb, m, n, k, a.data + p * a.stride, a.columns, b.data + p * b.stride, b.columns, c, n,
          nullptr, p > 0});
}

void matmul_forward(const ForwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  products(s.transpose_a, s.transpose_b, s.batch, s.m, s.n, s.k,
           {c.in[0].data<float>(), c.in[0].size(-1), s.stride_a},
           {c.in[1].data<float>(), c.in[1].size(-1), s.stride_b}, c.out[0].data<float>());
}

void matmul_backward(const BackwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const Operand a{c.in[0].data<float>(), c.in[0].size(-1), s.stride_a},
      b{c.in[1].data<float>(), c.in[1].size(-1), s.stride_b};
  const Operand d{c.dout[0].data<float>(), s.n, s.m * s.n};
  const auto run = [&](bool repeated, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                       const Operand& left, const Operand& right, float* to) {
    repeated ? sum_products(ta, tb, s.batch, m, n, k, left, right, to)
             : products(ta, tb, s.batch, m, n, k, left, right, to);
  };
  const bool repeat_a = c.in[0].rank() == 2, repeat_b = c.in[1].rank() == 2;
  if (c.din[0]) {
    float* const da = c.din[0].data<float>();
    if (s.transpose_a)
      run(repeat_a, s.transpose_b, true, s.k, s.m, s.n, b, d, da);  // da = op(b) dc^T
    else
      run(repeat_a, false, !s.transpose_b, s.m, s.k, s.n, d, b, da);  // da = dc op(b)^T
  }
  if (c.din[1]) {
    float* const db = c.din[1].data<float>();
    if (s.transpose_b)
      run(repeat_b, true, s.transpose_a, s.n, s.k, s.m, d, a, db);  // db = dc^T op(a)
    else
      run(repeat_b, !s.transpose_a, false, s.k, s.n, s.m, a, d, db);  // db = op(a)^T dc
  }
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
