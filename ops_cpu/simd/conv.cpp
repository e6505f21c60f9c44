// Register-blocked micro-kernels of convolution and matrix product; formulas and shapes in
// ops_cpu/conv_kernels.h. A tile keeps pixels x vectors sums in registers: each weight vector that
// is loaded serves all pixels, each broadcast input all vectors, so a 512-bit machine needs 10
// loads for 16 multiply-adds (8 pixels x 2 vectors) and runs at the rate of its multiply-add units.
// NEON multiplies by one lane of a register, so there four inputs of a pixel are one load: 16 loads
// for 64 multiply-adds.
// Every output element of a tile is one chain of multiply-adds in a fixed order, of a narrow one
// as many chains as a vector has lanes, so results do not depend on tiling or thread count.
#include "ops_cpu/conv_kernels.h"

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif
#if defined(__aarch64__)
constexpr bool kLanes = true;  // a product with one lane costs no more than one with a vector
#else
constexpr bool kLanes = false;
#endif
constexpr int kPixels = kRegisters == 32 ? 8 : 6;  // of a tile
constexpr int kWidePixels = 16;                    // of a one-vector tile with evenly spaced pixels
constexpr int kOuterRows = kRegisters == 32 ? 12 : 6;  // of an outer product with two vectors

#define LIMBECK_INLINE inline __attribute__((always_inline))

LIMBECK_INLINE V splat(float x) { return x - V{}; }  // not 0 + x: that would have to turn -0 into 0
/// Hides where an index or pointer comes from, so that the compiler keeps the addressing as
/// written.
template <class T>
LIMBECK_INLINE void opaque(T& x) {
  asm("" : "+r"(x));
}

/// A vector of which `lanes` > 0 exist; all of it when lanes >= W.
LIMBECK_INLINE V load_part(const float* p, int64_t lanes) {
  return lanes >= W ? load(p) : load_some(p, lanes);
}
LIMBECK_INLINE void store_part(float* p, V v, int64_t lanes) {
  lanes >= W ? store(p, v) : store_some(p, v, lanes);
}

/// Starts the sums of a tile from zero, bias or the output.
template <int P, int NV>
LIMBECK_INLINE void begin_tile(const TileRun& r, float* const* out, int64_t out_offset,
                               V (&sum)[P][NV]) {
  if (!r.accumulate) {
    for (int v = 0; v < NV; ++v) {
      const V first = r.bias ? load(r.bias + v * W) : V{};
      for (int p = 0; p < P; ++p) sum[p][v] = first;
    }
    return;
  }
  const int64_t last = r.lanes - (NV - 1) * W;  // lanes of the last vector
  for (int p = 0; p < P; ++p) {
    for (int v = 0; v < NV - 1; ++v) sum[p][v] = load(out[p] + out_offset + v * W);
    sum[p][NV - 1] = load_part(out[p] + out_offset + (NV - 1) * W, last);
  }
}

template <int P, int NV>
LIMBECK_INLINE void end_tile(const TileRun& r, float* const* out, int64_t out_offset,
                             const V (&sum)[P][NV]) {
  const int64_t last = r.lanes - (NV - 1) * W;
  for (int p = 0; p < P; ++p) {
    for (int v = 0; v < NV - 1; ++v) store(out[p] + out_offset + v * W, sum[p][v]);
    store_part(out[p] + out_offset + (NV - 1) * W, sum[p][NV - 1], last);
  }
}

/// sum[p][v] += x[p][lane] w[lane][v] for W terms, from i on.
template <int P, int NV>
LIMBECK_INLINE void add_lanes(const float* const (&q)[P], int64_t i, const float* w,
                              V (&sum)[P][NV]) {
  V x[P];
  for (int p = 0; p < P; ++p) x[p] = load(q[p] + i);
#pragma GCC unroll 16
  for (int lane = 0; lane < int(W); ++lane, w += NV * W) {
    V weight[NV];
    for (int v = 0; v < NV; ++v) weight[v] = load(w + v * W);
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < NV; ++v) sum[p][v] += splat(x[p][lane]) * weight[v];
  }
}

