// The element-wise functions of one tensor, each once for reference, vector and CUDA kernels
// (ops/elementary.h), with all that its operator says of itself. To add one, write a struct
//   about()                     the operator's record
//   settings(attrs)             reads and checks the attributes (Plain: there are none)
//   value(x, settings)          the function
//   gradient(dy, at, settings)  dy times its derivative, from `at`, the x or y that about() saves
// and its name in the list below. The reference and the CUDA kernels multiply dy by gradient(1,
// ..), so that a cotangent that is not finite shows itself; vector kernels take gradient(dy, ..).
// NaN passes through relu, leaky_relu and clamp, so that a diverged network shows itself.
#pragma once
#include <vector>

#include "ops/attrs.h"
#include "ops/elementary.h"

namespace limbeck::unary {

using namespace elementary;

enum class Saves { nothing, x, y };

struct About {
  const char* name;
  const char* formula;                   ///< forward; backward, one line each
  Saves saves = Saves::x;                ///< what the backward reads
  double low = -2, high = 2;             ///< range of the cases
  std::vector<double> kinks = {};        ///< where the derivative jumps
  std::vector<Attrs> attrs = {Attrs{}};  ///< one set of cases each
  const char* source = "elementary";
};

struct Settings {
  double a = 0, b = 0;
};

struct Plain {
  static Settings settings(const Attrs&) { return {}; }
};

struct Relu : Plain {
  static About about() {
    return {.name = "relu",
            .formula = "y = max(x, 0)\ndx = dy [y > 0]",
            .saves = Saves::y,
            .kinks = {0}};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x <= T{} ? T{} : x;
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T y, Settings) {
    return y <= T{} ? T{} : dy;
  }
};

struct LeakyRelu {
  static About about() {
    return {.name = "leaky_relu",
            .formula = "y = x > 0 ? x : slope x\ndx = y > 0 ? dy : slope dy",
            .saves = Saves::y,
            .kinks = {0},
            .attrs = {{{"slope", 0.2}}, {}}};
  }
  /// Throws naming the attribute.
  static Settings settings(const Attrs& attrs) {
    const double slope = attrs.number("slope", 0.01);
    // The backward reads the sign from y, which a negative slope would turn round.
    LIMBECK_CHECK(slope >= 0, "leaky_relu: slope must be >= 0, found ", slope);
    return {slope};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    return x <= T{} ? number<T>(s.a) * x : x;
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T y, Settings s) {
    return y <= T{} ? number<T>(s.a) * dy : dy;
  }
};

struct Sigmoid : Plain {
  static About about() {
    return {.name = "sigmoid",
            .formula = "y = 1 / (1 + e^-x)\ndx = dy y (1 - y)",
            .saves = Saves::y,
            .low = -4,
            .high = 4};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return logistic(x);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T y, Settings) {
    return dy * y * (1 - y);
  }
};

struct Tanh : Plain {
  static About about() {
    return {.name = "tanh", .formula = "y = tanh x\ndx = dy (1 - y^2)", .saves = Saves::y};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return tanh(x);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T y, Settings) {
    return dy * (1 - y * y);
  }
};

struct Silu : Plain {
  static About about() {
    return {.name = "silu",
            .formula = "y = x s(x), s = logistic function\ndx = dy s (1 + x (1 - s))",
            .low = -4,
            .high = 4,
            .source = "Elfwing et al. 2018; Ramachandran et al. 2017 (swish)"};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x * logistic(x);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings) {
    const T s = logistic(x);
    return dy * s * (1 + x * (1 - s));
  }
};

struct Softplus : Plain {
  static About about() {
    return {.name = "softplus",
            .formula = "y = log(1 + e^x) = max(x, 0) + log1p(e^-|x|)\ndx = dy / (1 + e^-x)",
            .low = -8,
            .high = 8};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return (x > T{} ? x : T{}) + log1p(exp(-abs(x)));
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings) {
    return dy * logistic(x);
  }
};

struct GeluTanh : Plain {
  static About about() {
    return {.name = "gelu_tanh",
            .formula =
                "y = x s(u), s = logistic function, u = sqrt(8 / pi) (x + 0.044715 x^3)\n"
                "dx = dy (s + y (1 - s) u'), u' = sqrt(8 / pi) (1 + 0.134145 x^2)",
            .low = -4,
            .high = 4,
            .source = "Hendrycks & Gimpel 2016 (GELU), the form with tanh"};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x * logistic(number<T>(1.5957691216057308) * x * (1 + number<T>(0.044715) * x * x));
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings) {
    const T c = number<T>(1.5957691216057308), square = x * x;
    const T s = logistic(c * x * (1 + number<T>(0.044715) * square));
    return dy * (s + x * s * (1 - s) * c * (1 + number<T>(0.134145) * square));
  }
};

struct Gelu : Plain {
  static About about() {
    return {.name = "gelu",
            .formula =
                "y = x P(x), P(x) = erfc(-x / sqrt(2)) / 2\n"
                "dx = dy (P(x) + x e^(-x^2 / 2) / sqrt(2 pi))",
            .low = -4,
            .high = 4,
            .source = "Hendrycks & Gimpel 2016 (GELU)"};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x * 0.5f * erfc(x * number<T>(-0.7071067811865476));
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings) {
    const T density = number<T>(0.3989422804014327) * exp(x * x * -0.5f);
    return dy * (0.5f * erfc(x * number<T>(-0.7071067811865476)) + x * density);
  }
};

struct Exp : Plain {
  static About about() {
    return {.name = "exp", .formula = "y = e^x\ndx = dy y", .saves = Saves::y};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return exp(x);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T y, Settings) {
    return dy * y;
  }
};

struct Log : Plain {
  static About about() {
    return {.name = "log", .formula = "y = ln x\ndx = dy / x", .low = 0.2, .high = 3};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return log(x);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings) {
    return dy / x;
  }
};

struct Sqrt : Plain {
  static About about() {
    return {.name = "sqrt",
            .formula = "y = x^(1/2)\ndx = dy / (2 y)",
            .saves = Saves::y,
            .low = 0.2,
            .high = 3};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return sqrt(x);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T y, Settings) {
    return dy * 0.5f / y;
  }
};

struct Square : Plain {
  static About about() { return {.name = "square", .formula = "y = x^2\ndx = 2 x dy"}; }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x * x;
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings) {
    return 2 * x * dy;
  }
};

