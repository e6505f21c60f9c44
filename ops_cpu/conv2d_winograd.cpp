// Forward and backward-data of 3x3 convolutions by Winograd's minimal filtering F(4x4, 3x3). For
// each tile of 4x4 outputs:
//   y = A^T [ sum over c of (G g G^T) * (B^T d B) ] A + bias      (* element by element: 36 points)
// d: the 6x6 inputs of the tile, g: the 3x3 filter of (c, o). Summed over c, each point is a matrix
// product [tiles, C] x [C, O]. backward-data: the same with dy as input, g turned by 180 degrees
// and C, O exchanged. Transformed tiles: v [point][tile][c], m [point][tile][o]; filters: u [block
// of o][point][c][o in block]. 72 FLOPs per (tile, c, o) instead of 288, plus about 290 per (tile,
// c) and 240 per (tile, o) of transforms; 36 T (C + O) floats of scratch per thread for a block of
// T tiles, 36 C O for the filters, which each block reads once. Source: Lavin and Gray, "Fast
// algorithms for convolutional neural networks", CVPR 2016; points and matrices in
// simd/winograd.cpp.
#include "ops_cpu/conv2d_winograd.h"

#include <omp.h>

#include "ops_cpu/conv2d.h"
#include "ops_cpu/conv_kernels.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/scratch.h"
#include "ops_cpu/winograd_tiles.h"

namespace limbeck {
namespace {

/// out = window sums of in; the filter of (tap, k, j) lies at w[tap * tap_stride + k * k_stride + j
/// * j_stride], turned if `turned`.
struct WinogradSum {
  WinogradTiles tiles;
  int64_t k, j;  // channels of in and out
  const float* w;
  int64_t tap_stride, k_stride, j_stride;
  bool turned;
  const float *in, *bias;
  float* out;

