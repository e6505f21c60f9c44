// Vector kernels on rows of floats (simd/rows.cpp): what softmax, attention and spectral norm are
// made of.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

struct RowKernels {
  float (*dot)(const float* a, const float* b, int64_t n);           ///< sum a b
  float (*total)(const float* a, int64_t n);                         ///< sum a
  float (*largest)(const float* a, int64_t n);                       ///< max a; -inf for none
  void (*scale)(float s, const float* x, float* y, int64_t n);       ///< y = s x; y may be x
  void (*add_scaled)(float s, const float* x, float* y, int64_t n);  ///< y += s x
  void (*mix)(float a, const float* x, float b, const float* z, float* y,
              int64_t n);                                       ///< y = a x + b z
  void (*shift)(float s, const float* x, float* y, int64_t n);  ///< y = x + s
  float (*exp_shifted)(float s, const float* x, float shift, float* y,
                       int64_t n);  ///< y = e^(s x - shift), returns sum y
  void (*softmax_gradient)(float s, const float* y, const float* dy, float mean, float* dx,
                           int64_t n);  ///< dx = s y (dy - mean)
  void (*minus_scaled_exp)(float s, const float* dy, const float* y, float* dx,
                           int64_t n);  ///< dx = dy - s e^y; dy null: zero
};

LIMBECK_SIMD_TABLE(RowKernels, row_kernels)

}  // namespace limbeck
