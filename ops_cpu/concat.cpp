// concat, slice and pad2d in f32 on the CPU: copies of runs of memory, row by row, so that the
// larger side is walked in order. Formulas in ops/concat.cpp. Each element is read and written once
// (slice backward: zeros are written, not read).
#include <algorithm>
#include <cstring>

#include "ops/op.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_concat {
namespace {

constexpr int64_t kGrain = 16384;  // floats per part

/// Calls f(row) for the rows of a [rows, row_floats] tensor.
template <class F>
void each_row(int64_t rows, int64_t row_floats, F&& f) {
  const int64_t per_part = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, row_floats));
  parallel_parts((rows + per_part - 1) / per_part, rows * row_floats, [&](int64_t part) {
    for (int64_t row = part * per_part; row < std::min(rows, (part + 1) * per_part); ++row) f(row);
  });
}

void copy(const float* from, int64_t count, float* to) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}
void clear(float* to, int64_t count) {
  std::memset(to, 0, static_cast<size_t>(count) * sizeof(float));
}

/// The joined tensor as [outer, row], its parts as [outer, block] each.
struct Parts {
  int64_t outer, row = 0;
  std::vector<float*> data;
  std::vector<int64_t> offset, block;

  Parts(const Shape& joined, const Attrs& attrs, const Tensors& parts, const int64_t* offsets) {
    const int axis = joined.normalise(attrs.integer("axis", 0));
    const int64_t inner = joined.numel(axis + 1, joined.rank());
    outer = joined.numel(0, axis);
    row = joined[axis] * inner;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i].defined()) continue;
      data.push_back(parts[i].data<float>());
      offset.push_back(offsets[i] * inner);
      block.push_back(parts[i].size(axis) * inner);
    }
  }
};

void concat_forward(const ForwardCall& c) {
  const int axis = c.out[0].shape().normalise(c.attrs.integer("axis", 0));
  int64_t* const offsets = c.out[1].data<int64_t>();
  offsets[0] = 0;
  for (size_t i = 0; i < c.in.size(); ++i) offsets[i + 1] = offsets[i] + c.in[i].size(axis);
  const Parts p(c.out[0].shape(), c.attrs, c.in, offsets);
  float* const y = c.out[0].data<float>();
  each_row(p.outer, p.row, [&](int64_t r) {
    for (size_t i = 0; i < p.data.size(); ++i)
      copy(p.data[i] + r * p.block[i], p.block[i], y + r * p.row + p.offset[i]);
  });
}

void concat_backward(const BackwardCall& c) {
  const Parts p(c.dout[0].shape(), c.attrs, c.din, c.out[1].data<int64_t>());
  const float* const dy = c.dout[0].data<float>();
  each_row(p.outer, p.row, [&](int64_t r) {
    for (size_t i = 0; i < p.data.size(); ++i)
      copy(dy + r * p.row + p.offset[i], p.block[i], p.data[i] + r * p.block[i]);
  });
}

/// The whole as [outer, row], the slice as [outer, count] starting at `first` of each row.
struct Slice {
  int64_t outer, row, first, count;
  Slice(const Shape& whole, const Attrs& attrs) {
    const int axis = whole.normalise(attrs.integer("axis", 0));
    const auto position = [&](int64_t i) { return i < 0 ? i + whole[axis] : i; };
    const int64_t inner = whole.numel(axis + 1, whole.rank()),
                  begin = position(attrs.integer("begin", 0));
    outer = whole.numel(0, axis);
    row = whole[axis] * inner;
    first = begin * inner;
    count = (position(attrs.integer("end", whole[axis])) - begin) * inner;
  }
};

void slice_forward(const ForwardCall& c) {
  const Slice s(c.in[0].shape(), c.attrs);
  const float* const x = c.in[0].data<float>();
  float* const y = c.out[0].data<float>();
  each_row(s.outer, s.count,
           [&](int64_t r) { copy(x + r * s.row + s.first, s.count, y + r * s.count); });
}

void slice_backward(const BackwardCall& c) {
  const Slice s(c.din[0].shape(), c.attrs);
  const float* const dy = c.dout[0].data<float>();
  float* const dx = c.din[0].data<float>();
  each_row(s.outer, s.row, [&](int64_t r) {
    float* const to = dx + r * s.row;
    clear(to, s.first);
    copy(dy + r * s.count, s.count, to + s.first);
    clear(to + s.first + s.count, s.row - s.first - s.count);
  });
}

void pad2d_forward(const ForwardCall& c) {
  const Shape &from = c.in[0].shape(), &to = c.out[0].shape();
  const auto p = c.attrs.integers("padding");
  const float* const x = c.in[0].data<float>();
  float* const y = c.out[0].data<float>();
  const auto value = static_cast<float>(c.attrs.number("value", 0));
  const int64_t row = from[2] * from[3], left = p[2] * to[3], padded = to[2] * to[3];
  each_row(to[0] * to[1], padded, [&](int64_t r) {
    const int64_t n = r / to[1], h = r % to[1] - p[0];
    float* const target = y + r * padded;
    if (h < 0 || h >= from[1]) return std::fill_n(target, padded, value), void();
    std::fill_n(target, left, value);
    copy(x + (n * from[1] + h) * row, row, target + left);
    std::fill_n(target + left + row, padded - left - row, value);
  });
}

void pad2d_backward(const BackwardCall& c) {
  const Shape &inner = c.din[0].shape(), &outer = c.dout[0].shape();
  const auto p = c.attrs.integers("padding");
  const float* const dy = c.dout[0].data<float>();
  float* const dx = c.din[0].data<float>();
  const int64_t row = inner[2] * inner[3];
  each_row(inner[0] * inner[1], row, [&](int64_t r) {
    copy(dy + ((r / inner[1] * outer[1] + r % inner[1] + p[0]) * outer[2] + p[2]) * outer[3], row,
         dx + r * row);
  });
}

bool is_f32(const Tensors& in, const Attrs&) {
  return std::all_of(in.begin(), in.end(),
                     [](const Tensor& t) { return !t.defined() || t.dtype() == DType::f32; });
}

const RegisterKernel concat_kernel({.op = "concat",
                                    .name = "cpu",
                                    .forward = concat_forward,
                                    .backward = concat_backward,
                                    .supports = is_f32});
const RegisterKernel slice_kernel({.op = "slice",
                                   .name = "cpu",
                                   .forward = slice_forward,
                                   .backward = slice_backward,
                                   .supports = is_f32});
const RegisterKernel pad2d_kernel({.op = "pad2d",
                                   .name = "cpu",
                                   .forward = pad2d_forward,
                                   .backward = pad2d_backward,
                                   .supports = is_f32});

}  // namespace
}  // namespace limbeck::cpu_concat
