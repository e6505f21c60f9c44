// The shim's side of ops_cuda/instructions.h.
#pragma once
#include <bit>

#include "ops_cuda/sim/simt.h"
#include "tensor/bfloat16.h"

namespace limbeck::cuda {

namespace sim_detail {

/// One lane's part of D = A B + C of a warp.
struct Product {
  float* c;
  const uint32_t *a, *b;
};
void multiply_bf16_k16(void* const* lanes, unsigned mask);
void multiply_bf16_k8(void* const* lanes, unsigned mask);
void multiply_tf32_k8(void* const* lanes, unsigned mask);

/// One lane's part of loading four 8x8 matrices of 16-bit words. Here, because the sanitizers must
/// see what the kernel reads.
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
        const auto* row = static_cast<const uint16_t*>(
            static_cast<Rows*>(lanes[matrix * 8 + (transposed ? j : i)])->row);
        word |= static_cast<uint32_t>(row[transposed ? i : j]) << (16 * half);
      }
      static_cast<Rows*>(lanes[lane])->r[matrix] = word;
    }
}

}  // namespace sim_detail

inline void mma_bf16_k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  sim_detail::Product p{c, a, b};
  simt::collective("mma_bf16_k16", 0xffffffffu, &p, sim_detail::multiply_bf16_k16);
}
inline void mma_bf16_k8(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
  sim_detail::Product p{c, a, b};
  simt::collective("mma_bf16_k8", 0xffffffffu, &p, sim_detail::multiply_bf16_k8);
}
inline void mma_tf32_k8(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  sim_detail::Product p{c, a, b};
  simt::collective("mma_tf32_k8", 0xffffffffu, &p, sim_detail::multiply_tf32_k8);
}
inline uint32_t to_tf32(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
}
inline uint32_t pack_bf16(float low, float high) {
  return bfloat16(low).bits | static_cast<uint32_t>(bfloat16(high).bits) << 16;
}

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

inline void copy_async16(void* to, const void* from, bool valid = true) {
  simt::copy_async(to, from, 16, valid ? 16 : 0);
}
inline void copy_async8(void* to, const void* from, bool valid = true) {
  simt::copy_async(to, from, 8, valid ? 8 : 0);
}
inline void copy_async4(void* to, const void* from, bool valid = true) {
  simt::copy_async(to, from, 4, valid ? 4 : 0);
}
inline void commit_async() { simt::commit_copies(); }
template <int N>
void wait_async() {
  simt::wait_for_copies(N);
}

}  // namespace limbeck::cuda
