#include "apps/op_file.h"

#include <algorithm>
#include <array>

#include "apps/op_json.h"
#include "ops/cases.h"
#include "ops/check.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

/// Moves tensors between the layouts of files and of memory; `weight` is the spectral norms' W,
/// whose shape says how v is ordered.
class Layout {
 public:
  Layout(const Op& op, const Shape& weight) : images_(op.images), weight_(weight) {
    const bool spectral = op.name.rfind("spectral_norm", 0) == 0;
    vector_ = images_ && spectral && weight.rank() == 4;
    if (images_ && spectral && !vector_) images_ = false;  // a matrix in any order of its rows
  }
  /// How errors write shapes.
  bool channels_first() const { return images_; }
  Tensor to_memory(const std::string& name, const Tensor& t) const {
    if (vector_ && name == "v" && t.defined())
      return permuted_vector(t, {weight_[3], weight_[1], weight_[2]}, {1, 2, 0});
    return moves(t) ? moved(t, 1, t.rank() - 1) : t;
  }
  Tensor to_file(const std::string& name, const Tensor& t) const {
    if (vector_ && name == "v")
      return permuted_vector(t, {weight_[1], weight_[2], weight_[3]}, {2, 0, 1});
    return moves(t) ? moved(t, t.rank() - 1, 1) : t;
  }

 private:
  /// [N, C, L], [N, C, H, W] and [N, C, D, H, W]; without positions both orders are the same.
  bool moves(const Tensor& t) const {
    return images_ && t.defined() && t.rank() >= 3 && t.rank() <= 5;
  }
  /// The dimension `from` becomes the dimension `to`, the others keep their order.
  static Tensor moved(const Tensor& t, int from, int to) {
    std::vector<int> order;
    for (int d = 0; d < t.rank(); ++d)
      if (d != from) order.push_back(d);
    order.insert(order.begin() + to, from);
    return permuted(t, order);
  }
  static Tensor permuted_vector(const Tensor& t, const Shape& as, std::array<int, 3> order) {
    LIMBECK_CHECK(t.numel() == as.numel(), "input 'v': expected ", as.numel(), " elements, found ",
                  describe(t));
    return permuted(t.reshape(as), order).reshape(t.shape());
  }
  bool images_, vector_ = false;
  Shape weight_;  // in memory order
};

/// File names of the operator's inputs; the repeated one as often as the file has it.
std::vector<std::string> input_names(const Op& op, const TensorFile& in) {
  std::vector<std::string> names;
  for (size_t i = 0; i < op.inputs.size(); ++i) names.push_back(input_name(op, i));
  if (op.variadic)
    while (in.find(input_name(op, names.size()))) names.push_back(input_name(op, names.size()));
  return names;
}

void refuse_unknown(const Op& op, const TensorFile& in, const std::vector<std::string>& inputs,
                    const OpFileOptions& o) {
  std::vector<std::string> known = inputs;
  for (const OpOutput& out : op.outputs)
    if (out.differentiable) known.push_back("grad_" + out.name);
  for (const auto& [name, tensor] : in.tensors)
    LIMBECK_CHECK(std::find(known.begin(), known.end(), name) != known.end(), o.source,
                  ": operator ", op.name, " has no input '", name, "'", did_you_mean(name, known));
}

Tensors read_inputs(const Op& op, const TensorFile& in, const std::vector<std::string>& names,
                    const OpFileOptions& o) {
  Tensors result;
  for (size_t i = 0; i < names.size(); ++i) {
    const Tensor* t = in.find(names[i]);
    LIMBECK_CHECK(t || input_of(op, i).optional, o.source, ": operator ", op.name,
                  " needs a tensor '", names[i], "'");
    result.push_back(t ? t->clone() : Tensor());
  }
  return result;
}

