// The element-wise functions of two tensors, each once for reference, vector and CUDA kernels
// (ops/elementary.h), with all that its operator says of itself. To add one, write a struct
//   about()                      the operator's record
//   value(a, b)                  the function
//   slope_a(a, b), slope_b(a, b) its derivatives, which read neither operand where about() says so
// and its name in the list below. Optional:
//   whole(a, b)                  the function of integers (i32, i64), in 64 bits that wrap
//   divides                      integers: b is not 0
//   differentiable               false: no gradient, no slopes
#pragma once
#include <cstdint>

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

/// Arithmetic on integers is that of their bits: what does not fit wraps.
LIMBECK_HD inline uint64_t bits(int64_t v) { return static_cast<uint64_t>(v); }
LIMBECK_HD inline int64_t wrapped(uint64_t v) { return static_cast<int64_t>(v); }

template <class F>
concept Integers = requires {
  F::whole(int64_t{}, int64_t{});
};
template <class F>
concept Divides = requires {
  requires F::divides;
};
template <class F>
concept Differentiable = !requires {
  requires !F::differentiable;
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
  LIMBECK_HD static int64_t whole(int64_t a, int64_t b) { return wrapped(bits(a) + bits(b)); }
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
  LIMBECK_HD static int64_t whole(int64_t a, int64_t b) { return wrapped(bits(a) - bits(b)); }
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
  LIMBECK_HD static int64_t whole(int64_t a, int64_t b) { return wrapped(bits(a) * bits(b)); }
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
  LIMBECK_HD static int64_t whole(int64_t a, int64_t b) { return a > b ? a : b; }
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
  LIMBECK_HD static int64_t whole(int64_t a, int64_t b) { return a < b ? a : b; }
  template <class T>
  LIMBECK_HD static T slope_a(T a, T b) {
    return a < b ? number<T>(1) : a == b ? number<T>(0.5) : T{};
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T b) {
    return slope_a(b, a);
  }
};

// Division towards minus infinity, and what it leaves, with b's sign: floor_divide(a, b) b +
// remainder(a, b) = a, as torch.floor_divide and torch.remainder. Of integers b is not 0.
struct FloorDivide {
  static constexpr bool differentiable = false, divides = true;
  static About about() {
    return {.name = "floor_divide",
            .formula = "y = floor(a / b)\nno gradient",
            .low = 0.5,
            .high = 4,
            .source = "elementary (exact: from the remainder, as in Python)"};
  }
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    const T rest = fmod(a, b), quotient = (a - rest) / b;
    const T exact =
        ((rest != T{}) & ((b < T{}) != (rest < T{}))) ? quotient - number<T>(1) : quotient;
    const T low = floor(exact), near = exact - low > number<T>(0.5) ? low + number<T>(1) : low;
    return b == T{} ? a / b : exact == T{} ? a / b * T{} : near;  // a zero has its sign
  }
  LIMBECK_HD static int64_t whole(int64_t a, int64_t b) {
    if (b == -1) return wrapped(0 - bits(a));
    return a / b - (a % b != 0 && (b < 0) != (a < 0));
  }
};

struct Remainder {
  static constexpr bool divides = true;
  static About about() {
    return {.name = "remainder",
            .formula = "y = a - b floor(a / b)\nda = dy, db = -dy floor(a / b)",
            .low = 0.5,
            .high = 4};
  }
  template <class T>
  LIMBECK_HD static T value(T a, T b) {
    const T rest = fmod(a, b);
    return ((rest != T{}) & ((b < T{}) != (rest < T{}))) ? rest + b : rest;
  }
  template <class T>
  LIMBECK_HD static T slope_a(T, T) {
    return number<T>(1);
  }
  template <class T>
  LIMBECK_HD static T slope_b(T a, T b) {
    return -FloorDivide::value(a, b);
  }
  LIMBECK_HD static int64_t whole(int64_t a, int64_t b) {
    if (b == -1) return 0;
    const int64_t rest = a % b;
    return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;
  }
};

using Functions = FunctionList<Add, Sub, Mul, Div, Maximum, Minimum, FloorDivide, Remainder>;

}  // namespace limbeck::binary
