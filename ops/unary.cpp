// Element-wise functions of one tensor: contract and reference.
//   forward  y[i] = f(x[i])          backward  dx[i] = dy[i] * f'(x[i])
// x, y: any shape, same type. Each function is a struct of ops/unary.h.
#include "ops/unary.h"

#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::unary_op {
namespace {

using namespace unary;

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
  for (size_t i = 0; i < dy.size(); ++i)
    dx[i] = dy[i] * F::slope(x ? x[i] : T(0), y ? y[i] : T(0), s);
}

enum class Saves { nothing, x, y };

struct Unary {
  const char* name;
  const char* formula;
  Saves saves;
  double low = -2, high = 2;             // range of the cases
  std::vector<Attrs> attrs = {Attrs{}};  // one set of cases each
  std::vector<double> kinks = {};
  const char* source = "elementary";
};

template <class F>
std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating("element-wise function", "x", in[0]);
  F::settings(attrs);
  return {{in[0].shape(), in[0].dtype()}};
}

bool shifts_only(const std::vector<TensorSpec>&, const TensorSpec&, size_t, const Attrs& attrs) {
  return attrs.number("scale", 1) == 1;
}

template <class F>
Op make_op(const Unary& u) {
  std::vector<OpCase> cases;
  for (const Attrs& attrs : u.attrs) {
    for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{}, Shape{0, 4}, Shape{37}})
      cases.push_back({{{shape, u.low, u.high}}, attrs, true});
    cases.push_back({{{{3, 7, 1031}, u.low, u.high}}, attrs, false});
  }
  return {
      .name = u.name,
      .formula = u.formula,
      .source = u.source,
      .inputs = {{"x"}},
      .outputs = {{"y"}},
      .saved_inputs = u.saves == Saves::x ? std::vector<int>{0} : std::vector<int>{},
      .saved_outputs = u.saves == Saves::y ? std::vector<int>{0} : std::vector<int>{},
      .infer = infer<F>,
      .forward =
          floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<F, decltype(t)>(c); }>,
      .backward = floating<BackwardCall,
                           [](auto t, const BackwardCall& c) { backward<F, decltype(t)>(c); }>,
      .cases = cases,
      .kinks = u.kinks,
      .passes_gradient = std::is_same_v<F, Affine> ? shifts_only : nullptr,
      .bench_cases = {{{{{64, 32, 32, 64}, u.low, u.high}}, u.attrs.front(), false}},
  };
}

const RegisterOp relu_op(
    make_op<Relu>({"relu", "y = max(x, 0)\ndx = dy [y > 0]", Saves::y, -2, 2, {{}}, {0}}));
const RegisterOp leaky_relu_op(
    make_op<LeakyRelu>({"leaky_relu",
                        "y = x > 0 ? x : slope x\ndx = y > 0 ? dy : slope dy",
                        Saves::y,
                        -2,
                        2,
                        {{{"slope", 0.2}}, {}},
                        {0}}));
const RegisterOp sigmoid_op(make_op<Sigmoid>({"sigmoid", "y = 1 / (1 + e^-x)\ndx = dy y (1 - y)",
                                              Saves::y, -4, 4}));
const RegisterOp tanh_op(make_op<Tanh>({"tanh", "y = tanh x\ndx = dy (1 - y^2)", Saves::y}));
const RegisterOp silu_op(
    make_op<Silu>({"silu",
                   "y = x s(x), s = logistic function\ndx = dy s (1 + x (1 - s))",
                   Saves::x,
                   -4,
                   4,
                   {{}},
                   {},
                   "Elfwing et al. 2018; Ramachandran et al. 2017 (swish)"}));
const RegisterOp softplus_op(make_op<Softplus>(
    {"softplus", "y = log(1 + e^x) = max(x, 0) + log1p(e^-|x|)\ndx = dy / (1 + e^-x)", Saves::x, -8,
     8}));
const RegisterOp exp_op(make_op<Exp>({"exp", "y = e^x\ndx = dy y", Saves::y}));
const RegisterOp log_op(make_op<Log>({"log", "y = ln x\ndx = dy / x", Saves::x, 0.2, 3}));
const RegisterOp sqrt_op(make_op<Sqrt>({"sqrt", "y = x^(1/2)\ndx = dy / (2 y)", Saves::y, 0.2, 3}));
const RegisterOp square_op(make_op<Square>({"square", "y = x^2\ndx = 2 x dy", Saves::x}));
const RegisterOp abs_op(
    make_op<Abs>({"abs", "y = |x|\ndx = sign(x) dy", Saves::x, -2, 2, {{}}, {0}}));
const RegisterOp pow_op(
    make_op<PowScalar>({"pow_scalar",
                        "y = x^exponent\ndx = exponent x^(exponent - 1) dy",
                        Saves::x,
                        0.2,
                        3,
                        {{{"exponent", 2.5}}, {{"exponent", -0.5}}, {{"exponent", 0.0}}}}));
const RegisterOp clamp_op(make_op<Clamp>({"clamp",
                                          "y = min(max(x, low), high)\ndx = dy [low <= x <= high]",
                                          Saves::x,
                                          -2,
                                          2,
                                          {{{"low", -0.5}, {"high", 0.75}}, {{"high", 0.75}}},
                                          {-0.5, 0.75}}));
const RegisterOp affine_op(make_op<Affine>({"affine",
                                            "y = scale x + shift\ndx = scale dy",
                                            Saves::nothing,
                                            -2,
                                            2,
                                            {{{"scale", -1.5}, {"shift", 0.25}},
                                             {{"shift", 3.0}}}}));

}  // namespace
}  // namespace limbeck::unary_op
