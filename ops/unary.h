// Element-wise functions of one tensor as structs, for the reference and the CUDA kernels:
// settings(attrs) reads the operator's attributes, value(x, settings) is the function, slope(x, y,
// settings) its derivative from x or from y = value(x). Formulas: ops/unary.cpp. NaN passes through
// relu, leaky_relu and clamp, so that a diverged network shows itself.
#pragma once
#include <cmath>

#include "ops/attrs.h"
#include "tensor/host_device.h"

namespace limbeck::unary {

struct Settings {
  double a = 0, b = 0;
};

struct NoSettings {
  static Settings settings(const Attrs&) { return {}; }
};

struct Relu : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x <= 0 ? T(0) : x;
  }
  template <class T>
  LIMBECK_HD static T slope(T, T y, Settings) {
    return y <= 0 ? T(0) : T(1);
  }
};

struct LeakyRelu {
  static Settings settings(const Attrs& attrs) {
    const double slope = attrs.number("slope", 0.01);
    // The backward reads the sign from y, which a negative slope would turn round.
    LIMBECK_CHECK(slope >= 0, "leaky_relu: slope must be >= 0, found ", slope);
    return {slope};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    return x <= 0 ? T(s.a) * x : x;
  }
  template <class T>
  LIMBECK_HD static T slope(T, T y, Settings s) {
    return y <= 0 ? T(s.a) : T(1);
  }
};

template <class T>
LIMBECK_HD T logistic(T x) {
  const T e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

struct Sigmoid : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return logistic(x);
  }
  template <class T>
  LIMBECK_HD static T slope(T, T y, Settings) {
    return y * (1 - y);
  }
};

struct Tanh : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return std::tanh(x);
  }
  template <class T>
  LIMBECK_HD static T slope(T, T y, Settings) {
    return 1 - y * y;
  }
};

struct Silu : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x * logistic(x);
  }
  template <class T>
  LIMBECK_HD static T slope(T x, T, Settings) {
    const T s = logistic(x);
    return s * (1 + x * (1 - s));
  }
};

struct Softplus : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return (x > 0 ? x : T(0)) + std::log1p(std::exp(-std::abs(x)));
  }
  template <class T>
  LIMBECK_HD static T slope(T x, T, Settings) {
    return logistic(x);
  }
};

struct Exp : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return std::exp(x);
  }
  template <class T>
  LIMBECK_HD static T slope(T, T y, Settings) {
    return y;
  }
};

struct Log : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return std::log(x);
  }
  template <class T>
  LIMBECK_HD static T slope(T x, T, Settings) {
    return 1 / x;
  }
};

struct Sqrt : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return std::sqrt(x);
  }
  template <class T>
  LIMBECK_HD static T slope(T, T y, Settings) {
    return T(0.5) / y;
  }
};

struct Square : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return x * x;
  }
  template <class T>
  LIMBECK_HD static T slope(T x, T, Settings) {
    return 2 * x;
  }
};

struct Abs : NoSettings {
  template <class T>
  LIMBECK_HD static T value(T x, Settings) {
    return std::abs(x);
  }
  template <class T>
  LIMBECK_HD static T slope(T x, T, Settings) {
    return T((x > 0) - (x < 0));
  }
};

struct PowScalar {
  static Settings settings(const Attrs& attrs) { return {attrs.number("exponent", 1)}; }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    return std::pow(x, T(s.a));
  }
  template <class T>
  LIMBECK_HD static T slope(T x, T, Settings s) {
    return s.a == 0 ? T(0) : T(s.a) * std::pow(x, T(s.a - 1));
  }
};

struct Clamp {
  static Settings settings(const Attrs& attrs) {
    const Settings s{attrs.number("low", -HUGE_VAL), attrs.number("high", HUGE_VAL)};
    LIMBECK_CHECK(s.a <= s.b, "clamp: low must not exceed high, found low=", s.a, " high=", s.b);
    return s;
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    return x < T(s.a) ? T(s.a) : x > T(s.b) ? T(s.b) : x;
  }
  template <class T>
  LIMBECK_HD static T slope(T x, T, Settings s) {
    return x < T(s.a) || x > T(s.b) ? T(0) : T(1);
  }
};

struct Affine {
  static Settings settings(const Attrs& attrs) {
    return {attrs.number("scale", 1), attrs.number("shift", 0)};
  }
  template <class T>
  LIMBECK_HD static T value(T x, Settings s) {
    return T(s.a) * x + T(s.b);
  }
  template <class T>
  LIMBECK_HD static T slope(T, T, Settings s) {
    return T(s.a);
  }
};

}  // namespace limbeck::unary
