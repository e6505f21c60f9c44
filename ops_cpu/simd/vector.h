// One vector register of floats with GCC's vector extensions, as wide as the instruction set of
// this compilation: 4 floats of SSE and NEON, 8 of AVX2, 16 of AVX-512. Only for files of
// ops_cpu/simd; everything is in the namespace of the instruction set, so that copies never mix at
// link time.
#pragma once
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

// The first n lanes, 0 < n < W; the others are zero when loaded and left alone when stored, and
// their memory is not touched.
#if defined(__AVX512F__)
static inline __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
static inline V load_some(const float* p, int64_t n) {
  return reinterpret_cast<V>(_mm512_maskz_loadu_ps(first_lanes(n), p));
}
static inline void store_some(float* p, V v, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), reinterpret_cast<__m512>(v));
}
#elif defined(__AVX2__)
static inline __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline V load_some(const float* p, int64_t n) {
  return reinterpret_cast<V>(_mm256_maskload_ps(p, first_lanes(n)));
}
static inline void store_some(float* p, V v, int64_t n) {
  _mm256_maskstore_ps(p, first_lanes(n), reinterpret_cast<__m256>(v));
}
#else
static inline V load_some(const float* p, int64_t n) {
  V v{p[0]};  // lane by lane: a loop would go through memory
  if (n > 1) v[1] = p[1];
  if (n > 2) v[2] = p[2];
  return v;
}
static inline void store_some(float* p, V v, int64_t n) {
  p[0] = v[0];
  if (n > 1) p[1] = v[1];
  if (n > 2) p[2] = v[2];
}
#endif

/// g where y > 0 (or NaN), else 0.
static inline V where_positive(V y, V g) { return y <= V{} ? V{} : g; }

}  // namespace limbeck::LIMBECK_ISA
