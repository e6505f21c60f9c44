// What this machine can do at most: the yardstick of `limbeck ops bench`.
#pragma once
#include <cstdint>

#include "ops_cpu/isa.h"

namespace limbeck {

struct RooflineKernels {
  /// `rounds` rounds of independent multiply-adds in registers; returns a value that depends on all
  /// of them.
  float (*multiply_adds)(int64_t rounds);
  int64_t flops_per_round;
};

LIMBECK_SIMD_TABLE(RooflineKernels, roofline_kernels)

struct Roofline {
  double bytes_per_second = 0;  ///< read plus written, copying 64 MiB per thread
  double flops_per_second = 0;  ///< fused multiply-adds in registers, two FLOPs each
  /// Least seconds for this work: the larger of the two limits.
  double seconds(double bytes, double flops) const;
};

/// Measures both with the current number of OpenMP threads (about 0.3 s).
Roofline measure_roofline();

}  // namespace limbeck
