// Forward and backward-data of conv2d as window sums (conv_geometry.h):
//   out[p, j] = bias[j] + sum_{taps, k} in[p + tap, k] w[tap, k, j].
// Weights are packed once per call to [group][block of output channels][phase][block of
// k][tap][k][channel], so that the micro-kernel reads them in order and the part in use stays in
// the first-level cache; strips of the input are zero-padded into a buffer of the second-level
// cache, which leaves no border cases. Traffic: input and output once, weights once per strip; 2 N
// OH OW O KH KW C/G FLOPs. Sources: Zhang, Franchetti, Low, "High performance zero-memory overhead
// direct convolutions", ICML 2018 (blocking).
#include <algorithm>
#include <cstring>

#include "ops_cpu/conv2d.h"
#include "ops_cpu/conv_geometry.h"
#include "ops_cpu/conv_kernels.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/scratch.h"

namespace limbeck {
namespace {

/// Where the weight of (tap, k, j) of a group lies: w + group * group_stride + tap * tap_stride + k
/// * k_stride + j * j_stride.
struct WeightLayout {
  const float* w;
  int64_t group_stride, tap_stride, k_stride, j_stride;
};

struct WindowSum {
  int64_t images, groups, k, j;  // k: summed channels per group, j: output channels per group
  Axis y, x;
  int64_t window_width;  // kw: tap index = ky * kw + kx
  WeightLayout weights;
  const float *in, *bias;
  float* out;

