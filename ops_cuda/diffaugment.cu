// diffaugment: brightness, saturation, contrast, translation, cutout of each image; contract in
// ops/diffaugment.cpp.
//   a = x + b;  a = s (a - m) + m, m = mean over C of the pixel;  a = k (a - M) + M, M = mean over
//               H, W, C of the image
//   y[h, w] = a[h + th, w + tw], 0 outside;  y = 0 in the cut rectangle.    Backward: the
//                                            transposed steps in reverse,
//   g[h, w] = dy[h - th, w - tw] where that is inside and not cut;  g = k g + (1 - k) sum(g) / (H
//   W C);  dx = s g + (1 - s) mean over C of g
// x, y, dy, dx [N, H, W, C], parameters [N, 7] = b, s, k, th, tw, and the corner oh, ow of the cut;
// y and dx are overwritten. Saturation keeps the sum of a pixel, so M = mean(x) + b needs no other
// step. Naive: a thread per image sums, then a thread per pixel computes. Tuned (f32; x, y, dy, dx
// in bf16 with arithmetic and parameters in f32): one block per image does both; the second reading
// of the image comes from the caches. No shared memory but for the block's sum; sums in one fixed
// order: deterministic. Bytes an element: 2 sizeof(T) from memory and sizeof(T) from the caches; 5
// FLOPs. Source: Zhao et al. 2020, DiffAugment_pytorch.py.
#include <cmath>

#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

constexpr int64_t parameters_per_image = 7;

struct Size {
  int64_t images, h, w, channels, cut_h, cut_w;
  Size(const Shape& x, const Attrs& attrs)
      : images(x[0]),
        h(x[1]),
        w(x[2]),
        channels(x[3]),
        cut_h(attrs.pair("cutout", 0).first),
        cut_w(attrs.pair("cutout", 0).second) {}
  LIMBECK_HD int64_t pixels() const { return h * w; }
  LIMBECK_HD int64_t image() const { return h * w * channels; }
};

template <class T>
struct Augmented {
  T brightness, saturation, contrast;
  int64_t shift_h, shift_w, cut_top, cut_left;
  __device__ Augmented(const T* p, const Size& s)
      : brightness(p[0]),
        saturation(p[1]),
        contrast(p[2]),
        shift_h(std::llround(p[3])),
        shift_w(std::llround(p[4])),
        cut_top(std::llround(p[5]) - s.cut_h / 2),
        cut_left(std::llround(p[6]) - s.cut_w / 2) {}

  /// Output pixel (h, w) shows an input pixel.
  __device__ bool shows(const Size& s, int64_t h, int64_t w) const {
    const int64_t from_h = h + shift_h, from_w = w + shift_w;
    const bool cut =
        h >= cut_top && h < cut_top + s.cut_h && w >= cut_left && w < cut_left + s.cut_w;
    return !cut && from_h >= 0 && from_h < s.h && from_w >= 0 && from_w < s.w;
  }
  /// Element (h, w, channel) of `dy` moved back to its input pixel, or 0.
  template <class S>
  __device__ T moved_back(const S* dy, const Size& s, int64_t h, int64_t w, int64_t channel) const {
    const int64_t to_h = h - shift_h, to_w = w - shift_w;
    if (to_h < 0 || to_h >= s.h || to_w < 0 || to_w >= s.w || !shows(s, to_h, to_w)) return T(0);
    return T(dy[(to_h * s.w + to_w) * s.channels + channel]);
  }

  // `x`, `y`, .. point to the image, of T or stored as S. `mean`: of x over the image.
  template <class S>
  __device__ void forward_pixel(const S* x, S* y, const Size& s, int64_t pixel, T mean) const {
    const int64_t h = pixel / s.w, w = pixel % s.w;
    y += pixel * s.channels;
    if (!shows(s, h, w)) {
      for (int64_t c = 0; c < s.channels; ++c) y[c] = S(0);
      return;
    }
    x += ((h + shift_h) * s.w + w + shift_w) * s.channels;
    T grey = 0;
    for (int64_t c = 0; c < s.channels; ++c) grey += (T(x[c]) + brightness) / T(s.channels);
    const T all = mean + brightness;
    for (int64_t c = 0; c < s.channels; ++c)
      y[c] = S(contrast * (saturation * (T(x[c]) + brightness - grey) + grey - all) + all);
  }
  // `total`: sum of the moved-back dy over the image.
  template <class S>
  __device__ void backward_pixel(const S* dy, S* dx, const Size& s, int64_t pixel, T total) const {
    const int64_t h = pixel / s.w, w = pixel % s.w;
    const T through_mean = (1 - contrast) * total / T(s.image());
    T grey = 0;
    for (int64_t c = 0; c < s.channels; ++c)
      grey += (contrast * moved_back(dy, s, h, w, c) + through_mean) / T(s.channels);
    for (int64_t c = 0; c < s.channels; ++c)
      dx[pixel * s.channels + c] =
          S(saturation * (contrast * moved_back(dy, s, h, w, c) + through_mean) +
            (1 - saturation) * grey);
  }
};

// --- naive ---------------------------------------------------------------------------------------
template <class T>
__global__ void image_means(const T* x, Size s, T* means) {
  const int64_t n = global_index();
  if (n >= s.images) return;
  double sum = 0;
  for (int64_t i = 0; i < s.image(); ++i) sum += x[n * s.image() + i];
  means[n] = T(sum / double(s.image()));
}

