// Convolution, the form to read first; conv_transpose2d is the backward-data of a convolution, so
// it shares the kernels.
//   y[n,oy,ox,o]  = b[o] + sum_{ky,kx,i} x[n, oy s - p + ky d, ox s - p + kx d, g C/G + i]
//                 w[o,ky,kx,i],   g = o / (O/G)
//   dx[n,ih,iw,c] = sum over (oy, ky) with oy s - p + ky d = ih, (ox, kx) alike, and o of the
//   group of c:  dy[n,oy,ox,o] w[o,ky,kx,c % (C/G)]
//   dw[o,ky,kx,i] = sum_{n,oy,ox} dy[n,oy,ox,o] x[n, oy s - p + ky d, ox s - p + kx d, g C/G + i];
//     db[o] = sum_{n,oy,ox} dy[n,oy,ox,o]
// x, dx [N,H,W,C], w, dw [O,kh,kw,C/G], b, db [O], y, dy [N,OH,OW,O]; every result is overwritten.
// Padding counts as zero. Images are of type S, everything else of type T: both f32, both f64, or
// bf16 and f32 (conv2d_tuned.cu uses these where its tiles do not fit). One thread per element of
// the result; no shared memory; deterministic: each thread adds in a fixed order. FLOPs: 2 N OH OW
// O kh kw C/G for each of the three. Bytes: each thread reads both its operands from memory for
// every product, 8 bytes for 2 FLOPs, and only caches help; conv2d_tuned.cu reads them once per
// tile. Source: LeCun et al. 1989; transposed: Zeiler et al. 2010.
#include "ops_cuda/conv2d_naive.h"

#include "ops/convolution_calls.h"
#include "ops_cuda/column_sums.h"
#include "ops_cuda/long_sum.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

template <class S, class T>
__global__ void forward_kernel(Conv2dSizes s, const S* x, const T* w, const T* b, S* y) {
  const int64_t i = global_index();
  if (i >= s.n * s.oh * s.ow * s.o) return;
  const int64_t o = i % s.o, ox = i / s.o % s.ow, oy = i / (s.o * s.ow) % s.oh,
                n = i / (s.o * s.ow * s.oh);
  const int64_t cg = s.c / s.groups, group = o / (s.o / s.groups);
  T sum = b ? b[o] : T(0);
  for (int64_t ky = 0; ky < s.kh; ++ky)
    for (int64_t kx = 0; kx < s.kw; ++kx) {
      const int64_t ih = oy * s.stride_h - s.pad_h + ky * s.dilation_h,
                    iw = ox * s.stride_w - s.pad_w + kx * s.dilation_w;
      if (ih < 0 || ih >= s.h || iw < 0 || iw >= s.w) continue;
      const S* pixel = x + ((n * s.h + ih) * s.w + iw) * s.c + group * cg;
      const T* weight = w + ((o * s.kh + ky) * s.kw + kx) * cg;
      for (int64_t c = 0; c < cg; ++c) sum += T(pixel[c]) * weight[c];
    }
  y[i] = S(sum);
}

/// The output position that reads input position `in` through tap `k`, or -1.
__device__ int64_t reader(int64_t in, int64_t k, int64_t stride, int64_t pad, int64_t dilation,
                          int64_t out_size) {
  const int64_t distance = in + pad - k * dilation;
  return distance >= 0 && distance % stride == 0 && distance / stride < out_size ? distance / stride
                                                                                 : -1;
}

// `b` is the bias [C] of a transposed convolution; null for a gradient.
template <class S, class T>
__global__ void backward_data_kernel(Conv2dSizes s, const S* dy, const T* w, const T* b, S* dx) {
  const int64_t i = global_index();
  if (i >= s.n * s.h * s.w * s.c) return;
  const int64_t c = i % s.c, iw = i / s.c % s.w, ih = i / (s.c * s.w) % s.h,
                n = i / (s.c * s.w * s.h);
  const int64_t cg = s.c / s.groups, og = s.o / s.groups, group = c / cg;
  T sum = b ? b[c] : T(0);
  for (int64_t ky = 0; ky < s.kh; ++ky)
    for (int64_t kx = 0; kx < s.kw; ++kx) {
      const int64_t oy = reader(ih, ky, s.stride_h, s.pad_h, s.dilation_h, s.oh),
                    ox = reader(iw, kx, s.stride_w, s.pad_w, s.dilation_w, s.ow);
      if (oy < 0 || ox < 0) continue;
      const S* gradient = dy + ((n * s.oh + oy) * s.ow + ox) * s.o;
      for (int64_t o = group * og; o < (group + 1) * og; ++o)
        sum += T(gradient[o]) * w[((o * s.kh + ky) * s.kw + kx) * cg + c % cg];
    }
  dx[i] = S(sum);
}

