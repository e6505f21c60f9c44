// Element-wise functions of one tensor: contract and reference.
//   forward  y[i] = f(x[i])          backward  dx[i] = dy[i] * f'(x[i])
// x, y: any shape, same type. Each function is a struct of ops/unary.h.
#include "ops/unary.h"

#include <limits>

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
  const Tensor& saved = c.in[0].defined() ? c.in[0] : c.out[0];
  const T* at = saved.defined() ? saved.data<T>() : nullptr;
  const auto dy = c.dout[0].span<T>();
  const auto dx = c.din[0].span<T>();
  for (size_t i = 0; i < dy.size(); ++i) dx[i] = dy[i] * F::gradient(T(1), at ? at[i] : T(0), s);
}

template <class F>
std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating(F::about().name, "x", in[0]);
  F::settings(attrs);
  return {{in[0].shape(), in[0].dtype()}};
}

template <class F>
bool passes_gradient(const std::vector<TensorSpec>&, const TensorSpec&, size_t,
                     const Attrs& attrs) {
  if constexpr (requires { F::passes_gradient(attrs); }) return F::passes_gradient(attrs);
  return false;
}

/// Zero and next to it, where tanh has rounded to one or nearly so, where e^x nearly leaves f32,
/// and what is no number.
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double extremes[] = {
    0,   1e-40, 7.5,      8,         8.1,
    8.3, 8.7,   9.2,      20,        88,
    -20, -88,   infinity, -infinity, std::numeric_limits<double>::quiet_NaN()};

std::vector<OpCase> cases_of(const About& f) {
  std::vector<OpCase> cases;
  for (const Attrs& attrs : f.attrs) {
    for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{}, Shape{0, 4}, Shape{37}})
      cases.push_back({{{shape, f.low, f.high}}, attrs, true});
    cases.push_back({{{{3, 7, 1031}, f.low, f.high}}, attrs, false});
    for (const double x : extremes) cases.push_back({{{.shape = {1}, .first = {x}}}, attrs, false});
  }
  return cases;
}

template <class F>
Op make_op() {
  const About f = F::about();
  return {
      .name = f.name,
      .formula = f.formula,
      .source = f.source,
      .inputs = {{"x"}},
      .outputs = {{"y"}},
      .saved_inputs = f.saves == Saves::x ? std::vector<int>{0} : std::vector<int>{},
      .saved_outputs = f.saves == Saves::y ? std::vector<int>{0} : std::vector<int>{},
      .infer = infer<F>,
      .forward =
          floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<F, decltype(t)>(c); }>,
      .backward = floating<BackwardCall,
                           [](auto t, const BackwardCall& c) { backward<F, decltype(t)>(c); }>,
      .cases = cases_of(f),
      .kinks = f.kinks,
      .passes_gradient = passes_gradient<F>,
      .bench_cases = {{{{{64, 32, 32, 64}, f.low, f.high}}, f.attrs.front(), false}},
  };
}

template <class F>
struct Record : RegisterOp {
  Record() : RegisterOp(make_op<F>()) {}
};
const Functions::Each<Record> records;

}  // namespace
}  // namespace limbeck::unary_op
