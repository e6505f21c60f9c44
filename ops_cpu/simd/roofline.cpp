// Peak multiply-add rate of one core. Source: Williams et al., Roofline, CACM 2009.
#include "ops_cpu/roofline.h"

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

constexpr int chains = 12;  // latency 4, two units: at least 8 independent chains keep them busy

float multiply_adds(int64_t rounds) {
  volatile float seed = 0.5f;  // hides the values from the compiler
  const V b = V{} + seed, c = V{} + seed;
  V a[chains];
  for (int k = 0; k < chains; ++k) a[k] = V{} + static_cast<float>(k);
  for (int64_t r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int k = 0; k < chains; ++k) a[k] = a[k] * b + c;
  V sum = a[0];
  for (int k = 1; k < chains; ++k) sum += a[k];
  float total = 0;
  for (int k = 0; k < W; ++k) total += sum[k];
  return total;
}

}  // namespace

const RooflineKernels& roofline_kernels() {
  static constexpr RooflineKernels table{multiply_adds, 2 * chains * W};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