template <class T>
__global__ void visible_sums(const T* dy, const T* parameters, Size s, T* sums) {
  const int64_t n = global_index();
  if (n >= s.images) return;
  const Augmented<T> a(parameters + n * parameters_per_image, s);
  double sum = 0;
  for (int64_t i = 0; i < s.image(); ++i)
    if (a.shows(s, i / s.channels / s.w, i / s.channels % s.w)) sum += dy[n * s.image() + i];
  sums[n] = T(sum);
}

template <class T>
__global__ void forward_pixels(const T* x, const T* parameters, const T* means, Size s, T* y) {
  const int64_t i = global_index();
  if (i >= s.images * s.pixels()) return;
  const int64_t n = i / s.pixels();
  Augmented<T>(parameters + n * parameters_per_image, s)
      .forward_pixel(x + n * s.image(), y + n * s.image(), s, i % s.pixels(), means[n]);
}

template <class T>
__global__ void backward_pixels(const T* dy, const T* parameters, const T* sums, Size s, T* dx) {
  const int64_t i = global_index();
  if (i >= s.images * s.pixels()) return;
  const int64_t n = i / s.pixels();
  Augmented<T>(parameters + n * parameters_per_image, s)
      .backward_pixel(dy + n * s.image(), dx + n * s.image(), s, i % s.pixels(), sums[n]);
}

template <class T>
void forward(const ForwardCall& c) {
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  const Size s(x.shape(), c.attrs);
  const Tensor means = workspace<T>(x, {s.images});
  LAUNCH(image_means<T>, blocks_for(s.images, 64), 64, 0, stream_of(x))
  (x.data<T>(), s, means.data<T>());
  LAUNCH(forward_pixels<T>, blocks_for(s.images * s.pixels()), 256, 0, stream_of(x))
  (x.data<T>(), c.in[1].data<T>(), means.data<T>(), s, c.out[0].data<T>());
}

template <class T>
void backward(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const Size s(dx.shape(), c.attrs);
  const Tensor sums = workspace<T>(dy, {s.images});
  LAUNCH(visible_sums<T>, blocks_for(s.images, 64), 64, 0, stream_of(dy))
  (dy.data<T>(), c.in[1].data<T>(), s, sums.data<T>());
  LAUNCH(backward_pixels<T>, blocks_for(s.images * s.pixels()), 256, 0, stream_of(dy))
  (dy.data<T>(), c.in[1].data<T>(), sums.data<T>(), s, dx.data<T>());
}

// --- tuned: one block per image, both steps in one launch ----------------------------------------
template <class S>
__global__ void __launch_bounds__(512)
    forward_image(const S* x, const float* parameters, Size s, S* y) {
  const int64_t n = blockIdx.x;
  x += n * s.image();
  float sum = 0;
  for (int64_t i = threadIdx.x; i < s.image(); i += blockDim.x) sum += static_cast<float>(x[i]);
  const float mean = block_sum(sum) / static_cast<float>(s.image());
  const Augmented<float> a(parameters + n * parameters_per_image, s);
  for (int64_t pixel = threadIdx.x; pixel < s.pixels(); pixel += blockDim.x)
    a.forward_pixel(x, y + n * s.image(), s, pixel, mean);
}

template <class S>
__global__ void __launch_bounds__(512)
    backward_image(const S* dy, const float* parameters, Size s, S* dx) {
  const int64_t n = blockIdx.x;
  dy += n * s.image();
  const Augmented<float> a(parameters + n * parameters_per_image, s);
  float sum = 0;
  for (int64_t pixel = threadIdx.x; pixel < s.pixels(); pixel += blockDim.x)
    if (a.shows(s, pixel / s.w, pixel % s.w))
      for (int64_t c = 0; c < s.channels; ++c)
        sum += static_cast<float>(dy[pixel * s.channels + c]);
  const float total = block_sum(sum);
  for (int64_t pixel = threadIdx.x; pixel < s.pixels(); pixel += blockDim.x)
    a.backward_pixel(dy, dx + n * s.image(), s, pixel, total);
}

// A multiple of 32, no more than the pixels need.
unsigned threads_for(const Size& s) {
  return static_cast<unsigned>(std::min<int64_t>(512, ceil_div(s.pixels(), 32) * 32));
}

template <class S>
void forward_tuned(const ForwardCall& c) {
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  const Size s(x.shape(), c.attrs);
  LAUNCH(forward_image<S>, blocks_for(s.images, 1), threads_for(s), 0, stream_of(x))
  (x.data<S>(), c.in[1].data<float>(), s, c.out[0].data<S>());
}

template <class S>
void backward_tuned(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const Size s(dx.shape(), c.attrs);
  LAUNCH(backward_image<S>, blocks_for(s.images, 1), threads_for(s), 0, stream_of(dy))
  (dy.data<S>(), c.in[1].data<float>(), s, dx.data<S>());
}

const RegisterNaive diffaugment("diffaugment", LIMBECK_TYPES(forward, backward));
const RegisterTuned diffaugment_tuned("diffaugment", forward_tuned<float>, backward_tuned<float>);
const RegisterTuned diffaugment_bf16("diffaugment", forward_tuned<bfloat16>,
                                     backward_tuned<bfloat16>, nullptr, DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
