// isotonic; contract in ops/isotonic.cpp.
//   y = argmin |y - x|^2 over y_1 >= y_2 >= ..;  dx_i = mean of dy over the run of equal y around i
// x, y, dy, dx [rows, size]; y and dx are overwritten. One thread per row, sums in double. A run
// ends where the mean from its beginning is largest (the least concave majorant of the partial
// sums), so no stack of runs is kept: the elements behind a run are read once more for each run
// before them, size^2 / 2 reads at most, from the caches. No shared memory; deterministic. Bytes an
// element: forward 2 sizeof(T), backward 3 sizeof(T). Source: elementary.
#include "ops_cuda/launch.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

template <class T>
__global__ void isotonic_kernel(const T* x, T* y, int64_t rows, int64_t size) {
  const int64_t row = global_index();
  if (row >= rows) return;
  x += row * size;
  y += row * size;
  for (int64_t begin = 0, end = 0; begin < size; begin = end) {
    double sum = double(x[begin]), best = sum;
    end = begin + 1;
    for (int64_t i = begin + 1; i < size; ++i) {
      sum += double(x[i]);
      const double mean = sum / double(i + 1 - begin);
      if (mean >= best) best = mean, end = i + 1;
    }
    for (int64_t i = begin; i < end; ++i) y[i] = T(best);
  }
}

template <class T>
__global__ void isotonic_gradient_kernel(const T* y, const T* dy, T* dx, int64_t rows,
                                         int64_t size) {
  const int64_t row = global_index();
  if (row >= rows) return;
  y += row * size;
  dy += row * size;
  dx += row * size;
  for (int64_t begin = 0, end = 0; begin < size; begin = end) {
    double sum = double(dy[begin]);
    for (end = begin + 1; end < size && y[end] == y[begin]; ++end) sum += double(dy[end]);
    for (int64_t i = begin; i < end; ++i) dx[i] = T(sum / double(end - begin));
  }
}

template <class T>
void isotonic_forward(const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (x.numel() == 0) return;
  const int64_t size = x.size(-1), rows = x.numel() / size;
  LAUNCH(isotonic_kernel<T>, blocks_for(rows, 64), 64, 0, stream_of(x))
  (x.data<T>(), y.data<T>(), rows, size);
}

template <class T>
void isotonic_backward(const BackwardCall& c) {
  const Tensor &y = c.out[0], &dx = c.din[0];
  if (!dx.defined() || y.numel() == 0) return;
  const int64_t size = y.size(-1), rows = y.numel() / size;
  LAUNCH(isotonic_gradient_kernel<T>, blocks_for(rows, 64), 64, 0, stream_of(y))
  (y.data<T>(), c.dout[0].data<T>(), dx.data<T>(), rows, size);
}

const RegisterNaive isotonic_op("isotonic", LIMBECK_TYPES(isotonic_forward, isotonic_backward));

}  // namespace
}  // namespace limbeck::cuda
