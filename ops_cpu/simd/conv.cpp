// Register-blocked micro-kernels of convolution and matrix product; formulas and shapes in ops_cpu/conv_kernels.h.
// A tile keeps pixels x vectors sums in registers: each weight vector that is loaded serves all pixels, each broadcast input all vectors,
// so a 512-bit machine needs 10 loads for 16 multiply-adds (8 pixels x 2 vectors) and runs at the rate of its multiply-add units.
// Every output element is one chain of multiply-adds in a fixed order, so results do not depend on tiling or thread count.
#include "ops_cpu/conv_kernels.h"

namespace limbeck::LIMBECK_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kWidth = 16, kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kWidth = 8, kRegisters = 16;
#else
constexpr int kWidth = 4, kRegisters = 16;
#endif
constexpr int kPixels = kRegisters == 32 ? 8 : 6;        // of a tile
constexpr int kWidePixels = 16;                          // of a one-vector tile with evenly spaced pixels
constexpr int kOuterRows = kRegisters == 32 ? 12 : 6;    // of an outer product with two vectors

typedef float Vector __attribute__((vector_size(kWidth * sizeof(float)), aligned(4), may_alias));

#define LIMBECK_INLINE inline __attribute__((always_inline))

LIMBECK_INLINE Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
LIMBECK_INLINE void store(float* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
LIMBECK_INLINE Vector splat(float x) { return x - Vector{}; }  // not 0 + x: that would have to turn -0 into 0
/// Hides where an index or pointer comes from, so that the compiler keeps the addressing as written.
template <class T>
LIMBECK_INLINE void opaque(T& x) { asm("" : "+r"(x)); }

/// The first or last vector of a row that may be shorter than a vector.
LIMBECK_INLINE Vector load_part(const float* p, int64_t lanes) {
  if (lanes >= kWidth) return load(p);
  float part[kWidth] = {};
  for (int64_t i = 0; i < lanes; ++i) part[i] = p[i];
  return load(part);
}
LIMBECK_INLINE void store_part(float* p, Vector v, int64_t lanes) {
  if (lanes >= kWidth) return store(p, v);
  float part[kWidth];
  store(part, v);
  for (int64_t i = 0; i < lanes; ++i) p[i] = part[i];
}

/// Starts the sums of a tile from zero, bias or the output.
template <int P, int NV>
LIMBECK_INLINE void begin_tile(const TileRun& r, float* const* out, int64_t out_offset, Vector (&sum)[P][NV]) {
  for (int v = 0; v < NV; ++v) {
    const Vector first = r.bias ? load(r.bias + v * kWidth) : Vector{};
    for (int p = 0; p < P; ++p) sum[p][v] = first;
  }
  if (!r.accumulate) return;
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < NV; ++v) sum[p][v] = load(out[p] + out_offset + v * kWidth);
}

template <int P, int NV>
LIMBECK_INLINE void end_tile(float* const* out, int64_t out_offset, const Vector (&sum)[P][NV]) {
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < NV; ++v) store(out[p] + out_offset + v * kWidth, sum[p][v]);
}

/// One tile of P pixels anywhere in memory (one pointer register each).
template <int P, int NV>
__attribute__((noinline)) void tile(const TileRun& r, const float* const* in, float* const* out, int64_t out_offset) {
  Vector sum[P][NV];
  begin_tile<P, NV>(r, out, out_offset, sum);
  const float* q[P];
  for (int p = 0; p < P; ++p) { q[p] = in[p]; opaque(q[p]); }
  const float* w = r.weights;
  for (int64_t s = 0; s < r.segments; ++s) {
    int64_t i = r.offsets[s];
    const int64_t end = i + r.length;
    for (; i < end; ++i, w += NV * kWidth) {
      opaque(i);
      Vector weight[NV];
      for (int v = 0; v < NV; ++v) weight[v] = load(w + v * kWidth);
      for (int p = 0; p < P; ++p) {
        const Vector x = splat(q[p][i]);
        for (int v = 0; v < NV; ++v) sum[p][v] += x * weight[v];
      }
    }
  }
  end_tile<P, NV>(out, out_offset, sum);
}