  int64_t width = conv_kernels().width;
  int64_t padded_k() const { return (k + width - 1) / width * width; }
  int64_t padded_j() const { return (j + width - 1) / width * width; }
  int64_t blocks() const { return (padded_j() + 2 * width - 1) / (2 * width); }
  int64_t block_size(int64_t block) const {
    return std::min(2 * width, padded_j() - block * 2 * width);
  }
  /// Floats of the transformed filters before a block, and between its points.
  int64_t filter_offset(int64_t block) const {
    return block * kWinogradPoints * winograd_stride(k * 2 * width);
  }
  int64_t filter_stride(int64_t block) const { return winograd_stride(k * block_size(block)); }
};

constexpr int64_t kFilterPart =
    16;  // summed channels whose filters are packed and transformed at a time

/// Filters of channels [k0, k1) and one block of j to [tap][k][j in block], zero beyond j.
void pack_filters(const WinogradSum& s, int64_t block, int64_t k0, int64_t k1, float* to) {
  const int64_t first = block * 2 * s.width, padded = s.block_size(block),
                lanes = std::min(padded, s.j - first);
  for (int64_t tap = 0; tap < 9; ++tap, to += (k1 - k0) * padded) {
    const float* const from =
        s.w + (s.turned ? 8 - tap : tap) * s.tap_stride + k0 * s.k_stride + first * s.j_stride;
    for (int64_t j = 0; j < padded; ++j)
      for (int64_t k = 0; k < k1 - k0; ++k)
        to[k * padded + j] = j < lanes ? from[k * s.k_stride + j * s.j_stride] : 0.f;
  }
}

void transform_filters(const WinogradSum& s, int64_t block, int64_t part, float* u) {
  const int64_t k0 = part * kFilterPart, k1 = std::min(s.k, k0 + kFilterPart),
                count = (k1 - k0) * s.block_size(block);
  alignas(64) float packed[9 * kFilterPart * 32];
  pack_filters(s, block, k0, k1, packed);
  winograd_kernels().filter(packed, count, count,
                            u + s.filter_offset(block) + k0 * s.block_size(block),
                            s.filter_stride(block));
}

/// Scratch of one thread for blocks of at most `most` tiles.
struct Block {
  int64_t most, v_stride, m_stride;
  float *v, *m, *zeros, *ignored;
  const float** in;
  float** out;
};

/// The micro-kernel takes eight rows at a time: rows beyond the tiles repeat the last one, into
/// room of their own.
int64_t whole_rows(int64_t tiles) { return (tiles + 7) / 8 * 8; }

Block make_block(const WinogradSum& s, int64_t most) {
  const int64_t rows = whole_rows(most), pk = s.padded_k(), pj = s.padded_j();
  Block b{most, winograd_stride(rows * pk), winograd_stride(rows * pj)};
  b.v = scratch<float>(ScratchUse::input, kWinogradPoints * b.v_stride);
  b.m = scratch<float>(ScratchUse::gradient, kWinogradPoints * b.m_stride);
  b.zeros = scratch<float>(ScratchUse::columns, pk + pj);
  b.ignored = b.zeros + pk;
  std::fill(b.zeros, b.zeros + pk, 0.f);
  b.in = scratch<const float*>(ScratchUse::pixels, rows);
  b.out = scratch<float*>(ScratchUse::outputs, rows);
  return b;
}

/// The 36 matrix products m[point] = v[point] u[point] of `tiles` tiles.
void multiply(const WinogradSum& s, const Block& b, int64_t tiles, const float* u) {
  const int64_t rows = whole_rows(tiles);
  for (int64_t t = 0; t < rows; ++t) {
    b.in[t] = b.v + std::min(t, tiles - 1) * s.padded_k();
    b.out[t] = b.m + t * s.padded_j();
  }
  constexpr int64_t kMost =
      320;  // summed channels at a time: their weights stay in the first-level cache
  const int64_t parts = (s.k + kMost - 1) / kMost;
  for (int64_t point = 0; point < kWinogradPoints; ++point)
    for (int64_t block = 0; block < s.blocks(); ++block)
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t k0 = s.k * part / parts, k1 = s.k * (part + 1) / parts,
                      padded = s.block_size(block);
        const int64_t offset = point * b.v_stride + k0;
        conv_kernels().tile(
            {.in = b.in,
             .out = b.out,
             .pixels = rows,
             .out_offset = point * b.m_stride + block * 2 * s.width,
             .offsets = &offset,
             .segments = 1,
             .length = k1 - k0,
             .weights = u + s.filter_offset(block) + point * s.filter_stride(block) + k0 * padded,
             .vectors = static_cast<int>(padded / s.width),
             .lanes = padded,
             .bias = nullptr,
             .accumulate = k0 > 0});
      }
}

void run_tiles(const WinogradSum& s, const Block& b, int64_t tile0, int64_t tile1, const float* u,
               const float* bias) {
  const WinogradKernels& kernels = winograd_kernels();
  for (int64_t t = tile0; t < tile1; ++t) {
    const float* pixels[kWinogradPoints];
    s.tiles.inputs(t, s.in, s.k, b.zeros, pixels);
    kernels.input(pixels, s.k, b.v + (t - tile0) * s.padded_k(), b.v_stride);
  }
  multiply(s, b, tile1 - tile0, u);
  for (int64_t t = tile0; t < tile1; ++t) {
    float* pixels[kWinogradOut * kWinogradOut];
    s.tiles.outputs(t, s.out, s.j, b.ignored, pixels);
    kernels.output(b.m + (t - tile0) * s.padded_j(), b.m_stride, s.j, bias, pixels);
  }
}

/// Tiles per block: the transformed tiles of small layers stay in the second-level cache; with more
/// channels the filters are the larger operand, and more tiles read them less often. Cannot change
/// a result.
int64_t tiles_per_block(const WinogradSum& s) {
  constexpr int64_t kFloats = (1 << 20) / 4, kLeast = 64;
  const int64_t fitting = kFloats / (kWinogradPoints * (s.padded_k() + s.padded_j()));
  const int64_t per_thread = (s.tiles.count() + omp_get_max_threads() - 1) / omp_get_max_threads();
  return std::max<int64_t>(8, std::min(whole_rows(per_thread), std::max(kLeast, fitting / 8 * 8)));
}

const float* pad_bias(const WinogradSum& s) {
  if (!s.bias) return nullptr;
  float* const padded = scratch<float>(ScratchUse::bias, s.padded_j());
  for (int64_t j = 0; j < s.padded_j(); ++j) padded[j] = j < s.j ? s.bias[j] : 0.f;
  return padded;
}

void run(const WinogradSum& s) {
  const int64_t count = s.tiles.count(), most = tiles_per_block(s),
                parts = (s.k + kFilterPart - 1) / kFilterPart;
  if (count == 0) return;
  float* const u = scratch<float>(ScratchUse::weights, s.filter_offset(s.blocks()));
  const float* const bias = pad_bias(s);
  Tasks tasks((count + most - 1) / most);
  parallel_region([&] {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s.blocks() * parts; ++i) transform_filters(s, i / parts, i % parts, u);
    const Block b = make_block(s, most);
    tasks.run(
        [&](int64_t t) { run_tiles(s, b, t * most, std::min(count, (t + 1) * most), u, bias); });
  });
}

}  // namespace

bool winograd_possible(const Conv2dSizes& s) {
  return s.kh == 3 && s.kw == 3 && s.groups == 1 && s.stride_h == 1 && s.stride_w == 1 &&
         s.dilation_h == 1 && s.dilation_w == 1 && s.pad_h <= 2 && s.pad_w <= 2;
}

void winograd_forward_cpu(const Conv2dSizes& s, const float* x, const float* w, const float* b,
                          float* y) {
  run({{s.n, s.h, s.w, s.oh, s.ow, s.pad_h, s.pad_w},
       s.c,
       s.o,
       w,
       s.c,
       1,
       9 * s.c,
       false,
       x,
       b,
       y});
}

void winograd_backward_data_cpu(const Conv2dSizes& s, const float* dy, const float* w,
                                const float* b, float* dx) {
  run({{s.n, s.oh, s.ow, s.h, s.w, 2 - s.pad_h, 2 - s.pad_w},
       s.o,
       s.c,
       w,
       s.c,
       9 * s.c,
       1,
       true,
       dy,
       b,
       dx});
}

}  // namespace limbeck
