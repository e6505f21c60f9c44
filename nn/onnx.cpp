#include "nn/onnx.h"

#include <map>

#include "autograd/trace.h"
#include "nn/onnx_graph.h"

namespace limbeck::nn {
namespace {

constexpr int64_t probe_batch = 2;

/// From a traced forward pass to nodes.
class Translation {
 public:
  Translation(OnnxGraph& graph, const Module& network) : graph_(graph) {
    for (const Parameter& p : network.parameters()) weight(p.name, p.value.data());
    for (const Buffer& b : network.buffers()) weight(b.name, b.value);
  }

  void set(const Variable& v, OnnxValue value) { values_[v.impl()] = std::move(value); }

  const OnnxValue& at(const Variable& v) const { return values_.at(v.impl()); }

  void translate(const OperatorCall& call) {
    std::vector<OnnxValue> inputs;
    for (const Variable& v : call.inputs) inputs.push_back(value_of(v, call.name));
    const Shape& shape = call.outputs[0].shape();
    const OnnxValue out =
        find_onnx_mapping(call.name)({graph_, call.name, inputs, call.attrs, shape});
    LIMBECK_CHECK(out.order.size() == static_cast<size_t>(shape.rank()), "export: ", call.name,
                  ": expected ", shape.rank(), " dimensions, found ", out.order.size());
    set(call.outputs[0], out);
  }

 private:
  void weight(const std::string& name, const Tensor& t) { weights_[t.raw()] = {name, t}; }

  OnnxValue value_of(const Variable& v, const std::string& op) const {
    if (!v.defined()) return {};
    if (const auto known = values_.find(v.impl()); known != values_.end()) return known->second;
    const auto found = weights_.find(v.data().raw());
    LIMBECK_CHECK(found != weights_.end() && found->second.second.shape() == v.shape(),
                  "export: ", op, " takes a tensor ", v.shape(),
                  " that is neither a weight nor made by an operator");
    const auto& [name, tensor] = found->second;
    return {name, v.shape(), our_order(v.rank()), false, tensor};
  }

  OnnxGraph& graph_;
  std::map<const detail::VariableImpl*, OnnxValue> values_;
  std::map<const void*, std::pair<std::string, Tensor>> weights_;
};

/// A number for each channel, to be combined with [N, C, H, W].
Tensor per_channel(const std::vector<double>& values) {
  return Tensor::of(values).to(DType::f32).reshape({1, static_cast<int64_t>(values.size()), 1, 1});
}

std::string standardised_images(OnnxGraph& graph, const ModelOptions& options,
                                const OnnxOptions& onnx) {
  graph.set_input("images", onnx.bytes ? DType::u8 : DType::f32,
                  {-1, options.channels, options.size, options.size});
  std::string x = "images";
  if (onnx.bytes) {
    x = graph.node("Cast", {x}, {{"to", int64_t{1}}});
    x = graph.node("Div", {x, graph.scalar(255)});
  }
  x = graph.node("Sub", {x, graph.initialiser("mean", per_channel(onnx.mean))});
  return graph.node("Div", {x, graph.initialiser("deviation", per_channel(onnx.deviation))});
}

void check(const ModelOptions& options, const OnnxOptions& onnx) {
  const auto channels = static_cast<size_t>(options.channels);
  LIMBECK_CHECK(onnx.mean.size() == channels && onnx.deviation.size() == channels,
                "export: expected mean and deviation of ", channels, " channels, found ",
                onnx.mean.size(), " and ", onnx.deviation.size());
}

std::vector<OperatorCall> traced(Network& network, const Variable& images, Variable& output) {
  const NoGrad no_grad;
  const bool was_training = network.training();
  network.eval();
  const OperatorTrace trace;
  output = network(images);
  network.train(was_training);
  return trace.calls();
}

}  // namespace

std::string onnx_model(Network& network, const std::string& name, const ModelOptions& options,
                       const OnnxOptions& onnx) {
  check(options, onnx);
  const Variable images(Tensor::zeros({probe_batch, options.size, options.size, options.channels}));
  Variable output;
  const std::vector<OperatorCall> calls = traced(network, images, output);
  OnnxGraph graph;
  Translation translation(graph, network);
  translation.set(
      images, {standardised_images(graph, options, onnx), images.shape(), channels_first(), true});
  for (const OperatorCall& call : calls) translation.translate(call);
  std::string y = graph.in_order(translation.at(output), our_order(output.rank()));
  if (onnx.low != 0 || onnx.high != 1) {
    y = graph.node("Mul", {y, graph.scalar(onnx.high - onnx.low)});
    y = graph.node("Add", {y, graph.scalar(onnx.low)});
  }
  graph.set_output(options.task == Task::regression ? "response" : "logits", y,
                   {-1, options.outputs});
  return graph.model(name, onnx.metadata);
}

}  // namespace limbeck::nn