/// One tile of P pixels anywhere in memory (one pointer register each).
template <int P, int NV>
__attribute__((noinline)) void tile(const TileRun& r, const float* const* in, float* const* out,
                                    int64_t out_offset) {
  V sum[P][NV];
  begin_tile<P, NV>(r, out, out_offset, sum);
  const float* q[P];
  for (int p = 0; p < P; ++p) {
    q[p] = in[p];
    opaque(q[p]);
  }
  const float* w = r.weights;
  for (int64_t s = 0; s < r.segments; ++s) {
    int64_t i = r.offsets[s];
    const int64_t end = i + r.length;
    if constexpr (kLanes)
      for (; i + W <= end; i += W, w += NV * W * W) {
        opaque(i);
        add_lanes<P, NV>(q, i, w, sum);
      }
    for (; i < end; ++i, w += NV * W) {
      opaque(i);
      V weight[NV];
      for (int v = 0; v < NV; ++v) weight[v] = load(w + v * W);
      for (int p = 0; p < P; ++p) {
        const V x = splat(q[p][i]);
        for (int v = 0; v < NV; ++v) sum[p][v] += x * weight[v];
      }
    }
  }
  end_tile<P, NV>(r, out, out_offset, sum);
}

/// Whether 16 pixels are four runs of four with one common spacing.
[[maybe_unused]] LIMBECK_INLINE bool evenly_spaced(const float* const* in) {
  const int64_t step = in[1] - in[0];
  bool even = true;
  for (int g = 0; g < kWidePixels; g += 4)
    for (int i = 1; i < 4; ++i) even &= in[g + i] - in[g] == i * step;
  return even;
}

