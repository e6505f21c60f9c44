// The element-wise functions of two tensors, each once for reference, vector and CUDA kernels
// (ops/elementary.h), with all that its operator says of itself. To add one, write a struct
//   about()                      the operator's record
//   value(a, b)                  the function
//   slope_a(a, b), slope_b(a, b) its derivatives, which read neither operand where about() says so
// and its name in the list below.
#pragma once
#include "ops/elementary.h"

namespace limbeck::binary {

using namespace elementary;

struct About {
  const char* name;
  const char* formula;         ///< forward; backward, one line each
  bool reads_operands = true;  ///< whether the slopes look at a and b
  double low = -1, high = 1;   ///< range of the cases
  const char* source = "elementary";
};

struct Add {
  static About about() {
    return {.name = "add",
            .formula = "y = a + b\nda = dy, db = dy (summed over repeated dimensions)",
            .reads_operands = false};
  }
  /// The gradient of an operand that is not repeated is dy itself. Optional.
  static constexpr bool passes_gradient = true;
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a + b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T, T) {
    return number<T>(1);
  }
  template <class T>
  LIMBECK_HD static T slope_b(T, T) {
    return number<T>(1);
  }
};

struct Sub {
  static About about() {
    return {.name = "sub", .formula = "y = a - b\nda = dy, db = -dy", .reads_operands = false};
  }
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a - b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T, T) {
    return number<T>(1);
  }
  template <class T>
  LIMBECK_HD static T slope_b(T, T) {
    return number<T>(-1);
  }
};

struct Mul {
  static About about() { return {.name = "mul", .formula = "y = a b\nda = b dy, db = a dy"}; }
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
  static About about() {
    return {.name = "div",
            .formula = "y = a / b\nda = dy / b, db = -dy a / b^2",
            .low = 0.5,
            .high = 2};
  }
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
  static About about() {
    return {.name = "maximum",
            .formula = "y = max(a, b)\nda = dy [a > b], db = dy [b > a], half each on ties"};
  }
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a != a ? a : a > b ? a : b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T a, T b) {
    return a > b ? number<T>(1) : a == b ? number<T>(0.5) : T{};
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T b) {
    return slope_a(b, a);
  }
};

struct Minimum {
  static About about() {
    return {.name = "minimum",
            .formula = "y = min(a, b)\nda = dy [a < b], db = dy [b < a], half each on ties"};
  }
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    return a != a ? a : a < b ? a : b;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T a, T b) {
    return a < b ? number<T>(1) : a == b ? number<T>(0.5) : T{};
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T b) {
    return slope_a(b, a);
  }
};

using Functions = FunctionList<Add, Sub, Mul, Div, Maximum, Minimum>;

}  // namespace limbeck::binary
