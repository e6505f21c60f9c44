// concat, slice and pad2d: copies of whole blocks; contract in ops/concat.cpp.
//   concat:  y = x_0, x_1, .. along `axis`, offsets[i] = where x_i begins;   dx_i = the part of dy that x_i became
//   slice:   y = x[.., begin:end, ..];                                        dx = dy there, 0 elsewhere
//   pad2d:   y = x inside, `value` in the border;                             dx = the inner part of dy
// Any element type, moved as words of its size (pad2d: floating). Outputs are overwritten. One thread per element moved; no shared memory;
// deterministic. Tensors are seen as [outer, axis, inner]. Bytes: 2 an element and byte; no FLOPs. Source: elementary.
#include "ops/slice.h"

#include <algorithm>

#include "ops_cuda/launch.h"
#include "ops_cuda/register.h"
#include "ops_cuda/words.h"

namespace limbeck::cuda {
namespace {

/// Where rows of `block` elements lie in rows of `row` elements, from `begin` on.
struct Window {
  int64_t block, row, begin;
  __device__ int64_t at(int64_t i) const { return i / block * row + begin + i % block; }
};

template <class Word>
__global__ void take_kernel(const Word* from, Window window, Word* to, int64_t n) {
  const int64_t i = global_index();
  if (i < n) to[i] = from[window.at(i)];
}

// --- concat ---------------------------------------------------------------------------------------------------------------------
// Thread 0 also writes where the next part begins; part 0 writes the leading 0.
template <class Word>
__global__ void put_part_kernel(const Word* x, Window window, Word* y, int64_t n, int64_t* offsets, int64_t part, int64_t end) {
  const int64_t i = global_index();
  if (i < n) y[window.at(i)] = x[i];
  if (i > 0) return;
  if (part == 0) offsets[0] = 0;
  offsets[part + 1] = end;
}

struct Rows {
  int axis;
  int64_t inner, row;
};
Rows rows_of(const Shape& shape, const Attrs& attrs) {
  const int axis = shape.normalise(static_cast<int>(attrs.integer("axis", 0)));
  const int64_t inner = shape.numel(axis + 1, shape.rank());
  return {axis, inner, shape[axis] * inner};
}

template <class Word>
void put_parts(const ForwardCall& c) {
  const Tensor& y = c.out[0];
  const Rows rows = rows_of(y.shape(), c.attrs);
  int64_t begin = 0;
  for (size_t p = 0; p < c.in.size(); ++p) {
    const Tensor& x = c.in[p];
    const int64_t size = x.size(rows.axis);
    const Window window{size * rows.inner, rows.row, begin * rows.inner};
    begin += size;
    LAUNCH(put_part_kernel<Word>, blocks_for(std::max<int64_t>(1, x.numel())), 256, 0, stream_of(y))(
        words<Word>(x), window, words<Word>(y), x.numel(), c.out[1].data<int64_t>(), static_cast<int64_t>(p), begin);
  }
}

void concat_forward(const ForwardCall& c) {
  dispatch_words(c.out[0].dtype(), [&](auto w) { put_parts<decltype(w)>(c); });
}

// The offsets stay on the device: the sizes of parts without a gradient are not known here.
template <class Word>
__global__ void take_part_kernel(const Word* dy, int64_t block, int64_t row, int64_t inner, const int64_t* offset, Word* dx, int64_t n) {
  const int64_t i = global_index();
  if (i < n) dx[i] = dy[Window{block, row, *offset * inner}.at(i)];
}

template <class Word>
void take_parts(const BackwardCall& c) {
  const Tensor& dy = c.dout[0];
  const Rows rows = rows_of(dy.shape(), c.attrs);
  for (size_t p = 0; p < c.din.size(); ++p) {
    const Tensor& dx = c.din[p];
    if (!dx.defined() || dx.numel() == 0) continue;
    LAUNCH(take_part_kernel<Word>, blocks_for(dx.numel()), 256, 0, stream_of(dy))(words<Word>(dy), dx.size(rows.axis) * rows.inner, rows.row, rows.inner,
                                                                               c.out[1].data<int64_t>() + p, words<Word>(dx), dx.numel());
  }
}

void concat_backward(const BackwardCall& c) {
  dispatch_words(c.dout[0].dtype(), [&](auto w) { take_parts<decltype(w)>(c); });
}

// --- slice ----------------------------------------------------------------------------------------------------------------------
Window window_of(const Shape& x, const SliceRange& r) {
  const int64_t inner = x.numel(r.axis + 1, x.rank());
  return {(r.end - r.begin) * inner, x[r.axis] * inner, r.begin * inner};
}

template <class Word>
void launch_slice(const Tensor& x, const Window& window, const Tensor& y) {
  LAUNCH(take_kernel<Word>, blocks_for(y.numel()), 256, 0, stream_of(y))(words<Word>(x), window, words<Word>(y), y.numel());
}

void slice_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const Window window = window_of(x.shape(), slice_range(x.shape(), c.attrs));
  dispatch_words(y.dtype(), [&](auto w) { launch_slice<decltype(w)>(x, window, y); });
}

template <class Word>
__global__ void slice_gradient_kernel(const Word* dy, Window window, Word* dx, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t inside = i % window.row - window.begin;
  dx[i] = inside >= 0 && inside < window.block ? dy[i / window.row * window.block + inside] : Word(0);
}

template <class Word>
void launch_slice_gradient(const Tensor& dy, const Window& window, const Tensor& dx) {
  LAUNCH(slice_gradient_kernel<Word>, blocks_for(dx.numel()), 256, 0, stream_of(dy))(words<Word>(dy), window, words<Word>(dx), dx.numel());
}

void slice_backward(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const Window window = window_of(dx.shape(), slice_range(dx.shape(), c.attrs));
  dispatch_words(dy.dtype(), [&](auto w) { launch_slice_gradient<decltype(w)>(dy, window, dx); });
}

// --- pad2d ----------------------------------------------------------------------------------------------------------------------
struct Border {
  int64_t h, w, row, left, top, outer_h, outer_row;  // rows are width times channels
};
Border border_of(const Shape& inner, const Shape& outer, const Attrs& attrs) {
  const auto p = attrs.integers("padding");
  return {inner[1], inner[2], inner[2] * inner[3], p[2] * inner[3], p[0], outer[1], outer[2] * outer[3]};
}

template <class T>
__global__ void pad_kernel(const T* x, Border b, T value, T* y, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t at = i % b.outer_row - b.left, line = i / b.outer_row % b.outer_h - b.top, image = i / b.outer_row / b.outer_h;
  y[i] = at >= 0 && at < b.row && line >= 0 && line < b.h ? x[(image * b.h + line) * b.row + at] : value;
}

template <class T>
__global__ void crop_kernel(const T* dy, Border b, T* dx, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t at = i % b.row, line = i / b.row % b.h, image = i / b.row / b.h;
  dx[i] = dy[(image * b.outer_h + line + b.top) * b.outer_row + at + b.left];
}

template <class T>
void pad_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  LAUNCH(pad_kernel<T>, blocks_for(y.numel()), 256, 0, stream_of(y))(x.data<T>(), border_of(x.shape(), y.shape(), c.attrs), T(c.attrs.number("value", 0)),
                                                                  y.data<T>(), y.numel());
}

template <class T>
void pad_backward(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  LAUNCH(crop_kernel<T>, blocks_for(dx.numel()), 256, 0, stream_of(dy))(dy.data<T>(), border_of(dx.shape(), dy.shape(), c.attrs), dx.data<T>(), dx.numel());
}

const RegisterNaive concat_op("concat", {concat_forward, concat_backward});
const RegisterNaive slice_op("slice", {slice_forward, slice_backward});
const RegisterNaive pad_op("pad2d", {pad_forward<float>, pad_backward<float>}, {pad_forward<double>, pad_backward<double>});

}  // namespace
}  // namespace limbeck::cuda