template <class S, class T>
__global__ void backward_weight_kernel(Conv2dSizes s, const S* x, const S* dy, T* dw) {
  const int64_t i = global_index(), cg = s.c / s.groups;
  if (i >= s.o * s.kh * s.kw * cg) return;
  const int64_t c = i % cg, kx = i / cg % s.kw, ky = i / (cg * s.kw) % s.kh,
                o = i / (cg * s.kw * s.kh), group = o / (s.o / s.groups);
  LongSum<T> sum;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t oy = 0; oy < s.oh; ++oy) {
      const int64_t ih = oy * s.stride_h - s.pad_h + ky * s.dilation_h;
      if (ih < 0 || ih >= s.h) continue;
      for (int64_t ox = 0; ox < s.ow; ++ox) {
        const int64_t iw = ox * s.stride_w - s.pad_w + kx * s.dilation_w;
        if (iw >= 0 && iw < s.w)
          sum.add(T(x[((n * s.h + ih) * s.w + iw) * s.c + group * cg + c]) *
                  T(dy[((n * s.oh + oy) * s.ow + ox) * s.o + o]));
      }
    }
  dw[i] = sum.value();
}

}  // namespace

template <class S, class T>
void naive_convolution(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
                       const Tensor& y) {
  if (y.numel() == 0) return;
  LAUNCH((forward_kernel<S, T>), blocks_for(y.numel()), 256, 0, stream_of(y))
  (s, x.data<S>(), w.data<T>(), b ? b.data<T>() : nullptr, y.data<S>());
}
template <class S, class T>
void naive_backward_data(const Conv2dSizes& s, const Tensor& dy, const Tensor& w, const Tensor& b,
                         const Tensor& dx) {
  if (dx.numel() == 0) return;
  LAUNCH((backward_data_kernel<S, T>), blocks_for(dx.numel()), 256, 0, stream_of(dx))
  (s, dy.data<S>(), w.data<T>(), b ? b.data<T>() : nullptr, dx.data<S>());
}
template <class S, class T>
void naive_backward_weight(const Conv2dSizes& s, const Tensor& x, const Tensor& dy,
                           const Tensor& dw) {
  if (dw.numel() == 0) return;
  LAUNCH((backward_weight_kernel<S, T>), blocks_for(dw.numel()), 256, 0, stream_of(dw))
  (s, x.data<S>(), dy.data<S>(), dw.data<T>());
}
template void naive_convolution<bfloat16, float>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                                 const Tensor&, const Tensor&);
template void naive_backward_data<bfloat16, float>(const Conv2dSizes&, const Tensor&, const Tensor&,
                                                   const Tensor&, const Tensor&);
template void naive_backward_weight<bfloat16, float>(const Conv2dSizes&, const Tensor&,
                                                     const Tensor&, const Tensor&);

namespace {

template <class T>
using Calls = ConvolutionCalls<naive_convolution<T, T>, naive_backward_data<T, T>,
                               naive_backward_weight<T, T>, sum_columns_naive<T>>;

template <class T>
constexpr Functions conv2d_functions{Calls<T>::forward, Calls<T>::backward};
template <class T>
constexpr Functions transpose_functions{Calls<T>::transpose_forward, Calls<T>::transpose_backward};

const RegisterNaive conv2d("conv2d", conv2d_functions<float>, conv2d_functions<double>);
const RegisterNaive conv_transpose2d("conv_transpose2d", transpose_functions<float>,
                                     transpose_functions<double>);

}  // namespace
}  // namespace limbeck::cuda