/// Whether 16 pixels are four runs of four with one common spacing.
LIMBECK_INLINE bool evenly_spaced(const float* const* in) {
  const int64_t step = in[1] - in[0];
  bool even = true;
  for (int g = 0; g < kWidePixels; g += 4)
    for (int i = 1; i < 4; ++i) even &= in[g + i] - in[g] == i * step;
  return even;
}

/// One vector x 16 evenly spaced pixels: 17 loads for 16 multiply-adds instead of 9 for 8.
LIMBECK_INLINE void wide_tile(const TileRun& r, const float* const* in, float* const* out) {
  Vector sum[kWidePixels][1];
  begin_tile<kWidePixels, 1>(r, out, r.out_offset, sum);
  const int64_t step = in[1] - in[0];
  int64_t step3 = 3 * step;
  opaque(step3);
  const float* w = r.weights;
  for (int64_t s = 0; s < r.segments; ++s) {
    const float* q[4];
    for (int g = 0; g < 4; ++g) q[g] = in[4 * g] + r.offsets[s];
    const float* const end = w + r.length * kWidth;
    for (; w < end; w += kWidth) {
      const Vector weight = load(w);
      for (int g = 0; g < 4; ++g) {
        opaque(q[g]);
        sum[4 * g][0] += splat(q[g][0]) * weight;
        sum[4 * g + 1][0] += splat(q[g][step]) * weight;
        sum[4 * g + 2][0] += splat(q[g][2 * step]) * weight;
        sum[4 * g + 3][0] += splat(q[g][step3]) * weight;
        ++q[g];
      }
    }
  }
  end_tile<kWidePixels, 1>(out, r.out_offset, sum);
}

/// A tile with fewer pixels or lanes than its registers hold: computed in a full buffer, of which the valid part is kept.
template <int NV>
void part_tile(const TileRun& r, const float* const* in, float* const* out, int64_t pixels) {
  alignas(64) float buffer[kPixels * NV * kWidth];
  const float* full_in[kPixels];
  float* full_out[kPixels];
  for (int p = 0; p < kPixels; ++p) {
    full_in[p] = in[p < pixels ? p : pixels - 1];
    full_out[p] = buffer + p * NV * kWidth;
    if (r.accumulate)
      for (int64_t j = 0; j < r.lanes; ++j) full_out[p][j] = p < pixels ? out[p][r.out_offset + j] : 0;
  }
  tile<kPixels, NV>(r, full_in, full_out, 0);
  for (int p = 0; p < pixels; ++p)
    for (int64_t j = 0; j < r.lanes; ++j) out[p][r.out_offset + j] = full_out[p][j];
}

template <int NV>
void tiles(const TileRun& r) {
  const bool full = r.lanes == NV * kWidth;
  for (int64_t p = 0; p < r.pixels;) {
    if constexpr (NV == 1 && kRegisters == 32)
      if (full && p + kWidePixels <= r.pixels && evenly_spaced(r.in + p)) {
        wide_tile(r, r.in + p, r.out + p);
        p += kWidePixels;
        continue;
      }
    const int64_t left = r.pixels - p;
    if (full && left >= kPixels) tile<kPixels, NV>(r, r.in + p, r.out + p, r.out_offset);
    else part_tile<NV>(r, r.in + p, r.out + p, left < kPixels ? left : kPixels);
    p += kPixels;
  }
}

void run_tile(const TileRun& r) { r.vectors == 2 ? tiles<2>(r) : tiles<1>(r); }

