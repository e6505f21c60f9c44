#include "nn/parity.h"

#include <algorithm>
#include <cmath>

#include "tensor/random.h"

namespace limbeck::nn {

// --- the fill rule -------------------------------------------------------------------------------

double parity_uniform(uint64_t name_hash, uint64_t i) {
  uint64_t x = name_hash + i + 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  x ^= x >> 31;
  return static_cast<double>(x >> 40) * 0x1p-24;
}

Tensor parity_fill_uniform(const std::string& name, const Shape& shape) {
  Tensor t = Tensor::empty(shape, DType::f64);
  const uint64_t h = fnv1a(name);
  double* p = t.data<double>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = parity_uniform(h, static_cast<uint64_t>(i));
  return t;
}

namespace {

/// u -> scale * (2u - 1) + shift.
Tensor signed_fill(const std::string& name, const Shape& shape, double scale, double shift = 0) {
  Tensor t = parity_fill_uniform(name, shape);
  for (double& v : t.span<double>()) v = scale * (2 * v - 1) + shift;
  return t;
}

Tensor unit_vector(const std::string& name, const Shape& shape) {
  Tensor t = signed_fill(name, shape, 1);
  double squares = 0;
  for (double v : t.span<double>()) squares += v * v;
  for (double& v : t.span<double>()) v /= std::sqrt(squares);
  return t;
}

}  // namespace

Tensor parity_fill(const std::string& name, const Shape& shape, double scale) {
  return signed_fill(name, shape, scale);
}

Tensor parity_state_value(const std::string& key, const Shape& shape) {
  const std::string last = key.substr(key.rfind('.') + 1);
  auto is = [&](std::initializer_list<const char*> names) {
    return std::find(names.begin(), names.end(), last) != names.end();
  };
  if (key.ends_with("num_batches_tracked")) return Tensor::zeros(shape, DType::i64);
  if (is({"running_mean", "stored_mean"})) return signed_fill(key, shape, 0.1);
  if (is({"running_var", "stored_var"})) return signed_fill(key, shape, 0.25, 1.25);  // 1 + 0.5 u
  if (is({"weight_u", "weight_v", "u0"})) return unit_vector(key, shape);
  if (is({"sv0"})) return Tensor::full(shape, 1, DType::f64);
  if (is({"sigma", "gamma"})) return Tensor::full(shape, 0.5, DType::f64);
  if (shape.rank() >= 2)
    return signed_fill(key, shape,
                       std::sqrt(3.0 / static_cast<double>(shape.numel(1, shape.rank()))));
  if (is({"weight", "gain"})) return signed_fill(key, shape, 0.1, 1);
  if (is({"bias"})) return signed_fill(key, shape, 0.1);
  return signed_fill(key, shape, 1);
}

void parity_fill_state(Module& module, const double* one_element_bias) {
  TensorFile state;
  for (const auto& [key, value] : module.state_dict().tensors) {
    Tensor t = parity_state_value(key, value.shape());
    if (one_element_bias && t.numel() == 1 && key.ends_with("bias")) t.fill(*one_element_bias);
    state.add(key, t);
  }
  module.load_state_dict(state, "parity fill");
}

// --- summaries -----------------------------------------------------------------------------------

Summary summarise(const Tensor& t) {
  Summary s;
  s.n = t.numel();
  const Tensor values = t.to(cpu).to(DType::f64);
  double squares = 0;
  for (double v : values.span<double>()) {
    s.sum += v;
    squares += v * v;
    if (s.first.size() < 4) s.first.push_back(v);
  }
  s.l2 = std::sqrt(squares);
  return s;
}

Summary summarise_memory(const Tensor& t) {
  return summarise(t.rank() == 4 ? to_channels_first(t.to(cpu)) : t);
}

// --- comparison ----------------------------------------------------------------------------------

bool ParityReport::ok() const {
  return !lines.empty() &&
         std::all_of(lines.begin(), lines.end(), [](const ParityLine& l) { return l.ok(); });
}

namespace {

/// Keeps the worst of several comparisons. A NaN counts as infinitely wrong.
struct Worst {
  ParityLine& line;
  void see(const std::string& what, double found, double expected, double scale, double bound) {
    double relative = std::abs(found - expected);
    if (relative != 0) relative /= std::max(scale, std::abs(expected));
    if (std::isnan(relative)) relative = HUGE_VAL;
    if (relative / bound < line.error || (relative == 0 && !line.detail.empty())) return;
    line.error = relative / bound;
    line.relative = relative;
    std::ostringstream out;
    out.precision(17);
    out << what << ": expected " << expected << ", found " << found;
    line.detail = out.str();
  }
};

}  // namespace

void ParityReport::add(const std::string& group, const std::string& quantity, const Summary& found,
                       const Summary& expected, const ParityBounds& bounds, double floor) {
  if (found.n != expected.n || found.first.size() < expected.first.size())
    return add_exact(group, quantity, false,
                     cat("expected ", expected.n, " elements, found ", found.n));
  ParityLine line{group, quantity, 0, 0, ""};
  Worst worst{line};
  const double norm = std::max(expected.l2, floor);
  const double rms = norm / std::sqrt(static_cast<double>(std::max<int64_t>(expected.n, 1)));
  worst.see("l2", found.l2, expected.l2, norm, bounds.l2);
  worst.see("sum", found.sum, expected.sum, norm, bounds.element);
  for (size_t i = 0; i < expected.first.size(); ++i)
    worst.see(cat("element ", i), found.first[i], expected.first[i], rms, bounds.element);
  lines.push_back(line);
}

void ParityReport::add(const std::string& group, const std::string& quantity, double found,
                       double expected, double bound, double floor) {
  ParityLine line{group, quantity, 0, 0, ""};
  Worst{line}.see("value", found, expected, floor, bound);
  lines.push_back(line);
}

void ParityReport::add_exact(const std::string& group, const std::string& quantity, bool holds,
                             const std::string& detail) {
  lines.push_back(
      {group, quantity, holds ? 0.0 : HUGE_VAL, holds ? 0.0 : HUGE_VAL, holds ? "" : detail});
}

ParityBounds parity_bounds(DType dtype, ParityKind kind) {
  if (dtype == DType::f64) return {1e-8, 1e-6};
  switch (kind) {
    case ParityKind::eval: return {1e-4, 1e-4};
    case ParityKind::train: return {1e-3, 1e-3};
    case ParityKind::gradient: return {5e-2, 0.5};
    case ParityKind::later_loss: return {0.5, 0.5};
  }
  fail("parity_bounds: unknown kind");
}

}  // namespace limbeck::nn