/// One vector x 16 evenly spaced pixels: 17 loads for 16 multiply-adds instead of 9 for 8.
[[maybe_unused]] LIMBECK_INLINE void wide_tile(const TileRun& r, const float* const* in,
                                               float* const* out) {
  V sum[kWidePixels][1];
  begin_tile<kWidePixels, 1>(r, out, r.out_offset, sum);
  const int64_t step = in[1] - in[0];
  int64_t step3 = 3 * step;
  opaque(step3);
  const float* w = r.weights;
  for (int64_t s = 0; s < r.segments; ++s) {
    const float* q[4];
    for (int g = 0; g < 4; ++g) q[g] = in[4 * g] + r.offsets[s];
    const float* const end = w + r.length * W;
    for (; w < end; w += W) {
      const V weight = load(w);
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
  end_tile<kWidePixels, 1>(r, out, r.out_offset, sum);
}

/// A tile with fewer pixels than its registers hold: computed in a full buffer, of which the valid
/// part is kept.
template <int NV>
void part_tile(const TileRun& r, const float* const* in, float* const* out, int64_t pixels) {
  alignas(64) float buffer[kPixels * NV * W];
  const float* full_in[kPixels];
  float* full_out[kPixels];
  for (int p = 0; p < kPixels; ++p) {
    full_in[p] = in[p < pixels ? p : pixels - 1];
    full_out[p] = buffer + p * NV * W;
    if (r.accumulate)
      for (int64_t j = 0; j < r.lanes; ++j)
        full_out[p][j] = p < pixels ? out[p][r.out_offset + j] : 0;
  }
  tile<kPixels, NV>(r, full_in, full_out, 0);
  for (int p = 0; p < pixels; ++p)
    for (int64_t j = 0; j < r.lanes; ++j) out[p][r.out_offset + j] = full_out[p][j];
}

/// Asks for the inputs of the tile after the next `count` pixels.
LIMBECK_INLINE void prefetch(const TileRun& r, int64_t p, int64_t count) {
  for (int64_t i = p; i < p + count && i < r.pixels; ++i)
    for (int64_t k = 0; k < r.length; k += 16) __builtin_prefetch(r.in[i] + r.offsets[0] + k);
}

template <int NV>
void tiles(const TileRun& r) {
  for (int64_t p = 0; p < r.pixels;) {
    if (r.prefetch && r.segments > 0) prefetch(r, p + kPixels, kPixels);
    if constexpr (NV == 1 && kRegisters == 32 && !kLanes)
      if (p + kWidePixels <= r.pixels && evenly_spaced(r.in + p)) {
        wide_tile(r, r.in + p, r.out + p);
        p += kWidePixels;
        continue;
      }
    const int64_t left = r.pixels - p;
    if (left >= kPixels)
      tile<kPixels, NV>(r, r.in + p, r.out + p, r.out_offset);
    else
      part_tile<NV>(r, r.in + p, r.out + p, left < kPixels ? left : kPixels);
    p += kPixels;
  }
}

void run_tile(const TileRun& r) { r.vectors == 2 ? tiles<2>(r) : tiles<1>(r); }

/// R rows of outer products kept in registers over all pixels.
template <int R, int NV>
void outer(const OuterRun& r, int64_t first) {
  V sum[R][NV];
  float* const target = r.sum + first * NV * W;
#pragma GCC unroll 24
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < NV; ++v) sum[i][v] = load(target + (i * NV + v) * W);
  for (int64_t y = 0; y < r.rows; ++y) {
    const float* a = r.a[y] + r.a_offset + first;
    const float* b = r.b[y];
    for (int64_t x = 0; x < r.columns; ++x, a += r.a_step, b += r.b_step) {
      opaque(a);
      V d[NV];
      for (int v = 0; v < NV; ++v) d[v] = load(b + v * W);
      constexpr int kWhole = kLanes ? R / int(W) * int(W) : 0;  // rows whose factors are lanes
#pragma GCC unroll 24
      for (int i = 0; i < kWhole; ++i) {
        const V values = load(a + i / int(W) * int(W));
        for (int v = 0; v < NV; ++v) sum[i][v] += splat(values[i % int(W)]) * d[v];
      }
#pragma GCC unroll 24
      for (int i = kWhole; i < R; ++i) {
        const V value = splat(a[i]);
        for (int v = 0; v < NV; ++v) sum[i][v] += value * d[v];
      }
    }
  }
#pragma GCC unroll 24
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < NV; ++v) store(target + (i * NV + v) * W, sum[i][v]);
}

template <int NV>
void outers(const OuterRun& r) {
  int64_t i = 0;
  const auto left = [&] { return r.count - i; };
  constexpr int kMost = NV == 1 ? 2 * kOuterRows : kOuterRows;
  for (; left() >= kMost; i += kMost) outer<kMost, NV>(r, i);
  if (left() >= 16 && kMost > 16) {
    outer<16, NV>(r, i);
    i += 16;
  }
  if (left() >= 9 && kMost > 9) {
    outer<9, NV>(r, i);
    i += 9;
  }
  if (left() >= 8 && kMost > 8) {
    outer<8, NV>(r, i);
    i += 8;
  }
  if (left() >= 4) {
    outer<4, NV>(r, i);
    i += 4;
  }
  if (left() >= 3) {
    outer<3, NV>(r, i);
    i += 3;
  }
  for (; left() > 0; ++i) outer<1, NV>(r, i);
}

void run_outer(const OuterRun& r) { r.vectors == 2 ? outers<2>(r) : outers<1>(r); }

float horizontal_sum(V v) {
  float part[W];
  store(part, v);
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}

