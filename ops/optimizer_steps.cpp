// In-place steps of the optimisers and averages: contract and reference. No backward; computed in
// double, stored in the tensors' type.
//   sgd_step           g += weight_decay w;  v = first ? g : momentum v + g;  w -= lr (nesterov ?
//                                            g + momentum v : v)
//   adam_step          g += weight_decay w, or, decoupled, w *= 1 - lr weight_decay
//                      m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//                      w -= lr / (1 - b1^step) * m / (sqrt(v) / sqrt(1 - b2^step) + eps)
//   ema_step           target = decay target + (1 - decay) source
// w, g, v, m (target, source; running, batch_value) share one shape. lr[1], hyper[2] = {lr, step
// from 1}, decay[1] are tensors of w's type, so that a recorded graph can replay with new values.
// Sources: PyTorch's SGD; Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2.
#include <cmath>
#include <iterator>

#include "ops/checks.h"

namespace limbeck::optimizer_steps_op {
namespace {

template <class T>
void sgd(const ForwardCall& c) {
  const double momentum = c.attrs.number("momentum", 0), decay = c.attrs.number("weight_decay", 0),
               lr = c.in[3].data<T>()[0];
  const bool nesterov = c.attrs.flag("nesterov"), first = c.attrs.flag("first");
  T *w = c.in[0].data<T>(), *v = c.in[2].data<T>();
  const T* grad = c.in[1].data<T>();
  for (int64_t i = 0; i < c.in[0].numel(); ++i) {
    const double g = grad[i] + decay * w[i];
    const double velocity = first ? g : momentum * v[i] + g;
    v[i] = static_cast<T>(velocity);
    w[i] = static_cast<T>(w[i] - lr * (nesterov ? g + momentum * velocity : velocity));
  }
}

template <class T>
void adam(const ForwardCall& c) {
  const double b1 = c.attrs.number("beta1", 0.9), b2 = c.attrs.number("beta2", 0.999),
               eps = c.attrs.number("eps", 1e-8);
  const double decay = c.attrs.number("weight_decay", 0), lr = c.in[4].data<T>()[0],
               step = c.in[4].data<T>()[1];
  const bool decoupled = c.attrs.flag("decoupled");
  const double l2 = decoupled ? 0 : decay, keep = decoupled ? 1 - lr * decay : 1;
  const double step_size = lr / (1 - std::pow(b1, step)), root = std::sqrt(1 - std::pow(b2, step));
  T *w = c.in[0].data<T>(), *m = c.in[2].data<T>(), *v = c.in[3].data<T>();
  const T* grad = c.in[1].data<T>();
  for (int64_t i = 0; i < c.in[0].numel(); ++i) {
    const double g = grad[i] + l2 * w[i];
    const double first = b1 * m[i] + (1 - b1) * g, second = b2 * v[i] + (1 - b2) * g * g;
    m[i] = static_cast<T>(first);
    v[i] = static_cast<T>(second);
    w[i] = static_cast<T>(keep * w[i] - step_size * first / (std::sqrt(second) / root + eps));
  }
}

template <class T>
void ema(const ForwardCall& c) {
  const double decay = c.in[2].data<T>()[0];
  T* target = c.in[0].data<T>();
  const T* source = c.in[1].data<T>();
  for (int64_t i = 0; i < c.in[0].numel(); ++i)
    target[i] = static_cast<T>(decay * target[i] + (1 - decay) * source[i]);
}

/// Tensors shaped like the first; then a small one of `scalars` values.
struct Sgd {
  static constexpr const char *op = "sgd_step", *names[] = {"w", "g", "v", "lr"};
  static constexpr int scalars = 1;
};
struct Adam {
  static constexpr const char *op = "adam_step", *names[] = {"w", "g", "m", "v", "hyper"};
  static constexpr int scalars = 2;
};
struct Ema {
  static constexpr const char *op = "ema_step", *names[] = {"target", "source", "decay"};
  static constexpr int scalars = 1;
};

template <class S>
std::vector<TensorSpec> infer(const Tensors& in, const Attrs&) {
  constexpr size_t last = std::size(S::names) - 1;
  check_floating(S::op, S::names[0], in[0]);
  for (size_t i = 1; i < last; ++i) check_shape(S::op, S::names[i], in[i], in[0], in[0].shape());
  check_shape(S::op, S::names[last], in[last], in[0], {S::scalars});
  return {};
}

const std::vector<Shape> shapes = {{3, 5}, {1}, {}, {0, 3}, {37}, {5, 3, 1031}};

OpCase sgd_case(const Shape& s, const Attrs& attrs) {
  return {{{s}, {s}, {s}, {{1}, 0.01, 0.5}}, attrs, false};
}
OpCase adam_case(const Shape& s, double low, double high, const Attrs& attrs) {
  // hyper = {lr, step}: one range serves both, so the step is a real number here; the formula does
  // not mind.
  return {{{s}, {s}, {s}, {s, 0.01, 1}, {{2}, low, high}}, attrs, false};
}

std::vector<OpCase> sgd_cases() {
  std::vector<OpCase> list;
  for (const Shape& s : shapes)
    list.push_back(sgd_case(s, {{"momentum", 0.9}, {"weight_decay", 5e-4}}));
  for (const bool first : {false, true})
    for (const bool nesterov : {false, true}) {
      list.push_back(sgd_case(
          {2, 67},
          {{"momentum", 0.9}, {"weight_decay", 0.01}, {"nesterov", nesterov}, {"first", first}}));
    }
  list.push_back(sgd_case({2, 67}, {}));
  return list;
}

std::vector<OpCase> adam_cases() {
  std::vector<OpCase> list;
  for (const Shape& s : shapes) list.push_back(adam_case(s, 1, 2, {}));
  // A beta that is no f32: 1 - beta2 must come from its exact value. Without a history it is all of
  // v.
  list.push_back({.inputs = {{{37}}, {{37}}, {{37}}, {{37}, 0, 0}, {{2}, 1, 2}},
                  .attrs = {{"beta2", 0.9999}},
                  .grad = false});
  for (const bool decoupled : {false, true})
    list.push_back(adam_case({2, 67}, 3, 4,
                             {{"beta1", 0.0},
                              {"beta2", 0.9},
                              {"eps", 1e-6},
                              {"weight_decay", 0.01},
                              {"decoupled", decoupled}}));
  return list;
}

std::vector<OpCase> ema_cases() {
  std::vector<OpCase> list;
  for (const Shape& s : shapes) list.push_back({{{s}, {s}, {{1}, 0.5, 1}}, {}, false});
  return list;
}

const RegisterOp sgd_op({
    .name = "sgd_step",
    .formula = "g += weight_decay w; v = first ? g : momentum v + g; w -= lr (nesterov ? g + "
               "momentum v : v)",
    .source = "PyTorch's SGD (no dampening)",
    .inputs = {{"w", false}, {"g", false}, {"v", false}, {"lr", false}},
    .mutated_inputs = {0, 2},
    .infer = infer<Sgd>,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { sgd<decltype(t)>(c); }>,
    .cases = sgd_cases(),
});
const RegisterOp adam_op({
    .name = "adam_step",
    .formula = "g += weight_decay w (decoupled: w *= 1 - lr weight_decay); m = b1 m + (1 - b1) g; "
               "v = b2 v + (1 - b2) g^2; w -= lr / (1 "
               "- b1^t) m / (sqrt(v / (1 - b2^t)) + eps)",
    .source = "Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2",
    .inputs = {{"w", false}, {"g", false}, {"m", false}, {"v", false}, {"hyper", false}},
    .mutated_inputs = {0, 2, 3},
    .infer = infer<Adam>,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { adam<decltype(t)>(c); }>,
    .cases = adam_cases(),
});
const RegisterOp ema_op({
    .name = "ema_step",
    .formula = "target = decay target + (1 - decay) source",
    .source = "elementary",
    .inputs = {{"target", false}, {"source", false}, {"decay", false}},
    .mutated_inputs = {0},
    .infer = infer<Ema>,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { ema<decltype(t)>(c); }>,
    .cases = ema_cases(),
});

}  // namespace
}  // namespace limbeck::optimizer_steps_op