/// R rows of outer products kept in registers over all pixels.
template <int R, int NV>
void outer(const OuterRun& r, int64_t first) {
  Vector sum[R][NV];
  float* const target = r.sum + first * NV * kWidth;
#pragma GCC unroll 24
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < NV; ++v) sum[i][v] = load(target + (i * NV + v) * kWidth);
  for (int64_t y = 0; y < r.rows; ++y) {
    const float* a = r.a[y] + r.a_offset + first;
    const float* b = r.b[y];
    for (int64_t x = 0; x < r.columns; ++x, a += r.a_step, b += r.b_step) {
      opaque(a);
      Vector d[NV];
      for (int v = 0; v < NV; ++v) d[v] = load(b + v * kWidth);
#pragma GCC unroll 24
      for (int i = 0; i < R; ++i) {
        const Vector value = splat(a[i]);
        for (int v = 0; v < NV; ++v) sum[i][v] += value * d[v];
      }
    }
  }
#pragma GCC unroll 24
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < NV; ++v) store(target + (i * NV + v) * kWidth, sum[i][v]);
}

template <int NV>
void outers(const OuterRun& r) {
  int64_t i = 0;
  const auto left = [&] { return r.count - i; };
  constexpr int kMost = NV == 1 ? 2 * kOuterRows : kOuterRows;
  for (; left() >= kMost; i += kMost) outer<kMost, NV>(r, i);
  if (left() >= 16 && kMost > 16) { outer<16, NV>(r, i); i += 16; }
  if (left() >= 9 && kMost > 9) { outer<9, NV>(r, i); i += 9; }
  if (left() >= 8 && kMost > 8) { outer<8, NV>(r, i); i += 8; }
  if (left() >= 4) { outer<4, NV>(r, i); i += 4; }
  if (left() >= 3) { outer<3, NV>(r, i); i += 3; }
  for (; left() > 0; ++i) outer<1, NV>(r, i);
}

void run_outer(const OuterRun& r) { r.vectors == 2 ? outers<2>(r) : outers<1>(r); }

