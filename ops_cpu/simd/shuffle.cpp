// Vector kernels of channel_shuffle; see shuffle_kernels.h. S vectors of S streams become S vectors
// of the interleaved row, or back, by permutations of two vectors at a time: with S = 3, first the
// values from two of the vectors, then those of the third.
#include "ops_cpu/shuffle_kernels.h"

#include <utility>

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

#define LIMBECK_INLINE inline __attribute__((always_inline))

/// Which lanes of the vectors v[0], v[1], ... laid end to end a permutation takes: from the first
/// two of them, then from that result and the third.
struct Lanes {
  int first[W], second[W];
};
template <class Index>
constexpr Lanes lanes_of(Index index) {
  Lanes lanes{};
  for (int k = 0; k < int(W); ++k) {
    const int i = index(k);
    lanes.first[k] = i < 2 * int(W) ? i : 0;
    lanes.second[k] = i < 2 * int(W) ? k : i - int(W);
  }
  return lanes;
}

/// Lane k of the result is lane (lanes.*list)[k] of a and b laid end to end. (__builtin_shuffle is
/// GCC's alone, the other one came to it with version 12.)
template <const Lanes& lanes, int (Lanes::*list)[W]>
LIMBECK_INLINE V permuted(V a, V b) {
#if __has_builtin(__builtin_shufflevector)
  return [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(a, b, (lanes.*list)[k]...);
  }
  (std::make_index_sequence<W>());
#else
  typedef int32_t I __attribute__((vector_size(W * 4)));
  I index;
  for (int k = 0; k < int(W); ++k) index[k] = (lanes.*list)[k];
  return __builtin_shuffle(a, b, index);
#endif
}

template <const Lanes& lanes, int S>
LIMBECK_INLINE V gather(const V (&v)[S]) {
  const V t = permuted<lanes, &Lanes::first>(v[0], v[1]);
  if constexpr (S == 2)
    return t;
  else
    return permuted<lanes, &Lanes::second>(t, v[2]);
}

template <int S, int part>
constexpr Lanes interleaving = lanes_of([](int k) {
  return (part * int(W) + k) % S * int(W) + (part * int(W) + k) / S;
});
template <int S, int part>
LIMBECK_INLINE V interleaved(const V (&v)[S]) {
  return gather<interleaving<S, part>>(v);
}

template <int S, int stream>
constexpr Lanes deinterleaving = lanes_of([](int k) { return k * S + stream; });
template <int S, int stream>
LIMBECK_INLINE V deinterleaved(const V (&v)[S]) {
  return gather<deinterleaving<S, stream>>(v);
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
