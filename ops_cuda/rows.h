// Work on the rows of a matrix [rows, size]: by one thread in double (naive kernels), or by the 32
// lanes of a warp in float (tuned ones), where lane l takes elements l, l + 32, .. of the row, so
// that a warp reads 128 neighbouring bytes at once. Sums have one fixed order.
#pragma once
#include <cmath>
#include <limits>

#include "ops_cuda/long_sum.h"

namespace limbeck::cuda {

/// log sum_i e^x_i as two numbers: x - largest is exact where it matters, while a rounded log-sum
/// as large as x would be amplified by e^.
template <class T>
struct LogSumExp {
  T largest, sum;  ///< sum of e^(x - largest)
  __device__ T log() const { return std::log(sum); }
};

// --- one thread ----------------------------------------------------------------------------------
template <class T>
__device__ LogSumExp<double> thread_log_sum_exp(const T* x, int64_t size) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t i = 0; i < size; ++i) largest = x[i] > largest ? double(x[i]) : largest;
  for (int64_t i = 0; i < size; ++i) sum += std::exp(double(x[i]) - largest);
  return {largest, sum};
}

// --- one warp: every lane gets the result --------------------------------------------------------
template <class T>
__device__ T warp_total(T x) {
  for (int other = 16; other > 0; other /= 2) x += __shfl_xor_sync(full_warp, x, other);
  return x;
}
template <class T>
__device__ T warp_largest(T x) {
  for (int other = 16; other > 0; other /= 2) {
    const T y = __shfl_xor_sync(full_warp, x, other);
    x = x > y ? x : y;
  }
  return x;
}

inline constexpr int rows_per_block =
    4;  // warps; small, so that a batch of 64 still spreads over 16 multiprocessors
inline dim3 blocks_for_rows(int64_t rows) { return blocks_for(rows, rows_per_block); }
/// The row of this warp; only whole warps have none.
__device__ inline int64_t warp_row() {
  return static_cast<int64_t>(blockIdx.x) * rows_per_block + threadIdx.x / 32;
}
__device__ inline int warp_lane() { return static_cast<int>(threadIdx.x % 32); }

/// The second pass finds the row in the first-level cache. NaN in x gives NaN.
__device__ inline LogSumExp<float> warp_log_sum_exp(const float* x, int64_t size) {
  float largest = -std::numeric_limits<float>::infinity();
  LongSum<float> sum;
  for (int64_t i = warp_lane(); i < size; i += 32) largest = x[i] > largest ? x[i] : largest;
  largest = warp_largest(largest);
  for (int64_t i = warp_lane(); i < size; i += 32) sum.add(std::exp(x[i] - largest));
  return {largest, warp_total(sum.value())};
}

// A worker owns one row: `lanes` threads, of which this one takes elements first(), first() +
// lanes, ..; total() joins their sums. A kernel written for a worker is naive with one lane in
// double, tuned with 32 lanes in float.
struct RowThread {
  using Sum = double;
  static constexpr int lanes = 1, threads = 64;
  __device__ static int64_t row() { return global_index(); }
  __device__ static int64_t first() { return 0; }
  __device__ static double total(double x) { return x; }
};
struct RowWarp {
  using Sum = float;
  static constexpr int lanes = 32, threads = 32 * rows_per_block;
  __device__ static int64_t row() { return warp_row(); }
  __device__ static int64_t first() { return warp_lane(); }
  __device__ static float total(float x) { return warp_total(x); }
};

}  // namespace limbeck::cuda