/// P pixels x J output channels, one vector of partial sums each.
template <int P, int J>
LIMBECK_INLINE void narrow_tile(const NarrowRun& r, const float* const* in, float* const* out) {
  V sum[P][J] = {};
  for (int64_t s = 0; s < r.segments; ++s) {
    const float* const w = r.weights + s * J * r.length;
    int64_t i = 0;
    const auto add = [&](auto loader) {
      V x[P];
      for (int p = 0; p < P; ++p) x[p] = loader(in[p] + r.offsets[s] + i);
      for (int j = 0; j < J; ++j) {
        const V weight = loader(w + j * r.length + i);
        for (int p = 0; p < P; ++p) sum[p][j] += x[p] * weight;
      }
    };
    for (; i + W <= r.length; i += W) add([](const float* p) { return load(p); });
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

/// One vector of channels, of which `lanes` exist, with S taps (0: any number, weights from
/// memory).
template <int S, bool part>
void depthwise_channels(const DepthwiseRun& r, int64_t c) {
  const int64_t lanes = r.channels - c;
  const auto get = [&](const float* p) { return part ? load_some(p, lanes) : load(p); };
  const V first = r.bias ? get(r.bias + c) : V{};
  V weight[S ? S : 1];
  int64_t offset[S ? S : 1];
  for (int s = 0; s < S; ++s) {
    weight[s] = get(r.weights + s * r.channels + c);
    offset[s] = r.offsets[s] + c;
  }
  for (int64_t p = 0; p < r.pixels; ++p) {
    const float* const in = r.in[p];
    V sum = first;
    if constexpr (S > 0) {
      for (int s = 0; s < S; ++s) sum += get(in + offset[s]) * weight[s];
    } else {
      for (int64_t s = 0; s < r.segments; ++s)
        sum += get(in + r.offsets[s] + c) * get(r.weights + s * r.channels + c);
    }
    part ? store_some(r.out[p] + c, sum, lanes) : store(r.out[p] + c, sum);
  }
}

template <bool part>
void depthwise_taps(const DepthwiseRun& r, int64_t c) {
  r.segments == 9   ? depthwise_channels<9, part>(r, c)
  : r.segments == 4 ? depthwise_channels<4, part>(r, c)
                    : depthwise_channels<0, part>(r, c);
}

void depthwise_pixels(const DepthwiseRun& r) {
  int64_t c = 0;
  for (; c + W <= r.channels; c += W) depthwise_taps<false>(r, c);
  if (c < r.channels) depthwise_taps<true>(r, c);
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
  V sum[S];
  for (int s = 0; s < S; ++s) sum[s] = load_part(r.sum + (first + s) * r.channels + c, lanes);
  const int64_t* offsets = r.offsets + first;
  if (lanes >= W) {
    for (int64_t p = 0; p < r.pixels; ++p) {
      const V d = load(r.d[p] + c);
      for (int s = 0; s < S; ++s) sum[s] += load(r.in[p] + offsets[s] + c) * d;
    }
  } else {
    for (int64_t p = 0; p < r.pixels; ++p) {
      const V d = load_part(r.d[p] + c, lanes);
      for (int s = 0; s < S; ++s) sum[s] += load_part(r.in[p] + offsets[s] + c, lanes) * d;
    }
  }
  for (int s = 0; s < S; ++s) store_part(r.sum + (first + s) * r.channels + c, sum[s], lanes);
}

void run_depthwise_weight(const DepthwiseWeightRun& r) {
  for (int64_t c = 0; c < r.channels; c += W) {
    int64_t s = 0;
    for (; s + 9 <= r.segments; s += 9) depthwise_weight<9>(r, s, c, r.channels - c);
    for (; s + 5 <= r.segments; s += 5) depthwise_weight<5>(r, s, c, r.channels - c);
    for (; s < r.segments; ++s) depthwise_weight<1>(r, s, c, r.channels - c);
  }
}

void run_column_sums(const float* d, int64_t rows, int64_t channels, float* sum) {
  for (int64_t c = 0; c < channels; c += W) {
    const int64_t lanes = channels - c;
    V s = load_part(sum + c, lanes);
    for (int64_t i = 0; i < rows; ++i) s += load_part(d + i * channels + c, lanes);
    store_part(sum + c, s, lanes);
  }
}

}  // namespace

const ConvKernels& conv_kernels() {
  static constexpr ConvKernels table{
      W, run_tile, run_narrow, run_outer, run_depthwise, run_depthwise_weight, run_column_sums};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