struct Abs : Plain {
  static About about() {
    return {.name = "abs", .formula = "y = |x|\ndx = sign(x) dy", .kinks = {0}};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return abs(x);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings) {
    return x > T{} ? dy : x < T{} ? -dy : T{};
  }
};

struct PowScalar {
  static About about() {
    return {.name = "pow_scalar",
            .formula = "y = x^exponent\ndx = exponent x^(exponent - 1) dy",
            .low = 0.2,
            .high = 3,
            .attrs = {{{"exponent", 2.5}}, {{"exponent", -0.5}}, {{"exponent", 0.0}}}};
  }
  static Settings settings(const Attrs& attrs) { return {attrs.number("exponent", 1)}; }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    return pow(x, number<T>(s.a));
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings s) {
    return dy * (s.a == 0 ? T{} : number<T>(s.a) * pow(x, number<T>(s.a - 1)));
  }
};

struct Clamp {
  static About about() {
    return {.name = "clamp",
            .formula = "y = min(max(x, low), high)\ndx = dy [low <= x <= high]",
            .kinks = {-0.5, 0.75},
            .attrs = {{{"low", -0.5}, {"high", 0.75}}, {{"high", 0.75}}}};
  }
  /// Throws naming the attribute.
  static Settings settings(const Attrs& attrs) {
    const Settings s{attrs.number("low", -HUGE_VAL), attrs.number("high", HUGE_VAL)};
    LIMBECK_CHECK(s.a <= s.b, "clamp: low must not exceed high, found low=", s.a, " high=", s.b);
    return s;
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    const T low = number<T>(s.a), high = number<T>(s.b);
    return x < low ? low : x > high ? high : x;
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T x, Settings s) {
    return x < number<T>(s.a) ? T{} : x > number<T>(s.b) ? T{} : dy;
  }
};

struct Affine {
  static About about() {
    return {.name = "affine",
            .formula = "y = scale x + shift\ndx = scale dy",
            .saves = Saves::nothing,
            .attrs = {{{"scale", -1.5}, {"shift", 0.25}}, {{"shift", 3.0}}}};
  }
  /// Throws naming the attribute.
  static Settings settings(const Attrs& attrs) {
    return {attrs.number("scale", 1), attrs.number("shift", 0)};
  }
  /// Where dx is dy itself, the tape needs no kernel. Optional.
  static bool passes_gradient(const Attrs& attrs) { return attrs.number("scale", 1) == 1; }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    return number<T>(s.a) * x + number<T>(s.b);
  }
  template <class T>
  LIMBECK_HD static T gradient(T dy, T, Settings s) {
    return number<T>(s.a) * dy;
  }
};

using Functions = FunctionList<Relu, LeakyRelu, Sigmoid, Tanh, Silu, Softplus, GeluTanh, Gelu, Exp,
                               Log, Sqrt, Square, Abs, PowScalar, Clamp, Affine>;

}  // namespace limbeck::unary
