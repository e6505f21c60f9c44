// Random draws on the device; contracts in ops/random.cpp. Philox(key, first + k) is block k of
// place = {key, first}, read on the device: a captured graph draws new numbers when the place has
// been rewritten.
//   draw_normal       y[2k], y[2k+1] = mean + deviation * (Box-Muller pair of block k), in f64,
//                     rounded to f32
//   draw_integers     y[i] = low + integer below high - low from block i
//   draw_diffaugment  y[7n + j]: parameter j of image n from block 7n + j
// place i64 [2]; y [n] f32, i64, f32 [images, 7], overwritten. Threads: one per Philox block. No
// shared memory; deterministic; no atomics. Bytes: 4, 8, 4 an element. About 40 integer operations
// a block; a normal pair adds a logarithm, a root, a sine and a cosine in f64, so that its bits are
// the host's but for ties of the rounding to f32. A step draws some thousand numbers: one launch
// each, and no tuned form would show. Source: Salmon et al. 2011 (Philox); Box and Muller 1958;
// DiffAugment_pytorch.py.
#include "ops/random.h"

#include "ops_cuda/launch.h"
#include "ops_cuda/register.h"
#include "tensor/philox.h"

namespace limbeck::cuda {
namespace {

__device__ PhiloxBlock block_at(const int64_t* place, int64_t k) {
  return philox(static_cast<uint64_t>(place[0]),
                static_cast<uint64_t>(place[1]) + static_cast<uint64_t>(k));
}
__device__ int64_t integer_at(const int64_t* place, int64_t k, int64_t range) {
  return static_cast<int64_t>(integer_below(
      static_cast<uint64_t>(place[0]), static_cast<uint64_t>(place[1]) + static_cast<uint64_t>(k),
      static_cast<uint64_t>(range)));
}
__device__ double uniform_at(const int64_t* place, int64_t k) {
  const PhiloxBlock b = block_at(place, k);
  return uniform53(b[0], b[1]);
}

__global__ void draw_normal_naive(const int64_t* place, float* y, int64_t n, double mean,
                                  double deviation) {
  const int64_t pair = global_index();
  if (pair * 2 >= n) return;
  const NormalPair drawn = normal_pair(block_at(place, pair));
  y[pair * 2] = static_cast<float>(mean + deviation * drawn.first);
  if (pair * 2 + 1 < n) y[pair * 2 + 1] = static_cast<float>(mean + deviation * drawn.second);
}

__global__ void draw_integers_naive(const int64_t* place, int64_t* y, int64_t n, int64_t low,
                                    int64_t range) {
  const int64_t i = global_index();
  if (i < n) y[i] = low + integer_at(place, i, range);
}

__global__ void draw_diffaugment_naive(const int64_t* place, float* y, int64_t n,
                                       DiffAugmentRanges r) {
  const int64_t i = global_index();
  if (i >= n) return;
  switch (i % 7) {
    case 0: y[i] = r.color ? static_cast<float>(uniform_at(place, i) - 0.5) : 0.0f; break;
    case 1: y[i] = r.color ? static_cast<float>(2 * uniform_at(place, i)) : 1.0f; break;
    case 2: y[i] = r.color ? static_cast<float>(uniform_at(place, i) + 0.5) : 1.0f; break;
    case 3:
      y[i] = r.translation ? static_cast<float>(integer_at(place, i, 2 * r.shift_h + 1) - r.shift_h)
                           : 0.0f;
      break;
    case 4:
      y[i] = r.translation ? static_cast<float>(integer_at(place, i, 2 * r.shift_w + 1) - r.shift_w)
                           : 0.0f;
      break;
    case 5: y[i] = static_cast<float>(integer_at(place, i, r.corners_h)); break;
    default: y[i] = static_cast<float>(integer_at(place, i, r.corners_w));
  }
}

void normal(const ForwardCall& c) {
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  LAUNCH(draw_normal_naive, blocks_for(ceil_div(y.numel(), 2)), 256, 0, stream_of(y))
  (c.in[0].data<int64_t>(), y.data<float>(), y.numel(), c.attrs.number("mean", 0),
   c.attrs.number("deviation", 1));
}

void integers(const ForwardCall& c) {
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t low = c.attrs.integer("low", 0), high = c.attrs.integer("high", 2);
  LAUNCH(draw_integers_naive, blocks_for(y.numel()), 256, 0, stream_of(y))
  (c.in[0].data<int64_t>(), y.data<int64_t>(), y.numel(), low, high - low);
}

void diffaugment(const ForwardCall& c) {
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  LAUNCH(draw_diffaugment_naive, blocks_for(y.numel()), 256, 0, stream_of(y))
  (c.in[0].data<int64_t>(), y.data<float>(), y.numel(), diffaugment_ranges(c.attrs));
}

// Results of one type whatever the setting: registered for f32 only.
const RegisterKernel normal_kernel(
    {.op = "draw_normal", .device = DeviceKind::cuda, .name = "cuda-naive", .forward = normal});
const RegisterKernel integers_kernel(
    {.op = "draw_integers", .device = DeviceKind::cuda, .name = "cuda-naive", .forward = integers});
const RegisterKernel diffaugment_kernel({.op = "draw_diffaugment",
                                         .device = DeviceKind::cuda,
                                         .name = "cuda-naive",
                                         .forward = diffaugment});

}  // namespace
}  // namespace limbeck::cuda
