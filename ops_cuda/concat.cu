// concat, slice and pad2d: copies of whole blocks; contract in ops/concat.cpp.
//   concat:  y = x_0, x_1, .. along `axis`, offsets[i] = where x_i begins;   dx_i = the part of dy
//            that x_i became
//   slice:   y = x[.., begin:end, ..];                                dx = dy there, 0 elsewhere
//   pad2d:   y = x inside, `value` in the border;                             dx = the inner part
//            of dy
// Any element type (pad2d: floating). Outputs are overwritten. Tensors are seen as [outer, axis,
// inner], so that what moves are blocks of bytes within rows of bytes; a thread moves the widest
// word that divides both (ops_cuda/words.h): 16 bytes where channels are a multiple of 8 (bf16) or
// 4 (f32). No shared memory; deterministic. Bytes: 2 an element and byte; no FLOPs. Source:
// elementary.
#include "ops/slice.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "ops_cuda/register.h"
#include "ops_cuda/words.h"

namespace limbeck::cuda {
namespace {

/// Where rows of `block` lie in rows of `row`, from `begin` on; in bytes on the host, in words in a
/// kernel.
struct Window {
  int64_t block, row, begin;
  Window in(int64_t word) const { return {block / word, row / word, begin / word}; }
  int64_t word(const Tensor& a, const Tensor& b) const {
    return widest_word({block, row, begin}, {&a, &b});
  }
  __device__ int64_t at(int64_t i) const { return i / block * row + begin + i % block; }
};

template <class Word>
__global__ void take_kernel(const Word* from, Window window, Word* to, int64_t n) {
  const int64_t i = global_index();
  if (i < n) to[i] = from[window.at(i)];
}

template <class Word>
void launch_take(const Tensor& from, const Window& bytes, const Tensor& to) {
  constexpr int64_t word = sizeof(Word);
  LAUNCH(take_kernel<Word>, blocks_for(to.bytes() / word), 256, 0, stream_of(to))
  (words<Word>(from), bytes.in(word), words<Word>(to), to.bytes() / word);
}

/// to = the bytes of `from` that the window shows.
void take(const Tensor& from, const Window& bytes, const Tensor& to) {
  if (to.numel() > 0)
    dispatch_words(bytes.word(from, to),
                   [&](auto w) { launch_take<decltype(w)>(from, bytes, to); });
}

// --- concat --------------------------------------------------------------------------------------
// Thread 0 also writes where the next part begins; part 0 writes the leading 0.
template <class Word>
__global__ void put_part_kernel(const Word* x, Window window, Word* y, int64_t n, int64_t* offsets,
                                int64_t part, int64_t end) {
  const int64_t i = global_index();
  if (i < n) y[window.at(i)] = x[i];
  if (i > 0) return;
  if (part == 0) offsets[0] = 0;
  offsets[part + 1] = end;
}

template <class Word>
void put_part(const Tensor& x, const Window& bytes, const Tensor& y, int64_t* offsets, int64_t part,
              int64_t end) {
  constexpr int64_t word = sizeof(Word);
  const int64_t n = x.bytes() / word;
  LAUNCH(put_part_kernel<Word>, blocks_for(std::max<int64_t>(1, n)), 256, 0, stream_of(y))
  (words<Word>(x), bytes.in(word), words<Word>(y), n, offsets, part, end);
}

struct Rows {
  int axis;
  int64_t inner, row;  // elements after the axis, and from the axis on
};
Rows rows_of(const Shape& shape, const Attrs& attrs) {
  const int axis = shape.normalise(attrs.integer("axis", 0));
  const int64_t inner = shape.numel(axis + 1, shape.rank());
  return {axis, inner, shape[axis] * inner};
}

void concat_forward(const ForwardCall& c) {
  const Tensor& y = c.out[0];
  const Rows rows = rows_of(y.shape(), c.attrs);
  const int64_t element = size_of(y.dtype()), inner = rows.inner * element;
  int64_t begin = 0;
  for (size_t p = 0; p < c.in.size(); ++p) {
    const Tensor& x = c.in[p];
    const int64_t end = begin + x.size(rows.axis);
    const Window bytes{x.size(rows.axis) * inner, rows.row * element, begin * inner};
    dispatch_words(bytes.word(x, y), [&](auto w) {
      put_part<decltype(w)>(x, bytes, y, c.out[1].data<int64_t>(), static_cast<int64_t>(p), end);
    });
    begin = end;
  }
}

// For parts behind one without a gradient, whose size is not known here: their offset is read on
// the device.
template <class Word>
__global__ void take_part_kernel(const Word* dy, int64_t block, int64_t row, int64_t inner,
                                 const int64_t* offset, Word* dx, int64_t n) {
  const int64_t i = global_index();
  if (i < n) dx[i] = dy[Window{block, row, *offset * inner}.at(i)];
}

template <class Word>
void take_part(const Tensor& dy, const Rows& rows, const int64_t* offset, const Tensor& dx) {
  if (dx.numel() == 0) return;
  LAUNCH(take_part_kernel<Word>, blocks_for(dx.numel()), 256, 0, stream_of(dy))
  (words<Word>(dy), dx.size(rows.axis) * rows.inner, rows.row, rows.inner, offset, words<Word>(dx),
   dx.numel());
}

void concat_backward(const BackwardCall& c) {
  const Tensor& dy = c.dout[0];
  const Rows rows = rows_of(dy.shape(), c.attrs);
  const int64_t element = size_of(dy.dtype()), inner = rows.inner * element;
  int64_t begin = 0;  // -1: not known
  for (size_t p = 0; p < c.din.size(); ++p) {
    const Tensor& dx = c.din[p];
    if (!dx.defined()) {
      begin = -1;
      continue;
    }
    if (begin < 0) {
      dispatch_words(dy.dtype(), [&](auto w) {
        take_part<decltype(w)>(dy, rows, c.out[1].data<int64_t>() + p, dx);
      });
      continue;
    }
    take(dy, {dx.size(rows.axis) * inner, rows.row * element, begin * inner}, dx);
    begin += dx.size(rows.axis);
  }
}

// --- slice ---------------------------------------------------------------------------------------
Window window_of(const Shape& x, const SliceRange& r, DType dtype) {
  const int64_t inner = x.numel(r.axis + 1, x.rank()) * size_of(dtype);
  return {(r.end - r.begin) * inner, x[r.axis] * inner, r.begin * inner};
}

void slice_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  take(x, window_of(x.shape(), slice_range(x.shape(), c.attrs), x.dtype()), y);
}

template <class Word>
__global__ void slice_gradient_kernel(const Word* dy, Window window, Word* dx, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t inside = i % window.row - window.begin;
  dx[i] =
      inside >= 0 && inside < window.block ? dy[i / window.row * window.block + inside] : Word{};
}

template <class Word>
void launch_slice_gradient(const Tensor& dy, const Window& bytes, const Tensor& dx) {
  constexpr int64_t word = sizeof(Word);
  LAUNCH(slice_gradient_kernel<Word>, blocks_for(dx.bytes() / word), 256, 0, stream_of(dy))
  (words<Word>(dy), bytes.in(word), words<Word>(dx), dx.bytes() / word);
}

void slice_backward(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const Window bytes = window_of(dx.shape(), slice_range(dx.shape(), c.attrs), dx.dtype());
  dispatch_words(bytes.word(dy, dx),
                 [&](auto w) { launch_slice_gradient<decltype(w)>(dy, bytes, dx); });
}

// --- pad2d ---------------------------------------------------------------------------------------
/// Rows are width times channels; they and `left` in bytes on the host, in words in a kernel.
struct Border {
  int64_t h, row, left, top, outer_h, outer_row;
  Border in(int64_t word) const {
    return {h, row / word, left / word, top, outer_h, outer_row / word};
  }
  int64_t word(const Tensor& a, const Tensor& b) const {
    return widest_word({row, left, outer_row}, {&a, &b});
  }
};
Border border_of(const Tensor& inner, const Tensor& outer, const Attrs& attrs) {
  const auto p = attrs.integers("padding");
  const int64_t pixel = inner.size(3) * size_of(inner.dtype());
  return {inner.size(1), inner.size(2) * pixel, p[2] * pixel,
          p[0],          outer.size(1),         outer.size(2) * pixel};
}

/// `value` as elements of a type side by side, for words that hold several.
using Pattern = std::array<unsigned char, 16>;
template <class T>
Pattern repeated(T value) {
  Pattern pattern;
  for (size_t i = 0; i < pattern.size(); i += sizeof(T))
    std::memcpy(pattern.data() + i, &value, sizeof(T));
  return pattern;
}
Pattern pattern_of(double value, DType dtype) {
  if (dtype == DType::bf16) return repeated(bfloat16(static_cast<float>(value)));
  return dtype == DType::f64 ? repeated(value) : repeated(static_cast<float>(value));
}

template <class Word>
__global__ void pad_kernel(const Word* x, Border b, Word value, Word* y, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t at = i % b.outer_row - b.left, line = i / b.outer_row % b.outer_h - b.top,
                image = i / b.outer_row / b.outer_h;
  y[i] = at >= 0 && at < b.row && line >= 0 && line < b.h ? x[(image * b.h + line) * b.row + at]
                                                          : value;
}

template <class Word>
__global__ void crop_kernel(const Word* dy, Border b, Word* dx, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t at = i % b.row, line = i / b.row % b.h, image = i / b.row / b.h;
  dx[i] = dy[(image * b.outer_h + line + b.top) * b.outer_row + at + b.left];
}

template <class Word>
void launch_pad(const Tensor& x, const Border& bytes, const Pattern& pattern, const Tensor& y) {
  constexpr int64_t word = sizeof(Word);
  Word value;
  std::memcpy(&value, pattern.data(), sizeof(Word));
  LAUNCH(pad_kernel<Word>, blocks_for(y.bytes() / word), 256, 0, stream_of(y))
  (words<Word>(x), bytes.in(word), value, words<Word>(y), y.bytes() / word);
}

template <class Word>
void launch_crop(const Tensor& dy, const Border& bytes, const Tensor& dx) {
  constexpr int64_t word = sizeof(Word);
  LAUNCH(crop_kernel<Word>, blocks_for(dx.bytes() / word), 256, 0, stream_of(dy))
  (words<Word>(dy), bytes.in(word), words<Word>(dx), dx.bytes() / word);
}

void pad_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const Border bytes = border_of(x, y, c.attrs);
  const Pattern pattern = pattern_of(c.attrs.number("value", 0), y.dtype());
  dispatch_words(bytes.word(x, y), [&](auto w) { launch_pad<decltype(w)>(x, bytes, pattern, y); });
}

void pad_backward(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const Border bytes = border_of(dx, dy, c.attrs);
  dispatch_words(bytes.word(dy, dx), [&](auto w) { launch_crop<decltype(w)>(dy, bytes, dx); });
}

const RegisterNaive concat_op("concat", {concat_forward, concat_backward});
const RegisterNaive slice_op("slice", {slice_forward, slice_backward});
const RegisterNaive pad_op("pad2d", {pad_forward, pad_backward});
const RegisterTuned concat_bf16("concat", concat_forward, concat_backward, nullptr, DType::bf16);
const RegisterTuned slice_bf16("slice", slice_forward, slice_backward, nullptr, DType::bf16);
const RegisterTuned pad_bf16("pad2d", pad_forward, pad_backward, nullptr, DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
