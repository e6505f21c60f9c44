// exp, log, tanh and erfc of one vector of floats, and what follows from them. Errors of a few
// units in the last place; NaN stays NaN. Only for files of ops_cpu/simd. Sources: Cephes (expf,
// logf: S. L. Moshier); tanh: the rational approximation of Eigen; erfc: Press et al., Numerical
// Recipes, section 6.2.
#pragma once
#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {

typedef int32_t I __attribute__((vector_size(W * 4)));

static inline V splat(float v) { return V{} + v; }
static inline V absolute(V x) { return (V)((I)x & (I{} + 0x7fffffff)); }
static inline V clamped(V x, float low, float high) {
  return x < low ? splat(low) : x > high ? splat(high) : x;
}

/// e^x: x = n ln 2 + r, |r| <= ln 2 / 2, polynomial in r, times 2^n in two factors so that the ends
/// of the range come out right.
static inline V exp(V x) {
  const V bounded = clamped(x, -104.0f, 90.0f);
  const V n = (bounded * 1.44269504088896341f + 12582912.0f) - 12582912.0f;  // nearest integer
  const V r = (bounded - n * 0.693359375f) - n * -2.12194440e-4f;
  V p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const I e = __builtin_convertvector(x == x ? n : V{}, I), half = e >> 1;
  return p * (V)((half + 127) << 23) * (V)((e - half + 127) << 23);
}

/// ln x; -inf at 0, NaN below.
static inline V log(V x) {
  const I small = x < 1.17549435e-38f;  // subnormal: 2^23 x is normal
  const I bits = (I)(small ? x * 8388608.0f : x);
  I e = (bits >> 23) - 126 - (small & (I{} + 23));
  V m = (V)((bits & (I{} + 0x007fffff)) | (I{} + 0x3f000000));  // in [0.5, 1)
  const I low = m < 0.707106781186547524f;
  e += low;  // -1 where low
  m = (low ? m + m : m) - 1.0f;
  const V z = m * m;
  V p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const V n = __builtin_convertvector(e, V);
  V y = p * m * z + n * -2.12194440e-4f - 0.5f * z + m + n * 0.693359375f;
  y = x == 0.0f ? splat(-__builtin_inff()) : y;
  y = x < 0.0f ? splat(__builtin_nanf("")) : y;
  y = x == __builtin_inff() ? x : y;
  return x == x ? y : x;
}

/// The rational approximation ends where tanh is 1 - 4 ulp; from there on, each bound that |x| has
/// passed is half way to the next of the four numbers up to 1.
static inline V tanh(V x) {
  const V c = clamped(x, -7.90531110763549805f, 7.90531110763549805f), z = c * c;
  V p = splat(-2.76076847742355e-16f);
  p = p * z + 2.00018790482477e-13f;
  p = p * z + -8.60467152213735e-11f;
  p = p * z + 5.12229709037114e-08f;
  p = p * z + 1.48572235717979e-05f;
  p = p * z + 6.37261928875436e-04f;
  p = p * z + 4.89352455891786e-03f;
  V q = splat(1.19825839466702e-06f);
  q = q * z + 1.18534705686654e-04f;
  q = q * z + 2.26843463243900e-03f;
  q = q * z + 4.89352518554385e-03f;
  const V a = absolute(x), y = c * p / q;
  const I passed = (a > 8.0379583f) + (a > 8.2061944f) + (a > 8.4616072f) + (a > 9.0109133f);
  const I tail = (I{} + 0x3f7ffffc) - passed;  // a passed bound is -1
  return a > 7.90531110763549805f ? (V)(tail | ((I)x & (I{} + (int32_t)0x80000000))) : y;
}

/// 1 - erf x, without cancellation for large x.
static inline V erfc(V x) {
  const V z = absolute(x), t = 1.0f / (1.0f + 0.5f * z);
  V p = splat(0.17087277f);
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  const V y = t * exp(p - z * z);
  return x < 0.0f ? 2.0f - y : y;
}

static inline V logistic(V x) { return 1.0f / (1.0f + exp(-x)); }

/// log(1 + x) for x in [0, 1]; the quotient repairs what 1 + x loses.
static inline V log1p(V x) {
  const V u = 1.0f + x;
  return u == 1.0f ? x : log(u) * x / (u - 1.0f);
}

}  // namespace limbeck::LIMBECK_ISA
