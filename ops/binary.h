// Element-wise arithmetic of two tensors as structs, for the reference and the CUDA kernels:
// value(a, b) and the slopes towards a and b. Formulas: ops/binary.cpp.
#pragma once
#include "tensor/host_device.h"

namespace limbeck::binary {

struct Add {
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a + b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T, T) {
    return 1;
  }
  template <class T>
  LIMBECK_HD static T slope_b(T, T) {
    return 1;
  }
};
struct Sub {
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a - b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T, T) {
    return 1;
  }
  template <class T>
  LIMBECK_HD static T slope_b(T, T) {
    return -1;
  }
};
struct Mul {
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a * b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T, T b) {
    return b;
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T) {
    return a;
  }
};
struct Div {
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a / b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T, T b) {
    return 1 / b;
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T b) {
    return -a / (b * b);
  }
};
// NaN in either operand gives NaN; ties share the gradient equally, as in PyTorch.
struct Maximum {
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a != a || a > b ? a : b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T a, T b) {
    return a > b ? T(1) : a == b ? T(0.5) : T(0);
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T b) {
    return slope_a(b, a);
  }
};
struct Minimum {
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a != a || a < b ? a : b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T a, T b) {
    return a < b ? T(1) : a == b ? T(0.5) : T(0);
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T b) {
    return slope_a(b, a);
  }
};

}  // namespace limbeck::binary