float horizontal_sum(Vector v) {
  float part[kWidth];
  store(part, v);
  for (int half = kWidth / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}

/// P pixels x J output channels, one vector of partial sums each.
template <int P, int J>
LIMBECK_INLINE void narrow_tile(const NarrowRun& r, const float* const* in, float* const* out) {
  Vector sum[P][J] = {};
  for (int64_t s = 0; s < r.segments; ++s) {
    const float* const w = r.weights + s * J * r.length;
    int64_t i = 0;
    const auto add = [&](auto loader) {
      Vector x[P];
      for (int p = 0; p < P; ++p) x[p] = loader(in[p] + r.offsets[s] + i);
      for (int j = 0; j < J; ++j) {
        const Vector weight = loader(w + j * r.length + i);
        for (int p = 0; p < P; ++p) sum[p][j] += x[p] * weight;
      }
    };
    for (; i + kWidth <= r.length; i += kWidth) add([](const float* p) { return load(p); });
    if (i < r.length) add([&](const float* p) { return load_part(p, r.length - i); });
  }
  for (int p = 0; p < P; ++p)
    for (int j = 0; j < J; ++j) out[p][j] = horizontal_sum(sum[p][j]) + (r.bias ? r.bias[j] : 0);
}

template <int J>
void narrow_tiles(const NarrowRun& r) {
  int64_t p = 0;
  for (; p + 4 <= r.pixels; p += 4) narrow_tile<4, J>(r, r.in + p, r.out + p);
  for (; p < r.pixels; ++p) narrow_tile<1, J>(r, r.in + p, r.out + p);
}

void run_narrow(const NarrowRun& r) {
  switch (r.channels) {
    case 1: return narrow_tiles<1>(r);
    case 2: return narrow_tiles<2>(r);
    case 3: return narrow_tiles<3>(r);
    default: return narrow_tiles<4>(r);
  }
}

/// One vector of channels with S taps (0: any number, weights from memory).
template <int S>
void depthwise_channels(const DepthwiseRun& r, int64_t c) {
  const Vector first = r.bias ? load(r.bias + c) : Vector{};
  Vector weight[S ? S : 1];
  int64_t offset[S ? S : 1];
  for (int s = 0; s < S; ++s) {
    weight[s] = load(r.weights + s * r.channels + c);
    offset[s] = r.offsets[s] + c;
  }
  for (int64_t p = 0; p < r.pixels; ++p) {
    const float* const in = r.in[p];
    Vector sum = first;
    if constexpr (S > 0) {
      for (int s = 0; s < S; ++s) sum += load(in + offset[s]) * weight[s];
    } else {
      for (int64_t s = 0; s < r.segments; ++s) sum += load(in + r.offsets[s] + c) * load(r.weights + s * r.channels + c);
    }
    store(r.out[p] + c, sum);
  }
}

/// The last channels, fewer than a vector.
void depthwise_rest(const DepthwiseRun& r, int64_t c) {
  const int64_t lanes = r.channels - c;
  for (int64_t p = 0; p < r.pixels; ++p) {
    Vector sum = r.bias ? load_part(r.bias + c, lanes) : Vector{};
    for (int64_t s = 0; s < r.segments; ++s)
      sum += load_part(r.in[p] + r.offsets[s] + c, lanes) * load_part(r.weights + s * r.channels + c, lanes);
    store_part(r.out[p] + c, sum, lanes);
  }
}

void depthwise_pixels(const DepthwiseRun& r) {
  int64_t c = 0;
  for (; c + kWidth <= r.channels; c += kWidth)
    r.segments == 9 ? depthwise_channels<9>(r, c) : r.segments == 4 ? depthwise_channels<4>(r, c) : depthwise_channels<0>(r, c);
  if (c < r.channels) depthwise_rest(r, c);
}

/// All channels of a few pixels at a time, so that their windows stay in the first-level cache.
void run_depthwise(const DepthwiseRun& all) {
  constexpr int64_t kPass = 32;
  for (int64_t p = 0; p < all.pixels; p += kPass) {
    DepthwiseRun r = all;
    r.in += p;
    r.out += p;
    r.pixels = all.pixels - p < kPass ? all.pixels - p : kPass;
    depthwise_pixels(r);
  }
}

/// S taps of a depthwise weight gradient kept in registers over all pixels.
template <int S>
void depthwise_weight(const DepthwiseWeightRun& r, int64_t first, int64_t c, int64_t lanes) {
  Vector sum[S];
  for (int s = 0; s < S; ++s) sum[s] = load_part(r.sum + (first + s) * r.channels + c, lanes);
  const int64_t* offsets = r.offsets + first;
  if (lanes >= kWidth) {
    for (int64_t p = 0; p < r.pixels; ++p) {
      const Vector d = load(r.d[p] + c);
      for (int s = 0; s < S; ++s) sum[s] += load(r.in[p] + offsets[s] + c) * d;
    }
  } else {
    for (int64_t p = 0; p < r.pixels; ++p) {
      const Vector d = load_part(r.d[p] + c, lanes);
      for (int s = 0; s < S; ++s) sum[s] += load_part(r.in[p] + offsets[s] + c, lanes) * d;
    }
  }
  for (int s = 0; s < S; ++s) store_part(r.sum + (first + s) * r.channels + c, sum[s], lanes);
}

void run_depthwise_weight(const DepthwiseWeightRun& r) {
  for (int64_t c = 0; c < r.channels; c += kWidth) {
    int64_t s = 0;
    for (; s + 9 <= r.segments; s += 9) depthwise_weight<9>(r, s, c, r.channels - c);
    for (; s + 5 <= r.segments; s += 5) depthwise_weight<5>(r, s, c, r.channels - c);
    for (; s < r.segments; ++s) depthwise_weight<1>(r, s, c, r.channels - c);
  }
}

void run_column_sums(const float* d, int64_t rows, int64_t channels, float* sum) {
  for (int64_t c = 0; c < channels; c += kWidth) {
    const int64_t lanes = channels - c;
    Vector s = load_part(sum + c, lanes);
    for (int64_t i = 0; i < rows; ++i) s += load_part(d + i * channels + c, lanes);
    store_part(sum + c, s, lanes);
  }
}

}  // namespace

const ConvKernels& conv_kernels() {
  static constexpr ConvKernels table{kWidth, run_tile, run_narrow, run_outer, run_depthwise, run_depthwise_weight, run_column_sums};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
