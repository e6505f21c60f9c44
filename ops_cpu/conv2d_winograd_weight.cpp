// Weight gradient of 3x3 convolutions by the transpose of F(4x4, 3x3) (conv2d_winograd.cpp): summed
// over all tiles,
//   dg = G^T [ sum over tiles of (B^T d B) * (A dy A^T) ] G,
// so each of the 36 points is a matrix product [C, tiles] x [tiles, O]. v [point][tile][c], e
// [point][tile][o], sums [block of o][point][c][o in block]. 72 FLOPs per (tile, c, o) instead of
// 288. Determinism: tiles are summed in order within chunks whose number depends on the sizes only,
// and the chunks are added in order. Layers with few channels have several chunks, one thread each;
// large ones have one, and the threads share first its tiles, then its points. Source: Lavin and
// Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
#include <algorithm>
#include <utility>
#include <vector>

#include "ops_cpu/conv2d_winograd.h"
#include "ops_cpu/conv_kernels.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/scratch.h"
#include "ops_cpu/winograd_tiles.h"

namespace limbeck {
namespace {

struct WeightSum {
  WinogradTiles tiles;
  int64_t c, o;
  const float *x, *dy;
  int64_t width = conv_kernels().width;
  int64_t padded_c() const { return (c + width - 1) / width * width; }
  int64_t padded_o() const { return (o + width - 1) / width * width; }
  int64_t blocks() const { return (padded_o() + 2 * width - 1) / (2 * width); }
  int64_t block_size(int64_t block) const {
    return std::min(2 * width, padded_o() - block * 2 * width);
  }
  int64_t sum_stride(int64_t block) const { return winograd_stride(c * block_size(block)); }
  int64_t sum_offset(int64_t block) const {
    return block * kWinogradPoints * winograd_stride(c * 2 * width);
  }
  int64_t sum_size() const { return sum_offset(blocks()); }
};

/// Transformed tiles of one block, of a thread or shared.
struct Operands {
  int64_t v_stride, e_stride;
  float *v, *e;
};

Operands make_operands(const WeightSum& s, int64_t most) {
  Operands p{winograd_stride(most * s.padded_c()), winograd_stride(most * s.padded_o())};
  p.v = scratch<float>(ScratchUse::input, kWinogradPoints * p.v_stride);
  p.e = scratch<float>(ScratchUse::gradient, kWinogradPoints * p.e_stride);
  return p;
}

/// Zeros for the pixels outside, of this thread.
const float* make_zeros(const WeightSum& s) {
  const int64_t count = std::max(s.c, s.o);
  float* const zeros = scratch<float>(ScratchUse::columns, count);
  std::fill(zeros, zeros + count, 0.f);
  return zeros;
}

/// Transforms tile t to row `row` of the operands.
void transform(const WeightSum& s, const Operands& p, int64_t t, int64_t row, const float* zeros) {
  const float *in[kWinogradPoints], *out[kWinogradOut * kWinogradOut];
  s.tiles.inputs(t, s.x, s.c, zeros, in);
  winograd_kernels().input(in, s.c, p.v + row * s.padded_c(), p.v_stride);
  s.tiles.outputs(t, s.dy, s.o, zeros, out);
  winograd_kernels().output_gradient(out, s.o, p.e + row * s.padded_o(), p.e_stride);
}

/// Adds the products of `count` transformed tiles at one point to its sums.
void accumulate(const WeightSum& s, const Operands& p, int64_t count, int64_t point, float* sums) {
  for (int64_t block = 0; block < s.blocks(); ++block) {
    const float* const v = p.v + point * p.v_stride;
    const float* const e = p.e + point * p.e_stride + block * 2 * s.width;
    conv_kernels().outer({.a = &v,
                          .b = &e,
                          .rows = 1,
                          .columns = count,
                          .a_step = s.padded_c(),
                          .b_step = s.padded_o(),
                          .a_offset = 0,
                          .sum = sums + s.sum_offset(block) + point * s.sum_stride(block),
                          .count = s.c,
                          .vectors = static_cast<int>(s.block_size(block) / s.width)});
  }
}

/// dw[o][tap][c] of one block of output channels and input channels [c0, c1).
void finish(const WeightSum& s, const float* sums, int64_t block, int64_t c0, int64_t c1,
            float* dw) {
  const int64_t first = block * 2 * s.width, padded = s.block_size(block),
                lanes = std::min(padded, s.o - first), count = (c1 - c0) * padded;
  alignas(64) float dg[9 * 16 * 32];
  winograd_kernels().filter_gradient(sums + s.sum_offset(block) + c0 * padded, s.sum_stride(block),
                                     count, dg, count);
  for (int64_t tap = 0; tap < 9; ++tap)
    for (int64_t o = 0; o < lanes; ++o)
      for (int64_t c = c0; c < c1; ++c)
        dw[((first + o) * 9 + tap) * s.c + c] = dg[tap * count + (c - c0) * padded + o];
}

/// The chunks must not depend on vector width or threads: 16 channels stand for all instruction
/// sets.
int64_t chunk_count(const WeightSum& s) {
  constexpr int64_t kMost = 16, kFloats = 1 << 20;
  int64_t chunks = 1;
  while (chunks * 2 <= std::min(kMost, s.tiles.count() / 32) &&
         chunks * 2 * kWinogradPoints * s.c * s.o <= kFloats)
    chunks *= 2;
  return chunks;
}

/// Float sums over more tiles are divided: their state is put aside, and added at the end.
constexpr int64_t kLongest = 8192;

/// Several chunks, one thread each; the transformed tiles of a block stay in its second-level
/// cache.
void sum_chunks(const WeightSum& s, int64_t chunks, float* sums) {
  constexpr int64_t kFloats = (1 << 20) / 4;
  const int64_t most = std::clamp<int64_t>(
                    kFloats / (kWinogradPoints * (s.padded_c() + s.padded_o())), 32, 256),
                count = s.tiles.count();
  parallel_tasks(chunks, [&](int64_t chunk) {
    const Operands p = make_operands(s, most);
    const float* const zeros = make_zeros(s);
    float* const sum = sums + chunk * s.sum_size();
    std::fill(sum, sum + s.sum_size(), 0.f);
    const int64_t begin = count * chunk / chunks, end = count * (chunk + 1) / chunks;
    std::vector<double> aside(end - begin > 2 * kLongest ? static_cast<size_t>(s.sum_size()) : 0);
    int64_t held = 0;  // tiles in sum
    for (int64_t t0 = begin; t0 < end; t0 += most) {
      const int64_t tiles = std::min(most, end - t0);
      if (!aside.empty() && held + tiles > kLongest) {
        for (size_t i = 0; i < aside.size(); ++i) aside[i] += std::exchange(sum[i], 0.f);
        held = 0;
      }
      held += tiles;
      for (int64_t t = 0; t < tiles; ++t) transform(s, p, t0 + t, t, zeros);
      for (int64_t point = 0; point < kWinogradPoints; ++point) accumulate(s, p, tiles, point, sum);
    }
    for (size_t i = 0; i < aside.size(); ++i) sum[i] = static_cast<float>(sum[i] + aside[i]);
  });
}

/// One chunk for all threads: large sums are touched seldom, so blocks have many tiles.
void sum_together(const WeightSum& s, float* sums) {
  const int64_t count = s.tiles.count(), most = std::min<int64_t>(256, count);
  const Operands p = make_operands(s, most);
  std::vector<double> aside(count > 2 * kLongest ? static_cast<size_t>(s.sum_size()) : 0);
  const auto size = static_cast<int64_t>(aside.size());
  parallel_region([&] {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s.sum_size(); i += 4096)
      std::fill(sums + i, sums + std::min(i + 4096, s.sum_size()), 0.f);
    const float* const zeros = make_zeros(s);
    for (int64_t t0 = 0; t0 < count; t0 += most) {
      const int64_t tiles = std::min(most, count - t0);
      if (size > 0 && t0 % kLongest == 0) {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < size; ++i)
          aside[static_cast<size_t>(i)] += std::exchange(sums[i], 0.f);
      }
#pragma omp for schedule(static)
      for (int64_t t = 0; t < tiles; ++t) transform(s, p, t0 + t, t, zeros);
#pragma omp for schedule(dynamic)
      for (int64_t point = 0; point < kWinogradPoints; ++point)
        accumulate(s, p, tiles, point, sums);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < size; ++i)
      sums[i] = static_cast<float>(sums[i] + aside[static_cast<size_t>(i)]);
  });
}

}  // namespace

void winograd_backward_weight_cpu(const Conv2dSizes& sizes, const float* x, const float* dy,
                                  float* dw) {
  const WeightSum s{{sizes.n, sizes.h, sizes.w, sizes.oh, sizes.ow, sizes.pad_h, sizes.pad_w},
                    sizes.c,
                    sizes.o,
                    x,
                    dy};
  const int64_t chunks = chunk_count(s);
  float* const sums = scratch<float>(ScratchUse::partial, chunks * s.sum_size());
  if (chunks > 1)
    sum_chunks(s, chunks, sums);
  else
    sum_together(s, sums);
  const int64_t parts = (s.c + 15) / 16;
  parallel_region([&] {
#pragma omp for schedule(static)
    for (int64_t block = 0; block < s.blocks(); ++block) {
      const int64_t from = s.sum_offset(block), size = s.sum_offset(block + 1) - from;
      for (int64_t c = 1; c < chunks; ++c)
        conv_kernels().column_sums(sums + c * s.sum_size() + from, 1, size, sums + from);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s.blocks() * parts; ++i)
      finish(s, sums, i / parts, i % parts * 16, std::min(s.c, i % parts * 16 + 16), dw);
  });
}

}  // namespace limbeck
