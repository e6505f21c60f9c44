// one_hot, argmax and topk; contract in ops/one_hot.cpp.
//   one_hot:  y[.., c] = 1 if c = index[..], else 0
//   argmax:   y = index along an axis of the first maximum
//   topk:     the k largest of a row and their indices, in order;  dx[index_j] = dvalues_j
// index i64 [n], y f32 [n, classes]; x [outer, size, inner], y i64 [outer, inner]; x [rows, size],
// values [rows, k], indices i64 [rows, k]. Outputs are overwritten; NaN is the largest; of equal
// ones the first comes first. One thread per element of y (one_hot), per result (argmax), per row
// (topk: k passes over it, each for the next one in order; a row stays in the caches). An index
// outside its range is noted (fault.h). No shared memory; deterministic. Bytes: 4 an element of y;
// sizeof(T) an element of x, topk k times from the caches. Source: elementary.
#include "ops_cuda/fault.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

__global__ void one_hot_kernel(const int64_t* index, int64_t n, int64_t classes, float* y,
                               FaultReport fault) {
  const int64_t i = global_index();
  if (i >= n * classes) return;
  const int64_t at = i / classes, c = i % classes;
  if (c == 0) in_range(fault, at, index[at], classes);
  y[i] = index[at] == c ? 1.0f : 0.0f;
}

void one_hot(const ForwardCall& c) {
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  LAUNCH(one_hot_kernel, blocks_for(y.numel()), 256, 0, stream_of(y))
  (c.in[0].data<int64_t>(), c.in[0].numel(), y.size(-1), y.data<float>(), fault_of(y, "one_hot"));
}

template <class T>
__device__ bool larger(T a, T b) {
  return a > b || (a != a && b == b);
}

template <class T>
__global__ void argmax_kernel(const T* x, int64_t size, int64_t inner, int64_t* y, int64_t n) {
  const int64_t j = global_index();
  if (j >= n) return;
  x += j / inner * size * inner + j % inner;
  int64_t best = 0;
  for (int64_t i = 1; i < size; ++i)
    if (larger(x[i * inner], x[best * inner])) best = i;
  y[j] = best;
}

template <class T>
void argmax(const ForwardCall& c) {
  const Shape& shape = c.in[0].shape();
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  const int axis = shape.normalise(c.attrs.integer("axis", -1));
  LAUNCH(argmax_kernel<T>, blocks_for(y.numel()), 256, 0, stream_of(y))
  (c.in[0].data<T>(), shape[axis], shape.numel(axis + 1, shape.rank()), y.data<int64_t>(),
   y.numel());
}

/// Whether element i comes before element j: the larger, of equal ones the first.
template <class T>
__device__ bool before(const T* x, int64_t i, int64_t j) {
  return larger(x[i], x[j]) || (!larger(x[j], x[i]) && i < j);
}

template <class T>
__global__ void topk_kernel(const T* x, int64_t rows, int64_t size, int64_t k, T* values,
                            int64_t* indices) {
  const int64_t row = global_index();
  if (row >= rows) return;
  x += row * size;
  int64_t last = -1;
  for (int64_t j = 0; j < k; ++j) {
    int64_t best = -1;
    for (int64_t i = 0; i < size; ++i)
      if ((last < 0 || before(x, last, i)) && (best < 0 || before(x, i, best))) best = i;
    values[row * k + j] = x[best];
    indices[row * k + j] = best;
    last = best;
  }
}

template <class T>
void topk(const ForwardCall& c) {
  const Tensor &x = c.in[0], &values = c.out[0];
  if (values.numel() == 0) return;
  const int64_t k = values.size(-1), rows = values.numel() / k;
  LAUNCH(topk_kernel<T>, blocks_for(rows, 64), 64, 0, stream_of(x))
  (x.data<T>(), rows, x.size(-1), k, values.data<T>(), c.out[1].data<int64_t>());
}

template <class T>
__global__ void topk_gradient_kernel(const int64_t* indices, const T* dvalues, int64_t rows,
                                     int64_t size, int64_t k, T* dx) {
  const int64_t i = global_index();
  if (i >= rows * size) return;
  const int64_t row = i / size;
  T value = 0;
  for (int64_t j = row * k; j < (row + 1) * k; ++j)
    if (indices[j] == i % size) value = dvalues[j];
  dx[i] = value;
}

template <class T>
void topk_gradient(const BackwardCall& c) {
  const Tensor& dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  const int64_t size = dx.size(-1);
  LAUNCH(topk_gradient_kernel<T>, blocks_for(dx.numel()), 256, 0, stream_of(dx))
  (c.out[1].data<int64_t>(), c.dout[0].data<T>(), dx.numel() / size, size, c.dout[0].size(-1),
   dx.data<T>());
}

const RegisterNaive one_hot_op("one_hot", one_hot);
const RegisterNaive argmax_op("argmax", {argmax<float>}, {argmax<double>});
const RegisterNaive topk_op("topk", LIMBECK_TYPES(topk, topk_gradient));

}  // namespace
}  // namespace limbeck::cuda