Tensors read_cotangents(const Op& op, const TensorFile& in, const Tensors& out,
                        const Layout& layout, const OpFileOptions& o) {
  Tensors result(out.size());
  for (size_t j = 0; j < out.size(); ++j) {
    if (!op.outputs[j].differentiable || !is_floating(out[j].dtype())) continue;
    const std::string name = "grad_" + op.outputs[j].name;
    if (const Tensor* given = in.find(name)) {
      result[j] = layout.to_memory(op.outputs[j].name, *given);
      LIMBECK_CHECK(result[j].shape() == out[j].shape() && result[j].dtype() == out[j].dtype(),
                    o.source, ": '", name, "' must fit the output ", describe(out[j]), ", found ",
                    describe(result[j]));
    } else {
      result[j] = Tensor::empty_like(out[j]);
      Stream(0).fork("cotangent", j).fill_uniform(result[j], -1, 1);
    }
  }
  return result;
}

void check_kernel_name(const Op& op, const std::string& kernel) {
  std::vector<std::string> names;
  for (const Kernel& k : implementations(op)) names.push_back(k.name);
  LIMBECK_CHECK(std::find(names.begin(), names.end(), kernel) != names.end(), "operator ", op.name,
                " has no kernel '", kernel, "'; it has: ", joined(names));
}

void add_gradients(const Op& op, const TensorFile& in, const Tensors& inputs, const Tensors& out,
                   const std::vector<std::string>& names, const Attrs& attrs, const Layout& layout,
                   const OpFileOptions& o, TensorFile& result) {
  const Tensors dout = read_cotangents(op, in, out, layout, o);
  std::vector<TensorSpec> specs;
  std::vector<bool> wanted;
  for (size_t i = 0; i < inputs.size(); ++i) {
    specs.push_back({inputs[i].shape(), inputs[i].dtype()});
    wanted.push_back(inputs[i].defined() && input_of(op, i).differentiable &&
                     is_floating(inputs[i].dtype()));
  }
  // Kernels count on seeing only what the operator saves.
  Tensors saved_in(inputs.size()), saved_out(out.size());
  for (int i : op.saved_inputs) saved_in[i] = inputs[i];
  for (int i : op.saved_outputs) saved_out[i] = out[i];
  const Tensors din = run_backward(op, saved_in, saved_out, dout, specs, wanted, attrs);
  for (size_t j = 0; j < out.size(); ++j)
    if (dout[j].defined())
      result.add("grad_" + op.outputs[j].name, layout.to_file(op.outputs[j].name, dout[j]));
  for (size_t i = 0; i < din.size(); ++i)
    if (din[i].defined()) result.add("grad_" + names[i], layout.to_file(names[i], din[i]));
}

}  // namespace

TensorFile run_op_file(const std::string& name, const TensorFile& in, const OpFileOptions& o) {
  const Op& op = find_op(name);
  LIMBECK_CHECK(!o.gradients || op.backward, "operator ", name, " has no gradient");
  if (!o.kernel.empty()) check_kernel_name(op, o.kernel);
  const ExecutionScope only(with(&Execution::kernel, o.kernel));
  const auto text = in.metadata.find("attrs");
  const Attrs attrs = attrs_from_json(op, text == in.metadata.end() ? "" : text->second,
                                      o.source + ": metadata 'attrs'");
  const std::vector<std::string> names = input_names(op, in);
  refuse_unknown(op, in, names, o);
  Tensors inputs = read_inputs(op, in, names, o);
  const bool image_weight = inputs[0].defined() && inputs[0].rank() == 4 && op.images;
  const Layout layout(op, image_weight ? to_channels_last(inputs[0]).shape() : Shape{});
  const ChannelsFirstMessages as_in_the_file(layout.channels_first());
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i] = layout.to_memory(names[i], inputs[i]);

  const Tensors out = run_forward(op, inputs, attrs);
  TensorFile result;
  for (size_t j = 0; j < out.size(); ++j)
    result.add(op.outputs[j].name, layout.to_file(op.outputs[j].name, out[j]));
  for (int i : op.mutated_inputs)
    if (inputs[i].defined()) result.add(names[i], layout.to_file(names[i], inputs[i]));
  if (o.gradients) add_gradients(op, in, inputs, out, names, attrs, layout, o, result);
  result.metadata["op"] = name;
  result.metadata["attrs"] = to_json(attrs).dump();
  return result;
}

}  // namespace limbeck
