// One vector register of floats with GCC's vector extensions, as wide as the instruction set of this compilation.
// Only for files of ops_cpu/simd; everything is in the namespace of the instruction set, so that copies never mix at link time.
#pragma once
#include <cstdint>

namespace limbeck::LIMBECK_ISA {

#if defined(__AVX512F__)
inline constexpr int64_t W = 16;
#elif defined(__AVX2__)
inline constexpr int64_t W = 8;
#else
inline constexpr int64_t W = 4;
#endif

typedef float V __attribute__((vector_size(W * 4)));
typedef float Unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));

static inline V load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
static inline void store(float* p, V v) { *reinterpret_cast<Unaligned*>(p) = v; }

/// g where y > 0 (or NaN), else 0.
static inline V where_positive(V y, V g) { return y <= V{} ? V{} : g; }

}  // namespace limbeck::LIMBECK_ISA
