// resize_bilinear and reflect_pad2d; contract in ops/resize_bilinear.cpp, positions in
// ops/resize.h.
//   resize_bilinear  y[h, w] = weighted sum of four pixels of x;  dx = the same weights the other
//                    way
//   reflect_pad2d    y = x mirrored at its border;  dx = sum of dy over all images of a pixel
// x, dx [N, H, W, C], y, dy [N, H', W', C]; all outputs are overwritten. One thread per element of
// the result, channels fastest: coalesced. The backward gathers: a pixel asks the outputs whose
// source is near (resize) or its at most nine images (reflect), in one fixed order: no atomics,
// deterministic. No shared memory. Sums in double (f64) or float. Bytes: each tensor once from
// memory, neighbours from the caches. 8 FLOPs an element (resize). Source: elementary.
#include "ops/resize.h"

#include "ops_cuda/index.h"
#include "ops_cuda/long_sum.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

/// Sizes of the small image and of the result.
struct Sizes {
  int64_t n, h, w, out_h, out_w, c;
  Sizes(const Shape& x, const Shape& y)
      : n(x[0]), h(x[1]), w(x[2]), out_h(y[1]), out_w(y[2]), c(x[3]) {}
  LIMBECK_HD int64_t in(int64_t image, int64_t row, int64_t column, int64_t channel) const {
    return ((image * h + row) * w + column) * c + channel;
  }
  LIMBECK_HD int64_t out(int64_t image, int64_t row, int64_t column, int64_t channel) const {
    return ((image * out_h + row) * out_w + column) * c + channel;
  }
};

template <class T>
__global__ void resize_kernel(const T* x, Sizes s, bool corners, T* y, int64_t elements) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const ImagePlace at(i, s.out_h, s.out_w, s.c);
  const ResizeSource v = resize_source(at.h, s.h, s.out_h, corners),
                     u = resize_source(at.w, s.w, s.out_w, corners);
  const T a = T(v.weight), b = T(u.weight);
  const T top = (1 - b) * x[s.in(at.n, v.first, u.first, at.c)] +
                b * x[s.in(at.n, v.first, u.second, at.c)],
          bottom = (1 - b) * x[s.in(at.n, v.second, u.first, at.c)] +
                   b * x[s.in(at.n, v.second, u.second, at.c)];
  y[i] = (1 - a) * top + a * bottom;
}

/// Outputs [first, last) that may have input i as a neighbour.
struct Readers {
  int64_t first, last;
  __device__ Readers(int64_t i, int64_t size, int64_t out, bool corners) {
    const double scale =
        corners && size > 1 ? double(out - 1) / double(size - 1) : double(out) / double(size);
    const double low = (double(i) - 1) * scale - 1, high = (double(i) + 1.5) * scale + 1;
    first = low < 0 ? 0 : int64_t(low);
    last = high > double(out) ? out : int64_t(high);
  }
};

/// How much output o takes from input i.
__device__ double share(int64_t o, int64_t i, int64_t size, int64_t out, bool corners) {
  const ResizeSource s = resize_source(o, size, out, corners);
  return (s.first == i ? 1 - s.weight : 0) + (s.second == i ? s.weight : 0);
}

template <class T>
__global__ void resize_gradient_kernel(const T* dy, Sizes s, bool corners, T* dx,
                                       int64_t elements) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const ImagePlace at(i, s.h, s.w, s.c);
  const Readers rows(at.h, s.h, s.out_h, corners), columns(at.w, s.w, s.out_w, corners);
  LongSum<T> sum;
  for (int64_t h = rows.first; h < rows.last; ++h) {
    const double a = share(h, at.h, s.h, s.out_h, corners);
    if (a == 0) continue;
    for (int64_t w = columns.first; w < columns.last; ++w) {
      const double b = share(w, at.w, s.w, s.out_w, corners);
      if (b != 0) sum.add(T(a * b) * dy[s.out(at.n, h, w, at.c)]);
    }
  }
  dx[i] = sum.value();
}

template <class T>
void resize(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  LAUNCH(resize_kernel<T>, blocks_for(y.numel()), 256, 0, stream_of(y))
  (x.data<T>(), Sizes(x.shape(), y.shape()), c.attrs.flag("align_corners"), y.data<T>(), y.numel());
}

template <class T>
void resize_gradient(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  LAUNCH(resize_gradient_kernel<T>, blocks_for(dx.numel()), 256, 0, stream_of(dx))
  (dy.data<T>(), Sizes(dx.shape(), dy.shape()), c.attrs.flag("align_corners"), dx.data<T>(),
   dx.numel());
}

template <class T>
__global__ void reflect_kernel(const T* x, Sizes s, int64_t top, int64_t left, T* y,
                               int64_t elements) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const ImagePlace at(i, s.out_h, s.out_w, s.c);
  y[i] = x[s.in(at.n, mirrored(at.h - top, s.h), mirrored(at.w - left, s.w), at.c)];
}

/// The outputs that show position i, at most three: itself, and its images beyond both ends.
struct Images {
  int64_t at[3];
  __device__ Images(int64_t i, int64_t size, int64_t before, int64_t out) {
    at[0] = i + before;
    at[1] = i > 0 && i <= before ? before - i : -1;
    const int64_t beyond = 2 * (size - 1) - i + before;
    at[2] = i < size - 1 && beyond < out ? beyond : -1;
  }
};

template <class T>
__global__ void reflect_gradient_kernel(const T* dy, Sizes s, int64_t top, int64_t left, T* dx,
                                        int64_t elements) {
  const int64_t i = global_index();
  if (i >= elements) return;
  const ImagePlace at(i, s.h, s.w, s.c);
  const Images rows(at.h, s.h, top, s.out_h), columns(at.w, s.w, left, s.out_w);
  T sum = 0;
  for (const int64_t h : rows.at)
    for (const int64_t w : columns.at)
      if (h >= 0 && w >= 0) sum += dy[s.out(at.n, h, w, at.c)];
  dx[i] = sum;
}

template <class T>
void reflect(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const auto p = c.attrs.integers("padding");
  LAUNCH(reflect_kernel<T>, blocks_for(y.numel()), 256, 0, stream_of(y))
  (x.data<T>(), Sizes(x.shape(), y.shape()), p[0], p[2], y.data<T>(), y.numel());
}

template <class T>
void reflect_gradient(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const auto p = c.attrs.integers("padding");
  LAUNCH(reflect_gradient_kernel<T>, blocks_for(dx.numel()), 256, 0, stream_of(dx))
  (dy.data<T>(), Sizes(dx.shape(), dy.shape()), p[0], p[2], dx.data<T>(), dx.numel());
}

const RegisterNaive resize_op("resize_bilinear", LIMBECK_TYPES(resize, resize_gradient));
const RegisterNaive reflect_op("reflect_pad2d", LIMBECK_TYPES(reflect, reflect_gradient));

}  // namespace
}  // namespace limbeck::cuda
