// gather and scatter_add; contract in ops/gather.cpp. For two dimensions, axis 1:
//   gather       y[n, j] = x[n, index[n, j]];    dx[n, c] = sum of dy[n, j] over index[n, j] = c
//   scatter_add  y[n, c] = x[n, c] + sum of src[n, j] over index[n, j] = c;  dx = dy, dsrc[n, j] =
//                dy[n, index[n, j]]
// x, y of any shape, index i64; outputs are overwritten. One thread per element written. Sums read
// all indices of their line in order instead of adding with atomics: index length times elements
// index reads from the cache, the same bits in every run; integers wrap. No shared memory. Bytes: 2
// sizeof(T) an element of y, and 8 an index. An index outside x is reported (ops_cuda/fault.h).
// Source: elementary.
#include "ops/gather.h"

#include <type_traits>

#include "ops_cuda/fault.h"
#include "ops_cuda/index.h"
#include "ops_cuda/long_sum.h"
#include "ops_cuda/register.h"
#include "ops_cuda/words.h"

namespace limbeck::cuda {
namespace {

/// Where element i of the index stands in x but for the axis, and along it.
struct Places {
  Nest nest;
  int64_t step, size;
  explicit Places(const GatherPlaces& p) : step(p.step), size(p.size()) {
    for (int d = 0; d < p.index.rank(); ++d)
      nest.add(p.index[d], p.strides[static_cast<size_t>(d)]);
  }
};

template <class Word>
__global__ void gather_kernel(const Word* x, Places places, const int64_t* index, Word* y,
                              int64_t n, FaultReport fault) {
  const int64_t i = global_index();
  if (i < n && in_range(fault, i, index[i], places.size))
    y[i] = x[places.nest.at(i) + index[i] * places.step];
}

void gather_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &index = c.in[1], &y = c.out[0];
  if (y.numel() == 0) return;
  const Places places(gather_places("gather", x.shape(), index.shape(), c.attrs, true));
  dispatch_words(y.dtype(), [&](auto w) {
    using Word = decltype(w);
    LAUNCH(gather_kernel<Word>, blocks_for(y.numel()), 256, 0, stream_of(y))
    (words<Word>(x), places, index.data<int64_t>(), words<Word>(y), y.numel(),
     fault_of(y, "gather"));
  });
}

/// The line of the index that adds into an element of x: its first element in the index and in the
/// values, the steps along it, its length; and the element's own place along the axis.
struct Line {
  int64_t index = 0, values = 0, index_step = 0, value_step = 0, length = 0, own = 0;
};
struct Lines {
  int rank, axis;
  int64_t x[Shape::max_rank], index[Shape::max_rank], index_stride[Shape::max_rank],
      value_stride[Shape::max_rank];
  Lines(const GatherPlaces& p, const Shape& values) : rank(p.x.rank()), axis(p.axis) {
    for (int d = 0; d < rank; ++d) {
      x[d] = p.x[d], index[d] = p.index[d];
      index_stride[d] = p.index.numel(d + 1, rank);
      value_stride[d] = values.numel(d + 1, rank);
    }
  }
  __device__ Line of(int64_t element) const {
    Line line{0, 0, index_stride[axis], value_stride[axis], index[axis], 0};
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t at = element % x[d];
      element /= x[d];
      if (d == axis) {
        line.own = at;
        continue;
      }
      if (at >= index[d]) line.length = 0;
      line.index += at * index_stride[d], line.values += at * value_stride[d];
    }
    return line;
  }
};

/// A sum of integers, which wraps.
struct WrappingSum {
  uint64_t sum = 0;
  __device__ void add(int64_t x) { sum += static_cast<uint64_t>(x); }
  __device__ int64_t value() const { return static_cast<int64_t>(sum); }
};

/// y = x (or 0) + the sum of the values whose index is the element's own.
template <class T>
__global__ void add_lines_kernel(const T* x, Lines lines, const int64_t* index, const T* values,
                                 T* y, int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  const Line line = lines.of(i);
  std::conditional_t<std::is_floating_point_v<T>, LongSum<T>, WrappingSum> sum;
  if (x) sum.add(x[i]);
  for (int64_t j = 0; j < line.length; ++j)
    if (index[line.index + j * line.index_step] == line.own)
      sum.add(values[line.values + j * line.value_step]);
  y[i] = static_cast<T>(sum.value());
}

