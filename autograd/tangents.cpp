#include "autograd/tangents.h"

#include <functional>
#include <map>
#include <string>

#include "autograd/autocast.h"
#include "autograd/functions.h"

namespace limbeck {
namespace {

/// A call and the tangents of its inputs, undefined where they are zero.
struct Turn {
  const OperatorCall& call;
  const Variables& d;
  const Variable& in(size_t i) const { return call.inputs[i]; }
  const Variable& out() const { return call.outputs[0]; }
};
using Rule = std::function<Variable(const Turn&)>;

Variable zeros_like(const Variable& x) {
  return Variable(Tensor::zeros(x.shape(), x.dtype(), x.data().device()));
}
/// One number, of x's type, beside which x is broadcast.
Tensor zero_beside(const Tensor& x) { return Tensor::zeros({}, x.dtype(), x.device()); }
Variable sum_of(const Variable& a, const Variable& b) {
  if (!a) return b;
  return b ? a + b : a;
}
/// A summand of `like`'s shape, which it may have by broadcasting only.
Variable in_shape(const Variable& d, const Variable& like) {
  return !d || d.shape() == like.shape() ? d : d + zeros_like(like);
}

/// For rules that know nothing of an input's tangent.
void expect_still(const Turn& t, std::initializer_list<size_t> inputs) {
  for (const size_t i : inputs)
    LIMBECK_CHECK(i >= t.d.size() || !t.d[i], "tangents: no rule for the operator ", t.call.name,
                  " where its input ", i, " depends on x");
}

/// The operator itself, without what it adds; tangents take the place of its inputs.
Variable linear_in_all(const Turn& t) {
  Variables inputs = t.call.inputs;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i] && is_floating(inputs[i].dtype()))
      inputs[i] = t.d[i] ? t.d[i] : zeros_like(inputs[i]);
  return apply(*t.call.op, inputs, t.call.attrs)[0];
}
/// The same where the first input alone moves: weights stay, a bias is left out.
Variable linear_in_first(const Turn& t) {
  expect_still(t, {1, 2});
  Variables inputs = t.call.inputs;
  inputs[0] = t.d[0];
  for (size_t i = 2; i < inputs.size(); ++i) inputs[i] = {};
  return apply(*t.call.op, inputs, t.call.attrs)[0];
}
Variable dropped(const Turn& t) { return apply(*t.call.op, {t.d[0], t.in(1)}, t.call.attrs)[0]; }

/// d where y > 0.
Variable where_positive(const Variable& d, const Variable& y) {
  const Tensor value = from_activation(y).data();  // comparisons are of f32
  return where(greater(value, zero_beside(value)), d, Variable(zero_beside(d.data())));
}

Variable of_clamp(const Turn& t) {
  const Tensor x = from_activation(t.in(0)).data();
  const auto bound = [&](const char* name) {
    return Tensor::full({}, t.call.attrs.number(name, 0), x.dtype(), x.device());
  };
  const Variable zero(zero_beside(t.d[0].data()));
  return where(greater(x, bound("low")), where(less(x, bound("high")), t.d[0], zero), zero);
}

Variable of_product(const Turn& t) {
  const Variable a = t.d[0] ? t.d[0] * t.in(1) : Variable(), b = t.d[1] ? t.in(0) * t.d[1] : a;
  return t.d[0] && t.d[1] ? a + b : b;
}

/// sigmoid(x) + x sigmoid'(x).
Variable of_silu(const Turn& t) {
  const Variable s = sigmoid(t.in(0));
  return t.d[0] * (s + t.in(0) * s * affine(s, -1, 1));
}

/// Windows that do not overlap: the tangent at the place of the maximum; equal maxima share it.
Variable of_max_pool(const Turn& t) {
  const Attrs& a = t.call.attrs;
  const auto [side, width] = a.pair("kernel", 2);
  const Variable x = from_activation(t.in(0));
  LIMBECK_CHECK(side == width && a.pair("stride", 2) == a.pair("kernel", 2) &&
                    a.pair("padding", 0) == std::pair(int64_t{0}, int64_t{0}) &&
                    x.size(1) % side == 0 && x.size(2) % side == 0,
                "tangents: no rule for max_pool2d with windows that overlap or leave a border");
  const Tensor highest = upsample_nearest(from_activation(t.out().detach()), side).data();
  const Variable zero = zeros_like(x), one = zero + 1.0;
  const PoolOptions windows{.kernel = {side, side}, .stride = {side, side}};
  const Variable at = where(equal(x.data(), highest), one, zero);
  return avg_pool2d(at * t.d[0], windows) / avg_pool2d(at, windows);
}

