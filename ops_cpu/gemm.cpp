// c = op(a) op(b): b is packed to [block of n][k][n in block]; rows of op(a) are the "pixels" of
// the convolution micro-kernel, read in place, or, for a transposed a, from a packed strip of rows.
// 2 m n k FLOPs; b and c once, a once per block of n (from cache). Source of the blocking: Goto,
// van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 2008.
#include "ops_cpu/gemm.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops_cpu/conv_kernels.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/scratch.h"

namespace limbeck {
namespace {

constexpr int64_t kDepth = 256;  // of a block of k: with 32 columns, 32 KiB of packed b
constexpr int64_t kRows = 96;    // of a strip of a

int64_t block_columns() { return 2 * conv_kernels().width; }
int64_t padded_columns(const Gemm& g) {
  return (g.n + conv_kernels().width - 1) / conv_kernels().width * conv_kernels().width;
}
int64_t block_count(const Gemm& g) { return (g.n + block_columns() - 1) / block_columns(); }

/// to[c][r] = from[r][c], in squares that stay in the first-level cache; rows of `to` are `to_step`
/// apart.
void transpose(const float* from, int64_t from_step, int64_t rows, int64_t columns, float* to,
               int64_t to_step) {
  constexpr int64_t kSquare = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kSquare)
    for (int64_t c0 = 0; c0 < columns; c0 += kSquare)
      for (int64_t c = c0; c < std::min(columns, c0 + kSquare); ++c)
        for (int64_t r = r0; r < std::min(rows, r0 + kSquare); ++r)
          to[c * to_step + r] = from[r * from_step + c];
}

void pack_b(const Gemm& g, int64_t block, float* packed) {
  const int64_t first = block * block_columns(),
                padded = std::min(block_columns(), padded_columns(g) - first);
  const int64_t lanes = std::min(padded, g.n - first);
  float* const to = packed + first * g.k;
  if (lanes < padded) std::fill(to, to + g.k * padded, 0.f);
  if (g.transpose_b) return transpose(g.b + first * g.ldb, g.ldb, lanes, g.k, to, padded);
  for (int64_t k = 0; k < g.k; ++k)
    std::memcpy(to + k * padded, g.b + k * g.ldb + first, sizeof(float) * lanes);
}

/// Rows [row0, row1) times the blocks [block0, block1).
void run_rows(const Gemm& g, const float* packed, const float* bias, int64_t row0, int64_t row1,
              int64_t block0, int64_t block1) {
  const int64_t rows = row1 - row0, width = conv_kernels().width;
  const float* a = g.a + row0 * g.lda;
  int64_t lda = g.lda;
  if (g.transpose_a) {
    float* const copy = scratch<float>(ScratchUse::columns, rows * g.k);
    transpose(g.a + row0, g.lda, g.k, rows, copy, g.k);
    a = copy;
    lda = g.k;
  }
  auto** const in = scratch<const float*>(ScratchUse::pixels, rows);
  auto** const out = scratch<float*>(ScratchUse::outputs, rows);
  for (int64_t r = 0; r < rows; ++r) {
    in[r] = a + r * lda;
    out[r] = g.c + (row0 + r) * g.ldc;
  }
  for (int64_t block = block0; block < block1; ++block) {
    const int64_t first = block * block_columns(),
                  padded = std::min(block_columns(), padded_columns(g) - first);
    for (int64_t k = 0; k == 0 || k < g.k; k += kDepth)
      conv_kernels().tile({.in = in,
                           .out = out,
                           .pixels = rows,
                           .out_offset = first,
                           .offsets = &k,
                           .segments = 1,
                           .length = std::min(kDepth, g.k - k),
                           .weights = packed + first * g.k + k * padded,
                           .vectors = static_cast<int>(padded / width),
                           .lanes = std::min(padded, g.n - first),
                           .bias = bias ? bias + first : nullptr,
                           .accumulate = g.accumulate || k > 0});
  }
}

const float* pad_bias(const Gemm& g) {
  if (!g.bias) return nullptr;
  float* const padded = scratch<float>(ScratchUse::bias, padded_columns(g));
  std::fill(std::copy(g.bias, g.bias + g.n, padded), padded + padded_columns(g), 0.f);
  return padded;
}

constexpr int64_t kLongest = 8192;  // of a float sum over k

/// A product with a longer sum: float sums over parts of k, which are added in double.
template <class Product>
void gemm_in_parts(const Gemm& g, Product&& product) {
  const int64_t most = std::clamp<int64_t>((1 << 20) / g.n, 1, g.m);  // rows at a time
  std::vector<float> part(static_cast<size_t>(most * g.n));
  std::vector<double> sum(part.size());
  for (int64_t row = 0; row < g.m; row += most) {
    Gemm p = g;
    p.m = std::min(most, g.m - row);
    p.c = part.data(), p.ldc = g.n;
    p.bias = nullptr, p.accumulate = false;
    for (int64_t i = 0; i < p.m; ++i) {
      const float* const start = g.accumulate ? g.c + (row + i) * g.ldc : g.bias;
      double* const to = sum.data() + i * g.n;
      start ? std::copy_n(start, g.n, to) : std::fill_n(to, g.n, 0.0);
    }
    for (int64_t k = 0; k < g.k; k += kLongest) {
      p.k = std::min(kLongest, g.k - k);
      p.a = g.a + (g.transpose_a ? k * g.lda + row : row * g.lda + k);
      p.b = g.b + (g.transpose_b ? k : k * g.ldb);
      product(p);
      for (int64_t i = 0; i < p.m * g.n; ++i)
        sum[static_cast<size_t>(i)] += part[static_cast<size_t>(i)];
    }
    for (int64_t i = 0; i < p.m; ++i)
      std::copy_n(sum.data() + i * g.n, g.n, g.c + (row + i) * g.ldc);
  }
}

void gemm_here(const Gemm& g) {
  if (g.k > kLongest) return gemm_in_parts(g, gemm_here);
  float* const packed = scratch<float>(ScratchUse::weights, g.k * padded_columns(g));
  for (int64_t b = 0; b < block_count(g); ++b) pack_b(g, b, packed);
  const float* const bias = pad_bias(g);
  for (int64_t row = 0; row < g.m; row += kRows)
    run_rows(g, packed, bias, row, std::min(g.m, row + kRows), 0, block_count(g));
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k > kLongest) return gemm_in_parts(g, gemm);
  constexpr double kWorthThreads = 2e5;  // multiply-adds
  if (omp_in_parallel() || omp_get_max_threads() == 1 || double(g.m) * g.n * g.k < kWorthThreads)
    return gemm_here(g);
  const int64_t blocks = block_count(g), strips = (g.m + kRows - 1) / kRows;
  const int64_t parts = std::clamp<int64_t>(4 * omp_get_max_threads() / strips, 1,
                                            blocks);  // of the columns; cannot change a result
  float* const packed = scratch<float>(ScratchUse::weights, g.k * padded_columns(g));
  const float* const bias = pad_bias(g);
  Tasks tasks(strips * parts);
  parallel_region([&] {
#pragma omp for schedule(static)
    for (int64_t b = 0; b < blocks; ++b) pack_b(g, b, packed);
    tasks.run([&](int64_t t) {
      const int64_t row = t / parts * kRows, part = t % parts;
      run_rows(g, packed, bias, row, std::min(g.m, row + kRows), blocks * part / parts,
               blocks * (part + 1) / parts);
    });
  });
}

void gemm_batch(const Gemm& g, int64_t count, int64_t stride_a, int64_t stride_b,
                int64_t stride_c) {
  const auto one = [&](int64_t i) {
    Gemm part = g;
    part.a += i * stride_a;
    part.b += i * stride_b;
    part.c += i * stride_c;
    return part;
  };
  if (g.m == 0 || g.n == 0) return;
  if (count < 2 * omp_get_max_threads() || omp_in_parallel()) {
    for (int64_t i = 0; i < count; ++i) gemm(one(i));
    return;
  }
  parallel_tasks(count, [&](int64_t i) { gemm_here(one(i)); });
}

}  // namespace limbeck