template <class T>
void add_lines(const T* x, const GatherPlaces& p, const Tensor& index, const Tensor& values,
               const Tensor& y) {
  if (y.numel() == 0) return;
  const Lines lines(p, values.rank() == p.x.rank() ? values.shape() : p.index);
  LAUNCH(add_lines_kernel<T>, blocks_for(y.numel()), 256, 0, stream_of(y))
  (x, lines, index.data<int64_t>(), values.data<T>(), y.data<T>(), y.numel());
}

template <class T>
void gather_backward(const BackwardCall& c) {
  if (!c.din[0]) return;
  add_lines<T>(nullptr, gather_places("gather", c.din[0].shape(), c.in[1].shape(), c.attrs, true),
               c.in[1], c.dout[0], c.din[0]);
}

/// Indices that no sum would miss.
__global__ void check_kernel(const int64_t* index, int64_t n, int64_t size, FaultReport fault) {
  const int64_t i = global_index();
  if (i < n) in_range(fault, i, index[i], size);
}

template <class T>
void scatter_as(const ForwardCall& c, const GatherPlaces& p) {
  add_lines<T>(c.in[0].data<T>(), p, c.in[1], c.in[2], c.out[0]);
}

void scatter_forward(const ForwardCall& c) {
  const Tensor& index = c.in[1];
  const GatherPlaces p =
      gather_places("scatter_add", c.in[0].shape(), index.shape(), c.attrs, false);
  if (index.numel() > 0) LAUNCH(check_kernel, blocks_for(index.numel()), 256, 0, stream_of(index))
  (index.data<int64_t>(), index.numel(), p.size(), fault_of(index, "scatter_add"));
  switch (c.in[0].dtype()) {
    case DType::i32: return scatter_as<int32_t>(c, p);
    case DType::i64: return scatter_as<int64_t>(c, p);
    case DType::f64: return scatter_as<double>(c, p);
    default: return scatter_as<float>(c, p);
  }
}

/// dsrc: dy where the index says, 0 beyond the index.
template <class T>
__global__ void scatter_gradient_kernel(const T* dy, Places places, Lines lines,
                                        const int64_t* index, T* dsrc, int64_t n,
                                        FaultReport fault) {
  const int64_t i = global_index();
  if (i >= n) return;
  int64_t at = 0, rest = i;
  bool inside = true;
  for (int d = 0; d < lines.rank; ++d) {
    const int64_t position = rest / lines.value_stride[d];
    rest %= lines.value_stride[d];
    inside = inside && position < lines.index[d];
    at += position * lines.index_stride[d];
  }
  inside = inside && in_range(fault, at, index[at], places.size);
  dsrc[i] = inside ? dy[places.nest.at(at) + index[at] * places.step] : T(0);
}

template <class T>
void scatter_backward(const BackwardCall& c) {
  const Tensor &dy = c.dout[0], &dx = c.din[0], &index = c.in[1], &dsrc = c.din[2];
  if (dx) dx.copy_from(dy);
  if (!dsrc || dsrc.numel() == 0) return;
  const GatherPlaces p = gather_places("scatter_add", dy.shape(), index.shape(), c.attrs, false);
  LAUNCH(scatter_gradient_kernel<T>, blocks_for(dsrc.numel()), 256, 0, stream_of(dy))
  (dy.data<T>(), Places(p), Lines(p, dsrc.shape()), index.data<int64_t>(), dsrc.data<T>(),
   dsrc.numel(), fault_of(dsrc, "scatter_add"));
}

const RegisterNaive gather_op("gather", {gather_forward, gather_backward<float>},
                              {gather_forward, gather_backward<double>});
const RegisterNaive scatter_op("scatter_add", {scatter_forward, scatter_backward<float>},
                               {scatter_forward, scatter_backward<double>});

}  // namespace
}  // namespace limbeck::cuda
