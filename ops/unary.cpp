// Element-wise functions of one tensor: contract and reference.
//   forward  y[i] = f(x[i])          backward  dx[i] = dy[i] * f'(x[i])
// x, y: any shape, same type. Each function is a struct: value(x), slope(x, y), and which of x and y its slope reads.
// NaN passes through relu, leaky_relu and clamp, so that a diverged network shows itself.
#include <cmath>

#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck {
namespace {

struct Settings {
  double a = 0, b = 0;
};

struct NoSettings {
  static Settings settings(const Attrs&) { return {}; }
};

struct Relu : NoSettings {
  template <class T> static T value(T x, Settings) { return x <= 0 ? T(0) : x; }
  template <class T> static T slope(T, T y, Settings) { return y <= 0 ? T(0) : T(1); }
};

struct LeakyRelu {
  static Settings settings(const Attrs& attrs) {
    const double slope = attrs.number("slope", 0.01);
    // The backward reads the sign from y, which a negative slope would turn round.
    LIMBECK_CHECK(slope >= 0, "leaky_relu: slope must be >= 0, found ", slope);
    return {slope};
  }
  template <class T> static T value(T x, Settings s) { return x <= 0 ? T(s.a) * x : x; }
  template <class T> static T slope(T, T y, Settings s) { return y <= 0 ? T(s.a) : T(1); }
};

template <class T> T logistic(T x) {
  const T e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

struct Sigmoid : NoSettings {
  template <class T> static T value(T x, Settings) { return logistic(x); }
  template <class T> static T slope(T, T y, Settings) { return y * (1 - y); }
};

struct Tanh : NoSettings {
  template <class T> static T value(T x, Settings) { return std::tanh(x); }
  template <class T> static T slope(T, T y, Settings) { return 1 - y * y; }
};

struct Silu : NoSettings {
  template <class T> static T value(T x, Settings) { return x * logistic(x); }
  template <class T> static T slope(T x, T, Settings) {
    const T s = logistic(x);
    return s * (1 + x * (1 - s));
  }
};

struct Softplus : NoSettings {
  template <class T> static T value(T x, Settings) { return (x > 0 ? x : T(0)) + std::log1p(std::exp(-std::abs(x))); }
  template <class T> static T slope(T x, T, Settings) { return logistic(x); }
};

struct Exp : NoSettings {
  template <class T> static T value(T x, Settings) { return std::exp(x); }
  template <class T> static T slope(T, T y, Settings) { return y; }
};

struct Log : NoSettings {
  template <class T> static T value(T x, Settings) { return std::log(x); }
  template <class T> static T slope(T x, T, Settings) { return 1 / x; }
};

struct Sqrt : NoSettings {
  template <class T> static T value(T x, Settings) { return std::sqrt(x); }
  template <class T> static T slope(T, T y, Settings) { return T(0.5) / y; }
};

struct Square : NoSettings {
  template <class T> static T value(T x, Settings) { return x * x; }
  template <class T> static T slope(T x, T, Settings) { return 2 * x; }
};

struct Abs : NoSettings {
  template <class T> static T value(T x, Settings) { return std::abs(x); }
  template <class T> static T slope(T x, T, Settings) { return T((x > 0) - (x < 0)); }
};

struct PowScalar {
  static Settings settings(const Attrs& attrs) { return {attrs.number("exponent", 1)}; }
  template <class T> static T value(T x, Settings s) { return std::pow(x, T(s.a)); }
  template <class T> static T slope(T x, T, Settings s) { return s.a == 0 ? T(0) : T(s.a) * std::pow(x, T(s.a - 1)); }
};

struct Clamp {
  static Settings settings(const Attrs& attrs) {
    const Settings s{attrs.number("low", -HUGE_VAL), attrs.number("high", HUGE_VAL)};
    LIMBECK_CHECK(s.a <= s.b, "clamp: low must not exceed high, found low=", s.a, " high=", s.b);
    return s;
  }
  template <class T> static T value(T x, Settings s) { return x < T(s.a) ? T(s.a) : x > T(s.b) ? T(s.b) : x; }
  template <class T> static T slope(T x, T, Settings s) { return x < T(s.a) || x > T(s.b) ? T(0) : T(1); }
};

struct Affine {
  static Settings settings(const Attrs& attrs) { return {attrs.number("scale", 1), attrs.number("shift", 0)}; }
  template <class T> static T value(T x, Settings s) { return T(s.a) * x + T(s.b); }
  template <class T> static T slope(T, T, Settings s) { return T(s.a); }
};

template <class F, class T>
void forward(const ForwardCall& c) {
  const Settings s = F::settings(c.attrs);
  const auto x = c.in[0].span<T>();
  const auto y = c.out[0].span<T>();
  for (size_t i = 0; i < x.size(); ++i) y[i] = F::value(x[i], s);
}

template <class F, class T>
void backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const Settings s = F::settings(c.attrs);
  const T* x = c.in[0].defined() ? c.in[0].data<T>() : nullptr;
  const T* y = c.out[0].defined() ? c.out[0].data<T>() : nullptr;
  const auto dy = c.dout[0].span<T>();
  const auto dx = c.din[0].span<T>();
  for (size_t i = 0; i < dy.size(); ++i) dx[i] = dy[i] * F::slope(x ? x[i] : T(0), y ? y[i] : T(0), s);
}

enum class Saves { nothing, x, y };

struct Unary {
  const char* name;
  const char* formula;
  Saves saves;
  double low = -2, high = 2;            // range of the cases
  std::vector<Attrs> attrs = {Attrs{}}; // one set of cases each
  std::vector<double> kinks = {};
  const char* source = "elementary";
};

template <class F>
std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating("element-wise function", "x", in[0]);
  F::settings(attrs);
  return {{in[0].shape(), in[0].dtype()}};
}

