#include "ops/cases.h"

#include <cmath>

#include "tensor/random.h"

namespace limbeck {
namespace {

constexpr double kink_margin = 0.02;

double away_from_kinks(double x, const std::vector<double>& kinks) {
  for (double k : kinks)
    if (std::abs(x - k) < kink_margin) return x < k ? k - kink_margin : k + kink_margin;
  return x;
}

/// A shuffled grid instead of random draws; each input has its own shift, so that values of two
/// inputs differ too.
void fill_distinct(const Tensor& t, double low, double high, double shift, Stream& stream) {
  const std::vector<int64_t> order = stream.permutation(t.numel());
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<double>()[i] = low + (high - low) * (static_cast<double>(order[i]) + shift) /
                                    static_cast<double>(t.numel());
}

/// The first elements as the case lists them.
template <class T>
Tensor listed(const Tensor& t, const CaseInput& spec) {
  const auto elements = t.span<T>();
  for (size_t i = 0; i < std::min(spec.first.size(), elements.size()); ++i)
    elements[i] = static_cast<T>(spec.first[i]);
  return t;
}

Tensor draw(const Op& op, const CaseInput& spec, DType floating, double shift, Stream stream) {
  if (spec.dtype != DType::f32) {
    const Tensor t = Tensor::empty(spec.shape, DType::i64);
    if (t.numel() > 0)
      stream.fill_integers(t, static_cast<int64_t>(spec.low), static_cast<int64_t>(spec.high));
    return listed<int64_t>(t, spec).to(spec.dtype);
  }
  const Tensor t = Tensor::empty(spec.shape, DType::f64);
  if (op.distinct_values)
    fill_distinct(t, spec.low, spec.high, shift, stream);
  else
    stream.fill_uniform(t, spec.low, spec.high);
  for (double& x : t.span<double>()) x = away_from_kinks(x, op.kinks);
  return listed<double>(t, spec).to(DType::f32).to(floating);
}

}  // namespace

Tensors case_inputs(const Op& op, const OpCase& c, DType floating, uint64_t seed) {
  Tensors result;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const double shift = (static_cast<double>(i) + 1) / static_cast<double>(c.inputs.size() + 1);
    const DType type = floating == DType::bf16 && input_of(op, i).parameter ? DType::f32 : floating;
    result.push_back(c.inputs[i].given
                         ? draw(op, c.inputs[i], type, shift, Stream(seed).fork(op.name, i))
                         : Tensor());
  }
  return result;
}

Tensors widened(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& t : inputs)
    result.push_back(t.defined() && is_floating(t.dtype()) ? t.to(DType::f64) : t);
  return result;
}

std::string input_name(const Op& op, size_t i) {
  const size_t last = op.inputs.size() - 1;
  return op.variadic && i >= last ? cat(op.inputs[last].name, ".", i - last) : op.inputs[i].name;
}

std::string describe(const Op& op, const OpCase& c) {
  std::string text;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const CaseInput& in = c.inputs[i];
    text += (i ? ", " : "") + input_name(op, i) + " ";
    if (!in.given)
      text += "none";
    else
      text += (in.dtype == DType::f32 ? "f" : name_of(in.dtype)) + to_string(in.shape);
    for (size_t k = 0; k < in.first.size() && in.given; ++k)
      text += cat(k ? " " : " = ", in.first[k], k + 1 < in.first.size() ? "" : " ..");
  }
  const std::string attrs = to_string(c.attrs);
  if (!std::isnan(c.cotangent)) text += cat(", cotangent ", c.cotangent);
  return attrs.empty() ? text : text + "; " + attrs;
}

}  // namespace limbeck
