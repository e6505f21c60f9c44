// Packed f32 matrix product on the CPU. Results are bit-equal for any number of threads: each
// element is one chain over k in order, of at most 8192 terms; chains are added in double.
#pragma once
#include <cstdint>

namespace limbeck {

/// c = op(a) op(b) + bias (or c += op(a) op(b)): row-major, op(a) [m, k], op(b) [k, n], c [m, n].
struct Gemm {
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t lda = 0;  ///< floats between rows of a as stored
  const float* b = nullptr;
  int64_t ldb = 0;
  float* c = nullptr;
  int64_t ldc = 0;
  const float* bias = nullptr;  ///< [n] or null
  bool accumulate = false;      ///< add to c; bias must be null
};

/// Divides one product among the threads. Also good inside a parallel region (then it runs on the
/// calling thread).
void gemm(const Gemm& g);
/// `count` products; operand i of each starts at a + i * stride_a and so on (strides in floats, 0
/// repeats; c must not repeat).
void gemm_batch(const Gemm& g, int64_t count, int64_t stride_a, int64_t stride_b, int64_t stride_c);

}  // namespace limbeck
