// What the element-wise functions of ops/unary.h and ops/binary.h are written with. One formula
// serves a float, a double, and a vector register of floats (ops_cpu/simd/elementwise.cpp), on the
// CPU and in CUDA kernels. Written so, it may use + - * /, comparisons, c ? a : b, literals that a
// float holds exactly, T{} for zero, and what stands here.
#pragma once
#include <cmath>
#include <type_traits>

#include "tensor/host_device.h"

namespace limbeck {

/// The functions of a scalar; vector registers specialise it.
template <class T>
struct Elementary {
  LIMBECK_HD static T number(double v) { return T(v); }
  LIMBECK_HD static T abs(T x) { return std::abs(x); }
  LIMBECK_HD static T exp(T x) { return std::exp(x); }
  LIMBECK_HD static T log(T x) { return std::log(x); }
  LIMBECK_HD static T log1p(T x) { return std::log1p(x); }
  LIMBECK_HD static T pow(T x, T exponent) { return std::pow(x, exponent); }
  LIMBECK_HD static T sqrt(T x) { return std::sqrt(x); }
  LIMBECK_HD static T floor(T x) { return std::floor(x); }
  LIMBECK_HD static T fmod(T x, T y) { return std::fmod(x, y); }
  LIMBECK_HD static T tanh(T x) { return std::tanh(x); }
  LIMBECK_HD static T erfc(T x) { return std::erfc(x); }
  LIMBECK_HD static T logistic(T x) {
    const T e = std::exp(-std::abs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
  }
};

namespace elementary {

/// A constant or setting as T.
template <class T>
LIMBECK_HD T number(double v) {
  return Elementary<T>::number(v);
}
template <class T>
LIMBECK_HD T abs(T x) {
  return Elementary<T>::abs(x);
}
template <class T>
LIMBECK_HD T exp(T x) {
  return Elementary<T>::exp(x);
}
template <class T>
LIMBECK_HD T log(T x) {
  return Elementary<T>::log(x);
}
/// log(1 + x) for x in [0, 1].
template <class T>
LIMBECK_HD T log1p(T x) {
  return Elementary<T>::log1p(x);
}
template <class T>
LIMBECK_HD T pow(T x, T exponent) {
  return Elementary<T>::pow(x, exponent);
}
template <class T>
LIMBECK_HD T sqrt(T x) {
  return Elementary<T>::sqrt(x);
}
template <class T>
LIMBECK_HD T floor(T x) {
  return Elementary<T>::floor(x);
}
/// What is left of x after whole multiples of y, with x's sign.
template <class T>
LIMBECK_HD T fmod(T x, T y) {
  return Elementary<T>::fmod(x, y);
}
template <class T>
LIMBECK_HD T tanh(T x) {
  return Elementary<T>::tanh(x);
}
template <class T>
LIMBECK_HD T erfc(T x) {
  return Elementary<T>::erfc(x);
}
/// 1 / (1 + e^-x).
template <class T>
LIMBECK_HD T logistic(T x) {
  return Elementary<T>::logistic(x);
}

}  // namespace elementary

/// The functions of a family, each a struct. Reference, CPU and CUDA register what is in the list,
/// so a struct and its name there are all that a new function needs.
template <class... F>
struct FunctionList {
  static constexpr int size = sizeof...(F);

  /// Where a table that was made from the list has G.
  template <class G>
  static constexpr int index() {
    static_assert((std::is_same_v<F, G> || ...), "not a function of this list");
    int i = 0;
    (void)((std::is_same_v<F, G> || (++i, false)) || ...);
    return i;
  }

  /// A static object of this type makes a K<F>, a registrar, for every function.
  template <template <class> class K>
  struct Each {
    Each() { (K<F>(), ...); }
  };
};

}  // namespace limbeck
