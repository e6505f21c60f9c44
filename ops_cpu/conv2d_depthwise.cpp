// Depthwise conv2d (groups = C = O): y[p, c] = b[c] + sum_taps x[p + tap, c] w[c, tap], vectorised
// over channels. Bound by memory traffic: 2 KH KW FLOPs per output element. Backward-data uses the
// same kernel on the phases of conv_geometry.h; the weight gradient keeps the sums of nine taps in
// registers over the pixels of a fixed chunk of images.
#include <algorithm>
#include <vector>

#include "ops_cpu/conv2d.h"
#include "ops_cpu/conv_geometry.h"
#include "ops_cpu/conv_kernels.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/scratch.h"

namespace limbeck {
namespace {

/// Pixels of one phase in one strip: where each reads (in) and where its output lies relative to
/// `out`.
template <class Out>
int64_t list_pixels(const Strip& strip, const PaddedInput& input, const Axis& y, const Axis& x,
                    const AxisPhase& py, const AxisPhase& px, Out* out, const float** ins,
                    Out** outs) {
  int64_t count = 0;
  for (int64_t n = strip.n0; n < strip.n1; ++n)
    for (int64_t t = strip.y0; t < std::min(strip.y1, py.count); ++t)
      for (int64_t u = 0; u < px.count; ++u) {
        ins[count] = input.at(n, t * y.in_step, u * x.in_step);
        outs[count++] = out + ((n * y.out_size + py.first + t * y.out_step) * x.out_size +
                               px.first + u * x.out_step) *
                                  input.channels;
      }
  return count;
}

std::vector<int64_t> list_offsets(const PaddedInput& input, const AxisPhase& py,
                                  const AxisPhase& px) {
  std::vector<int64_t> offsets;
  for (const Tap& ty : py.taps)
    for (const Tap& tx : px.taps) offsets.push_back(input.offset(ty.offset, tx.offset));
  return offsets;
}

/// All phases: out = window sums of in with w [C, KH, KW].
void run(const Conv2dSizes& s, const Axis& y, const Axis& x, const float* in, const float* w,
         const float* bias, float* out) {
  if (s.n == 0) return;
  const std::vector<Strip> strips = make_strips(s.n, y, x, s.c);
  float* const packed =
      scratch<float>(ScratchUse::weights, s.c * s.kh * s.kw);  // [phase][tap][channel]
  float* to = packed;
  for (const AxisPhase& py : y.phases)
    for (const AxisPhase& px : x.phases)
      for (const Tap& ty : py.taps)
        for (const Tap& tx : px.taps)
          for (int64_t c = 0; c < s.c; ++c) *to++ = w[(c * s.kh + ty.k) * s.kw + tx.k];
  parallel_tasks(static_cast<int64_t>(strips.size()), [&](int64_t i) {
    const Strip& strip = strips[i];
    const PaddedInput input = pad_input(in, strip, y, x, s.c);
    const int64_t room = (strip.n1 - strip.n0) * (strip.y1 - strip.y0) * x.steps;
    const float** const ins = scratch<const float*>(ScratchUse::pixels, room);
    float** const outs = scratch<float*>(ScratchUse::outputs, room);
    const float* weights = packed;
    for (const AxisPhase& py : y.phases)
      for (const AxisPhase& px : x.phases) {
        const int64_t count = list_pixels(strip, input, y, x, py, px, out, ins, outs);
        const std::vector<int64_t> offsets = list_offsets(input, py, px);
        const int64_t taps = static_cast<int64_t>(offsets.size());
        conv_kernels().depthwise({ins, outs, count, s.c, offsets.data(), taps, weights, bias});
        weights += taps * s.c;
      }
  });
}

}  // namespace

void depthwise_forward_cpu(const Conv2dSizes& s, const float* x, const float* w, const float* b,
                           float* y) {
  run(s, forward_axis(s.h, s.oh, s.kh, s.stride_h, s.pad_h, s.dilation_h),
      forward_axis(s.w, s.ow, s.kw, s.stride_w, s.pad_w, s.dilation_w), x, w, b, y);
}

void depthwise_backward_data_cpu(const Conv2dSizes& s, const float* dy, const float* w,
                                 const float* b, float* dx) {
  run(s, backward_axis(s.oh, s.h, s.kh, s.stride_h, s.pad_h, s.dilation_h),
      backward_axis(s.ow, s.w, s.kw, s.stride_w, s.pad_w, s.dilation_w), dy, w, b, dx);
}

void depthwise_backward_weight_cpu(const Conv2dSizes& s, const float* x, const float* dy,
                                   float* dw) {
  const Axis ay = forward_axis(s.h, s.oh, s.kh, s.stride_h, s.pad_h, s.dilation_h);
  const Axis ax = forward_axis(s.w, s.ow, s.kw, s.stride_w, s.pad_w, s.dilation_w);
  const int64_t taps = s.kh * s.kw, size = taps * s.c, chunks = std::min<int64_t>(16, s.n);
  float* const partial = scratch<float>(ScratchUse::partial, chunks * size);
  parallel_tasks(chunks, [&](int64_t chunk) {
    float* const sum = partial + chunk * size;
    std::fill(sum, sum + size, 0.f);
    // Of more pixels than a float sum may take, the sums of `longest` each.
    constexpr int64_t longest = 8192;
    const bool is_long = (s.n + chunks - 1) / chunks * s.oh * s.ow > 2 * longest;
    std::vector<float> part(is_long ? static_cast<size_t>(size) : 0);
    for (int64_t n = s.n * chunk / chunks; n < s.n * (chunk + 1) / chunks; ++n) {
      const Strip strip{n, n + 1, 0, s.oh};
      const PaddedInput input = pad_input(x, strip, ay, ax, s.c);
      auto** const ins = scratch<const float*>(ScratchUse::pixels, 2 * s.oh * s.ow);
      const int64_t count =
          list_pixels(strip, input, ay, ax, ay.phases[0], ax.phases[0], dy, ins, ins + s.oh * s.ow);
      const std::vector<int64_t> offsets = list_offsets(input, ay.phases[0], ax.phases[0]);
      for (int64_t p = 0; p < count; p += longest) {
        std::fill(part.begin(), part.end(), 0.f);
        conv_kernels().depthwise_weight({ins + p, ins + s.oh * s.ow + p,
                                         std::min(longest, count - p), s.c, offsets.data(), taps,
                                         is_long ? part.data() : sum});
        if (is_long) conv_kernels().column_sums(part.data(), 1, size, sum);
      }
    }
  });
  for (int64_t c = 1; c < chunks; ++c)
    conv_kernels().column_sums(partial + c * size, 1, size, partial);
  for (int64_t c = 0; c < s.c; ++c)
    for (int64_t tap = 0; tap < taps; ++tap) dw[c * taps + tap] = partial[tap * s.c + c];
}

}  // namespace limbeck
