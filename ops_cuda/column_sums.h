// Bias gradients: sums over the rows of a matrix.
#pragma once
#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// sum[c] = sum over rows of d [rows, channels]; writes all of `sum`; zero rows give zeros.
template <class T>
void column_sums_naive(const T* d, int64_t rows, int64_t channels, const Tensor& sum);
/// The same for many rows of float or bfloat16; f32 sums.
template <class S>
void column_sums(const S* d, int64_t rows, int64_t channels, const Tensor& sum);

/// The same on tensors of T, as ops/convolution_calls.h takes them.
template <class T>
void sum_columns_naive(const Tensor& d, int64_t rows, int64_t channels, const Tensor& sum) {
  column_sums_naive(d.data<T>(), rows, channels, sum);
}
template <class S>
void sum_columns(const Tensor& d, int64_t rows, int64_t channels, const Tensor& sum) {
  column_sums(d.data<S>(), rows, channels, sum);
}

}  // namespace limbeck::cuda
