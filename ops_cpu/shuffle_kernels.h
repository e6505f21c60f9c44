// The vector kernels of channel_shuffle (simd/shuffle.cpp), one table per instruction set.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

/// One row: y[i * streams + j] = x[j * length + i] for i < length, j < streams; and the way back.
using ShuffleKernel = void (*)(const float* x, float* y, int64_t length);

struct ShuffleKernels {
  ShuffleKernel interleave[2];    ///< of 2 and 3 streams
  ShuffleKernel deinterleave[2];  ///< y[j * length + i] = x[i * streams + j]
};

LIMBECK_SIMD_TABLE(ShuffleKernels, shuffle_kernels)

}  // namespace limbeck