template <class F>
Op unary(const Unary& u) {
  std::vector<OpCase> cases;
  for (const Attrs& attrs : u.attrs) {
    for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{}, Shape{0, 4}, Shape{37}})
      cases.push_back({{{shape, u.low, u.high}}, attrs, true});
    cases.push_back({{{{3, 7, 1031}, u.low, u.high}}, attrs, false});
  }
  return {
      .name = u.name, .formula = u.formula, .source = u.source,
      .inputs = {{"x"}}, .outputs = {{"y"}},
      .saved_inputs = u.saves == Saves::x ? std::vector<int>{0} : std::vector<int>{},
      .saved_outputs = u.saves == Saves::y ? std::vector<int>{0} : std::vector<int>{},
      .infer = infer<F>,
      .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<F, decltype(t)>(c); }>,
      .backward = floating<BackwardCall, [](auto t, const BackwardCall& c) { backward<F, decltype(t)>(c); }>,
      .cases = cases, .kinks = u.kinks,
      .bench_cases = {{{{{64, 32, 32, 64}, u.low, u.high}}, u.attrs.front(), false}},
  };
}

const RegisterOp relu_op(unary<Relu>({"relu", "y = max(x, 0)\ndx = dy [y > 0]", Saves::y, -2, 2, {{}}, {0}}));
const RegisterOp leaky_relu_op(unary<LeakyRelu>({"leaky_relu", "y = x > 0 ? x : slope x\ndx = y > 0 ? dy : slope dy", Saves::y, -2, 2,
                                                 {{{"slope", 0.2}}, {}}, {0}}));
const RegisterOp sigmoid_op(unary<Sigmoid>({"sigmoid", "y = 1 / (1 + e^-x)\ndx = dy y (1 - y)", Saves::y, -4, 4}));
const RegisterOp tanh_op(unary<Tanh>({"tanh", "y = tanh x\ndx = dy (1 - y^2)", Saves::y}));
const RegisterOp silu_op(unary<Silu>({"silu", "y = x s(x), s = logistic function\ndx = dy s (1 + x (1 - s))", Saves::x, -4, 4, {{}}, {},
                                      "Elfwing et al. 2018; Ramachandran et al. 2017 (swish)"}));
const RegisterOp softplus_op(unary<Softplus>({"softplus", "y = log(1 + e^x) = max(x, 0) + log1p(e^-|x|)\ndx = dy / (1 + e^-x)", Saves::x, -8, 8}));
const RegisterOp exp_op(unary<Exp>({"exp", "y = e^x\ndx = dy y", Saves::y}));
const RegisterOp log_op(unary<Log>({"log", "y = ln x\ndx = dy / x", Saves::x, 0.2, 3}));
const RegisterOp sqrt_op(unary<Sqrt>({"sqrt", "y = x^(1/2)\ndx = dy / (2 y)", Saves::y, 0.2, 3}));
const RegisterOp square_op(unary<Square>({"square", "y = x^2\ndx = 2 x dy", Saves::x}));
const RegisterOp abs_op(unary<Abs>({"abs", "y = |x|\ndx = sign(x) dy", Saves::x, -2, 2, {{}}, {0}}));
const RegisterOp pow_op(unary<PowScalar>({"pow_scalar", "y = x^exponent\ndx = exponent x^(exponent - 1) dy", Saves::x, 0.2, 3,
                                          {{{"exponent", 2.5}}, {{"exponent", -0.5}}, {{"exponent", 0.0}}}}));
const RegisterOp clamp_op(unary<Clamp>({"clamp", "y = min(max(x, low), high)\ndx = dy [low <= x <= high]", Saves::x, -2, 2,
                                        {{{"low", -0.5}, {"high", 0.75}}, {{"high", 0.75}}}, {-0.5, 0.75}}));
const RegisterOp affine_op(unary<Affine>({"affine", "y = scale x + shift\ndx = scale dy", Saves::nothing, -2, 2,
                                          {{{"scale", -1.5}, {"shift", 0.25}}, {{"shift", 3.0}}}}));

}  // namespace
}  // namespace limbeck
