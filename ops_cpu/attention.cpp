// attention, f32 on the CPU; formulas in ops/attention.cpp. q [N, L, d], k [N, S, d], v [N, S, e]
// -> y [N, L, e], lse [N, L]. Queries in blocks of 64, keys in blocks of 256: the scores of one
// pair of blocks [64, 256] stay in the cache, products run through gemm. A thread takes whole batch
// entries (with one entry the products themselves are divided): sums have one order for any thread
// count. FLOPs: forward 2 N L S (d + e), backward 2 N L S (3 d + 2 e). Source: Dao et al.,
// FlashAttention, 2022, algorithms 1 and 4.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/attention.h"
#include "ops_cpu/gemm.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/row_kernels.h"

namespace limbeck::cpu_attention {
namespace {

constexpr int64_t query_block = 64, key_block = 256;

using Sizes = AttentionSizes<float>;

/// c [m, n] (+)= a [m, k] b^T for b [n, k].
void times_transposed(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  gemm({.transpose_b = true,
        .m = m,
        .n = n,
        .k = k,
        .a = a,
        .lda = k,
        .b = b,
        .ldb = k,
        .c = c,
        .ldc = n});
}
/// c [m, n] += a [m, k] b [k, n].
void add_product(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  gemm({.m = m,
        .n = n,
        .k = k,
        .a = a,
        .lda = k,
        .b = b,
        .ldb = n,
        .c = c,
        .ldc = n,
        .accumulate = true});
}
/// c [m, n] += a^T b for a [k, m], b [k, n].
void add_transposed_product(const float* a, const float* b, float* c, int64_t m, int64_t n,
                            int64_t k) {
  gemm({.transpose_a = true,
        .m = m,
        .n = n,
        .k = k,
        .a = a,
        .lda = m,
        .b = b,
        .ldb = n,
        .c = c,
        .ldc = n,
        .accumulate = true});
}

/// One block of queries against all keys: y and lse of `rows` positions.
void forward_block(const Sizes& s, const float* q, const float* k, const float* v, float* y,
                   float* lse, int64_t rows, float* scores) {
  const RowKernels& kernels = row_kernels();
  float largest[query_block], sum[query_block];
  std::fill_n(largest, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(sum, rows, 0.0f);
  std::fill_n(y, rows * s.e, 0.0f);
  for (int64_t first = 0; first < s.keys; first += key_block) {
    const int64_t count = std::min(key_block, s.keys - first);
    times_transposed(q, k + first * s.d, scores, rows, count, s.d);
    for (int64_t l = 0; l < rows; ++l) {
      float* row = scores + l * count;
      kernels.scale(s.scale, row, row, count);
      const float bound = std::max(largest[l], kernels.largest(row, count)),
                  shrink = std::exp(largest[l] - bound);
      sum[l] = sum[l] * shrink + kernels.exp_shifted(1, row, bound, row, count);
      kernels.scale(shrink, y + l * s.e, y + l * s.e, s.e);
      largest[l] = bound;
    }
    add_product(scores, v + first * s.e, y, rows, s.e, count);
  }
  for (int64_t l = 0; l < rows; ++l) {
    kernels.scale(1 / sum[l], y + l * s.e, y + l * s.e, s.e);
    lse[l] = largest[l] + std::log(sum[l]);
  }
}

void forward(const ForwardCall& c) {
  const Sizes s(c.in, c.attrs);
  const float *q = c.in[0].data<float>(), *k = c.in[1].data<float>(), *v = c.in[2].data<float>();
  float *y = c.out[0].data<float>(), *lse = c.out[1].data<float>();
  parallel_parts(s.batch, s.batch * s.queries * s.keys, [&](int64_t n) {
    std::vector<float> scores(query_block * key_block);
    for (int64_t l = 0; l < s.queries; l += query_block) {
      const int64_t at = n * s.queries + l, rows = std::min(query_block, s.queries - l);
      forward_block(s, q + at * s.d, k + n * s.keys * s.d, v + n * s.keys * s.e, y + at * s.e,
                    lse + at, rows, scores.data());
    }
  });
}

/// What backward reads and writes for one batch entry.
struct Entry {
  const float *q, *k, *v, *y, *lse, *dy;
  float *dq, *dk, *dv;
};

/// One block of queries against all keys; dq is complete afterwards, dk and dv have grown.
void backward_block(const Sizes& s, const Entry& at, int64_t l, int64_t rows, float* p, float* ds) {
  const RowKernels& kernels = row_kernels();
  const float *q = at.q + l * s.d, *dy = at.dy + l * s.e;
  float mean[query_block];
  for (int64_t i = 0; i < rows; ++i) mean[i] = kernels.dot(dy + i * s.e, at.y + (l + i) * s.e, s.e);
  for (int64_t first = 0; first < s.keys; first += key_block) {
    const int64_t count = std::min(key_block, s.keys - first);
    const float* k = at.k + first * s.d;
    times_transposed(q, k, p, rows, count, s.d);
    times_transposed(dy, at.v + first * s.e, ds, rows, count, s.e);
    for (int64_t i = 0; i < rows; ++i) {
      kernels.exp_shifted(s.scale, p + i * count, at.lse[l + i], p + i * count, count);
      kernels.softmax_gradient(s.scale, p + i * count, ds + i * count, mean[i], ds + i * count,
                               count);
    }
    if (at.dv) add_transposed_product(p, dy, at.dv + first * s.e, count, s.e, rows);
    if (at.dq) add_product(ds, k, at.dq + l * s.d, rows, s.d, count);
    if (at.dk) add_transposed_product(ds, q, at.dk + first * s.d, count, s.d, rows);
  }
}

void backward(const BackwardCall& c) {
  const Sizes s(c.in, c.attrs);
  const auto entry = [](const Tensor& t, int64_t n) {
    return t.defined() ? t.data<float>() + n * t.size(1) * (t.rank() == 3 ? t.size(2) : 1)
                       : nullptr;
  };
  for (const Tensor& t : c.din)
    if (t.defined()) t.fill(0);
  parallel_parts(s.batch, s.batch * s.queries * s.keys, [&](int64_t n) {
    const Entry at{entry(c.in[0], n),  entry(c.in[1], n),  entry(c.in[2], n),
                   entry(c.out[0], n), entry(c.out[1], n), entry(c.dout[0], n),
                   entry(c.din[0], n), entry(c.din[1], n), entry(c.din[2], n)};
    std::vector<float> p(query_block * key_block), ds(query_block * key_block);
    for (int64_t l = 0; l < s.queries; l += query_block)
      backward_block(s, at, l, std::min(query_block, s.queries - l), p.data(), ds.data());
  });
}

const RegisterKernel kernel(
    {.op = "attention", .name = "cpu", .forward = forward, .backward = backward});

}  // namespace
}  // namespace limbeck::cpu_attention