/// What batch norms share: the residual's tangent comes in, an activation's kink decides.
Variable closed(const Turn& t, const Variable& normalised, size_t residual) {
  const Variable d = sum_of(normalised, residual < t.d.size() ? t.d[residual] : Variable());
  return t.call.attrs.text("act", "none") == "relu" ? where_positive(d, t.out()) : d;
}
Variable scaled(const Variable& x, const Variable& gamma) { return gamma ? x * gamma : x; }

/// gamma inv (c - xhat mean(xhat c)), c = dx - mean dx, from the batch's statistics as functions of
/// x.
Variable of_batch_norm(const Turn& t) {
  expect_still(t, {1, 2});
  if (!t.d[0]) return closed(t, {}, 3);
  const Variable x = from_activation(t.in(0)), dx = from_activation(t.d[0]);
  const int64_t channels = x.size(-1);
  const auto rows = [&](const Variable& v) { return reshape(v, {-1, channels}); };
  const Variable flat = rows(x), centred = flat - mean(flat, {0}, true);
  const Variable inverse =
      pow(mean(square(centred), {0}, true) + t.call.attrs.number("eps", 1e-5), -0.5);
  const Variable normal = centred * inverse, c = rows(dx) - mean(rows(dx), {0}, true);
  const Variable d = inverse * (c - normal * mean(normal * c, {0}, true));
  return closed(t, reshape(scaled(d, t.in(1)), x.shape()), 3);
}
Variable of_batch_norm_eval(const Turn& t) {
  expect_still(t, {1, 2});
  if (!t.d[0]) return closed(t, {}, 5);
  const Variable deviation = pow(Variable(t.in(4).data()) + t.call.attrs.number("eps", 1e-5), -0.5);
  return closed(t, scaled(t.d[0] * deviation, t.in(1)), 5);
}

const std::map<std::string, Rule>& rules() {
  static const std::map<std::string, Rule> all{
      {"conv2d", linear_in_first},
      {"linear", linear_in_first},
      {"sum", linear_in_all},
      {"mean", linear_in_all},
      {"permute", linear_in_all},
      {"concat", linear_in_all},
      {"slice", linear_in_all},
      {"channel_shuffle", linear_in_all},
      {"avg_pool2d", linear_in_all},
      {"adaptive_avg_pool2d", linear_in_all},
      {"upsample_nearest", linear_in_all},
      {"dropout", dropped},
      {"reshape", [](const Turn& t) { return reshape(t.d[0], t.out().shape()); }},
      {"cast", [](const Turn& t) { return cast(t.d[0], t.out().dtype()); }},
      {"affine", [](const Turn& t) { return t.d[0] * t.call.attrs.number("scale", 1); }},
      {"add",
       [](const Turn& t) { return sum_of(in_shape(t.d[0], t.out()), in_shape(t.d[1], t.out())); }},
      {"mul", of_product},
      {"relu", [](const Turn& t) { return where_positive(t.d[0], t.out()); }},
      {"clamp", of_clamp},
      {"sigmoid", [](const Turn& t) { return t.d[0] * t.out() * affine(t.out(), -1, 1); }},
      {"silu", of_silu},
      {"max_pool2d", of_max_pool},
      {"batch_norm", of_batch_norm},
      {"batch_norm_eval", of_batch_norm_eval},
  };
  return all;
}

}  // namespace

Tangents::Tangents(std::vector<OperatorCall> calls, const Variable& x, const Variable& direction) {
  LIMBECK_CHECK(x.shape() == direction.shape(), "tangents: expected a direction of shape ",
                x.shape(), ", found ", direction.shape());
  known_[x.impl()] = direction;
  for (const OperatorCall& call : calls) follow(call);
}

void Tangents::follow(const OperatorCall& call) {
  Variables d;
  bool any = false;
  for (const Variable& v : call.inputs) {
    d.push_back(of(v));
    any = any || d.back();
  }
  if (!any) return;
  const auto rule = rules().find(call.name);
  LIMBECK_CHECK(rule != rules().end(), "tangents: no rule for the operator ", call.name);
  known_[call.outputs[0].impl()] = rule->second({call, d});
}

Variable Tangents::of(const Variable& output) const {
  if (!output) return {};
  const auto found = known_.find(output.impl());
  return found == known_.end() ? Variable() : found->second;
}

}  // namespace limbeck
