// Vector kernel of dropout; see dropout_kernels.h. Philox-4x32-10 (tensor/random.cpp) on 16
// counters side by side gives 64 numbers.
#include "ops_cpu/dropout_kernels.h"

namespace limbeck::LIMBECK_ISA {
namespace {

constexpr int lanes = 16;
typedef uint32_t U32 __attribute__((vector_size(lanes * 4)));
typedef uint64_t U64 __attribute__((vector_size(lanes * 8)));

// bits[4 * lane + word] of blocks first .. first + lanes - 1.
void philox(uint64_t key, uint64_t first, uint32_t* __restrict bits) {
  U64 counter;
  for (int l = 0; l < lanes; ++l) counter[l] = first + uint64_t(l);
  U32 c0 = __builtin_convertvector(counter, U32), c1 = __builtin_convertvector(counter >> 32, U32),
      c2 = {}, c3 = {};
  auto k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const U64 p0 = __builtin_convertvector(c0, U64) * 0xD2511F53u,
              p1 = __builtin_convertvector(c2, U64) * 0xCD9E8D57u;
    c0 = __builtin_convertvector(p1 >> 32, U32) ^ c1 ^ k0;
    c2 = __builtin_convertvector(p0 >> 32, U32) ^ c3 ^ k1;
    c1 = __builtin_convertvector(p1, U32);
    c3 = __builtin_convertvector(p0, U32);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  for (int l = 0; l < lanes; ++l)
    bits[4 * l] = c0[l], bits[4 * l + 1] = c1[l], bits[4 * l + 2] = c2[l], bits[4 * l + 3] = c3[l];
}

void mask(const float* x, float* y, int64_t n, uint64_t key, uint64_t block, float p, float scale) {
  uint32_t bits[4 * lanes];
  for (int64_t i = 0; i < n; i += 4 * lanes) {
    philox(key, block + uint64_t(i / 4), bits);
    const int64_t count = n - i < 4 * lanes ? n - i : 4 * lanes;
    for (int64_t k = 0; k < count; ++k) {
      const float u = float(int32_t(bits[k] >> 8)) * 0x1p-24f;
      y[i + k] = u >= p ? x[i + k] * scale : 0.0f;
    }
  }
}

}  // namespace

const DropoutKernels& dropout_kernels() {
  static constexpr DropoutKernels table{mask};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
