// Vector kernels of channel_shuffle; see shuffle_kernels.h. S vectors of S streams become S vectors
// of the interleaved row, or back, by permutations of two vectors at a time: with S = 3, first the
// values from two of the vectors, then those of the third.
#include "ops_cpu/shuffle_kernels.h"

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

typedef int32_t I __attribute__((vector_size(W * 4)));
#define LIMBECK_INLINE inline __attribute__((always_inline))

/// Lane k of the result is lane index(k) of the vectors v[0], v[1], ... laid end to end. The
/// indices are constants once this is inlined.
template <int S, class Index>
LIMBECK_INLINE V gather(const V (&v)[S], Index index) {
  I first, second;
#pragma GCC unroll 16
  for (int k = 0; k < W; ++k) {
    const int i = index(k);
    first[k] = i < 2 * W ? i : 0;
    second[k] = i < 2 * W ? k : i - W;
  }
  const V t = __builtin_shuffle(v[0], v[1], first);
  if constexpr (S == 2)
    return t;
  else
    return __builtin_shuffle(t, v[2], second);
}

template <int S, int part>
LIMBECK_INLINE V interleaved(const V (&v)[S]) {
  return gather<S>(
      v, [](int k) { return (part * int(W) + k) % S * int(W) + (part * int(W) + k) / S; });
}

template <int S, int stream>
LIMBECK_INLINE V deinterleaved(const V (&v)[S]) {
  return gather<S>(v, [](int k) { return k * S + stream; });
}

template <int S>
void interleave(const float* x, float* y, int64_t length) {
  int64_t i = 0;
  for (; i + W <= length; i += W, y += S * W) {
    V v[S];
    for (int j = 0; j < S; ++j) v[j] = load(x + j * length + i);
    store(y, interleaved<S, 0>(v));
    store(y + W, interleaved<S, 1>(v));
    if constexpr (S == 3) store(y + 2 * W, interleaved<S, 2>(v));
  }
  for (; i < length; ++i, y += S)
    for (int j = 0; j < S; ++j) y[j] = x[j * length + i];
}

template <int S>
void deinterleave(const float* x, float* y, int64_t length) {
  int64_t i = 0;
  for (; i + W <= length; i += W, x += S * W) {
    V v[S];
    for (int j = 0; j < S; ++j) v[j] = load(x + j * W);
    store(y + i, deinterleaved<S, 0>(v));
    store(y + length + i, deinterleaved<S, 1>(v));
    if constexpr (S == 3) store(y + 2 * length + i, deinterleaved<S, 2>(v));
  }
  for (; i < length; ++i, x += S)
    for (int j = 0; j < S; ++j) y[j * length + i] = x[j];
}

}  // namespace

const ShuffleKernels& shuffle_kernels() {
  static constexpr ShuffleKernels table{{interleave<2>, interleave<3>},
                                        {deinterleave<2>, deinterleave<3>}};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
