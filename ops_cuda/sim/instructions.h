// The shim's side of ops_cuda/instructions.h.
#pragma once
#include <bit>

#include "ops_cuda/sim/simt.h"
#include "tensor/bfloat16.h"

namespace limbeck::cuda {

namespace sim_detail {

struct Product {
  float* c;
  const uint32_t *a, *b;
};
inline float half_of(uint32_t word, int which) { return std::bit_cast<float>(which ? word & 0xffff0000u : word << 16); }
inline float tf32_of(uint32_t word) { return std::bit_cast<float>(word & 0xffffe000u); }

/// D = A B + C of one warp; PerWord is 2 for bf16 and 1 for tf32.
template <int K, int PerWord>
void multiply(void* const* lanes, unsigned) {
  constexpr int row_words = 2;  // A interleaves rows g and g + 8
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      Product& out = *static_cast<Product*>(lanes[row % 8 * 4 + column / 2]);
      float& sum = out.c[row / 8 * 2 + column % 2];
      for (int k = 0; k < K; ++k) {
        const int quad = k / PerWord % 4, step = k / (4 * PerWord);
        const uint32_t a = static_cast<Product*>(lanes[row % 8 * 4 + quad])->a[step * row_words + row / 8];
        const uint32_t b = static_cast<Product*>(lanes[column * 4 + quad])->b[step];
        const float x = PerWord == 2 ? half_of(a, k % 2) : tf32_of(a), y = PerWord == 2 ? half_of(b, k % 2) : tf32_of(b);
        sum += x * y;
      }
    }
}

struct Rows {
  const void* row;
  uint32_t* r;
};
template <bool transposed>
void spread(void* const* lanes, unsigned) {
  for (int matrix = 0; matrix < 4; ++matrix)
    for (int lane = 0; lane < 32; ++lane) {
      uint32_t word = 0;
      for (int half = 0; half < 2; ++half) {
        const int i = lane / 4, j = lane % 4 * 2 + half;
        const auto* row = static_cast<const uint16_t*>(static_cast<Rows*>(lanes[matrix * 8 + (transposed ? j : i)])->row);
        word |= static_cast<uint32_t>(row[transposed ? i : j]) << (16 * half);
      }
      static_cast<Rows*>(lanes[lane])->r[matrix] = word;
    }
}

}  // namespace sim_detail

inline void mma_bf16_k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  sim_detail::Product p{c, a, b};
  simt::collective("mma_bf16_k16", 0xffffffffu, &p, sim_detail::multiply<16, 2>);
}
inline void mma_bf16_k8(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
  sim_detail::Product p{c, a, b};
  simt::collective("mma_bf16_k8", 0xffffffffu, &p, sim_detail::multiply<8, 2>);
}
inline void mma_tf32_k8(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  sim_detail::Product p{c, a, b};
  simt::collective("mma_tf32_k8", 0xffffffffu, &p, sim_detail::multiply<8, 1>);
}
inline uint32_t to_tf32(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
}
inline uint32_t pack_bf16(float low, float high) { return bfloat16(low).bits | static_cast<uint32_t>(bfloat16(high).bits) << 16; }

inline void load_matrices(uint32_t (&r)[4], const void* row) {
  simt::check_alignment(row, 16, "row of load_matrices");
  sim_detail::Rows rows{row, r};
  simt::collective("load_matrices", 0xffffffffu, &rows, sim_detail::spread<false>);
}
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  simt::check_alignment(row, 16, "row of load_matrices_transposed");
  sim_detail::Rows rows{row, r};
  simt::collective("load_matrices_transposed", 0xffffffffu, &rows, sim_detail::spread<true>);
}

inline void copy_async16(void* to, const void* from, bool valid = true) { simt::copy_async(to, from, 16, valid ? 16 : 0); }
inline void copy_async8(void* to, const void* from, bool valid = true) { simt::copy_async(to, from, 8, valid ? 8 : 0); }
inline void copy_async4(void* to, const void* from, bool valid = true) { simt::copy_async(to, from, 4, valid ? 4 : 0); }
inline void commit_async() { simt::commit_copies(); }
template <int N> void wait_async() { simt::wait_for_copies(N); }

}  // namespace limbeck::cuda