  int64_t taps = 0;     // of all phases
  int64_t k_block = 0;  // channels whose weights are in use at a time
  int64_t width = 0;    // floats per vector
  int64_t blocks = 0;   // of output channels, per group
  int64_t padded_j() const { return (j + width - 1) / width * width; }
  int64_t block_size(int64_t block) const {
    return std::min(2 * width, padded_j() - block * 2 * width);
  }
  int64_t packed_block(int64_t group, int64_t block) const {
    return taps * k * (group * padded_j() + block * 2 * width);
  }
};

void choose_blocks(WindowSum& s) {
  s.width = conv_kernels().width;
  s.blocks = (s.padded_j() + 2 * s.width - 1) / (2 * s.width);
  int64_t most = 1;
  for (const AxisPhase& py : s.y.phases)
    for (const AxisPhase& px : s.x.phases) {
      const int64_t taps = static_cast<int64_t>(py.taps.size() * px.taps.size());
      s.taps += taps;
      most = std::max(most, taps);
    }
  constexpr int64_t kWeightBytes = 24 << 10;
  const int64_t fitting = std::max<int64_t>(16, kWeightBytes / (most * s.block_size(0) * 4));
  const int64_t parts = (s.k + fitting - 1) / fitting;
  s.k_block = std::max<int64_t>(1, (s.k + parts - 1) / std::max<int64_t>(1, parts));
}

/// to[k][lanes] = weights of one tap; lanes beyond the group's channels are zero.
void pack_tap(const float* from, const WeightLayout& layout, int64_t count, int64_t lanes,
              int64_t padded, float* to) {
  if (layout.j_stride == 1) {
    for (int64_t k = 0; k < count; ++k) {
      std::memcpy(to + k * padded, from + k * layout.k_stride, sizeof(float) * lanes);
      std::fill(to + k * padded + lanes, to + (k + 1) * padded, 0.f);
    }
    return;
  }
  constexpr int64_t kPart = 16;  // one cache line of each source row at a time
  for (int64_t k0 = 0; k0 < count; k0 += kPart) {
    const int64_t k1 = std::min(count, k0 + kPart);
    for (int64_t j = 0; j < padded; ++j)
      for (int64_t k = k0; k < k1; ++k)
        to[k * padded + j] = j < lanes ? from[j * layout.j_stride + k * layout.k_stride] : 0.f;
  }
}

/// Packs one block of output channels: [phase][block of k][tap][k][channel].
void pack_block(const WindowSum& s, int64_t group, int64_t block, float* to) {
  const int64_t first = block * 2 * s.width, padded = s.block_size(block),
                lanes = std::min(padded, s.j - first);
  const float* const w = s.weights.w + group * s.weights.group_stride + first * s.weights.j_stride;
  for (const AxisPhase& py : s.y.phases)
    for (const AxisPhase& px : s.x.phases)
      for (int64_t k0 = 0; k0 < s.k; k0 += s.k_block) {
        const int64_t count = std::min(s.k_block, s.k - k0);
        for (const Tap& ty : py.taps)
          for (const Tap& tx : px.taps) {
            const int64_t tap = ty.k * s.window_width + tx.k;
            pack_tap(w + tap * s.weights.tap_stride + k0 * s.weights.k_stride, s.weights, count,
                     lanes, padded, to);
            to += count * padded;
          }
      }
}

/// Start of the window and of the output of every pixel of one phase in one strip.
struct Pixels {
  const float** in;
  float** out;
  int64_t count = 0;
};

Pixels list_pixels(const WindowSum& s, const Strip& strip, const PaddedInput& input,
                   const AxisPhase& py, const AxisPhase& px) {
  const int64_t room = (strip.n1 - strip.n0) * (strip.y1 - strip.y0) * s.x.steps;
  Pixels p{scratch<const float*>(ScratchUse::pixels, room),
           scratch<float*>(ScratchUse::outputs, room)};
  const int64_t channels = s.groups * s.j;
  for (int64_t n = strip.n0; n < strip.n1; ++n)
    for (int64_t t = strip.y0; t < std::min(strip.y1, py.count); ++t) {
      const float* const in = input.at(n, t * s.y.in_step, 0);
      float* const out =
          s.out +
          ((n * s.y.out_size + py.first + t * s.y.out_step) * s.x.out_size + px.first) * channels;
      for (int64_t u = 0; u < px.count; ++u) {
        p.in[p.count] = in + u * s.x.in_step * input.channels;
        p.out[p.count++] = out + u * s.x.out_step * channels;
      }
    }
  return p;
}

/// Offsets of the taps from a pixel's start. Neighbouring taps of a row, when they read adjacent
/// memory, become one longer segment.
struct Segments {
  std::vector<int64_t> offsets;
  int64_t length_factor = 1;
};

Segments list_segments(const WindowSum& s, const PaddedInput& input, const AxisPhase& py,
                       const AxisPhase& px) {
  const int64_t nx = static_cast<int64_t>(px.taps.size());
  const bool adjacent = s.groups == 1 && s.k_block == s.k && nx > 1 &&
                        px.taps[nx - 1].offset - px.taps[0].offset == nx - 1;
  Segments result;
  result.length_factor = adjacent ? nx : 1;
  for (const Tap& ty : py.taps)
    for (int64_t i = 0; i < nx; i += result.length_factor)
      result.offsets.push_back(input.offset(ty.offset, px.taps[i].offset));
  return result;
}

/// One strip: blocks [block0, block1) counted over all groups.
void run_strip(const WindowSum& s, const Strip& strip, const float* packed, const float* bias,
               int64_t block0, int64_t block1) {
  const PaddedInput input = pad_input(s.in, strip, s.y, s.x, s.groups * s.k);
  const bool in_place = s.y.inside() && s.x.inside();  // not just copied into the cache
  int64_t taps_before = 0;
  std::vector<int64_t> offsets;
  for (const AxisPhase& py : s.y.phases)
    for (const AxisPhase& px : s.x.phases) {
      const Pixels pixels = list_pixels(s, strip, input, py, px);
      const Segments segments = list_segments(s, input, py, px);
      const int64_t taps = static_cast<int64_t>(py.taps.size() * px.taps.size());
      for (int64_t b = block0; b < block1; ++b) {
        const int64_t group = b / s.blocks, block = b % s.blocks, padded = s.block_size(block),
                      first = block * 2 * s.width;
        const float* weights = packed + s.packed_block(group, block) + taps_before * s.k * padded;
        for (int64_t k0 = 0; k0 < s.k; k0 += s.k_block) {
          const int64_t count = std::min(s.k_block, s.k - k0);
          offsets = segments.offsets;
          for (int64_t& offset : offsets) offset += group * s.k + k0;
          conv_kernels().tile({.in = pixels.in,
                               .out = pixels.out,
                               .pixels = pixels.count,
                               .out_offset = group * s.j + first,
                               .offsets = offsets.data(),
                               .segments = static_cast<int64_t>(offsets.size()),
                               .length = count * segments.length_factor,
                               .weights = weights,
                               .vectors = static_cast<int>(padded / s.width),
                               .lanes = std::min(padded, s.j - first),
                               .bias = bias ? bias + group * s.padded_j() + first : nullptr,
                               .accumulate = k0 > 0,
                               .prefetch = in_place && block == 0});
          weights += taps * count * padded;
        }
      }
      taps_before += taps;
    }
}

/// Few output channels: vectors along k (the narrow micro-kernel). Worth it when k fills vectors
/// better than j would.
bool is_narrow(const WindowSum& s) { return s.groups == 1 && s.j <= 4 && s.k >= 2 * s.j; }

/// Packs all weights to [phase][tap][j][k].
void pack_narrow(const WindowSum& s, float* to) {
  for (const AxisPhase& py : s.y.phases)
    for (const AxisPhase& px : s.x.phases)
      for (const Tap& ty : py.taps)
        for (const Tap& tx : px.taps)
          for (int64_t j = 0; j < s.j; ++j)
            for (int64_t k = 0; k < s.k; ++k)
              *to++ = s.weights.w[(ty.k * s.window_width + tx.k) * s.weights.tap_stride +
                                  j * s.weights.j_stride + k * s.weights.k_stride];
}

void run_narrow_strip(const WindowSum& s, const Strip& strip, const float* packed) {
  const PaddedInput input = pad_input(s.in, strip, s.y, s.x, s.k);
  for (const AxisPhase& py : s.y.phases)
    for (const AxisPhase& px : s.x.phases) {
      const Pixels pixels = list_pixels(s, strip, input, py, px);
      std::vector<int64_t> offsets;
      for (const Tap& ty : py.taps)
        for (const Tap& tx : px.taps) offsets.push_back(input.offset(ty.offset, tx.offset));
      const int64_t taps = static_cast<int64_t>(offsets.size());
      conv_kernels().narrow(
          {pixels.in, pixels.out, pixels.count, offsets.data(), taps, s.k, packed, s.j, s.bias});
      packed += taps * s.j * s.k;
    }
}

void run_narrow(const WindowSum& s) {
  const std::vector<Strip> strips = make_strips(s.images, s.y, s.x, s.k);
  float* const packed = scratch<float>(ScratchUse::weights, s.taps * s.k * s.j);
  pack_narrow(s, packed);
  parallel_tasks(static_cast<int64_t>(strips.size()),
                 [&](int64_t i) { run_narrow_strip(s, strips[i], packed); });
}

/// The bias with each group padded to whole vectors.
const float* pad_bias(const WindowSum& s) {
  if (!s.bias) return nullptr;
  float* const padded = scratch<float>(ScratchUse::bias, s.groups * s.padded_j());
  for (int64_t g = 0; g < s.groups; ++g)
    for (int64_t j = 0; j < s.padded_j(); ++j)
      padded[g * s.padded_j() + j] = j < s.j ? s.bias[g * s.j + j] : 0.f;
  return padded;
}

void run(WindowSum& s) {
  if (s.images == 0) return;
  choose_blocks(s);
  if (is_narrow(s)) return run_narrow(s);
  const std::vector<Strip> strips = make_strips(s.images, s.y, s.x, s.groups * s.k);
  const int64_t count = static_cast<int64_t>(strips.size()), blocks = s.groups * s.blocks;
  // Few strips (a single image): divide the output channels as well. This cannot change a result.
  const int64_t parts = std::min(blocks, (31 + count) / count);
  float* const packed = scratch<float>(ScratchUse::weights, s.groups * s.taps * s.k * s.padded_j());
  const float* const bias = pad_bias(s);
  Tasks tasks(count * parts);
  parallel_region([&] {
#pragma omp for schedule(static)
    for (int64_t b = 0; b < blocks; ++b)
      pack_block(s, b / s.blocks, b % s.blocks,
                 packed + s.packed_block(b / s.blocks, b % s.blocks));
    tasks.run([&](int64_t i) {
      run_strip(s, strips[i / parts], packed, bias, blocks * (i % parts) / parts,
                blocks * (i % parts + 1) / parts);
    });
  });
}

}  // namespace

void conv2d_forward_cpu(const Conv2dSizes& s, const float* x, const float* w, const float* b,
                        float* y) {
  if (is_depthwise(s)) return depthwise_forward_cpu(s, x, w, b, y);
  const int64_t taps = s.kh * s.kw, cg = s.c_per_group(), og = s.o_per_group();
  WindowSum sum{s.n,
                s.groups,
                cg,
                og,
                forward_axis(s.h, s.oh, s.kh, s.stride_h, s.pad_h, s.dilation_h),
                forward_axis(s.w, s.ow, s.kw, s.stride_w, s.pad_w, s.dilation_w),
                s.kw,
                {w, og * taps * cg, cg, 1, taps * cg},
                x,
                b,
                y};
  run(sum);
}

void conv2d_backward_data_cpu(const Conv2dSizes& s, const float* dy, const float* w, const float* b,
                              float* dx) {
  if (is_depthwise(s)) return depthwise_backward_data_cpu(s, dy, w, b, dx);
  const int64_t taps = s.kh * s.kw, cg = s.c_per_group(), og = s.o_per_group();
  WindowSum sum{s.n,
                s.groups,
                og,
                cg,
                backward_axis(s.oh, s.h, s.kh, s.stride_h, s.pad_h, s.dilation_h),
                backward_axis(s.ow, s.w, s.kw, s.stride_w, s.pad_w, s.dilation_w),
                s.kw,
                {w, og * taps * cg, cg, taps * cg, 1},
                dy,
                b,
                dx};
  run(sum);
}

}  // namespace limbeck
